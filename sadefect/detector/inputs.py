"""Images as they are given, arrays, files, folders or data sets; read, named and downscaled."""

from copy import copy
from pathlib import Path

import numpy as np
from PIL import Image

from sadefect.datasets.base import Dataset, Sample
from sadefect.datasets.images import (
    as_gray,
    image_files,
    list_images,
    name_some,
    pillow_pixels,
    read_pixels,
    subfolders,
    warn_of_ignored,
)
from sadefect.errors import DataError, DatasetNotFound


def read(image):
    """Return the pixels of an image as they are stored, not yet gray."""
    if isinstance(image, Sample):
        return image.image
    if isinstance(image, Image.Image):
        return pillow_pixels(image, name_of(image))
    return read_pixels(image) if isinstance(image, str | Path) else np.asanyarray(image)


def name_of(image):
    """Return what to call an image in a message or a table."""
    if isinstance(image, Image.Image):
        return str(getattr(image, "filename", "") or "the image")
    return str(image) if isinstance(image, str | Path) else getattr(image, "name", "the image")


def named_images(images, purpose="train"):
    """Yield the name of each image, and the image: a path, a sample or an array.

    Of a set laid out like MVTec AD, those to train on are taken for the purpose "train"; to "judge"
    images, a folder of them has to be named. What is in a folder and not read is warned of.
    """
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
            images = _listed(folder, purpose)
    elif isinstance(images, Dataset):
        if purpose == "judge" and images.test:
            raise DataError(
                f"expected images to judge; got {images.name} with images to train on and to test; "
                "pass its .test, or its .train"
            )
        images = images.train
    elif isinstance(images, Image.Image):
        images = [images]
    elif isinstance(images, np.ndarray) and images.ndim < 3:
        raise DataError(
            f"expected several images, (N, H, W) or (N, H, W, 3); got one array of shape "
            f"{images.shape}; pass a list of images"
        )
    for number, image in enumerate(images):
        name = name_of(image)
        yield (f"image {number}" if name == "the image" else name), image


def _listed(folder, purpose):
    """List the images of a folder, of one laid out like MVTec AD those to train on."""
    good = folder / "train" / "good"
    if good.is_dir() and purpose == "train":
        folder = good
    elif purpose == "judge" and not image_files(folder):
        kinds = [*subfolders(folder / "test"), good, *subfolders(folder)]
        if kinds := [str(kind) for kind in kinds if kind.is_dir() and image_files(kind)]:
            raise DataError(
                f"expected images to judge in {folder} itself; its folders have some: name those "
                f"that you mean: {name_some(kinds)}"
            )
    files = list_images(folder, distinct=purpose == "train")
    warn_of_ignored(folder)
    return files


class Downscaled:
    """An image as a gray one of averaged blocks, made part by part: never held whole as floats.

    A pair of slices gives a part of the float32 array ``(H // factor, W // factor)`` that it stands
    for, in [0, 1]. Rows and columns left over at the lower and right border belong to no block. A
    `DataError` says by name what is no image, or smaller than a patch after downscaling; and of a
    part, that its values cannot be used.

    Examples
    --------
    >>> image = Downscaled(np.eye(5, dtype="uint8") * 255, factor=2, patch_size=1)
    >>> image.shape, image[:, :].tolist()
    ((2, 2), [[0.5, 0.0], [0.0, 0.5]])
    >>> image.enlarged(image[:, :]).shape
    (5, 5)
    """

    def __init__(self, image, factor, patch_size, name=None):
        self.pixels, self.factor, self.name = read(image), factor, name or name_of(image)
        self.channel = None  # Luminance.
        if self.pixels.ndim not in (2, 3):
            raise DataError(
                "expected an image, (H, W) or (H, W, 3); got shape "
                f"{self.pixels.shape}: {self.name}"
            )
        self.full_shape = height, width = self.pixels.shape[:2]
        least = patch_size * factor
        if min(height, width) < least:
            raise DataError(
                f"expected an image of at least {least}x{least} pixels, one patch"
                f"{f' shrunk by {factor}' if factor > 1 else ''}; got {height}x{width}: "
                f"{self.name}; use a smaller patch_size, or larger images"
            )
        self.shape = (height // factor, width // factor)

    def __getitem__(self, part):
        spans = [span.indices(length)[:2] for span, length in zip(part, self.shape, strict=True)]
        rows, columns = (slice(start * self.factor, stop * self.factor) for start, stop in spans)
        pixels = self.pixels[rows, columns]
        gray = as_gray(pixels if self.channel is None else pixels[..., self.channel], self.name)
        (top, bottom), (left, right) = spans
        blocks = (bottom - top, self.factor, right - left, self.factor)
        return gray.reshape(blocks).mean(axis=(1, 3))

    def channels(self):
        """List the image's red, green and blue, of this class; of a gray image itself alone."""
        pixels = self.pixels
        if pixels.ndim < 3 or pixels.shape[-1] not in (3, 4):
            return [self]
        if (pixels[..., :1] == pixels[..., 1:3]).all():
            return [self]  # Gray, saved as colour.
        planes = [copy(self) for _ in range(3)]
        for number, plane in enumerate(planes):
            plane.channel = number
        return planes

    def enlarged(self, map):
        """Return a map, of this object's shape, with a value for each of the image's own pixels.

        Pixels that belong to no block take the value of the last one.
        """
        if self.factor == 1:
            return map
        rows, columns = (
            np.minimum(np.arange(length) // self.factor, blocks - 1)
            for length, blocks in zip(self.full_shape, self.shape, strict=True)
        )
        return map[np.ix_(rows, columns)]
