"""Runs an experiment: trains it, scores it, keeps what comes out."""

import os
import time
from dataclasses import asdict

from sadefect.datasets import load_dataset
from sadefect.errors import StoreError
from sadefect.files import save_arrays, save_json, whole
from sadefect.metrics import FPRS, PixelMetrics, summarise
from sadefect.paper.store import find, places, recorded_folder, store, training_folder
from sadefect.progress import progress
from sadefect.provenance import NUMERICS, commit, processor, versions
from sadefect.segmentation import threshold_for_fpr


def training_of(experiment, root=None):
    """Return the `Training` of an experiment in the store, with the one that it branches off."""
    from sadefect.training.resume import Training

    def images():
        split = load_dataset(experiment.dataset, root).split(experiment.train)
        trained_on, held_out = ([sample.image for sample in part] for part in split)
        return trained_on, held_out if experiment.train == "split" else []

    return Training(
        training_folder(experiment),
        experiment,
        images,
        lambda: experiment.training_settings,
        experiment.training_key,
        training_of(experiment.trunk, root) if experiment.trunk else None,
        experiment.decay_from,
    )


def train_experiment(experiment, root=None):
    """Train an experiment's model up to its budget, or resume it; one process at a time.

    Returns
    -------
    Path
        The checkpoint.

    Raises
    ------
    DatasetNotFound
        If the training images are not there.
    TrainingDiverged
        If going on would be a waste.
    """
    return training_of(experiment, root).checkpoint(experiment.patches_seen)


def trained_model(experiment):
    """Load an experiment's trained model, from the store or from ``recorded/``.

    Returns
    -------
    model : keras.Model
    source : {"local", "recorded"}
        Recorded weights are float16, and there for a few headline experiments only.

    Raises
    ------
    StoreError
        If neither has weights for this budget.
    """
    from sadefect.training.loop import load_weights

    for source, path in _weights(experiment):
        return load_weights(experiment.build_model(), path), source
    raise StoreError(
        f"no weights of {experiment.training_key} after {experiment.patches_seen:,} patches; "
        "train them with sadefect.paper.run.train_experiment(experiment), or build the book with "
        "RETRAIN=1"
    )


def has_weights(experiment):
    """Return whether `trained_model` finds weights."""
    return any(True for _ in _weights(experiment))


def _weights(experiment):
    from sadefect.training.trajectory import checkpoint_path

    for source, folder in places("trainings", experiment.training_key):
        path = checkpoint_path(folder, experiment.patches_seen)
        if path.exists():
            yield source, path


def evaluate(experiment, model, dataset):
    """Score a model on a data set's test images, one image in memory at a time.

    Returns
    -------
    metrics : dict
        See `Result`.
    curves : dict of arrays
        See `Result`.
    """
    from sadefect.anomaly_maps import scored_map

    def score(sample):
        return scored_map(model, sample.image, experiment, experiment.seed).residual

    _, held_out = dataset.split(experiment.train)
    total = len(held_out) + len(dataset.test)
    with progress(f"scoring {experiment.dataset} {experiment.method}", total, "images") as report:
        defect_free = []
        for number, sample in enumerate(held_out, 1):
            defect_free.append(score(sample))
            report(number)
        pixels = PixelMetrics()
        for number, sample in enumerate(dataset.test, 1 + len(held_out)):
            pixels.update(sample.mask, score(sample))
            report(number)
    return summarise(pixels, [threshold_for_fpr(defect_free, fpr) for fpr in FPRS])


def run(experiment, root=None):
    """Return the result of an experiment: found, or computed and stored.

    With ``SADEFECT_REEVALUATE=1`` recorded metrics are not used, with ``SADEFECT_RETRAIN=1``
    neither are recorded weights; what the store holds is used in both cases, so that a stopped
    computation goes on.

    Parameters
    ----------
    experiment : Experiment
    root : path, optional
        Where the data set is, as in `load_dataset`.

    Returns
    -------
    Result

    Raises
    ------
    DatasetNotFound
        If it has to be computed and the images are not there.
    """
    from filelock import FileLock

    fresh = _flag("SADEFECT_RETRAIN") or _flag("SADEFECT_REEVALUATE")
    if (result := find(experiment, fresh=fresh)) is not None:
        return result
    folder = store() / "evaluations" / experiment.evaluation_key
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if (result := find(experiment, fresh=fresh)) is not None:
            return result
        dataset = load_dataset(experiment.dataset, root)
        try:
            if _flag("SADEFECT_RETRAIN"):
                train_experiment(experiment, root)
            model, weights = trained_model(experiment)
        except StoreError:
            train_experiment(experiment, root)
            model, weights = trained_model(experiment)
        start = time.monotonic()
        metrics, curves = evaluate(experiment, model, dataset)
        history, seconds = history_of(experiment)
        provenance = {
            "commit": commit(),
            "data": dataset.fingerprint,
            "weights": weights,
            "seconds": {"training": seconds, "evaluation": time.monotonic() - start},
            "numerics": NUMERICS,
            "settings": experiment.training_settings | experiment.evaluation_settings,
            "versions": versions(),
            "machine": {"processor": processor(), "cores": os.cpu_count()},
        }
        with whole(folder) as temporary:
            save_json(
                temporary / "result.json",
                {"experiment": asdict(experiment), "metrics": metrics, "provenance": provenance},
            )
            save_arrays(temporary / "curves.npz", **curves, **history)
    return find(experiment, fresh=fresh)


def history_of(experiment):
    """Return the loss curves up to the experiment's budget, and the seconds they took."""
    from sadefect.training.resume import loss_history

    state = training_folder(experiment) / "state.npz"
    recorded = recorded_folder() / "trainings" / experiment.training_key / "history.npz"
    return loss_history(state if state.exists() else recorded, experiment.patches_seen)


def _flag(name):
    return os.environ.get(name, "") not in ("", "0")
