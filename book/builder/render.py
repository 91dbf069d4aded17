"""Renders executed notebooks and prose as HTML."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from copy import deepcopy
from itertools import takewhile
from pathlib import Path
from typing import Any

import nbformat
import yaml

from book.builder import status
from book.builder.execution import one_build
from book.builder.gallery import PLACE as PLACE_OF_GALLERY
from book.builder.gallery import gallery
from book.builder.inputs import digest, digest_of_files, digest_of_libraries
from book.builder.pages import ROOT, BookError, Page, pages, repository, write_notebook
from sadefect.figures.data import MEDIA_TYPE

# What lies at the root of the repository and is shown in the book.
SHOWN = ("CHANGELOG.md", "CITATION.cff")
# Cells that are folded away in the book, and what is written on the fold.
FOLDED = {
    "parameters": "Parameters of this page",
    "injected-parameters": "Their values in this build",
}


def stage(root: Path, output: Path) -> Path:
    """Put the prose, the executed notebooks and the configuration into one folder.

    Notebooks lie there at the path that they have in the repository, so that links to launch, edit
    and download them are right. Each gets its foot, and prose its tables of all pages. Raises
    `BookError` if a page was not executed, or failed.
    """
    folder = output / "stage"
    shutil.rmtree(folder, ignore_errors=True)
    left_out = shutil.ignore_patterns("_build", ".*", "__pycache__", "*.py", "builder", "ext")
    shutil.copytree(root / "book", folder, ignore=left_out)
    settings = yaml.safe_dump(configuration(root), sort_keys=False)
    (folder / "_config.yml").write_text(settings, encoding="utf-8")
    linked = (folder / "status.md").is_file()
    executed = [(page, _read_executed(page, output / "executed")) for page in pages(root)]
    figures = gallery(executed, folder)
    for page, notebook in executed:
        foot = status.foot_of_notebook(page, notebook, linked)
        _prepare(notebook, foot, folder / "notebooks")
        write_notebook(notebook, folder / "notebooks" / page.twin.name)
    for path in folder.glob("*.md"):
        text = path.read_text(encoding="utf-8").replace(
            status.PLACE, status.table_of_pages(executed)
        )
        text = text.replace(status.PLACE_OF_RESULTS, status.table_of_results(executed))
        text = text.replace(PLACE_OF_GALLERY, figures)
        if status.PLACE_OF_LIMITS in text:
            text = text.replace(status.PLACE_OF_LIMITS, status.table_of_limits(executed))
        path.write_text(text + status.foot_of_prose(linked), encoding="utf-8")
    for name in SHOWN:
        if (root / name).is_file():
            shutil.copy(root / name, folder)
    return folder


def _read_executed(page: Page, folder: Path) -> nbformat.NotebookNode:
    path = folder / page.twin.name
    notebook = nbformat.read(path, as_version=4) if path.is_file() else None
    if notebook is None or notebook.metadata.get("sadefect", {}).get("failed", True):
        raise BookError(f"{page.name} was not executed to its end; `make book` does it")
    return notebook


def _prepare(notebook: nbformat.NotebookNode, foot: str, folder: Path) -> None:
    """Open with the result, fold parameters, offer figures' data in `folder`, add the foot."""
    folder.mkdir(exist_ok=True)
    cells = []
    for cell in _result_first(notebook.cells):
        tags = cell.metadata.get("tags", [])
        for prompt in [text for tag, text in FOLDED.items() if tag in tags]:
            cell.metadata["tags"] = [*tags, "hide-input"]
            cell.metadata["mystnb"] = {"code_prompt_show": prompt, "code_prompt_hide": prompt}
        cells += [cell, *_offer_data(cell, folder)]
    notebook.cells = [*cells, nbformat.v4.new_markdown_cell(foot, id="foot")]


