"""Long runs on one machine: several one-thread trainings side by side, and what is kept of them."""

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
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
AUGMENTED = {"crops": "fresh", "symmetries": "all"}


def _of(dataset, methods=("ssim", "l2"), seeds=(0,), **settings):
    return [
        Experiment(dataset=dataset, method=method, seed=seed, **settings)
        for seed in seeds
        for method in methods
    ]


def _table_2(**settings):
    """Make the cells of table 2, one setting changed at a time; the one in the centre once."""
    cells = [
        Experiment(dataset="nanotwice", **{name: value}, **settings)
        for name, column in TABLE_2.items()
        for value in column
    ]
    return list(dict.fromkeys(cells))


def _readings():
    """Make both readings of each open question that needs a training of its own."""
    pairs = [reading.pair("nanotwice") for reading in READINGS if reading.trains]
    return list(dict.fromkeys(experiment for pair in pairs for experiment in pair))


# What is compared shares a group, and so a budget; in the order of their weight.
GROUPS = {
    "nanotwice": _of("nanotwice"),
    "methods": _of("nanotwice", PAPERS_METHODS),
    "fibres": _of("synthetic/fibres"),
    "weave": _of("synthetic/weave"),
    "twill": _of("synthetic/twill"),
    "grid": _of("mvtec_ad/grid", PAPERS_METHODS),
    "table2": _table_2(),
    "seeds": _of("nanotwice", seeds=SEEDS),
    "grid-seeds": _of("mvtec_ad/grid", seeds=SEEDS),
    "readings": _readings(),
    "imagenet": [  # With the extractor's weights under SADEFECT_WEIGHTS.
        *_of("nanotwice", ["feature_matching"]),
        *_of("mvtec_ad/grid", ["feature_matching"]),
    ],
}
# Those with new crops at every step in all symmetries of the square, and what they improve on. They
# have decayed branches too, so each of them shares several budgets.
BRANCHED = {
    "augmented": _of("nanotwice", **AUGMENTED),
    "augmented-seeds": _of("nanotwice", seeds=SEEDS, **AUGMENTED),
    "ablation": [
        *_of("nanotwice", ["ssim"]),
        *_of("nanotwice", ["ssim"], crops="fresh"),
        *_of("nanotwice", ["ssim"], **AUGMENTED),
    ],
    "table2-augmented": _table_2(**AUGMENTED),
    "methods-augmented": [
        *_of("nanotwice", ["vae"], **AUGMENTED),
        *_of("nanotwice", ["vae"], variance="learned", **AUGMENTED),
        *_of("nanotwice", ["feature_matching"], **AUGMENTED),
    ],
}
GROUPS |= BRANCHED
BRANCH_AT = (160_000, 320_000)


def branches(name, budget=BUDGET):
    """Return the decayed branches of a group: each lasts a quarter of what its trunk had seen.

    Parameters
    ----------
    name : str
        A key of `GROUPS`; none but those of `BRANCHED` have branches.
    budget : int
        Of the trunks; no branch leaves them later.

    Returns
    -------
    list of Experiment

    Examples
    --------
    >>> [(branch.decay_from, branch.patches_seen) for branch in branches("ablation")[::3]]
    [(160000, 200000), (320000, 400000)]
    """
    return [
        replace(trunk, decay_from=mark, patches_seen=mark + mark // 4)
        for mark in BRANCH_AT
        if mark <= budget
        for trunk in BRANCHED.get(name, ())
    ]


def is_trained(experiment):
    """Return whether the store has the weights of an experiment."""
    return checkpoint_path(training_folder(experiment), experiment.patches_seen).exists()


def train_group(name, minutes, budget=BUDGET):
    """Train a group side by side, one thread each, until the budget or the time is spent.

    Decayed branches of a group in `BRANCHED` are trained when all its trunks are where they leave,
    before these go on. Stopping is safe at any moment: each training goes on from its last state
    the next time.

    Returns
    -------
    int
        The largest milestone that all trunks have reached; 0 if there is none.

    Raises
    ------
    StoreError
        If a training fails.
    """
    deadline = time.monotonic() + 60 * minutes
    trunks, leaving = GROUPS[name], branches(name, budget)
    for mark in sorted({budget, *(branch.decay_from for branch in leaving)}):
        there = [replace(trunk, patches_seen=mark) for trunk in trunks]
        for stage in (there, [branch for branch in leaving if branch.decay_from == mark]):
            untrained = [experiment for experiment in stage if not is_trained(experiment)]
            _side_by_side("train-one", untrained, deadline)
    return reached(trunks, budget)


def _side_by_side(verb, experiments, deadline=float("inf")):
    """Give each experiment to a process of its own with one thread, as many as there are cores.

    At the deadline they are stopped. Where one fails, no other is begun.
    """
    threads = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    environment = os.environ | dict.fromkeys(threads, "1") | {"TF_CPP_MIN_LOG_LEVEL": "3"}

    def work(experiment):
        command = [sys.executable, "-m", "sadefect", verb, json.dumps(asdict(experiment))]
        if (left := deadline - time.monotonic()) > 0:
            with suppress(subprocess.TimeoutExpired):
                subprocess.run(command, env=environment, timeout=left, check=True)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            list(pool.map(work, experiments))
        except subprocess.CalledProcessError as error:
            raise StoreError(f"{verb} stopped with the error above; nothing is lost") from error


def reached(experiments, budget=BUDGET):
    """Return the largest milestone for which all have a checkpoint; 0 if there is none."""
    trained = [
        mark
        for mark in milestones(budget)
        if all(is_trained(replace(experiment, patches_seen=mark)) for experiment in experiments)
    ]
    return max(trained, default=0)


def score(experiments, budget, decayed=(), curve=4):
    """Score at the budget and at milestones before it, the last ``curve`` of them, side by side.

    Parameters
    ----------
    experiments : list of Experiment
    budget : int
    decayed : list of Experiment
        Branches that are scored where they end.
    curve : int

    Returns
    -------
    list of Result
        All points of the learning curves up to the budget that were ever scored, and the branches.
    """
    marks = milestones(budget)[::-2][:curve]
    points = [replace(trunk, patches_seen=mark) for mark in marks for trunk in experiments]
    points += decayed
    _side_by_side("run-one", [point for point in points if find(point) is None])
    curves = [
        result
        for trunk in experiments
        for result in learning_curve(replace(trunk, patches_seen=budget))
        if result.experiment.patches_seen <= budget
    ]
    return curves + [find(branch) for branch in decayed]


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
            history = folder / "history.npz"
            arrays = load_arrays(state)
            known = int(load_arrays(history)["patches_seen"]) if history.exists() else 0
            if int(arrays["patches_seen"]) > known:  # A longer one tells more.
                names = ("history", "seconds", "patches_seen", "milestones")
                save_arrays(history, **{name: arrays[name] for name in names if name in arrays})
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
