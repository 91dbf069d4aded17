"""What was measured by ``python -m benchmarks --record``, for the page on performance."""

from dataclasses import dataclass

from .files import load_json
from .results import RECORDED

BENCHMARKS = RECORDED / "benchmarks"


@dataclass(frozen=True)
class Benchmark:
    """One table of ratios.

    Attributes
    ----------
    columns : list of str
    rows : list of list
        Text and numbers.
    note : str
    provenance : dict
        Command, commit, versions, machine, date.
    """

    columns: list
    rows: list
    note: str
    provenance: dict

    def column(self, name, **where):
        """The values of one column, of the rows whose other columns are as given."""
        place = self.columns.index(name)
        chosen = {self.columns.index(other): value for other, value in where.items()}
        return [row[place] for row in self.rows if all(row[n] == v for n, v in chosen.items())]

    def value(self, column, first):
        """One cell, of the row that begins so."""
        (found,) = [row for row in self.rows if row[0] == first]
        return found[self.columns.index(column)]


def benchmark(name):
    """A recorded table by the name that its benchmark reports it under.

    Raises
    ------
    StoreError
        If there is none.
    """
    return Benchmark(**load_json(BENCHMARKS / f"{name}.json"))
