"""Reads notebook scripts and makes their twins.

A page of the book is a script ``notebooks/NAME.py`` in jupytext's percent format: a header, a cell
of declared parameters, a few calls, a figure. Its twin is the same as an output-free notebook, for
papermill, Colab and Binder.
"""

import ast
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import papermill
import yaml

from sadefect.files import whole

ROOT = Path(__file__).resolve().parents[2]
PROFILES = ("smoke", "quick", "paper")
HEADER_FIELDS = ("The paper shows", "Minutes")
# A figure's name, caption and alternative text, as YAML where its cell opens.
CAPTION = re.compile(r"(?:# \|.*\n)+")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

# What a twin runs first. On Binder and in a clone the module lies beside the notebooks; on Colab it
# is fetched, together with the recorded results, which an installed package does not have.
INSTALL = """\
# Run by itself, this notebook installs sadefect from the repository that it is in.
import importlib.util, pathlib, sys

if importlib.util.find_spec("sadefect") is None:
    clone = pathlib.Path.cwd().resolve().parent
    if not (clone / "sadefect").is_dir():
        {fetch}
    %pip install --quiet --editable "{{clone}}[book]"
    sys.path.insert(0, str(clone))"""
FETCH = """\
clone = pathlib.Path("sadefect-clone").resolve()
        !git clone --quiet --depth 1 --branch {branch} {url} "{{clone}}\""""
NO_FETCH = 'raise ModuleNotFoundError("sadefect: open this notebook in a clone of its repository")'


class BookError(RuntimeError):
    """The book cannot be built; the message says where, why and what to do."""


def choices(name: str, known: Iterable[str]) -> str:
    """Say which of the known names an unknown one may stand for, and list them all."""
    known = list(known)
    nearest = "".join(f"did you mean {close}? " for close in get_close_matches(name, known, n=1))
    return f"{nearest}there are {', '.join(known)}"


@dataclass(frozen=True)
class Page:
    """A notebook script, the source of one page of the book."""

    script: Path  # ``notebooks/NAME.py``.

    @property
    def name(self) -> str:
        return self.script.stem

    @property
    def twin(self) -> Path:
        """Return the path of the committed output-free notebook beside the script."""
        return self.script.with_suffix(".ipynb")

    def notebook(self) -> nbformat.NotebookNode:
        """Read the script as a notebook, always the same: no outputs, cell ids from positions."""
        notebook = jupytext.read(self.script, fmt="py:percent")
        for position, cell in enumerate(notebook.cells):
            cell["id"] = f"cell-{position:02d}"  # jupytext's own are random.
            kept = {key: cell.metadata[key] for key in ("mystnb", "tags") if key in cell.metadata}
            if about := cell.cell_type == "code" and CAPTION.match(cell.source):
                cell["source"] = cell.source[about.end() :]
                kept["mystnb"] = _figure(yaml.safe_load(about.group().replace("# | ", "")))
            cell["metadata"] = nbformat.from_dict(kept)
        notebook["metadata"] = nbformat.from_dict(METADATA)
        notebook["nbformat"], notebook["nbformat_minor"] = 4, 5
        nbformat.validate(notebook)
        return notebook

    def twin_notebook(self) -> nbformat.NotebookNode:
        """Return it with a cell after the header that installs `sadefect` where it is missing."""
        notebook = self.notebook()
        url, branch = repository(self.script.parents[1])
        fetch = FETCH.format(url=url, branch=branch) if url else NO_FETCH
        install = nbformat.v4.new_code_cell(INSTALL.format(fetch=fetch), id="install")
        notebook.cells.insert(1, install)
        return notebook

    def header(self) -> dict[str, str]:
        """Return title and description of the first cell, and the fields, wherever they stand.

        Raises `BookError` if one of them is missing.
        """
        cells = self.notebook().cells
        prose = [cell.source if cell.cell_type == "markdown" else "" for cell in cells]
        fields = re.compile(r"^- \*\*(.+?)\*\*: (.+(?:\n  .+)*)$", re.MULTILINE)
        header = dict(fields.findall("\n".join(prose)))
        title, _, rest = next(iter(prose), "").partition("\n")
        header["title"] = title.removeprefix("# ") if title.startswith("# ") else ""
        header["description"] = rest.strip().partition("\n\n")[0]
        missing = [key for key in ("title", "description", *HEADER_FIELDS) if not header.get(key)]
        if missing:
            raise BookError(
                f"{self.script.name}: the first cell must be Markdown with '# title' and a "
                f"paragraph of description, and the page must have the list items {HEADER_FIELDS}, "
                f"each '- **Name**: text'; missing: {', '.join(missing)}"
            )
        return header

    def minutes(self, profile: str) -> float:
        """Return the minutes that the page takes in a profile, on 2 cores, as its header says.

        Raises `BookError` if it does not.
        """
        profile = profile if profile in PROFILES else "quick"  # One of the reader's own.
        stated = re.search(rf"\b{profile} (\d+(?:\.\d+)?)", self.header()["Minutes"])
        if not stated:
            raise BookError(
                f"{self.script.name}: '- **Minutes**:' must have a number for each profile, as in "
                f"'smoke 0.2, quick 1, paper 30'; there is none for {profile}"
            )
        return float(stated.group(1))

    def parameters(self) -> dict[str, tuple[str, Any]]:
        """Return the declared parameters: name to annotation and default.

        Raises `BookError` if there is not exactly one cell tagged ``parameters``, or an entry in it
        is not of the form that the message says. (papermill itself passes over both.)
        """
        notebook = self.notebook()
        cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
        if len(cells) != 1:
            raise BookError(
                f"{self.script.name}: expected one cell that opens with "
                f"'# %% tags=[\"parameters\"]', found {len(cells)}"
            )
        declared = {}
        for name, entry in papermill.inspect_notebook(notebook).items():
            if (annotation := entry["inferred_type_name"]) != "None":
                with suppress(ValueError, SyntaxError):
                    declared[name] = (annotation, ast.literal_eval(entry["default"]))
        if len(declared) < len(ast.parse(cells[0].source).body):
            raise BookError(
                f"{self.script.name}: each parameter must read 'name: type = literal  "
                f"# what it is'; this holds for {', '.join(declared) or 'none'} only"
            )
        return declared


