"""Pictures that a reader moves with a slider, in a built page and in a live kernel.

In a built page an explorer is HTML with all of its data inside, which ``book/_static/explorers.js``
moves: no server, no request. Every number that it shows was computed here; the browser only paints.
Without scripts what is left is a plain picture at its first position. In a live kernel the same
pictures and numbers are behind a widget. `threshold` has the one with ROC curves.
Needs the extra ``sadefect[book]``.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from io import BytesIO
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from PIL import Image

from sadefect.detector.overlay import COLOURS, overlay
from sadefect.figures.data import MEDIA_TYPE, picture_data
from sadefect.figures.explorers.markup import figure_tag, image_tag, uri
from sadefect.figures.panels import Figure, Panel, show_panels
from sadefect.provenance import BUILDING

QUALITY = 75  # Of pictures; maps are exact.
STEP_WIDTH = 6.0  # Inches of a step's panels.


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


def step(value, row, numbers):
    """A `Step` that shows panels in a row and reads out numbers.

    Parameters
    ----------
    value : str
        What the position is called.
    row : sequence of `sadefect.figures.panels.Panel`
    numbers : dict
        What a number is called, to the number.

    Returns
    -------
    Step

    Examples
    --------
    >>> step("K = 3", [Panel(np.eye(8), "map")], {"AUROC": 0.75, "AUPRO": 0.5}).text
    'AUROC 0.750, AUPRO 0.500'
    """
    text = ", ".join(f"{name} {number:.3f}" for name, number in numbers.items())
    return Step(value, picture(show_panels([row], width=STEP_WIDTH)), text, numbers)


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
        "colour": COLOURS["truth"],
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


def picture(shown):
    """Return gray values in [0, 1], a PIL image or a figure as a WebP file."""
    if isinstance(shown, Figure):
        shown = Image.open(BytesIO(shown._repr_png_())).convert("RGB")
    elif not isinstance(shown, Image.Image):
        shown = overlay(shown)
    with BytesIO() as file:
        shown.save(file, format="webp", quality=QUALITY, method=4)
        return file.getvalue()


def still(figure, *, alt, caption):
    """A figure as HTML with the picture inside, for a page other than the one that drew it."""
    from IPython.display import HTML

    return HTML(
        f'<figure class="explorer">{image_tag(picture(figure), alt)}'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
