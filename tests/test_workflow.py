"""Jobs, what works through them, trials of a machine, and exchanged stores."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from sadefect.cli.workflow import tried
from sadefect.errors import StoreError
from sadefect.files import store_folder
from sadefect.paper import engine, recording
from sadefect.paper.engine import How, has_engine, work, write_plan
from sadefect.paper.exchange import pull, push
from sadefect.paper.experiment import Experiment
from sadefect.paper.jobs import (
    BATCH,
    Costs,
    as_argument,
    batched,
    forecast,
    page_jobs,
    scoring_jobs,
    training_jobs,
)
from sadefect.paper.run import train_experiment
from sadefect.paper.store import training_folder
from sadefect.training.trajectory import checkpoint_path

ROOT = Path(__file__).resolve().parents[1]
TINY = Experiment(
    dataset="synthetic/fibres-tiny", latent_dim=4, patch_size=32, window_size=7, patches_seen=320
)
needs_engine = pytest.mark.skipif(
    not has_engine(), reason='needs Snakemake: pip install "sadefect[workflow]"'
)


@pytest.fixture(autouse=True)
def empty_store(tmp_path, monkeypatch):
    """No store and no recorded results but this test's own."""
    monkeypatch.setenv("SADEFECT_CACHE", str(tmp_path / "store"))
    monkeypatch.setenv("SADEFECT_RECORDED", str(tmp_path / "recorded"))
    for name in ("SADEFECT_RETRAIN", "SADEFECT_REEVALUATE", "SADEFECT_DATA"):
        monkeypatch.delenv(name, raising=False)


def pretend_trained(experiment, content=b"weights"):
    path = checkpoint_path(training_folder(experiment), experiment.patches_seen)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def trained(experiment):
    return np.load(checkpoint_path(training_folder(experiment), experiment.patches_seen))


def test_an_experiment_survives_being_an_argument():
    for experiment in (TINY, replace(TINY, c1=0.0, decay_from=160), recording.GROUPS["methods"][2]):
        assert Experiment(**json.loads(as_argument(experiment))) == experiment


def test_points_of_a_trajectory_follow_each_other_and_branches_their_trunk():
    trunk = replace(TINY, crops="fresh")
    branch = replace(trunk, decay_from=160, patches_seen=200)
    jobs = training_jobs([branch, replace(trunk, patches_seen=640), trunk], Costs())
    names = {job.name.rpartition("-")[2]: job for job in jobs}
    assert list(names) == ["160", "200", "640", "320"]
    assert names["160"].after == ()
    assert names["200"].after == names["320"].after == (names["160"].stamp,)
    assert names["640"].after == (names["320"].stamp,)
    pretend_trained(replace(trunk, patches_seen=160))
    assert [job.after for job in training_jobs([branch], Costs())] == [()]
    assert training_jobs([replace(trunk, patches_seen=160)], Costs()) == []


def test_a_scoring_waits_for_the_training_that_passes_its_point():
    points = [TINY, replace(TINY, patches_seen=640)]
    trainings = training_jobs(points, Costs())
    [first, early] = scoring_jobs([TINY, replace(TINY, patches_seen=100)], trainings, Costs())
    assert first.after == early.after == (trainings[0].stamp,)
    pretend_trained(TINY)
    assert [job.after for job in scoring_jobs([TINY], trainings, Costs())] == [()]
    result = store_folder() / "evaluations" / TINY.evaluation_key / "result.json"
    result.parent.mkdir(parents=True)
    result.write_text("{}")  # It is enough that it is there.
    assert scoring_jobs([TINY], trainings, Costs.__new__(Costs)) == []


