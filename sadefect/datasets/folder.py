"""Folders of images: your own, and what the loaders of known sets share."""

import re
from dataclasses import replace
from functools import partial
from operator import index
from pathlib import Path

import numpy as np
from PIL import Image

from sadefect.datasets.base import Dataset, Sample, fingerprint_of, verified, with_size
from sadefect.datasets.images import (
    SUFFIXES,
    image_files,
    is_image,
    list_images,
    name_some,
    read_image,
    subfolders,
    warn_of_ignored,
)
from sadefect.datasets.masks import check_mask_values, paired_mask
from sadefect.errors import DataError, DatasetNotFound
from sadefect.files import explained

TEXTURE_SIZE = 256  # Section 4.2: textures are scaled down to give a patch more context.


def load(name, root, size=None, mask_values=None):
    """Load your own images: the layout of MVTec AD, or a flat folder of defect-free images.

    What is in the folder and not read is warned of; ``mask_values`` are as in `read_mask`.
    """
    check_mask_values(mask_values)
    if root is None:
        raise DataError('expected root=, the folder of your images; got None with name "folder"')
    base = Path(root).expanduser()
    if not base.is_dir():
        raise DatasetNotFound(f"expected a folder of images at {base}; there is none")
    about = str(base), "your own"
    if (base / "train" / "good").is_dir():
        for folder, known in folders_of(base):
            warn_of_ignored(folder, known)
        data = laid_out(name, base, size, None, *about, mask_values=mask_values)
        if mask_values is None:
            return data
        how = re.sub(r"[^\w.-]+", "-", str(mask_values))
        return replace(data, fingerprint=f"{data.fingerprint}-masks-{how}")
    if not image_files(base):
        raise DataError(
            f"expected images in {base / 'train' / 'good'}, or defect-free ones in {base} itself; "
            "got none; put them there, or correct the path"
        )
    warn_of_ignored(base)
    fingerprint = with_size(fingerprint_of(base), size, None)
    return Dataset(name, good_samples(base, size), (), fingerprint, *about)


def folders_of(base):
    """Yield the folders of a set laid out like MVTec AD, and which of their folders are read.

    None stands for a folder that holds images.
    """
    kinds = subfolders(base / "test")
    yield base, ("train", "test", "ground_truth")
    yield base / "train", ("good",)
    yield base / "train" / "good", None
    yield base / "test", [kind.name for kind in kinds]
    for kind in kinds:
        yield kind, None


def good_samples(folder, size=None):
    """Return a folder's images as samples without defects."""
    try:
        valid = size is None or index(size) > 0
    except TypeError:
        valid = False
    if not valid:
        raise ValueError(
            f"size must be a number of pixels, or None for the files' own; received {size!r}"
        )
    return tuple(
        Sample(path.stem, "good", partial(read_image, path, size)) for path in list_images(folder)
    )


def defective_samples(folder, mask_of, kind, size=None, prefix="", mask_values=None):
    """Return samples with a mask each; that the masks are there is checked at once."""
    samples = []
    for path in list_images(folder):
        mask = mask_of(path)
        require_mask(path, mask)
        readers = (
            partial(read_image, path, size),
            partial(paired_mask, path, mask, size, mask_values),
        )
        samples.append(Sample(prefix + path.stem, kind, *readers))
    return tuple(samples)


def require_mask(image, mask):
    """Raise `DataError` unless the mask of an image is there; name files that look like it."""
    if not mask.is_file():
        near = near_misses(mask.parent, image)
        hint = f"rename {name_some(near)}, " if near else ""
        raise DataError(
            f"expected a mask for {image} at {mask}; there is none; {hint}add it, or remove the "
            "image"
        )


def mask_beside(folder, image):
    """Find the mask of an image: the same stem, with or without ``_mask``, any suffix."""
    for stem in (f"{image.stem}_mask", image.stem):
        for suffix in dict.fromkeys((".png", image.suffix, *sorted(SUFFIXES))):
            for written in (suffix, suffix.upper()):
                if (path := folder / f"{stem}{written}").is_file():
                    return path
    return folder / f"{image.stem}_mask.png"


def near_misses(folder, image):
    """List the names of files that look like the mask of an image: ``_gt``, ``-mask`` and so on."""
    pattern = re.compile(rf"{re.escape(image.stem)}[\W_].+|.+[\W_]{re.escape(image.stem)}")
    files = sorted(folder.glob("*")) if folder.is_dir() else ()
    others = (path for path in files if is_image(path) and not path.stem.endswith("_mask"))
    return [path.name for path in others if pattern.fullmatch(path.stem)]


def laid_out(name, base, size, usual, source, licence, *, known=None, mask_values=None):
    """Load a data set in the layout of MVTec AD; `usual` is the size that needs no mention."""
    test = []
    for kind in subfolders(base / "test"):
        if kind.name == "good":
            good = good_samples(kind, size)
            test += [replace(sample, name=f"good/{sample.name}") for sample in good]
        else:
            mask_of = partial(mask_beside, base / "ground_truth" / kind.name)
            test += defective_samples(kind, mask_of, kind.name, size, f"{kind.name}/", mask_values)
    fingerprint = verified(name, known, fingerprint_of(base, ("train", "test", "ground_truth")))
    fingerprint = with_size(fingerprint, size, usual)
    train = good_samples(base / "train" / "good", size)
    return Dataset(name, train, tuple(test), fingerprint, source, licence)


def write_test_images(folder, samples):
    """Write samples as images of 8 bit and masks, laid out like MVTec AD's test images."""
    for number, sample in enumerate(samples):
        pictures = {f"test/{sample.kind}/{number:03d}": sample.image}
        if sample.read_mask:
            pictures[f"ground_truth/{sample.kind}/{number:03d}_mask"] = sample.mask
        for name, picture in pictures.items():
            path = Path(folder) / f"{name}.png"
            with explained(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.uint8(np.round(picture * np.float32(255)))).save(path)
