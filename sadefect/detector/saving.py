"""Saved detectors: one file of numbers and JSON in the safetensors format; no code is in it."""

import json
from pathlib import Path

import numpy as np

from sadefect.errors import StoreError
from sadefect.files import whole

FORMAT = 2  # Raised when what is written no longer means the same.
OLDER = {1: "whose verdicts were by the largest value of a map; they are by its largest region now"}
LARGEST = 1_000_000_000  # Bytes; the largest network of table 2, with d = 1000, has 19 million.


def write(path, header, arrays):
    """Write a dict that JSON can say and a dict of arrays, whole or not at all."""
    from safetensors.numpy import save

    text = json.dumps({"format": FORMAT} | header)
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    with whole(path) as temporary:
        temporary.write_bytes(save(arrays, {"sadefect": text}))


def read(path):
    """What `write` wrote: the header and the arrays.

    Raises
    ------
    StoreError
        If there is no such file, it is damaged, not a detector, or of a later format.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if path.is_dir():
        raise StoreError(
            f"expected a saved detector at {path}; it is a folder; name the detector's file first, "
            "then the images"
        )
    if not path.is_file():
        raise StoreError(f"expected a saved detector at {path}; there is none; train one first")
    if path.stat().st_size > LARGEST:
        raise StoreError(f"expected a detector of at most {LARGEST:,} bytes; {path} has more")
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
