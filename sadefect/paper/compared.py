"""Fits and scores baselines as experiments are: found, or computed and stored, with provenance.

Results lie in the folder ``compared`` of the store and of ``recorded/``.
"""

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from skimage.transform import downscale_local_mean

from sadefect.baselines import BASELINES, IMAGENET, VERSION, build_baseline, candidates
from sadefect.baselines.base import smoothed
from sadefect.datasets import dataset_fingerprint, load_dataset
from sadefect.errors import StoreError
from sadefect.files import load_arrays, load_json, save_arrays, save_json, whole
from sadefect.methods import settings_digest
from sadefect.metrics import FPRS, PixelMetrics, summarise
from sadefect.paper.experiment import COLUMNS
from sadefect.paper.store import columns, find_folder, places, read_folders, recorded_folder
from sadefect.progress import progress
from sadefect.provenance import NUMERICS, Stopwatch, commit, processor, versions
from sadefect.segmentation import threshold_for_fpr

FOLDER = "compared"
# Columns of `sadefect results --json` that mean nothing here.
NO_MEANING = ("schedule", "training_loss", "held_out_loss", "held_out_turned_at")
MAP_LEVELS, SHRINK = 255, 2  # Of the map of the first test image, which is kept for pages.
KEPT = 8  # Images in memory while candidates are fitted: synthetic ones take seconds to draw.


class _Images(Sequence):
    """The images of samples, each read when it is asked for; the last few are kept."""

    def __init__(self, samples):
        self.samples = samples
        self.image = lru_cache(KEPT)(lambda number: samples[number].image)

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, number):
        return self.image(number)


@dataclass(frozen=True)
class Comparison:
    """What came out of a baseline on a data set.

    Attributes
    ----------
    name : str
        Of `sadefect.baselines.BASELINES`.
    dataset, seed, settings
        What it was run with; all settings, defaults included.
    metrics, curves : dict
        As of `Result`, without a history.
    provenance : dict
        As of `Result`; ``seconds`` has ``fit``, ``image`` (the mean of one) and ``evaluation`` by
        the clock, and ``fit_processor`` and ``image_processor``, which other work on the machine
        does not lengthen; ``parameters`` counts the numbers that the fitted method holds.
    source : {"local", "recorded"}
    key : str
    """

    name: str
    dataset: str
    seed: int
    settings: dict
    metrics: dict
    curves: dict
    provenance: dict
    source: str
    key: str

    @property
    def about(self):
        """What is known of the method: label, citation, what it is given."""
        return BASELINES[self.name]

    @property
    def variant(self):
        """What differs from the defaults."""
        usual = _plain(build_baseline(self.name).settings)
        changed = [f"{k}={v}" for k, v in self.settings.items() if usual.get(k) != v]
        return ", ".join(changed) or "default"

    def seconds(self, phase):
        """Return the seconds of ``"fit"`` or of an ``"image"``: the processor's, where measured."""
        took = self.provenance["seconds"]
        return took.get(f"{phase}_processor", took[phase])

    def row(self):
        """Return one row of `sadefect results --json`; None where a column means nothing."""
        settings = {"dataset": self.dataset, "method": self.name, "seed": self.seed}
        shared = columns(self, self.variant, "fit")
        return dict.fromkeys((*COLUMNS, *NO_MEANING)) | settings | shared


def _plain(settings):
    """Settings as JSON gives them back: tuples are lists."""
    return {name: list(v) if isinstance(v, tuple) else v for name, v in settings.items()}


def _numerics():
    return {"baselines": VERSION, "scoring": NUMERICS["scoring"]}


def evaluate_baseline(name, dataset, seed=0, *, root=None, train="split", **settings):
    """Return what comes out of a baseline on a data set: found, or computed and stored.

    It is fitted to the images that networks are trained on; those held out give the thresholds.

    Parameters
    ----------
    name : str
        Of `sadefect.baselines.BASELINES`.
    dataset : str
        Of `load_dataset`.
    seed : int
    root : path, optional
        As in `load_dataset`.
    train : {"split", "all"}
        As of `Experiment`.
    **settings
        Of the baseline.

    Returns
    -------
    Comparison

    Raises
    ------
    DatasetNotFound
        If it has to be computed, and images or a network's weights are not there.
    """
    from filelock import FileLock

    baseline = build_baseline(name, seed, **settings)
    asked, key = _asked(baseline, name, dataset, train, root)
    if found := _find(key):
        return found
    (_, folder), *_ = places(FOLDER, key)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            _compute(baseline, asked, load_dataset(dataset, root), folder)
    return _read(folder, "local")


