"""How well anomaly maps find true defects: ROC, per-region overlap, AUPRO (section 4.3).

One pass over the images, and nothing kept of an image but counts. Values are counted in bins that
are fixed in advance: the leading bits of a float32 are a logarithmic grid over all numbers, and,
with the sign's bit turned, in the order of the numbers. A curve therefore holds true points only,
at the lower edges of bins, and is taken to be straight in between.
"""

from itertools import zip_longest
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from sadefect.errors import DataError
from sadefect.segmentation import Threshold, as_map, as_mask, check_share

BITS = 22  # Sign, 8 of the exponent, 13 of the mantissa: bins are 0.01 % of their value wide.
ROC_POINTS = 1_000  # Of a stored curve.
FPRS = (0.01, 0.02, 0.05, 0.10, 0.15, 0.20, 0.30)
QUANTILES = (0.25, 0.5, 0.75)
# Of the regions in a saved state.
REGION_ARRAYS = ("region_bins", "region_counts", "region_lengths", "region_images")
SIGN = np.uint32(1 << 31)
DROPPED = np.uint32(32 - BITS)


def _bins(values):
    """Return the bins of float32 values, as int64 in the order of the values."""
    bits = (values + np.float32(0)).view(np.uint32)  # Adding 0 makes 0 of -0.
    turned = (bits.view(np.int32) >> 31).view(np.uint32) | SIGN  # All bits if negative.
    return ((bits ^ turned) >> DROPPED).astype(np.int64)


def _lower_edges(bins):
    """Return the smallest float32 of each bin."""
    bits = bins.astype(np.uint32) << DROPPED
    return np.where(bits & SIGN, bits ^ SIGN, ~bits).view(np.float32)


def _are_bins(bins):
    """Return whether an array holds numbers of bins."""
    return (
        bins.dtype.kind in "iu"
        and bins.ndim == 1
        and bool(((bins >= 0) & (bins >> BITS == 0)).all())
    )


def _are_counts(bins, counts):
    """Return whether bins rise and each has a count."""
    rising = _are_bins(bins) and (np.diff(bins.astype(np.int64)) > 0).all()
    whole = counts.dtype.kind in "iu" and counts.shape == bins.shape
    return bool(rising and whole and (counts >= 0).all())


class RocCurve(NamedTuple):
    """Hold arrays ``(n,)``: shares flagged at each threshold, which fall from infinity."""

    fpr: np.ndarray
    tpr: np.ndarray
    thresholds: np.ndarray


class RegionOverlap(NamedTuple):
    """Hold the share of each true defect region that is found at given false positive rates.

    ``fprs`` is ``(n_fprs,)``; ``overlaps`` ``(n_fprs, n_regions)`` in [0, 1]; ``areas`` in pixels
    and ``images``, the number of the image from 0, are ``(n_regions,)``.
    """

    fprs: np.ndarray
    overlaps: np.ndarray
    areas: np.ndarray
    images: np.ndarray

    @property
    def quantiles(self):
        """Return the 25, 50 and 75 % quantiles over the regions, ``(n_fprs, 3)``."""
        return np.quantile(self.overlaps, QUANTILES, axis=1).T


