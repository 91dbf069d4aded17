"""Renders executed notebooks and prose as the built book; `book.builder.execution` executes them.

papermill executes, the book only renders. Both leave alone what did not change, so that the next
build is quick and goes on where a failed one stopped. Needs the extra ``sadefect[book]`` and a
checkout of the repository, from which all paths are taken.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import nbformat
import typer
import yaml

from book.builder.execution import (
    alone,
    digest,
    digest_of_files,
    end_after,
    execute,
    libraries,
)
from book.builder.pages import (
    PROFILES,
    ROOT,
    BookError,
    notebook_text,
    pages,
    read_profile,
    repository,
    select,
    write_twins,
)
from book.builder.pdf import print_page
from book.builder.status import (
    PLACE,
    PLACE_OF_RESULTS,
    foot_of_notebook,
    foot_of_prose,
    table,
    table_of_results,
)
from sadefect.datasets import dataset_names, load_dataset
from sadefect.errors import DataError
from sadefect.figures.data import MEDIA_TYPE

# What lies at the root of the repository and is shown in the book.
SHOWN = ("CHANGELOG.md", "CITATION.cff")
# Cells that are folded away in the book, and what is written on the fold.
FOLDED = {
    "parameters": "Parameters of this page",
    "injected-parameters": "Their values in this build",
}


def stage(root: Path = ROOT, output: Path | None = None) -> Path:
    """Put the prose, the executed notebooks and the configuration into one folder.

    Notebooks lie there at the path that they have in the repository, so that links to launch, edit
    and download them are right. Each page gets a foot that says how to run it and what made it; the
    one on the state of all pages gets its table.

    Returns
    -------
    Path
        The folder, ``stage`` in `output`.

    Raises
    ------
    BookError
        If a page was not executed, or failed.
    """
    output = output or root / "book" / "_build"
    folder = output / "stage"
    shutil.rmtree(folder, ignore_errors=True)
    left_out = shutil.ignore_patterns("_build", ".*", "__pycache__", "*.py", "builder", "ext")
    shutil.copytree(root / "book", folder, ignore=left_out)
    settings = yaml.safe_dump(configuration(root), sort_keys=False)
    (folder / "_config.yml").write_text(settings, encoding="utf-8")
    for name in SHOWN:
        if (root / name).is_file():
            shutil.copy(root / name, folder)
    (folder / "notebooks").mkdir()
    executed_pages = []
    linked = (folder / "status.md").is_file()
    for page in pages(root):
        executed = output / "executed" / page.twin.name
        notebook = nbformat.read(executed, as_version=4) if executed.is_file() else None
        if notebook is None or notebook.metadata.get("sadefect", {}).get("failed", True):
            raise BookError(f"{page.name} was not executed to its end; `make book` does it")
        executed_pages.append((page, notebook))
        for cell in notebook.cells:
            tags = cell.metadata.get("tags", [])
            for prompt in [text for tag, text in FOLDED.items() if tag in tags]:
                cell.metadata["tags"] = [*tags, "hide-input"]
                cell.metadata["mystnb"] = {"code_prompt_show": prompt, "code_prompt_hide": prompt}
        notebook.cells = [
            shown for cell in notebook.cells for shown in _offer_data(cell, folder / "notebooks")
        ]
        foot = foot_of_notebook(page, notebook, linked)
        notebook.cells.append(nbformat.v4.new_markdown_cell(foot, id="foot"))
        text = notebook_text(notebook)
        (folder / "notebooks" / page.twin.name).write_text(text, encoding="utf-8")
    for path in folder.glob("*.md"):
        if path.name not in SHOWN:
            text = path.read_text(encoding="utf-8")
            text = text.replace(PLACE, table(executed_pages))
            text = text.replace(PLACE_OF_RESULTS, table_of_results(executed_pages))
            text += foot_of_prose(linked)
            path.write_text(text, encoding="utf-8")
    return folder


def _offer_data(cell: nbformat.NotebookNode, folder: Path) -> list[nbformat.NotebookNode]:
    """Take the numbers behind a figure out of its cell, into a file that readers are offered.

    Its caption offers it; below what moves, whose caption is HTML already, a cell more does.
    """
    figure = cell.metadata.get("mystnb", {}).get("figure", {})
    cells = [cell]
    for output in cell.get("outputs", []):
        data = output.get("data", {}).pop(MEDIA_TYPE, None)
        if data and "explorer" in data:
            file = f"{data['explorer']}.json"
            (folder / file).write_text(json.dumps(data), encoding="utf-8")
            link = f"{{.explorer-data}}\n{{download}}`Data <{file}>`"
            cells.append(nbformat.v4.new_markdown_cell(link, id=f"data-{data['explorer']}"))
        elif data and figure.get("name"):
            file = f"{figure['name']}.json"
            about = {"figure": figure["name"], "caption": figure["caption"]}
            (folder / file).write_text(json.dumps(about | data), encoding="utf-8")
            figure["caption"] += f" {{download}}`Data <{file}>`"
    return cells


def configuration(root: Path = ROOT) -> dict[str, Any]:
    """What ``_config.yml`` says, completed by what follows from the repository's address.

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


def _sphinx(staged: Path, work: Path, builder: str) -> None:
    """Run Jupyter Book on a staged book, into ``_build/BUILDER`` in `work`."""
    shutil.rmtree(work, ignore_errors=True)
    run = "from jupyter_book.cli.main import main; main()"  # It has no __main__.
    python_path = (str(ROOT), os.environ.get("PYTHONPATH"))
    options = ["--builder", builder, "--path-output", work, "-W", "--keep-going", "-q"]
    result = subprocess.run(
        [sys.executable, "-c", run, "build", staged, *options],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        # The extension `book.ext` is found from the checkout: it is in no wheel.
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, python_path))},
    )
    if result.returncode:
        lines = (result.stdout + result.stderr).strip().splitlines()[-40:]
        raise BookError("\n".join(["no HTML; warnings count as errors:", *lines]))


