"""The numbers behind a figure, as plain JSON: what its panels show, and on which axes."""

import base64
from io import BytesIO

import numpy as np
from matplotlib.ticker import FixedLocator
from PIL import Image

MEDIA_TYPE = "application/vnd.sadefect.figure+json"  # In a notebook's outputs, beside the picture.
LEVELS = 255  # Between the darkest and the brightest value shown.


def figure_data(figure):
    """Return what a figure shows.

    That is a dict of ``panels``: a list with the title and labels of each and its ``lines``,
    ``areas`` and ``bars``, or, where the figure has ``pictures``, rows of `panels.Panel`, their
    data.

    Examples
    --------
    >>> from sadefect.figures.style import Figure
    >>> axes = (figure := Figure()).subplots()
    >>> _ = axes.plot([0, 1], [0.5, 0.25], label="falling")
    >>> figure_data(figure)["panels"][0]["lines"]
    [{'label': 'falling', 'x': [0.0, 1.0], 'y': [0.5, 0.25]}]
    """
    pictures = [
        {"row": row, "column": column} | picture_data(panel)
        for row, line in enumerate(getattr(figure, "pictures", ()), 1)
        for column, panel in enumerate(line, 1)
    ]
    return {"panels": pictures or [_drawn(axes) for axes in figure.axes]}


def picture_data(panel):
    """Return a `panels.Panel` as plain JSON: 256 levels between the limits that it shows.

    Levels and masks are pictures without loss, see `png_address`: as lists of numbers, those of one
    page took 70 MB.
    """
    low, high = panel.limits
    levels = np.round((np.asarray(panel.image, "float64") - low) / (high - low) * LEVELS)
    levels = levels.clip(0, LEVELS).astype("uint8")
    even = levels.min() == levels.max()
    data = {
        "title": panel.title,
        "unit": panel.unit or "gray value",
        "shape": list(levels.shape),
        "value_of_level_0": float(low),
        f"value_of_level_{LEVELS}": float(high),
        "levels": int(levels.flat[0]) if even else png_address(levels),
    }
    masks = {"outline": panel.outline, "found": panel.found}
    return data | {name: png_address(mask) for name, mask in masks.items() if mask is not None}


def png_address(pixels):
    """Return a uint8 or bool array ``(H, W)`` as the address of a PNG file that carries it.

    Browsers show it, and image libraries read back what it was made of.

    Examples
    --------
    >>> address = png_address(np.array([[0, 7], [255, 1]], "uint8"))
    >>> file = BytesIO(base64.b64decode(address.removeprefix("data:image/png;base64,")))
    >>> np.asarray(Image.open(file)).tolist()
    [[0, 7], [255, 1]]
    """
    with BytesIO() as file:
        Image.fromarray(np.asarray(pixels)).save(file, "png", optimize=True)
        return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _drawn(axes):
    areas = [path for collection in axes.collections for path in collection.get_paths()]
    content = {
        "lines": [_line(axes, line) for line in axes.lines],
        "areas": [{"corners": plain_numbers(area.vertices)} for area in areas],
        "bars": [
            {"from": plain_numbers(bar.get_xy()), "to": plain_numbers(bar.get_corners()[2])}
            for bar in axes.patches
        ],
        "notes": [text.get_text() for text in axes.texts],
        "x_names": _names(axes.xaxis),
        "y_names": _names(axes.yaxis),
    }
    labels = {"title": axes.get_title(), "x": axes.get_xlabel(), "y": axes.get_ylabel()}
    return labels | {name: items for name, items in content.items() if items}


def _line(axes, line):
    """Return a line's label and points; one across the whole panel ends at its borders."""
    across = line.get_transform().contains_branch_seperately(axes.transData)
    limits = axes.get_xlim(), axes.get_ylim()
    points = zip(line.get_data(), limits, across, strict=True)
    x, y = (plain_numbers(values if own else limit) for values, limit, own in points)
    label = line.get_label()  # matplotlib's own begin with a line.
    return {"label": "" if label.startswith("_") else label, "x": x, "y": y}


def _names(axis):
    """Return names along an axis of categories, with their places on it."""
    if not isinstance(axis.get_major_locator(), FixedLocator):
        return {}
    places = axis.get_ticklocs()
    names = axis.get_major_formatter().format_ticks(places)
    return dict(zip(names, plain_numbers(places), strict=True))


def plain_numbers(values):
    """Return values as JSON has them, to six digits; what is not a number is null."""
    values = np.asarray(values, "float64")
    if values.ndim:
        return [plain_numbers(value) for value in values]
    return float(f"{values:.6g}") if np.isfinite(values) else None
