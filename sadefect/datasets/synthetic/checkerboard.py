"""The toy of figure 3: clean checkerboards to train on, and some with gray strokes and dots."""

from functools import partial

import numpy as np
from scipy import ndimage

from sadefect.datasets.base import Dataset, Sample

NAME = "synthetic/checkerboard"
VERSION = 1  # Raised when the same seed would give other images.
SEED = 20190225
FINGERPRINT = f"checkerboard-v{VERSION}-seed{SEED}"
SIZE = 128  # Pixels on a side.
TRAIN, TEST = 1_000, 20
SQUARES = (16.0, 40.0)  # Side of a square in pixels, from the smallest to the largest.
BLACK, WHITE, GRAY = 0.1, 0.9, 0.5
STROKE = (3.0, 5.0)  # Width in pixels.
DOT = (3.0, 6.0)  # Radius in pixels.
DEFECTS = 3  # Strokes, and as many dots, in an image.
EDGE = 3  # Pixels from where two squares meet that count as its surroundings.


def checkerboard(size=SIZE, *, square, angle=0.0, shift=(0.0, 0.0)):
    """Draw a clean checkerboard with edges one pixel wide, float32 ``(size, size)`` in [0.1, 0.9].

    Sides of the image and of a square, which is at least 2, are in pixels. ``angle`` is that of the
    rows of squares against the image's, in radians; ``shift`` moves the pattern along its own two
    directions, in pixels.

    References
    ----------
    Figure 3 of doi:10.5220/0007364503720380

    Examples
    --------
    >>> board = checkerboard(8, square=4)
    >>> float(board[1, 1]), float(board[1, 6])
    (0.8999999761581421, 0.10000000149011612)
    """
    if not square >= 2:
        raise ValueError(f"square must be at least 2 pixels, or edges meet; received {square!r}")
    y, x = np.mgrid[:size, :size] + 0.5
    along = np.cos(angle) * x + np.sin(angle) * y + shift[0]
    across = np.cos(angle) * y - np.sin(angle) * x + shift[1]
    pattern = _stripes(along, square) * _stripes(across, square)
    return ((WHITE + BLACK) / 2 + (WHITE - BLACK) / 2 * pattern).astype("float32")


def _stripes(position, width):
    """Return 1 on even and -1 on odd stripes, with ramps as wide as a pixel between them."""
    place = np.mod(position, 2 * width)
    to_edge = np.minimum(place, np.abs(place - width))
    to_edge = np.minimum(to_edge, 2 * width - place)
    return np.where(place < width, 1.0, -1.0) * np.clip(2 * to_edge, 0, 1)


def clean(seed, size=SIZE):
    """Draw a checkerboard of random scale, orientation and position, float32 ``(size, size)``.

    Examples
    --------
    >>> bool((clean(7) == clean(7)).all())
    True
    """
    generator = np.random.default_rng(seed)
    square = np.exp(generator.uniform(*np.log(SQUARES)))
    return checkerboard(
        size,
        square=square,
        angle=generator.uniform(0, np.pi / 2),
        shift=generator.uniform(0, 2 * square, 2),
    )


def defective(seed, size=SIZE):
    """Draw a random checkerboard with gray strokes and dots on it, and where they are.

    Returns the image, float32 ``(size, size)``, and a bool mask of the pixels of which a stroke or
    dot covers at least half.

    Examples
    --------
    >>> image, mask = defective(7)
    >>> float(image[mask].min()) > 0.1 and float(image[mask].max()) < 0.9
    True
    """
    board = clean(seed, size)
    generator = np.random.default_rng([*np.atleast_1d(seed), 1])
    y, x = np.mgrid[:size, :size] + 0.5
    reach = np.full((size, size), -np.inf)  # Pixels from here to the defects' outlines.
    for _ in range(DEFECTS):
        row, column = generator.uniform(0.15 * size, 0.85 * size, 2)
        radius = generator.uniform(*DOT)
        reach = np.maximum(reach, radius - np.hypot(y - row, x - column))

        start = generator.uniform(0.1 * size, 0.9 * size, 2)
        direction, length = generator.uniform(0, 2 * np.pi), generator.uniform(0.12, 0.3) * size
        step = length * np.array([np.sin(direction), np.cos(direction)])
        along = ((y - start[0]) * step[0] + (x - start[1]) * step[1]) / length**2
        nearest = np.clip(along, 0, 1)
        away = np.hypot(y - start[0] - nearest * step[0], x - start[1] - nearest * step[1])
        reach = np.maximum(reach, generator.uniform(*STROKE) / 2 - away)
    cover = np.clip(reach + 0.5, 0, 1)
    return (board + cover * (GRAY - board)).astype("float32"), cover >= 0.5


def beneath(number):
    """Draw the clean checkerboard on which test image `number` is drawn, float32 ``(128, 128)``."""
    return clean(_test_seed(number))


def edges(number):
    """Find where squares meet on the board of test image `number`, three pixels farther too, bool.

    Examples
    --------
    >>> bool(0.1 < edges(0).mean() < 0.9)
    True
    """
    near = (WHITE - BLACK) / 2 - 0.01  # From gray; farther away it is the inside of a square.
    return ndimage.binary_dilation(abs(beneath(number) - GRAY) < near, iterations=EDGE)


def load(name=NAME):
    """Load clean checkerboards to train on, defective ones to score."""
    train = [
        Sample(f"clean/{number:04d}", "good", partial(clean, [SEED, 0, number]))
        for number in range(TRAIN)
    ]
    test = [
        Sample(f"defective/{number:02d}", "defective", *(partial(_part, k, number) for k in (0, 1)))
        for number in range(TEST)
    ]
    source = "computed by sadefect, after figure 3 of doi:10.5220/0007364503720380"
    return Dataset(name, train, test, FINGERPRINT, source, "MIT", publishable=True)


def _test_seed(number):
    return [SEED, 1, number]


def _part(index, number):
    return defective(_test_seed(number))[index]