def test_the_forecast_learns_from_recorded_results(monkeypatch):
    monkeypatch.setenv("SADEFECT_RECORDED", str(ROOT / "recorded"))
    costs = Costs()
    nanotwice = Experiment(dataset="nanotwice", patches_seen=640_000)
    assert 0.003 < costs.a_patch(nanotwice) < 0.1
    assert 10 < costs.a_scoring(nanotwice) < 1000
    jobs = training_jobs([replace(nanotwice, seed=99)], costs)
    jobs += scoring_jobs([replace(nanotwice, seed=99)], jobs, costs)
    jobs += page_jobs({"fig06_roc": 1.0, "gap": 2.0}, jobs)
    rows = {row["rule"]: row for row in forecast(jobs)}
    assert [rows[rule]["jobs"] for rule in ("train", "score", "page", "book")] == [1, 1, 2, 1]
    assert rows["all"]["jobs"] == 5 and rows["all"]["gpu_hours"] == 0
    parts = ("train", "score", "page", "book")
    assert rows["all"]["core_hours"] == pytest.approx(
        sum(rows[rule]["core_hours"] for rule in parts), abs=0.02
    )
    assert rows["train"]["longest_hours"] < rows["all"]["longest_hours"]
    on_card = {row["rule"]: row for row in forecast(jobs, gpu=True)}
    assert 0 < on_card["train"]["gpu_hours"] < rows["train"]["core_hours"] / 10
    # 13 checkpoints of 2.7 million weights, and five states of three times that.
    assert 0.2 < rows["train"]["gigabytes"] < 0.4


def test_many_short_jobs_are_put_together():
    points = [replace(TINY, seed=seed) for seed in range(300)]
    trainings = training_jobs(points, Costs())
    jobs = [*trainings, *scoring_jobs(points, trainings, Costs())]
    together = batched(jobs)
    assert batched(jobs[:100]) == jobs[:100] and len(together) < 20
    sizes = [len(json.loads(job.argument)) for job in together]
    assert sum(sizes) == len(jobs) and max(sizes) <= BATCH
    stamps = {job.stamp for job in together}
    assert {name for job in together for name in job.after} <= stamps
    assert sum(job.seconds for job in together) == pytest.approx(sum(job.seconds for job in jobs))


def test_trunks_and_branches_are_trained_in_turn_and_recorded(monkeypatch):
    from sadefect.paper.run import run, train_experiment

    trunk = replace(TINY, crops="fresh", patches_seen=64)
    monkeypatch.setattr(recording, "BRANCH_AT", (32,))
    done = []  # The trunk to where its branch leaves, the branch, the trunk to the budget.

    def work_here(jobs, how):
        for job in jobs:
            experiment = Experiment(**json.loads(job.argument))
            done.append((experiment.decay_from, experiment.patches_seen))
            (train_experiment if job.rule == "train" else run)(experiment)

    monkeypatch.setattr(recording, "work", work_here)
    assert recording.train_group([trunk], 64) == 64
    assert done == [(0, 32), (32, 40), (0, 64)]
    assert recording.train_group([trunk], 64) == 64 and len(done) == 3
    decayed = recording.branches([trunk], 64)
    results = recording.score([trunk], 64, decayed)
    assert [result.experiment.decay_from for result in results] == [0, 32]
    written = recording.record(results)
    assert sum(path.parent.name == "evaluations" for path in written) == 2
    assert np.load(recording.record_weights(decayed[0]))["model_000"].dtype == np.float16


def test_without_the_engine_jobs_are_done_one_after_another(monkeypatch):
    monkeypatch.setattr(engine, "has_engine", lambda: False)
    commands = []

    def fake(command, **options):
        commands.append(command[3])
        return subprocess.CompletedProcess(command, int(len(commands) == 2))

    monkeypatch.setattr(subprocess, "run", fake)
    trainings = training_jobs([TINY], Costs())
    jobs = trainings + scoring_jobs([TINY], trainings, Costs())
    with pytest.raises(StoreError, match="score/.* stopped with the error above; nothing is lost"):
        work(jobs)
    assert commands == ["train-one", "run-one"]
    work(jobs, How(deadline=time.time() - 1))
    assert len(commands) == 2
    with pytest.raises(StoreError, match="expected Snakemake.*slurm.*pip install"):
        work(jobs, How("slurm"))
    with pytest.raises(ValueError, match="'local', 'gpu', 'slurm', 'kubernetes'"):
        How("cloud")


