"""Synthetic images: the same every time, exact masks, and defects that are worth finding."""

import hashlib

import numpy as np
import pytest
from scipy import ndimage

from sadefect import auroc, load_dataset
from sadefect.datasets import synthetic

TINY = [name for name in synthetic.RECIPES if name.endswith(synthetic.TINY)]
FULL = [name for name in synthetic.RECIPES if name not in TINY]
# Of the version: another image needs another VERSION. Gray values are rounded to 8 bits; the last
# digits of a math library may still turn one, so that a few bits are left out.
FIRST = {
    "synthetic/fibres-tiny": (0.50737, 0.37583, 2544),
    "synthetic/twill-tiny": (0.44387, 0.14174, 342),
    "synthetic/weave-tiny": (0.50205, 0.11174, 214),
}


@pytest.mark.parametrize("name", FULL)
def test_sizes_and_counts_are_the_real_ones(name):
    data = load_dataset(name)
    counts, shapes = (
        ((5, 40), [(700, 1024), (696, 1024)])
        if "fibres" in name
        else (
            (100, 50),
            [(256, 256), (256, 256)],
        )
    )
    assert (len(data.train), len(data.test)) == counts
    for samples, shape in zip((data.train, data.test), shapes, strict=True):
        image = samples[-1].image
        assert image.shape == samples[-1].mask.shape == shape and image.dtype == np.float32
        assert 0 <= image.min() < image.max() <= 1
    assert data.publishable


@pytest.mark.parametrize("name", TINY)
def test_the_same_every_time_and_different_everywhere(name):
    first, second = load_dataset(name), load_dataset(name)
    digests = set()
    for one, other in zip(first.train + first.test, second.train + second.test, strict=True):
        assert np.array_equal(one.image, other.image) and np.array_equal(one.mask, other.mask)
        digests.add(hashlib.sha256(one.image.tobytes()).hexdigest())
    assert len(digests) == len(first.train) + len(first.test)
    reseeded = synthetic.load(name, seed=1)
    assert not np.array_equal(reseeded.train[0].image, first.train[0].image)
    assert reseeded.fingerprint != first.fingerprint


@pytest.mark.parametrize("name", TINY)
def test_images_are_those_of_the_version(name):
    image = load_dataset(name).test[0].image
    mask = load_dataset(name).test[0].mask
    mean, spread, pixels = FIRST[name]
    assert image.mean() == pytest.approx(mean, abs=1e-4), "raise synthetic.VERSION"
    assert image.std() == pytest.approx(spread, abs=1e-4), "raise synthetic.VERSION"
    assert mask.sum() == pytest.approx(pixels, abs=3), "raise synthetic.VERSION"


@pytest.mark.parametrize("name", [*TINY, "synthetic/fibres"])
def test_masks_are_exact(name):
    data = load_dataset(name)
    for number, sample in enumerate(data.test[:4]):
        clean, _ = synthetic.drawn(name, "test", number, clean=True)
        image, mask = synthetic.drawn(name, "test", number)
        assert np.array_equal(image, sample.image) and np.array_equal(mask, sample.mask)
        assert mask.any() and mask.mean() < 0.2
        changed = image != clean
        around = ndimage.binary_dilation(mask, iterations=4)
        assert not changed[~around].any()
        assert changed[mask].mean() > 0.85
    for sample in data.train:
        assert not sample.mask.any()


def test_defects_of_fibres_are_not_given_away_by_their_gray():
    samples = load_dataset("synthetic/fibres").test[:6]
    found = auroc([one.mask for one in samples], [one.image for one in samples])
    assert 0.6 < found < 0.85, "that of NanoTWICE is 0.73"


@pytest.mark.parametrize("name", FULL)
def test_every_kind_is_there(name):
    kinds = [sample.kind for sample in load_dataset(name).test]
    expected = {"debris", "film"} if "fibres" in name else {"cut", "rough", "pin"}
    assert set(kinds) == expected
    assert min(kinds.count(kind) for kind in expected) >= 12


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"name": "synthetic/wool"}, "synthetic/fibres"),
        ({"name": "synthetic/fibres", "seed": -1}, "from 0 on"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments, expected):
    with pytest.raises(ValueError, match=expected):
        synthetic.load(**arguments)