def _asked(baseline, name, dataset, train="split", root=None):
    """Say what a result is of, and the key that it is stored under."""
    asked = {"name": name, "dataset": dataset, "seed": baseline.seed, "train": train,
             "settings": _plain(baseline.settings)}  # fmt: skip
    numbers = {"data": dataset_fingerprint(dataset, root), "numerics": _numerics()}
    return asked, f"{dataset.replace('/', '-')}_{name}_{settings_digest(asked | numbers)}"


def _find(key):
    return find_folder(FOLDER, key, _read)


def _compute(baseline, asked, dataset, folder):
    fitted_to, held_out = dataset.split(asked["train"])
    fitting, scoring = Stopwatch(), Stopwatch()
    with fitting:
        baseline.fit(_Images(fitted_to))
    start = time.monotonic()
    total = len(held_out) + len(dataset.test)
    defect_free, pixels = [], PixelMetrics()
    with progress(f"scoring {asked['dataset']} {asked['name']}", total, "images") as report:
        for number, sample in enumerate([*held_out, *dataset.test], 1):
            image = sample.image
            with scoring:
                map = baseline.anomaly_map(image)
            if number <= len(held_out):
                defect_free.append(map)
            else:
                pixels.update(sample.mask, map)
            if number == len(held_out) + 1:
                example = _shrunk(map)
            report(number)
    metrics, curves = summarise(pixels, [threshold_for_fpr(defect_free, fpr) for fpr in FPRS])
    provenance = {
        "commit": commit(),
        "data": dataset.fingerprint,
        "seconds": {
            "fit": fitting.clock,
            "fit_processor": fitting.processor,
            "image": scoring.clock / total,
            "image_processor": scoring.processor / total,
            "evaluation": time.monotonic() - start,
        },
        "parameters": baseline.parameters,
        "numerics": _numerics(),
        "versions": versions(),
        "machine": {"processor": processor(), "cores": os.cpu_count()},
    }
    with whole(folder) as temporary:
        save_json(
            temporary / "result.json",
            {"baseline": asked, "metrics": metrics, "provenance": provenance},
        )
        save_arrays(temporary / "curves.npz", **curves)
        save_arrays(temporary / "map.npz", compressed=True, **example)


def _shrunk(map):
    """Return a map as what is kept of it: in 8 bit, at half its size."""
    low, high = np.quantile(map, (0.001, 0.999))
    levels = downscale_local_mean(map, (SHRINK, SHRINK)) - low
    levels *= MAP_LEVELS / max(high - low, 1e-12)
    limits = np.array([low, high], "float32")
    return {"levels": np.round(levels.clip(0, MAP_LEVELS)).astype("uint8"), "limits": limits}


def example_map(comparison):
    """Return the map of the first test image at half its size; None where none was kept."""
    for _, folder in places(FOLDER, comparison.key):
        if (path := folder / "map.npz").exists():
            kept = load_arrays(path)
            low, high = map(float, kept["limits"])
            return (low + kept["levels"] * ((high - low) / MAP_LEVELS)).astype("float32")
    return None


def keep_example_map(comparison, root=None):
    """Fit a baseline again, for the map of the first test image, where its result is in the store.

    Returns
    -------
    float32 array (H / 2, W / 2)
    """
    (_, folder), *_ = places(FOLDER, comparison.key)
    settings = {name: v for name, v in comparison.settings.items() if name != "train"}
    dataset = load_dataset(comparison.dataset, root)
    fitted_to, _ = dataset.split(comparison.settings.get("train", "split"))
    baseline = build_baseline(comparison.name, comparison.seed, **settings).fit(_Images(fitted_to))
    example = _shrunk(baseline.anomaly_map(dataset.test[0].image))
    save_arrays(folder / "map.npz", compressed=True, **example)
    return example_map(comparison)


def _read(folder, source):
    stored, curves = load_json(folder / "result.json"), load_arrays(folder / "curves.npz")
    try:
        asked = {name: value for name, value in stored["baseline"].items() if name != "train"}
        asked["settings"] |= {"train": "all"} if stored["baseline"]["train"] == "all" else {}
        return Comparison(
            **asked, metrics=stored["metrics"], curves=curves, provenance=stored["provenance"],
            source=source, key=folder.name,
        )  # fmt: skip
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"expected a baseline's result of this version of sadefect in {folder}; got another's "
            f"({error}); remove it, or set SADEFECT_CACHE to another folder"
        ) from error


def stored_comparisons(sources=("local", "recorded")):
    """Read all results of baselines in the store and in ``recorded/``, as `stored_results` does."""
    return read_folders(FOLDER, _read, sources)


