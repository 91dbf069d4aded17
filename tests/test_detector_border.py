"""Maps near the border of images, and the height of regions as an image's score."""

import numpy as np
import pytest
from scipy import ndimage

from sadefect import Detector
from sadefect.detector.border import Levelled, border_levels, levelled, sides
from sadefect.detector.calibration import Calibration


def frame_of(shape, depth, which=range(4)):
    """Return the pixels within a distance of some sides."""
    near = np.zeros(shape, bool)
    for side in which:
        sides(near)[side][:depth] = True
    return near


def maps_with_a_noisy_frame(count=12, shape=(80, 96), depth=6, times=3.0, which=range(4)):
    """Draw maps that are higher near the border, as those of good images are."""
    rng, near = np.random.default_rng(0), frame_of(shape, depth, which)
    noise = ndimage.gaussian_filter(rng.random((count, *shape)), (0, 1, 1)).astype("float32")
    return list(noise * np.where(near, np.float32(times), np.float32(1)))


def test_levels_undo_what_the_frame_does():
    maps = maps_with_a_noisy_frame()
    levels = border_levels(maps, [None] * len(maps), 16)
    np.testing.assert_allclose(levels[:, [0, 3]], 1 / 3, rtol=0.1)
    np.testing.assert_allclose(levels[:, 9:], 1, rtol=0.1)
    near = frame_of(maps[0].shape, 6)
    flat = np.stack(Levelled(maps, levels))
    assert flat[:, near].mean() == pytest.approx(flat[:, ~near].mean(), rel=0.1)


def test_levels_are_those_of_each_side():
    maps = maps_with_a_noisy_frame(which=(0, 2))  # Top and left.
    levels = border_levels(maps, [None] * len(maps), 16)
    np.testing.assert_allclose(levels[[0, 2], :4], 1 / 3, rtol=0.1)
    np.testing.assert_allclose(levels[[1, 3]], 1, rtol=0.1)
    assert levelled(np.ones((80, 96)), levels)[8:, -1].mean() > 0.9


def test_levels_never_raise_a_map_and_leave_out_what_does_not_count():
    quiet = maps_with_a_noisy_frame(times=0.2)
    np.testing.assert_array_equal(border_levels(quiet, [None] * len(quiet), 16)[:, :4], 1)
    maps, counted = maps_with_a_noisy_frame(), np.ones((80, 96), bool)
    counted[:8] = counted[-8:] = counted[:, :8] = counted[:, -8:] = False
    levels = border_levels(maps, [counted] * len(maps), 16)
    np.testing.assert_allclose(levels, 1, rtol=0.1)
    assert levelled(maps[0], None) is maps[0]


