"""Errors that say what was expected, what came, and what to do."""


class DataError(ValueError):
    """An image, a mask or a folder is not what was expected."""


class DatasetNotFound(DataError, FileNotFoundError):
    """A data set's files are not where they were looked for."""


class StoreError(RuntimeError):
    """The store of results cannot be read or written."""


class TrainingDiverged(RuntimeError):
    """A training gives NaN, or the same output for every patch."""


def out_of_memory(error):
    """Whether an error says that memory is used up: Python's own, or one of a framework's."""
    framework = type(error).__module__.split(".")[0] in ("tensorflow", "torch", "jaxlib", "jax")
    words = f"{type(error).__name__} {error}".lower().replace(" ", "").replace("_", "")
    return isinstance(error, MemoryError) or (
        framework and any(said in words for said in ("resourceexhausted", "outofmemory"))
    )
