"""Image files as gray float32 in [0, 1], masks as bool, and errors that help."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from skimage import color, io, transform

from ..errors import DataError, DatasetNotFound

SUFFIXES = {".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".npy"}
MAX_PIXELS = 100_000_000  # More is taken for a decompression bomb.


def list_images(folder):
    """Image files of a folder, by name; a `DataError` if there is none.

    Raises
    ------
    DatasetNotFound
        If the folder does not exist.
    DataError
        If it holds no image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DatasetNotFound(f"expected a folder of images at {folder}; there is none")
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )
    if not found:
        raise DataError(
            f"expected images ({', '.join(sorted(SUFFIXES))}) in {folder}; got none of them"
        )
    return found


def _read(path):
    path = Path(path)
    if not path.is_file():
        raise DatasetNotFound(f"expected an image file at {path}; there is none")
    try:
        if path.suffix.lower() == ".npy":
            array = np.load(path, allow_pickle=False, mmap_mode="r")
            if array.size > 4 * MAX_PIXELS:
                raise DataError(
                    f"expected at most {MAX_PIXELS:,} pixels; got {array.shape}: {path}"
                )
            return np.array(array)
        with warnings.catch_warnings():
            # Pillow only warns about sizes that are checked here.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                width, height, mode = *opened.size, opened.mode
                frames = getattr(opened, "n_frames", 1)
        if width * height > MAX_PIXELS:
            raise DataError(
                f"expected at most {MAX_PIXELS:,} pixels; got {width}x{height}: {path}; cut it"
            )
        if frames != 1:
            raise DataError(
                f"expected one image per file; got {frames} pages or frames: {path}; save each "
                "one in a file of its own"
            )
        if path.suffix.lower() in (".tif", ".tiff"):
            return io.imread(path)
        with Image.open(path) as opened:
            return np.array(opened.convert("RGBA") if mode in ("P", "PA") else opened)
    except DataError:
        raise
    except (
        OSError,
        ValueError,
        SyntaxError,
        UnidentifiedImageError,
        Image.DecompressionBombError,
        EOFError,
        MemoryError,
        RuntimeError,
        KeyError,
        IndexError,
        TypeError,
    ) as error:
        raise DataError(
            f"expected a readable image; {path} is damaged or of an unknown kind ({error}); "
            "copy it again, or remove it"
        ) from error


def as_gray(array, name="the image"):
    """Any image array as float32 ``(H, W)`` in [0, 1].

    Parameters
    ----------
    array : array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)
        Colour becomes the luminance of ITU-R 709 and loses its alpha channel; 8 and 16 bit are
        divided by 255 and 65535, bool becomes 0 and 1; floats have to lie in [0, 1].
    name : str
        For the error.

    Raises
    ------
    DataError
        If it is none of these, or holds NaN.

    Examples
    --------
    >>> import numpy as np
    >>> as_gray(np.full((2, 2, 3), 255, "uint8")).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    array = np.asarray(array)
    if array.ndim == 3 and array.shape[-1] in (1, 2):
        array = array[..., 0]  # Two channels are gray and alpha.
    if (
        array.ndim not in (2, 3)
        or (array.ndim == 3 and array.shape[-1] not in (3, 4))
        or not array.size
    ):
        raise DataError(
            f"expected a gray or RGB image, (H, W) or (H, W, 3); got shape {array.shape}: {name}"
        )
    if array.dtype == bool:
        array = array.astype("float32")
    elif array.dtype in (np.uint8, np.uint16):
        array = array.astype("float32") / np.float32(np.iinfo(array.dtype).max)
    elif np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min()), float(array.max())
        if not (low >= 0 and high <= 1):
            raise DataError(
                f"expected floats in [0, 1] without NaN; got values from {low:g} to {high:g}: "
                f"{name}; scale them to [0, 1] by the camera's range, the same for all images"
            )
        array = array.astype("float32")
    else:
        raise DataError(
            f"expected 8 or 16 bit unsigned, bool or float gray values; got {array.dtype}: {name}; "
            "save it as 8 or 16 bit"
        )
    if array.ndim == 3:
        array = color.rgb2gray(array[..., :3]).astype("float32")
    return np.clip(array, 0.0, 1.0)


def read_image(path, size=None):
    """A file as gray image.

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
    return _resize(as_gray(_read(path), path), size)


def read_mask(path, size=None):
    """A file as mask, true on defects.

    Gray values from half of the largest possible one on count as defect; a file with the values 0
    and 1 alone is taken as it is. Scaled down, a pixel is defect when at least half of its area is.

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
    array = _read(path)
    if array.dtype == np.uint8 and array.size and array.max() == 1:
        array = array.astype(bool)
    return _resize((as_gray(array, path) >= 0.5).astype("float32"), size) >= 0.5


def _resize(image, size):
    if size is None or image.shape == (size, size):
        return image
    factors = [length / size for length in image.shape]
    if all(factor == int(factor) for factor in factors):
        return transform.downscale_local_mean(image, tuple(int(f) for f in factors)).astype(
            "float32"
        )
    scaled = transform.resize(image, (size, size), order=1, anti_aliasing=True)
    return np.clip(scaled, 0, 1).astype("float32")


def paired_mask(image_path, mask_path, size=None):
    """The mask of an image, of the same size.

    Raises
    ------
    DataError
        If the mask is missing, or of another size than the image.
    """
    if not Path(mask_path).is_file():
        raise DataError(
            f"expected a mask for the defective image {image_path} at {mask_path}; there is none; "
            "add it, or move the image out of the test folder"
        )
    shape, expected = (as_gray(_read(path), path).shape for path in (mask_path, image_path))
    if shape != expected:
        raise DataError(
            f"expected a mask of {expected[0]}x{expected[1]} pixels for {image_path}; got "
            f"{shape[0]}x{shape[1]}: {mask_path}"
        )
    return read_mask(mask_path, size)
