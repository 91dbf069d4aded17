"""Saved detectors: one file of numbers and JSON in the safetensors format; no code is in it."""

import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from sadefect.detector import yardsticks
from sadefect.detector.calibration import Calibration
from sadefect.detector.settings import AUTO
from sadefect.errors import StoreError
from sadefect.files import whole
from sadefect.methods import METHODS
from sadefect.provenance import versions

FORMAT = 5  # Raised when what is written no longer means the same.
# Settings that detectors of earlier formats had without saying so; all else means what it did.
BEFORE_5 = {"level_border": False}
BEFORE_4 = BEFORE_5 | {"colour": "luminance", "image_score": "area"}
BEFORE = {
    2: {"crops": "fixed", "symmetries": "none", "margin": 0, "frame": 0, "smoothing": 0.0}
    | BEFORE_4,
    3: BEFORE_4,
    4: BEFORE_5,
    FORMAT: {},
}
LEARNT = ("symmetries", "colour", "image_score")  # Chosen in training, if not given.
OLDER = {1: "whose verdicts were by the largest value of a map; they are by its largest region now"}
MOST_BYTES = 1_000_000_000  # The largest network of table 2, with d = 1000, has 19 million.


@contextmanager
def fitting_together(path, header):
    """Raise `StoreError` where what a file holds is not one detector.

    The file was whole: it was changed, or is of a version with other settings.
    """
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise StoreError(
            f"expected a detector as sadefect saves it; {path} does not fit together "
            f"({error}); it was changed, or is of another version "
            f"({str(header.get('version'))[:20]}); train it again"
        ) from error


def saved_parts(detector):
    """Return the header and the arrays that `restored` makes a detector of."""
    arrays = detector._learnt("calibration_").state() | {"history": detector.history_}
    known, fitted = yardsticks.state(detector.yardsticks_)
    arrays |= known
    if detector.ignored_ is not None:
        arrays["ignored"] = np.uint8(detector.ignored_)
    if detector.levels_ is not None:
        arrays["levels"] = detector.levels_
    if detector.method in METHODS:
        for number, weights in enumerate(detector.model_.get_weights()):
            arrays[f"weights.{number:03d}"] = weights
    return {
        "version": versions()["sadefect"],
        "settings": detector.get_params(),
        "chosen": {name: getattr(detector.scoring, name) for name in AUTO}
        | {name: getattr(detector, f"{name}_", None) for name in LEARNT},
        "yardsticks": fitted,
        "crowded": detector.calibration_.crowded,
        "calibrations": detector.calibrations_,
        "provenance": detector.provenance_,
    }, arrays


def restored(cls, header, arrays):
    """Return the detector of a class whose `saved_parts` were read; raise if they do not fit."""
    detector = cls(**(BEFORE[header["format"]] | header["settings"]))
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{name} holds NaN or infinity")
    chosen = dict(header.get("chosen", {}))
    for name in LEARNT:
        if (value := chosen.pop(name, None)) is not None:
            setattr(detector, f"{name}_", value)
    detector.scoring_ = replace(detector.scoring, **chosen)
    detector.yardsticks_ = yardsticks.from_state(
        arrays, header.get("yardsticks", {}), detector.seed
    )
    if detector.method in METHODS:
        detector.model_ = restored_model(detector.recipe, arrays)
    else:
        detector.model_ = detector.yardsticks_["filter_bank"]
    detector.ignored_ = arrays["ignored"] > 0 if "ignored" in arrays else None
    detector.levels_ = arrays.get("levels")
    levels = detector.levels_
    if levels is not None and (
        levels.shape[:-1] != (4,) or not ((levels >= 0) & (levels <= 1)).all()
    ):
        raise ValueError("levels of the border are not numbers from 0 to 1")
    detector.calibration_ = Calibration.from_state(arrays)
    detector.calibration_.crowded = list(map(str, header.get("crowded", [])))
    detector.calibrations_ = list(header.get("calibrations", []))
    detector.history_ = arrays["history"]
    detector.provenance_ = dict(header["provenance"])
    return detector


def restored_model(recipe, arrays):
    """Return a recipe's network with the weights among some arrays."""
    weights = [arrays[name] for name in sorted(arrays) if name.startswith("weights.")]
    # Before a network is built: a wrong number must not ask for more memory than the file has.
    if not any(recipe.latent_dim in array.shape for array in weights):
        raise ValueError(f"no weights of latent_dim {recipe.latent_dim}")
    model = recipe.build_model()
    model.set_weights(weights)
    return model


def write_file(path, header, arrays):
    """Write a dict of JSON values and a dict of arrays, whole or not at all; return the path."""
    text = json.dumps({"format": FORMAT} | header)
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    with whole(path) as temporary:
        temporary.write_bytes(save(arrays, {"sadefect": text}))
    return Path(path)


def read_file(path):
    """Read the header and the arrays that `write_file` wrote.

    A `StoreError` says that there is no such file, or that it is damaged, not a detector, or of
    another format.
    """
    path = Path(path)
    if path.is_dir():
        raise StoreError(
            f"expected a saved detector at {path}; it is a folder; name the detector's file first, "
            "then the images"
        )
    if not path.is_file():
        raise StoreError(f"expected a saved detector at {path}; there is none; train one first")
    if path.stat().st_size > MOST_BYTES:
        raise StoreError(f"expected a detector of at most {MOST_BYTES:,} bytes; {path} has more")
    try:
        with safe_open(path, framework="numpy") as opened:
            header = json.loads((opened.metadata() or {})["sadefect"])
            number = header["format"]
            if number in BEFORE:
                return header, {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        raise StoreError(
            f"expected a detector that `sadefect train` saved; {path} is damaged or something "
            f"else ({error}); copy it again, or train it again"
        ) from error
    if isinstance(number, int) and number in OLDER:
        raise StoreError(
            f"expected a detector of format {FORMAT}; {path} has format {number}, {OLDER[number]}; "
            "run the `sadefect train` that made it again: what was learnt is in the store, only "
            "thresholds are set anew"
        )
    raise StoreError(
        f"expected a detector of format {FORMAT}; {path} has format {number!r}, of sadefect "
        f"{header.get('version', '?')}; upgrade sadefect, or train it again with this version"
    )
