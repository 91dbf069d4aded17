"""Detectors against true masks: what is counted of each image, and what it comes to."""

import json

import numpy as np

from sadefect.datasets import Dataset, load_dataset
from sadefect.errors import DataError, StoreError
from sadefect.files import load_arrays, save_arrays
from sadefect.metrics import PixelMetrics, auroc, summarise


def with_masks(dataset):
    """Return a data set, or load the folder at a path; refuse one without masks."""
    if not isinstance(dataset, Dataset):
        dataset = load_dataset("folder", dataset)
    if not any(sample.read_mask for sample in dataset.test):
        raise DataError(
            "expected test images with masks, test/KIND/NAME.png and "
            f"ground_truth/KIND/NAME_mask.png; got none in {dataset.source}; add them, or use "
            "`sadefect segment` (predict), which needs none"
        )
    return dataset


class Evaluation:
    """Accumulates evaluation counts; can be saved and resumed.

    Pixels are counted in ``pixels``, and ``images`` has a verdict for each image, in the order of
    the test set.
    """

    def __init__(self):
        self.pixels, self.images = PixelMetrics(), []

    def update(self, finding, mask, kind):
        """Count the `Finding` of an image whose true mask is known."""
        self.pixels.update(mask, finding.map)
        verdict = {"score": finding.score, "defect": finding.defect}
        self.images.append({"kind": kind, "true": bool(mask.any())} | verdict)

    def metrics(self, thresholds):
        """Return metrics and curves, two dicts; see `Detector.evaluate`."""
        metrics, curves = summarise(self.pixels, thresholds)
        true = np.array([[image["true"] for image in self.images]])
        scores = np.array([[image["score"] for image in self.images]], "float32")
        metrics["image_auroc"] = auroc([true], [scores]) if len(np.unique(true)) == 2 else None
        metrics["verdicts"] = {}
        for image in self.images:
            counts = metrics["verdicts"].setdefault(image["kind"], {"images": 0, "defect": 0})
            counts["images"] += 1
            counts["defect"] += image["defect"]
        return metrics, curves

    def save(self, path):
        """Write the counts to a file, whole or not at all."""
        save_arrays(path, verdicts=np.array(json.dumps(self.images)), **self.pixels.state())

    @classmethod
    def load(cls, path):
        """Read what `save` wrote; nothing is counted if there is no such file, or a damaged one."""
        evaluation = cls()
        try:
            arrays = load_arrays(path)
            evaluation.images = json.loads(str(arrays["verdicts"]))
            evaluation.pixels = PixelMetrics.from_state(arrays)
        except (OSError, StoreError, DataError, ValueError, LookupError):
            return cls()
        return evaluation if evaluation.pixels.images == len(evaluation.images) else cls()
