"""What several test files share."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from playwright.sync_api import Browser, sync_playwright

from book.builder.build import build
from book.builder.execution import execute
from book.builder.pdf import CHROMIUM_OPTIONS, chromium
from book.builder.render import render
from sadefect.cli.main import main
from sadefect.paper.store import FRESH


def pytest_collection_modifyitems(items):
    """Begin with the book, which takes longest."""
    of_the_book = {item.path for item in items if "smoke_book" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: item.path not in of_the_book)


@pytest.fixture(scope="session")
def smoke_book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smoke book, from an empty store; what it was built into, by the first worker to ask."""
    together = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        together = together.parent
    output, done = together / "book", together / "book.done"
    with FileLock(together / "book.lock"):
        if not done.exists():
            assert not output.exists(), "another worker could not build the book"
            build_smoke_book(output)
            done.touch()
    return output


def build_smoke_book(output):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SADEFECT_CACHE", str(output / "cache"))
        for name in ("SADEFECT_DATA", "SADEFECT_WEIGHTS", *FRESH):
            patch.delenv(name, raising=False)
        build("smoke", output=output)
        start = time.monotonic()
        assert execute("smoke", output=output) == []
        render(output=output)
        assert time.monotonic() - start < 30, "a build that changes nothing must be quick"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = chromium()
    if not program:
        reason = "needs Chromium: `apt-get install chromium`"
        if os.environ.get("SADEFECT_BROWSER") == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(autouse=True, scope="session")
def few_crops():
    """Compute losses at milestones on a quarter of the crops, which takes a quarter of the time."""
    from sadefect.training import loop  # Not with this file: xdist's first process needs no Keras.

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "CROPS", loop.CROPS // 4)
        yield


@pytest.fixture(scope="module")
def small_networks(request):
    """Build networks of few layers, which are traced in a third of the time, where any would do.

    Not beside slow tests: these start processes of their own, which build that of table 1.
    """
    from sadefect import models

    with pytest.MonkeyPatch.context() as patch:
        if not any(item.get_closest_marker("slow") for item in request.session.items):
            patch.setattr(models, "TABLE_1", ((16, 4, 4), (16, 4, 4)))
        yield


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Keep what a test file trains in a store of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SADEFECT_CACHE", str(tmp_path_factory.mktemp("store")))
        yield


@pytest.fixture
def shell(monkeypatch, capsys):
    """Runs a verb in this process; gives exit code, output and errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["sadefect", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        return (code or 0, *capsys.readouterr())

    return run