class PixelMetrics:
    """Count anomaly values over the images of a test set, and compute the metrics from the counts.

    A pixel is flagged if its value is at least the threshold. The false positive rate is the share
    flagged of all defect-free pixels of the data set, the true positive rate that of all defect
    pixels. A region is an 8-connected component of a true mask. Memory is that of the bins from the
    lowest to the highest in use, at most 32 MiB, 12 bytes for each bin in use once a metric was
    asked for, and at most 8 bytes for each defect pixel.

    References
    ----------
    Section 4.3 of doi:10.5220/0007364503720380

    Examples
    --------
    >>> pixels = PixelMetrics()
    >>> mask = np.zeros((8, 8), bool)
    >>> mask[2:4, 2:6] = True
    >>> pixels.update(mask, np.where(mask, 0.9, 0.1))
    >>> pixels.auroc(), pixels.aupro(), pixels.per_region_overlap([0.05]).overlaps.item()
    (1.0, 1.0, 1.0)
    """

    def __init__(self):
        self.images = 0
        self._first = 0  # Bin of the first count.
        self._defect_free = np.zeros(0, np.int64)
        self._in_use = None  # What `_bins_in_use` found, until more is counted.
        # One entry per image with defects, its arrays those of REGION_ARRAYS: the bins and counts
        # of its regions, how many bins each region has, and the number of the image.
        self._regions = []

    def update(self, mask, map, counted=None):
        """Count one image.

        Parameters
        ----------
        mask : array (H, W)
            True where the image is defective; bool, or zeros and ones.
        map : array (H, W)
            The anomaly map, float32, larger where the image is more anomalous.
        counted : bool array (H, W), optional
            The pixels that count; all by default.

        Raises
        ------
        DataError
            If the two differ in shape, the mask holds other values than 0 and 1, or the map NaN
            or infinity; nothing is counted then.
        """
        try:
            mask, map = as_mask(mask), as_map(map)
        except DataError as error:
            raise DataError(f"image {self.images}: {error}") from None
        if mask.shape != map.shape:
            raise DataError(
                f"image {self.images}: expected a mask and a map of one shape; got {mask.shape} "
                f"and {map.shape}; pass the map of the image that the mask is of, at its size"
            )
        bins = _bins(map)
        first = bins.min()
        counts = np.bincount((bins - first if counted is None else bins[counted] - first).ravel())
        mask = mask if counted is None else mask & counted
        if mask.any():
            labels, n_regions = ndimage.label(mask, np.ones((3, 3)))
            defective = bins[mask]
            counts -= np.bincount(defective - first, minlength=len(counts))
            both = (labels[mask].astype(np.int64) - 1 << BITS) | defective
            both, times = np.unique(both, return_counts=True)
            region_bins = (both & (1 << BITS) - 1).astype(np.uint32)
            lengths = np.bincount(both >> BITS, minlength=n_regions)
            images = np.full(n_regions, self.images)
            self._regions.append((region_bins, times.astype(np.uint32), lengths, images))
        self._add(first, counts)
        self.images += 1

    def _add(self, first, counts):
        """Add counts of consecutive bins of defect-free pixels; the array grows to hold them."""
        known = self._defect_free
        if not len(known):
            self._first = first
        start = min(first, self._first)
        end = max(first + len(counts), self._first + len(known))
        if end - start > len(known):
            self._defect_free = np.zeros(end - start, np.int64)
            self._defect_free[self._first - start :][: len(known)] = known
            self._first = start
        self._defect_free[first - start :][: len(counts)] += counts
        self._in_use = None

    def _bins_in_use(self):
        """Return the bins of defect-free pixels, rising, and the counts of each."""
        if self._in_use is None:
            places = np.flatnonzero(self._defect_free)
            self._in_use = (places + self._first).astype(np.uint32), self._defect_free[places]
        return self._in_use

    def state(self):
        """Return everything counted, as a dict of small arrays that `from_state` takes."""
        bins, counts = self._bins_in_use()
        empty = ((np.zeros(0, np.uint32),) * 2 + (np.zeros(0, np.int64),) * 2,)
        columns = map(np.concatenate, zip(*(self._regions or empty), strict=True))
        return {
            "bits": np.array(BITS),
            "images": np.array(self.images),
            "bins": bins.copy(),
            "counts": counts.copy(),
        } | dict(zip(REGION_ARRAYS, columns, strict=True))

    @classmethod
    def from_state(cls, state):
        """Restore what `state` returned; it can count further images.

        Raises
        ------
        DataError
            If the arrays are not those of `state`, or of other bins.
        """
        try:
            if int(state["bits"]) != BITS:
                raise DataError(
                    f"expected counts in bins of {BITS} bits; got {int(state['bits'])} bits, of "
                    "another version of sadefect; count the images again"
                )
            pixels = cls()
            pixels.images = int(state["images"])
            bins, counts, region_bins = (state[key] for key in ("bins", "counts", "region_bins"))
            if not _are_counts(bins, counts) or not _are_bins(region_bins):
                raise DataError(
                    f"expected rising bins below {1 << BITS} and a whole number of pixels for "
                    "each; got others, of a file that was changed; count the images again"
                )
            if len(bins):
                bins = bins.astype(np.int64)
                between = np.zeros(bins[-1] - bins[0] + 1, np.int64)
                between[bins - bins[0]] = counts
                pixels._add(int(bins[0]), between)
            if len(state["region_lengths"]):
                pixels._regions.append(tuple(state[name] for name in REGION_ARRAYS))
        except KeyError as error:
            raise DataError(
                f"expected the arrays of PixelMetrics.state; got none named {error}; "
                "count the images again"
            ) from None
        return pixels

    def _counted(self):
        """Check that there is something to measure, and return what every metric starts from.

        That is the bins in use, falling; the false positive rate down to each, with 0 in front; and
        of all pairs of a region and a bin the bin's place in this order, the count, and the
        region's number.
        """
        known, free = self._bins_in_use()
        if not self._regions or not len(known):
            wanted = "defect-free" if self._regions else "defect"
            raise DataError(
                f"expected at least one {wanted} pixel in the masks; got none in {self.images} "
                "images; pass the test images, both kinds of pixels among them, with their masks"
            )
        columns = zip(*self._regions, strict=True)
        bins, counts, lengths, _ = (np.concatenate(column) for column in columns)
        known, bins = known.astype(np.int64), bins.astype(np.int64)
        lowest, highest = min(known[0], bins.min()), max(known[-1], bins.max())
        used = np.zeros(highest - lowest + 1, bool)
        used[known - lowest] = used[bins - lowest] = True
        used = np.flatnonzero(used) + lowest
        places = len(used) - 1 - np.searchsorted(used, bins)
        falling = np.zeros(len(used), np.int64)
        falling[len(used) - 1 - np.searchsorted(used, known)] = free
        used = used[::-1]
        fpr = np.concatenate([[0], np.cumsum(falling) / free.sum()])
        return used, fpr, places, counts, np.repeat(np.arange(len(lengths)), lengths)

    def threshold(self, fpr):
        """Find the lowest bin's edge that flags at most a share ``fpr`` of the defect-free pixels.

        As `sadefect.segmentation.threshold_for_fpr` does, to the width of a bin, and in the memory
        of the bins. Raises `DataError` if no defect-free pixel was counted.
        """
        check_share(fpr, "fpr")
        used, counts = self._bins_in_use()
        if not len(used):
            raise DataError(
                f"expected maps of defect-free images; got none in {self.images} images; count "
                "the images that were held out"
            )
        pixels = int(counts.sum())
        at_least = np.cumsum(counts[::-1])[::-1]  # Pixels of a bin or a higher one.
        too_many = np.count_nonzero(at_least / pixels > fpr)
        above = used[0] if not too_many else used[too_many - 1] + 1
        value = _lower_edges(np.array([above]))[0]
        return Threshold(float(value), float(fpr), self.images, pixels)

    def roc_curve(self):
        """Compute `roc_curve` of the images counted; errors as there."""
        used, fpr, places, counts, _ = self._counted()
        tpr = _cumulative(places, counts, len(used))
        return RocCurve(fpr, tpr, np.concatenate([[np.float32(np.inf)], _lower_edges(used)]))

    def auroc(self):
        """Compute `auroc` of the images counted; errors as there."""
        curve = self.roc_curve()
        return float(np.trapezoid(curve.tpr, curve.fpr))

    def per_region_overlap(self, fprs=FPRS):
        """Compute `per_region_overlap` of the images counted; errors as there."""
        fprs = np.array(fprs, dtype=float, ndmin=1)
        for wanted in fprs:
            check_share(wanted, "fprs")
        used, fpr, places, counts, region = self._counted()
        areas = np.bincount(region, counts)
        overlaps = np.empty((len(fprs), len(areas)))
        for row, wanted in enumerate(fprs):
            last = np.searchsorted(fpr, wanted, "right") - 1  # The point at or before the rate.
            weights = (places < last).astype(float)
            if last < len(used):
                weights[places == last] = (wanted - fpr[last]) / (fpr[last + 1] - fpr[last])
            overlaps[row] = np.bincount(region, weights * counts) / areas
        images = np.concatenate([images for *_, images in self._regions])
        return RegionOverlap(fprs, overlaps, areas.astype(np.int64), images)

    def aupro(self, limit=0.3):
        """Compute `aupro` of the images counted; errors as there."""
        check_share(limit, "limit")
        if not limit:
            raise ValueError("limit must be above 0; received 0")
        used, fpr, places, counts, region = self._counted()
        shares = counts / np.bincount(region, counts)[region]
        overlap = _cumulative(places, shares, len(used))
        inside = np.searchsorted(fpr, limit, "right")
        area = np.trapezoid(overlap[:inside], fpr[:inside])
        if inside < len(fpr):
            step = (limit - fpr[inside - 1]) / (fpr[inside] - fpr[inside - 1])
            end = overlap[inside - 1] + step * (overlap[inside] - overlap[inside - 1])
            area += (limit - fpr[inside - 1]) * (overlap[inside - 1] + end) / 2
        return float(min(1.0, area / limit))


