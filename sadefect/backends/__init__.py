"""What Keras has no operation for: a module for each of its backends that can do it."""

from importlib import import_module
from importlib.util import find_spec

import keras


def guarded_in_step(value, holds, refuse, words):
    """Return a value that a compiled step checks when it runs, on backends that can raise there.

    ``holds`` is the condition, as a tensor. Where it is false, the error is that of
    ``refuse(value)`` or, with the two ``words`` around the value, the backend's own.
    """
    name = f"{__name__}.{keras.backend.backend()}"
    return import_module(name).guarded(value, holds, refuse, words) if find_spec(name) else value
