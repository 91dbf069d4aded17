"""Detectors against true masks: what is counted of each image, and what it comes to."""

import json

import numpy as np

from sadefect.datasets import Dataset, load_dataset
from sadefect.errors import DataError, StoreError
from sadefect.files import load_arrays, save_arrays
from sadefect.metrics import FPRS, PixelMetrics, auroc, summarise
from sadefect.progress import progress


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

    Pixels are counted in ``pixels``, those of yardsticks in ``others``, by name, and ``images`` has
    a verdict for each image, in the order of the test set.
    """

    def __init__(self):
        self.pixels, self.others, self.images = PixelMetrics(), {}, []

    def update(self, finding, mask, kind, counted=None, others=None):
        """Count the `Finding` of an image whose true mask is known.

        ``counted`` are the pixels that count, None for all; ``others`` maps of yardsticks, by name.
        """
        self.pixels.update(mask, finding.map, counted)
        for name, map in (others or {}).items():
            self.others.setdefault(name, PixelMetrics()).update(mask, map, counted)
        mask = mask if counted is None else mask & counted
        verdict = {"score": finding.score, "defect": finding.defect}
        self.images.append({"kind": kind, "true": bool(mask.any())} | verdict)

    def metrics(self, thresholds):
        """Return metrics and curves, two dicts; see `Detector.evaluate`."""
        metrics, curves = summarise(self.pixels, thresholds)
        true = np.array([[image["true"] for image in self.images]])
        scores = np.array([[image["score"] for image in self.images]], "float32")
        metrics["image_auroc"] = auroc([true], [scores]) if len(np.unique(true)) == 2 else None
        metrics["yardsticks"] = {
            name: {"auroc": pixels.auroc(), "aupro": pixels.aupro()}
            for name, pixels in self.others.items()
        }
        metrics["verdicts"] = {}
        for image in self.images:
            counts = metrics["verdicts"].setdefault(image["kind"], {"images": 0, "defect": 0})
            counts["images"] += 1
            counts["defect"] += image["defect"]
        return metrics, curves

    def save(self, path):
        """Write the counts to a file, whole or not at all."""
        others = {
            f"{name}/{key}": array
            for name, pixels in self.others.items()
            for key, array in pixels.state().items()
        }
        verdicts = np.array(json.dumps([self.images, list(self.others)]))
        save_arrays(path, verdicts=verdicts, **self.pixels.state(), **others)

    @classmethod
    def load(cls, path):
        """Read what `save` wrote; nothing is counted if there is no such file, or a damaged one."""
        evaluation = cls()
        try:
            arrays = load_arrays(path)
            evaluation.images, others = json.loads(str(arrays["verdicts"]))
            evaluation.pixels = PixelMetrics.from_state(arrays)
            for name in others:
                own = {key.removeprefix(f"{name}/"): value for key, value in arrays.items()}
                evaluation.others[name] = PixelMetrics.from_state(own)
        except (OSError, StoreError, DataError, ValueError, LookupError):
            return cls()
        return evaluation if evaluation.pixels.images == len(evaluation.images) else cls()


def evaluate_detector(detector, dataset, show=None, resume=None, **shares):
    """Return metrics and curves of a detector on test images; see `Detector.evaluate`."""
    test = with_masks(dataset).test
    evaluation = Evaluation.load(resume) if resume else Evaluation()
    with progress("evaluating", len(test), "images") as report:
        for done, sample in enumerate(test, 1):
            finding = None
            if done > len(evaluation.images):
                finding = detector.look(sample.image, shares["fpr"], sample.name,
                                        image_fpr=shares["image_fpr"])  # fmt: skip
                others = detector.yardstick_maps(sample.image)
                counted = detector._counted(finding.map.shape)
                evaluation.update(finding, sample.mask, sample.kind, counted, others)
            if show:
                show(finding, sample)
            if resume and finding:
                evaluation.save(resume)
            report(done)
    return evaluation.metrics([detector.threshold(share) for share in FPRS])
