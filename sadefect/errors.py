"""Errors that say what was expected, what came, and what to do."""


class DataError(ValueError):
    """An image, a mask or a folder is not what was expected."""


class DatasetNotFound(DataError, FileNotFoundError):
    """A data set's files are not where they were looked for."""


class StoreError(RuntimeError):
    """The store of results cannot be read or written."""


class TrainingDiverged(RuntimeError):
    """A training gives NaN, or the same output for every patch."""
