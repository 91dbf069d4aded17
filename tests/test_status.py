"""The foot of a page and the table of all pages say what the executed copies say."""

import nbformat

from book.builder.pages import ROOT, pages
from book.builder.status import (
    PLACE,
    PLACE_OF_RESULTS,
    foot_of_notebook,
    foot_of_prose,
    table_of_limits,
    table_of_pages,
    table_of_results,
)
from sadefect.figures.origins import origin
from sadefect.paper.experiment import Experiment

PAGES = pages()[:2]


def executed(seconds=12.3, results=None, **known):
    """A copy as `book.builder.execution` leaves it."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["papermill"] = {"start_time": "2026-01-02T03:04:05.678+00:00"}
    notebook.metadata["sadefect"] = {
        "profile": "quick",
        "seconds": seconds,
        "commit": "abc123",
        "machine": {"processor": "some-processor", "cores": 3},
        **known,
    }
    if results is not None:
        told = {"text/markdown": {"sadefect": {"results": results}}}
        output = nbformat.v4.new_output("execute_result", {"text/markdown": "x"}, metadata=told)
        notebook.cells.append(nbformat.v4.new_code_cell("origin()", outputs=[output]))
    return notebook


def test_foot_says_how_to_run_a_page_what_it_costs_and_what_made_it():
    page = PAGES[0]
    foot = foot_of_notebook(page, executed(), linked=True)
    assert f"book.builder execute {page.name} --profile quick" in foot
    assert f"{page.minutes('quick'):g} (quick)" in foot
    for part in (
        "`abc123`",
        "2026-01-02 03:04 UTC",
        "12 s",
        "3 cores of some-processor",
        "/status",
    ):
        assert part in foot
    assert "/status" not in foot_of_notebook(page, executed(), linked=False)
    assert "/status" in foot_of_prose(linked=True)


def test_table_counts_results_by_where_they_came_from_and_says_shared_things_once():
    results = [
        {"key": "one", "source": "recorded"},
        {"key": "one", "source": "recorded"},  # A page may name a result twice.
        {"key": "two", "source": "recorded"},
        {"key": "three", "source": "local"},
    ]
    copies = [executed(results=results), executed(seconds=99, commit="def456")]
    text = table_of_pages(list(zip(PAGES, copies, strict=True)))
    first, second = text.splitlines()[-2:]
    assert "2 recorded, 1 from this machine's store" in first
    assert "none stored" in second
    assert "99" in second
    assert "def456" in second
    assert text.count("some-processor") == 1
    assert PAGES[0].header()["title"] in first

    lines = table_of_results(list(zip(PAGES, copies, strict=True))).splitlines()[2:]
    assert len(lines) == 3
    assert lines[0].startswith("| `one` | recorded | [")
    assert PAGES[0].twin.name in lines[0]


def test_a_page_says_which_results_it_used():
    experiment = Experiment(dataset="synthetic/checkerboard", method="l2")
    told = origin(experiment)._repr_markdown_()[1]["sadefect"]["results"]
    assert told == [{"key": experiment.training_key, "source": "this page"}]
    assert origin()._repr_markdown_()[1]["sadefect"]["results"] == []


def test_there_is_one_place_for_the_table():
    text = (ROOT / "book/status.md").read_text(encoding="utf-8")
    assert [text.count(place) for place in (PLACE, PLACE_OF_RESULTS)] == [1, 1]


def test_what_a_build_takes_stands_beside_what_is_allowed():
    copies = [(page, executed(900.0, gigabytes=1.5)) for page in PAGES]
    text = table_of_limits(copies)
    assert "| time on two processors | 8 h | 0.50 h for all notebooks in turn |" in text
    assert "| memory | 7.5 GB | 3.0 GB for 2 pages at once of the largest |" in text
    assert "| disk | 10 GB |" in text
    assert "not measured" in table_of_limits([(PAGES[0], executed())])
