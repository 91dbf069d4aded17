"""Errors that say what was expected, what came, and what to do."""


class DataError(ValueError):
    """An image, a mask or a folder is not what was expected."""


class DatasetNotFound(DataError, FileNotFoundError):
    """A data set's files are not where they were looked for."""


class StoreError(RuntimeError):
    """The store of results cannot be read or written."""


class TrainingDiverged(RuntimeError):
    """A training gives NaN, or the same output for every patch."""


class TrainingStopped(RuntimeError):
    """A training was asked to end before its budget, and saved its state."""


class InputWarning(UserWarning):
    """What is given can be used, and is perhaps not what was meant."""


def require_choice(name, value, allowed):
    """Raise `ValueError` unless the value of an option is one of those allowed.

    Examples
    --------
    >>> require_choice("window", "round", ("uniform", "gaussian"))
    Traceback (most recent call last):
    ValueError: window must be one of 'uniform', 'gaussian'; received 'round'
    """
    allowed = list(allowed)
    if value not in allowed:
        raise ValueError(
            f"{name} must be one of {', '.join(map(repr, allowed))}; received {value!r}"
        )


def out_of_memory(error):
    """Tell whether an error says that memory is used up: Python's own, or one of a framework's."""
    framework = type(error).__module__.split(".")[0] in ("tensorflow", "torch", "jaxlib", "jax")
    words = f"{type(error).__name__} {error}".lower().replace(" ", "").replace("_", "")
    return isinstance(error, MemoryError) or (
        framework and any(said in words for said in ("resourceexhausted", "outofmemory"))
    )
