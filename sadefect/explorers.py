"""Pictures that a reader moves with a slider, in a built page and in a live kernel.

In a built page an explorer is HTML with all of its data inside, which ``book/_static/explorers.js``
moves: no server, no request. Every number that it shows was computed here; the browser only paints.
Without scripts what is left is a plain picture at its first position. In a live kernel the same
pictures and numbers are behind a widget. Needs the extra ``sadefect[book]``.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from io import BytesIO
from types import MappingProxyType
from typing import NamedTuple

import matplotlib
import numpy as np
from scipy import ndimage

from .explorer_markup import base64_of, figure_tag, image_tag, roc_tag, uri
from .figure_data import MEDIA_TYPE, numbers, picture_data
from .plots import COLOURS, Panel, show_panels
from .provenance import BUILDING

SHARES = np.unique(np.concatenate([np.geomspace(5e-4, 1, 90), np.linspace(0.02, 0.98, 49)]))
PAINT = 0.85  # Opacity of found pixels.
QUALITY = 75  # Of pictures; maps are exact.


class Step(NamedTuple):
    """One position of a slider: what it is called, the picture, and what is to be read from it.

    ``numbers`` are those of the text by their names, for who takes the data.
    """

    value: str
    picture: bytes
    text: str
    numbers: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True)
class Explorer:
    """A picture behind a slider.

    Parameters
    ----------
    html : str
        For a built page.
    label : str
        Of the slider.
    frames : callable
        Takes a position and a choice, returns a `Step`.
    positions, start : int
        How many there are, and the one shown first.
    choices : sequence of str
        Of which one is looked at, as methods; may be empty.
    data : dict
        The numbers behind it, as plain JSON, which its page offers to readers.
    """

    html: str
    label: str
    frames: Callable[[int, str], Step]
    positions: int
    start: int
    choices: Sequence[str] = ()
    data: dict = field(default_factory=dict)

    def _repr_html_(self):
        return self.html

    def _repr_mimebundle_(self, include=None, exclude=None):
        """The data beside the HTML, where the book is built; the build makes a file of them."""
        return {MEDIA_TYPE: self.data} if os.environ.get(BUILDING) else {}

    def widget(self):
        """The same for a live kernel."""
        import ipywidgets

        slider = ipywidgets.IntSlider(self.start, 0, self.positions - 1, readout=False)
        slider.description = self.label
        slider.style.description_width = "initial"
        choice = ipywidgets.ToggleButtons(options=self.choices or ("",), value=self._first)
        picture, text = ipywidgets.Image(format="webp", width=480), ipywidgets.Label()

        def move(_=None):
            step = self.frames(slider.value, choice.value)
            picture.value, text.value = step.picture, f"{step.value}: {step.text}"

        for control in (slider, choice):
            control.observe(move, "value")
        move()
        shown = [slider, *([choice] if self.choices else []), text, picture]
        return ipywidgets.VBox(shown)

    @property
    def _first(self):
        return self.choices[-1] if self.choices else ""


def live():
    """Whether somebody sits at a notebook, so that a widget has a kernel to ask.

    Examples
    --------
    >>> live()
    False
    """
    from IPython import get_ipython

    return not os.environ.get(BUILDING) and hasattr(get_ipython(), "kernel")


def shown(explorer):
    """An explorer as a cell ends with it: a widget in a live kernel, else HTML."""
    return explorer.widget() if live() else explorer


def steps(name, label, found, *, alt, caption, start=0):
    """A slider through pictures.

    Parameters
    ----------
    name : str
        Of this explorer, unique on its page.
    label : str
        Of the slider.
    found : sequence of Step
    alt, caption : str
        What is to be seen, at any position; and the text below.
    start : int
        The position shown first.

    Returns
    -------
    Explorer, or a widget in a live kernel
    """
    check_steps(found, start)
    data = {
        "kind": "steps",
        "values": [step.value for step in found],
        "texts": [step.text for step in found],
        "pictures": [uri(step.picture) for step in found],
    }
    html = figure_tag(name, label, data, start, image_tag(found[start].picture, alt), caption)
    offered = {
        "explorer": name,
        "caption": caption,
        "positions": [{label: step.value, **step.numbers} for step in found],
    }
    return shown(Explorer(html, label, lambda at, _: found[at], len(found), start, data=offered))


def check_steps(found, start):
    """Raises ValueError where a slider would have nothing to move."""
    if len(found) < 2 or not 0 <= start < len(found):
        raise ValueError(
            f"expected at least two steps, and a start among them; got {len(found)} and start "
            f"{start}; show a plain figure where there is one picture only"
        )


def comparison(name, before, after, *, names, alt, caption, text=""):
    """Two pictures of one size in the same place, with a slider that moves the seam.

    Parameters
    ----------
    name : str
        Of this explorer, unique on its page.
    before, after : arrays (H, W)
        Gray values in [0, 1].
    names : pair of str
        What they are.
    alt, caption : str
        What is to be seen; and the text below.
    text : str
        What is to be read from the pair, beside the position.

    Returns
    -------
    Explorer, or a widget in a live kernel
    """
    if np.shape(before) != np.shape(after):
        raise ValueError(
            f"expected two pictures of one shape; got {np.shape(before)} and {np.shape(after)}; "
            "cut both to the same window"
        )
    seams = np.linspace(0, 1, 41)
    width = np.shape(before)[1]

    def frame(at, _=""):
        left = round(width * float(seams[at]))
        joined = np.concatenate([before[:, :left], after[:, left:]], axis=1)
        share = f"{names[0]} {100 * seams[at]:.0f} %, {names[1]} {100 * (1 - seams[at]):.0f} %"
        return Step(share, picture(joined), text)

    start = len(seams) // 2
    found = [frame(at) for at in (0, start, len(seams) - 1)]
    data = {
        "kind": "comparison",
        "seams": seams.tolist(),
        "values": [
            f"{names[0]} {100 * seam:.0f} %, {names[1]} {100 * (1 - seam):.0f} %" for seam in seams
        ],
        "texts": [text] * len(seams),
        "after": uri(found[0].picture),
        "before": uri(found[2].picture),
    }
    label = f"Seam: {names[0]} to its left, {names[1]} to its right"
    html = figure_tag(name, label, data, start, image_tag(found[1].picture, alt), caption)
    pair = zip((before, after), names, strict=True)
    offered = {
        "explorer": name,
        "caption": caption,
        "panels": [picture_data(Panel(np.asarray(one), title)) for one, title in pair],
    }
    return shown(Explorer(html, label, frame, len(seams), start, data=offered))


class Levels(NamedTuple):
    """A residual map cut at rising thresholds.

    ``levels`` is uint8 ``(H, W)``, how many thresholds a pixel exceeds, so that it exceeds
    ``thresholds[i]`` where ``levels > i``; ``fpr`` and ``tpr`` are the shares of defect-free and of
    defective pixels that do.
    """

    levels: np.ndarray
    thresholds: np.ndarray
    fpr: np.ndarray
    tpr: np.ndarray

    @classmethod
    def of(cls, mask, residual, also):
        """Thresholds for many shares of defect-free pixels, and one more that was chosen before.

        Examples
        --------
        >>> residual = np.array([[0.0, 0.1, 0.2, 0.9]], "float32")
        >>> cut = Levels.of(np.array([[False, False, False, True]]), residual, 0.5)
        >>> at = cut.thresholds.tolist().index(0.5)
        >>> float(cut.fpr[at]), float(cut.tpr[at])
        (0.0, 1.0)
        """
        free = np.quantile(residual[~mask], 1 - SHARES, method="higher")
        # Below the smallest value everything is flagged, and at the largest nothing is.
        ends = [np.nextafter(residual.min(), np.float32(-1)), residual.max()]
        thresholds = np.unique(np.float32([*free, *ends, also]))
        levels = np.searchsorted(thresholds, residual, side="left").astype("uint8")
        flagged = [levels > at for at in range(len(thresholds))]
        return cls(
            levels,
            thresholds,
            np.array([one[~mask].mean() for one in flagged]),
            np.array([one[mask].mean() for one in flagged]),
        )

    def data(self, unit):
        """As plain JSON: thresholds with their rates, and how many of them each pixel exceeds."""
        return {
            "unit": unit,
            "thresholds": numbers(self.thresholds),
            "false_positive_rate": numbers(self.fpr),
            "true_positive_rate": numbers(self.tpr),
            "thresholds_exceeded": self.levels.tolist(),
        }


def threshold(name, image, mask, maps, *, starts, unit, caption, alt):
    """Segmentations of an image by a threshold that a slider moves, beside their ROC curves.

    Parameters
    ----------
    name : str
        Of this explorer, unique on its page.
    image : array (H, W)
        Gray values in [0, 1].
    mask : bool array (H, W)
        True defects; some pixels have to be defective and some not.
    maps : dict
        Names of methods to residual maps, float32 (H, W); the last one is shown first. Colours are
        those of ``unit``.
    starts : dict
        Names of methods to the threshold shown first.
    unit : dict
        Names of methods to a pair: what the map measures, and the key of the method's colour.
    caption, alt : str
        The text below; and what is to be seen.

    Returns
    -------
    Explorer, or a widget in a live kernel
    """
    if mask.all() or not mask.any():
        raise ValueError(
            "expected a mask with defective and defect-free pixels; got only one kind; show "
            "another image, or more of it"
        )
    cut = {method: Levels.of(mask, residual, starts[method]) for method, residual in maps.items()}
    first = list(maps)[-1]
    # One slider for all methods: positions of the shorter ones are repeated at the end.
    positions = max(len(one.thresholds) for one in cut.values())
    at = {
        method: np.minimum(np.arange(positions), len(one.thresholds) - 1)
        for method, one in cut.items()
    }
    texts = {
        method: [
            f"{100 * one.tpr[i]:.1f} % of defective pixels found, "
            f"{100 * one.fpr[i]:.1f} % of the others flagged"
            for i in at[method]
        ]
        for method, one in cut.items()
    }
    values = {
        method: [f"{unit[method][0]} above {one.thresholds[i]:.3g}" for i in at[method]]
        for method, one in cut.items()
    }
    start = {
        method: int(np.flatnonzero(one.thresholds == np.float32(starts[method]))[0])
        for method, one in cut.items()
    }

    def frame(position, method):
        i = at[method][position]
        found = cut[method].levels > i
        return Step(values[method][position], painted(image, mask, found), texts[method][position])

    data = {
        "kind": "threshold",
        "shape": list(np.shape(image)),
        "image": uri(picture(image)),
        "mask": base64_of(np.packbits(mask).tobytes()),
        "methods": {
            method: {
                "levels": base64_of(one.levels.tobytes()),
                "start": start[method],
                "fpr": one.fpr[at[method]].round(5).tolist(),
                "tpr": one.tpr[at[method]].round(5).tolist(),
                "values": values[method],
                "texts": texts[method],
            }
            for method, one in cut.items()
        },
        "first": first,
        "paint": PAINT,
        "colours": {key: COLOURS[key] for key in ("truth", "hit", "false_alarm")},
    }
    curves = {method: (one.fpr, one.tpr, COLOURS[unit[method][1]]) for method, one in cut.items()}
    here = frame(start[first], first)
    choice = "".join(
        f'<label><input type="radio" name="{name}-method" value="{escape(method)}"'
        f"{' checked' if method == first else ''}> {escape(method)}</label>"
        for method in maps
    )
    pair = image_tag(here.picture, alt) + roc_tag(name, curves, first)
    html = figure_tag(
        name, "Threshold", data | {"positions": positions}, start[first],
        f'<div class="explorer-pair">{pair}</div>',
        caption,
        f'<fieldset class="explorer-choice"><legend>Method</legend>{choice}</fieldset>',
        here,
    )  # fmt: skip
    offered = {
        "explorer": name,
        "caption": caption,
        "panels": [picture_data(Panel(np.asarray(image), "image", outline=mask))],
        "methods": {method: one.data(unit[method][0]) for method, one in cut.items()},
    }
    return shown(
        Explorer(html, "Threshold", frame, positions, start[first], tuple(maps), data=offered)
    )


def segmentations(name, seen, fpr, *, side=0, alt, caption):
    """`threshold` of one image as several methods see it.

    Parameters
    ----------
    name : str
        Of this explorer, unique on its page.
    seen : dict
        Names of methods to `sadefect.inspection.Inspection` of one image that may be shown.
    fpr : float
        False positive rate on defect-free images that the thresholds shown first are for.
    side : int
        Of the square shown, in pixels; 0 shows all.
    alt, caption : str
        As of `threshold`.

    Returns
    -------
    Explorer, or a widget in a live kernel
    """
    from .inspection import UNITS

    one = next(iter(seen.values()))
    here = one.window(side)
    experiments = {method: each.result.experiment for method, each in seen.items()}
    return threshold(
        name,
        one.image[here],
        one.mask[here],
        {method: each.residual[here] for method, each in seen.items()},
        starts={
            method: each.result.metrics["thresholds"][f"{fpr:g}"] for method, each in seen.items()
        },
        unit={method: (UNITS[each.residual], each.method) for method, each in experiments.items()},
        alt=alt,
        caption=caption,
    )


def _rgb(key):
    return np.array(matplotlib.colors.to_rgb(COLOURS[key]))


def painted(image, mask, found):
    """A gray image with the outline of true defects and with found pixels in their two colours."""
    rgb = np.repeat(np.clip(image, 0, 1)[..., None], 3, axis=-1)
    for key, where in (("hit", mask), ("false_alarm", ~mask)):
        here = found & where
        rgb[here] = (1 - PAINT) * rgb[here] + PAINT * _rgb(key)
    rgb[ndimage.binary_dilation(mask) & ~mask] = _rgb("truth")
    return picture(rgb)


def picture(array):
    """Gray values or colours in [0, 1] as a WebP file, or a `sadefect.plots.Figure` as one."""
    from PIL import Image

    if hasattr(array, "_repr_png_"):
        opened = Image.open(BytesIO(array._repr_png_())).convert("RGB")
    else:
        opened = Image.fromarray(np.round(255 * np.clip(array, 0, 1)).astype("uint8"))
    with BytesIO() as file:
        opened.save(file, format="webp", quality=QUALITY, method=4)
        return file.getvalue()


def panels(*row, width=6.0):
    """Panels in one row, as the picture of a `Step`."""
    return picture(show_panels([[Panel(*one) if isinstance(one, tuple) else one for one in row]],
                               width=width))  # fmt: skip


def still(figure, *, alt, caption):
    """A figure as HTML with the picture inside, for a page other than the one that drew it."""
    from IPython.display import HTML

    return HTML(
        f'<figure class="explorer">{image_tag(picture(figure), alt)}'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
