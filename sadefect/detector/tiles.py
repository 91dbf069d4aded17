"""Tiles of large images: what is computed tile by tile equals what is computed at once.

A tile is read with the windows that reach into it and with a margin, and begins and ends where
windows do, so that its windows are those of the whole image; only its inner part is kept.
"""

from typing import NamedTuple

import numpy as np

from sadefect.patches import window_starts

TILE = 2048  # Pixels on a side: 0.5 GB of work, an eighth of it done twice.


class Span(NamedTuple):
    """Along one axis: what is read, what of it is kept, and where that belongs."""

    read: slice
    keep: slice
    place: slice


def spans(length, patch_size, stride, margin, tile=TILE):
    """Cut one axis into spans of about equal length.

    Parameters
    ----------
    length, patch_size, stride : int
        As in `window_starts`.
    margin : int
        How far a pixel's value reaches beyond the windows that hold it.
    tile : int
        The most pixels kept at once.

    Returns
    -------
    list of Span

    Examples
    --------
    >>> [(span.read.start, span.read.stop) for span in spans(500, 128, 30, 8, tile=250)]
    [(0, 368), (120, 500)]
    """
    starts = window_starts(length, patch_size, stride)
    edges = np.linspace(0, length, -(-length // tile) + 1).astype(int).tolist()
    cut = []
    for begin, end in zip(edges[:-1], edges[1:], strict=True):
        first = int(starts[np.searchsorted(starts, begin - margin - patch_size, "right")])
        last = int(starts[np.searchsorted(starts, end + margin) - 1]) + patch_size
        cut.append(Span(slice(first, last), slice(begin - first, end - first), slice(begin, end)))
    return cut


def tiles(shape, patch_size, stride, margin, tile=TILE):
    """Yields ``(read, keep, place)`` of each tile of an image, each a pair of slices."""
    for row in spans(shape[0], patch_size, stride, margin, tile):
        for column in spans(shape[1], patch_size, stride, margin, tile):
            yield tuple(zip(row, column, strict=True))


def compute_in_tiles(image, compute, patch_size, stride, margin, tile=TILE):
    """Compute a map of an image tile by tile, in memory that does not grow with the image.

    Parameters
    ----------
    image : array (H, W), or what is indexed like one
    compute : callable
        Gives the map of an array, of the same shape.
    patch_size, stride, margin, tile : int
        As in `spans`.

    Returns
    -------
    float32 array (H, W)
    """
    result = np.empty(image.shape, "float32")
    for read, keep, place in tiles(image.shape, patch_size, stride, margin, tile):
        result[place] = compute(image[read])[keep]
    return result
