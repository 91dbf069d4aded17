"""Masks as bool: zero is good, one other value is defect, and everything else is asked about."""

import re
import warnings

import numpy as np

from sadefect.datasets.images import as_gray, name_some, read_image, read_pixels, resize
from sadefect.errors import DataError, InputWarning

MOST = 0.5  # Of an image: a mask that marks more of it is taken for an inverted one.
HALF = "half"
HOW = 'say which values mean a defect with mask_values (--mask-values), as in "1,2", "128-255"'


def read_mask(path, size=None, mask_values=None):
    """Read a file as mask, true on defects.

    Good pixels are 0, and defects have one other value: 1, 255, or at least half of the largest
    possible one; or one colour. A mask that marks more than half of its image is warned of. Scaled
    down, a pixel is defect when at least half of its area is.

    Parameters
    ----------
    path : path
    size : int, optional
        As in `read_image`.
    mask_values : str or int, optional
        The values that mean a defect, everything else being good: numbers, ranges of them and
        colours, as in "1,3", "128-255" or "#ff0000"; or "half" for gray values from half of the
        largest possible one on, which suits masks with smooth edges and JPEG.

    Returns
    -------
    bool array (H, W)

    Raises
    ------
    DataError
        As `read_image`; and if the file holds values that mean neither.
    ValueError
        If the values are not of this form.
    """
    return _resize_mask(_mask(path, mask_values), size)


def paired_mask(image_path, mask_path, size=None, mask_values=None):
    """Read the mask of an image; `DataError` if it is missing, or of another size."""
    mask, expected = _mask(mask_path, mask_values), read_image(image_path).shape
    if mask.shape != expected:
        raise DataError(
            f"expected a mask of {expected[0]}x{expected[1]} pixels for {image_path}; got "
            f"{mask.shape[0]}x{mask.shape[1]}: {mask_path}; draw it on the image itself"
        )
    return _resize_mask(mask, size)


def check_mask_values(mask_values):
    """Raise `ValueError` unless values of a mask are of the form that `read_mask` takes."""
    if mask_values not in (None, HALF):
        parse_mask_values(mask_values)


def parse_mask_values(mask_values):
    """Return ranges of numbers, and colours as packed numbers, that mean a defect.

    Examples
    --------
    >>> parse_mask_values("1-3,255,#ff0000")
    ([(1.0, 3.0), (255.0, 255.0)], [16711680])
    """
    ranges, colours = [], []
    for part in str(mask_values).replace(" ", "").split(","):
        number = r"(\d+(?:\.\d+)?)"
        if match := re.fullmatch(rf"{number}(?:-{number})?", part):
            ranges.append((float(match[1]), float(match[2] or match[1])))
        elif match := re.fullmatch(r"#([0-9a-fA-F]{6})", part):
            colours.append(int(match[1], 16))
        else:
            raise ValueError(
                'mask_values must be numbers, ranges and colours, as in "1,3", "128-255" or '
                f'"#ff0000", or "half"; received {mask_values!r}'
            )
    return ranges, colours


def _mask(path, mask_values):
    array = read_pixels(path)
    if mask_values == HALF:
        mask = as_gray(array, path) >= 0.5
    else:
        array, colour = _one_number_a_pixel(array, path)
        if mask_values is None:
            mask = array == _defect_value(array, colour, path)
        else:
            ranges, colours = parse_mask_values(mask_values)
            mask = np.isin(array, colours) if colour else np.zeros(array.shape, bool)
            for low, high in () if colour else ranges:
                mask |= (array >= low) & (array <= high)
    share = mask.mean()
    if share > MOST:
        warnings.warn(
            f"{path} marks {share:.0%} of its image as defect; if defects are its darker part, "
            'invert it, or pass mask_values="0" (--mask-values 0)',
            InputWarning,
            stacklevel=4,
        )
    return mask


def _one_number_a_pixel(array, path):
    """Return an array (H, W), and whether its numbers are colours, red times 65536 and so on."""
    if array.ndim == 3 and array.shape[-1] in (1, 2, 3, 4):
        array = array if array.shape[-1] in (1, 3) else array[..., :-1]  # Without alpha.
        if (array == array[..., :1]).all():
            array = array[..., 0]
        elif array.dtype == np.uint8:
            return array.astype("int64") @ np.array([65536, 256, 1]), True
    if array.ndim != 2 or not array.size or array.dtype.kind not in "biuf":
        raise DataError(
            "expected a mask, (H, W), or colours of 8 bits; got shape "
            f"{array.shape} of {array.dtype}: {path}; save it as a gray PNG"
        )
    return array, False


def _defect_value(array, colour, path):
    """Return the one value of a mask that means defect; `DataError` if there are others."""
    values, counts = np.unique(array, return_counts=True)
    marked = values[values != 0]
    if not len(marked):
        return 1
    value = marked[0]
    largest = {"b": 1, "f": 1.0}.get(array.dtype.kind) or np.iinfo(array.dtype).max
    if len(marked) == 1 and (colour or value in (1, 255) or value >= largest / 2):
        return value
    written = [f"#{int(value):06x}" if colour else str(value) for value in values]
    held = (f"{value} ({count:,} pixels)" for value, count in zip(written, counts, strict=True))
    example = written[list(values != 0).index(True)]
    raise DataError(
        "expected a mask with 0 on good pixels and one other value, 255 or 1, on defects; got the "
        f"values {name_some(held)}: {path}; {HOW} (here perhaps {example}), or save defects as 255"
    )


def _resize_mask(mask, size):
    # Sums of areas are rounded: a pixel with just half of its area counts.
    return mask if size is None else resize(mask.astype("float32"), size) >= 0.5 - 1e-6
