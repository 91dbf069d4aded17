"""Figures in the house style, and the line that says where a page's numbers come from.

A figure is opaque white with dark text, in the book's light and in its dark theme: pictures and
colour scales are read against one known ground, and what is right in one theme is right in the
other. Figures belong to no window and to no global state; a notebook shows the one that a cell ends
with. Needs the extra ``sadefect[book]``.
"""

import os
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

import matplotlib
import numpy as np
from matplotlib.figure import Figure as _Figure
from PIL import Image

from sadefect.detector.overlay import COLOURS, paint
from sadefect.figures.data import MEDIA_TYPE, figure_data
from sadefect.methods import METHODS, RESIDUALS
from sadefect.paper.experiment import Experiment
from sadefect.paper.inspection import Inspection
from sadefect.provenance import BUILDING, commit, processor, versions

INK = "#222222"  # Of text and axes.
WIDTH = 8.0  # Inches; a page's column.
DPI = 130
FOLDED = 2  # More trainings than these are named in a list that opens.
TITLE = 0.27  # Inches above a picture.
BAR = 0.155, 0.42  # Below a picture: share of its height, and inches for the numbers.
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
    """The style of all figures, while they are drawn into; whatever was set before comes back.

    Examples
    --------
    >>> with house_style():
    ...     axes = Figure(figsize=(4, 3)).subplots()
    """
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


@dataclass(frozen=True)
class Panel:
    """A picture in a figure.

    Parameters
    ----------
    image : array (H, W)
        Gray values or a map.
    title : str
    unit : str
        What the colour bar measures; without it there is none, and `image` is shown as gray values.
    limits : pair of float
        Values shown darkest and brightest.
    outline : bool array (H, W), optional
        Regions to draw a line around.
    found : bool array (H, W), optional
        Pixels to paint, in one colour within the outlined regions and in another outside.
    """

    image: np.ndarray
    title: str
    unit: str = ""
    limits: tuple[float, float] = (0.0, 1.0)
    outline: np.ndarray | None = None
    found: np.ndarray | None = None


def show_panels(rows: Sequence[Sequence[Panel]], *, width: float = WIDTH) -> Figure:
    """Pictures in rows, each map with a colour bar that says what it measures.

    Parameters
    ----------
    rows : sequence of sequences of Panel
        Rows may differ in length; they begin at the left.
    width : float
        Of the figure, in inches.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is nothing to show, or a picture is not ``(H, W)``.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.eye(8)
    >>> figure = show_panels([[Panel(image, "(a) input"), Panel(image, "(b) map", "$x^2$")]])
    >>> [axes.get_title() for axes in figure.axes[:2]]
    ['(a) input', '(b) map']
    """
    columns = max(map(len, rows), default=0)
    if not columns:
        raise ValueError("expected at least one panel; got none")
    for panel in (panel for row in rows for panel in row):
        if np.ndim(panel.image) != 2:
            raise ValueError(
                f"expected the picture of panel {panel.title!r} to be (H, W); got shape "
                f"{np.shape(panel.image)}; drop the channel axis"
            )
    heights = [_height(row, width / columns) for row in rows]
    with house_style():
        figure = Figure(figsize=(width, sum(heights)))
        figure.pictures = rows
        grid = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
        for axes in grid.flat:
            axes.set_axis_off()
        for row, line in zip(rows, grid, strict=True):
            for panel, axes in zip(row, line, strict=False):
                _draw(panel, axes)
    return figure


def _height(row, width):
    """Inches of a row of pictures of some width, with titles, and with bars where there are any."""
    picture = width * max(np.shape(panel.image)[0] / np.shape(panel.image)[1] for panel in row)
    bars = BAR[0] * picture + BAR[1] if any(panel.unit for panel in row) else 0
    return picture + TITLE + bars


def _draw(panel, axes):
    low, high = panel.limits
    drawn = axes.imshow(
        panel.image, cmap="magma" if panel.unit else "gray", vmin=low, vmax=high, aspect="equal"
    )
    axes.set_title(panel.title)
    if panel.found is not None:
        axes.imshow(paint(panel.found, panel.outline), aspect="equal")
    if panel.outline is not None and panel.outline.any() and not panel.outline.all():
        axes.contour(panel.outline, levels=[0.5], colors=COLOURS["truth"], linewidths=0.8)
    if panel.unit:
        extend = {(False, False): "neither", (True, False): "min", (False, True): "max"}.get(
            (bool(np.min(panel.image) < low), bool(np.max(panel.image) > high)), "both"
        )
        # Inside the picture's own axes, so that pictures with and without a bar are equally large.
        place = axes.inset_axes([0.05, -0.11, 0.9, 0.045])  # BAR[0] holds it.
        bar = axes.figure.colorbar(drawn, cax=place, orientation="horizontal", extend=extend)
        bar.set_label(panel.unit)
        ticks = [low, (low + high) / 2, high]
        bar.set_ticks(ticks, labels=[f"{tick:.2g}" for tick in ticks])
        bar.outline.set_visible(False)


