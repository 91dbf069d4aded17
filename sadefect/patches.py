"""Patches: random crops to train on, windows to score, and their average (section 4.2)."""

import numpy as np

from sadefect.errors import DataError, require_choice

ROUNDING = 1e-6  # By which gray values may miss [0, 1]; they are clipped.
STRIDE = 30  # Pixels between windows in both directions, section 4.2.
CROPS = ("fixed", "fresh")
# Symmetries of the square: quarter turns counterclockwise, then whether left and right are swapped.
SYMMETRIES = {
    "none": ((0, False),),
    "half_turns": ((0, False), (2, False)),
    "mirrors": ((0, False), (2, False), (0, True), (2, True)),
    "turns": ((0, False), (1, False), (2, False), (3, False)),
    "all": tuple((turns, mirrored) for turns in range(4) for mirrored in (False, True)),
}
BLOCK = 1_024  # Fresh positions and symmetries are drawn in blocks of so many.


def as_image(image):
    """Return a gray image as float32 ``(H, W)``; a `DataError` says what is wrong with it."""
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    if image.ndim != 2 or not np.issubdtype(image.dtype, np.floating):
        raise DataError(
            "expected a gray image of shape (H, W) or (H, W, 1) with floats in [0, 1]; got "
            f"shape {image.shape} of {image.dtype}; read_image converts colour, 8 and 16 bit"
        )
    image = image.astype("float32", copy=False)
    low, high = (image.min(), image.max()) if image.size else (np.nan, np.nan)
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):
        raise DataError(
            f"expected gray values in [0, 1] without NaN; got values from {low!s} to {high!s}; "
            "divide 8-bit images by 255 and 16-bit images by 65535"
        )
    return image if low >= 0 and high <= 1 else np.clip(image, 0, 1)


