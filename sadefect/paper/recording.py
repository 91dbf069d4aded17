"""Long runs on one machine: several one-thread trainings side by side, and what is kept of them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from sadefect.errors import StoreError
from sadefect.files import load_arrays, save_arrays, whole
from sadefect.paper.comparisons import learning_curve
from sadefect.paper.experiment import Experiment
from sadefect.paper.numbers import BUDGET, TABLE_2
from sadefect.paper.open_readings import READINGS
from sadefect.paper.store import find, recorded_folder, store, training_folder
from sadefect.training.trajectory import checkpoint_path, milestones

PAPERS_METHODS = ("ssim", "l2", "vae", "feature_matching")
SEEDS = (0, 1, 2)


def _of(dataset, methods=("ssim", "l2"), seeds=(0,)):
    return [Experiment(dataset=dataset, method=one, seed=seed) for seed in seeds for one in methods]


def _readings():
    """Both readings of each open question that needs a training of its own."""
    pairs = [reading.pair("nanotwice") for reading in READINGS if reading.trains]
    return list(dict.fromkeys(one for pair in pairs for one in pair))


# What is compared shares a group, and so a budget; in the order of their weight.
GROUPS = {
    "nanotwice": _of("nanotwice"),
    "methods": _of("nanotwice", PAPERS_METHODS),
    "fibres": _of("synthetic/fibres"),
    "weave": _of("synthetic/weave"),
    "twill": _of("synthetic/twill"),
    "grid": _of("mvtec_ad/grid", PAPERS_METHODS),
    "table2": [
        Experiment(dataset="nanotwice", **{setting: value})
        for setting, column in TABLE_2.items()
        for value in column
        if value != getattr(Experiment(dataset="nanotwice"), setting)
    ]
    + _of("nanotwice", ["ssim"]),
    "seeds": _of("nanotwice", seeds=SEEDS),
    "grid-seeds": _of("mvtec_ad/grid", seeds=SEEDS),
    "readings": _readings(),
    "imagenet": [  # With the extractor's weights under SADEFECT_WEIGHTS.
        Experiment(dataset=dataset, method="feature_matching", features="imagenet")
        for dataset in ("nanotwice", "mvtec_ad/grid")
    ],
}


def train_for(experiments, minutes, budget=BUDGET):
    """Train side by side, one thread each, until the budget or the time is spent.

    Stopping is safe at any moment: each training goes on from its last state the next time.

    Returns
    -------
    int
        The largest milestone that all of them have reached; 0 if there is none.

    Raises
    ------
    StoreError
        If a training fails.
    """
    _side_by_side("train-one", [replace(one, patches_seen=budget) for one in experiments], minutes)
    return reached(experiments, budget)


def _side_by_side(verb, experiments, minutes=float("inf")):
    """Give each experiment to a process of its own with one thread, as many as there are cores."""
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    deadline = time.monotonic() + 60 * minutes
    waiting, working = list(experiments), []
    try:
        while (waiting or working) and time.monotonic() < deadline:
            while waiting and len(working) < (os.cpu_count() or 1):
                command = [sys.executable, "-m", "sadefect", verb]
                working.append(
                    subprocess.Popen(
                        [*command, json.dumps(asdict(waiting.pop(0)))], env=environment
                    )
                )
            for process in [one for one in working if one.poll() is not None]:
                working.remove(process)
                if process.returncode:
                    raise StoreError(f"{verb} stopped with the error above; nothing is lost")
            time.sleep(1)
    finally:
        for process in working:
            process.send_signal(signal.SIGTERM)
        for process in working:
            process.wait()


def reached(experiments, budget=BUDGET):
    """The largest milestone for which all have a checkpoint; 0 if there is none."""
    done = [
        mark
        for mark in milestones(budget)
        if all(checkpoint_path(training_folder(one), mark).exists() for one in experiments)
    ]
    return max(done, default=0)


def score(experiments, budget, curve=4):
    """Score at the budget and at milestones before it, the last ``curve`` of them, side by side.

    Returns
    -------
    list of Result
        All points of the learning curves up to the budget that were ever scored.
    """
    marks = milestones(budget)[::-2][:curve]
    points = [
        replace(experiment, patches_seen=mark) for mark in marks for experiment in experiments
    ]
    _side_by_side("run-one", [point for point in points if find(point) is None])
    return [
        result
        for experiment in experiments
        for result in learning_curve(replace(experiment, patches_seen=budget))
        if result.experiment.patches_seen <= budget
    ]


def record(results, destination=None):
    """Copy results from the store into ``recorded/``: metrics, curves, provenance.

    Returns
    -------
    list of Path
    """
    destination, written = destination or recorded_folder(), []
    for result in results:
        experiment = result.experiment
        target = destination / "evaluations" / experiment.evaluation_key
        if find(experiment, fresh=True) is not None:
            shutil.rmtree(target, ignore_errors=True)
            with whole(target) as temporary:
                shutil.copytree(store() / "evaluations" / experiment.evaluation_key, temporary)
            written.append(target)
        for path in (store() / "false_alarms").glob(f"{experiment.evaluation_key}_*.json"):
            (destination / "false_alarms").mkdir(parents=True, exist_ok=True)
            written.append(Path(shutil.copy(path, destination / "false_alarms")))
        state = training_folder(experiment) / "state.npz"
        if state.exists():
            folder = destination / "trainings" / experiment.training_key
            curve = folder / "history.npz"
            kept = load_arrays(state)
            known = int(load_arrays(curve)["patches_seen"]) if curve.exists() else 0
            if int(kept["patches_seen"]) > known:  # A longer one tells more.
                names = ("history", "seconds", "patches_seen", "milestones")
                save_arrays(curve, **{name: kept[name] for name in names if name in kept})
                shutil.copy(training_folder(experiment) / "settings.json", folder)
    return written


def record_weights(experiment, destination=None):
    """Copy weights into ``recorded/``, as float16 of which the last three bits are 0.

    Seven bits of fraction change a map by less than the paper's own digits, and a file of them is a
    quarter smaller when compressed.

    Returns
    -------
    Path
    """
    arrays = load_arrays(checkpoint_path(training_folder(experiment), experiment.patches_seen))
    path = checkpoint_path(
        (destination or recorded_folder()) / "trainings" / experiment.training_key,
        experiment.patches_seen,
    )
    save_arrays(path, compressed=True, **{name: _short(array) for name, array in arrays.items()})
    return path


def _short(array):
    if not np.issubdtype(array.dtype, np.floating):
        return array
    bits = array.astype(np.float16).view(np.uint16).astype(np.uint32)
    return ((bits + 4) & 0xFFF8).astype(np.uint16).view(np.float16)