def segmentation_panel(inspection: Inspection, side: int = 0) -> Panel:
    """Return the image, or white where it may not be shown, with what the threshold finds on it.

    Parameters
    ----------
    inspection : Inspection
    side : int
        Of the square shown, about the largest defect, in pixels; 0 shows all.
    """
    window = inspection.window(side)
    ground = np.ones(inspection.mask.shape) if inspection.image is None else inspection.image
    return Panel(
        ground[window],
        f"segmentation, {_label(inspection)}",
        outline=inspection.mask[window],
        found=inspection.found[window],
    )


def residual_panel(inspection: Inspection, side: int = 0) -> Panel:
    """Return the residual map, true defects outlined; ``side`` is that of `segmentation_panel`."""
    window = inspection.window(side)
    top = max(float(np.quantile(inspection.residual, 0.999)), 1e-12)
    return Panel(
        inspection.residual[window],
        f"residual map, {_label(inspection)}",
        RESIDUALS[inspection.result.experiment.residual].unit,
        (0.0, top),
        outline=inspection.mask[window],
    )


def inspection_row(inspection: Inspection, side: int = 0) -> list[Panel]:
    """Return panels of input, reconstruction, residual map and segmentation.

    Images that may not be shown are left out; ``side`` is that of `segmentation_panel`.
    """
    window = inspection.window(side)
    shown = []
    if inspection.image is not None:
        shown = [
            Panel(
                inspection.image[window],
                f"input, {inspection.kind}",
                outline=inspection.mask[window],
            ),
            Panel(inspection.reconstruction[window], f"reconstruction, {_label(inspection)}"),
        ]
    return [*shown, residual_panel(inspection, side), segmentation_panel(inspection, side)]


def _label(inspection):
    return METHODS[inspection.result.experiment.method].label


def provenance(*sources):
    """One paragraph that says where numbers come from, for the foot of a page.

    Parameters
    ----------
    *sources : Result or Experiment
        A result says itself what made it; of an experiment, and without any, it is what runs now.

    Returns
    -------
    IPython.display.Markdown

    Examples
    --------
    >>> line = provenance(Experiment(dataset="synthetic/checkerboard", method="l2"))
    >>> "checkerboard-v" in line.data
    True
    """
    from IPython.display import Markdown

    here = _code(commit(), versions(), processor())
    trainings, code = {}, {}  # As keys: what several results have in common is said once.
    for source in sources:
        if isinstance(source, Experiment):
            experiment, verb, cost, made = source, "computed by this page", "", None
        else:
            experiment, made = source.experiment, source.provenance
            verb = {"recorded": "recorded", "local": "computed on this machine"}[source.source]
            if source.outdated:
                verb += " from other data or by an earlier version of the numerics"
            seconds = made["seconds"]["training"]
            cost = f" in {seconds / 60:.0f} minutes" if seconds else ""
        settings = experiment.training_settings
        line = (
            f"training `{experiment.training_key}` ({settings['data']}, seed {experiment.seed}, "
            f"batches of {settings['batch_size']} at a rate of {settings['learning_rate']:g}), "
            f"{experiment.patches_seen:,} patches{cost}, {verb}"
        )
        trainings[line] = None
        if made:
            code[_code(made["commit"], made["versions"], made["machine"]["processor"])] = None
        else:
            code[here] = None
    if not sources:
        trainings, code = {"computed by this page": None}, {here: None}
    # The page on all pages, book.builder.status, reads this.
    known = {"sadefect": {"results": [_origin(source) for source in sources]}}
    if len(trainings) <= FOLDED:
        line = "*Where this comes from*: " + "; ".join([*trainings, *code]) + "."
        return Markdown(line, metadata=known)
    items = "\n".join(f"- {line}" for line in (*trainings, *code))
    summary = f"Where this comes from: {len(trainings)} trainings"
    folded = f"<details><summary>{summary}</summary>\n\n{items}\n\n</details>"
    return Markdown(folded, metadata=known)


def _origin(source):
    """Key and origin of a result, or of an experiment that a page computes itself."""
    if isinstance(source, Experiment):
        return {"key": source.training_key, "source": "this page"}
    return {"key": source.experiment.evaluation_key, "source": source.source}


def _code(at, installed, machine):
    libraries = ", ".join(f"{name} {installed[name]}" for name in sorted(installed))
    return f"code `{at}` with {libraries} on {machine}"
