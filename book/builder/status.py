"""Tells what a build knows of its own pages: the foot of each, and tables of all."""

import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from book.builder.pages import PROFILES, Page
from sadefect.figures import tables
from sadefect.provenance import commit, describe_machine

# In book/status.md, where the tables go.
PLACE, PLACE_OF_RESULTS = "STATUS-OF-ALL-PAGES", "RESULTS-OF-ALL-PAGES"
PLACE_OF_LIMITS = "LIMITS-OF-THIS-BUILD"
# What NeuroLibre allows a preprint: hours of two processors, and gigabytes.
HOURS, MEMORY, DISK = 8, 7.5, 10
ORIGINS = {  # Of a result, and how the table calls it.
    "recorded": "recorded",
    "local": "from this machine's store",
    "this page": "trained by the page",
}


def foot_of_notebook(page: Page, notebook: Any, linked: bool) -> str:
    """Tell how to run a page, what it costs, and what made its executed copy, as Markdown.

    With a link to the page on the state of all pages where there is one.
    """
    record = notebook.metadata["sadefect"]
    seconds = record["seconds"]
    minutes = ", ".join(f"{page.minutes(profile):g} ({profile})" for profile in PROFILES)
    return f"""## Run it yourself

`make lab` opens `notebooks/{page.name}.py` as a notebook: change a parameter, run all cells. `make
book` runs this page again when something that it reads has changed. To run only this page:

```bash
python -m book.builder execute {page.name} --profile {record["profile"]}
```

*What it costs*: minutes on two cores, by profile: {minutes}. *What made this copy*: code
`{record["commit"]}`, the {record["profile"]} profile, {_when(notebook)}, in {seconds:.0f} s
on {_machine(record)}.{_link(linked)}
"""


def foot_of_prose(linked: bool) -> str:
    """Tell what made a page that is not a notebook, as Markdown."""
    return f"""

---

*What made this page*: text from commit `{commit()}`; numbers in it come from the notebooks of this
build.{_link(linked)}
"""


def table_of_pages(executed: list[tuple[Page, Any]]) -> str:
    """Tell of pages and their executed copies, as Markdown: what is common to all, and a table."""
    rows = [_row(page, notebook) for page, notebook in executed]
    columns = {name: [row[name] for row in rows] for name in rows[0]} if rows else {}
    same = [name for name, cells in columns.items() if cells[1:] and len(set(cells)) == 1]
    shared = ", ".join(f"{name} {columns.pop(name)[0]}" for name in same)
    text = tables.table(columns, zip(*columns.values(), strict=True)).data
    return f"Of all pages: {shared}.\n\n{text}" if shared else text


def table_of_results(executed: list[tuple[Page, Any]]) -> str:
    """List all results that pages used, where they came from and who used them, as Markdown."""
    users = {}
    for page, notebook in executed:
        link = f"[{page.name.split('_')[0]}](notebooks/{page.twin.name})"
        for result in _origins(notebook).items():
            users.setdefault(result, []).append(link)
    rows = [
        (f"`{key}`", ORIGINS[origin], ", ".join(links))
        for (key, origin), links in sorted(users.items())
    ]
    return tables.table(("result", "where from", "pages"), rows).data


def table_of_limits(executed: list[tuple[Page, Any]], workers: int = 2) -> str:
    """Set what this build took beside what NeuroLibre allows, as Markdown."""
    records = [notebook.metadata["sadefect"] for _, notebook in executed]
    minutes = sum(record["seconds"] for record in records) / 60
    largest = max((record.get("gigabytes") or 0 for record in records), default=0)
    installed = sum(path.stat().st_size for path in files_below(Path(sys.prefix))) / 1e9
    rows = [
        ("time on two processors", f"{HOURS} h", f"{minutes / 60:.2f} h for all notebooks in turn"),
        (
            "memory",
            f"{MEMORY} GB",
            f"{workers * largest:.1f} GB for {workers} pages at once of the largest"
            if largest
            else "not measured on this system",
        ),
        ("disk", f"{DISK} GB", f"{installed:.1f} GB of installed packages"),
    ]
    return tables.table(("what", "NeuroLibre allows", "this build"), rows).data


def files_below(folder: Path) -> list[Path]:
    """List the files below a folder, links to others left out."""
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


def _row(page, notebook):
    record = notebook.metadata["sadefect"]
    counts = Counter(_origins(notebook).values())
    results = [f"{counts[origin]} {name}" for origin, name in ORIGINS.items() if counts[origin]]
    return {
        "page": f"[{page.header()['title'].replace('|', ' ')}](notebooks/{page.twin.name})",
        "executed": _when(notebook),
        "seconds": f"{record['seconds']:.0f}",
        "results that it used": ", ".join(results) or "none stored",
        "profile": record["profile"],
        "code": f"`{record['commit']}`",
        "machine": _machine(record),
    }


def _origins(notebook):
    """Return keys of the results that a page says it used, and where each came from."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    about = [output.get("metadata", {}).get("text/markdown", {}) for output in outputs]
    results = [result for told in about for result in told.get("sadefect", {}).get("results", [])]
    return {result["key"]: result["source"] for result in results}


def _when(notebook):
    """Return the time at which papermill began, in UTC."""
    start = datetime.fromisoformat(notebook.metadata["papermill"]["start_time"])
    return f"{start:%Y-%m-%d %H:%M} UTC"


def _machine(record):
    return describe_machine(record["machine"])


def _link(linked):
    return " [The state of all pages](/status.md)." if linked else ""
