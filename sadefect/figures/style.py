"""The house style of figures: sizes, colours of text, a `Figure` that a notebook shows.

A figure is opaque white with dark text, in the book's light and in its dark theme: pictures and
colour scales are read against one known ground, and what is right in one theme is right in the
other. Figures belong to no window and to no global state; a notebook shows the one that a cell ends
with. Needs the extra ``sadefect[book]``.
"""

import os
from contextlib import contextmanager
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


@contextmanager
def house_style():
    """Set the style of all figures while they are drawn into."""
    with matplotlib.rc_context(STYLE):
        yield


class Figure(_Figure):
    """A figure that a notebook shows, without pyplot and its global state.

    In a build of the book the numbers behind it go with it, and its page offers them to readers.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{"layout": "constrained"} | kwargs)

    def _repr_png_(self):
        with house_style(), BytesIO() as file:
            self.savefig(file, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.05)
            smaller = BytesIO()  # Nothing is transparent: an eighth less to load.
            Image.open(file).convert("RGB").save(smaller, "png", optimize=True)
            return smaller.getvalue()

    def _repr_mimebundle_(self, include=None, exclude=None):
        """Beside the picture; only where asked, because they make a notebook large."""
        if not os.environ.get(BUILDING):
            return {}
        return {MEDIA_TYPE: figure_data(self)}


@contextmanager
def chart_row(titles, ylabel=""):
    """Give a figure and its axes side by side, one for each title, to draw into in house style."""
    titles = list(titles)
    with house_style():
        figure = Figure(figsize=(WIDTH if len(titles) > 1 else 0.6 * WIDTH, 3.6))
        row = figure.subplots(1, len(titles), squeeze=False)[0]
        row[0].set_ylabel(ylabel)
        for axes, title in zip(row, titles, strict=True):
            axes.set_title(title)
            axes.grid(color="#DDDDDD", linewidth=0.6)
            axes.set_axisbelow(True)
        yield figure, row


def method_label(result):
    """Return the method of a result, as figures and tables call it."""
    return METHODS[result.experiment.method].label


def method_line(result, **more):
    """Return options of matplotlib's `plot` for a result: its method's colour and dashes."""
    method = METHODS[result.experiment.method]
    return {"color": method.colour, "linestyle": method.dashes} | more
