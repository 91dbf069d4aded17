"""Adds to the pages of the book, as a Sphinx extension, what Jupyter Book does not give them.

No request leaves a page, from a disk or from a server: MathJax lies beside the pages, with its
licence. Images say how large they are, and load at once, so that a page prints whole; each is in
the smaller of two formats. Figures are numbered by page. The bibliography names authors and years.
Needs the extra ``sadefect[book]``.
"""

import re
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote

import imagesize
from PIL import Image
from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style
from pybtex.style.labels import BaseLabelStyle

# What formulas need of MathJax, and its licence: the rest is for other input and output.
MATHJAX = (
    "LICENSE",
    "es5/tex-chtml.js",
    "es5/input/tex/extensions",
    "es5/output/chtml/fonts/woff-v2",
)
LARGE = 150_000  # Bytes of a picture without loss, from which on it is compressed with loss.
_ICONS = re.compile(r'<script [^>]*\bsrc="[^"]*scripts/fontawesome\.js[^"]*"></script>\s*')
_ITEM = re.compile(r"\b(?P<kind>fig|tab)0*(?P<number>\d+)_")  # Of the paper, in a page's name.
_IMAGE = re.compile(r'<img\b(?P<rest>[^>]*?\bsrc="(?P<source>[^"]+)"[^>]*?)\s*/?>')


def complete_site(app, error):
    """Complete a site that was built: MathJax, nothing unused, small pictures."""
    if error or app.builder.format != "html":
        return
    site = Path(app.outdir)
    copy_mathjax(site)
    remove_unused(site)
    if app.builder.name != "singlehtml":
        shrink_pictures(site)


def copy_mathjax(site):
    """Put MathJax beside the pages."""
    package = metadata.distribution("django-static-mathjax")
    for name in MATHJAX:
        source = Path(package.locate_file(f"mathjax/static/mathjax/{name}"))
        target = site / "_static" / "mathjax" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)


def remove_unused(site):
    """Remove what no reader's browser needs, above all a copy of the theme's icons in 1.5 MB.

    The theme has its icons as fonts too; maps are for who works on it.
    """
    static = site / "_static"
    for file in [*static.rglob("*.map"), *static.rglob("*.ttf"), static / "scripts/fontawesome.js"]:
        file.unlink(missing_ok=True)
    _substitute(site, _ICONS, lambda _: "")


def shrink_pictures(site):
    """Give pages their pictures as WebP where that is smaller, by a third as a rule.

    It is lossless, but for the large ones: photographs and maps, of which a page may have many.
    """

    def smaller(file):
        other, image = file.with_suffix(".webp"), Image.open(file).convert("RGB")
        image.save(other, "webp", lossless=True, quality=60)
        if other.stat().st_size > LARGE:
            image.save(other, "webp", quality=90)
        better, worse = sorted((other, file), key=lambda path: path.stat().st_size)
        worse.unlink()
        return file.name, better.name

    with ThreadPoolExecutor() as pool:
        names = dict(pool.map(smaller, (site / "_images").glob("*.png")))
    if names:
        any_name = re.compile("|".join(map(re.escape, names)))
        _substitute(site, any_name, lambda match: names[match.group()])


def _substitute(site, pattern, replacement):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(pattern.sub(replacement, text), encoding="utf-8")


class AuthorYear(BaseLabelStyle):
    """Make labels such as Carrera et al. 2017; those that would be equal get a letter."""

    def format_labels(self, entries):
        labels = [self._label(entry) for entry in entries]
        count, seen = Counter(labels), Counter()
        for label in labels:
            seen[label] += 1
            yield label + (chr(96 + seen[label]) if count[label] > 1 else "")

    @staticmethod
    def _label(entry):
        names = [" ".join(person.last_names) for person in entry.persons["author"]]
        who = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
        return f"{who} {entry.fields['year']}"


class AuthorYearStyle(Style):
    """Set the bibliography in the usual style, with these labels."""

    default_label_style = AuthorYear


register_plugin("pybtex.style.formatting", "sadefect", AuthorYearStyle)


def complete_page(app, pagename, templatename, context, doctree):
    """Keep room for images, and load MathJax for formulas only."""
    if not doctree:
        return
    files = {name: Path(app.srcdir) / source for source, name in app.builder.images.items()}

    def complete(match):
        tag = match.group("rest")
        file = files.get(unquote(match.group("source").rpartition("/")[2]))
        if file and "width" not in tag:
            width, height = imagesize.get(file)
            if width > 0:
                tag += f' width="{width}" height="{height}"'
        return f"<img{tag}>"

    # docutils calls a bibliography a list, and its entries what a list may not have.
    body = context["body"].replace('<div role="list" class="citation-list">', "<div>")
    context["body"] = _IMAGE.sub(complete, body)
    if 'class="math' not in body and 'class="amsmath' not in body:
        context["script_files"] = [
            script for script in context["script_files"] if "mathjax" not in str(script)
        ]


def number_by_page(app, env):
    """Number figures by page: 6.1 on that of figure 6, T2.1 on that of table 2, A.1 on others.

    Numbers that run through the book would set "our figure 13" on the page of figure 6.
    """
    letters = iter("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    for name, kinds in env.toc_fignumbers.items():  # In the order of the contents.
        if figures := kinds.get("figure"):
            item = _ITEM.search(name)
            label = item["kind"] + item["number"] if item else next(letters)
            label = label.removeprefix("fig").replace("tab", "T")
            kinds["figure"] = {key: (label, n) for n, key in enumerate(figures, 1)}


def setup(app):
    app.connect("env-check-consistency", number_by_page)  # Once Sphinx has numbered them.
    app.connect("html-page-context", complete_page, priority=900)  # After all others.
    app.connect("build-finished", complete_site)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
