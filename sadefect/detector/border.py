"""Maps near the border of images, where networks reconstruct worse, brought to one level.

A pixel near the border lies near the frame of every patch that has it, and good images err there as
defects do elsewhere. How much is measured on held-out good images, and divided out.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from sadefect.detector.defaults import FPR

DEPTH = 4  # A patch's side divided by this is how deep levels are measured, in pixels of a map.
SMOOTHED = 1.0  # Standard deviation, in pixels, of levels along the distance.


def border_distance(shape, depth):
    """Return each pixel's distance from the border, an int array of a shape, at most ``depth``.

    Examples
    --------
    >>> border_distance((3, 5), 2)[1].tolist()
    [0, 1, 1, 1, 0]
    """
    rows, columns = (
        np.minimum(np.arange(length), np.arange(length)[::-1]).clip(max=depth) for length in shape
    )
    return np.minimum.outer(rows, columns)


def border_levels(maps, counted, depth):
    """Return what maps of good images have to be multiplied with, by the distance from the border.

    Parameters
    ----------
    maps : sequence of arrays (H, W)
    counted : list of bool arrays (H, W) or None
        The pixels that count.
    depth : int
        How far from the border, in pixels; at most a quarter of the smallest image is taken.

    Returns
    -------
    float32 array (n + 1,)
        At most 1: only what is above the level of the inside is lowered. The last stands for all
        pixels that are farther away.
    """
    depth = min(depth, *(min(map.shape) // 4 for map in maps))
    levels = np.full((len(maps), depth + 1), np.nan)
    for row, map, mask in zip(levels, maps, counted, strict=True):
        distance = border_distance(map.shape, depth)
        if mask is not None:
            map, distance = map[mask], distance[mask]
        order = np.argsort(distance, axis=None, kind="stable")
        values, ends = (
            np.ravel(map)[order],
            np.searchsorted(np.ravel(distance)[order], range(depth + 2)),
        )
        for number, (first, end) in enumerate(zip(ends[:-1], ends[1:], strict=True)):
            if end > first:
                row[number] = np.quantile(values[first:end], 1 - FPR)
    known = ~np.isnan(levels).all(axis=0)
    means = np.nanmean(levels[:, known], axis=0)
    means = np.interp(np.arange(depth + 1), np.flatnonzero(known), means)
    means = ndimage.gaussian_filter1d(means, SMOOTHED, mode="nearest")
    factors = np.ones(depth + 1)
    above = means > max(means[-1], 0)
    factors[above] = max(means[-1], 0) / means[above]
    return factors.astype("float32")


def levelled(map, levels):
    """Return a map multiplied by `border_levels`; unchanged for None."""
    if levels is None:
        return map
    return map * levels[border_distance(map.shape, len(levels) - 1)]


class Levelled(Sequence):
    """Maps, each levelled when it is asked for."""

    def __init__(self, maps, levels):
        self.maps, self.levels = maps, levels

    def __len__(self):
        return len(self.maps)

    def __getitem__(self, number):
        return levelled(self.maps[number], self.levels)