def test_a_training_that_is_asked_to_end_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch):
    long = replace(TINY, patches_seen=3200)
    command = [sys.executable, "-m", "sadefect", "train-one", as_argument(long)]
    train_experiment(long)
    whole = dict(trained(long))
    monkeypatch.setenv("SADEFECT_CACHE", str(tmp_path / "stopped"))
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    settings = training_folder(long) / "settings.json"
    while not settings.exists():
        assert first.poll() is None
        time.sleep(0.05)
    first.send_signal(signal.SIGTERM)
    said = first.communicate(timeout=120)[1]
    assert first.returncode == 75 and "stopped after" in said, said
    assert (training_folder(long) / "state.npz").exists()
    late = subprocess.run([*command, "--deadline", "1"], check=False, capture_output=True)
    assert late.returncode == 75 and b"the time is spent" in late.stderr
    subprocess.run(command, check=True)
    again = trained(long)
    assert all(np.array_equal(again[name], whole[name]) for name in whole)


@pytest.mark.torch
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_minutes_of_a_card_end_with_a_state_that_goes_on(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    long = replace(TINY, patches_seen=1_000_000)
    jobs, seen = training_jobs([long], Costs()), [0]
    for _ in range(2):
        work(jobs, How("gpu", backend=backend, deadline=time.time() + 45))
        with np.load(training_folder(long) / "state.npz") as state:
            seen.append(int(state["patches_seen"]))
    assert seen[0] < seen[1] < seen[2] < long.patches_seen


def test_a_trial_names_the_fastest_way():
    from sadefect.training.trial import trial

    rows = trial(TINY, seconds=0.2, backends=["tensorflow"])
    assert {row["workers"] * row["threads"] for row in rows} == {os.cpu_count()}
    speeds = [row["patches_per_second"] for row in rows]
    assert speeds == sorted(speeds, reverse=True) and speeds[0] > 0


@pytest.mark.parametrize(("engine_is_here", "threads"), [(True, 1), (False, 2)])
def test_one_job_at_a_time_gets_all_cores(monkeypatch, engine_is_here, threads):
    rows = [
        {"backend": "tensorflow", "workers": workers, "threads": count, "patches_per_second": speed}
        for workers, count, speed in ((2, 1, 60.0), (1, 2, 50.0))
    ]
    monkeypatch.setattr("sadefect.training.trial.trial", lambda experiment: rows)
    monkeypatch.setattr(engine, "has_engine", lambda: engine_is_here)
    long = SimpleNamespace(rule="train", seconds=7200.0)
    assert tried(TINY, [long], 60, "local").threads == threads


def fill_store(seen):
    pretend_trained(TINY)
    folder = training_folder(TINY)
    np.savez(folder / "state.npz", patches_seen=np.int64(seen), loss=np.full(1000, seen))
    (folder / "lock").touch()
    evaluation = store_folder() / "evaluations" / TINY.evaluation_key
    evaluation.mkdir(parents=True, exist_ok=True)
    (evaluation / "result.json").write_text("{}")
    counts = store_folder() / "false_alarms" / f"{TINY.evaluation_key}_0.05.json"
    counts.parent.mkdir(exist_ok=True)
    counts.write_text("[]")


def listed(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "lock" not in path.name
    }


def exchange_stores(url, tmp_path, monkeypatch):
    fill_store(320)
    own = listed(store_folder())
    assert push(url)["files"] == 4 and push(url) == {"files": 0, "bytes": 0, "there": 4}
    monkeypatch.setenv("SADEFECT_CACHE", str(tmp_path / "other"))
    assert pull(url)["files"] == 4
    assert listed(store_folder()) == own
    assert pull(url)["files"] == 0
    fill_store(640)  # The other machine goes on, and gives back.
    assert push(url)["files"] == 1
    monkeypatch.setenv("SADEFECT_CACHE", str(tmp_path / "store"))
    assert push(url)["files"] == 0  # What is behind takes nothing back.
    assert pull(url)["files"] == 1
    assert np.load(training_folder(TINY) / "state.npz")["patches_seen"] == 640


def test_stores_are_exchanged_through_a_folder(tmp_path, monkeypatch):
    pytest.importorskip("fsspec")
    exchange_stores(f"file://{tmp_path}/there", tmp_path, monkeypatch)


def test_an_exchange_goes_on_where_it_was_cut_and_refuses_damage(tmp_path, monkeypatch):
    pytest.importorskip("fsspec")
    url, objects = f"file://{tmp_path}/there", tmp_path / "there" / "objects"
    fill_store(320)
    push(url)
    monkeypatch.setenv("SADEFECT_CACHE", str(tmp_path / "other"))
    damaged = max(objects.iterdir(), key=lambda path: path.stat().st_size)
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1] + b"x")
    with pytest.raises(StoreError, match="expected a file of hash .* is damaged"):
        pull(url)
    damaged.write_bytes(content)
    counts = pull(url)
    assert counts["there"] == 2 and counts["files"] == 2  # A result, and weights, were there.
    with pytest.raises(StoreError, match="cannot open nowhere://"):
        push("nowhere://bucket")


