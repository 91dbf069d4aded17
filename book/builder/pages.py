"""Notebook scripts, their twins, and the profiles that hold their parameters.

A page of the book is a script ``notebooks/NAME.py`` in jupytext's percent format: a header, a cell
of declared parameters, a few calls, a figure. Its twin is the same as an output-free notebook, for
papermill, Colab and Binder. `book.builder.build` executes and renders them.
"""

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import yaml

from sadefect.files import whole

ROOT = Path(__file__).resolve().parents[2]
PROFILES = ("smoke", "quick", "paper")
HEADER_FIELDS = ("The paper shows", "What to expect", "Minutes")
TYPES = {"bool": bool, "int": int, "float": (int, float), "str": str, "list": list, "dict": dict}


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


@dataclass(frozen=True)
class Page:
    """A notebook script, the source of one page of the book.

    Attributes
    ----------
    script : Path
        ``notebooks/NAME.py``.
    """

    script: Path

    @property
    def name(self) -> str:
        return self.script.stem

    @property
    def twin(self) -> Path:
        """The committed output-free notebook beside the script."""
        return self.script.with_suffix(".ipynb")

    def notebook(self) -> nbformat.NotebookNode:
        """The script as a notebook: no outputs, cell ids from positions, so always the same."""
        notebook = jupytext.read(self.script, fmt="py:percent")
        for position, cell in enumerate(notebook.cells):
            cell["id"] = f"cell-{position:02d}"  # jupytext's own are random.
            kept = {key: cell.metadata[key] for key in ("mystnb", "tags") if key in cell.metadata}
            cell["metadata"] = nbformat.from_dict(kept)
        notebook["metadata"] = nbformat.from_dict(
            {
                "kernelspec": {
                    "display_name": "Python 3",
                    "language": "python",
                    "name": "python3",
                },
                "language_info": {"name": "python"},
            }
        )
        notebook["nbformat"], notebook["nbformat_minor"] = 4, 5
        nbformat.validate(notebook)
        return notebook

    def twin_notebook(self) -> nbformat.NotebookNode:
        """The same with a cell after the header that installs `sadefect` where it is missing."""
        notebook = self.notebook()
        url, branch = repository(self.script.parents[1])
        fetch = FETCH.format(url=url, branch=branch) if url else NO_FETCH
        install = nbformat.v4.new_code_cell(INSTALL.format(fetch=fetch), id="install")
        notebook.cells.insert(1, install)
        return notebook

    def header(self) -> dict[str, str]:
        """Title, description and the fields of the first cell.

        Raises
        ------
        BookError
            If the first cell is not a Markdown cell with all of them.
        """
        cells = self.notebook().cells
        text = cells[0].source if cells and cells[0].cell_type == "markdown" else ""
        header = dict(re.findall(r"^- \*\*(.+?)\*\*: (.+(?:\n  .+)*)$", text, re.MULTILINE))
        title, _, rest = text.partition("\n")
        header["title"] = title.removeprefix("# ") if title.startswith("# ") else ""
        header["description"] = rest.strip().partition("\n\n")[0]
        missing = [key for key in ("title", "description", *HEADER_FIELDS) if not header.get(key)]
        if missing:
            raise BookError(
                f"{self.script.name}: the first cell must be Markdown with '# title', a paragraph "
                f"of description, and the list items {HEADER_FIELDS}, each '- **Name**: text'; "
                f"missing: {', '.join(missing)}"
            )
        return header

    def minutes(self, profile: str) -> float:
        """Minutes that the page takes in a profile, on 2 cores, as its header says.

        Raises
        ------
        BookError
            If the header does not say it.
        """
        profile = profile if profile in PROFILES else "quick"  # One of the reader's own.
        found = re.search(rf"\b{profile} (\d+(?:\.\d+)?)", self.header()["Minutes"])
        if not found:
            raise BookError(
                f"{self.script.name}: '- **Minutes**:' must have a number for each profile, as in "
                f"'smoke 0.2, quick 1, paper 30'; there is none for {profile}"
            )
        return float(found.group(1))

    def parameters(self) -> dict[str, tuple[str, Any]]:
        """Declared parameters: name to annotation and default.

        Raises
        ------
        BookError
            If there is not exactly one cell tagged ``parameters``, or an entry in it is not of the
            form ``name: type = literal  # what it is``.
        """
        cells = [
            cell for cell in self.notebook().cells if "parameters" in cell.metadata.get("tags", [])
        ]
        if len(cells) != 1:
            raise BookError(
                f"{self.script.name}: expected one cell that opens with "
                f"'# %% tags=[\"parameters\"]', found {len(cells)}"
            )
        declared = {}
        for node in ast.parse(cells[0].source).body:
            try:
                default = ast.literal_eval(node.value)
                declared[node.target.id] = (ast.unparse(node.annotation), default)
            except (AttributeError, TypeError, ValueError):
                raise BookError(
                    f"{self.script.name}: each parameter must read 'name: type = literal  "
                    f"# what it is'; found '{ast.unparse(node)}'"
                ) from None
        return declared


