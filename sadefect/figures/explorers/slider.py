"""Pictures that a reader moves with a slider, in a built page and in a live kernel.

In a built page an explorer is HTML with all of its data inside, which ``book/_static/explorers.js``
moves: no server, no request. Every number that it shows was computed here; the browser only paints.
Without scripts what is left is a plain picture at its first position. In a live kernel the same
pictures and numbers are behind a widget. `threshold` has the one with ROC curves.
Needs the extra ``sadefect[book]``.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from sadefect.detector.overlay import COLOURS
from sadefect.figures.data import MEDIA_TYPE, picture_data
from sadefect.figures.explorers.markup import render, uri, webp
from sadefect.figures.panels import Panel, show_panels
from sadefect.provenance import BUILDING

STEP_WIDTH = 6.0  # Inches of a step's panels.


class Step(NamedTuple):
    """One position of a slider: what it is called, the picture, and what is to be read from it."""

    value: str
    picture: bytes
    text: str


@dataclass(frozen=True, kw_only=True)
class Explorer:
    """A picture behind a slider.

    Parameters
    ----------
    name : str
        Unique on its page.
    label : str
        Of the slider.
    frames : callable
        Takes a position and a choice, returns a `Step`.
    positions, start : int
        How many there are, and the one shown first.
    choices : sequence of str
        Of which one is looked at, as methods; may be empty. The last one is shown first.
    data : dict
        What the script needs, as JSON; ``kind`` says which of its functions moves the picture.
    offered : dict
        The numbers behind it, as plain JSON, which its page offers to readers.
    alt, caption : str
        What is to be seen, at any position; and the text below.
    template : str
        Of `sadefect.figures.explorers.markup`.
    values : dict
        That the template needs besides these.
    """

    name: str
    label: str
    frames: Callable[[int, str], Step]
    positions: int
    start: int
    choices: Sequence[str] = ()
    data: dict
    offered: dict
    alt: str
    caption: str
    template: str = "explorer.html"
    values: dict = field(default_factory=dict)

    @property
    def html(self):
        """For a built page."""
        first = self.frames(self.start, self.choices[-1] if self.choices else "")
        return render(self.template, **vars(self) | self.values, step=first)

    def _repr_html_(self):
        return self.html

    def _repr_mimebundle_(self, include=None, exclude=None):
        """The data beside the HTML, where the book is built; the build makes a file of them."""
        offered = {"explorer": self.name, "caption": self.caption} | self.offered
        return {MEDIA_TYPE: offered} if os.environ.get(BUILDING) else {}

    def widget(self):
        """Return the same for a live kernel."""
        import ipywidgets

        slider = ipywidgets.IntSlider(self.start, 0, self.positions - 1, readout=False)
        slider.description = self.label
        slider.style.description_width = "initial"
        choices = self.choices or ("",)
        choice = ipywidgets.ToggleButtons(options=choices, value=choices[-1])
        picture, text = ipywidgets.Image(format="webp", width=480), ipywidgets.Label()

        def move(_=None):
            step = self.frames(slider.value, choice.value)
            picture.value, text.value = step.picture, f"{step.value}: {step.text}"

        for control in (slider, choice):
            control.observe(move, "value")
        move()
        return ipywidgets.VBox([slider, *([choice] if self.choices else []), text, picture])


def live():
    """Say whether somebody sits at a notebook, so that a widget has a kernel to ask.

    Examples
    --------
    >>> live()
    False
    """
    from IPython import get_ipython

    return not os.environ.get(BUILDING) and hasattr(get_ipython(), "kernel")


def shown(explorer):
    """Return an explorer as a cell ends with it: a widget in a live kernel, else HTML."""
    return explorer.widget() if live() else explorer


def steps(name, label, rows, *, start=0, **words):
    """Show rows of panels, one at a time, by a slider that moves through them.

    Parameters
    ----------
    name : str
        Of this explorer, unique on its page.
    label : str
        Of the slider.
    rows : dict
        What a position is called to its panels, a sequence of `sadefect.figures.panels.Panel`, and
        the numbers to be read from it, a dict of what a number is called to the number.
    start : int
        The position shown first.
    **words
        ``alt`` and ``caption``: what is to be seen, at any position; and the text below.

    Returns
    -------
    Explorer, or a widget in a live kernel
    """
    if len(rows) < 2 or not 0 <= start < len(rows):
        raise ValueError(
            f"expected at least two steps, and a start among them; got {len(rows)} and start "
            f"{start}; show a plain figure where there is one picture only"
        )
    moved = [
        Step(
            value,
            webp(show_panels([panels], width=STEP_WIDTH)),
            ", ".join(f"{called} {number:.3f}" for called, number in numbers.items()),
        )
        for value, (panels, numbers) in rows.items()
    ]
    data = {
        "kind": "steps",
        "values": [step.value for step in moved],
        "texts": [step.text for step in moved],
        "pictures": [uri(step.picture) for step in moved],
    }
    offered = [{label: value, **numbers} for value, (_, numbers) in rows.items()]
    return shown(
        Explorer(
            name=name, label=label, frames=lambda at, _: moved[at], positions=len(moved),
            start=start, data=data, offered={"positions": offered}, **words,
        )
    )  # fmt: skip


def comparison(name, before, after, *, names, **words):
    """Show two pictures of one size in the same place, with a slider that moves the seam.

    Parameters
    ----------
    name : str
        Of this explorer, unique on its page.
    before, after : arrays (H, W)
        Gray values in [0, 1].
    names : pair of str
        What they are.
    **words
        ``alt`` and ``caption``, as of `steps`.

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
    shares = [
        f"{names[0]} {100 * seam:.0f} %, {names[1]} {100 * (1 - seam):.0f} %" for seam in seams
    ]

    def frame(at, _=""):
        left = round(np.shape(before)[1] * float(seams[at]))
        joined = np.concatenate([before[:, :left], after[:, left:]], axis=1)
        return Step(shares[at], webp(joined), "")

    data = {
        "kind": "comparison",
        "seams": seams.tolist(),
        "values": shares,
        "texts": [""] * len(seams),
        "colour": COLOURS["truth"],
        "after": uri(webp(after)),
        "before": uri(webp(before)),
    }
    pair = zip((before, after), names, strict=True)
    offered = [picture_data(Panel(np.asarray(image), title)) for image, title in pair]
    label = f"Seam: {names[0]} to its left, {names[1]} to its right"
    return shown(
        Explorer(
            name=name, label=label, frames=frame, positions=len(seams), start=len(seams) // 2,
            data=data, offered={"panels": offered}, **words,
        )
    )  # fmt: skip


def still(figure, *, alt, caption):
    """Return a figure as HTML with the picture inside, for a page other than the one it is from."""
    from IPython.display import HTML

    return HTML(render("still.html", picture=webp(figure), alt=alt, caption=caption))
