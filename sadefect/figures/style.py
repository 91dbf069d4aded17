"""The house style of figures: sizes, colours of text, a `Figure` that a notebook shows.

A figure is opaque white with dark text, in the book's light and in its dark theme: pictures and
colour scales are read against one known ground, and what is right in one theme is right in the
other. Figures belong to no window and to no global state; a notebook shows the one that a cell ends
with. Needs the extra ``sadefect[book]``.
"""

import os
from io import BytesIO

import matplotlib
from matplotlib.figure import Figure as _Figure
from PIL import Image

from sadefect.figures.data import MEDIA_TYPE, figure_data
from sadefect.methods import METHODS
from sadefect.provenance import BUILDING

INK = "#222222"  # Of text and axes; all other colours: `sadefect.detector.overlay` and `methods`.
WIDTH = 8.0  # Inches; a page's column.
DPI = 130
STYLE = {
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.facecolor": "white",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.family": "DejaVu Sans",  # Comes with matplotlib, so that no machine lacks it.
    "font.size": 9,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}


def house_style():
    """Set the style of all figures while they are drawn into; also decorates what draws one."""
    return matplotlib.rc_context(STYLE)


class Figure(_Figure):
    """A figure that a notebook shows, without pyplot and its global state.

    In a build of the book the numbers behind it go with it, and its page offers them to readers.
    """

    @house_style()
    def _repr_png_(self):
        with BytesIO() as file, BytesIO() as smaller:
            self.savefig(file, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.05)
            # Nothing is transparent: an eighth less to load.
            Image.open(file).convert("RGB").save(smaller, "png", optimize=True)
            return smaller.getvalue()

    def _repr_mimebundle_(self, include=None, exclude=None):
        """Give the numbers behind the picture, only where asked: they make a notebook large."""
        return {MEDIA_TYPE: figure_data(self)} if os.environ.get(BUILDING) else {}


@house_style()
def chart_row(contents, ylabel, draw):
    """Return a figure of charts side by side.

    `contents` are a dict of title to what is drawn there, by ``draw(axes, title, content)``.
    """
    figure = Figure(figsize=(WIDTH if len(contents) > 1 else 0.6 * WIDTH, 3.6))
    row = figure.subplots(1, len(contents), squeeze=False)[0]
    row[0].set_ylabel(ylabel)
    for axes, (title, content) in zip(row, contents.items(), strict=True):
        axes.set_title(title)
        axes.grid(color="#DDDDDD", linewidth=0.6)
        axes.set_axisbelow(True)
        draw(axes, title, content)
    return figure


def label_level(axes, level, text, above):
    """Write at the left of a chart what a horizontal line is, so many points above it."""
    axes.annotate(
        text, (0.02, level), xycoords=("axes fraction", "data"),
        xytext=(0, above), textcoords="offset points", fontsize=8,
    )  # fmt: skip


def method_label(result):
    """Return the method of a result, as figures and tables call it."""
    return METHODS[result.experiment.method].label


def method_line(result, **more):
    """Return options of matplotlib's `plot` for a result: its method's colour and dashes."""
    method = METHODS[result.experiment.method]
    return {"color": method.colour, "linestyle": method.dashes} | more
