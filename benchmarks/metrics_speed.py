"""AUROC, ROC, per-region overlap and AUPRO of forty images, beside the libraries at hand."""

import resource

import numpy as np
from scipy import ndimage

from sadefect import PixelMetrics

from ._measure import installed, report, seconds

COUNT, SHAPE = 40, (696, 1024)

rng = np.random.default_rng(0)
masks, maps = [], []
for _ in range(COUNT):
    mask = np.zeros(SHAPE, bool)
    for _ in range(4):
        top, left = rng.integers(0, 600), rng.integers(0, 900)
        mask[top : top + rng.integers(10, 60), left : left + rng.integers(10, 90)] = True
    noise = ndimage.gaussian_filter(rng.standard_normal(SHAPE, dtype="float32"), 3)
    masks.append(mask)
    maps.append(np.abs(noise / noise.std() + mask).astype("float32"))


def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


results, costs = {}, {}


def ours():
    pixels = PixelMetrics()
    for mask, map in zip(masks, maps, strict=True):
        pixels.update(mask, map)
    pixels.roc_curve()
    pixels.per_region_overlap()
    results["sadefect, all four"] = pixels.auroc(), pixels.aupro()


def scikit_learn():
    from sklearn.metrics import roc_auc_score

    found = roc_auc_score(np.stack(masks).ravel(), np.stack(maps).ravel())
    results["scikit-learn, AUROC"] = found, None


def torchmetrics():
    import torch
    from torchmetrics.functional.classification import binary_auroc

    truth, scores = torch.from_numpy(np.stack(masks)).int(), torch.from_numpy(np.stack(maps))
    # Without dividing, or it takes the values for logits and squeezes them.
    found = binary_auroc((scores / scores.max()).ravel(), truth.ravel())
    results["torchmetrics, AUROC"] = float(found), None


def anomalib():
    import torch
    from anomalib.metrics.aupro import _AUPRO as AUPRO

    measure = AUPRO(fpr_limit=0.3)
    measure.update(torch.from_numpy(np.stack(maps)), torch.from_numpy(np.stack(masks)).int())
    results["anomalib, AUPRO"] = None, float(measure.compute())


calls = {"sadefect, all four": ours, "scikit-learn, AUROC": scikit_learn}
if installed("torch", "torchmetrics"):
    calls["torchmetrics, AUROC"] = torchmetrics
if installed("torch", "anomalib"):
    calls["anomalib, AUPRO"] = anomalib
for name, call in calls.items():
    before = memory()
    took = [seconds(call) for _ in range(5 if call is ours else 1)]
    costs[name] = float(np.median(took)), memory() - before
own = costs["sadefect, all four"][0]
report(
    "metrics_speed",
    ("what", "seconds", "over ours", "MB above the images", "AUROC", "AUPRO"),
    [
        (name, costs[name][0], costs[name][0] / own, costs[name][1],
         *("-" if value is None else f"{value:.6f}" for value in results[name]))
        for name in calls
    ],
    f"{COUNT} images of {SHAPE[1]}x{SHAPE[0]} pixels, {COUNT * np.prod(SHAPE) / 1e6:.1f} "
    "megapixels. Memory is what the peak grew by, in this order.",
)  # fmt: skip
