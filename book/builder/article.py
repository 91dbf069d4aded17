"""Prints the replication article: the text of ``article/``, with what `article_facts` computed.

``python -m book.builder article`` makes one HTML file without links to others, and the PDF of it.
"""

import base64
import re
from functools import partial
from io import BytesIO
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import escape
from pybtex.backends.html import Backend
from pybtex.database import parse_file
from pybtex.style.formatting.unsrt import Style

from book.builder.article_facts import article_facts, citation, counted
from book.builder.pages import ROOT, repository
from book.builder.pdf import print_page
from sadefect.figures.style import WIDTH, house_style
from sadefect.figures.tables import percent, table
from sadefect.files import whole
from sadefect.provenance import commit

FOLDER = "article"
# In the order of the text.
CAPTIONS = {
    "figure": re.compile(r"\bfigure\(\"(\w+)"),
    "table": re.compile(r"begin_table\(\"(\w+)"),
}


class References:
    """Number publications in the order in which the text cites them."""

    def __init__(self, path):
        self._known = parse_file(path).entries
        self._lines = {}

    def cite(self, key):
        """Return the number of a publication of ``book/references.bib``, in brackets."""
        if key not in self._lines:
            (entry,) = Style().format_entries([self._known[key]])
            self._lines[key] = entry.text.render(Backend())
        return self._mark(key)

    def cite_text(self, text):
        """Return the number of a publication that is not in there, but written out in code."""
        self._lines.setdefault(text, str(escape(text)))
        return self._mark(text)

    def _mark(self, key):
        return f"[{list(self._lines).index(key) + 1}]"

    @property
    def lines(self):
        """The list of references, as HTML."""
        return list(self._lines.values())


def article_page(root: Path = ROOT) -> str:
    """Return the article as one HTML page, figures included.

    Raises
    ------
    jinja2.UndefinedError
        If the text asks for a value that is not computed.
    """
    folder, facts = root / FOLDER, article_facts()
    figures = facts.pop("figures")
    environment = Environment(
        loader=FileSystemLoader(folder), undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, autoescape=False,
    )  # fmt: skip
    environment.filters |= {
        "area": "{:.3f}".format,
        "signed": "{:+.3f}".format,
        "n": lambda value: f"{value:,.0f}",
        "percent": percent,
        "counted": counted,
    }
    references = References(root / "book" / "references.bib")
    source = (folder / "article.md.j2").read_text(encoding="utf-8")
    left_out = {name for name, figure in figures.items() if figure is None}
    left_out |= set() if facts["ablation_rows"] else {"ablation"}
    number = {kind: _numbers(source, kind, left_out) for kind in CAPTIONS}
    environment.globals |= facts | {
        "cite": references.cite,
        "cite_text": references.cite_text,
        "table": lambda header, rows: table(header, rows).data,
        "figure": partial(_figure, figures, number["figure"]),
        "figure_number": lambda name: f"Figure {number['figure'][name]}",
        "begin_table": partial(_begin_table, number["table"]),
        "end_table": lambda: "</div>",
        "table_number": lambda name: f"Table {number['table'][name]}",
    }
    text = environment.from_string(source).render()
    abstract = environment.get_template("abstract.md.j2").render()
    markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
    return environment.get_template("page.html.j2").render(
        title=f"{facts['prefix']} {facts['cited']['title']}",
        style=(folder / "article.css").read_text(encoding="utf-8"),
        body=markdown.render(text),
        abstract=markdown.renderInline(abstract),
        references=references.lines,
        **_about(root, facts),
    )


def _numbers(source, kind, left_out):
    """Number figures, or tables, as the text has them: those that are left out take no number."""
    names = [name for name in CAPTIONS[kind].findall(source) if name not in left_out]
    return {name: number for number, name in enumerate(names, 1)}


def _figure(figures, numbers, name, caption, alt):
    if figures[name] is None:
        return ""
    share = figures[name].get_figwidth() / WIDTH  # Letters are equally large in all figures.
    beside = "" if share > 0.75 else ' class="beside"'  # The caption, where there is room.
    return (
        f'<figure{beside}>\n<img src="{_data_uri(figures[name])}" style="width: {share:.0%}" '
        f'alt="{escape(alt)}">\n'
        f"<figcaption><b>Figure {numbers[name]}.</b> {caption}</figcaption>\n</figure>"
    )


@house_style()
def _data_uri(figure):
    """Return a figure as an address that holds it: lines as SVG, pictures as PNG."""
    kind = ("png", "image/png") if hasattr(figure, "pictures") else ("svg", "image/svg+xml")
    with BytesIO() as file:
        figure.savefig(file, format=kind[0], dpi=220, bbox_inches="tight", pad_inches=0.03)
        return f"data:{kind[1]};base64,{base64.b64encode(file.getvalue()).decode()}"


def _begin_table(numbers, name, caption, more=""):
    return (
        f'<div class="table {more}">\n'
        f'<p class="caption"><b>Table {numbers[name]}.</b> {caption}</p>'
    )


def _about(root, facts):
    """Return what stands beside the abstract, from ``CITATION.cff`` and ``_config.yml``."""
    about, cited, (url, _) = citation(root), facts["cited"], repository(root)
    names = [author["family-names"] for author in cited["authors"]]
    address = f'<a href="{url}">{url}</a>' if url else "the repository that this is in"
    return {
        "authors": [author["name"] for author in about["authors"]],
        "licence": about["license"],
        "keywords": about["keywords"],
        "original": f"{', '.join(names)}: {cited['title']}, {cited['year']}, "
        f'<a href="https://doi.org/{cited["doi"]}">doi:{cited["doi"]}</a>',
        "code": f"sadefect {about['version']}, {address}, at <code>{commit()}</code>",
        "data": f"NanoTWICE: {facts['about_data'].source}. Licence: {facts['about_data'].licence}",
    }


def write_article(root: Path = ROOT, output: Path | None = None) -> Path:
    """Write the article as HTML, and print it; return the path of the PDF.

    Raises
    ------
    BookError
        If there is no Chromium.
    """
    output = output or root / "book" / "_build"
    page, target = output / "article.html", output / "article.pdf"
    output.mkdir(parents=True, exist_ok=True)
    with whole(page) as temporary:
        temporary.write_text(article_page(root), encoding="utf-8")
    print_page(page, target)
    return target
