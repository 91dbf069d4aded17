"""Folders of images: your own, and what the loaders of known sets share."""

from functools import partial
from pathlib import Path

from sadefect.datasets.base import Dataset, Sample, fingerprint_of, verified, with_size
from sadefect.datasets.images import is_image, list_images, paired_mask, read_image
from sadefect.errors import DataError, DatasetNotFound

TEXTURE_SIZE = 256  # Section 4.2: textures are scaled down to give a patch more context.


def load(name, root, size=None):
    """Your own images: the layout of MVTec AD, or a flat folder of defect-free images."""
    if root is None:
        raise DataError('expected root=, the folder of your images; got None with name "folder"')
    base = Path(root).expanduser()
    if not base.is_dir():
        raise DatasetNotFound(f"expected a folder of images at {base}; there is none")
    source = {"source": str(base), "licence": "your own"}
    if (base / "train" / "good").is_dir():
        return laid_out(name, base, size, None, **source)
    if not any(is_image(path) for path in base.iterdir()):
        raise DataError(
            f"expected images in {base / 'train' / 'good'}, or defect-free ones in {base} itself; "
            "got none; put them there, or correct the path"
        )
    found = with_size(fingerprint_of(base), size, None)
    return Dataset(name, good_samples(base, size), (), found, **source)


def good_samples(folder, size=None):
    if size is not None and not (isinstance(size, int) and size > 0):
        raise ValueError(
            f"size must be a number of pixels, or None for the files' own; received {size!r}"
        )
    return tuple(
        Sample(path.stem, "good", partial(read_image, path, size)) for path in list_images(folder)
    )


def defective_samples(folder, mask_of, kind, size=None, prefix=""):
    """Samples with a mask each; that the masks are there is checked at once."""
    samples = []
    for path in list_images(folder):
        mask = mask_of(path)
        if not mask.is_file():
            raise DataError(
                f"expected a mask for {path} at {mask}; there is none; add it, or remove the image"
            )
        read = partial(read_image, path, size)
        samples.append(
            Sample(prefix + path.stem, kind, read, partial(paired_mask, path, mask, size))
        )
    return tuple(samples)


def mask_beside(folder, image):
    """The mask of an image: the same stem, with or without ``_mask``, any suffix."""
    for stem in (f"{image.stem}_mask", image.stem):
        for suffix in (".png", image.suffix):
            if (path := folder / f"{stem}{suffix}").is_file():
                return path
    return folder / f"{image.stem}_mask.png"


def laid_out(name, base, size, usual, *, known=None, source, licence):
    """A data set in the layout of MVTec AD; `usual` is the size that needs no mention."""
    test = []
    kinds = [path for path in (base / "test").glob("[!.]*") if path.is_dir()]
    for kind in sorted(kinds):
        if kind.name == "good":
            good = good_samples(kind, size)
            test += [Sample(f"good/{s.name}", "good", s.read_image) for s in good]
        else:
            masks = base / "ground_truth" / kind.name
            test += defective_samples(
                kind, partial(mask_beside, masks), kind.name, size, f"{kind.name}/"
            )
    found = verified(name, known, fingerprint_of(base, ("train", "test", "ground_truth")))
    return Dataset(
        name,
        good_samples(base / "train" / "good", size),
        tuple(test),
        with_size(found, size, usual),
        source,
        licence,
    )
