"""Opening against brute force and its laws, thresholds, regions, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from sadefect.errors import DataError
from sadefect.segmentation import disc, opening, regions, segment, threshold_for_fpr

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14)
MASKS = hnp.arrays(bool, SHAPES)
# Few values, so that neighbours are often equal.
MAPS = hnp.arrays(np.float32, SHAPES, elements=st.sampled_from([-1.5, 0.0, 0.25, 0.5, 2.0]))
DIAMETERS = st.integers(0, 7)


def brute_force(mask, diameter):
    """The union of all discs with the centre in the image and their part of it in the mask."""
    element = disc(diameter)
    padded = np.pad(mask, diameter, constant_values=True)
    result = np.zeros_like(padded)
    for row, column in np.ndindex(*np.subtract(padded.shape, diameter - 1)):
        centre = np.array([row, column]) - diameter + (diameter - 1) / 2
        if (centre >= -0.5).all() and (centre <= np.array(mask.shape) - 0.5).all():
            place = np.s_[row : row + diameter, column : column + diameter]
            if padded[place][element].all():
                result[place] |= element
    return result[diameter:-diameter, diameter:-diameter]


def test_disc_of_diameter_4_is_a_square_without_its_corners():
    expected = np.ones((4, 4), bool)
    expected[[0, 0, -1, -1], [0, -1, 0, -1]] = False
    np.testing.assert_array_equal(disc(4), expected)
    assert disc(4).sum() == 12


@pytest.mark.parametrize("diameter", range(1, 12))
def test_disc_is_round(diameter):
    element = disc(diameter)
    assert element.shape == (diameter, diameter)
    np.testing.assert_array_equal(element, element.T)
    np.testing.assert_array_equal(element, element[::-1])
    assert element.any(axis=0).all()
    assert element.sum() == pytest.approx(np.pi / 4 * diameter**2, rel=0.28)


@settings(max_examples=60, deadline=None)
@given(MASKS, st.integers(1, 7))
def test_opening_is_the_union_of_discs_that_fit(mask, diameter):
    np.testing.assert_array_equal(opening(mask, diameter), brute_force(mask, diameter))


@settings(max_examples=60, deadline=None)
@given(MAPS, DIAMETERS)
def test_opening_a_map_is_opening_at_every_threshold(map, diameter):
    opened = opening(map, diameter)
    assert opened.dtype == map.dtype
    for threshold in np.unique(map):
        np.testing.assert_array_equal(opened >= threshold, opening(map >= threshold, diameter))


@settings(max_examples=60, deadline=None)
@given(st.one_of(MASKS, MAPS), DIAMETERS)
def test_opening_adds_nothing_and_is_done_once(array, diameter):
    opened = opening(array, diameter)
    assert opened.shape == array.shape and opened.dtype == array.dtype
    assert (opened <= array).all()
    np.testing.assert_array_equal(opening(opened, diameter), opened)


@settings(max_examples=60, deadline=None)
@given(st.one_of(MASKS, MAPS), DIAMETERS)
def test_opening_favours_no_side(array, diameter):
    opened = opening(array, diameter)
    np.testing.assert_array_equal(opening(array[::-1], diameter), opened[::-1])
    np.testing.assert_array_equal(opening(array.T, diameter), opened.T)


@settings(max_examples=40, deadline=None)
@given(MASKS, MASKS, DIAMETERS)
def test_opening_is_increasing(first, second, diameter):
    rows, columns = np.minimum(first.shape, second.shape)
    larger = first[:rows, :columns]
    smaller = larger & second[:rows, :columns]
    assert (opening(smaller, diameter) <= opening(larger, diameter)).all()


@pytest.mark.parametrize("diameter", [3, 4, 5, 9, 10])
def test_equals_scipy_inside(diameter):
    map = np.random.default_rng(0).random((60, 50), dtype="float32")
    expected = ndimage.grey_opening(map, footprint=disc(diameter))
    inside = np.s_[diameter:-diameter, diameter:-diameter]
    np.testing.assert_array_equal(opening(map, diameter)[inside], expected[inside])


@pytest.mark.parametrize("diameter", [0, 1, None])
def test_nothing_to_open_gives_a_copy(diameter):
    map = np.random.default_rng(0).random((5, 6))
    opened = opening(map, diameter)
    np.testing.assert_array_equal(opened, map)
    assert not np.shares_memory(opened, map)


def test_a_disc_survives_and_a_line_does_not():
    mask = np.zeros((30, 30), bool)
    mask[5:9, 5:9] = disc(4)
    mask[15:18, 2:28] = True
    opened = opening(mask)
    assert opened[:12].sum() == 12 and not opened[12:].any()


def test_what_a_border_cuts_survives():
    # Half a disc is there, and outside pixels do not count against it.
    mask = np.zeros((20, 20), bool)
    mask[:2, 6:10] = True
    mask[1, [6, 9]] = True
    assert opening(mask)[:2].sum() >= 6
    np.testing.assert_array_equal(opening(np.ones((3, 20), bool), 8), True)


@pytest.mark.parametrize("diameter", [-1, 2.5])
def test_refuses_other_diameters(diameter):
    with pytest.raises(ValueError, match="whole number"):
        opening(np.zeros((5, 5)), diameter)
    with pytest.raises(ValueError):
        disc(diameter)


def test_a_disc_has_a_pixel():
    with pytest.raises(ValueError, match="at least 1"):
        disc(0)


@settings(max_examples=100, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=8),
        elements=st.one_of(
            st.sampled_from([-1.0, 0.0, 1.0]), st.floats(-1e6, 1e6, width=32, allow_nan=False)
        ),
    ),
    st.floats(0, 1),
)
def test_threshold_is_the_smallest_that_will_do(map, fpr):
    threshold = threshold_for_fpr([map], fpr)
    assert np.mean(map >= threshold.value) <= fpr
    assert threshold[1:] == (fpr, 1, map.size)
    below = np.nextafter(np.float32(threshold.value), np.float32(-np.inf))
    if fpr < 1:
        assert np.mean(map >= below) > fpr
    else:
        assert threshold.value == map.min()


def test_threshold_pools_images_of_any_size_once():
    rng = np.random.default_rng(0)
    maps = [rng.random((40, 30), dtype="float32"), 2 * rng.random((20, 35), dtype="float32")]
    threshold = threshold_for_fpr((map for map in maps), 0.05)
    flagged = sum(int((map >= threshold.value).sum()) for map in maps)
    assert flagged == int(0.05 * 1900)
    assert threshold.images == 2 and threshold.pixels == 1900


def test_threshold_allows_exactly_the_share_asked_for():
    # 0.29 * 100 is 28.999999999999996.
    map = np.arange(100, dtype="float32").reshape(10, 10)
    assert (map >= threshold_for_fpr([map], 0.29).value).sum() == 29


def test_threshold_leaves_the_maps_alone():
    map = np.random.default_rng(0).random((9, 9), dtype="float32")
    before = map.copy()
    threshold_for_fpr([map], 0.1)
    np.testing.assert_array_equal(map, before)


@pytest.mark.parametrize(
    ("maps", "fpr", "error", "message"),
    [
        ([], 0.1, DataError, "got none"),
        ([np.full((2, 2), np.nan)], 0.1, DataError, "4 of 4 pixels NaN"),
        ([np.full((2, 2), np.finfo("float32").max)], 0.1, DataError, "scale the maps"),
        (np.zeros((4, 4)), 0.1, DataError, "a list"),
        ([np.zeros((2, 2))], 1.5, ValueError, "received 1.5"),
        ([np.zeros((2, 2))], np.nan, ValueError, "received nan"),
    ],
)
def test_threshold_refuses(maps, fpr, error, message):
    with pytest.raises(error, match=message):
        threshold_for_fpr(maps, fpr)


@settings(max_examples=30, deadline=None)
@given(MAPS, st.sampled_from([0.0, 0.3, 0.5]))
def test_segment_is_the_opened_map_at_the_threshold(map, threshold):
    mask = segment(map, threshold)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, segment(opening(map), threshold, 0))


def test_segment_takes_a_threshold_as_it_is():
    map = np.random.default_rng(0).random((30, 30), dtype="float32")
    threshold = threshold_for_fpr([map], 0.1)
    mask = segment(map, threshold, opening_diameter=None)
    assert mask.mean() == pytest.approx(0.1)
    np.testing.assert_array_equal(mask, segment(map.astype("float64"), threshold, None))


@pytest.mark.parametrize(
    ("map", "message"),
    [
        (np.full((3, 3), np.inf), "9 of 9"),
        (np.full((3, 3), 1e300), "9 of 9"),
        (np.zeros((3, 3, 1)), r"\(3, 3, 1\)"),
        (np.zeros((0, 3)), r"\(0, 3\)"),
        (np.zeros((3, 3), complex), "complex"),
        (np.array([["a"]]), "<U1"),
    ],
)
def test_segment_refuses_maps(map, message):
    with pytest.raises(DataError, match=message):
        segment(map, 0.5)


def test_segment_refuses_no_threshold():
    with pytest.raises(ValueError, match="NaN"):
        segment(np.zeros((3, 3)), np.nan)


def test_opening_refuses_nan():
    with pytest.raises(DataError, match="1 of 9"):
        opening(np.where(np.arange(9).reshape(3, 3) == 4, np.nan, 0.0))


@settings(max_examples=60, deadline=None)
@given(MASKS)
def test_regions_equal_scipy(mask):
    labels, number = ndimage.label(mask, np.ones((3, 3)))
    found = regions(mask)
    assert [one.label for one in found] == list(range(1, number + 1))
    for one, (rows, columns) in zip(
        sorted(found, key=lambda one: one.box),
        sorted(
            ndimage.find_objects(labels),
            key=lambda box: (box[0].start, box[1].start, box[0].stop, box[1].stop),
        ),
        strict=True,
    ):
        assert one.box == (rows.start, columns.start, rows.stop, columns.stop)
    assert sum(one.area for one in found) == mask.sum()


def test_regions_measure_what_they_say():
    mask = np.zeros((10, 12), int)
    mask[2:5, 3:9] = 1
    mask[5, 9] = 1  # Touches by a corner.
    mask[9, 0] = 1
    large, small = regions(mask)
    assert (large.area, large.box) == (19, (2, 3, 6, 10))
    np.testing.assert_allclose(large.centroid, np.argwhere(mask[:9]).mean(axis=0))
    assert small == (2, 1, (9, 0, 10, 1), (9.0, 0.0))
    assert regions(np.zeros((4, 4), bool)) == []


def test_regions_refuse_gray_masks():
    with pytest.raises(DataError, match="from 0 to 255; pass mask > 0"):
        regions(np.array([[0, 255]], "uint8"))
