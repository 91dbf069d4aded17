"""The verbs behind the book: long runs, on one machine or many."""

import json
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import Annotated

import typer

from sadefect import errors
from sadefect.cli.own_images import load_framework, usage
from sadefect.cli.printing import show_table
from sadefect.paper.numbers import BUDGET

# What a training exits with that was asked to end: of sysexits.h, "try again later". SLURM's
# RequeueExit may name it; Snakemake tries again in any case.
TRY_AGAIN = 75
WORTH_A_TRIAL = 600  # Seconds of work.
FORECAST = ("rule", "jobs", "core_hours", "gpu_hours", "gigabytes", "longest_hours")
TRIAL_COLUMNS = ("backend", "workers", "threads", "patches_per_second")


def record(
    minutes: Annotated[
        float, typer.Option(help="Time for training; it is resumed the next time.")
    ] = 60,
    group: Annotated[
        list[str] | None, typer.Option(help="What to train, one after the other.")
    ] = None,
    patches: Annotated[int, typer.Option(help="Budget of each training, at most.")] = BUDGET,
    weights: Annotated[
        list[int] | None, typer.Option(help="Seeds of which to record the last weights too.")
    ] = None,
    maps: Annotated[
        list[int] | None, typer.Option(help="Test images to record the map of.")
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what it would do and take, and do nothing.")
    ] = False,
    profile: Annotated[str, typer.Option(help="Where: local, gpu, slurm or kubernetes.")] = "local",
):
    """Train and score groups of experiments on SADEFECT_DATA, and write recorded/."""
    from sadefect.paper import recording
    from sadefect.paper.engine import WORKFLOW_PROFILES, How

    names = group or ["nanotwice"]
    with usage("--group"):
        for name in names:
            errors.require_choice("group", name, recording.GROUPS)
    with usage("--profile"):
        errors.require_choice("profile", profile, WORKFLOW_PROFILES)
    jobs = recording.jobs_for(names, patches)
    say_forecast(jobs, profile)
    if plan:
        say_plan(jobs, How(profile))
        return
    how = tried(recording.GROUPS[names[0]][0], jobs, minutes, profile)
    load_framework()
    from sadefect.paper import inspection
    from sadefect.paper.run import run

    for name in names:
        trunks = recording.GROUPS[name]
        # Each group has its own time, as the next one has.
        until = replace(how, deadline=time.time() + 60 * minutes)
        budget = recording.train_group(trunks, patches, until)
        if not budget:
            print(f"{name}: no milestone reached yet; run again to go on")
            continue
        decayed = list(filter(recording.is_trained, recording.branches(trunks, patches)))
        for path in recording.record(recording.score(trunks, budget, decayed, how)):
            print(path)
        for experiment in [*(replace(trunk, patches_seen=budget) for trunk in trunks), *decayed]:
            if experiment.seed in (weights or []):
                print(recording.record_weights(experiment))
            for number in maps or []:
                print(inspection.record_map(run(experiment), number))


def say_forecast(jobs, profile):
    """Print how many jobs there are, and what they take."""
    from sadefect.paper.jobs import forecast

    show_table("Forecast, from recorded results", FORECAST, forecast(jobs, gpu=profile == "gpu"))


def say_plan(jobs, how):
    """Print where the plan is, and the command that works through it."""
    from sadefect.paper.engine import has_engine, snakemake_command, write_plan

    if not has_engine():
        print("Without Snakemake these jobs are done one after another; make workflow-plan gets it")
        return
    path = write_plan(jobs)
    print(f"Plan: {path}")
    print(shlex.join(snakemake_command(path, how)))


def tried(experiment, jobs, minutes, profile):
    """Return how to work, after a trial of this machine where there is enough to do."""
    from sadefect.paper.engine import How, has_engine
    from sadefect.training.trial import trial

    seconds = sum(job.seconds for job in jobs if job.rule == "train")
    if profile != "local" or min(seconds, 60 * minutes) < WORTH_A_TRIAL:
        return How(profile)
    print("Trying what trains fastest here ...", flush=True)
    rows = trial(experiment)
    show_table("Training on this machine", TRIAL_COLUMNS, rows)
    # Without Snakemake one job runs at a time, and the other cores would be idle.
    best = next(row for row in rows if has_engine() or row["workers"] == 1)
    return How(profile, threads=best["threads"], backend=best["backend"])


def reproduce_all(book_profile, where, plan):
    """Train, score, execute and build all that the book is made of; or say what that takes."""
    from sadefect.cli.checkout import page_minutes
    from sadefect.paper import recording
    from sadefect.paper.engine import WORKFLOW_PROFILES, How, work
    from sadefect.paper.jobs import page_jobs

    with usage("--where"):
        errors.require_choice("where", where, WORKFLOW_PROFILES)
    jobs = recording.jobs_for(list(recording.GROUPS))
    jobs += page_jobs(page_minutes(book_profile), [job for job in jobs if job.rule == "score"])
    say_forecast(jobs, where)
    if plan:
        say_plan(jobs, How(where, book_profile=book_profile))
        return
    how = tried(recording.GROUPS["nanotwice"][0], jobs, float("inf"), where)
    work(jobs, replace(how, book_profile=book_profile))


def train_one(experiment: str, deadline: float = float("inf")):
    """Train the experiment that the JSON describes; on SIGTERM or at the deadline save and end.

    Of a list of experiments each is trained in a process of its own, one after another.
    """
    if time.time() >= deadline:  # Before a framework is imported.
        raise errors.TrainingStopped("the time is spent; run again to go on")
    settings = json.loads(experiment)
    if isinstance(settings, list):
        _one_after_another("train-one", settings, "--deadline", str(deadline))
        return
    from sadefect.training.stopping import listen

    listen(deadline)
    from sadefect.paper.experiment import Experiment
    from sadefect.paper.run import train_experiment

    train_experiment(Experiment(**settings))


def run_one(experiment: str):
    """Train and score the experiment that the JSON describes, unless its result is there."""
    from sadefect.paper.experiment import Experiment
    from sadefect.paper.run import run

    settings = json.loads(experiment)
    for values in settings if isinstance(settings, list) else [settings]:
        run(Experiment(**values))


def _one_after_another(verb, settings, *options):
    """Run a verb for each experiment, and pass on SIGTERM, which ends the list."""
    for values in settings:
        command = [sys.executable, "-m", "sadefect", verb, json.dumps(values), *options]
        with subprocess.Popen(command) as process:
            signal.signal(signal.SIGTERM, lambda *_, child=process: child.terminate())
        if process.returncode:
            raise typer.Exit(process.returncode)
