"""Detectors against true masks."""

import json

import numpy as np

from sadefect.datasets import Dataset, load_dataset
from sadefect.detector.inputs import check_masks
from sadefect.errors import DataError, StoreError
from sadefect.files import load_arrays, save_arrays
from sadefect.metrics import FPRS, PixelMetrics, auroc, summarise
from sadefect.progress import progress


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
        true = np.array([image["true"] for image in self.images])
        scores = np.array([image["score"] for image in self.images], "float32")
        both = true.any() and not true.all()
        verdicts = {}
        for image in self.images:
            counts = verdicts.setdefault(image["kind"], {"images": 0, "defect": 0})
            counts["images"] += 1
            counts["defect"] += int(image["defect"])
        image_auroc = auroc([true[None]], [scores[None]]) if both else None
        return metrics | {"image_auroc": image_auroc, "verdicts": verdicts}, curves

    def save(self, path):
        """Write the counts to a file, whole or not at all."""
        text = np.frombuffer(json.dumps(self.images).encode(), "uint8")
        save_arrays(path, images=text, **{f"of_{k}": v for k, v in self.pixels.state().items()})

    @classmethod
    def load(cls, path):
        """Read what `save` wrote; nothing is counted if there is no such file, or a damaged one."""
        evaluation = cls()
        try:
            arrays = load_arrays(path)
            images = json.loads(arrays.pop("images").tobytes())
            pixels = PixelMetrics.from_state(
                {name.removeprefix("of_"): value for name, value in arrays.items()}
            )
        except (OSError, StoreError, DataError, ValueError, LookupError):
            return evaluation
        if pixels.images == len(images):
            evaluation.pixels, evaluation.images = pixels, images
        return evaluation


def evaluate_detector(detector, dataset, fpr, *, image_fpr, show=None, resume=None):
    """Compare maps with masks; see `Detector.evaluate`."""
    if not isinstance(dataset, Dataset):
        dataset = load_dataset("folder", dataset)
    check_masks(dataset)
    evaluation = Evaluation.load(resume) if resume else Evaluation()
    with progress("evaluating", len(dataset.test), "images") as report:
        for done, sample in enumerate(dataset.test, 1):
            finding = None
            if done > len(evaluation.images):
                finding = detector.look(sample.image, fpr, sample.name, image_fpr=image_fpr)
                evaluation.update(finding, sample.mask, sample.kind)
            if show:
                show(finding, sample)
            if resume and finding:
                evaluation.save(resume)
            report(done)
    return evaluation.metrics([detector.threshold(share) for share in FPRS])