def _result_first(cells: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Show what the first code cells of a page give before their code; the foot has the minutes."""
    header, *rest = cells
    header.source = re.sub(r"\n+- \*\*Minutes\*\*:.*(\n  .+)*", "", header.source)
    results = []
    for cell in takewhile(lambda cell: cell.cell_type == "code", rest):
        if cell.outputs and "remove-cell" not in cell.metadata.get("tags", []):
            result = deepcopy(cell)
            result.update(id=f"{cell.id}-result", source="# Made by the code below.")
            result.metadata["tags"] = ["remove-input"]
            results.append(result)
            cell.outputs = []
            cell.metadata.pop("mystnb", None)
    return [header, *results, *rest]


def _offer_data(cell: nbformat.NotebookNode, folder: Path) -> list[nbformat.NotebookNode]:
    """Move the numbers behind a figure out of its cell, into a file that readers are offered.

    Its caption offers it; below an explorer, whose caption is HTML already, a cell more does, which
    is returned.
    """
    figure = cell.metadata.get("mystnb", {}).get("figure", {})
    added = []
    for output in cell.get("outputs", []):
        data = output.get("data", {}).pop(MEDIA_TYPE, None)
        name = data and data.get("explorer", figure.get("name"))
        if not name:
            continue
        if "explorer" in data:
            link = f"{{.explorer-data}}\n{{download}}`Data <{name}.json>`"
            added.append(nbformat.v4.new_markdown_cell(link, id=f"data-{name}"))
        else:
            data = {"figure": name, "caption": figure["caption"]} | data
            figure["caption"] += f" {{download}}`Data <{name}.json>`"
        (folder / f"{name}.json").write_text(json.dumps(data), encoding="utf-8")
    return added


def configuration(root: Path = ROOT) -> dict[str, Any]:
    """Return what ``_config.yml`` says, completed by what follows from the repository's address.

    Links to edit a page go to its script, or its prose in ``book/``. Without an address, there are
    no buttons that need one, and no previews for other sites.
    """
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    html, sphinx = config["html"], config["sphinx"]["config"]
    url, branch = repository(root)
    if not url:
        html |= dict.fromkeys((name for name in html if name.endswith("_button")), False)
        config["launch_buttons"] = {}
        sphinx["extensions"].remove("sphinxext.opengraph")
        del sphinx["ogp_social_cards"]  # Nobody knows it then, which is a warning.
        return config
    *_, owner, name = url.split("/")
    html["baseurl"] = html["baseurl"] or f"https://{owner}.github.io/{name}/"
    sphinx["ogp_site_url"] = html["baseurl"]
    sphinx["html_context"] |= {
        "edit_page_provider_name": "GitHub",
        "edit_page_url_template": f"{url}/edit/{branch}/"
        "{% if file_name.startswith('notebooks/') %}{{ file_name | replace('.ipynb', '.py') }}"
        "{% else %}book/{{ file_name }}{% endif %}",
    }
    return config


def run_sphinx(staged: Path, work: Path, builder: str) -> Path:
    """Run Jupyter Book on a staged book, into a folder of `work`, which is returned.

    Raises `BookError` if it cannot be built without a warning.
    """
    shutil.rmtree(work, ignore_errors=True)
    run = "from jupyter_book.cli.main import main; main()"  # It has no __main__.
    options = ["--builder", builder, "--path-output", work, "-W", "--keep-going", "-q"]
    result = subprocess.run(
        [sys.executable, "-c", run, "build", staged, *options],
        capture_output=True,
        encoding="utf-8",
        check=False,
        cwd=ROOT,  # Where the extension `book.ext` is found: it is in no wheel.
    )
    if result.returncode:
        lines = (result.stdout + result.stderr).strip().splitlines()[-40:]
        raise BookError("\n".join(["no HTML; warnings count as errors:", *lines]))
    return work / "_build" / builder


def render(root: Path = ROOT, output: Path | None = None) -> Path:
    """Build the HTML from executed notebooks and prose, unless neither changed; return its index.

    All of it is built anew, because pages show numbers of others, and every warning is an error: a
    `BookError`, after which the HTML of the last build stays.
    """
    output = output or root / "book" / "_build"
    html, mark, work = output / "html", output / "html.digest", output / "sphinx"
    with one_build(output):
        staged = stage(root, output)
        made_from = digest([digest_of_files(staged), digest_of_libraries()])
        if html.is_dir() and mark.is_file() and mark.read_text(encoding="utf-8") == made_from:
            print("The HTML is unchanged")
            return html / "index.html"
        print("Building the HTML, about 20 s ...")
        start = time.monotonic()
        built = run_sphinx(staged, work, "html")
        mark.unlink(missing_ok=True)
        shutil.rmtree(html, ignore_errors=True)
        os.replace(built, html)
        mark.write_text(made_from, encoding="utf-8")
        shutil.rmtree(work)
        print(f"  built in {time.monotonic() - start:.0f} s")
    return html / "index.html"
