"""Long runs: what is trained and scored for the book, and what is kept of it."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from sadefect.files import load_arrays, save_arrays, store_folder
from sadefect.paper.comparisons import learning_curve, table_2_cells
from sadefect.paper.engine import work
from sadefect.paper.experiment import AUGMENTATIONS, AUGMENTED, Experiment
from sadefect.paper.jobs import Costs, is_trained, scoring_jobs, training_jobs
from sadefect.paper.numbers import BUDGET
from sadefect.paper.open_readings import READINGS
from sadefect.paper.store import (
    find,
    record_folder,
    recorded_folder,
    stored_results,
    training_folder,
)
from sadefect.training.resume import PARTS
from sadefect.training.trajectory import checkpoint_path, milestones

PAPERS_METHODS = ("ssim", "l2", "vae", "feature_matching")
SEEDS = (0, 1, 2)
BRANCH_AT = (160_000, 320_000)
CURVE = 4  # Milestones of a learning curve that are scored, the last ones.


def _of(dataset, methods=("ssim", "l2"), seeds=(0,), **settings):
    return [
        Experiment(dataset=dataset, method=method, seed=seed, **settings)
        for seed in seeds
        for method in methods
    ]


def _different(experiments):
    return list(dict.fromkeys(experiments))


# What is compared shares a group, and so a budget; in the order of their weight. Feature matching
# needs the extractor's weights under SADEFECT_WEIGHTS.
GROUPS = {
    "nanotwice": _of("nanotwice"),
    "methods": _of("nanotwice", PAPERS_METHODS),
    "fibres": _of("synthetic/fibres"),
    "weave": _of("synthetic/weave"),
    "twill": _of("synthetic/twill"),
    "grid": _of("mvtec_ad/grid", PAPERS_METHODS),
    "table2": _different(table_2_cells().values()),
    "seeds": _of("nanotwice", seeds=SEEDS),
    "grid-seeds": _of("mvtec_ad/grid", seeds=SEEDS),
    "readings": _different(
        experiment
        for reading in READINGS
        if reading.trains
        for experiment in reading.pair("nanotwice")
    ),
    # With new crops at every step in all symmetries of the square, and what they improve on.
    "augmented": _of("nanotwice", **AUGMENTED),
    "augmented-seeds": _of("nanotwice", seeds=SEEDS, **AUGMENTED),
    "ablation": [
        made for how in AUGMENTATIONS.values() for made in _of("nanotwice", ["ssim"], **how)
    ],
    "table2-augmented": _different(table_2_cells(**AUGMENTED).values()),
    "methods-augmented": [
        *_of("nanotwice", ["vae", "feature_matching"], **AUGMENTED),
        *_of("nanotwice", ["vae"], variance="learned", **AUGMENTED),
    ],
}


def branches(trunks, budget=BUDGET):
    """Return the decayed branches of a group: each lasts a quarter of what its trunk had seen.

    A group without fresh crops has none, and none leaves its trunk after the budget of the trunks.

    Examples
    --------
    >>> decayed = branches(GROUPS["ablation"])
    >>> [(branch.decay_from, branch.patches_seen) for branch in decayed[::3]]
    [(160000, 200000), (320000, 400000)]
    """
    if all(trunk.crops == "fixed" for trunk in trunks):
        return []
    return [
        replace(trunk, patches_seen=mark).branch
        for mark in BRANCH_AT
        if mark <= budget
        for trunk in trunks
    ]


def points_of(trunks, budget=BUDGET):
    """List what a group trains: branches before the trunks that they leave go on."""
    decayed = branches(trunks, budget)
    marks = {budget, *(branch.decay_from for branch in decayed)}
    points = [replace(trunk, patches_seen=mark) for mark in marks for trunk in trunks] + decayed
    return sorted(
        points, key=lambda point: (point.decay_from or point.patches_seen, point.decay_from)
    )


def scored_at(trunks, budget):
    """List the points of the learning curves of trunks that are scored."""
    marks = milestones(budget)[::-2][:CURVE]
    return [replace(trunk, patches_seen=mark) for mark in marks for trunk in trunks]


def jobs_for(groups, budget=BUDGET):
    """List trainings and scorings of the named groups, without what is in the store."""
    trunks = [trunk for name in groups for trunk in GROUPS[name]]
    points = [point for name in groups for point in points_of(GROUPS[name], budget)]
    decayed = [point for point in points if point.decay_from]
    costs = Costs()
    trainings = training_jobs(points, costs)
    scorings = scoring_jobs([*scored_at(trunks, budget), *decayed], trainings, costs)
    return [*trainings, *scorings]


def train_group(trunks, budget=BUDGET, how=None):
    """Train a group until the budget, or the time of ``how`` is spent; `StoreError` if that fails.

    Stopping is safe at any moment: each training goes on from its last state the next time. Returns
    the largest milestone that all trunks have reached; 0 if there is none.
    """
    work(training_jobs(points_of(trunks, budget), Costs()), how)
    reached = [
        mark
        for mark in milestones(budget)
        if all(is_trained(replace(trunk, patches_seen=mark)) for trunk in trunks)
    ]
    return max(reached, default=0)


def score(trunks, budget, decayed=(), how=None):
    """Score trunks at the budget and milestones before it, branches where they end.

    Returns a list of `Result`: all points of the learning curves up to the budget that were ever
    scored, and the branches.
    """
    work(scoring_jobs([*scored_at(trunks, budget), *decayed], (), Costs()), how)
    results = stored_results()
    return [
        result
        for trunk in trunks
        for result in learning_curve(trunk, results)
        if result.experiment.patches_seen <= budget
    ] + [find(branch) for branch in decayed]


def record(results):
    """Copy results from the store into ``recorded/``, with what takes them apart; return where."""
    written = []
    for result in results:
        key = result.experiment.evaluation_key
        if find(result.experiment, fresh=True) is not None:
            written.append(record_folder("evaluations", key))
        for kind in ("false_alarms", "remainder"):
            for path in (store_folder() / kind).glob(f"{key}_*.json"):
                target = recorded_folder() / kind / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                written.append(Path(shutil.copy(path, target)))
        _record_history(result.experiment)
    return written


def _record_history(experiment):
    """Copy the loss curves of a training, unless those of a longer one are recorded."""
    state = training_folder(experiment) / "state.npz"
    folder = recorded_folder() / "trainings" / experiment.training_key
    history = folder / "history.npz"
    if not state.exists():
        return
    arrays = load_arrays(state)
    known = int(load_arrays(history)["patches_seen"]) if history.exists() else 0
    if int(arrays["patches_seen"]) > known:
        names = ("history", "seconds", "patches_seen", "milestones")
        save_arrays(history, **{name: arrays[name] for name in names if name in arrays})
        for name in ("settings.json", PARTS):
            if (training_folder(experiment) / name).exists():
                shutil.copy(training_folder(experiment) / name, folder)


def record_weights(experiment):
    """Copy weights into ``recorded/``, as float16 of which the last three bits are 0.

    Seven bits of fraction change a map by less than the paper's own digits, and a file of them is a
    quarter smaller when compressed. Returns its path.
    """
    arrays = load_arrays(checkpoint_path(training_folder(experiment), experiment.patches_seen))
    folder = recorded_folder() / "trainings" / experiment.training_key
    path = checkpoint_path(folder, experiment.patches_seen)
    save_arrays(path, compressed=True, **{name: _short(array) for name, array in arrays.items()})
    return path


def _short(array):
    if not np.issubdtype(array.dtype, np.floating):
        return array
    bits = array.astype(np.float16).view(np.uint16).astype(np.uint32)
    return ((bits + 4) & 0xFFF8).astype(np.uint16).view(np.float16)