def repository(root: Path = ROOT) -> tuple[str, str]:
    """Address and branch of the repository, as ``_config.yml`` says; the address may be empty."""
    there = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["repository"]
    return (there["url"] or "").rstrip("/"), there["branch"]


def pages(root: Path = ROOT) -> list[Page]:
    """All pages that are notebooks, by name.

    Raises
    ------
    BookError
        If `root` is not a checkout of the repository, or ``book/_toc.yml`` lacks a page or names
        one that does not exist.
    """
    found = [Page(script) for script in sorted((root / "notebooks").glob("*.py"))]
    if not found:
        raise BookError(
            f"expected notebook scripts in {root / 'notebooks'}, found none; the book is built "
            "from a checkout of the repository, installed by `make install`"
        )
    contents = (root / "book" / "_toc.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r"^[^#\n]*\bnotebooks/([\w-]+)", contents, re.MULTILINE))
    for name in {page.name for page in found} ^ listed:
        where = "names no script in notebooks/" if name in listed else "is not in book/_toc.yml"
        raise BookError(f"notebooks/{name} {where}; add it there, or remove it")
    return found


def select(pages: list[Page], names: Iterable[str]) -> list[Page]:
    """Return the pages that are named, in full or by how they begin; all where no name is given.

    Raises
    ------
    BookError
        If no page's name begins so.
    """
    names, known = list(names), [page.name for page in pages]
    chosen = set()
    for name in names:
        matching = [name] if name in known else [page for page in known if page.startswith(name)]
        if not matching:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise BookError(f"no page begins with {name}; {hint}there are {', '.join(known)}")
        chosen.update(matching)
    return [page for page in pages if page.name in chosen or not names]


# Twins


def write_twins(root: Path = ROOT, *, check: bool = False) -> list[Path]:
    """Make the output-free notebook of each script.

    Parameters
    ----------
    root : Path
        The checkout.
    check : bool
        Write nothing, only find out.

    Returns
    -------
    list of Path
        Twins that were not equal to their script, and notebooks that have no script.
    """
    twins = {page.twin: notebook_text(page.twin_notebook()) for page in pages(root)}
    stale = [path for path in sorted((root / "notebooks").glob("*.ipynb")) if path not in twins]
    for twin, text in twins.items():
        if not twin.is_file() or twin.read_text(encoding="utf-8") != text:
            stale.append(twin)
            if not check:
                with whole(twin) as temporary:
                    temporary.write_text(text, encoding="utf-8", newline="\n")
    return stale


def notebook_text(notebook: nbformat.NotebookNode) -> str:
    return nbformat.writes(notebook).rstrip("\n") + "\n"


# Profiles


@dataclass(frozen=True)
class Profile:
    """Parameters of all pages for one purpose, read from ``notebooks/profiles/NAME.yaml``."""

    name: str
    cell_timeout: int  # Seconds that one cell may take.
    common: dict[str, Any] = field(default_factory=dict)  # For each page that declares them.
    pages: dict[str, dict[str, Any]] = field(default_factory=dict)  # For one page.

    def of(self, page: Page) -> dict[str, Any]:
        """The parameters that are passed to a page, all of them declared by it.

        Raises
        ------
        BookError
            If the page's part has a parameter that the page does not declare, or one of another
            type. (papermill itself only warns, and goes on with the default.)
        """
        declared, own = page.parameters(), self.pages.get(page.name, {})
        unknown = sorted(set(own) - set(declared))
        if unknown:
            raise BookError(
                f"profile {self.name}: {page.name} declares no parameter {', '.join(unknown)}; it "
                f"has {', '.join(declared)}"
            )
        values = {key: value for key, value in self.common.items() if key in declared} | own
        for key, value in values.items():
            annotation = declared[key][0]
            expected = TYPES.get(annotation.partition("[")[0], object)
            if not isinstance(value, expected) or (annotation != "bool" and value is True):
                raise BookError(
                    f"profile {self.name}: {page.name} declares {key}: {annotation}, received "
                    f"{value!r} (YAML reads 5e-4 as text and 5.0e-4 as a number)"
                )
        return values


def read_profile(name: str, root: Path = ROOT) -> Profile:
    """Read a profile and check it against the pages.

    Raises
    ------
    BookError
        If there is no such profile, it has a part for a page that does not exist, or a common
        parameter that no page declares.
    """
    path = root / "notebooks" / "profiles" / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.yaml")))
        raise BookError(f"no profile {name!r}; there are {known}")
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    unknown = set(content) - {"cell_timeout", "common", "pages"}
    if unknown or not isinstance(content.get("cell_timeout"), int):
        raise BookError(
            f"{path.name}: expected cell_timeout (seconds), common and pages, found "
            f"{', '.join(content) or 'nothing'}"
        )
    profile = Profile(
        name, content["cell_timeout"], content.get("common") or {}, content.get("pages") or {}
    )
    known = {page.name: page.parameters() for page in pages(root)}
    for missing in set(profile.pages) - set(known):
        raise BookError(f"{path.name}: notebooks/{missing}.py does not exist; remove its part")
    for missing in set(profile.common) - {key for declared in known.values() for key in declared}:
        raise BookError(f"{path.name}: no page declares the common parameter {missing}")
    return profile
