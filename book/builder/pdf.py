"""Prints a page of HTML as PDF with the system's Chromium, with an outline from its headings."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from book.builder.pages import BookError
from sadefect.files import whole

# As root it runs without its sandbox, in a container without a GPU; and it asks for nothing.
CHROMIUM_OPTIONS = [
    *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 600  # Seconds.


def chromium() -> str | None:
    """Return the path of the program, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next(filter(None, map(shutil.which, names)), None)


def print_page(page: Path, target: Path) -> None:
    """Print a page as PDF once its formulas are set; `BookError` if Chromium prints nothing."""
    program = chromium()
    if not program:
        raise BookError(
            "printing needs Chromium, or Chrome, found neither; on Debian and Ubuntu "
            "`apt-get install chromium` brings it"
        )
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile, whole(target) as temporary:
        options = [
            "--headless",
            f"--user-data-dir={profile}",
            f"--print-to-pdf={temporary}",
            "--no-pdf-header-footer",
            "--generate-pdf-document-outline",
            "--virtual-time-budget=60000",  # Milliseconds, for MathJax.
        ]
        command = [program, *CHROMIUM_OPTIONS, *options, page.as_uri()]
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE).stderr
        except subprocess.TimeoutExpired:
            said = f"took longer than {PATIENCE} s"
        if not temporary.is_file():
            raise BookError(f"{program} printed nothing: {said[-2000:]}")
