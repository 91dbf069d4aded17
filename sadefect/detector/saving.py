"""Saved detectors: one file of numbers and JSON in the safetensors format; no code is in it."""

import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from sadefect.errors import StoreError
from sadefect.files import whole

FORMAT = 2  # Raised when what is written no longer means the same.
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


def restored_model(recipe, arrays):
    """Return a recipe's network with the weights among some arrays."""
    weights = [arrays[name] for name in sorted(arrays) if name.startswith("weights.")]
    # Before a network is built: a wrong number must not ask for more memory than the file has.
    if not any(recipe.latent_dim in array.shape for array in weights):
        raise ValueError(f"no weights of latent_dim {recipe.latent_dim}")
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{name} holds NaN or infinity")
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
            if number == FORMAT:
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