def _cumulative(places, weights, size):
    """Sum weights up to each place, as a share of their total, with 0 in front."""
    sums = np.cumsum(np.bincount(places, weights, size))
    return np.concatenate([[0], sums / sums[-1]])


def _pixels(masks, maps):
    pixels, missing = PixelMetrics(), object()
    for mask, map in zip_longest(masks, maps, fillvalue=missing):
        if mask is missing or map is missing:
            fewer = "masks" if mask is missing else "maps"
            raise DataError(
                f"expected as many masks as maps; got fewer {fewer}, {pixels.images}; "
                "defect-free images need a mask too, all False"
            )
        pixels.update(mask, map)
    return pixels


def roc_curve(masks, maps):
    """Compute the ROC curve of all pixels of a data set pooled.

    Parameters
    ----------
    masks : iterable of arrays (H, W)
        True where an image is defective; bool, or zeros and ones. Taken once.
    maps : iterable of arrays (H, W)
        Anomaly maps, float32, larger where an image is more anomalous. Images may differ in size.

    Returns
    -------
    RocCurve
        ``fpr``, ``tpr`` and ``thresholds``, arrays ``(n,)``: from (0, 0) at an infinite threshold
        to (1, 1), one point per bin in use.

    Raises
    ------
    DataError
        If masks and maps do not fit each other, a map is not finite, a mask is not one of zeros
        and ones, or no pixel, or every pixel, is defective.

    References
    ----------
    Section 4.3 and figure 6 of doi:10.5220/0007364503720380; T. Fawcett, "An introduction to ROC
    analysis", 2006, doi:10.1016/j.patrec.2005.10.010

    Examples
    --------
    >>> mask, map = np.array([[0, 0, 1, 1]]), np.array([[0.25, 0.5, 0.5, 1.0]])
    >>> fpr, tpr, thresholds = roc_curve([mask], [map])
    >>> fpr.tolist(), tpr.tolist(), thresholds.tolist()
    ([0.0, 0.0, 0.5, 1.0], [0.0, 0.5, 1.0, 1.0], [inf, 1.0, 0.5, 0.25])
    """
    return _pixels(masks, maps).roc_curve()


