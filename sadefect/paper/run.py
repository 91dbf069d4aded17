"""Runs an experiment: trains it, scores it, keeps what comes out."""

import os
import time
from dataclasses import asdict

from sadefect.datasets import load_dataset
from sadefect.errors import StoreError
from sadefect.files import save_arrays, save_json, store_folder, whole
from sadefect.metrics import FPRS, PixelMetrics, summarise
from sadefect.paper.store import RETRAIN, asked_for_fresh, find, places, training_folder, weights
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

    for source, path in weights(experiment):
        return load_weights(experiment.build_model(), path), source
    raise StoreError(
        f"no weights of {experiment.training_key} after {experiment.patches_seen:,} patches; "
        "train them with sadefect.paper.run.train_experiment(experiment), or build the book with "
        "RETRAIN=1"
    )


def evaluate(experiment, model, dataset):
    """Score a model on a data set's test images, one image in memory at a time.

    Returns
    -------
    metrics, curves : dicts
        See `Result`.
    """
    from sadefect.anomaly_maps import scored_map

    _, held_out = dataset.split(experiment.train)
    total = len(held_out) + len(dataset.test)
    with progress(f"scoring {experiment.dataset} {experiment.method}", total, "images") as report:

        def maps(samples, done):
            for number, sample in enumerate(samples, done + 1):
                yield sample, scored_map(model, sample.image, experiment, experiment.seed).residual
                report(number)

        defect_free = [residual for _, residual in maps(held_out, 0)]
        pixels = PixelMetrics()
        for sample, residual in maps(dataset.test, len(held_out)):
            pixels.update(sample.mask, residual)
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

    fresh = asked_for_fresh()
    if (result := find(experiment, fresh=fresh)) is not None:
        return result
    folder = store_folder() / "evaluations" / experiment.evaluation_key
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if (result := find(experiment, fresh=fresh)) is None:
            _compute(experiment, folder, load_dataset(experiment.dataset, root), root)
    return result or find(experiment, fresh=fresh)


def _compute(experiment, folder, dataset, root):
    """Train, score and store an experiment."""
    if RETRAIN in asked_for_fresh() or not weights(experiment):
        train_experiment(experiment, root)
    model, source = trained_model(experiment)
    start = time.monotonic()
    metrics, curves = evaluate(experiment, model, dataset)
    history, seconds = _history(experiment)
    provenance = {
        "commit": commit(),
        "data": dataset.fingerprint,
        "weights": source,
        "seconds": {"training": seconds, "evaluation": time.monotonic() - start},
        "numerics": NUMERICS,
        "settings": experiment.training_settings | experiment.evaluation_settings,
        "versions": versions(),
        "machine": {"processor": processor(), "cores": os.cpu_count()},
    }
    result = {"experiment": asdict(experiment), "metrics": metrics, "provenance": provenance}
    with whole(folder) as temporary:
        save_json(temporary / "result.json", result)
        save_arrays(temporary / "curves.npz", **curves, **history)


def _history(experiment):
    """Return the loss curves up to the experiment's budget, and the seconds they took."""
    from sadefect.training.resume import loss_history

    (_, local), (_, recorded) = places("trainings", experiment.training_key)
    state = local / "state.npz"
    path = state if state.exists() else recorded / "history.npz"
    return loss_history(path, experiment.patches_seen)
