"""Image files as gray float32 in [0, 1], and errors that help."""

import warnings
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, TiffImagePlugin, UnidentifiedImageError, features
from skimage import color, transform

from sadefect.errors import DataError, DatasetNotFound, InputWarning
from sadefect.patches import ROUNDING

SUFFIXES = {".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".npy"}
# Pillow has these where it was built with a library for them.
OPTIONAL_SUFFIXES = {"webp": (".webp",), "jpg_2000": (".jp2", ".j2k")}
SUFFIXES |= {
    suffix
    for library, suffixes in OPTIONAL_SUFFIXES.items()
    if features.check(library)
    for suffix in suffixes
}
MAX_PIXELS = 100_000_000  # More is taken for a decompression bomb.
# Of Pillow: black and white, gray, palettes, colour, 16 and 32 bit integers, and floats.
MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16", "I;16L", "I;16B", "I;16N", "I", "F"}
WIDTH = 256  # The TIFF tag of it; that of the height comes next.
PHOTOMETRIC = 262  # The TIFF tag that says whether 0 is black or white.
ORIENTATION = 274  # The tag of TIFF and EXIF that says how to turn an image.
# What each orientation but 1, which is upright, asks for.
TURNS = {
    2: lambda array: array[:, ::-1],
    3: lambda array: array[::-1, ::-1],
    4: lambda array: array[::-1],
    5: lambda array: array.swapaxes(0, 1),
    6: lambda array: np.rot90(array, -1),
    7: lambda array: array[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}
FILES_NAMED = 3  # In a sentence.


def is_image(path):
    """Tell whether a path is named like an image; hidden files are not."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def image_files(folder):
    """List the images of a folder, hidden ones aside, by name."""
    return sorted(path for path in folder.iterdir() if is_image(path))


def subfolders(folder):
    """List the folders in a folder, hidden ones aside, by name; none if there is no such folder."""
    return sorted(path for path in folder.glob("[!.]*") if path.is_dir())


def name_some(names):
    """Join the first few of some names, and say how many more there are.

    Examples
    --------
    >>> name_some(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    names = list(names)
    more = len(names) - FILES_NAMED
    return ", ".join(names[:FILES_NAMED]) + (f" and {more} more" if more > 0 else "")


def ignored_files(folder, known=None):
    """Say which files of a folder are not read, for their suffix or their depth; "" if none.

    Hidden files are not mentioned, nor is a folder that `sadefect segment` wrote. In a folder whose
    own files are not read at all, ``known`` names the folders that are; only images count there.
    """
    folder, suffixes, named = Path(folder), Counter(), []
    for path in sorted(folder.glob("[!.]*")):
        if path.is_dir():
            if path.name not in (known or ()) and not (path / "results.json").is_file():
                deeper = sum(map(is_image, path.rglob("*")))
                suffixes[f"deeper in {path.name}/"] += deeper
                named += [path.name + "/"] if deeper else []
        elif is_image(path) == (known is not None):
            suffixes[path.suffix.lower() or "without a suffix"] += 1
            named.append(path.name)
    counts = ", ".join(f"{count} {kind}" for kind, count in suffixes.items() if count)
    return f"ignored in {folder}: {counts} ({name_some(named)})" if counts else ""


def warn_of_ignored(folder, known=None):
    """Warn of files that are not read, as `ignored_files` says it."""
    if said := ignored_files(folder, known):
        warnings.warn(said, InputWarning, stacklevel=3)


def list_images(folder, *, distinct=True):
    """List the image files of a folder by name; `DataError` if there are none.

    Two of one name and different suffixes are refused too, unless they need not be distinct.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DatasetNotFound(
            f"expected a folder of images at {folder}; there is none; make it, or correct the path"
        )
    images = image_files(folder)
    if not images:
        ignored = ignored_files(folder)
        raise DataError(
            f"expected images ({', '.join(sorted(SUFFIXES))}) in {folder}; got none of them; "
            f"put the images there, or correct the path{f' ({ignored})' if ignored else ''}"
        )
    for first, second in pairwise(sorted(images, key=lambda path: path.stem)):
        if distinct and first.stem == second.stem:
            raise DataError(
                f"expected one image of each name in {folder}; got {first.name} and "
                f"{second.name}; remove one"
            )
    return images


def read_pixels(path):
    """Return the numbers in a file, turned upright as its EXIF data say, or raise `DataError`."""
    path = Path(path)
    try:
        if not path.is_file():
            instead = "a folder" if path.is_dir() else "nothing"
            raise DatasetNotFound(
                f"expected an image file at {path}; there is {instead}; put the file there, or "
                "load the data set again if its files were renamed"
            )
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
    # Not by its name: Pillow 13 garbles TIFFs on their side that it maps into memory.
    with warnings.catch_warnings(), open(path, "rb") as file:
        # Pillow only warns of sizes that are checked here, and of damage that decoding meets.
        warnings.simplefilter("ignore")
        try:
            opened = Image.open(file)
        except UnidentifiedImageError:
            if path.suffix.lower() not in (".tif", ".tiff"):
                raise
            return _read_tiff(path, file)
        with opened:
            return pillow_pixels(opened, path)


def pillow_pixels(opened, name="the image"):
    """Return the pixels of a Pillow image, open or in memory: colours of palettes, turned upright.

    Raises a `DataError` with the name if it is too large, in colours that are not read, or one of
    several pages of a file, unless the others are smaller copies of it.
    """
    width, height = opened.size
    if width * height > MAX_PIXELS:
        raise DataError(_too_large(name, f"{width}x{height}"))
    frames = getattr(opened, "n_frames", 1)
    if frames != 1 and opened.tell() == 0 and not _others_are_copies(opened):
        raise _several(frames, name)
    if opened.mode not in MODES:
        raise DataError(
            f"expected a gray or RGB image; got colours in {opened.mode}: {name}; convert "
            "it to gray or RGB"
        )
    # Pillow turns images round in which 0 is white, but not those of 16 bits.
    white = getattr(opened, "tag_v2", {}).get(PHOTOMETRIC) == 0 and opened.mode[:4] == "I;16"
    array = np.array(opened.convert("RGBA") if opened.mode in ("P", "PA") else opened)
    array = np.uint16(65535) - array if white else array
    return upright(array, _orientation(opened))  # Asked for last: Pillow turns TIFFs itself.


def _several(frames, name):
    return DataError(
        f"expected one image per file; got {frames} pages or frames: {name}; save each one in a "
        "file of its own"
    )


def _others_are_copies(opened):
    """Tell whether all pages but the first are smaller copies of it: thumbnails or a pyramid.

    Of a camera's JPEG, which is MPO with previews or gain maps in it, only sizes are compared.
    """
    width, height = opened.size
    first = None
    try:
        for number in range(1, opened.n_frames):
            opened.seek(number)
            columns, rows = opened.size
            turned = abs(columns * height - rows * width) > max(width, height)  # Beyond rounding.
            if turned or columns >= width or rows >= height:
                return False
            if opened.format != "MPO":
                page = _means(opened)
                opened.seek(0)
                first = _means(opened) if first is None else first
                both = transform.resize_local_mean(first, page.shape), page
                flat = [image.std() < 1e-6 * (1 + abs(image.mean())) for image in both]
                alike = all(flat) or (
                    not any(flat) and np.corrcoef(*(image.ravel() for image in both))[0, 1] > 0.8
                )
                if not alike:
                    return False
    finally:
        opened.seek(0)
    return True


def _means(opened):
    array = np.array(opened.convert("RGB") if opened.mode in ("P", "PA") else opened, "float64")
    return array.mean(axis=-1) if array.ndim == 3 else array


def _read_tiff(path, file):
    """Read a TIFF of numbers that Pillow has no mode for, such as floats of 16 or 64 bits."""
    from skimage.io import imread

    file.seek(0)
    tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
    file.seek(tags.next)
    tags.load(file)
    width, height = int(tags[WIDTH]), int(tags[WIDTH + 1])
    if width * height > MAX_PIXELS:
        raise DataError(_too_large(path, f"{width}x{height}"))
    if tags.next:
        raise _several("several", path)
    return upright(imread(path), tags.get(ORIENTATION))


def upright(array, orientation):
    """Turn an image, (H, W) or (H, W, C), as an orientation of EXIF, 1 to 8, says."""
    turn = TURNS.get(orientation)
    return np.ascontiguousarray(turn(array)) if turn else array


def _orientation(opened):
    try:
        return opened.getexif().get(ORIENTATION, 1)
    except Exception:  # EXIF data that are damaged turn nothing; the image may be whole.
        return 1


def orientation_of(path):
    """Return the EXIF orientation of an image file, 1 if it says nothing or cannot be read."""
    try:
        with Image.open(path) as opened:
            return _orientation(opened)
    except Exception:  # What is wrong with it, whoever reads it says.
        return 1


def as_gray(array, name="the image"):
    """Convert any image array to float32 ``(H, W)`` in [0, 1].

    It may be ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)`` or ``(H, W, 4)``. Colour becomes the
    luminance of ITU-R 709 and loses its alpha channel; 8 and 16 bit are divided by 255 and 65535,
    bool becomes 0 and 1; floats have to lie in [0, 1]. Files with 16 bits a colour are read with 8.
    A Pillow image is taken as its file would be. Raises a `DataError` with the name if the array is
    none of these, or holds NaN.

    Examples
    --------
    >>> import numpy as np
    >>> np.allclose(as_gray(np.full((2, 2, 3), 51, "uint8")), 0.2)
    True
    """
    array = np.asarray(pillow_pixels(array, name) if isinstance(array, Image.Image) else array)
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
        low, high = array.min(), array.max()
        if not (low >= -ROUNDING and high <= 1 + ROUNDING):
            raise DataError(
                f"expected floats in [0, 1]; got values from {low!s} to {high!s}: "
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
        PNG, TIFF, JPEG, BMP, WebP, JPEG 2000, or ``.npy``.
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
    return resize(as_gray(read_pixels(path), path), size)


def resize(image, size):
    """Scale an image to ``size`` by ``size`` pixels, averaging over areas; None leaves it."""
    if size is None or image.shape == (size, size):
        return image
    scaled = transform.resize_local_mean(image, (size, size), preserve_range=True)
    return np.clip(scaled, 0, 1).astype("float32")
