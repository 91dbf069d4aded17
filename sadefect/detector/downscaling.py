"""Images averaged in blocks, which gives a patch more context, and maps brought back to size."""

import numpy as np

from sadefect.datasets.images import as_gray
from sadefect.errors import DataError, out_of_memory


class Downscaled:
    """A gray image that is downscaled part by part, so that it is never held whole as floats.

    A pair of slices gives a part of the array ``(H // factor, W // factor)`` that it stands for.
    Rows and columns left over at the lower and right border belong to no block.

    Parameters
    ----------
    pixels : array (H, W) or (H, W, 3)
        As in `as_gray`.
    factor : int
        Side of a block in pixels.
    patch_size : int
        The least side after downscaling.
    name : str
        For errors.

    Raises
    ------
    DataError
        If it is no image, or smaller than a patch; for a part, if its values cannot be used.

    Examples
    --------
    >>> image = Downscaled(np.eye(5, dtype="uint8") * 255, factor=2, patch_size=1)
    >>> image.shape, image[:, :].tolist()
    ((2, 2), [[0.5, 0.0], [0.0, 0.5]])
    >>> image.enlarged(lambda blocks: blocks[:, :]).shape
    (5, 5)
    """

    def __init__(self, pixels, factor, patch_size, name="the image"):
        if pixels.ndim not in (2, 3):
            raise DataError(
                f"expected an image, (H, W) or (H, W, 3); got shape {pixels.shape}: {name}"
            )
        self.pixels, self.factor, self.name = pixels, factor, name
        self.full_shape = height, width = pixels.shape[:2]
        least = patch_size * factor
        if min(height, width) < least:
            raise DataError(
                f"expected an image of at least {least}x{least} pixels, one patch"
                f"{f' shrunk by {factor}' if factor > 1 else ''}; got {height}x{width}: {name}; "
                "use a smaller patch_size, or larger images"
            )
        self.shape = (height // factor, width // factor)

    def __getitem__(self, part):
        spans = [span.indices(length)[:2] for span, length in zip(part, self.shape, strict=True)]
        rows, columns = (slice(start * self.factor, stop * self.factor) for start, stop in spans)
        gray = as_gray(self.pixels[rows, columns], self.name)
        if self.factor == 1:
            return gray
        (top, bottom), (left, right) = spans
        blocks = (bottom - top, self.factor, right - left, self.factor)
        return gray.reshape(blocks).mean(axis=(1, 3))

    def enlarged(self, compute):
        """Compute a map of this image, and return it as one of the image's own pixels.

        Pixels that belong to no block take the value of the last one. An error of memory is noted
        with the image's name and size.

        Parameters
        ----------
        compute : callable
            Takes this object, gives an array of its shape.
        """
        height, width = self.full_shape
        try:
            map = compute(self)
        except Exception as error:
            if out_of_memory(error):
                error.add_note(f"while looking at {self.name}, {height}x{width} pixels")
            raise
        if self.factor == 1:
            return map
        rows, columns = (
            np.minimum(np.arange(length) // self.factor, length // self.factor - 1)
            for length in (height, width)
        )
        return map[np.ix_(rows, columns)]