class RandomPatches:
    """Draw random crops, in the order in which a training sees them.

    Fixed crops are drawn once; each epoch visits all of them in its own random order. Fresh crops
    are never drawn twice on purpose. Only positions are stored, pixels are read from the images
    when a batch is asked for. Position and symmetry are functions of the seed and of how many
    patches were seen before, which is what makes a training resume exactly.

    Parameters
    ----------
    images : list of float32 arrays (H, W)
        Defect-free images; they may differ in size.
    patch_size : int
        Side of a patch in pixels.
    count : int
        Size of the fixed set; the paper draws 10,000. Fresh crops ignore it.
    seed : int
        Of positions, orders and symmetries.
    crops : {"fixed", "fresh"}
        Whether each patch seen is one of a fixed set, as in the paper, or at a new position.
    symmetries : {"none", "half_turns", "mirrors", "turns", "all"}
        Of the square, which a patch is shown in: 1, 2, 4, 4 or 8 of them, drawn anew each time.
        "mirrors" are left-right, up-down and both.

    Raises
    ------
    DataError
        If there is no image, or one is smaller than a patch.
    ValueError
        If crops or symmetries are none of those.

    References
    ----------
    Section 4.2 of doi:10.5220/0007364503720380

    Examples
    --------
    >>> import numpy as np
    >>> patches = RandomPatches([np.zeros((40, 50), "float32")], 32, count=10)
    >>> patches.batch(start=0, size=4).shape
    (4, 32, 32, 1)
    """

    def __init__(
        self, images, patch_size=128, count=10_000, seed=0, *, crops="fixed", symmetries="none"
    ):
        require_choice("crops", crops, CROPS)
        require_choice("symmetries", symmetries, SYMMETRIES)
        self.crops, self.symmetries = crops, SYMMETRIES[symmetries]
        if not len(images):
            raise DataError(
                "expected at least one defect-free image to draw patches from; got none"
            )
        for image in images:
            require_size(image, patch_size)
        self.images, self.patch_size, self.count, self.seed = images, patch_size, count, seed
        heights, widths = (
            np.array([image.shape[axis] - patch_size + 1 for image in images]) for axis in (0, 1)
        )
        # One number per position in any image makes every position equally likely.
        self._widths, self._ends = widths, np.cumsum(heights * widths)
        self._fixed = np.random.default_rng([seed, 0]).integers(self._ends[-1], size=count)

    def order(self, start, size):
        """Return which of the ``count`` patches are seen ``start``-th to ``start + size``-th."""
        indices = np.arange(start, start + size)
        epochs, places = np.divmod(indices, self.count)
        chosen = np.empty(size, int)
        for epoch in np.unique(epochs):
            permutation = np.random.default_rng([self.seed, 1, int(epoch)]).permutation(self.count)
            chosen[epochs == epoch] = permutation[places[epochs == epoch]]
        return chosen

    def _drawn(self, stream, start, size, limit):
        """Draw random numbers below a limit for the patches seen from ``start`` on."""
        first, last = start // BLOCK, (start + size - 1) // BLOCK
        blocks = [
            np.random.default_rng([self.seed, stream, block]).integers(limit, size=BLOCK)
            for block in range(first, last + 1)
        ]
        return np.concatenate(blocks)[start - first * BLOCK :][:size]

    def corners(self, start, size):
        """Return image, top and left of the patches seen from ``start`` on, int ``(size,)`` each.

        Examples
        --------
        >>> import numpy as np
        >>> patches = RandomPatches([np.zeros((40, 50), "float32")], 32, crops="fresh")
        >>> [len(part) for part in patches.corners(start=7, size=3)]
        [3, 3, 3]
        """
        if self.crops == "fresh":
            flat = self._drawn(2, start, size, self._ends[-1])
        else:
            flat = self._fixed[self.order(start, size)]
        image = np.searchsorted(self._ends, flat, side="right")
        before = np.concatenate([[0], self._ends[:-1]])
        return image, *np.divmod(flat - before[image], self._widths[image])

    def pixels(self):
        """Return the pixels of all images, one image after another, row by row, float32 ``(N,)``.

        `reads` says where patches are in them.
        """
        return np.concatenate([np.ravel(image) for image in self.images])

    def reads(self, start, size):
        """Return where the patches seen from ``start`` on are in `pixels`, int ``(size,)`` each.

        That is, the index of a patch's first pixel, and the steps to the pixels below it and to its
        right: a symmetry changes nothing else. What computes on a device cuts patches there.

        Examples
        --------
        >>> image = np.arange(1600, dtype="float32").reshape(40, 40)
        >>> patches = RandomPatches([image], 32, crops="fresh", symmetries="all")
        >>> first, down, right = (part[0] for part in patches.reads(start=0, size=1))
        >>> side = np.arange(32)
        >>> by_steps = patches.pixels()[first + down * side[:, None] + right * side]
        >>> bool((by_steps == patches.batch(0, 1)[0, :, :, 0]).all())
        True
        """
        widths = np.array([image.shape[1] for image in self.images])
        before = np.cumsum([0, *(image.size for image in self.images[:-1])])
        image, top, left = self.corners(start, size)
        down, right = widths[image], np.ones(size, int)
        first = before[image] + top * down + left
        chosen = self._chosen(start, size)
        turns, mirrored = (np.array(part)[chosen] for part in zip(*self.symmetries, strict=True))
        last = self.patch_size - 1
        for turn in range(3):  # Counterclockwise, what was on the right comes to the top.
            turned = turns > turn
            first = np.where(turned, first + last * right, first)
            down, right = np.where(turned, -right, down), np.where(turned, down, right)
        first = np.where(mirrored, first + last * right, first)
        return first, down, np.where(mirrored, -right, right)

    def _chosen(self, start, size):
        """Return which of the symmetries the patches seen from ``start`` on are shown in."""
        if len(self.symmetries) == 1:
            return np.zeros(size, int)
        return self._drawn(3, start, size, len(self.symmetries))

    def batch(self, start, size):
        """Cut the patches seen from ``start`` on, float32 ``(size, patch_size, patch_size, 1)``."""
        side = self.patch_size
        batch = np.empty((size, side, side, 1), "float32")
        chosen = self._chosen(start, size)
        for row, (image, top, left) in enumerate(zip(*self.corners(start, size), strict=True)):
            turns, mirrored = self.symmetries[chosen[row]]
            crop = np.rot90(self.images[image][top : top + side, left : left + side], turns)
            batch[row, :, :, 0] = crop[:, ::-1] if mirrored else crop
        return batch


