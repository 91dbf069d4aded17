"""What was measured by ``python -m benchmarks --record``, for the page on performance."""

from dataclasses import dataclass

from sadefect.detector.overlay import COLOURS
from sadefect.errors import StoreError
from sadefect.figures.panels import INK, WIDTH, Figure, house_style
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
        (found,) = [row for row in self.rows if row[0] == first]
        return found[self.columns.index(column)]


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


# What tells lines apart: a colour, a mark and dashes, in the order that the lines come in.
LOOKS = (
    (METHODS["ssim"].colour, "o-"),
    (METHODS["l2"].colour, "s--"),
    (METHODS["feature_matching"].colour, "^:"),
    (METHODS["vae"].colour, "D-."),
    (COLOURS["false_alarm"], "v-"),
    (INK, "x--"),
)


def lines(panels, *, height=3.4):
    """A figure of lines, panels side by side.

    Parameters
    ----------
    panels : dict
        Title to a dict with ``curves`` (name to x and y), ``labels`` (of both axes), and maybe
        ``log`` (the axes that are logarithmic, "x", "y" or "xy"), ``limit`` (name and value of a
        dashed line), and ``ticks`` (of the x axis).

    Returns
    -------
    Figure
    """
    with house_style():
        figure = Figure(figsize=(WIDTH if len(panels) > 1 else 0.7 * WIDTH, height))
        drawn = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (title, panel) in zip(drawn, panels.items(), strict=True):
            for (name, (x, y)), (colour, look) in zip(panel["curves"].items(), LOOKS, strict=False):
                axes.plot(x, y, look, color=colour, markersize=4, label=name)
            if "limit" in panel:
                name, value = panel["limit"]
                axes.axhline(value, color=INK, linestyle="--", linewidth=1)
                axes.annotate(
                    name, (0.02, value), xycoords=("axes fraction", "data"),
                    xytext=(0, -10), textcoords="offset points", fontsize=8,
                )  # fmt: skip
            if "x" in panel.get("log", ""):
                axes.set_xscale("log")
            if "y" in panel.get("log", ""):
                axes.set_yscale("log")
            else:
                top = 1.35 * panel["limit"][1] if "limit" in panel else None  # Room for names.
                axes.set_ylim(*panel.get("ylim", (0, top)))
            if "ticks" in panel:
                axes.set_xticks(panel["ticks"], [f"{tick:,}" for tick in panel["ticks"]])
                axes.minorticks_off()
            axes.set(title=title, xlabel=panel["labels"][0], ylabel=panel["labels"][1])
            axes.grid(color="#DDDDDD", linewidth=0.6)
            axes.set_axisbelow(True)
            if len(panel["curves"]) > 1:
                above = {"loc": "upper center", "ncols": 2} if "limit" in panel else {}
                axes.legend(fontsize=8, **above)
        return figure


def origins(found):
    """Where tables were measured: one item for each machine with its commands.

    Parameters
    ----------
    found : iterable of Benchmark

    Returns
    -------
    IPython.display.Markdown
    """
    from IPython.display import Markdown

    places = {}
    for made in (one.provenance for one in found):
        libraries = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
        machine = f"{made['machine']['cores']} cores of {made['machine']['processor']}"
        where = f"code `{made['commit']}` with {libraries} on {machine}, {made['date']}"
        places.setdefault(where, {})[f"`{made['command']}`"] = None
    return Markdown("\n".join(f"- {', '.join(names)}: {where}." for where, names in places.items()))