def _figure(about: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return what MyST-NB needs of a figure's name, caption and alternative text.

    A figure in a cell that is folded away says on the fold what it is.
    """
    figure = {"name": about["figure"], "caption": about["caption"].strip()}
    fold = dict.fromkeys(("code_prompt_show", "code_prompt_hide"), about.get("fold"))
    return {"figure": figure, "image": {"alt": about["alt"].strip()}} | (
        fold if "fold" in about else {}
    )


def repository(root: Path = ROOT) -> tuple[str, str]:
    """Return the repository's address, which may be empty, and branch, as ``_config.yml`` says."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["repository"]
    return (config["url"] or "").rstrip("/"), config["branch"]


def pages(root: Path = ROOT) -> list[Page]:
    """Return all pages that are notebooks, by name.

    Raises `BookError` if `root` is not a checkout of the repository, or ``book/_toc.yml`` lacks a
    page or names one that does not exist.
    """
    scripts = [Page(script) for script in sorted((root / "notebooks").glob("*.py"))]
    if not scripts:
        raise BookError(
            f"expected notebook scripts in {root / 'notebooks'}, found none; the book is built "
            "from a checkout of the repository, installed by `make install`"
        )
    contents = (root / "book" / "_toc.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r"^[^#\n]*\bnotebooks/([\w-]+)", contents, re.MULTILINE))
    for name in {page.name for page in scripts} ^ listed:
        problem = "names no script in notebooks/" if name in listed else "is not in book/_toc.yml"
        raise BookError(f"notebooks/{name} {problem}; add it there, or remove it")
    return scripts


def select(pages: list[Page], names: Sequence[str]) -> list[Page]:
    """Return the pages that are named, in full or by how they begin; all where no name is given.

    Raises `BookError` if no page's name begins so.
    """
    known = [page.name for page in pages]
    chosen = set() if names else set(known)
    for name in names:
        matching = {name} & set(known) or {page for page in known if page.startswith(name)}
        chosen |= matching
        if not matching:
            raise BookError(f"no page begins with {name}; {choices(name, known)}")
    return [page for page in pages if page.name in chosen]


def write_twins(root: Path = ROOT, *, check: bool = False) -> list[Path]:
    """Make the output-free notebook of each script; write nothing where this is to be checked.

    Returns the twins that differed from their script, and notebooks that have no script.
    """
    twins = {page.twin: page.twin_notebook() for page in pages(root)}
    stale = [path for path in sorted((root / "notebooks").glob("*.ipynb")) if path not in twins]
    for path, notebook in twins.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != notebook_text(notebook):
            stale.append(path)
            if not check:
                write_notebook(notebook, path)
    return stale


def notebook_text(notebook: nbformat.NotebookNode) -> str:
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def write_notebook(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write a notebook, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_text(notebook_text(notebook), encoding="utf-8", newline="\n")
