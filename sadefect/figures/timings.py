"""What was measured by ``python -m benchmarks --record``, for the page on performance."""

from dataclasses import dataclass

from IPython.display import Markdown

from sadefect.detector.overlay import COLOURS
from sadefect.errors import StoreError
from sadefect.figures.style import INK, Figure, chart_row
from sadefect.figures.tables import table
from sadefect.files import load_json
from sadefect.methods import METHODS
from sadefect.paper.store import recorded_folder


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
        (row,) = [row for row in self.rows if row[0] == first]
        return row[self.columns.index(column)]


def benchmark(name):
    """A recorded table by the name that its benchmark reports it under.

    Raises
    ------
    StoreError
        If there is none.
    """
    path = recorded_folder() / "benchmarks" / f"{name}.json"
    if not path.exists():
        raise StoreError(
            f"expected the measurements of {name} in {path}; got none; make them: "
            f"python -m benchmarks --record {name.partition('-')[0]}"
        )
    return Benchmark(**load_json(path))


def benchmark_table(measured) -> Markdown:
    """Tabulate a `Benchmark`, its numbers to three digits."""
    rows = [
        [f"{cell:.3g}" if isinstance(cell, float) else cell for cell in row]
        for row in measured.rows
    ]
    return table(measured.columns, rows)


# What tells lines apart: a colour, a mark and dashes, in the order that the lines come in.
LOOKS = (
    (METHODS["ssim"].colour, "o-"),
    (METHODS["l2"].colour, "s--"),
    (METHODS["feature_matching"].colour, "^:"),
    (METHODS["vae"].colour, "D-."),
    (COLOURS["false_alarm"], "v-"),
    (INK, "x--"),
)


def line_charts(panels) -> Figure:
    """Draw lines, panels side by side.

    Parameters
    ----------
    panels : dict
        Title to a dict with ``curves`` (name to x and y), ``labels`` (of both axes), and maybe
        ``log`` (the axes that are logarithmic, "x", "y" or "xy"), ``limit`` (name and value of a
        dashed line), and ``ticks`` (of the x axis).
    """
    with chart_row(panels) as (figure, row):
        for axes, panel in zip(row, panels.values(), strict=True):
            for (name, (x, y)), (colour, look) in zip(panel["curves"].items(), LOOKS, strict=False):
                axes.plot(x, y, look, color=colour, markersize=4, label=name)
            limit, log = panel.get("limit"), panel.get("log", "")
            if limit:
                axes.axhline(limit[1], color=INK, linestyle="--", linewidth=1)
                axes.annotate(
                    limit[0], (0.02, limit[1]), xycoords=("axes fraction", "data"),
                    xytext=(0, -10), textcoords="offset points", fontsize=8,
                )  # fmt: skip
            if "x" in log:
                axes.set_xscale("log")
            if "y" in log:
                axes.set_yscale("log")
            else:
                top = 1.35 * limit[1] if limit else None  # Room for names.
                axes.set_ylim(*panel.get("ylim", (0, top)))
            if "ticks" in panel:
                axes.set_xticks(panel["ticks"], [f"{tick:,}" for tick in panel["ticks"]])
                axes.minorticks_off()
            axes.set(xlabel=panel["labels"][0], ylabel=panel["labels"][1])
            if len(panel["curves"]) > 1:
                above = {"loc": "upper center", "ncols": 2} if limit else {}
                axes.legend(fontsize=8, **above)
    return figure
