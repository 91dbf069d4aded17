"""Pictures in rows: images, maps with a colour bar, segmentations; and those of an inspection."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sadefect.detector.overlay import COLOURS, paint
from sadefect.figures.style import WIDTH, Figure, house_style, method_label
from sadefect.methods import RESIDUALS
from sadefect.paper.inspection import Inspection

TITLE = 0.27  # Inches above a picture.
BAR = 0.155, 0.42  # Below a picture: share of its height, and inches for the numbers.


@dataclass(frozen=True)
class Panel:
    """A picture in a figure, gray values or a map; all arrays are ``(H, W)``, masks bool.

    Pixels that are `found` are painted in one colour within outlined regions and in another
    outside; in a third one without `outline`.
    """

    image: np.ndarray
    title: str
    unit: str = ""  # What the colour bar measures; without it there is none: gray values.
    limits: tuple[float, float] = (0.0, 1.0)  # Values shown darkest and brightest.
    outline: np.ndarray | None = None  # Regions to draw a line around.
    found: np.ndarray | None = None


@house_style()
def show_panels(rows: Sequence[Sequence[Panel]], *, width: float = WIDTH) -> Figure:
    """Show pictures in rows, each map with a colour bar that says what it measures.

    Rows may differ in length; they begin at the left. The figure is `width` inches wide.

    Raises `ValueError` if there is nothing to show, or a picture is not ``(H, W)``.

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
    """Return the inches of a row of pictures of some width, with titles, and with bars if any."""
    picture = width * max(np.shape(panel.image)[0] / np.shape(panel.image)[1] for panel in row)
    bars = BAR[0] * picture + BAR[1] if any(panel.unit for panel in row) else 0
    return picture + TITLE + bars


def _draw(panel, axes):
    low, high = panel.limits
    colours = "magma" if panel.unit else "gray"
    drawn = axes.imshow(panel.image, cmap=colours, vmin=low, vmax=high, aspect="equal")
    axes.set_title(panel.title)
    if panel.found is not None:
        axes.imshow(paint(panel.found, panel.outline), aspect="equal")
    if panel.outline is not None and panel.outline.any() and not panel.outline.all():
        axes.contour(panel.outline, levels=[0.5], colors=COLOURS["truth"], linewidths=0.8)
    if panel.unit:
        below, above = np.min(panel.image) < low, np.max(panel.image) > high
        extend = ("neither", "min", "max", "both")[below + 2 * above]
        # Inside the picture's own axes, so that pictures with and without a bar are equally large.
        place = axes.inset_axes([0.05, -0.11, 0.9, 0.045])  # BAR[0] holds it.
        bar = axes.figure.colorbar(drawn, cax=place, orientation="horizontal", extend=extend)
        bar.set_label(panel.unit)
        ticks = [low, (low + high) / 2, high]
        bar.set_ticks(ticks, labels=[f"{t:.0f}" if abs(t) >= 99.5 else f"{t:.2g}" for t in ticks])
        bar.outline.set_visible(False)


def inspection_panels(inspection: Inspection, side: int = 0) -> dict[str, Panel]:
    """Return panels of an image and of what a network and a threshold make of it.

    They show a square of `side` pixels about the largest defect, or all of the image for 0: "input"
    and "reconstruction", which are missing where the image may not be shown; "residual map" with
    true defects outlined; "segmentation", on white without the image.
    """
    window, method = inspection.window(side), method_label(inspection.result)
    mask, image, panels = inspection.mask[window], np.ones(inspection.mask.shape)[window], {}
    if inspection.image is not None:
        image, reconstruction = inspection.image[window], inspection.reconstruction[window]
        panels["input"] = Panel(image, f"input, {inspection.kind}", outline=mask)
        panels["reconstruction"] = Panel(reconstruction, f"reconstruction, {method}")
    top = max(float(np.quantile(inspection.residual, 0.999)), 1e-12)
    unit = RESIDUALS[inspection.result.experiment.residual].unit
    residual, found = inspection.residual[window], inspection.found[window]
    title = f"residual map, {method}"
    panels["residual map"] = Panel(residual, title, unit, (0.0, top), outline=mask)
    panels["segmentation"] = Panel(image, f"segmentation, {method}", outline=mask, found=found)
    return panels


def show_segmentations(inspections: Sequence[Sequence[Inspection]], dataset: str) -> Figure:
    """Show inputs of a data set, and below them a row of segmentations for each method.

    There is one sequence of `inspections` for each method, of the same images, which may be shown;
    the data set's name is for the titles.
    """
    names = [inspection.kind.replace("_", " ") for inspection in inspections[0]]
    if len(names) < 4:  # Or they run into each other.
        names = [f"{dataset}, {name}" for name in names]
    panels = [[inspection_panels(inspection) for inspection in group] for group in inspections]
    inputs = zip(panels[0], names, strict=True)
    rows = [[replace(shown["input"], title=name) for shown, name in inputs]]
    return show_panels(rows + [[shown["segmentation"] for shown in group] for group in panels])
