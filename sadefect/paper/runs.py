"""Running an experiment: train it, score it, keep what comes out. The only place that computes."""

import os
import shutil
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, replace

import numpy as np

from sadefect.datasets import load_dataset
from sadefect.errors import DataError, StoreError
from sadefect.files import explained, load_arrays, save_arrays, save_json, whole
from sadefect.metrics import FPRS, PixelMetrics
from sadefect.paper.experiment import LOSS_FIELDS, NUMERICS, Experiment
from sadefect.paper.store import (
    find,
    largest_budget,
    learning_curve,
    places,
    recorded_folder,
    results,
    store,
    training_folder,
)
from sadefect.patches import RandomPatches
from sadefect.provenance import commit, processor, versions

ROC_POINTS = 1_000  # Of a stored curve.
HISTORY = 1_000  # Patches by which a loss curve may end after the budget.


def build_loss(experiment):
    """The loss that an experiment's model is trained with; its options are checked here."""
    import keras

    from sadefect.losses import L1SSIMLoss, MultiScaleSSIMLoss
    from sadefect.models import GaussianLoss
    from sadefect.structural_similarity import SSIMLoss

    if experiment.method == "feature_matching":
        from sadefect.features import FeatureMatchingLoss

        return FeatureMatchingLoss(source=experiment.features, weight=experiment.feature_weight)
    if experiment.method in ("l2", "vae"):
        learned = experiment.method == "vae" and experiment.variance == "learned"
        return GaussianLoss() if learned else keras.losses.MeanSquaredError()
    options = {name: getattr(experiment, name) for name in LOSS_FIELDS}
    kind = {"ssim": SSIMLoss, "ms_ssim": MultiScaleSSIMLoss, "l1_ssim": L1SSIMLoss}
    return kind[experiment.method](data_range=1.0, **options)


def build_model(experiment):
    """An experiment's model with the weights that its trajectory starts from."""
    import keras

    from sadefect.models import build_autoencoder, build_vae

    schedule = experiment.optimisation()
    l2 = schedule.weight_decay / 2 if schedule.decay == "l2" else 0
    keras.utils.set_random_seed(experiment.seed)
    network = (experiment.patch_size, experiment.latent_dim, experiment.output_activation)
    options = {"kernel_regularizer": keras.regularizers.L2(l2) if l2 else None}
    if experiment.method == "vae":
        own = {name: getattr(experiment, name) for name in ("variance", "kl_weight", "seed")}
        return build_vae(*network, **own, **options)
    return build_autoencoder(*network, **options)


def train(experiment, root=None):
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

    def images():
        split = load_dataset(experiment.dataset, root).split(experiment.train)
        trained_on, held_out = ([sample.image for sample in part] for part in split)
        return trained_on, held_out if experiment.train == "split" else []

    folder, trunk = training_folder(experiment), experiment.trunk
    if trunk is not None and not (folder / "state.npz").exists():
        branch_off(folder, trunk, images)
    return train_in(
        folder,
        experiment,
        images,
        lambda: experiment.training_settings,
        experiment.training_key,
    )


def branch_off(folder, trunk, read_images):
    """Begin a training in a folder with the state that another has after its budget.

    The state is taken from the store, or trained where it was not kept.
    """
    from sadefect import training

    source = training_folder(trunk)
    state = training.state_path(source, trunk.patches_seen)
    if not state.exists():
        train_in(
            source,
            trunk,
            read_images,
            lambda: trunk.training_settings,
            trunk.training_key,
            result=state,
        )
    with _alone(folder), whole(folder / "state.npz") as temporary:
        shutil.copy(state, temporary)


def train_in(folder, experiment, read_images, settings, label, result=None):
    """Train an experiment's model in a folder up to its budget, or resume it there.

    Parameters
    ----------
    folder : Path
        Holds one trajectory, which a larger budget continues.
    experiment : Experiment
    read_images, settings : callables
        Give the images to train on and those held out, and what the trajectory depends on; called
        if there is something to train.
    label : str
        For the progress bar.
    result : Path, optional
        The file that is wanted; by default the checkpoint.

    Returns
    -------
    Path
        The file.
    """
    from sadefect import training
    from sadefect.models import precision

    checkpoint = training.checkpoint_path(folder, experiment.patches_seen)
    result = result or checkpoint
    if result.exists():
        return result
    with _alone(folder):
        if result.exists():  # Another process has trained it while this one waited.
            return result
        images, held_out = read_images()
        patches = RandomPatches(
            images,
            experiment.patch_size,
            experiment.n_patches,
            experiment.seed,
            crops=experiment.crops,
            symmetries=experiment.symmetries,
        )
        target = folder
        state = folder / "state.npz"
        if state.exists():
            try:
                beyond = int(load_arrays(state)["patches_seen"]) >= experiment.patches_seen
            except StoreError as error:
                print(f"Training starts again: {error}")
                state.unlink()
                beyond = False
            # A trajectory cannot go back: an earlier point without a checkpoint is trained again.
            target = folder / f"to-{experiment.patches_seen}" if beyond else folder
        save_json(folder / "settings.json", settings())
        decay_from, budget = experiment.decay_from, experiment.patches_seen
        with precision(experiment.precision):
            model = build_model(experiment)
        training.train(
            model,
            build_loss(experiment),
            patches,
            experiment.optimisation(),
            budget,
            target,
            label=label,
            decay=(decay_from, budget - decay_from) if decay_from else None,
            averaging=experiment.averaging,
            held_out=held_out,
            # Weights within a decay are of use to nobody.
            **({"keep": lambda budget: [budget]} if decay_from else {}),
        )
        if target != folder:
            for path_of in (training.checkpoint_path, training.state_path):
                path_of(folder, budget).parent.mkdir(exist_ok=True)
                os.replace(path_of(target, budget), path_of(folder, budget))
            shutil.rmtree(target)
    return result


