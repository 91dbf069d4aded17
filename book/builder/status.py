"""What a build knows of its own pages: the foot of each, and a table of all."""

from collections import Counter
from datetime import datetime
from typing import Any

from book.builder.pages import PROFILES, Page
from sadefect.provenance import commit

# In book/status.md, where the tables go.
PLACE, PLACE_OF_RESULTS = "STATUS-OF-ALL-PAGES", "RESULTS-OF-ALL-PAGES"
ORIGINS = {  # Of a result, and how the table calls it.
    "recorded": "recorded",
    "local": "from this machine's store",
    "this page": "trained by the page",
}


def foot_of_notebook(page: Page, notebook: Any, linked: bool) -> str:
    """How to run a page, what it costs, and what made this copy, as Markdown.

    Parameters
    ----------
    page : Page
    notebook : nbformat.NotebookNode
        The executed copy.
    linked : bool
        Whether there is a page on the state of all pages.
    """
    known = notebook.metadata["sadefect"]
    minutes = ", ".join(f"{page.minutes(profile):g} ({profile})" for profile in PROFILES)
    return f"""## Run it yourself

`make lab` opens `notebooks/{page.name}.py` as a notebook: change a parameter, run all cells. `make
book` runs this page again when something that it reads has changed; one page alone is run by

```bash
python -m book.builder execute {page.name} --profile {known["profile"]}
```

*What it costs*: minutes on two cores, by profile: {minutes}. *What made this copy*: code
`{known["commit"]}`, the {known["profile"]} profile, {_when(notebook)}, in {known["seconds"]:.0f} s
on {_machine(known)}.{_link(linked)}
"""


def foot_of_prose(linked: bool) -> str:
    """What made a page that is not a notebook, as Markdown."""
    return f"""

---

*What made this page*: text of code `{commit()}`; numbers in it come from the notebooks of this
build.{_link(linked)}
"""


def table(found: list[tuple[Page, Any]]) -> str:
    """All pages that are notebooks, as Markdown: what they have in common, and a table.

    Parameters
    ----------
    found : list of tuple
        Pages and their executed copies.
    """
    rows = [_row(page, notebook) for page, notebook in found]
    same = [name for name in rows[0] if len({row[name] for row in rows}) == 1] if rows[1:] else []
    shared = ", ".join(f"{name} {rows[0][name]}" for name in same)
    header = [name for name in rows[0] if name not in same] if rows else []
    text = _markdown(header, [[row[name] for name in header] for row in rows])
    return f"Of all pages: {shared}.\n\n{text}" if shared else text


def table_of_results(found: list[tuple[Page, Any]]) -> str:
    """All results that pages used, where they came from and who used them, as a Markdown table.

    Parameters
    ----------
    found : list of tuple
        Pages and their executed copies.
    """
    used = {}
    for page, notebook in found:
        for key, origin in _origins(notebook).items():
            used.setdefault((key, origin), []).append(
                f"[{page.name.split('_')[0]}](notebooks/{page.twin.name})"
            )
    return _markdown(
        ("result", "where from", "pages"),
        [
            (f"`{key}`", ORIGINS[origin], ", ".join(by))
            for (key, origin), by in sorted(used.items())
        ],
    )


def _markdown(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _row(page, notebook):
    known = notebook.metadata["sadefect"]
    return {
        "page": f"[{page.header()['title'].replace('|', ' ')}](notebooks/{page.twin.name})",
        "executed": _when(notebook),
        "seconds": f"{known['seconds']:.0f}",
        "results that it used": _results(notebook),
        "profile": known["profile"],
        "code": f"`{known['commit']}`",
        "machine": _machine(known),
    }


def _origins(notebook):
    """Keys of the results that a page says it used, and where each came from."""
    found = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            told = output.get("metadata", {}).get("text/markdown", {}).get("sadefect", {})
            found |= {one["key"]: one["source"] for one in told.get("results", [])}
    return found


def _results(notebook):
    """How many results, and where they came from."""
    counts = Counter(_origins(notebook).values())
    told = [f"{counts[origin]} {name}" for origin, name in ORIGINS.items() if counts[origin]]
    return ", ".join(told) or "none stored"


def _when(notebook):
    """The time at which papermill began, in UTC."""
    start = datetime.fromisoformat(notebook.metadata["papermill"]["start_time"])
    return f"{start:%Y-%m-%d %H:%M} UTC"


def _machine(known):
    return f"{known['machine']['cores']} cores of {known['machine']['processor']}"


def _link(linked):
    return " [The state of all pages](/status.md)." if linked else ""