def require_size(image, patch_size):
    """Raise `DataError` unless a patch fits into the image."""
    if min(image.shape[:2]) < patch_size:
        raise DataError(
            f"expected an image of at least {patch_size}x{patch_size} pixels, one patch; got "
            f"{image.shape[0]}x{image.shape[1]}; use a smaller patch_size or a larger image"
        )


def window_starts(length, patch_size=128, stride=STRIDE):
    """Return first pixels of the windows along one axis; the last is moved back to the border.

    Parameters
    ----------
    length, patch_size, stride : int
        In pixels.

    Returns
    -------
    int array

    Examples
    --------
    >>> window_starts(256).tolist()
    [0, 30, 60, 90, 120, 128]
    """
    if not 1 <= stride <= patch_size:
        raise ValueError(
            f"stride must lie between 1 and patch_size={patch_size}, or pixels are left out; "
            f"received {stride!r}"
        )
    if length < patch_size:
        raise DataError(
            f"expected a length of at least patch_size={patch_size} pixels; got {length}"
        )
    starts = np.arange(0, length - patch_size + 1, stride)
    return starts if starts[-1] == length - patch_size else np.append(starts, length - patch_size)


def windows(image, patch_size=128, stride=STRIDE):
    """View all windows of an image, and return where they start.

    Parameters
    ----------
    image : array (H, W)
    patch_size, stride : int
        In pixels.

    Returns
    -------
    views : array (H - patch_size + 1, W - patch_size + 1, patch_size, patch_size)
        Every position, nothing copied; index it with the corners.
    corners : int array (N, 2)
        Top and left of the windows at this stride, row by row.

    Examples
    --------
    >>> import numpy as np
    >>> views, corners = windows(np.zeros((696, 1024), "float32"))
    >>> len(corners)
    620
    """
    require_size(image, patch_size)
    rows, columns = (window_starts(length, patch_size, stride) for length in image.shape)
    corners = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    return np.lib.stride_tricks.sliding_window_view(image, (patch_size, patch_size)), corners


class OverlapAverage:
    """Average overlapping patches, pixel by pixel.

    Parameters
    ----------
    shape : tuple of int
        Of the image, (H, W) or more axes.
    frame : int
        Pixels along the sides of each patch that do not count, except at the border of the image.

    Examples
    --------
    >>> import numpy as np
    >>> average = OverlapAverage((4, 6))
    >>> average.add([(0, 0), (0, 2)], np.stack([np.zeros((4, 4)), np.ones((4, 4))]))
    >>> average.mean()[0].tolist()
    [0.0, 0.0, 0.5, 0.5, 1.0, 1.0]
    """

    def __init__(self, shape, frame=0):
        self.frame = frame
        self.total = np.zeros(shape)  # float64, or hundreds of overlaps lose a digit.
        self.count = np.zeros((*shape[:2], *(1 for _ in shape[2:])))

    def add(self, corners, patches):
        """Add patches ``(N, P, P)``, or more axes, with top left pixels ``corners`` ``(N, 2)``."""
        for corner, patch in zip(corners, patches, strict=True):
            covered, inner = zip(
                *map(self._inner, corner, patch.shape, self.total.shape), strict=False
            )
            self.total[covered] += patch[inner]
            self.count[covered] += 1

    def _inner(self, start, side, length):
        """Return slices of the image and of the patch along one axis, without the frame."""
        first = self.frame if start > 0 else 0
        last = side - (self.frame if start + side < length else 0)
        return slice(start + first, start + last), slice(first, last)

    def mean(self):
        """Return the average, float32 of the given shape."""
        if self.frame and not self.count.all():
            raise ValueError(
                f"expected windows that overlap by two frames of {self.frame} pixels at least; got "
                "pixels in none of them; use a smaller stride or frame"
            )
        return (self.total / self.count).astype("float32")
