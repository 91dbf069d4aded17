"""Fits and scores baselines as experiments are: found, or computed and stored, with provenance.

Results lie in the folder ``compared`` of the store and of ``recorded/``.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count

import numpy as np
from skimage.transform import downscale_local_mean

from sadefect.baselines import BASELINES, VERSION, build_baseline, candidates
from sadefect.baselines.base import smoothed
from sadefect.datasets import dataset_fingerprint, load_dataset
from sadefect.files import load_arrays, load_json, save_json, store_folder
from sadefect.methods import settings_digest
from sadefect.paper.experiment import COLUMNS
from sadefect.paper.run import evaluate_maps
from sadefect.paper.store import (
    claimed,
    columns,
    find_folder,
    keep,
    places,
    read_folders,
    record_folder,
    recorded_folder,
    stored_json,
)
from sadefect.provenance import NUMERICS, Stopwatch, commit, made_by

FOLDER = "compared"
# Columns of `sadefect results --json` that mean nothing here.
NO_MEANING = ("schedule", "training_loss", "held_out_loss", "held_out_turned_at")
MAP_LEVELS, SHRINK = 255, 2  # Of the map of the first test image, which is kept for pages.
CHOSEN_FROM = 40  # Images at most that candidates are fitted to, from all of the training set.
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
    """Hold what came out of a baseline on a data set.

    Metrics and curves are as of `Result`, without a history.
    """

    name: str  # Of `sadefect.baselines.BASELINES`.
    dataset: str
    seed: int
    settings: dict  # All that it was run with, defaults included.
    metrics: dict
    curves: dict
    # As of `Result`; ``seconds`` has ``fit``, ``image`` (the mean of one) and ``evaluation`` by the
    # clock, and ``fit_processor`` and ``image_processor``, which other work on the machine does not
    # lengthen; ``parameters`` counts the numbers that the fitted method holds.
    provenance: dict
    source: str
    key: str

    @property
    def about(self):
        """Return what is known of the method: label, citation, what it is given."""
        return BASELINES[self.name]

    @property
    def variant(self):
        """Say what differs from the defaults."""
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
    """Return settings as JSON gives them back: tuples are lists."""
    return {name: list(v) if isinstance(v, tuple) else v for name, v in settings.items()}


def _numerics():
    return {"baselines": VERSION, "scoring": NUMERICS["scoring"]}


def evaluate_baseline(name, dataset, seed=0, *, root=None, train="split", **settings):
    """Return what comes out of a baseline on a data set: found, or computed and stored.

    It is fitted to the images that networks are trained on; those held out give the thresholds. The
    name is one of `sadefect.baselines.BASELINES`, the data set and ``root`` are as in
    `load_dataset`, ``train`` is as of `Experiment`, the settings are the baseline's. Returns a
    `Comparison`. Raises `DatasetNotFound` if it has to be computed, and images or a network's
    weights are not there.
    """
    baseline = build_baseline(name, seed, **settings)
    asked, key = _asked(baseline, name, dataset, train, root)
    if (result := _find(key)) is not None:
        return result
    with claimed(FOLDER, key) as folder:
        return _find(key) or _compute(baseline, asked, load_dataset(dataset, root), folder)


def _asked(baseline, name, dataset, train="split", root=None):
    """Say what a result is of, and the key that it is stored under."""
    asked = {"name": name, "dataset": dataset, "seed": baseline.seed, "train": train,
             "settings": _plain(baseline.settings)}  # fmt: skip
    numbers = {"data": dataset_fingerprint(dataset, root), "numerics": _numerics()}
    return asked, f"{dataset.replace('/', '-')}_{name}_{settings_digest(asked | numbers)}"


def _find(key):
    return find_folder(FOLDER, key, _comparison)


def _compute(baseline, asked, dataset, folder):
    """Fit, score and store a baseline; return its `Comparison`."""
    fitted_to, held_out = dataset.split(asked["train"])
    fitting, scoring, numbers, example = Stopwatch(), Stopwatch(), count(), {}
    with fitting:
        baseline.fit(_Images(fitted_to))

    def map_of(image):
        with scoring:
            map = baseline.anomaly_map(image)
        if next(numbers) == len(held_out):  # Of the first test image.
            example.update(_shrunk(map))
        return map

    start, total = time.monotonic(), len(held_out) + len(dataset.test)
    metrics, curves = evaluate_maps(map_of, dataset, asked["train"], asked["name"])
    provenance = made_by() | {
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
    }
    result = {"baseline": asked, "metrics": metrics, "provenance": provenance}
    keep(folder, result, curves=curves, map=example)
    return _comparison(result, metrics, curves, provenance, "local", folder.name)


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


def _comparison(stored, metrics, curves, provenance, source, key):
    asked = dict(stored["baseline"])
    train = asked.pop("train")
    asked["settings"] = asked["settings"] | ({"train": "all"} if train == "all" else {})
    return Comparison(**asked, metrics=metrics, curves=curves, provenance=provenance,
                      source=source, key=key)  # fmt: skip


def stored_comparisons(sources=("local", "recorded")):
    """Read all results of baselines in the store and in ``recorded/``, as `stored_results` does."""
    return read_folders(FOLDER, _comparison, sources)


def record_comparisons(comparisons):
    """Copy results of baselines, and how their settings were chosen, into ``recorded/``.

    Returns the folders of results there.
    """
    for comparison in comparisons:
        # A Gaussian at each position takes over what one Gaussian over all chose.
        name = "feature_gaussian" if comparison.name == "padim" else comparison.name
        choice = _choice(name, comparison.dataset)
        if (path := store_folder() / FOLDER / choice).exists():
            save_json(recorded_folder() / FOLDER / choice, load_json(path))
    return [*filter(None, (record_folder(FOLDER, comparison.key) for comparison in comparisons))]


def choose_baseline(name, dataset, seed=0, *, root=None):
    """Compare a baseline's candidates on synthetic defects in held-out good images.

    No test image is read. Candidates are fitted to at most `CHOSEN_FROM` images, evenly spaced;
    those that differ in smoothing only share a fit. Parameters are those of `evaluate_baseline`.
    Returns a list of `Score`, the best first; a candidate's ``dict`` are settings for
    `evaluate_baseline`.
    """
    from sadefect.scoring_choice import choose  # It imports the framework.

    fitted_to, held_out = load_dataset(dataset, root).split()
    images, fitted = _Images(fitted_to[:: -(-len(fitted_to) // CHOSEN_FROM)]), {}

    def maps_of(image, choices):
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

    choices = [tuple(choice.items()) for choice in candidates(name)]
    return choose([sample.image for sample in held_out], choices, maps_of, seed)


def _choice(name, dataset, root=None):
    """Return the name of the file that says how a baseline's settings were chosen on a data set."""
    known = [candidates(name), dataset_fingerprint(dataset, root), _numerics()]
    return f"{dataset.replace('/', '-')}_{name}_choice_{settings_digest(known)}.json"


