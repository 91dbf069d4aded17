"""From an anomaly map to regions: a threshold, an opening, connected regions (section 4.2)."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage import measure

from sadefect.errors import DataError

DIAMETER = 4  # Pixels, of the disc that the paper opens with.


def as_map(values):
    """Return an anomaly map as float32 ``(H, W)``; a `DataError` says what is wrong with it."""
    values = _plane(values, "an anomaly map")
    with np.errstate(over="ignore"):  # What does not fit becomes infinite and is refused below.
        values = values.astype("float32", copy=False)
    _check_finite(values)
    return values


def as_mask(mask):
    """Return a mask as bool ``(H, W)``; a `DataError` says what is wrong with it."""
    mask = _plane(mask, "a mask")
    defective = mask != 0
    if not np.array_equal(mask, defective):
        raise DataError(
            "expected a mask of bool, or of zeros and ones; got values from "
            f"{mask.min()} to {mask.max()}; pass mask > 0 where any other value marks a defect"
        )
    return defective


def _plane(array, what):
    array = np.asarray(array)
    number = array.dtype == bool or np.issubdtype(array.dtype, np.number)
    if array.ndim != 2 or not array.size or not number or np.iscomplexobj(array):
        raise DataError(
            f"expected {what} of shape (H, W) with numbers; got shape {array.shape} of "
            f"{array.dtype}; pass one channel of one image, and a list where images are meant"
        )
    return array


def _check_finite(values):
    finite = np.isfinite(values)
    if not finite.all():
        raise DataError(
            "expected an anomaly map of finite float32 values; got "
            f"{values.size - np.count_nonzero(finite)} of {values.size} pixels NaN or infinite; "
            "check the image and the model's weights"
        )


def disc(diameter):
    """Build a circular structuring element: the pixels whose centre lies within the circle.

    Parameters
    ----------
    diameter : int
        In pixels, at least 1. Of an even disc no pixel is the centre.

    Returns
    -------
    array (diameter, diameter), bool
        Unchanged by flips and turns by 90 degrees.

    Raises
    ------
    ValueError
        If the diameter is not a positive whole number.

    References
    ----------
    "A circular structuring element of diameter 4", section 4.2 of doi:10.5220/0007364503720380.
    ``skimage.morphology.disk`` takes a radius: ``disk(4)`` is 9 pixels wide.

    Examples
    --------
    >>> disc(4).astype(int)
    array([[0, 1, 1, 0],
           [1, 1, 1, 1],
           [1, 1, 1, 1],
           [0, 1, 1, 0]])
    """
    diameter = _check_diameter(diameter)
    if not diameter:
        raise ValueError("diameter must be at least 1 pixel; received 0")
    # Twice the coordinates, so that even discs are whole numbers too.
    offsets = np.arange(1 - diameter, diameter, 2) ** 2
    return offsets[:, None] + offsets <= diameter**2


def _check_diameter(diameter):
    whole = 0 if diameter is None else int(diameter)
    if whole < 0 or (diameter is not None and whole != diameter):
        raise ValueError(
            f"diameter must be a whole number of pixels, 0 for no opening; received {diameter!r}"
        )
    return whole


def _over_disc(extreme, array, footprint, border, outside):
    """Take the minimum or maximum over a disc at each place where it lies in a padded array."""
    array = np.pad(array, border, constant_values=outside)
    height, width = np.subtract(array.shape, footprint.shape) + 1
    return extreme(array, footprint=footprint, origin=-(len(footprint) // 2))[:height, :width]


def opening(array, diameter=DIAMETER):
    """Remove what is smaller than a disc: an erosion, then a dilation with the reflected disc.

    Of a mask, what remains are the pixels that a disc covers which lies inside the mask. Of a map,
    the gray-scale opening: ``opening(map) >= t`` equals ``opening(map >= t)`` at each threshold
    ``t``, so that one opening of a map stands for one at every point of a ROC curve.

    Nothing is ever added, and opening twice changes nothing. The disc's centre stays in the image;
    what of the disc lies beyond the border counts neither against the erosion nor for the dilation.

    Parameters
    ----------
    array : array (H, W)
        A mask (bool) or an anomaly map (float).
    diameter : int or None
        Of `disc`, in pixels; 0, 1 and None change nothing.

    Returns
    -------
    array (H, W)
        Of the same dtype; a copy.

    Raises
    ------
    DataError
        If the array is not ``(H, W)``, or holds NaN or infinity.
    ValueError
        If the diameter is not a whole number of at least 0.

    References
    ----------
    Section 4.2 of doi:10.5220/0007364503720380; P. Soille, "Morphological Image Analysis", 2004,
    chapter 4, doi:10.1007/978-3-662-05088-0

    Examples
    --------
    >>> mask = np.zeros((9, 9), bool)
    >>> mask[1, 1] = mask[3:8, 3:8] = True
    >>> int(mask.sum()), int(opening(mask).sum())
    (26, 21)
    """
    array = _plane(array, "a mask or an anomaly map")
    if array.dtype != bool:
        _check_finite(array)
    diameter = _check_diameter(diameter)
    if diameter <= 1:
        return array.copy()
    footprint = disc(diameter)
    # An even disc's centre lies between pixels: it has one more place than pixels along each axis,
    # which the dilation takes back, so that nothing shifts and no border is favoured.
    before, after = diameter // 2, (diameter - 1) // 2
    placed = _over_disc(ndimage.minimum_filter, array, footprint, before, array.max())
    return _over_disc(ndimage.maximum_filter, placed, footprint, after, placed.min())


class Threshold(NamedTuple):
    """Hold a threshold and what it was estimated from; pixels of ``value`` or more are flagged."""

    value: float
    fpr: float
    images: int
    pixels: int


def threshold_for_fpr(maps, fpr):
    """Find the smallest threshold that flags at most a share ``fpr`` of defect-free pixels.

    Parameters
    ----------
    maps : iterable of arrays (H, W)
        Anomaly maps of defect-free images that the model was not trained on, opened if the maps
        that the threshold is for are; their sizes may differ. Taken once.
    fpr : float
        The share allowed, in [0, 1], of all pixels of all maps.

    Returns
    -------
    Threshold
        ``value`` is a float32 number; a share of 0 puts it just above the largest value seen.
        ``fpr`` is the share that was asked for.

    Raises
    ------
    DataError
        If there is no map, a map is not one of finite numbers ``(H, W)``, or no float32 number is
        large enough.
    ValueError
        If ``fpr`` is not in [0, 1].

    References
    ----------
    Section 5.2 of P. Bergmann et al., "MVTec AD", CVPR 2019, doi:10.1109/CVPR.2019.00982

    Examples
    --------
    >>> defect_free = np.arange(100, dtype="float32").reshape(10, 10)
    >>> threshold = threshold_for_fpr([defect_free], 0.05)
    >>> int((defect_free >= threshold.value).sum()), threshold.pixels
    (5, 100)
    """
    check_share(fpr, "fpr")
    values = [as_map(map).ravel() for map in maps]
    if not values:
        raise DataError(
            "expected anomaly maps of defect-free images; got none; hold out at least one "
            "defect-free image, or use the training images themselves"
        )
    images = len(values)
    values = np.concatenate(values)
    allowed = round(fpr * values.size)
    allowed -= allowed / values.size > fpr
    if allowed == values.size:
        value = values.min()
    else:
        position = values.size - 1 - allowed
        values.partition(position)
        with np.errstate(over="ignore"):
            value = np.nextafter(values[position], np.float32(np.inf))
    if np.isinf(value):
        raise DataError(
            f"expected a threshold that flags at most {fpr:g} of the pixels; got too many pixels "
            "at the largest float32 number; scale the maps down"
        )
    return Threshold(float(value), float(fpr), images, values.size)


def check_share(share, name):
    """Refuse what is not a share in [0, 1]."""
    if not 0 <= share <= 1:
        raise ValueError(f"{name} must be a share in [0, 1]; received {share!r}")


def segment(map, threshold, opening_diameter=DIAMETER):
    """Flag the pixels of an anomaly map at or above a threshold, and open what is flagged.

    Parameters
    ----------
    map : array (H, W)
        Anomaly map, larger where the image is more anomalous.
    threshold : float or Threshold
        In the map's units.
    opening_diameter : int or None
        Of `opening`; 0 for a map that is opened already.

    Returns
    -------
    array (H, W), bool

    Raises
    ------
    DataError
        If the map is not one of finite numbers ``(H, W)``.
    ValueError
        If the threshold is NaN, or the diameter not a whole number of at least 0.

    References
    ----------
    Section 4.2 of doi:10.5220/0007364503720380

    Examples
    --------
    >>> residual = np.zeros((8, 8), "float32")
    >>> residual[2:6, 2:6] = 0.9
    >>> int(segment(residual, 0.5).sum()), int(segment(residual, 0.5, 0).sum())
    (12, 16)
    """
    value = threshold.value if isinstance(threshold, Threshold) else float(threshold)
    if np.isnan(value):
        raise ValueError("threshold must be a number; received NaN")
    return opening(as_map(map) >= value, opening_diameter)


class Region(NamedTuple):
    """Describe a connected region of a mask.

    ``area`` is in pixels, ``box`` is ``(top, left, bottom, right)`` with bottom and right
    exclusive, ``centroid`` is ``(row, column)``; ``label`` counts from 1.
    """

    label: int
    area: int
    box: tuple[int, int, int, int]
    centroid: tuple[float, float]


def regions(mask):
    """List the 8-connected regions of a mask, in the order in which rows are read.

    Parameters
    ----------
    mask : array (H, W)
        Bool, or zeros and ones.

    Returns
    -------
    list of Region

    Raises
    ------
    DataError
        If the mask is not ``(H, W)`` of bool, or of zeros and ones.

    References
    ----------
    ``skimage.measure.label`` and ``regionprops``, doi:10.7717/peerj.453

    Examples
    --------
    >>> mask = np.zeros((6, 6), bool)
    >>> mask[0, 0] = mask[1, 1] = mask[4, 2:5] = True
    >>> [(region.label, region.area, region.box) for region in regions(mask)]
    [(1, 2, (0, 0, 2, 2)), (2, 3, (4, 2, 5, 5))]
    """
    labels = measure.label(as_mask(mask), connectivity=2)
    return [
        Region(int(region.label), int(region.area), region.bbox, tuple(map(float, region.centroid)))
        for region in measure.regionprops(labels)
    ]
