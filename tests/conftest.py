"""What several test files share."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from book.builder.build import build
from book.builder.execution import execute
from book.builder.pdf import CHROMIUM_OPTIONS, chromium
from book.builder.render import render
from sadefect.cli.main import main
from sadefect.paper.store import FRESH


@pytest.hookimpl(tryfirst=True)  # Before pytest-xdist reads the groups.
def pytest_collection_modifyitems(items):
    """Give the tests of a file to one worker, and the book, which takes longest, to the first."""
    of_the_book = {item.path for item in items if "smoke_book" in getattr(item, "fixturenames", ())}
    for item in items:
        group = "book" if item.path in of_the_book else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: item.path not in of_the_book)


@pytest.fixture(scope="session")
def smoke_book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smoke book, from an empty store; what it was built into."""
    output = tmp_path_factory.mktemp("book")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SADEFECT_CACHE", str(output / "cache"))
        for name in ("SADEFECT_DATA", "SADEFECT_WEIGHTS", *FRESH):
            patch.delenv(name, raising=False)
        build("smoke", output=output)
        start = time.monotonic()
        assert execute("smoke", output=output) == []
        render(output=output)
        assert time.monotonic() - start < 30, "a build that changes nothing must be quick"
    return output


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
