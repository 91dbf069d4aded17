"""Digests what a page depends on."""

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from book.builder.pages import ROOT, Page, notebook_text
from sadefect.datasets.base import data_root
from sadefect.files import digests, store_folder
from sadefect.paper.compared import FOLDER as COMPARED
from sadefect.paper.store import asked_for_fresh

PACKAGE = Path(__file__).resolve().parents[2] / "sadefect"
# Changing these executes no page again: the shell, which no page reads.
SHELL = ("cli", "__main__.py")
RESULTS = "results of this machine"


def input_digests(page: Page, parameters: dict[str, Any], root: Path = ROOT) -> dict[str, str]:
    """Return digests of all that a page depends on; while none changes, it need not run again.

    Prose, contents and configuration of the book are not among them. Of the store of results only
    the names count, because pages take the largest budget that they find there.
    """
    return {
        "script": digest(notebook_text(page.notebook())),
        "parameters": digest(parameters),
        "package": digest_of_files(PACKAGE, without=SHELL),
        "recorded results": digest_of_files(root / "recorded"),
        RESULTS: digest_of_results(),
        "backend": digest(os.environ.get("KERAS_BACKEND")),
        "data": digest([_listing(data_root()), _listing(os.environ.get("SADEFECT_WEIGHTS"))]),
        "libraries": digest_of_libraries(),
        "asked to take nothing recorded": ",".join(asked_for_fresh()),
    }


def digest(value: Any) -> str:
    """Return the digest of text, or of anything that JSON can say."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest_of_files(folder: Path, without: Iterable[str] = ()) -> str:
    """Return the digest of names and contents in a folder, but for some that lie at its top."""
    contents = digests(folder).items()
    return digest({name: at for name, at in contents if name.split("/")[0] not in without})


def digest_of_results() -> str:
    """Return the digest of the names of all results in the user's store."""
    folders = (store_folder() / kind for kind in ("evaluations", COMPARED))
    return digest(sorted(path.parent.name for f in folders for path in f.glob("*/result.json")))


def digest_of_libraries() -> str:
    """Return the digest of the versions of Python and of all that the project itself needs."""
    requirements = metadata.requires("sadefect") or []
    versions = {"python": sys.version}
    for name in {re.match(r"[\w.-]+", requirement).group() for requirement in requirements}:
        # What is not found is for another platform, or of an extra that is not installed.
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return digest(versions)


def _listing(folder: str | Path | None) -> list[Any] | None:
    """List what lies two levels deep, with times: a data set that comes, goes or grows is noticed.

    Whole data sets are not read through at each build; loaders verify those that they know.
    """
    if not folder or not Path(folder).is_dir():
        return None
    paths = [*Path(folder).glob("*"), *Path(folder).glob("*/*")]
    return sorted((str(path.relative_to(folder)), path.stat().st_mtime_ns) for path in paths)
