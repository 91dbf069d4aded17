"""What was measured by ``python -m benchmarks --record``, for the page on performance."""

from dataclasses import dataclass

from IPython.display import Markdown

from sadefect.detector.overlay import COLOURS
from sadefect.errors import StoreError
from sadefect.figures.style import INK, Figure, chart_row, label_level
from sadefect.figures.tables import table
from sadefect.files import load_json
from sadefect.methods import METHODS
from sadefect.paper.store import recorded_folder


@dataclass(frozen=True)
class Benchmark:
    """One table of ratios: its columns' names, rows of text and numbers, and a note.

    `provenance` has the command, commit, versions, machine and date.
    """

    columns: list
    rows: list
    note: str
    provenance: dict

    def column(self, name, /, **where):
        """Return the values of one column, of the rows whose other columns are as given."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return [row[name] for row in rows if where.items() <= row.items()]

    def value(self, column, first):
        """Return one cell, of the row that begins so."""
        (cell,) = self.column(column, **{self.columns[0]: first})
        return cell


def benchmark(name):
    """Return a recorded table by the name that its benchmark reports it under.

    Raises `StoreError` if there is none.
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


def folded(summary, *parts) -> Markdown:
    """Fold paragraphs, tables and `Benchmark`s below a line that opens.

    Examples
    --------
    >>> print(folded("More", "Text.", Markdown("- item")).data)
    <details><summary>More</summary>
    <BLANKLINE>
    Text.
    <BLANKLINE>
    - item
    <BLANKLINE>
    </details>
    """
    texts = [
        part if isinstance(part, str) else getattr(part, "data", None) or benchmark_table(part).data
        for part in parts
    ]
    opening = f"<details><summary>{summary}</summary>"
    return Markdown("\n\n".join([opening, *texts, "</details>"]))


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

    `panels` are a dict of title to a dict with ``curves`` (name to x and y), ``labels`` (of both
    axes), and maybe ``log`` (the axes that are logarithmic, "x", "y" or "xy"), ``limit`` (name and
    value of a dashed line), ``ticks`` (of the x axis) and ``ylim``.
    """

    def draw(axes, _, panel):
        for (name, (x, y)), (colour, look) in zip(panel["curves"].items(), LOOKS, strict=False):
            axes.plot(x, y, look, color=colour, markersize=4, label=name)
        limit, log = panel.get("limit"), panel.get("log", "")
        if limit:
            axes.axhline(limit[1], color=INK, linestyle="--", linewidth=1)
            label_level(axes, limit[1], limit[0], above=-10)
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

    return chart_row(panels, "", draw)
