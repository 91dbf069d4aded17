"""Folders of images: your own, and what the loaders of known sets share."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from sadefect.datasets.base import Dataset, Sample, fingerprint_of, verified, with_size
from sadefect.datasets.images import is_image, list_images, paired_mask, read_image
from sadefect.errors import DataError, DatasetNotFound

TEXTURE_SIZE = 256  # Section 4.2: textures are scaled down to give a patch more context.


def load(name, root, size=None):
    """Load your own images: the layout of MVTec AD, or a flat folder of defect-free images."""
    if root is None:
        raise DataError('expected root=, the folder of your images; got None with name "folder"')
    base = Path(root).expanduser()
    if not base.is_dir():
        raise DatasetNotFound(f"expected a folder of images at {base}; there is none")
    about = str(base), "your own"
    if (base / "train" / "good").is_dir():
        return laid_out(name, base, size, None, *about)
    if not any(is_image(path) for path in base.iterdir()):
        raise DataError(
            f"expected images in {base / 'train' / 'good'}, or defect-free ones in {base} itself; "
            "got none; put them there, or correct the path"
        )
    fingerprint = with_size(fingerprint_of(base), size, None)
    return Dataset(name, good_samples(base, size), (), fingerprint, *about)


def good_samples(folder, size=None):
    """Return a folder's images as samples without defects."""
    if size is not None and not (isinstance(size, int) and size > 0):
        raise ValueError(
            f"size must be a number of pixels, or None for the files' own; received {size!r}"
        )
    return tuple(
        Sample(path.stem, "good", partial(read_image, path, size)) for path in list_images(folder)
    )


def defective_samples(folder, mask_of, kind, size=None, prefix=""):
    """Return samples with a mask each; that the masks are there is checked at once."""
    samples = []
    for path in list_images(folder):
        mask = mask_of(path)
        if not mask.is_file():
            raise DataError(
                f"expected a mask for {path} at {mask}; there is none; add it, or remove the image"
            )
        readers = partial(read_image, path, size), partial(paired_mask, path, mask, size)
        samples.append(Sample(prefix + path.stem, kind, *readers))
    return tuple(samples)


def mask_beside(folder, image):
    """Find the mask of an image: the same stem, with or without ``_mask``, any suffix."""
    for stem in (f"{image.stem}_mask", image.stem):
        for suffix in (".png", image.suffix):
            if (path := folder / f"{stem}{suffix}").is_file():
                return path
    return folder / f"{image.stem}_mask.png"


def laid_out(name, base, size, usual, source, licence, *, known=None):
    """Load a data set in the layout of MVTec AD; `usual` is the size that needs no mention."""
    test = []
    for kind in sorted(path for path in (base / "test").glob("[!.]*") if path.is_dir()):
        if kind.name == "good":
            good = good_samples(kind, size)
            test += [replace(sample, name=f"good/{sample.name}") for sample in good]
        else:
            mask_of = partial(mask_beside, base / "ground_truth" / kind.name)
            test += defective_samples(kind, mask_of, kind.name, size, f"{kind.name}/")
    fingerprint = verified(name, known, fingerprint_of(base, ("train", "test", "ground_truth")))
    fingerprint = with_size(fingerprint, size, usual)
    train = good_samples(base / "train" / "good", size)
    return Dataset(name, train, tuple(test), fingerprint, source, licence)
