"""The whole book as one PDF, printed by the system's Chromium."""

import os
import shutil

# As root it runs without its sandbox, in a container without a GPU; and it asks for nothing.
CHROMIUM_OPTIONS = [
    *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str | None:
    """The program, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next(filter(None, map(shutil.which, names)), None)