@contextmanager
def _alone(folder):
    """One process at a time in a folder of the store; others wait, and say so."""
    from filelock import FileLock, Timeout

    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print("another process trains this; waiting for its end", file=sys.stderr, flush=True)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def load_model(experiment):
    """An experiment's trained model, from the store or from ``recorded/``.

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
    from sadefect.training import checkpoint_path, load_weights

    for source, folder in places("trainings", experiment.training_key):
        path = checkpoint_path(folder, experiment.patches_seen)
        if path.exists():
            return load_weights(build_model(experiment), path), source
    raise StoreError(
        f"no weights of {experiment.training_key} after {experiment.patches_seen:,} patches; "
        "train them with sadefect.paper.runs.train(experiment), or build the book with RETRAIN=1"
    )


def scored(experiment, model, image):
    """The residual map of an image as it is scored, opened, and the reconstruction."""
    from scipy import ndimage

    from sadefect.anomaly_maps import anomaly_map
    from sadefect.segmentation import opening

    found = anomaly_map(
        model,
        image,
        experiment.residual,
        stride=experiment.stride,
        average=experiment.average,
        **experiment.residual_options(),
    )
    residual = found.residual
    if experiment.smoothing:
        residual = ndimage.gaussian_filter(residual, experiment.smoothing)
    return opening(residual, experiment.opening), found.reconstruction


def evaluate(experiment, model, dataset):
    """Score a model on a data set's test images, one image in memory at a time.

    Returns
    -------
    metrics : dict
        See `Result`.
    curves : dict of arrays
        See `Result`.
    """
    from sadefect.progress import progress
    from sadefect.segmentation import threshold_for_fpr

    def score(sample):
        return scored(experiment, model, sample.image)[0]

    _, held_out = dataset.split(experiment.train)
    total = len(held_out) + len(dataset.test)
    with progress(f"scoring {experiment.dataset} {experiment.method}", total, "images") as report:
        defect_free = []
        for done, sample in enumerate(held_out, 1):
            defect_free.append(score(sample))
            report(done)
        pixels = PixelMetrics()
        for done, sample in enumerate(dataset.test, 1 + len(held_out)):
            pixels.update(sample.mask, score(sample))
            report(done)
    return summarise(pixels, [threshold_for_fpr(defect_free, fpr) for fpr in FPRS])


def summarise(pixels, thresholds):
    """Metrics and curves of the pixels seen, as `Result` holds them."""
    fpr, tpr, _ = pixels.roc_curve()
    grid = np.unique(np.concatenate([[0], np.geomspace(1e-4, 1, ROC_POINTS)]))
    overlap = pixels.per_region_overlap(FPRS)
    metrics = {
        "auroc": pixels.auroc(),
        "aupro": pixels.aupro(limit=0.3),
        "overlap": {
            f"{fpr:g}": dict(zip(("q25", "median", "q75"), quantiles.tolist(), strict=True))
            for fpr, quantiles in zip(FPRS, overlap.quantiles, strict=True)
        },
        "regions": int(overlap.overlaps.shape[1]),
        "thresholds": {f"{threshold.fpr:g}": threshold.value for threshold in thresholds},
        "threshold_images": thresholds[0].images,
    }
    curves = {
        "fpr": grid,
        "tpr": np.interp(grid, fpr, tpr),
        "overlap_fprs": np.array(FPRS),
        "region_overlaps": overlap.overlaps.astype("float32"),
        "region_areas": overlap.areas,
        "region_images": overlap.images,
    }
    return metrics, curves


def run(experiment, root=None):
    """The result of an experiment: found, or computed and stored.

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
    if (found := find(experiment, fresh=fresh)) is not None:
        return found
    folder = store() / "evaluations" / experiment.evaluation_key
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if (found := find(experiment, fresh=fresh)) is not None:
            return found
        dataset = load_dataset(experiment.dataset, root)
        try:
            if _flag("SADEFECT_RETRAIN"):
                train(experiment, root)
            model, weights = load_model(experiment)
        except StoreError:
            train(experiment, root)
            model, weights = load_model(experiment)
        start = time.monotonic()
        metrics, curves = evaluate(experiment, model, dataset)
        history, seconds = _history(experiment)
        provenance = {
            "commit": commit(),
            "data": dataset.fingerprint,
            "weights": weights,
            "seconds": {"training": seconds, "evaluation": time.monotonic() - start},
            "numerics": NUMERICS,
            "settings": experiment.training_settings | experiment.scoring_settings,
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


def headline(datasets, methods, patches_seen=0, **settings):
    """Results of several methods with one budget for each data set, as pages compare them.

    Parameters
    ----------
    datasets, methods : lists of str
    patches_seen : int
        The budget; 0 takes the largest at which all methods of a data set have a result.
    **settings
        Of `Experiment`.

    Returns
    -------
    dict
        Data set to list of `Result`, in the order of ``methods``.

    Raises
    ------
    StoreError
        If no budget is given and there is no result to take it from.
    """
    found = {}
    for dataset in datasets:
        experiments = [Experiment(dataset=dataset, method=method, **settings) for method in methods]
        budget = patches_seen or largest_budget(experiments)
        if not budget:
            raise StoreError(
                f"expected results of {' and '.join(methods)} on {dataset}; there are none with "
                "one budget; run `sadefect record`, or give patches_seen to train here"
            )
        found[dataset] = [run(replace(one, patches_seen=budget)) for one in experiments]
    return found


def pictured(datasets, methods, patches_seen=0, **settings):
    """Results to draw images with: `headline`'s, unless only others' weights are here.

    Weights of a few runs are recorded, of one seed and not always of the longest training. Where
    the images of a data set are here, a network that can draw them is worth more than a recorded
    map of one that was trained for longer.

    Parameters and returns are those of `headline`.
    """
    found = headline(datasets, methods, patches_seen, **settings)
    every = results()
    for dataset, group in found.items():
        try:
            load_dataset(dataset)
        except DataError:
            continue
        if patches_seen or all(_has_weights(one.experiment) for one in group):
            continue
        runs = [
            {
                (one.experiment.patches_seen, -one.experiment.seed): one
                for one in every
                if one.stands_for(best.experiment, but=["patches_seen", "seed"])
                and _has_weights(one.experiment)
            }
            for best in group
        ]
        if shared := set.intersection(*map(set, runs)):
            found[dataset] = [run[max(shared)] for run in runs]
    return found


def _has_weights(experiment):
    from sadefect.training import checkpoint_path

    return any(
        checkpoint_path(folder, experiment.patches_seen).exists()
        for _, folder in places("trainings", experiment.training_key)
    )


def have_all(dataset, methods, **settings):
    """Whether all methods have a result on a data set with one budget."""
    return bool(
        largest_budget([Experiment(dataset=dataset, method=one, **settings) for one in methods])
    )


def table_2(dataset, columns, base, patches_seen=0):
    """Results of the cells of table 2: one setting changed at a time, one budget for all.

    Parameters
    ----------
    dataset : str
    columns : dict
        Names of settings of `Experiment` to their values.
    base : dict
        What the settings are where they are not changed.
    patches_seen : int
        The budget; 0 takes the largest at which all cells that have a result have one, and leaves
        out the others.

    Returns
    -------
    dict
        Names of settings to dicts of value to `Result`.
    """
    cells = {
        name: {value: Experiment(dataset=dataset, **base | {name: value}) for value in values}
        for name, values in columns.items()
    }
    every = [one for column in cells.values() for one in column.values()]
    found = results()
    here = every if patches_seen else [one for one in every if learning_curve(one, found)]
    budget = patches_seen or largest_budget(here)
    return {
        name: {
            value: run(replace(one, patches_seen=budget))
            for value, one in column.items()
            if budget and one in here
        }
        for name, column in cells.items()
    }


def _history(experiment):
    """The loss curve up to the experiment's budget, and the seconds it took."""
    state = training_folder(experiment) / "state.npz"
    recorded = recorded_folder() / "trainings" / experiment.training_key / "history.npz"
    return history(state if state.exists() else recorded, experiment.patches_seen)


def history(path, patches_seen):
    """The loss curve of a training up to some budget, and the seconds it took, None if unknown."""
    if not path.exists():
        empty = np.zeros(0)
        return {
            "history_patches": empty, "history_loss": empty, "milestones": np.zeros((0, 3)),
        }, None  # fmt: skip
    stored = load_arrays(path)
    patches, loss = stored["history"].T
    upto = patches <= patches_seen + HISTORY
    share = min(1.0, patches_seen / max(1, int(stored["patches_seen"])))
    curve = {"history_patches": patches[upto], "history_loss": loss[upto]}
    marks = stored.get("milestones", np.zeros((0, 3)))
    curve["milestones"] = marks[marks[:, 0] <= patches_seen + HISTORY]
    return curve, float(stored["seconds"]) * share


def _flag(name):
    return os.environ.get(name, "") not in ("", "0")
