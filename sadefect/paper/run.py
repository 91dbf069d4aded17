"""Runs an experiment: trains it, scores it, keeps what comes out."""

import time
from dataclasses import asdict

from sadefect.datasets import load_dataset
from sadefect.errors import StoreError
from sadefect.metrics import FPRS, PixelMetrics, summarise
from sadefect.paper.store import (
    RETRAIN,
    Result,
    asked_for_fresh,
    claimed,
    find,
    keep,
    training_folder,
    weights,
)
from sadefect.progress import progress
from sadefect.provenance import NUMERICS, made_by
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

    Returns the path of the checkpoint. Raises `DatasetNotFound` if the training images are not
    there, and `TrainingDiverged` if going on would be a waste.
    """
    return training_of(experiment, root).checkpoint(experiment.patches_seen)


def trained_model(experiment):
    """Load an experiment's trained model, and say where it is from: "local" or "recorded".

    Recorded weights are float16, and there for a few headline experiments only. Raises `StoreError`
    if neither the store nor ``recorded/`` has weights for this budget.
    """
    from sadefect.training.loop import load_weights

    for source, path in weights(experiment):
        return load_weights(experiment.build_model(), path), source
    raise StoreError(
        f"no weights of {experiment.training_key} after {experiment.patches_seen:,} patches; "
        "train them with sadefect.paper.run.train_experiment(experiment), or build the book with "
        "RETRAIN=1"
    )


def evaluate_network(experiment, model, dataset):
    """Score a model on a data set's test images; see `evaluate_maps`."""
    from sadefect.anomaly_maps import scored_map

    def residual(image):
        return scored_map(model, image, experiment, experiment.seed).residual

    return evaluate_maps(residual, dataset, experiment.train, experiment.method)


def evaluate_maps(map_of, dataset, train, method):
    """Score a method, whose name the progress bar shows, on test images, one in memory at a time.

    ``map_of`` gives the map of an image, ``train`` is as of `Experiment`: the images held out give
    the thresholds. Returns metrics and curves, two dicts, as `Result` has them.
    """
    _, held_out = dataset.split(train)
    samples = [*held_out, *dataset.test]
    defect_free, pixels = [], PixelMetrics()
    with progress(f"scoring {dataset.name} {method}", len(samples), "images") as report:
        for number, sample in enumerate(samples, 1):
            map = map_of(sample.image)
            if number <= len(held_out):
                defect_free.append(map)
            else:
                pixels.update(sample.mask, map)
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
    fresh = asked_for_fresh()
    if (result := find(experiment, fresh=fresh)) is not None:
        return result
    with claimed("evaluations", experiment.evaluation_key) as folder:
        return find(experiment, fresh=fresh) or _compute(experiment, folder, root)


def _compute(experiment, folder, root):
    """Train, score and store an experiment; return its `Result`."""
    from sadefect.training.loop import load_weights
    from sadefect.training.resume import loss_history, parts_until

    dataset = load_dataset(experiment.dataset, root)
    known = [] if RETRAIN in asked_for_fresh() else weights(experiment)
    source, path = known[0] if known else ("local", train_experiment(experiment, root))
    model = load_weights(experiment.build_model(), path)
    start = time.monotonic()
    metrics, curves = evaluate_network(experiment, model, dataset)
    evaluation = time.monotonic() - start
    # Beside the weights: a state that can be resumed, or what was recorded of one.
    state = path.parents[1] / "state.npz"
    state = state if state.exists() else path.parents[1] / "history.npz"
    history, training = loss_history(state, experiment.patches_seen)
    provenance = made_by() | {
        "data": dataset.fingerprint,
        "weights": source,
        "seconds": {"training": training, "evaluation": evaluation},
        "numerics": NUMERICS,
        "settings": experiment.training_settings | experiment.evaluation_settings,
    }
    if parts := parts_until(path.parents[1], experiment.patches_seen):
        ends = [*(part["at"] for part in parts[1:]), training]  # Unknown without a state.
        provenance["trained_by"] = [
            part | {"seconds": None if end is None else end - part["at"]}
            for part, end in zip(parts, ends, strict=True)
        ]
    result = {"experiment": asdict(experiment), "metrics": metrics, "provenance": provenance}
    curves |= history
    keep(folder, result, curves=curves)
    return Result(experiment, metrics, curves, provenance, "local", folder.name)
