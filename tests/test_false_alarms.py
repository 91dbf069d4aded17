"""False alarms are counted where they lie, and shares add up."""

from types import SimpleNamespace

import numpy as np
import pytest

from sadefect.paper.false_alarms import locate, surroundings


def sample(seed, size=(90, 100)):
    generator = np.random.default_rng(seed)
    mask = np.zeros(size, bool)
    mask[40:50, 30:60] = True
    return SimpleNamespace(image=generator.random(size, dtype="float32"), mask=mask)


def test_every_pixel_is_in_one_group():
    samples = [sample(0), sample(1)]
    generator = np.random.default_rng(2)
    counted = locate(samples, lambda image: generator.random(image.shape, dtype="float32"), 0.1)
    free = sum((~sample.mask).sum() for sample in samples)
    for groups in counted["groups"].values():
        assert sum(group["pixels"] for group in groups) == pytest.approx(1)
        assert sum(group["alarms"] for group in groups) == pytest.approx(1)
        rate = sum(group["rate"] * group["pixels"] for group in groups)
        assert rate == pytest.approx(0.1, abs=2 / free + 1e-3)
    assert counted["auroc"] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("score", "kind", "where"),
    [
        (lambda image, around: around["brightness"], "brightness", "brightest fifth"),
        (lambda image, around: -around["brightness"], "brightness", "darkest fifth"),
        (lambda image, around: around["contrast"], "contrast", "busiest fifth"),
        (lambda image, around: -around["defect"], "defect", "0 to 5 px"),
        (lambda image, around: -around["border"], "border", "0 to 15 px"),
    ],
)
def test_alarms_are_found_where_they_are(score, kind, where):
    samples = [sample(0), sample(1)]
    masks = iter([sample.mask for sample in samples])

    def of(image):
        return score(image, surroundings(image, next(masks))).astype("float32")

    counted = locate(samples, of, 0.05)
    share = {group["where"]: group["alarms"] for group in counted["groups"][kind]}
    assert share[where] == pytest.approx(1)


def test_what_is_left_out_does_not_count():
    samples = [sample(0)]
    around = surroundings(samples[0].image, samples[0].mask)
    # A halo about the defect as bright as the defect: all of the area lost is lost to it.
    halo = np.where(around["defect"] <= 8, 1.0, 0.0).astype("float32")
    counted = locate(samples, lambda image: halo, 0.05)
    near, border = counted["without"].values()
    assert counted["auroc"] < 0.97 and near == 1.0 and border < 0.97
