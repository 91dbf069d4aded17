"""Open questions of the paper have two readings that differ in what they say."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from sadefect.paper import comparisons
from sadefect.paper import open_readings as readings
from sadefect.paper.open_readings import READINGS, measured


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.question)
def test_each_reading_changes_what_it_says(reading):
    ours, other = reading.pair("nanotwice", patches_seen=100)
    assert ours.variant == "default"
    changed = (other.schedule, other.dataset) != (ours.schedule, ours.dataset)
    assert changed or other.variant != "default"
    assert ours.evaluation_key != other.evaluation_key
    scoring_only = {"average", "opening"} | {n for n in reading.changes if n.startswith("residual")}
    assert reading.trains == bool(set(reading.changes) - scoring_only)


def stored(monkeypatch, experiments):
    """Let the store hold results of these experiments and no others."""
    results = [SimpleNamespace(experiment=experiment, outdated=False) for experiment in experiments]
    monkeypatch.setattr(readings, "stored_results", lambda: results)


def test_both_readings_have_one_budget(monkeypatch):
    pairs = [reading.pair("nanotwice", patches_seen=7) for reading in READINGS]
    unopened = [other for _, other in pairs if not other.opening]
    longer = [replace(experiment, patches_seen=8) for experiment in unopened]
    stored(
        monkeypatch, {experiment for pair in pairs for experiment in pair} - {*unopened} | {*longer}
    )
    rows = measured("nanotwice")
    assert [row[0] for row in rows] == list(READINGS) and longer
    for reading, ours, other in rows:
        if reading.changes.get("opening") == 0:
            assert ours is None and other is None
        else:
            assert ours.experiment.patches_seen == other.experiment.patches_seen == 7
            assert (ours.experiment, other.experiment) == reading.pair("nanotwice", patches_seen=7)


def test_a_pair_of_which_one_is_missing_is_left_out(monkeypatch):
    stored(monkeypatch, [reading.pair("nanotwice", patches_seen=5)[0] for reading in READINGS])
    rows = measured("nanotwice", patches_seen=5)
    assert all(row[1:] == (None, None) for row in rows)


def test_what_is_missing_is_computed_where_that_is_asked_for(monkeypatch):
    stored(monkeypatch, [])
    monkeypatch.setattr(
        comparisons, "run", lambda experiment: SimpleNamespace(experiment=experiment)
    )
    for reading, ours, other in measured("nanotwice", compute=True, patches_seen=5):
        assert (ours.experiment, other.experiment) == reading.pair("nanotwice", patches_seen=5)


def test_a_question_about_one_data_set_is_asked_of_no_other(monkeypatch):
    stored(monkeypatch, [])
    about_one = [reading for reading in READINGS if reading.only]
    rows = measured("synthetic/fibres", compute=False)
    assert about_one and [row[0] for row in rows] == list(READINGS)
    # It would train on files that are not here.
    monkeypatch.setattr(readings, "READINGS", about_one)
    assert measured("synthetic/fibres", compute=True) == [(r, None, None) for r in about_one]