def auroc(masks, maps):
    """Compute the area under the ROC curve of all pixels of a data set pooled.

    Parameters
    ----------
    masks, maps : iterables of arrays (H, W)
        As in `roc_curve`.

    Returns
    -------
    float
        In [0, 1], 0.5 for constant maps; within 1e-4 of ``sklearn.metrics.roc_auc_score``.

    Raises
    ------
    DataError
        As in `roc_curve`.

    References
    ----------
    As of `roc_curve`.

    Examples
    --------
    >>> auroc([np.array([[0, 0, 1, 1]])], [np.array([[0.25, 0.5, 0.5, 1.0]])])
    0.875
    """
    return _pixels(masks, maps).auroc()


def per_region_overlap(masks, maps, fprs=FPRS):
    """Compute the share of each true region that is flagged at given false positive rates.

    Between two bins the share is taken to grow linearly with the false positive rate; where several
    thresholds have the rate, the lowest counts.

    Parameters
    ----------
    masks, maps : iterables of arrays (H, W)
        As in `roc_curve`.
    fprs : sequence of float
        False positive rates over the whole data set, in [0, 1].

    Returns
    -------
    RegionOverlap
        ``overlaps`` ``(n_fprs, n_regions)``, ``quantiles`` ``(n_fprs, 3)`` over the regions (25,
        50, 75 %), and the regions' ``areas`` and ``images``.

    Raises
    ------
    DataError
        As in `roc_curve`.
    ValueError
        If a rate is not in [0, 1].

    References
    ----------
    Section 4.3 and figure 7 of doi:10.5220/0007364503720380

    Examples
    --------
    >>> mask = np.array([[1, 1, 0, 0, 1, 0, 0]])
    >>> overlap = per_region_overlap([mask], [np.array([[6, 5, 4, 3, 2, 1, 0]])], [0.25, 0.5])
    >>> overlap.overlaps.tolist(), overlap.areas.tolist()
    ([[1.0, 0.0], [1.0, 1.0]], [2, 1])
    """
    return _pixels(masks, maps).per_region_overlap(fprs)


