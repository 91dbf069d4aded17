"""Inspects one test image: its reconstruction, its map, and what a threshold finds in it."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sadefect.anomaly_maps import scored_map
from sadefect.datasets import load_dataset
from sadefect.errors import DatasetNotFound, StoreError
from sadefect.files import load_arrays, save_arrays
from sadefect.paper.run import trained_model
from sadefect.paper.store import recorded_folder
from sadefect.segmentation import regions, segment

MAP_LEVELS = 255  # Of a recorded map.


@dataclass(frozen=True)
class Inspection:
    """Hold one test image, and what an experiment makes of it; arrays are ``(H, W)``."""

    result: object  # The experiment's `Result`, whose threshold was used.
    name: str
    kind: str
    # Float32, as the next; None where the data set is not here and may not be published.
    image: np.ndarray | None
    reconstruction: np.ndarray | None
    residual: np.ndarray  # Float32, opened, as it is scored.
    mask: np.ndarray  # True defects, bool.
    found: np.ndarray  # What lies at or above the threshold, bool.

    def window(self, side):
        """Return a square about the largest defect, as two slices; all of the image for 0."""
        height, width = self.mask.shape
        if not side or not self.mask.any():
            return slice(0, height), slice(0, width)
        top, left, bottom, right = max(regions(self.mask), key=lambda region: region.area).box
        side = min(side, height, width)
        starts = np.array([top + bottom, left + right]) // 2 - side // 2
        starts = starts.clip(0, (height - side, width - side)).tolist()
        return tuple(slice(start, start + side) for start in starts)


@lru_cache(maxsize=2)
def _model(experiment):
    return trained_model(experiment)[0]


def inspect(result, number, fpr=0.01):
    """Return the `Inspection` of one test image, given by its number in the test set.

    It is computed where the data set and the weights are here. Otherwise the map that was recorded
    is taken, which has no image and no reconstruction of data that may not be published; a
    `StoreError` says where there is none. The threshold is that for a false positive rate on
    held-out defect-free images, one of `sadefect.metrics.FPRS`.
    """
    experiment = result.experiment
    try:
        sample = load_dataset(experiment.dataset).test[number]
        pair = scored_map(_model(experiment), sample.image, experiment, experiment.seed)
    except (DatasetNotFound, StoreError) as error:
        return _recorded(result, number, fpr, error)
    found = segment(pair.residual, result.metrics["thresholds"][f"{fpr:g}"], 0)
    return Inspection(result, sample.name, sample.kind, sample.image, *pair, sample.mask, found)


def inspect_each(results, number, fpr=0.01):
    """Return `inspect` of one test image by several results; empty where it cannot be shown.

    That is where neither the images and weights nor recorded maps are here, or maps without an
    image.
    """
    try:
        inspections = [inspect(result, number, fpr) for result in results]
    except StoreError:
        return []
    return inspections if all(inspection.image is not None for inspection in inspections) else []


def _recorded(result, number, fpr, error):
    path = recorded_path(result, number)
    if not path.exists():
        raise StoreError(
            f"expected the data and weights of {result.experiment.training_key}, or the map of its "
            f"test image {number} in recorded/maps; got neither: {error}"
        ) from error
    arrays = load_arrays(path)
    image = reconstruction = None
    if "reconstruction" in arrays:
        image = load_dataset(result.experiment.dataset).test[number].image
        reconstruction = arrays["reconstruction"].astype("float32") / MAP_LEVELS
    residual = arrays["residual"].astype("float32") / MAP_LEVELS * float(arrays["top"])
    # A pixel that passes one threshold passes all lower ones, those of higher rates.
    rates = sorted(map(float, result.metrics["thresholds"]))
    found = arrays["passed"] >= len(rates) - rates.index(fpr)
    name, kind = str(arrays["name"]), str(arrays["kind"])
    return Inspection(result, name, kind, image, reconstruction, residual, arrays["mask"], found)


def recorded_path(result, number):
    """Return where the map of a test image is recorded."""
    return recorded_folder() / "maps" / result.experiment.evaluation_key / f"{number:03d}.npz"


def record_map(result, number):
    """Record what a page shows of an image: the map in 8 bit, masks, never an image of others."""
    inspection = inspect(result, number)
    residual = inspection.residual
    top = max(float(residual.max()), 1e-12)
    passed = [segment(residual, value, 0) for value in result.metrics["thresholds"].values()]
    arrays = {
        "residual": np.round(residual.clip(0) / top * MAP_LEVELS).astype("uint8"),
        "top": np.float32(top),
        "mask": inspection.mask,
        "passed": np.sum(passed, axis=0, dtype="uint8"),
        "name": np.array(inspection.name),
        "kind": np.array(inspection.kind),
    }
    if load_dataset(result.experiment.dataset).publishable:
        reconstruction = inspection.reconstruction.clip(0, 1) * MAP_LEVELS
        arrays["reconstruction"] = np.round(reconstruction).astype("uint8")
    path = recorded_path(result, number)
    save_arrays(path, compressed=True, **arrays)
    return path
