"""Pictures that a reader moves with a slider, in a built page and in a live kernel.

In a built page an explorer is HTML with all of its data inside, which ``book/_static/explorers.js``
moves: no server, no request. Every number that it shows was computed here; the browser only paints.
Without scripts what is left is a plain picture at its first position. In a live kernel the same
pictures and numbers are behind a widget. `threshold` has the one with ROC curves.
Needs the extra ``sadefect[book]``.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sadefect.detector.overlay import COLOURS
from sadefect.figures.data import MEDIA_TYPE, picture_data
from sadefect.figures.explorers.markup import TEMPLATES, uri, webp
from sadefect.figures.panels import Panel, show_panels
from sadefect.provenance import BUILDING

STEP_WIDTH = 6.0  # Inches of a step's panels.


@dataclass(frozen=True, kw_only=True, repr=False)
class Explorer:
    """A picture behind a slider.

    The `data` are what the script needs, as JSON: ``kind`` says which of its functions moves the
    picture, and which template there may be; ``values`` and ``texts``, for each position what it is
    called and what is to be read from it, stand in it or in ``methods`` by choice.
    """

    name: str  # Unique on its page.
    label: str  # Of the slider.
    picture: Callable[[int, str], bytes]  # Makes a WebP file of a position and a choice.
    start: int  # The position shown first.
    choices: Sequence[str] = ()  # Methods, of which one is shown, the last one first.
    data: dict
    offered: dict  # The numbers behind it, as plain JSON, which its page offers to readers.
    alt: str  # What is to be seen, at any position.
    caption: str

    @property
    def html(self):
        """Return what a built page holds."""
        choice = self.choices[-1] if self.choices else ""
        values, texts = self._words(choice)
        first = {"picture": self.picture(self.start, choice), "positions": len(values)}
        first |= {"value": values[self.start], "text": texts[self.start]}
        template = TEMPLATES.select_template([f"{self.data['kind']}.html", "explorer.html"])
        return template.render(vars(self) | first)

    def __repr__(self):
        """Name it; all of its data would make a notebook large."""
        return f"Explorer({self.name!r})"

    def _repr_html_(self):
        return self.html

    def _words(self, choice):
        of_choice = self.data.get("methods", {}).get(choice, self.data)
        return of_choice["values"], of_choice["texts"]

    def _repr_mimebundle_(self, include=None, exclude=None):
        """Give the data beside the HTML where the book is built; the build makes a file of them."""
        offered = {"explorer": self.name, "caption": self.caption} | self.offered
        return {MEDIA_TYPE: offered} if os.environ.get(BUILDING) else {}

    def widget(self):
        """Return the same for a live kernel."""
        import ipywidgets

        choices = self.choices or ("",)
        choice = ipywidgets.ToggleButtons(options=choices, value=choices[-1])
        last = len(self._words(choice.value)[0]) - 1
        slider = ipywidgets.IntSlider(self.start, 0, last, readout=False, description=self.label)
        slider.style.description_width = "initial"
        picture, text = ipywidgets.Image(format="webp", width=480), ipywidgets.Label()

        def move(_=None):
            values, texts = self._words(choice.value)
            picture.value = self.picture(slider.value, choice.value)
            text.value = f"{values[slider.value]}: {texts[slider.value]}"

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


def shown(**parts):
    """Return an `Explorer` as a cell ends with it: a widget in a live kernel, else HTML."""
    explorer = Explorer(**parts)
    return explorer.widget() if live() else explorer


def steps(name, label, rows, *, start=0, **words):
    """Show rows of panels, one at a time, by a slider that moves through them.

    `rows` are a dict of what a position is called to its panels, a sequence of
    `sadefect.figures.panels.Panel`, and the numbers to be read from it, a dict of what a number is
    called to the number. The others are parameters of `Explorer`, ``alt`` and ``caption`` among
    them. Returns an `Explorer`, or a widget in a live kernel. Raises `ValueError` for less than two
    steps, or where none of them is at `start`.
    """
    if len(rows) < 2 or not 0 <= start < len(rows):
        raise ValueError(
            f"expected at least two steps, and a start among them; got {len(rows)} and start "
            f"{start}; show a plain figure where there is one picture only"
        )
    pictures = [webp(show_panels([panels], width=STEP_WIDTH)) for panels, _ in rows.values()]
    data = {
        "kind": "steps",
        "values": list(rows),
        "texts": [
            ", ".join(f"{called} {number:.3f}" for called, number in numbers.items())
            for _, numbers in rows.values()
        ],
        "pictures": [uri(picture) for picture in pictures],
    }
    offered = {"positions": [{label: value, **numbers} for value, (_, numbers) in rows.items()]}
    parts = {"picture": lambda at, _: pictures[at], "data": data, "offered": offered}
    return shown(name=name, label=label, start=start, **parts, **words)


def comparison(name, before, after, *, names, **words):
    """Show two pictures of one size in the same place, with a slider that moves the seam.

    `before` and `after`, called `names`, are gray values in [0, 1], ``(H, W)``. The others are
    parameters of `Explorer`, ``alt`` and ``caption`` among them. Returns an `Explorer`, or a widget
    in a live kernel. Raises `ValueError` where the shapes differ.
    """
    if np.shape(before) != np.shape(after):
        raise ValueError(
            f"expected two pictures of one shape; got {np.shape(before)} and {np.shape(after)}; "
            "cut both to the same window"
        )
    seams = np.linspace(0, 1, 41)

    def joined(at, _):
        left = round(np.shape(before)[1] * float(seams[at]))
        return webp(np.concatenate([before[:, :left], after[:, left:]], axis=1))

    data = {
        "kind": "comparison",
        "seams": seams.tolist(),
        "values": [
            f"{names[0]} {100 * seam:.0f} %, {names[1]} {100 * (1 - seam):.0f} %" for seam in seams
        ],
        "texts": [""] * len(seams),
        "colour": COLOURS["truth"],
        "after": uri(webp(after)),
        "before": uri(webp(before)),
    }
    pair = zip((before, after), names, strict=True)
    offered = {"panels": [picture_data(Panel(np.asarray(image), title)) for image, title in pair]}
    label = f"Seam: {names[0]} to its left, {names[1]} to its right"
    parts = {"picture": joined, "data": data, "offered": offered}
    return shown(name=name, label=label, start=len(seams) // 2, **parts, **words)


def still(figure, *, alt, caption):
    """Return a figure as HTML with the picture inside, for a page other than the one it is from."""
    from IPython.display import HTML

    template = TEMPLATES.get_template("still.html")
    return HTML(template.render(picture=webp(figure), alt=alt, caption=caption))
