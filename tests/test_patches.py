"""Crops, windows and their average."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sadefect import DataError, OverlapAverage, RandomPatches, window_starts, windows
from sadefect.patches import SYMMETRIES


def numbered(height, width):
    return np.arange(height * width, dtype="float32").reshape(height, width)


def test_crops_are_crops_and_cover_all_images():
    images = [numbered(40, 50), 10_000 + numbered(36, 90)]
    patches = RandomPatches(images, 32, count=500, seed=3)
    batch = patches.batch(0, 500)
    for patch in batch[..., 0]:
        image = images[int(patch[0, 0] >= 10_000)]
        top, left = np.argwhere(image == patch[0, 0])[0]
        np.testing.assert_array_equal(patch, image[top : top + 32, left : left + 32])
    share = np.mean(batch[:, 0, 0, 0] >= 10_000)
    assert share == pytest.approx(5 * 59 / (5 * 59 + 9 * 19), abs=0.07)


def test_each_epoch_sees_each_patch_once_in_another_order():
    patches = RandomPatches([numbered(64, 64)], 32, count=100)
    first, second = patches.order(0, 100), patches.order(100, 100)
    assert sorted(first) == sorted(second) == list(range(100))
    assert not np.array_equal(first, second)


@given(st.integers(0, 300), st.integers(1, 130), st.integers(0, 3))
@settings(max_examples=30, deadline=None)
def test_a_batch_depends_on_the_coordinate_alone(start, size, seed):
    patches = RandomPatches([numbered(40, 40)], 32, count=100, seed=seed)
    one_by_one = [int(patches.order(index, 1)[0]) for index in range(start, start + size)]
    assert patches.order(start, size).tolist() == one_by_one


def test_seeds_differ_and_repeat():
    first, again, other = (RandomPatches([numbered(99, 99)], 32, 50, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.batch(0, 9), again.batch(0, 9))
    assert not np.array_equal(first.batch(0, 9), other.batch(0, 9))


@given(st.integers(32, 200), st.integers(1, 32))
@settings(max_examples=50, deadline=None)
def test_windows_reach_every_pixel_and_end_at_the_border(length, stride):
    starts = window_starts(length, 32, stride)
    assert starts[0] == 0 and starts[-1] == length - 32
    assert (np.diff(starts) > 0).all() and (np.diff(starts) <= stride).all()


def test_the_papers_windows():
    assert len(windows(np.zeros((696, 1024), "float32"))[1]) == 620
    assert window_starts(256)[-1] == 128
    with pytest.raises(DataError, match="at least patch_size=128 pixels; got 100"):
        window_starts(100)


@given(st.integers(32, 70), st.integers(32, 70), st.integers(1, 32))
@settings(max_examples=30, deadline=None)
def test_averaging_windows_of_an_image_gives_the_image(height, width, stride):
    image = np.random.default_rng(0).random((height, width), dtype="float32")
    views, corners = windows(image, 32, stride)
    average = OverlapAverage(image.shape)
    average.add(corners, views[corners[:, 0], corners[:, 1]])
    np.testing.assert_allclose(average.mean(), image, rtol=1e-5)


def test_views_copy_nothing():
    image = np.zeros((64, 64), "float32")
    assert np.shares_memory(windows(image, 32)[0], image)


@pytest.mark.parametrize("shape", [(31, 64), (64, 31)])
def test_an_image_smaller_than_a_patch_is_refused(shape):
    image = np.zeros(shape, "float32")
    for use in (lambda: RandomPatches([image], 32), lambda: windows(image, 32)):
        with pytest.raises(DataError, match="at least 32x32"):
            use()


def test_no_images_and_gaps_between_windows_are_refused():
    with pytest.raises(DataError, match="at least one"):
        RandomPatches([], 32)
    with pytest.raises(ValueError, match="stride"):
        window_starts(100, 32, 33)


@pytest.mark.parametrize("crops", ["fixed", "fresh"])
@pytest.mark.parametrize("symmetries", SYMMETRIES)
def test_augmented_patches_are_functions_of_their_coordinate(crops, symmetries):
    images = [np.random.default_rng(0).random((50, 70), dtype="float32")]
    patches = RandomPatches(images, 32, count=40, seed=3, crops=crops, symmetries=symmetries)
    whole = patches.batch(1_000, 60)
    np.testing.assert_array_equal(whole[:25], patches.batch(1_000, 25))
    np.testing.assert_array_equal(whole[25:], patches.batch(1_025, 35))
    assert not np.array_equal(whole, patches.batch(1_060, 60))


@pytest.mark.parametrize(("symmetries", "count"), [(s, len(g)) for s, g in SYMMETRIES.items()])
def test_patches_appear_in_each_symmetry_and_no_other(symmetries, count):
    image = np.random.default_rng(0).random((32, 32), dtype="float32")
    patches = RandomPatches([image], 32, crops="fresh", symmetries=symmetries)
    seen = {patch.tobytes() for patch in patches.batch(0, 200)}
    # What each name promises, said without the table that it is made from.
    allowed = {
        "none": [image],
        "half_turns": [image, image[::-1, ::-1]],
        "mirrors": [image, image[::-1, ::-1], image[::-1], image[:, ::-1]],
        "turns": [image, image[::-1, ::-1], image.T[::-1], image.T[:, ::-1]],
    }
    allowed["all"] = [*allowed["turns"], image[::-1], image[:, ::-1], image.T, image.T[::-1, ::-1]]
    assert seen == {np.ascontiguousarray(one).tobytes() for one in allowed[symmetries]}
    assert len(seen) == count


def test_fresh_crops_cover_all_images_in_proportion():
    images = [np.zeros((40, 50), "float32"), np.ones((60, 90), "float32")]
    batch = RandomPatches(images, 32, crops="fresh").batch(0, 4_000)
    share = 29 * 59 / (29 * 59 + 9 * 19)
    assert batch.mean() == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("option", [{"crops": "new"}, {"symmetries": "mirror"}])
def test_an_unknown_augmentation_is_refused(option):
    with pytest.raises(ValueError, match="must be one of"):
        RandomPatches([np.zeros((40, 40), "float32")], 32, **option)


@pytest.mark.parametrize("symmetries", sorted(SYMMETRIES))
@pytest.mark.parametrize("crops", ["fixed", "fresh"])
def test_where_a_batch_reads_its_pixels(crops, symmetries):
    rng = np.random.default_rng(0)
    images = [rng.random(shape, dtype="float32") for shape in ((40, 50), (45, 33))]
    patches = RandomPatches(images, 32, 50, crops=crops, symmetries=symmetries)
    first, down, right = (part[:, None, None] for part in patches.reads(7, 60))
    side = np.arange(32)
    cut = patches.pixels()[first + down * side[:, None] + right * side]
    np.testing.assert_array_equal(cut, patches.batch(7, 60)[..., 0])
