"""Open questions of the paper have two readings that differ in what they say."""

from types import SimpleNamespace

import pytest

from sadefect.paper import open_readings as readings
from sadefect.paper.open_readings import READINGS, measured


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.question)
def test_each_reading_changes_what_it_says(reading):
    ours, other = reading.pair("nanotwice", patches_seen=100)
    assert ours.variant == "default"
    assert other.variant != "default" or other.schedule != "cpu"
    assert ours.evaluation_key != other.evaluation_key
    scoring_only = {"average", "opening"} | {n for n in reading.changes if n.startswith("residual")}
    assert reading.trains == bool(set(reading.changes) - scoring_only)


def test_both_readings_have_one_budget(monkeypatch):
    monkeypatch.setattr(readings, "largest_budget", lambda pair: 7 if pair[1].opening else 0)
    rows = measured(lambda run: SimpleNamespace(experiment=run), "nanotwice")
    assert [row[0] for row in rows] == list(READINGS)
    for reading, ours, other in rows:
        if reading.changes.get("opening") == 0:
            assert ours is None and other is None
        else:
            assert ours.experiment.patches_seen == other.experiment.patches_seen == 7


def test_a_pair_of_which_one_is_missing_is_left_out():
    rows = measured(lambda run: None, "nanotwice", patches_seen=5)
    assert all(row[1:] == (None, None) for row in rows)
