"""Where an image counts: reflected margins, ignored borders and masks, places that crowd."""

import numpy as np

from sadefect.datasets.images import as_gray
from sadefect.detector.inputs import read
from sadefect.errors import DataError

BANDS = (2, 4, 6, 8, 12, 16)  # Pixels from the border within which flagged pixels may crowd.
CROWDED = 3.0  # Times as many flagged pixels as their share of the image.
SHARE = 0.2  # Of all flagged pixels; fewer do not decide a threshold.
CELLS = 8  # On a side: the places that are told apart.


class Continued:
    """An image that goes on beyond its border, reflected; read part by part like the image itself.

    Examples
    --------
    >>> Continued(np.arange(4.0)[None].repeat(4, 0), 2)[0:1, 0:8].tolist()
    [[2.0, 1.0, 0.0, 1.0, 2.0, 3.0, 2.0, 1.0]]
    """

    def __init__(self, image, margin):
        self.image, self.margin = image, margin
        self.shape = tuple(length + 2 * margin for length in image.shape)

    def __getitem__(self, part):
        places, spans = [], []
        for span, length in zip(part, self.image.shape, strict=True):
            inside = np.abs(np.arange(span.start, span.stop) - self.margin)
            inside = np.where(inside < length, inside, 2 * (length - 1) - inside)
            spans.append(slice(inside.min(), inside.max() + 1))
            places.append(inside - inside.min())
        return self.image[tuple(spans)][np.ix_(*places)]


def continued(image, margin):
    """Return an image as an array with reflected margins."""
    return np.pad(image, margin, "reflect") if margin else image


def cropped(map, margin):
    """Return a map without its margins."""
    return map[margin:-margin, margin:-margin] if margin else map


def read_ignored(mask):
    """Read what is to be ignored: bool ``(H, W)``, or a path of an image that is not black there.

    Raises `DataError` if all pixels are to be ignored, or it is no image.
    """
    if mask is None:
        return None
    mask = read(mask)
    mask = mask if mask.dtype == bool else as_gray(mask, "the mask of what is ignored") > 0
    if mask.ndim != 2 or mask.all():
        raise DataError(
            "expected a mask that is white where an image is ignored, and black elsewhere; got "
            f"shape {mask.shape}, {mask.mean():.0%} of it white; perhaps it is inverted"
        )
    return mask


def counted_pixels(shape, border=0, ignored=None, name="the image"):
    """Return where an image counts, bool ``(H, W)``; None if everywhere.

    Raises `DataError` if the mask has another size than the image, or nothing is left.
    """
    if not border and ignored is None:
        return None
    counted = np.zeros(shape, bool)
    counted[border : shape[0] - border, border : shape[1] - border] = True
    if ignored is not None:
        if ignored.shape != tuple(shape):
            raise DataError(
                f"expected images of the ignored mask's size, {ignored.shape[0]}x"
                f"{ignored.shape[1]} pixels; got {shape[0]}x{shape[1]}: {name}; train with a mask "
                "of that size"
            )
        counted &= ~ignored
    if not counted.any():
        raise DataError(
            f"expected pixels that count; border={border} and the ignored mask leave none of "
            f"{shape[0]}x{shape[1]}: {name}"
        )
    return counted


class Crowding:
    """Counts where pixels of held-out good images are flagged, and says where they crowd.

    Examples
    --------
    >>> frame, crowding = np.ones((64, 64), bool), Crowding()
    >>> frame[2:-2, 2:-2] = False
    >>> crowding.add(frame)
    >>> [text[:52] for text in crowding.sentences()]
    ['100% of the flagged pixels of held-out good images l']
    """

    def __init__(self, side=1):
        self.side = side  # Of the block of an image's own pixels that one of a map stands for.
        self.pixels = self.flagged = 0
        self.inside = np.zeros((len(BANDS), 2))  # Pixels and flagged ones, without each band.
        self.cells = []

    def add(self, flagged):
        """Count the flagged pixels of an image, bool ``(H, W)``."""
        self.pixels, self.flagged = self.pixels + flagged.size, self.flagged + int(flagged.sum())
        for row, width in enumerate(BANDS):
            inner = flagged[width:-width, width:-width]
            self.inside[row] += inner.size, inner.sum()
        edges = (
            np.linspace(0, length, CELLS, endpoint=False).astype(int) for length in flagged.shape
        )
        rows, columns = edges
        sums = np.add.reduceat(np.add.reduceat(flagged.astype(float), rows, 0), columns, 1)
        self.cells.append(sums / flagged.size)

    def sentences(self):
        """Return a list of sentences; none if flagged pixels are spread evenly."""
        if not self.flagged:
            return []
        lies = "of the flagged pixels of held-out good images lie"
        pixels, flagged = (1 - self.inside / (self.pixels, self.flagged)).T
        excess = np.where((flagged > CROWDED * pixels) & (flagged > SHARE), flagged - pixels, 0)
        if excess.any():
            row = int(np.argmax(excess))
            width, share, area = BANDS[row] * self.side, flagged[row], pixels[row]
            return [
                f"{share:.0%} {lies} within {width} pixels of the border, {area:.0%} of the image; "
                f"they decide the thresholds: border={width} (--border {width}) leaves them out"
            ]
        cells = np.stack(self.cells)
        mean = cells.mean(axis=0) * ((cells > 0).mean(axis=0) > 0.5)
        row, column = np.unravel_index(np.argmax(mean), mean.shape)
        share = mean[row, column] / cells.mean(axis=0).sum()
        if len(cells) < 3 or share < SHARE:
            return []
        return [
            f"{share:.0%} {lies} in one place, around {(row + 0.5) / CELLS:.0%} of the height and "
            f"{(column + 0.5) / CELLS:.0%} of the width; if a holder or a mark is there, leave it "
            "out with a mask (ignore, --ignore)"
        ]
