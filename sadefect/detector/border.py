"""Maps near the border of images, where networks reconstruct worse, brought to one level.

A pixel near the border lies near the frame of every patch that has it, and good images err there as
defects do elsewhere. How much is measured on held-out good images, on each side, and divided out.
"""

import warnings
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from sadefect.detector.defaults import FPR

PART = 4  # A patch's side divided by this is how deep levels are measured, in pixels of a map.
SAMPLED = 256  # Pixels of a row that are looked at, and on a side of the inside.
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
    inner = slice(depth, -depth)
    strips, inside = [[] for _ in range(4)], []
    for map, mask in zip(maps, counted, strict=True):
        map = map if mask is None else np.where(mask, map, np.nan)
        inside.append(_sampled(map[inner, inner].ravel(), SAMPLED**2))
        for strip, view in zip(strips, sides(map), strict=True):
            strip.append(_sampled(view[:depth, inner], SAMPLED))
    usual = max(float(_level(np.concatenate(inside))), 0)  # NaN where nothing counts.
    levels = np.array([_level(np.concatenate(strip, axis=1)) for strip in strips])
    levels = np.where(np.isnan(levels), usual, levels)
    levels = ndimage.gaussian_filter1d(levels, SMOOTHED, mode="nearest")
    factors = np.ones((4, depth))
    np.divide(usual, levels, out=factors, where=levels > usual)
    return factors.astype("float32")


def _sampled(values, count):
    """Return at most so many values along the last axis, evenly spaced."""
    return np.array(values[..., :: -(-values.shape[-1] // count)])


def _level(values):
    """Return what a share `FPR` of values along the last axis exceeds; NaN where none counts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # Of rows that do not count at all.
        return np.nanquantile(values, 1 - FPR, axis=-1)


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
