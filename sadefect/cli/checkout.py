"""Runs the book's builder, which is in no wheel, in a checkout of the repository."""

import os
import re
import subprocess
import sys
from pathlib import Path

from sadefect.errors import StoreError

PACKAGE = Path(__file__).resolve().parents[1]


def find_checkout():
    """Return the repository that this package is in, else the one around the current directory."""
    for folder in (PACKAGE.parent, Path.cwd(), *Path.cwd().parents):
        if (folder / "book" / "builder").is_dir() and (folder / "notebooks").is_dir():
            return folder
    raise StoreError(
        "expected a checkout of the repository, with book/ and notebooks/, which an installed "
        f"package does not have; found none at {PACKAGE.parent} or around {Path.cwd()}. Get one "
        "with `git clone` from where sadefect came from, change into it and run this again"
    )


def page_minutes(profile):
    """Return the pages of the book, and the minutes that each takes where its results are known.

    That is what its header says of the quick profile, or of smoke.
    """
    stated = re.compile(
        rf"\*\*Minutes\*\*:.*\b{'smoke' if profile == 'smoke' else 'quick'} ([\d.]+)"
    )
    scripts = sorted((find_checkout() / "notebooks").glob("*.py"))
    matches = {script.stem: stated.search(script.read_text(encoding="utf-8")) for script in scripts}
    return {name: float(match[1]) if match else 1.0 for name, match in matches.items()}


def run_builder(*arguments):
    """Run ``python -m book.builder`` in a child process, which ends when this process does.

    What it says where it fails is raised as a `StoreError`.
    """
    python_path = (str(find_checkout()), os.environ.get("PYTHONPATH"))
    sys.stdout.flush()
    with subprocess.Popen(
        # -P: the current directory may have a `book` of its own.
        [sys.executable, "-P", "-m", "book.builder", "--until-stdin-closes", *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, python_path))},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as builder:
        try:
            said = builder.stderr.read()
        finally:
            builder.wait()  # After Ctrl-C too, which it got as well: it ends its kernels.
    if builder.returncode:
        raise StoreError(said.strip().removeprefix("error: "))
    print(said, end="", file=sys.stderr)
