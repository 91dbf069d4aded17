"""Counts false alarms by where they lie: dim or bright, flat or busy, near defects or borders."""

from collections import defaultdict
from itertools import pairwise

import numpy as np
from scipy import ndimage

from sadefect.anomaly_maps import scored_map
from sadefect.datasets import load_dataset
from sadefect.files import save_json, store_folder
from sadefect.metrics import PixelMetrics
from sadefect.paper.run import trained_model
from sadefect.paper.store import stored_json

WINDOW = 11  # Pixels; of the neighbourhood that is dim or bright, flat or busy.
FIFTHS = (0.2, 0.4, 0.6, 0.8)
EVERY = 7  # Pixels of which one enters the fifths; all of them would not change a digit.
PLAIN = (1, 11, 21)  # Sides of windows in pixels; their mean needs no network.
NEAR = (5, 11, 30)  # Pixels from a true defect.
BORDER = (15, 64)  # Pixels from the border of the image.
DISTANCES = {"defect": NEAR, "border": BORDER}
COUNTING_VERSION = 1  # Raised when the same map would give other numbers.


def surroundings(image, mask):
    """Describe what lies around each pixel of an image, float32 ``(H, W)``, by a mask of defects.

    Returns a dict of arrays ``(H, W)``: ``brightness`` and ``contrast``, mean and standard
    deviation of the neighbourhood in gray values; ``defect``, the distance to the nearest true
    defect in pixels, infinite without one; ``border``, the distance to the border in pixels.

    Examples
    --------
    >>> around = surroundings(np.zeros((8, 9), "float32"), np.eye(8, 9, dtype=bool))
    >>> float(around["border"].max()), float(around["defect"][0, 2])
    (3.0, 1.4142135623730951)
    """
    mean = ndimage.uniform_filter(image, WINDOW)
    square = ndimage.uniform_filter(image * image, WINDOW)
    rows, columns = (np.minimum(np.arange(n), np.arange(n)[::-1]) for n in image.shape)
    far = np.full(mask.shape, np.inf)
    return {
        "brightness": mean,
        "contrast": np.sqrt(np.maximum(square - mean * mean, 0)),
        "defect": ndimage.distance_transform_edt(~mask) if mask.any() else far,
        "border": np.minimum(rows[:, None], columns[None]).astype("float64"),
    }


def locate(samples, score, fpr=0.05):
    """Count false alarms by what lies around them, at one false positive rate of the test set.

    The samples are test images, ``score`` gives the residual map of an image, the ROC curve is cut
    at ``fpr``. Returns a dict: ``fpr``, ``threshold``, ``auroc``; ``groups``, name of what lies
    around to a list of dicts: ``where``, the shares ``pixels`` of all defect-free pixels and
    ``alarms`` of all false alarms that lie there, and ``rate``, the false positive rate there;
    ``without``, what is left out of the counting to the AUROC of the rest; ``plain``, the AUROC of
    scores that need no network.
    """
    maps = [score(sample.image) for sample in samples]
    whole, areas = PixelMetrics(), defaultdict(PixelMetrics)
    for sample, residual in zip(samples, maps, strict=True):
        whole.update(sample.mask, residual)
    rates, _, thresholds = whole.roc_curve()
    threshold = float(thresholds[np.searchsorted(rates, fpr, side="right") - 1])
    edges = _edges(samples)
    counts = {name: np.zeros((2, len(edge) + 1)) for name, edge in edges.items()}
    for sample, residual in zip(samples, maps, strict=True):
        image, mask = sample.image, sample.mask
        around = surroundings(image, mask)
        for name, edge in edges.items():
            group = np.digitize(around[name], edge, right=name in DISTANCES)
            for row, where in enumerate((~mask, ~mask & (residual >= threshold))):
                counts[name][row] += np.bincount(group[where], minlength=len(edge) + 1)
        kept = {
            f"pixels up to {NEAR[1]} from a defect, which masks may miss": mask
            | (around["defect"] > NEAR[1]),
            f"pixels up to {BORDER[0]} from the border": around["border"] > BORDER[0],
        }
        for name, keep in kept.items():
            areas["without", name].update(mask[keep][None], residual[keep][None])
        areas["plain", "flatness of the neighbourhood"].update(mask, -around["contrast"])
        for side in PLAIN:
            mean = ndimage.uniform_filter(image, side)
            areas["plain", f"mean gray value of {side}x{side} pixels"].update(mask, mean)
    return {
        "fpr": fpr,
        "threshold": threshold,
        "auroc": whole.auroc(),
        "groups": {name: _shares(_group_names(name), *counts[name]) for name in edges},
    } | {
        kind: {name: pixels.auroc() for (of, name), pixels in areas.items() if of == kind}
        for kind in ("without", "plain")
    }


def _edges(samples):
    """Find where groups end: fifths of all defect-free pixels, and fixed distances."""
    values = defaultdict(list)
    for sample in samples:
        around = surroundings(sample.image, sample.mask)
        for name in ("brightness", "contrast"):
            values[name].append(around[name][~sample.mask][::EVERY])
    return {
        name: np.quantile(np.concatenate(parts), FIFTHS) for name, parts in values.items()
    } | DISTANCES


def _group_names(name):
    if name in DISTANCES:
        edges = DISTANCES[name]
        within = [f"{low} to {high} px" for low, high in pairwise([0, *edges])]
        return [*within, f"beyond {edges[-1]} px"]
    least, most = ("darkest", "brightest") if name == "brightness" else ("flattest", "busiest")
    return [f"{least} fifth", "second", "third", "fourth", f"{most} fifth"]


def _shares(names, free, alarms):
    return [
        {
            "where": name,
            "pixels": float(pixels / free.sum()),
            "alarms": float(false / max(alarms.sum(), 1)),
            "rate": float(false / pixels) if pixels else 0.0,
        }
        for name, pixels, false in zip(names, free, alarms, strict=True)
    ]


def located(results, experiment, fpr=0.05):
    """Return the result of the largest budget, of any seed, whose false alarms are stored."""
    counted = [
        result
        for result in results
        if result.experiment.equals(experiment, but=["patches_seen", "seed"])
        and _stored(result.experiment, fpr)
    ]
    return max(counted, key=lambda result: result.experiment.patches_seen, default=None)


def _file_name(experiment, fpr):
    return f"{experiment.evaluation_key}_{fpr:g}.json"


def _stored(experiment, fpr):
    return stored_json("false_alarms", _file_name(experiment, fpr), COUNTING_VERSION)


def false_alarms(experiment, fpr=0.05):
    """Return `locate` of an experiment: stored, recorded, or computed and stored.

    If it has to be computed, and the images or the weights are not here, a `DatasetNotFound` or a
    `StoreError` says so.
    """
    if stored := _stored(experiment, fpr):
        return stored
    samples = load_dataset(experiment.dataset).test
    model, _ = trained_model(experiment)

    def score(image):
        return scored_map(model, image, experiment, experiment.seed).residual

    counts = locate(samples, score, fpr) | {"version": COUNTING_VERSION}
    save_json(store_folder() / "false_alarms" / _file_name(experiment, fpr), counts)
    return counts
