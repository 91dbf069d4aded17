"""Maps near the border of images, where networks reconstruct worse, brought to one level.

A pixel near the border lies near the frame of every patch that has it, and good images err there as
defects do elsewhere. How much is measured on held-out good images, on each side, and divided out.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from sadefect.detector.defaults import FPR

PART = 4  # A patch's side divided by this is how deep levels are measured, in pixels of a map.
SMOOTHED = 1.0  # Standard deviation, in pixels, of levels along the distance.


def sides(array):
    """Return views of an array ``(H, W)`` whose first rows are its top, bottom, left and right.

    Examples
    --------
    >>> [view[0].tolist() for view in sides(np.arange(4).reshape(2, 2))]
    [[0, 1], [2, 3], [0, 2], [1, 3]]
    """
    return array, array[::-1], array.T, array.T[::-1]


def border_levels(maps, counted, depth):
    """Return what maps of good images have to be multiplied with near their border.

    Parameters
    ----------
    maps : sequence of arrays (H, W)
    counted : list of bool arrays (H, W) or None
        The pixels that count.
    depth : int
        How far from the border, in pixels; at most a quarter of the smallest image is taken.

    Returns
    -------
    float32 array (4, n)
        By side, as in `sides`, and distance; at most 1: only what is above the level of the inside
        is lowered.
    """
    depth = min(depth, *(min(map.shape) // 4 for map in maps))
    if not depth:
        return np.ones((4, 0), "float32")
    levels, inside = np.full((len(maps), 4, depth), np.nan), np.full(len(maps), np.nan)
    inner = slice(depth, -depth)
    for number, (map, mask) in enumerate(zip(maps, counted, strict=True)):
        mask = np.ones(map.shape, bool) if mask is None else mask
        inside[number] = _level(map[inner, inner], mask[inner, inner])
        for side, (view, counts) in enumerate(zip(sides(map), sides(mask), strict=True)):
            levels[number, side] = [
                _level(view[row, inner], counts[row, inner]) for row in range(depth)
            ]
    if np.isnan(inside).all():
        return np.ones((4, depth), "float32")
    usual = max(float(np.nanmean(inside)), 0)
    levels = np.where(np.isnan(levels), inside[:, None, None], levels)
    means = ndimage.gaussian_filter1d(np.nanmean(levels, axis=0), SMOOTHED, mode="nearest")
    factors = np.ones((4, depth))
    np.divide(usual, means, out=factors, where=means > usual)
    return factors.astype("float32")


def _level(values, counted):
    """Return what a share `FPR` of the values that count exceeds; NaN where none does."""
    values = values[counted]
    return np.quantile(values, 1 - FPR) if values.size else np.nan


def levelled(map, levels):
    """Return a map multiplied by `border_levels`, in corners by the smaller; unchanged for None."""
    if levels is None:
        return map
    factors = np.ones(map.shape, "float32")
    for view, level in zip(sides(factors), levels, strict=True):
        depth = min(len(level), len(view))
        view[:depth] = np.minimum(view[:depth], level[:depth, None])
    return map * factors


class Levelled(Sequence):
    """Maps, each levelled when it is asked for."""

    def __init__(self, maps, levels):
        self.maps, self.levels = maps, levels

    def __len__(self):
        return len(self.maps)

    def __getitem__(self, number):
        return levelled(self.maps[number], self.levels)
