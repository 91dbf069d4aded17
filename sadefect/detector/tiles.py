"""Maps of large images, tile by tile; equal to what is computed at once.

A tile is read with the windows that reach into it and with a margin, and begins and ends where
windows do, so that its windows are those of the whole image; only its inner part is kept.
"""

from itertools import product

import numpy as np

from sadefect.anomaly_maps import scored_map
from sadefect.patches import window_starts

TILE = 2048  # Pixels on a side: 0.5 GB of work, an eighth of it done twice.


def spans(length, patch_size, stride, margin, tile):
    """Yield spans of one axis of about equal length, of which at most ``tile`` pixels are kept.

    A span is three slices: what is read, what of it is kept, and where that belongs. The ``margin``
    is how far a pixel's value reaches beyond the windows that hold it.

    Examples
    --------
    >>> [(read.start, read.stop) for read, _, _ in spans(500, 128, 30, 8, tile=250)]
    [(0, 368), (120, 500)]
    """
    starts = window_starts(length, patch_size, stride)
    edges = np.linspace(0, length, -(-length // tile) + 1).astype(int).tolist()
    for begin, end in zip(edges[:-1], edges[1:], strict=True):
        first = int(starts[np.searchsorted(starts, begin - margin - patch_size, "right")])
        last = int(starts[np.searchsorted(starts, end + margin) - 1]) + patch_size
        yield slice(first, last), slice(begin - first, end - first), slice(begin, end)


def tiles(shape, patch_size, stride, margin, tile):
    """Yield ``(read, keep, place)`` of each tile of an image, each a pair of slices."""
    axes = (spans(length, patch_size, stride, margin, tile) for length in shape)
    for row, column in product(*axes):
        yield tuple(zip(row, column, strict=True))


def map_in_tiles(model, image, scoring, seed, part):
    """Compute a part of an image's `AnomalyMap`, float32 ``(H, W)``, in memory that does not grow.

    The image is an array or what is indexed like one; model, scoring and seed are as in
    `scored_map`; the part is "residual" or "reconstruction": both at once would be too large.
    """
    # A Gaussian ends after four standard deviations.
    margin = scoring.residual_window_size + 2 * scoring.opening + int(4 * scoring.smoothing + 1)
    whole = np.empty(image.shape, "float32")
    for read, keep, place in tiles(image.shape, model.input_shape[1], scoring.stride, margin, TILE):
        whole[place] = getattr(scored_map(model, image[read], scoring, seed), part)[keep]
    return whole
