"""Images computed from a seed, which stand in for the paper's data where that is not at hand.

``synthetic/fibres`` stands in for NanoTWICE, with its sizes and counts; ``synthetic/weave`` and
``synthetic/twill`` for the two woven fabrics, drawn at 512x512 pixels and averaged to 256x256 as
section 4.2 scales them. A name that ends in ``-tiny`` has few small images, for tests.

The generators were fixed by likeness before any method was scored on them: drawn beside the real
images and looked at, they were changed until distribution of gray values, widths and depth of the
fibres, and size and gray of the defects were alike. They are not changed for a score.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from sadefect.datasets.base import About, Dataset, Sample
from sadefect.datasets.synthetic import checkerboard
from sadefect.datasets.synthetic.fibres import KINDS, fibres
from sadefect.datasets.synthetic.woven import CLOTHS, FLAWS, woven
from sadefect.errors import require_choice

VERSION = 1  # Raised when the same seed would give other images.
PREFIX, TINY = "synthetic/", "-tiny"
SPLITS = ("train", "test")


@dataclass(frozen=True)
class _Recipe:
    """Say how a data set is drawn; shapes and counts are those of `SPLITS`."""

    number: int  # Goes into the seed of every image.
    picture: Callable
    kinds: tuple[str, ...]
    stands_for: str
    shapes: tuple[tuple[int, int], ...]
    counts: tuple[int, ...] = (4, 4)


def _recipes():
    nanotwice = "NanoTWICE, doi:10.1109/TII.2016.2641472"
    fabrics = "the woven fabrics of doi:10.5220/0007364503720380"
    weave, twill = (partial(woven, cloth=CLOTHS[name]) for name in ("weave", "twill"))
    full = {
        "fibres": _Recipe(0, fibres, KINDS, nanotwice, ((700, 1024), (696, 1024)), (5, 40)),
        "weave": _Recipe(1, weave, tuple(FLAWS), fabrics, 2 * ((256, 256),), (100, 50)),
        "twill": _Recipe(2, twill, tuple(FLAWS), fabrics, 2 * ((256, 256),), (100, 50)),
    }
    tiny = {"fibres": (160, 192), "weave": (160, 160), "twill": (160, 160)}
    return {PREFIX + name: recipe for name, recipe in full.items()} | {
        PREFIX + name + TINY: replace(full[name], shapes=(shape, shape), counts=(4, 4))
        for name, shape in tiny.items()
    }


RECIPES = _recipes()
NAMES = (*RECIPES, checkerboard.NAME)


def load(name, root=None, *, seed=0):
    """Load a synthetic data set; each image is drawn when it is asked for, the same every time.

    Another seed, 0 or more, gives other images of the same kind. Kinds of fibres are "debris" and
    "film", of weave and twill "cut", "rough" and "pin". ``root`` is not used: there are no files.

    Examples
    --------
    >>> data = load("synthetic/fibres")
    >>> len(data.train), len(data.test), data.test[1].kind
    (5, 40, 'film')
    """
    if name == checkerboard.NAME:
        return checkerboard.load(name)
    recipe = _recipe(name)
    train, test = (
        tuple(_sample(name, split, number, seed) for number in range(count))
        for split, count in zip(SPLITS, recipe.counts, strict=True)
    )
    source = f"computed by sadefect.datasets.synthetic; stands in for {recipe.stands_for}"
    return Dataset(name, train, test, fingerprint(name, seed), source, "MIT", publishable=True)


def about(name):
    """Tell what is known of a synthetic data set; see `sadefect.datasets.about_dataset`."""
    data = load(name)
    height, width = data.test[0].image.shape
    return About(
        f"{len(data.train)} defect-free and {len(data.test)} with defects of {width}x{height} "
        "pixels, a mask for each",
        data.source,
        data.licence,
        f'`load_dataset("{name}")` computes them',
        data.fingerprint,
    )


def fingerprint(name, seed=0):
    """Return the generator's version and the seed, known without drawing anything.

    Examples
    --------
    >>> fingerprint("synthetic/fibres")
    'synthetic-fibres-v1-seed0'
    """
    if name == checkerboard.NAME:
        return checkerboard.FINGERPRINT
    _recipe(name)
    return f"{name.replace('/', '-')}-v{VERSION}-seed{_checked(seed)}"


def drawn(name, split, number, *, seed=0, clean=False, part=None):
    """Draw one image of a data set, by its number within a split, "train" or "test", and its mask.

    The seed is as in `load`. A ``clean`` image is as it would be without its defects, with the same
    noise: it differs from the defective one inside the mask, and by the lens's blur within four
    pixels around it. Returns the image, float32 ``(H, W)`` in [0, 1] in steps of 1/255 like those
    of an 8-bit camera, and the mask, bool ``(H, W)``; or one ``part`` of the two, "image" or
    "mask", which alone takes less time.

    Examples
    --------
    >>> image, mask = drawn("synthetic/weave-tiny", "test", 2)
    >>> without, _ = drawn("synthetic/weave-tiny", "test", 2, clean=True)
    >>> bool((image != without)[mask].mean() > 0.9)
    True
    """
    recipe, which = _recipe(name), SPLITS.index(split)
    image, mask = recipe.picture(
        np.random.SeedSequence([VERSION, recipe.number, _checked(seed), which, number]),
        recipe.shapes[which],
        _kind(recipe, split, number),
        clean,
        part == "mask",
    )
    if part == "mask":
        return mask
    image = np.round(255 * image).astype("float32") / np.float32(255)
    return image if part == "image" else (image, mask)


def _recipe(name):
    require_choice("name", name, NAMES)
    return RECIPES[name]


def _checked(seed):
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed must be an integer from 0 on; received {seed!r}")
    return int(seed)


def _kind(recipe, split, number):
    return "good" if split == "train" else recipe.kinds[number % len(recipe.kinds)]


def _sample(name, split, number, seed):
    kind = _kind(_recipe(name), split, number)
    draw = partial(drawn, name, split, number, seed=seed)
    mask = None if kind == "good" else partial(draw, part="mask")
    return Sample(f"{kind}/{number:03d}", kind, partial(draw, part="image"), mask)
