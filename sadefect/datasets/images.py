"""Image files as gray float32 in [0, 1], masks as bool, and errors that help."""

import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import color, transform

from sadefect.errors import DataError, DatasetNotFound

SUFFIXES = {".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".npy"}
MAX_PIXELS = 100_000_000  # More is taken for a decompression bomb.
# Of Pillow: black and white, gray, palettes, colour, 16 and 32 bit integers, and floats.
MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16", "I;16L", "I;16B", "I;16N", "I", "F"}
PHOTOMETRIC = 262  # The TIFF tag that says whether 0 is black or white.


def is_image(path):
    """Tell whether a path is named like an image; hidden files are not."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def list_images(folder):
    """List the image files of a folder by name; `DataError` if two have one, or there are none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise DatasetNotFound(
            f"expected a folder of images at {folder}; there is none; make it, or correct the path"
        )
    images = sorted(path for path in folder.iterdir() if is_image(path))
    if not images:
        raise DataError(
            f"expected images ({', '.join(sorted(SUFFIXES))}) in {folder}; got none of them; "
            "put the images there, or correct the path"
        )
    for first, second in pairwise(sorted(images, key=lambda path: path.stem)):
        if first.stem == second.stem:
            raise DataError(
                f"expected one image of each name in {folder}; got {first.name} and "
                f"{second.name}; remove one"
            )
    return images


def read_pixels(path):
    """Return the numbers in a file, or raise `DataError`."""
    path = Path(path)
    if not path.is_file():
        instead = "a folder" if path.is_dir() else "nothing"
        raise DatasetNotFound(
            f"expected an image file at {path}; there is {instead}; put the file there, or load "
            "the data set again if its files were renamed"
        )
    try:
        return _stored(path) if path.suffix.lower() == ".npy" else _decoded(path)
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(_too_large(path, f"more ({error})")) from error
    except Exception as error:  # Decoders raise anything on damaged files.
        raise DataError(
            f"expected a readable image; {path} is damaged or of an unknown kind ({error}); "
            "copy it again, or remove it"
        ) from error


def _too_large(path, got):
    return f"expected at most {MAX_PIXELS:,} pixels; got {got}: {path}; cut it into parts"


def _stored(path):
    array = np.load(path, allow_pickle=False, mmap_mode="r")
    if array.size > 4 * MAX_PIXELS:
        raise DataError(_too_large(path, f"shape {array.shape}"))
    return np.array(array)


def _decoded(path):
    with warnings.catch_warnings():
        # Pillow only warns of sizes that are checked here, and of damage that decoding meets.
        warnings.simplefilter("ignore")
        with Image.open(path) as opened:
            width, height = opened.size
            if width * height > MAX_PIXELS:
                raise DataError(_too_large(path, f"{width}x{height}"))
            frames = getattr(opened, "n_frames", 1)
            if frames != 1:
                raise DataError(
                    f"expected one image per file; got {frames} pages or frames: {path}; save "
                    "each one in a file of its own"
                )
            if opened.mode not in MODES:
                raise DataError(
                    f"expected a gray or RGB image; got colours in {opened.mode}: {path}; convert "
                    "it to gray or RGB"
                )
            if opened.mode in ("P", "PA"):
                return np.array(opened.convert("RGBA"))
            array = np.array(opened)
            # Pillow turns images round in which 0 is white, but not those of 16 bits.
            white = getattr(opened, "tag_v2", {}).get(PHOTOMETRIC) == 0
            return np.uint16(65535) - array if white and opened.mode[:4] == "I;16" else array


def as_gray(array, name="the image"):
    """Convert any image array to float32 ``(H, W)`` in [0, 1].

    It may be ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)`` or ``(H, W, 4)``. Colour becomes the
    luminance of ITU-R 709 and loses its alpha channel; 8 and 16 bit are divided by 255 and 65535,
    bool becomes 0 and 1; floats have to lie in [0, 1]. Files with 16 bits a colour are read with 8.
    Raises a `DataError` with the name if the array is none of these, or holds NaN.

    Examples
    --------
    >>> import numpy as np
    >>> np.allclose(as_gray(np.full((2, 2, 3), 51, "uint8")), 0.2)
    True
    """
    array = np.asarray(array)
    if array.ndim == 3 and array.shape[-1] in (1, 2):
        array = array[..., 0]  # Two channels are gray and alpha.
    colour = array.ndim == 3 and array.shape[-1] in (3, 4)
    if not array.size or not (colour or array.ndim == 2):
        raise DataError(
            f"expected a gray or RGB image, (H, W) or (H, W, 3); got shape {array.shape}: {name}"
        )
    array = array[..., :3] if colour else array
    if array.dtype.kind == "f":
        if missing := int(np.isnan(array).sum()):
            raise DataError(
                f"expected floats in [0, 1] without NaN; got NaN in {missing:,} of {array.size:,} "
                f"values: {name}; fill them in, or leave the image out"
            )
        low, high = float(array.min()), float(array.max())
        if not (low >= 0 and high <= 1):
            raise DataError(
                f"expected floats in [0, 1]; got values from {low:g} to {high:g}: "
                f"{name}; scale them to [0, 1] by the camera's range, the same for all images"
            )
    elif array.dtype.kind not in "bu" or array.dtype.itemsize > 2:
        raise DataError(
            f"expected 8 or 16 bit unsigned, bool or float gray values; got {array.dtype}: {name}; "
            "save it as 8 or 16 bit"
        )
    gray = array.astype("float32")
    if array.dtype.kind == "u":
        gray /= np.float32(np.iinfo(array.dtype).max)
    gray = color.rgb2gray(gray) if colour else gray
    return np.clip(gray, 0, 1, out=gray)


def read_image(path, size=None):
    """Read a file as gray image.

    Parameters
    ----------
    path : path
        PNG, TIFF, JPEG, BMP, or ``.npy``.
    size : int, optional
        Scale the image to ``size`` by ``size`` pixels, averaging over areas.

    Returns
    -------
    float32 array (H, W)
        In [0, 1]; see `as_gray` for conversions.

    Raises
    ------
    DataError
        If the file is missing, damaged, or not an image of a known kind.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> path = pathlib.Path(tempfile.mkdtemp(), "image.npy")
    >>> np.save(path, np.eye(4, dtype="uint8") * 255)
    >>> read_image(path).sum()
    np.float32(4.0)
    """
    return _resize(as_gray(read_pixels(path), path), size)


def read_mask(path, size=None):
    """Read a file as mask, true on defects.

    Gray values from half of the largest possible one on count as defect; a file with the values 0
    and 1 alone is taken as it is, and one with other small values alone is refused. Scaled down, a
    pixel is defect when at least half of its area is.

    Parameters
    ----------
    path : path
    size : int, optional
        As in `read_image`.

    Returns
    -------
    bool array (H, W)

    Raises
    ------
    DataError
        As `read_image`.
    """
    return _resize_mask(_mask(path), size)


def _mask(path):
    array = read_pixels(path)
    if array.dtype.kind in "iu" and array.size and array.min() >= 0 and array.max() == 1:
        array = array.astype(bool)
    gray = as_gray(array, path)
    mask = gray >= 0.5
    if gray.any() and not mask.any():
        # Numbered regions, for instance: taken as gray values, they would silently be no defect.
        raise DataError(
            f"expected a mask with 0 on good pixels and 255 (or 1) on defects; got no value above "
            f"{gray.max():.3g} of the largest possible one: {path}; save defects as 255"
        )
    return mask


def _resize_mask(mask, size):
    # Sums of areas are rounded: a pixel with just half of its area counts.
    return mask if size is None else _resize(mask.astype("float32"), size) >= 0.5 - 1e-6


def _resize(image, size):
    if size is None or image.shape == (size, size):
        return image
    scaled = transform.resize_local_mean(image, (size, size), preserve_range=True)
    return np.clip(scaled, 0, 1).astype("float32")


def paired_mask(image_path, mask_path, size=None):
    """Read the mask of an image; `DataError` if it is missing, or of another size."""
    mask, expected = _mask(mask_path), read_image(image_path).shape
    if mask.shape != expected:
        raise DataError(
            f"expected a mask of {expected[0]}x{expected[1]} pixels for {image_path}; got "
            f"{mask.shape[0]}x{mask.shape[1]}: {mask_path}; draw it on the image itself"
        )
    return _resize_mask(mask, size)
