"""Synthetic defects in defect-free images, so that a scoring is chosen without any test mask.

Each kind is defined by what it does to the texture that is there, so that it suits any texture:
flattened spots lose it, films veil it, dust covers it, cuts run through it.
"""

from itertools import product
from typing import NamedTuple

import numpy as np
from scipy import ndimage

KINDS = ("flattened", "film", "dust", "cut")
RADII = (8, 20, 45)  # Pixels: a sixteenth, a sixth and a third of the paper's patches.
COVERED = 0.06  # Share of an image that its defects cover, about, where as many fit.
MOST = 12  # Defects in one image.
VEIL = (0.3, 0.7)  # How much of the texture a film hides.
STRENGTH = (0.75, 2.0)  # Of dust and cuts: standard deviations of the image from its surroundings.
SIDE = 512  # Pixels: of a larger image a part is enough, and takes less time to score.
SOFT = 1.0  # Pixels over which a defect begins.


class Planted(NamedTuple):
    """A defect-free image with defects of one kind and size: what was put in, and where."""

    kind: str
    radius: int
    image: np.ndarray
    mask: np.ndarray


def plant(image, kind, radius, seed=0):
    """Put synthetic defects of a kind into a defect-free image, float32 ``(H, W)`` in [0, 1].

    The radius is in pixels, about: ellipses have half axes between 0.7 and 1.4 of it, cuts are a
    sixth as wide as long. The seed is that of places, shapes and strengths. Returns `Planted`, the
    image float32 and the mask bool, ``(H, W)``. Raises `ValueError` if the image is not large
    enough for one defect.

    Examples
    --------
    >>> texture = np.random.default_rng(0).random((128, 128), dtype="float32")
    >>> planted = plant(texture, "flattened", 20)
    >>> bool(planted.image[planted.mask].std() < 0.5 * texture.std())
    True
    >>> bool((planted.image == texture)[~planted.mask].mean() > 0.9)
    True
    """
    if 3 * radius > min(image.shape):
        raise ValueError(
            f"expected an image of at least {3 * radius} pixels on a side for defects of radius "
            f"{radius}; got {image.shape[0]}x{image.shape[1]}"
        )
    generator = np.random.default_rng([seed, KINDS.index(kind), radius])
    surroundings = ndimage.gaussian_filter(image, 2 * radius)
    planted, mask = image.copy(), np.zeros(image.shape, bool)
    for _ in range(int(np.clip(COVERED * image.size / (np.pi * radius**2), 1, MOST))):
        shape = _shape(generator, image.shape, kind, radius)
        if (mask & (shape > 0)).any():  # Defects that meet would be of another size.
            continue
        defect = _defect(generator, kind, image, surroundings)
        cover = shape * (generator.uniform(*VEIL) if kind == "film" else 1)
        planted += cover * (defect - planted)
        mask |= shape >= 0.5
    return Planted(kind, radius, np.clip(planted, 0, 1).astype("float32"), mask)


def planted_samples(images, seed=0, kinds=KINDS, radii=RADII):
    """Return `Planted` of each kind and size that fits, the images taken in turn.

    The images are defect-free and were not trained on; of large ones another part of 512 pixels is
    taken each time. The seed is that of the parts and of the defects, kinds and radii are as in
    `plant`.
    """
    generator = np.random.default_rng(seed)
    samples = []
    for number, (kind, radius) in enumerate(product(kinds, radii)):
        image = images[number % len(images)]
        top, left = (generator.integers(max(length - SIDE, 0) + 1) for length in image.shape)
        part = image[top : top + SIDE, left : left + SIDE]
        if 3 * radius <= min(part.shape):
            samples.append(plant(part, kind, radius, seed))
    return samples


def _shape(generator, shape, kind, radius):
    """Draw how much one defect covers each pixel, in [0, 1]: an ellipse with a soft edge."""
    height, width = shape
    margin = min(radius, height // 3, width // 3)
    center = generator.uniform(margin, height - margin), generator.uniform(margin, width - margin)
    axes = radius * generator.uniform(0.7, 1.4, 2)
    if kind == "cut":
        axes = np.array([radius / 6, 1.4 * radius])
    angle = generator.uniform(0, np.pi)
    rows, columns = np.arange(height)[:, None] - center[0], np.arange(width) - center[1]
    along = (np.cos(angle) * rows + np.sin(angle) * columns) / axes[0]
    across = (np.cos(angle) * columns - np.sin(angle) * rows) / axes[1]
    level = np.hypot(along, across)  # 1 on the ellipse.
    slope = np.hypot(along / axes[0], across / axes[1]) / np.maximum(level, 1e-9)
    return np.clip((1 - level) / np.maximum(slope, 1e-9) / SOFT + 0.5, 0, 1)


def _defect(generator, kind, image, surroundings):
    """Draw the gray values of a defect that covers the whole image."""
    if kind in ("flattened", "film"):
        return surroundings
    sign = generator.choice((-1, 1))
    # Where the image is nearly black or white already, there is one way only.
    sign = 1 if surroundings.mean() < 0.15 else -1 if surroundings.mean() > 0.85 else sign
    level = surroundings + sign * generator.uniform(*STRENGTH) * image.std()
    if kind == "cut":
        return level
    grain = ndimage.gaussian_filter(generator.standard_normal(image.shape), 1.5)
    return level + grain * (0.25 * image.std() / grain.std())