def record_comparisons(comparisons, destination=None):
    """Copy results of baselines, and how their settings were chosen, into ``recorded/``.

    Returns
    -------
    list of Path
        The folders of results there.
    """
    destination, written = (destination or recorded_folder()) / FOLDER, []
    for comparison in comparisons:
        (_, folder), *_ = places(FOLDER, comparison.key)
        target = destination / comparison.key
        if folder.exists():
            shutil.rmtree(target, ignore_errors=True)
            with whole(target) as temporary:
                shutil.copytree(folder, temporary)
            written.append(target)
        (_, choice), *_ = _choices(comparison.name, comparison.dataset)
        if choice.exists():
            save_json(destination / choice.name, load_json(choice))
    return written


def choose_baseline(name, dataset, seed=0, *, root=None):
    """Compare a baseline's candidates on synthetic defects in held-out good images.

    No test image is read. Candidates that differ in smoothing only share a fit.

    Parameters
    ----------
    name, dataset, seed, root
        As of `evaluate_baseline`.

    Returns
    -------
    list of Score
        The best first; a candidate's ``dict`` are settings for `evaluate_baseline`.
    """
    from sadefect.scoring_choice import choose  # It imports the framework.

    fitted_to, held_out = load_dataset(dataset, root).split()
    images, fitted = _Images(fitted_to), {}

    def score(image, choices):
        maps = {}
        for choice in choices:
            plain = tuple(pair for pair in choice if pair[0] != "smoothing")
            if plain not in fitted:
                unsmoothed = {"smoothing": 0.0} if plain != choice else {}
                baseline = build_baseline(name, seed, **dict(plain) | unsmoothed)
                fitted[plain] = baseline.fit(images)
            if plain not in maps:
                maps[plain] = fitted[plain].anomaly_map(image)
            yield smoothed(maps[plain], dict(choice).get("smoothing", 0.0))

    choices = [tuple(choice.items()) for choice in _candidates(name, dataset, root)]
    return choose([sample.image for sample in held_out], choices, score, seed)


def _candidates(name, dataset, root):
    """List settings to try, with the layers of one Gaussian: trying each again takes hours."""
    if BASELINES[name].given != IMAGENET or name == "feature_gaussian":
        return candidates(name)
    layers = chosen_settings("feature_gaussian", dataset, root=root)["layers"]
    return [{"layers": layers} | choice for choice in candidates(name)]


def _choices(name, dataset, root=None):
    """Where it is written down how a baseline's settings were chosen on a data set."""
    known = [candidates(name), dataset_fingerprint(dataset, root), _numerics()]
    digest = settings_digest(known)
    return places(FOLDER, f"{dataset.replace('/', '-')}_{name}_choice_{digest}.json")


def written_choice(name, dataset, *, root=None):
    """Return how a baseline's settings were chosen on a data set, as far as it is written down.

    Returns
    -------
    list of dict
        ``settings`` and their mean ``auroc`` on synthetic defects, the best first; empty where
        nothing was chosen yet.
    """
    for _, path in _choices(name, dataset, root):
        if path.exists():
            return load_json(path)["scores"]
    return []


def chosen_settings(name, dataset, *, root=None, compute=True):
    """Return the settings that `choose_baseline` puts first: written down, or found out and kept.

    A Gaussian at each position cannot be tried on parts of images; it takes layers and smoothing of
    one Gaussian over all.

    Parameters
    ----------
    name, dataset, root
        As of `evaluate_baseline`.
    compute : bool
        Whether to find out what is not written down.

    Returns
    -------
    dict or None
        For `evaluate_baseline`; None where nothing is written down, nor to be found out.
    """
    if name == "padim":
        one_gaussian = chosen_settings("feature_gaussian", dataset, root=root, compute=compute)
        return one_gaussian and one_gaussian | {"positions": "each"}
    scores = written_choice(name, dataset, root=root)
    if not scores and compute:
        scores = [
            {"settings": dict(score.candidate), "auroc": score.auroc}
            for score in choose_baseline(name, dataset, root=root)
        ]
        (_, path), *_ = _choices(name, dataset, root)
        save_json(path, {"commit": commit(), "scores": scores})
    if not scores:
        return None
    settings = scores[0]["settings"]
    return {key: tuple(v) if isinstance(v, list) else v for key, v in settings.items()}


def chosen_comparisons(dataset, names=BASELINES, seed=0, *, root=None):
    """Return stored results of baselines at the settings chosen for them, the best AUROC first.

    Nothing is computed: what has no result, or no settings chosen without masks, is left out.

    Returns
    -------
    list of Comparison
    """
    results = []
    for name in names:
        settings = chosen_settings(name, dataset, root=root, compute=False)
        if settings is not None:
            _, key = _asked(build_baseline(name, seed, **settings), name, dataset, root=root)
            results.append(_find(key))
    return sorted(filter(None, results), key=lambda result: -result.metrics["auroc"])
