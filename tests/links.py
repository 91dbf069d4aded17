"""Links of a built book."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup


def broken_links(html: Path) -> tuple[list[str], int]:
    """Files, places within pages, and addresses elsewhere, which have to be encrypted ones.

    Returns those that lead nowhere, and how many were looked at.
    """
    pages = {
        path: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for path in html.rglob("*.html")
        if "_static" not in path.parts
    }
    places = {
        path: {tag.get("id") or tag.get("name") for tag in page.find_all(True)}
        for path, page in pages.items()
    }
    broken, checked = [], 0
    for path, page in pages.items():
        for tag in page.find_all(["a", "img", "link", "script", "source"]):
            target = tag.get("href") or tag.get("src")
            if not target or target.startswith("data:"):
                continue
            checked += 1
            there = urlsplit(target)
            if there.scheme or there.netloc:
                good = there.scheme == "https" and there.netloc
            else:
                file = (path.parent / unquote(there.path)).resolve() if there.path else path
                good = file.is_file() and html in file.parents
                if good and there.fragment and file in places:
                    good = unquote(there.fragment) in places[file]
            if not good:
                broken.append(f"{path.relative_to(html)}: {target}")
    return broken, checked
