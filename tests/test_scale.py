"""What the page on scale computes: schedules on workers, what a sweep needs."""

import os

import pytest

from sadefect.figures import scale
from sadefect.figures.timings import Benchmark, benchmark
from sadefect.paper.jobs import Job
from sadefect.paper.store import empty_store


def job(name, hours, *after):
    return Job("train", name, "", tuple(f"train/{other}" for other in after), 3600 * hours)


CHAIN_AND_MORE = [job("a", 2), job("b", 3, "a"), job("c", 1), job("d", 1), job("e", 1, "c", "d")]


@pytest.mark.parametrize("workers, hours", [(1, 8), (2, 5), (3, 5)])
def test_jobs_wait_for_others_and_for_workers(workers, hours):
    assert scale.hours_on(CHAIN_AND_MORE, workers) == pytest.approx(hours)


def test_a_job_does_not_wait_for_what_is_not_in_the_list():
    assert scale.hours_on([job("b", 3, "done already")], 1) == pytest.approx(3)
    assert scale.hours_on([], 2) == 0


def test_the_forecast_does_not_depend_on_the_store(monkeypatch, tmp_path):
    monkeypatch.setenv("SADEFECT_CACHE", str(tmp_path))
    with empty_store():
        assert os.environ["SADEFECT_CACHE"] != str(tmp_path)
    jobs = scale.paper_jobs()
    assert os.environ["SADEFECT_CACHE"] == str(tmp_path)
    assert {job.rule for job in jobs} == {"train", "score"}
    row = scale.full_forecast()[-1]
    assert scale.hours_on(jobs, 10_000) == pytest.approx(row["longest_hours"], abs=0.01)
    text = scale.forecast_sentence(jobs).data
    assert f"{row['jobs']:,} jobs and {row['core_hours']:,.0f} core-hours" in text
    assert "times as many patches a second as one core" in scale.card_sentence(jobs).data
    left, right = scale.growth(jobs, benchmark("scheduling")).axes
    days = left.lines[0].get_ydata()
    assert list(days) == sorted(days, reverse=True)
    assert [line.get_label() for line in right.lines[:2]] == ["short trainings", "long trainings"]


def test_what_a_sweep_needs_is_sorted_by_what_runs_out_first():
    needs = scale.sweep_needs(benchmark("scheduling"), benchmark("reading"))
    enough = [need.experiments for need in needs]
    assert enough == sorted(enough) and enough[0] > 0
    assert needs[0].what in scale.breaks_first(needs, 100_000).data
    assert f"{sum(number < 10 for number in enough)} of {len(needs)} have" in (
        scale.breaks_first(needs, 10).data
    )
    assert scale.Need("", each=2.0, there=10.0, unit="s", start=4.0).experiments == 3


def test_workers_are_compared_with_one_alone_where_that_was_measured():
    rows = [["one on 2 cores", 100.0, 1.0], ["2 on one core each", 120.0, 1.2]]
    assert "1.20 times" in (text := scale.workers_sentence(Benchmark([], rows, "", {})).data)
    assert "not measured yet" in text
    measured = Benchmark([], [*rows, ["one on one core", 80.0, 0.8]], "", {})
    assert "75.0 % of what" in scale.workers_sentence(measured).data
