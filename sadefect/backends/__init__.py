"""What Keras has no operation for: a module for each of its backends that can do it."""

from importlib import import_module
from importlib.util import find_spec

import keras


def guarded_in_step(value, holds, refuse, words):
    """Return a value that a compiled step checks when it runs, on backends that can raise there.

    ``holds`` is the condition, as a tensor. Where it is false, the error is that of
    ``refuse(value)`` or, with the two ``words`` around the value, the backend's own.
    """
    own = _own("guarded")
    return own(value, holds, refuse, words) if own else value


def many_steps(model, patches, size):
    """Return what takes many training steps in one call, on backends that can; else None.

    The model is compiled, its optimizer built; the patches are `RandomPatches`, ``size`` of them
    make a batch. What is returned does what `sadefect.training.loop.OneStep` does, with more rates
    a call: ``LONGEST`` at most.
    """
    own = _own("many_steps")
    return own and own(model, patches, size)


def card():
    """Return the name of the graphics card that the backend computes on; None without one."""
    own = _own("card")
    return own and own()


def _own(name):
    """Return what the backend's own module has by a name; None where it has none."""
    module = f"{__name__}.{keras.backend.backend()}"
    return getattr(import_module(module), name, None) if find_spec(module) else None
