"""Builds the book, and has the commands of ``python -m book.builder``.

papermill executes, the book only renders. Both leave alone what did not change, so that the next
build is quick and goes on where a failed one stopped. Needs the extra ``sadefect[book]`` and a
checkout of the repository, from which all paths are taken.
"""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
import yaml

from book.builder.execution import end_after, execute, one_build
from book.builder.pages import PROFILES, ROOT, BookError, choices, pages, select, write_twins
from book.builder.pdf import print_page
from book.builder.profiles import read_profile
from book.builder.render import render, run_sphinx, stage
from sadefect.datasets import dataset_names, load_dataset
from sadefect.errors import DataError


def build(
    profile: str = "quick",
    *,
    root: Path = ROOT,
    output: Path | None = None,
    workers: int | None = None,
) -> Path:
    """Execute what changed, then render the book; parameters as in `execute`.

    Returns ``html/index.html`` in `output`, to be opened in a browser.
    """
    start = time.monotonic()
    execute(profile, root=root, output=output, workers=workers)
    index = render(root, output)
    warn_if_not_publishable()
    print(f"Done in {time.monotonic() - start:.0f} s. Open {index.as_uri()}")
    return index


def warn_if_not_publishable() -> None:
    """Print a warning where pages may show images whose licences forbid publishing them."""
    private = []
    for name in set(dataset_names()) - {"folder"}:
        with suppress(DataError):  # It is not here.
            private += [] if load_dataset(name).publishable else [name]
    if private:
        print(
            f"This build may show images of {', '.join(sorted(private))}: keep it to yourself. "
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
        end_after(lambda: os.read(0, 1))  # sys.stdin would be locked when this process ends.


@app.command("build")
def _build(profile: _Profile = "quick", jobs: _Jobs = None) -> None:
    """Execute the pages that changed and build the HTML."""
    build(profile, workers=jobs)


@app.command("pdf")
def _pdf(profile: _Profile = "quick") -> None:
    """Execute the pages that changed and print the whole book as one PDF."""
    execute(profile)
    output = ROOT / "book" / "_build"
    work, target = output / "sphinx", output / "sadefect.pdf"
    with one_build(output):
        print("Building one page of all pages, and printing it, about a minute ...")
        built = run_sphinx(stage(ROOT, output), work, "singlehtml")
        print_page(built / "index.html", target)
        shutil.rmtree(work)
    warn_if_not_publishable()
    print(f"Printed {target}")


@app.command("article")
def _article() -> None:
    """Print the replication article as one PDF, of recorded results; no page is executed."""
    from book.builder.article import write_article

    print("Computing and printing the article, less than a minute ...")
    print(f"Printed {write_article()}")
    warn_if_not_publishable()


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
    for page in select(pages(), names) if names else ():
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
    known = {page.name: page for page in pages()}
    if name not in known:
        raise BookError(f"no page {name}; {choices(name, known)}")
    values = read_profile(profile).values_for(known[name])
    print(yaml.safe_dump(values, sort_keys=False), end="")