def test_stores_are_exchanged_through_a_bucket(tmp_path, monkeypatch):
    pytest.importorskip("s3fs", reason="needs s3fs and moto")
    server = pytest.importorskip("moto.server", reason="needs s3fs and moto")
    bucket = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    bucket.start()
    try:
        host, port = bucket.get_host_and_port()
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir("sadefect")
        exchange_stores("s3://sadefect/store", tmp_path, monkeypatch)
    finally:
        bucket.stop()


@pytest.mark.parametrize("profile", engine.WORKFLOW_PROFILES)
def test_profiles_have_options_that_exist(profile):
    path = ROOT / "workflow" / "profiles" / profile / "config.yaml"
    options = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert options["rerun-incomplete"] and options["rerun-triggers"] == ["mtime"]
    if not has_engine():
        return
    from snakemake.cli import get_argument_parser

    known = {
        option.removeprefix("--")
        for action in get_argument_parser()._actions
        for option in action.option_strings
    }
    # Those of an executor are there where its plugin is.
    assert {name for name in options if not name.startswith("kubernetes-")} <= known


@needs_engine
def test_two_jobs_through_the_engine_give_the_numbers_of_a_run_by_hand(tmp_path, monkeypatch):
    from sadefect.paper.store import find

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    work_through = training_jobs([TINY], Costs())
    work_through += scoring_jobs([TINY], work_through, Costs())
    work(work_through)
    assert not list(store_folder().glob("workflow/*"))  # Nothing is left of a whole one.
    result, weights = find(TINY), dict(trained(TINY))
    monkeypatch.setenv("SADEFECT_CACHE", str(tmp_path / "by-hand"))
    threads = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    command = [sys.executable, "-m", "sadefect", "run-one", as_argument(TINY)]
    subprocess.run(command, check=True, env=os.environ | threads)
    assert find(TINY).metrics == result.metrics
    assert all(np.array_equal(array, weights[name]) for name, array in trained(TINY).items())


@needs_engine
def test_a_killed_workflow_names_what_to_do():
    jobs = training_jobs([TINY], Costs())
    locks = write_plan(jobs).parent / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    (locks / "0.output.lock").touch()
    with pytest.raises(StoreError, match="(?s)one was killed.*nothing is lost:.*--unlock$"):
        work(jobs)


@needs_engine
def test_ten_thousand_experiments_are_planned_in_seconds():
    script = """
import resource
from dataclasses import replace
from sadefect.paper.engine import How, work
from sadefect.paper.jobs import Costs, forecast, scoring_jobs, training_jobs
from test_workflow import TINY
points, costs = [replace(TINY, seed=seed) for seed in range(10_000)], Costs()
jobs = training_jobs(points, costs)
jobs += scoring_jobs(points, jobs, costs)
assert forecast(jobs)[-1]["jobs"] == 20_000
work(jobs, How(options=("--dry-run", "--quiet", "all")))
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(sum(use.ru_utime + use.ru_stime for use in used), max(use.ru_maxrss for use in used))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    # Of the processor, since other work on the machine counts in the time on the clock.
    seconds, kilobytes = done.stdout.splitlines()[-1].split()
    assert float(seconds) < 30 and int(kilobytes) < 1_000_000
