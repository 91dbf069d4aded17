"""Compare the numbers of two built books, page by page; for changes that must not change any.

    python tests/compare_books.py BEFORE/html AFTER/html

Prints each page whose numbers differ, with the words around them. The foot of a page and its
provenance (commit, time, seconds, machine) differ between any two builds, and are left out.
"""

import difflib
import re
import sys
from pathlib import Path

from bs4 import BeautifulSoup

NUMBER = re.compile(r"(?<![\w.])[-+−]?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")
LEFT_OUT = ("Where this comes from", "What made this", "What it costs", "Run it yourself")
WORDS = 4  # Shown on either side of a number that differs.


def tokens(page):
    """The words of a page's own text that can be compared, numbers among them."""
    article = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").select_one(
        "article, .bd-article, main"
    )
    if article is None:
        return []
    for section in article.select("section"):
        heading = section.find(["h1", "h2", "h3"], recursive=False)
        if heading and heading.get_text().startswith(LEFT_OUT):
            section.decompose()
    for part in article.select("script, style, .cell_input, details"):
        part.decompose()
    for part in article.select("p"):
        if part.get_text().strip().startswith(LEFT_OUT):
            part.decompose()
    return article.get_text(" ").split()


def numbers(page):
    """Each number with the words around it, in the order of the page."""
    words = tokens(page)
    return [
        (number.group(), " ".join(words[max(0, place - WORDS) : place + WORDS + 1]))
        for place, word in enumerate(words)
        for number in NUMBER.finditer(word)
    ]


def differences(before, after):
    """Lines that say which numbers of a page differ."""
    old, new = numbers(before), numbers(after)
    matcher = difflib.SequenceMatcher(a=[n for n, _ in old], b=[n for n, _ in new], autojunk=False)
    return [
        f"{kind}: {[text for _, text in old[a:b]]} -> {[text for _, text in new[c:d]]}"
        for kind, a, b, c, d in matcher.get_opcodes()
        if kind != "equal"
    ], len(new)


def main(before, after):
    """Print all differences; returns how many pages have some."""
    before, after = Path(before), Path(after)
    names = [
        {str(path.relative_to(folder)) for path in folder.rglob("*.html")}
        for folder in (before, after)
    ]
    differing, compared = 0, 0
    for name in sorted(names[0] ^ names[1]):
        print(f"{name}: only in one of the two")
    for name in sorted(names[0] & names[1]):
        found, count = differences(before / name, after / name)
        compared += count
        differing += bool(found)
        for line in found:
            print(f"{name}: {line}")
    shared = len(names[0] & names[1])
    print(f"{shared} pages, {compared:,} numbers compared; {differing} pages differ")
    return differing


if __name__ == "__main__":
    sys.exit(bool(main(*sys.argv[1:3])))
