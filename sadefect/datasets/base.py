"""The type that all data sets return, and where their files are looked for."""

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sadefect.datasets.images import is_image
from sadefect.errors import require_choice
from sadefect.files import store_folder

HELD_OUT = 10  # One of so many defect-free images is held out for thresholds.


class About(NamedTuple):
    """Hold what is known of a data set without its files."""

    images: str  # How many there are, and how large.
    source: str
    licence: str
    get: str  # How to get them.
    fingerprint: str = "none known"  # Of the files that the recorded results are from.


@dataclass(frozen=True)
class Sample:
    """Hold one image and its ground truth, read each time they are asked for.

    Examples
    --------
    >>> import numpy as np
    >>> Sample("000", "good", lambda: np.zeros((4, 4), "float32")).mask.any()
    np.False_
    """

    name: str  # Unique within its split, for instance "ITIA1101" or "bent/000".
    kind: str  # "good", or the class of the defect.
    read_image: Callable[[], np.ndarray]  # Returns float32 ``(H, W)`` in [0, 1].
    # Returns bool ``(H, W)``; without it the image is free of defects.
    read_mask: Callable[[], np.ndarray] | None = None

    @property
    def image(self) -> np.ndarray:
        """Read gray values in [0, 1], float32 ``(H, W)``."""
        return self.read_image()

    @property
    def mask(self) -> np.ndarray:
        """Read the mask, true on defects, bool ``(H, W)``."""
        return self.read_mask() if self.read_mask else np.zeros(self.image.shape, bool)


@dataclass(frozen=True)
class Dataset:
    """Hold defect-free images to train on and images with masks to score.

    Both have a length, and read nothing until an image is asked for.
    """

    name: str  # As given to `load_dataset`.
    train: Sequence[Sample]
    test: Sequence[Sample]
    fingerprint: str  # Names the content; results are stored under it.
    source: str  # Who made it,
    licence: str  # and what may be done with it.
    publishable: bool = False  # Whether its images may stand in the published book.

    def split(self, train: str = "split") -> tuple[list[Sample], list[Sample]]:
        """Part the defect-free images into those to train on, and those held out for thresholds.

        For ``train="split"`` the last tenth of the images, at least one, is never trained on; for
        "all" every image is, the held-out ones included: thresholds are then optimistic. Returns
        two lists of `Sample`.
        """
        count = held_out(len(self.train))
        require_choice("train", train, ("split", "all"))
        if train == "split" and len(self.train) < 2:
            raise ValueError(
                f"expected at least 2 defect-free images in {self.name}, one to hold out; got "
                f'{len(self.train)}; add images, or use train="all"'
            )
        trained_on = self.train if train == "all" else self.train[:-count]
        return list(trained_on), list(self.train[-count:])


def held_out(images):
    """Return how many defect-free images, the last ones, are held out; at least one.

    Examples
    --------
    >>> held_out(5), held_out(19), held_out(20)
    (1, 1, 2)
    """
    return max(1, images // HELD_OUT)


def data_root(root=None) -> Path:
    """Return where data sets are: ``root``, ``SADEFECT_DATA``, or the user's cache directory."""
    root = root or os.environ.get("SADEFECT_DATA")
    return Path(root).expanduser() if root else store_folder() / "data"


@lru_cache(maxsize=32)
def _fingerprint(base, stamps):
    """Hash the names and bytes of files: reading a folder is cheaper than decoding it."""
    digest = hashlib.sha256()
    for path in sorted(base / name for name, *_ in stamps):
        name = path.relative_to(base).as_posix().encode("utf-8", "surrogateescape")
        digest.update(name + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def fingerprint_of(base, folders=("",)):
    """Return the fingerprint of all images below folders of ``base``, 16 hexadecimal digits.

    It is computed once per process and content.
    """
    stamps = []
    for folder in folders:
        for path in sorted((base / folder).rglob("*")):
            if is_image(path) and path.is_file():
                stat = path.stat()
                stamps.append((path.relative_to(base).as_posix(), stat.st_size, stat.st_mtime_ns))
    return _fingerprint(base, tuple(sorted(stamps)))


def with_size(fingerprint, size, usual):
    """Name the size of images in the fingerprint if it is not the usual one."""
    return fingerprint if size == usual else f"{fingerprint}-{size}"


def verified(name, known, computed):
    """Return the fingerprint to store results under; warn where files are not the known ones."""
    if known not in (None, computed):
        warnings.warn(
            f"the files of {name} have the fingerprint {computed}, not {known} as in the recorded "
            "results; results with these files are stored apart from them",
            stacklevel=3,
        )
    return computed