def aupro(masks, maps, limit=0.3):
    """Compute the area under the mean per-region overlap up to a false positive rate.

    Each region has the same weight. The curve is interpolated at ``limit``, and the area divided by
    it.

    Parameters
    ----------
    masks, maps : iterables of arrays (H, W)
        As in `roc_curve`.
    limit : float
        The largest false positive rate, in (0, 1].

    Returns
    -------
    float
        In [0, 1]; ``limit / 2`` for constant maps.

    Raises
    ------
    DataError
        As in `roc_curve`.
    ValueError
        If the limit is not in (0, 1].

    References
    ----------
    Section 5.1 of P. Bergmann et al., "Uninformed Students", CVPR 2020,
    doi:10.1109/CVPR42600.2020.00424

    Examples
    --------
    >>> mask = np.array([[1, 1, 0, 0, 1, 0, 0]])
    >>> aupro([mask], [np.array([[6, 5, 4, 3, 2, 1, 0]])], limit=0.5)
    0.5
    """
    return _pixels(masks, maps).aupro(limit)


def summarise(pixels, thresholds):
    """Return metrics and curves of the pixels counted, as `Result` holds them."""
    fpr, tpr, _ = pixels.roc_curve()
    grid = np.unique(np.concatenate([[0], np.geomspace(1e-4, 1, ROC_POINTS)]))
    overlap = pixels.per_region_overlap(FPRS)
    metrics = {
        "auroc": pixels.auroc(),
        "aupro": pixels.aupro(limit=0.3),
        "overlap": {
            f"{fpr:g}": dict(zip(("q25", "median", "q75"), quantiles.tolist(), strict=True))
            for fpr, quantiles in zip(FPRS, overlap.quantiles, strict=True)
        },
        "regions": int(overlap.overlaps.shape[1]),
        "thresholds": {f"{threshold.fpr:g}": threshold.value for threshold in thresholds},
        "threshold_images": thresholds[0].images,
    }
    curves = {
        "fpr": grid,
        "tpr": np.interp(grid, fpr, tpr),
        "overlap_fprs": np.array(FPRS),
        "region_overlaps": overlap.overlaps.astype("float32"),
        "region_areas": overlap.areas,
        "region_images": overlap.images,
    }
    return metrics, curves