@pytest.mark.parametrize("shape", [(8, 8), (3, 40), (1, 1)])
def test_levels_of_small_and_flat_images(shape):
    zeros = [np.zeros(shape, "float32")] * 2
    levels = border_levels(zeros, [None, None], 16)
    assert (
        np.isfinite(levels).all() and (levels <= 1).all() and levels.shape == (4, min(shape) // 4)
    )
    assert levelled(zeros[0], levels).shape == shape


def test_the_frame_no_longer_decides_what_a_detector_finds():
    """Good images whose margins differ from one to the next, and some with a small flat spot."""

    def texture(seed):
        rng = np.random.default_rng(seed)
        image = ndimage.gaussian_filter(rng.normal(size=(96, 96)), 1.5)
        image[frame_of(image.shape, 4)] *= rng.uniform(0.5, 4)
        return np.clip(0.5 + image, 0, 1).astype("float32")

    good, bad = ([texture(seed) for seed in seeds] for seeds in (range(40), range(99, 104)))
    for image in bad:
        image[40:52, 40:52] = image.mean()
    settings = {"patch_size": 32, "image_score": "height"}
    plain = Detector("filter_bank", level_border=False, **settings).fit(good)
    level = Detector("filter_bank", **settings).fit(good)
    assert level.levels_[:, 0].max() < 0.8

    def flagged_inside(detector):
        return np.mean([detector.segment(texture(seed))[8:-8, 8:-8].mean() for seed in (70, 71)])

    assert flagged_inside(plain) < 0.001 and 0.005 < flagged_inside(level) < 0.02
    assert all(level.look(image).defect for image in bad)
    assert sum(plain.look(image).defect for image in bad) < 3


def test_a_height_is_that_of_a_smoothed_region():
    rng = np.random.default_rng(0)
    maps = rng.random((20, 64, 64), dtype="float32")
    calibration = Calibration.of(maps, image_score="height")
    assert calibration.unit.startswith("thousandths")
    limit = calibration.pixels.threshold(0.01).value
    speck, spot = np.zeros((2, 64, 64), "float32")
    speck[30, 30], spot[24:40, 24:40] = 1e6, limit
    scores = [calibration.score_regions(one, one >= limit)[1].max() for one in (speck, spot)]
    assert scores[0] < 100 and 950 < scores[1] <= 1000
    assert scores[1] >= calibration.image_threshold().value > scores[0]
    arrays = calibration.thinned().state()
    again = Calibration.from_state(arrays)
    assert again.image_score == "height" and again.score(spot) == calibration.score(spot)
    with pytest.raises(ValueError, match="mean excesses"):
        Calibration.from_state(arrays | {"excess": np.ones(3)})


def test_heights_leave_out_what_does_not_count():
    maps = np.random.default_rng(0).random((6, 64, 64), dtype="float32")
    calibration = Calibration.of(maps, image_score="height")
    map, counted = np.zeros((64, 64), "float32"), np.ones((64, 64), bool)
    map[20:40, :8], counted[20:40, :8] = 1.0, False  # A bright holder, beside
    map[30, 8:11] = 1.0  # a speck.
    flagged = (map >= calibration.pixels.threshold(0.01).value) & counted
    beside = calibration.score_regions(map, flagged)[1].max()
    alone = calibration.score_regions(map, flagged, counted=counted)[1].max()
    assert 0 < alone < 0.5 * beside


def test_a_height_means_the_same_of_blocks():
    map = ndimage.gaussian_filter(np.random.default_rng(1).random((40, 40)), 1).astype("float32")
    calibration = Calibration.of([map], 2, image_score="height")
    large = map.repeat(2, 0).repeat(2, 1)
    limit = calibration.pixels.threshold(0.05).value
    scores = calibration.score_regions(large, large >= limit, 0.05, 2)[1]
    assert scores.max() == calibration.scores(0.05)[0]


def test_saved_levels_are_checked(tmp_path):
    from sadefect.detector.saving import read_file, write_file
    from sadefect.errors import StoreError

    images = [np.random.default_rng(seed).random((40, 40), "float32") for seed in range(6)]
    bank = Detector("filter_bank", patch_size=32).fit(images)
    path = bank.save(tmp_path / "bank.sadefect")
    again = Detector.load(path)
    np.testing.assert_array_equal(again.anomaly_map(images[0]), bank.anomaly_map(images[0]))
    header, arrays = read_file(path)
    for wrong in (np.full((4, 2), 2, "float32"), np.ones((2, 2), "float32")):
        write_file(path, header, arrays | {"levels": wrong})
        with pytest.raises(StoreError, match="levels of the border"):
            Detector.load(path)


@pytest.mark.parametrize("by_height", [True, False])
@pytest.mark.parametrize("limit", [1, 684, 1885, 10_000])
def test_a_histogram_holds_all_scores_on_their_side_of_the_threshold(limit, by_height):
    from sadefect.detector.report import _histogram

    scores = [0, max(1, limit - 1), limit, 3 * limit]
    laid_out = _histogram({"good": scores}, limit, by_height=by_height)
    [(_, count, _, bars)] = laid_out["legend"]
    assert count == 4 and laid_out["top"] >= 1
    ends = [(left, left + width) for left, _, width, _ in bars]
    assert all(29 <= left < right <= 631 for left, right in ends)
    assert all(r <= laid_out["threshold"] + 1 or r > laid_out["threshold"] for _, r in ends)
    sides = {left < laid_out["threshold"] - 1 for left, _ in ends}
    assert sides == ({True, False} if limit > 1 or by_height else {False})
    places = [place for place, _ in laid_out["ticks"]]
    assert places == sorted(places) and 2 <= len(places) <= 10 and places[-1] <= 631