def render(
    root: Path = ROOT, output: Path | None = None, *, say: Callable[[str], None] = print
) -> Path:
    """Build the HTML from executed notebooks and prose, unless neither changed.

    All of it is built anew, because pages show numbers of others, and every warning is an error.

    Returns
    -------
    Path
        ``html/index.html`` in `output`.

    Raises
    ------
    BookError
        If it cannot be built; the HTML of the last build stays.
    """
    output = output or root / "book" / "_build"
    html, mark, work = output / "html", output / "html.digest", output / "sphinx"
    with alone(output):
        staged = stage(root, output)
        files = [path for path in staged.rglob("*") if path.is_file()]
        made_from = digest([digest_of_files(staged, files), libraries()])
        if html.is_dir() and mark.is_file() and mark.read_text(encoding="utf-8") == made_from:
            say("The HTML is unchanged")
            return html / "index.html"
        say("Building the HTML, about 20 s ...")
        start = time.monotonic()
        _sphinx(staged, work, "html")
        mark.unlink(missing_ok=True)
        shutil.rmtree(html, ignore_errors=True)
        os.replace(work / "_build" / "html", html)
        mark.write_text(made_from, encoding="utf-8")
        shutil.rmtree(work)
        say(f"  built in {time.monotonic() - start:.0f} s")
    return html / "index.html"


def pdf(
    profile: str = "quick",
    *,
    root: Path = ROOT,
    output: Path | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """Execute what changed, then print all pages as one; parameters as in `execute`.

    Returns
    -------
    Path
        ``sadefect.pdf`` in `output`.

    Raises
    ------
    BookError
        If it cannot be built, or there is no Chromium to print it.
    """
    output = output or root / "book" / "_build"
    execute(profile, root=root, output=output, say=say)
    work, target = output / "sphinx", output / "sadefect.pdf"
    with alone(output):
        say("Building one page of all pages, and printing it, about a minute ...")
        _sphinx(stage(root, output), work, "singlehtml")
        print_page(work / "_build" / "singlehtml" / "index.html", target)
        shutil.rmtree(work)
    if notice := not_to_be_published():
        say(notice)
    say(f"Printed {target}")
    return target


def build(
    profile: str = "quick",
    *,
    root: Path = ROOT,
    output: Path | None = None,
    workers: int | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """Execute what changed, then render the book; parameters as in `execute`.

    Returns
    -------
    Path
        ``html/index.html`` in `output`, to be opened in a browser.
    """
    start = time.monotonic()
    execute(profile, root=root, output=output, workers=workers, say=say)
    index = render(root, output, say=say)
    if notice := not_to_be_published():
        say(notice)
    say(f"Done in {time.monotonic() - start:.0f} s. Open {index.as_uri()}")
    return index


def not_to_be_published() -> str:
    """A warning where pages may show images whose licences forbid publishing them, else nothing."""
    shown = []
    for name in set(dataset_names()) - {"folder"}:
        try:
            shown += [] if load_dataset(name).publishable else [name]
        except DataError:
            continue
    if not shown:
        return ""
    return (
        f"This build may show images of {', '.join(sorted(shown))}: keep it to yourself. "
        "To publish, build without SADEFECT_DATA"
    )


app = typer.Typer(no_args_is_help=True, add_completion=False, help="Build the book.")
_Profile = Annotated[str, typer.Option(help=f"One of {', '.join(PROFILES)}.")]
_Jobs = Annotated[int | None, typer.Option(help="Pages executed at once.")]


@app.callback()
def _options(
    until_stdin_closes: Annotated[
        bool, typer.Option(hidden=True, help="End with the process that holds stdin.")
    ] = False,
) -> None:
    if until_stdin_closes:
        end_after(sys.stdin.read)


@app.command("build")
def _build(profile: _Profile = "quick", jobs: _Jobs = None) -> None:
    """Execute the pages that changed and build the HTML."""
    build(profile, workers=jobs)


@app.command("pdf")
def _pdf(profile: _Profile = "quick") -> None:
    """Print the whole book as one PDF."""
    pdf(profile)


@app.command("execute")
def _execute(
    names: Annotated[
        list[str] | None, typer.Argument(help="Pages, or how their names begin; default all.")
    ] = None,
    profile: _Profile = "quick",
    jobs: _Jobs = None,
) -> None:
    """Execute pages without building the HTML."""
    execute(profile, only=names or (), workers=jobs)
    for page in select(pages(), names or ()) if names else ():
        print(ROOT / "book" / "_build" / "executed" / page.twin.name)


@app.command("twins")
def _twins(
    check: Annotated[bool, typer.Option("--check", help="Only look; fail if any differs.")] = False,
) -> None:
    """Make the notebooks from the scripts."""
    stale = write_twins(check=check)
    for path in stale:
        print(path.relative_to(ROOT))
    if stale and check:
        raise BookError("these notebooks differ from their scripts; run `make notebooks`")


@app.command("parameters")
def _parameters(name: str, profile: _Profile = "quick") -> None:
    """Print a page's parameters in a profile as YAML, for `papermill -f`."""
    values = {page.name: read_profile(profile).of(page) for page in pages() if page.name == name}
    if not values:
        raise BookError(f"no page {name}; there are {', '.join(page.name for page in pages())}")
    print(yaml.safe_dump(values[name], sort_keys=False), end="")


def main() -> None:
    """Run a command; a problem with the book is a message, not a traceback."""
    try:
        app()
    except BookError as error:
        sys.exit(f"error: {error}")
