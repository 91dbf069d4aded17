"""Takes apart what a trained network gets wrong: its threshold, its residual, the masks themselves.

`sadefect.paper.false_alarms` says where false alarms lie; this, what would remove them.
"""

import numpy as np
from scipy import ndimage, stats

from sadefect.anomaly_maps import scored_map
from sadefect.datasets import load_dataset
from sadefect.files import save_json, store_folder
from sadefect.paper.false_alarms import EVERY, FIFTHS, NEAR, surroundings
from sadefect.paper.run import trained_model
from sadefect.paper.store import stored_json

LEVELS = 4096  # Of the residual, equally frequent; rates are known to a thousandth.
VERSION = 1  # Raised when the same map would give other numbers.
ALIKE = (0.25, 0.75)  # Quantiles of marked defects that an unmarked speck has to resemble.


def account(samples, maps, fpr=0.05):
    """Take apart the errors of residual maps.

    Parameters
    ----------
    samples : sequence of Sample
        Test images.
    maps : sequence of float32 arrays (H, W)
        Their residual maps.
    fpr : float
        False positive rate of the test set at which alarms are looked at.

    Returns
    -------
    dict
        ``thresholds``, for one threshold of all images and for the best of each: the share
        ``found`` of defective pixels at the false positive rate of all images, and the largest
        mean ``iou`` (intersection over union) of an image. ``specks``: ``regions`` of false alarms
        away from marked defects, of which ``alike`` are as large, bright and flat as marked defects
        are; their share ``alarms`` of all false alarms; ``auroc``, and ``auroc_without`` if these
        were not counted.
        ``residual``: rank correlations of defect-free pixels with ``brightness`` and ``contrast``
        of their neighbourhood; ``fifths``, the median residual by fifth of contrast, flattest
        first, and ``defects``, that of defects, both over the median of defect-free pixels;
        ``flat``, the share of defective pixels in the flattest fifth; ``auroc_like``, the AUROC
        against defect-free pixels of like contrast alone.
    """
    around = [surroundings(sample.image, sample.mask) for sample in samples]
    masks = [sample.mask for sample in samples]
    edges = np.quantile(
        np.concatenate([residual.ravel()[::EVERY] for residual in maps]),
        np.linspace(0, 1, LEVELS + 1)[1:-1],
    )
    counts = np.array([_counts(*pair, edges) for pair in zip(masks, maps, strict=True)])
    residual = _residual(masks, maps, around, edges)
    return {
        "fpr": fpr,
        "thresholds": _thresholds(counts, fpr),
        "specks": _specks(masks, maps, around, counts, edges, fpr),
        "residual": residual,
    }


def _counts(mask, residual, edges, where=True):
    """Count pixels at or above each level: defective ones, and others, ``(2, LEVELS + 1)``."""
    level = np.searchsorted(edges, residual, side="right")
    return [
        np.bincount(level[part & where], minlength=LEVELS + 1)[::-1].cumsum()[::-1]
        for part in (mask, ~mask)
    ]


def _area(counts):
    """Return the AUROC of counts of defective and other pixels."""
    hits, false = (np.append(part, 0) / max(part[0], 1) for part in np.asarray(counts))
    return float(-np.trapezoid(hits, false))


def _thresholds(counts, fpr):
    """Return what one threshold of all images reaches, and what the best of each does.

    Of all choices with the false positive rate, each image gets the threshold that finds most: all
    images pay the same number of false alarms for one more hit.
    """
    counts = counts[counts[:, 0, 0] > 0].astype(float)  # Images with defects.
    hits, false = counts[:, 0], counts[:, 1]
    defective, allowed = hits[:, 0].sum(), fpr * false[:, 0].sum()
    overlap = hits / (hits[:, :1] + false)
    shared = np.argmax(false.sum(axis=0) <= allowed)

    def taken(price):
        best = np.argmax(hits - price * false, axis=1)[:, None]
        return [np.take_along_axis(part, best, 1).sum() for part in (hits, false)]

    found = [hit for hit, alarms in map(taken, np.geomspace(1e-6, 1e3, 400)) if alarms <= allowed]
    together = float(hits.sum(axis=0)[shared] / defective)
    return {
        "one for all images": {"found": together, "iou": float(overlap.mean(axis=0).max())},
        "the best for each image": {
            "found": max(together, float(max(found, default=0) / defective)),
            "iou": float(overlap.max(axis=1).mean()),
        },
    }


