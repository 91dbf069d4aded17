"""What several test files share."""

import time
from pathlib import Path

import pytest

from sadefect import execution
from sadefect.book import build, render
from sadefect.execution import execute


@pytest.fixture(scope="session")
def smoke_book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smoke book, from an empty store; what it was built into."""
    output = tmp_path_factory.mktemp("book")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SADEFECT_CACHE", str(output / "cache"))
        for name in ("SADEFECT_DATA", "SADEFECT_WEIGHTS", *execution.FRESH):
            patch.delenv(name, raising=False)
        build("smoke", output=output)
        start = time.monotonic()
        assert execute("smoke", output=output) == []
        render(output=output)
        assert time.monotonic() - start < 30, "a build that changes nothing must be quick"
    return output
