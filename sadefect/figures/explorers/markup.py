"""Explorers as HTML, by templates: what ``book/_static/explorers.js`` finds in a built page."""

import base64
from io import BytesIO

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from sadefect.detector.overlay import overlay
from sadefect.figures.style import INK, Figure

QUALITY = 75  # Of pictures; maps are exact.


def base64_of(content):
    """Return bytes as text."""
    return base64.b64encode(content).decode()


def uri(content):
    """Return a WebP file as an address that carries it."""
    return f"data:image/webp;base64,{base64_of(content)}"


def webp(picture):
    """Return gray values in [0, 1], a PIL image or a figure as a WebP file."""
    if isinstance(picture, Figure):
        picture = Image.open(BytesIO(picture._repr_png_())).convert("RGB")
    elif not isinstance(picture, Image.Image):
        picture = overlay(picture)
    with BytesIO() as file:
        picture.save(file, format="webp", quality=QUALITY, method=4)
        return file.getvalue()


# They escape text; pictures are WebP files.
TEMPLATES = Environment(
    loader=PackageLoader("sadefect.figures.explorers"),
    autoescape=True,
    trim_blocks=True,
    undefined=StrictUndefined,
)
TEMPLATES.globals["ink"] = INK
TEMPLATES.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
TEMPLATES.filters |= {"uri": uri, "size": lambda content: Image.open(BytesIO(content)).size}