def written_choice(name, dataset, *, root=None):
    """Return how a baseline's settings were chosen on a data set, as far as it is written down.

    That is a list of dicts with ``settings`` and their mean ``auroc`` on synthetic defects, the
    best first; empty where nothing was chosen yet.
    """
    stored = stored_json(FOLDER, _choice(name, dataset, root))
    return stored["scores"] if stored else []


def chosen_settings(name, dataset, *, root=None, compute=True):
    """Return the settings that `choose_baseline` puts first: written down, or found out and kept.

    They are a dict for `evaluate_baseline`, whose parameters these are; None where nothing is
    written down and it is not to be computed. A Gaussian at each position cannot be tried on parts
    of images; it takes layers and smoothing of one Gaussian over all.
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
        path = store_folder() / FOLDER / _choice(name, dataset, root)
        save_json(path, {"commit": commit(), "scores": scores})
    if not scores:
        return None
    settings = scores[0]["settings"]
    return {key: tuple(v) if isinstance(v, list) else v for key, v in settings.items()}


def chosen_comparisons(dataset, names=BASELINES, seed=0, *, root=None):
    """Return stored results of baselines at the settings chosen for them, the best AUROC first.

    Nothing is computed: what has no result, or no settings chosen without masks, is left out.
    """
    results = []
    for name in names:
        settings = chosen_settings(name, dataset, root=root, compute=False)
        if settings is not None:
            _, key = _asked(build_baseline(name, seed, **settings), name, dataset, root=root)
            results.append(_find(key))
    return sorted(filter(None, results), key=lambda result: -result.metrics["auroc"])
