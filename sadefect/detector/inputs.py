"""Images as they are given: arrays, files, folders, samples and data sets."""

from pathlib import Path

import numpy as np

from sadefect.datasets.base import Dataset, Sample
from sadefect.datasets.images import list_images, read_pixels
from sadefect.errors import DataError, DatasetNotFound


def read(image):
    """Return the pixels of an image as they are stored, not yet gray."""
    if isinstance(image, Sample):
        return image.image
    return read_pixels(image) if isinstance(image, str | Path) else np.asanyarray(image)


def name_of(image):
    """Return what to call an image in a message or a table."""
    return str(image) if isinstance(image, str | Path) else getattr(image, "name", "the image")


def check_masks(dataset):
    """Refuse a data set without test images that have masks."""
    if not any(sample.read_mask for sample in dataset.test):
        raise DataError(
            "expected test images with masks, test/KIND/NAME.png and "
            f"ground_truth/KIND/NAME_mask.png; got none in {dataset.source}; add them, or use "
            "`sadefect segment` (predict), which needs none"
        )


def named_images(images):
    """Yield the name of each image, and the image: a path, a sample or an array."""
    if isinstance(images, str | Path):
        folder = Path(images).expanduser()
        if folder.is_file():
            images = [folder]
        elif not folder.exists():
            raise DatasetNotFound(
                f"expected an image, or a folder of images, at {folder}; there is neither; correct "
                "the path"
            )
        else:
            good = folder / "train" / "good"
            images = list_images(good if good.is_dir() else folder)
    elif isinstance(images, Dataset):
        images = images.train
    elif isinstance(images, np.ndarray) and images.ndim < 3:
        raise DataError(
            f"expected several images, (N, H, W) or (N, H, W, 3); got one array of shape "
            f"{images.shape}; pass a list of images"
        )
    for number, image in enumerate(images):
        plain = isinstance(image, np.ndarray | list)
        yield (f"image {number}" if plain else name_of(image)), image