def _specks(masks, maps, around, counts, edges, fpr):
    """Find false alarms that look like defects that nobody marked."""
    false = counts[:, 1].sum(axis=0)
    threshold = edges[max(int(np.argmax(false <= fpr * false[0])) - 1, 0)]
    marked, suspects, without, alarms = [], [], [], 0
    for mask, residual, near in zip(masks, maps, around, strict=True):
        alarm = (residual >= threshold) & ~mask
        alarms += alarm.sum()
        marked += _described(mask, near)[0]
        suspects.append(_described(alarm & (near["defect"] > NEAR[1]), near))
    low, high = np.quantile(marked, ALIKE, axis=0)
    regions = specks = pixels = 0
    for mask, residual, (rows, labels) in zip(masks, maps, suspects, strict=True):
        alike = [
            number
            for number, (area, bright, contrast) in enumerate(rows, 1)
            if area >= low[0] and bright >= low[1] and contrast <= high[2]
        ]
        left_out = np.isin(labels, alike)
        regions, specks, pixels = regions + len(rows), specks + len(alike), pixels + left_out.sum()
        without.append(_counts(mask, residual, edges, ~left_out))
    return {
        "regions": regions,
        "alike": specks,
        "alarms": float(pixels / max(alarms, 1)),
        "auroc": _area(counts.sum(axis=0)),
        "auroc_without": _area(np.sum(without, axis=0)),
    }


def _described(mask, around):
    """Return area, brightness and contrast of each connected region, and the regions numbered."""
    labels, number = ndimage.label(mask, np.ones((3, 3)))
    index = np.arange(1, number + 1)
    columns = [np.bincount(labels.ravel(), minlength=number + 1)[1:]]
    columns += [ndimage.mean(around[name], labels, index) for name in ("brightness", "contrast")]
    return [tuple(map(float, row)) for row in zip(*columns, strict=True)], labels


def _residual(masks, maps, around, edges):
    """Say what the residual follows where there is no defect."""
    free, names = {}, ("brightness", "contrast")
    for name in names:
        parts = [near[name][~mask][::EVERY] for near, mask in zip(around, masks, strict=True)]
        free[name] = np.concatenate(parts)
    values = np.concatenate([r[~m][::EVERY] for r, m in zip(maps, masks, strict=True)])
    defects = np.concatenate([r[m] for r, m in zip(maps, masks, strict=True)])
    fifths = np.quantile(free["contrast"], FIFTHS)
    group = np.digitize(free["contrast"], fifths)
    like = np.zeros((len(FIFTHS) + 1, 2, LEVELS + 1))
    for mask, residual, near in zip(masks, maps, around, strict=True):
        fifth = np.digitize(near["contrast"], fifths)
        for number, total in enumerate(like):
            total += _counts(mask, residual, edges, fifth == number)
    shares = like[:, 0, 0] / like[:, 0, 0].sum()
    median = max(float(np.median(values)), 1e-12)
    return {
        **{name: float(stats.spearmanr(values, free[name]).statistic) for name in names},
        "fifths": [float(np.median(values[group == n]) / median) for n in range(len(like))],
        "defects": float(np.median(defects) / median),
        "flat": float(shares[0]),
        "auroc": _area(like.sum(axis=0)),
        "auroc_like": float(sum(s * _area(c) for s, c in zip(shares, like, strict=True) if s)),
    }


def remainder(experiment, fpr=0.05, compute=False):
    """Return `account` of an experiment: stored, recorded, or computed and stored.

    Parameters
    ----------
    experiment : Experiment
    fpr : float
    compute : bool
        Whether to compute it if it is not known; else None is returned.

    Raises
    ------
    DatasetNotFound, StoreError
        If it has to be computed and the images or the weights are not here.
    """
    name = f"{experiment.evaluation_key}_{fpr:g}.json"
    if (stored := stored_json("remainder", name, VERSION)) is not None or not compute:
        return stored
    samples = load_dataset(experiment.dataset).test
    model, _ = trained_model(experiment)
    maps = [scored_map(model, s.image, experiment, experiment.seed).residual for s in samples]
    counted = account(samples, maps, fpr) | {"version": VERSION}
    save_json(store_folder() / "remainder" / name, counted)
    return counted
