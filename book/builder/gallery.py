"""Makes the gallery: a thumbnail of every figure, with a link to where it stands."""

import base64
import re
from html import unescape
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from book.builder.pages import Page

PLACE = "GALLERY-OF-ALL-FIGURES"  # In book/gallery.md, where thumbnails go.
WIDTH = 360  # Pixels of a thumbnail.
FOLDER = "gallery"  # Beside the page, in the staged book.
# Of an explorer, as its template writes them.
EXPLORER = re.compile(
    r'data-explorer="(?P<name>[^"]+)".*?src="data:image/webp;base64,(?P<picture>[^"]+)" '
    r'alt="(?P<alt>[^"]*)".*?<figcaption>(?P<caption>.*?)</figcaption>',
    re.DOTALL,
)
CARD = """\
:::{{grid-item-card}}
:link: {link}
:link-type: {kind}
:img-top: {folder}/{name}.webp
:img-alt: {alt}

{text}
:::
"""


def gallery(executed: list[tuple[Page, Any]], staged: Path) -> str:
    """Write a thumbnail of each figure of executed pages; return all as cards, in MyST Markdown.

    Pages come in the order of the book's contents, their figures in that of the page.
    """
    folder = staged / FOLDER
    folder.mkdir(exist_ok=True)
    contents = (staged / "_toc.yml").read_text(encoding="utf-8")
    parts = []
    for page, notebook in sorted(executed, key=lambda pair: _place(pair[0], contents)):
        cards = [
            card
            for cell in notebook.cells
            for output in cell.get("outputs", [])
            if (card := _card(page, cell, output.get("data", {}), folder))
        ]
        if cards:
            title = page.header()["title"]
            grid = "\n".join(["::::{grid} 1 2 3 3\n:gutter: 3\n", *cards, "::::"])
            parts.append(f"## [{title}](notebooks/{page.twin.name})\n\n{grid}")
    return "\n\n".join(parts)


def _place(page: Page, contents: str) -> int:
    listed = re.search(rf"notebooks/{page.name}\b", contents)
    return listed.start() if listed else len(contents)


def _card(page: Page, cell: Any, data: dict[str, str], folder: Path) -> str:
    """Return the card of an output that is a figure, and write its thumbnail; else nothing."""
    settings = cell.metadata.get("mystnb", {})
    figure = settings.get("figure", {})
    if "image/png" in data and figure:
        name, caption, alt = figure["name"], figure["caption"], settings["image"]["alt"]
        place = {"link": name, "kind": "ref"}
        text, picture = f"{{numref}}`{name}`: {_first_sentence(caption)}", data["image/png"]
    elif explorer := EXPLORER.search(data.get("text/html", "")):
        name, picture = f"{page.name}-{explorer['name']}", explorer["picture"]
        caption, alt = unescape(explorer["caption"]), unescape(explorer["alt"])
        place = {"link": f"notebooks/{page.name}", "kind": "doc"}
        text = f"{_first_sentence(caption)} It moves."
    else:
        return ""
    with Image.open(BytesIO(base64.b64decode(picture))) as image:
        image = image.convert("RGB")
        image.thumbnail((WIDTH, WIDTH))
        image.save(folder / f"{name}.webp", "webp", quality=80)
    return CARD.format(name=name, folder=FOLDER, alt=" ".join(alt.split()), text=text, **place)


def _first_sentence(caption: str) -> str:
    text = " ".join(caption.split())
    return re.split(r"(?<=[.:]) (?=[A-Z(])", text)[0].rstrip(":") if text else ""
