"""Sphinx extension: what a page of the book has beyond what Jupyter Book gives it.

No request leaves a page, from a disk or from a server: MathJax lies beside the pages, with its
licence. Images say how large they are and are loaded when they come into view. Needs the extra
``sadefect[book]``.
"""

import re
import shutil
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote

import imagesize

# What formulas need of MathJax, and its licence: the rest is for other input and output.
MATHJAX = (
    "LICENSE",
    "es5/tex-chtml.js",
    "es5/input/tex/extensions",
    "es5/output/chtml/fonts/woff-v2",
)
_ICONS = re.compile(r'<script [^>]*\bsrc="[^"]*scripts/fontawesome\.js[^"]*"></script>\s*')
_IMAGE = re.compile(r'<img\b(?P<rest>[^>]*?\bsrc="(?P<source>[^"]+)"[^>]*?)\s*/?>')


def copy_mathjax(app, error):
    """Put MathJax beside the pages."""
    if error or app.builder.format != "html":
        return
    package = metadata.distribution("django-static-mathjax")
    for name in MATHJAX:
        source = Path(package.locate_file(f"mathjax/static/mathjax/{name}"))
        target = Path(app.outdir) / "_static" / "mathjax" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)


def remove_unused(app, error):
    """Leave out what no reader's browser needs, above all a copy of the theme's icons in 1.5 MB.

    The theme has its icons as fonts too; maps are for who works on it.
    """
    if error or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    for file in [*static.rglob("*.map"), *static.rglob("*.ttf"), static / "scripts/fontawesome.js"]:
        file.unlink(missing_ok=True)
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(_ICONS.sub("", text), encoding="utf-8")


def complete_page(app, pagename, templatename, context, doctree):
    """Images come when they are in view, into room that was kept for them; MathJax for formulas."""
    if not doctree:
        return
    when = "" if app.builder.name == "singlehtml" else ' loading="lazy" decoding="async"'
    files = {name: Path(app.srcdir) / source for source, name in app.builder.images.items()}

    def complete(match):
        tag = match.group("rest")
        file = files.get(unquote(match.group("source").rpartition("/")[2]))
        if file and "width" not in tag:
            width, height = imagesize.get(file)
            if width > 0:
                tag += f' width="{width}" height="{height}"'
        return f"<img{when}{tag}>"

    # docutils calls a bibliography a list, and its entries what a list may not have.
    body = context["body"].replace('<div role="list" class="citation-list">', "<div>")
    context["body"] = _IMAGE.sub(complete, body)
    if 'class="math' not in body and 'class="amsmath' not in body:
        context["script_files"] = [
            script for script in context["script_files"] if "mathjax" not in str(script)
        ]


def setup(app):
    app.connect("html-page-context", complete_page, priority=900)  # After all others.
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", remove_unused)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
