"""Metrics against scikit-learn and brute force, their laws, and what they refuse."""

import subprocess
import sys

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from sadefect.errors import DataError
from sadefect.metrics import (
    FPRS,
    PixelMetrics,
    _bins,
    _lower_edges,
    aupro,
    auroc,
    per_region_overlap,
    roc_curve,
)
from sadefect.segmentation import threshold_for_fpr

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def pooled(masks, maps):
    return (np.concatenate([np.ravel(one) for one in many]) for many in (masks, maps))


def make(distribution, n_images=4, shape=(96, 80)):
    """Masks with a few boxes and maps that are somewhat larger there."""
    rng = np.random.default_rng(0)
    masks, maps = [], []
    for image in range(n_images):
        mask = np.zeros((shape[0] + image, shape[1] - image), bool)
        for _ in range(3):
            row, column = rng.integers(0, 60, 2)
            height, width = rng.integers(2, 25, 2)
            mask[row : row + height, column : column + width] = True
        normal = rng.standard_normal(mask.shape) + 1.2 * mask
        masks.append(mask)
        maps.append(distribution(normal).astype("float32"))
    return masks, maps


DISTRIBUTIONS = {
    "ssim": lambda normal: 1 - np.tanh(0.5 - normal / 4),
    "concentrated ssim": lambda normal: 0.9 + normal / 50,
    "l2": lambda normal: np.clip(np.exp(2 * normal - 8), 1e-6, 1),
    "negative": lambda normal: -np.exp(-normal),
    "both signs": lambda normal: normal,
    "ties": lambda normal: np.round(normal),
}


@pytest.fixture(params=DISTRIBUTIONS)
def images(request):
    return make(DISTRIBUTIONS[request.param])


def test_auroc_equals_scikit_learn(images):
    expected = sklearn.metrics.roc_auc_score(*pooled(*images))
    assert auroc(*images) == pytest.approx(expected, abs=1e-4)


def test_points_of_the_roc_curve_are_true(images):
    mask, map = pooled(*images)
    fpr, tpr, thresholds = roc_curve(*images)
    assert fpr.shape == tpr.shape == thresholds.shape
    assert thresholds[0] == np.inf and (np.diff(thresholds) < 0).all()
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    for point in np.linspace(0, len(fpr) - 1, 50).astype(int):
        flagged = map >= thresholds[point]
        assert fpr[point] == pytest.approx(flagged[~mask].mean(), abs=1e-12)
        assert tpr[point] == pytest.approx(flagged[mask].mean(), abs=1e-12)


def test_roc_curve_equals_scikit_learn(images):
    fpr, tpr, _ = sklearn.metrics.roc_curve(*pooled(*images))
    ours = roc_curve(*images)
    grid = np.linspace(0.001, 0.999, 500)
    np.testing.assert_allclose(
        np.interp(grid, ours.fpr, ours.tpr), np.interp(grid, fpr, tpr), atol=2e-3
    )


def overlap_curve(masks, maps):
    """Brute force: per threshold, the false positive rate and the share found of each region."""
    mask, map = pooled(masks, maps)
    found = []
    for one, values in zip(masks, maps, strict=True):
        labels, n = ndimage.label(one, np.ones((3, 3)))
        found += [np.sort(values[labels == label]) for label in range(1, n + 1)]
    thresholds = np.unique(map)[::-1]
    free = np.sort(map[~mask])
    fpr = 1 - np.searchsorted(free, thresholds) / len(free)
    shares = [1 - np.searchsorted(region, thresholds) / len(region) for region in found]
    return np.append(0, fpr), np.c_[np.zeros(len(found)), shares]


def test_per_region_overlap_equals_brute_force(images):
    fpr, shares = overlap_curve(*images)
    fprs = [0, 0.013, 0.05, 0.3, 0.77, 1]
    overlap = per_region_overlap(*images, fprs)
    for row, wanted in enumerate(fprs):
        last = np.flatnonzero(fpr <= wanted)[-1]
        after = min(last + 1, len(fpr) - 1)
        step = (wanted - fpr[last]) / (fpr[after] - fpr[last]) if after > last else 0
        expected = shares[:, last] + step * (shares[:, after] - shares[:, last])
        # One pixel of a region is worth 1 / area; a bin rarely holds more than one of them.
        np.testing.assert_allclose(overlap.overlaps[row], expected, atol=0.03)
        assert overlap.overlaps[row].mean() == pytest.approx(expected.mean(), abs=2e-3)
    np.testing.assert_allclose(
        overlap.quantiles, np.quantile(overlap.overlaps, [0.25, 0.5, 0.75], axis=1).T
    )


@pytest.mark.parametrize("limit", [0.01, 0.3, 1])
def test_aupro_equals_brute_force(images, limit):
    fpr, shares = overlap_curve(*images)
    mean = shares.mean(axis=0)
    last = np.flatnonzero(fpr <= limit)[-1]
    area = np.trapezoid(mean[: last + 1], fpr[: last + 1])
    if last + 1 < len(fpr):
        slope = (mean[last + 1] - mean[last]) / (fpr[last + 1] - fpr[last])
        area += (limit - fpr[last]) * (mean[last] + slope * (limit - fpr[last]) / 2)
    assert aupro(*images, limit) == pytest.approx(area / limit, abs=2e-4)


def test_regions_are_8_connected_and_named():
    masks = [np.zeros((6, 6), bool), np.zeros((7, 5), bool), np.zeros((6, 6), bool)]
    masks[0][0, 0] = masks[0][1, 1] = masks[0][4:, 4:] = True
    masks[2][:3] = True
    overlap = per_region_overlap(masks, [mask + 1.0 for mask in masks], [0.0, 0.5])
    np.testing.assert_array_equal(overlap.areas, [2, 4, 18])
    np.testing.assert_array_equal(overlap.images, [0, 0, 2])
    np.testing.assert_array_equal(overlap.overlaps, 1)
    assert overlap.quantiles.shape == (2, 3)


def test_small_regions_weigh_as_much_as_large_ones():
    mask = np.zeros((20, 20), bool)
    mask[:8] = True
    mask[12, 12] = True
    map = np.zeros((20, 20))
    map[:8] = 1  # The small region is missed until everything is flagged.
    assert aupro([mask], [map]) == pytest.approx(0.5 + 0.3 / 4)
    assert auroc([mask], [map]) > 0.99


def test_defect_free_images_count():
    mask = np.zeros((4, 4), bool)
    mask[0] = True
    without = auroc([mask], [mask * 0.5])
    images = [mask, np.zeros((6, 6), bool)], [mask * 0.5, np.ones((6, 6))]
    assert without == 1
    assert auroc(*images) == pytest.approx(12 / 48)
    assert per_region_overlap(*images, [0.75]).overlaps.item() == 1


@pytest.mark.parametrize("value", [-3.0, 0.0, 1e-30, 0.7])
def test_constant_maps_know_nothing(value):
    masks, maps = make(lambda normal: np.full_like(normal, value))
    assert auroc(masks, maps) == 0.5
    assert aupro(masks, maps, limit=0.3) == pytest.approx(0.15)
    np.testing.assert_allclose(
        per_region_overlap(masks, maps, [0.05, 1]).overlaps.T, [[0.05, 1]] * 9
    )


def test_perfect_and_reversed_maps():
    masks, _ = make(np.array)
    assert auroc(masks, masks) == aupro(masks, masks) == 1
    assert auroc(masks, [~mask for mask in masks]) == 0
    assert aupro(masks, [~mask for mask in masks]) == 0


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_laws(data):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=7))
    mask = data.draw(hnp.arrays(bool, shape))
    mask[0, 0], mask[-1, -1] = True, False
    # Multiples of 1/8 are bins of their own, so that nothing is approximate.
    map = data.draw(hnp.arrays(np.float32, shape, elements=st.integers(-16, 16))) / 8
    pixels = PixelMetrics()
    pixels.update(mask, map)
    expected = sklearn.metrics.roc_auc_score(mask.ravel(), map.ravel())
    assert pixels.auroc() == pytest.approx(expected, abs=1e-12)
    assert auroc([mask], [-map]) == pytest.approx(1 - pixels.auroc(), abs=1e-12)
    # One region of the whole mask: AUPRO up to 1 is then the AUROC.
    if ndimage.label(mask, np.ones((3, 3)))[1] == 1:
        assert pixels.aupro(limit=1) == pytest.approx(pixels.auroc(), abs=1e-12)
    for limit in (0.01, 0.3, 1):
        assert 0 <= pixels.aupro(limit) <= 1
    overlaps = pixels.per_region_overlap([0, 0.1, 0.5, 1]).overlaps
    assert (np.diff(overlaps, axis=0) >= -1e-12).all()
    assert overlaps.min() >= 0 and overlaps[-1].min() == overlaps[-1].max() == 1


@given(hnp.arrays(np.float32, st.integers(2, 30), elements=FLOATS))
def test_bins_have_the_order_of_the_numbers(values):
    bins = _bins(values)
    order = np.argsort(values)
    assert (np.diff(bins[order]) >= 0).all()
    edges = _lower_edges(bins)
    assert (edges <= values).all()
    np.testing.assert_array_equal(_bins(edges), bins)
    assert (values - edges <= np.maximum(np.abs(values) / 2**13, 1e-37)).all()


def test_bins_of_extremes():
    largest = np.finfo("float32").max
    values = np.array([-largest, -1, -1e-45, -0.0, 0.0, 1e-45, 1, largest], "float32")
    bins = _bins(values)
    assert bins[3] == bins[4] and (np.diff(bins) >= 0).all()
    assert bins[0] >= 0 and bins[-1] < 1 << 22
    assert _lower_edges(bins)[0] == -largest
    assert auroc([np.array([[0, 1]])], [values[[0, -1]][None]]) == 1


def test_generators_are_taken_once():
    masks, maps = make(DISTRIBUTIONS["ssim"])
    taken = []

    def once(many):
        for number, one in enumerate(many):
            taken.append(number)
            yield one

    assert auroc(once(masks), once(maps)) == auroc(masks, maps)
    assert taken == [0, 0, 1, 1, 2, 2, 3, 3]


def test_images_in_any_order_and_number():
    masks, maps = make(DISTRIBUTIONS["l2"])
    assert auroc(masks[::-1], maps[::-1]) == auroc(masks, maps)
    assert aupro(masks * 2, maps * 2) == pytest.approx(aupro(masks, maps), abs=1e-12)


def test_masks_and_maps_of_other_types():
    masks, maps = make(DISTRIBUTIONS["ssim"])
    expected = auroc(masks, maps)
    assert auroc([mask.astype("uint8") for mask in masks], maps) == expected
    assert auroc([mask.astype(float) for mask in masks], maps) == expected
    assert auroc(masks, [map.astype("float64") for map in maps]) == expected
    assert auroc([mask.T for mask in masks], [map.T for map in maps]) == expected


def test_state_goes_through_a_file(tmp_path):
    masks, maps = make(DISTRIBUTIONS["ssim"])
    whole, first = PixelMetrics(), PixelMetrics()
    for mask, map in zip(masks, maps, strict=True):
        whole.update(mask, map)
    for mask, map in zip(masks[:2], maps[:2], strict=True):
        first.update(mask, map)
    np.savez(tmp_path / "state.npz", **first.state())
    with np.load(tmp_path / "state.npz") as state:
        pixels = PixelMetrics.from_state(state)
    assert pixels.auroc() == first.auroc()
    for mask, map in zip(masks[2:], maps[2:], strict=True):
        pixels.update(mask, map)
    assert pixels.images == 4
    assert (pixels.auroc(), pixels.aupro()) == (whole.auroc(), whole.aupro())
    for name, expected in whole.state().items():
        np.testing.assert_array_equal(pixels.state()[name], expected)
    for ours, expected in zip(
        pixels.per_region_overlap(), whole.per_region_overlap(FPRS), strict=True
    ):
        np.testing.assert_array_equal(ours, expected)
    assert sum(one.nbytes for one in whole.state().values()) < 16 * sum(map.size for map in maps)


def test_state_of_nothing_and_of_defect_free_images():
    empty = PixelMetrics.from_state(PixelMetrics().state())
    empty.update(np.zeros((2, 2)), np.zeros((2, 2)))
    again = PixelMetrics.from_state(empty.state())
    again.update(np.ones((1, 2)), np.ones((1, 2)))
    assert again.auroc() == 1 and again.per_region_overlap([0]).images.tolist() == [1]


def test_state_of_other_bins_is_refused():
    state = PixelMetrics().state()
    with pytest.raises(DataError, match="12 bits"):
        PixelMetrics.from_state(state | {"bits": np.array(12)})
    del state["bins"]
    with pytest.raises(DataError, match="none named 'bins'"):
        PixelMetrics.from_state(state)


@pytest.mark.parametrize(
    "changed",
    [
        lambda state: state | {"bins": state["bins"][::-1]},
        lambda state: state | {"bins": np.full_like(state["bins"], state["bins"][0])},
        lambda state: state | {"bins": state["bins"] + np.uint32(1 << 31)},
        lambda state: state | {"bins": state["bins"] + 0.5},
        lambda state: state | {"counts": -state["counts"]},
        lambda state: state | {"counts": state["counts"][:1]},
        lambda state: state | {"region_bins": state["region_bins"] + np.uint32(1 << 29)},
    ],
)
def test_a_state_that_was_changed_is_refused(changed):
    pixels = PixelMetrics()
    pixels.update(np.eye(8, dtype=bool), np.random.default_rng(0).random((8, 8), dtype="float32"))
    state = pixels.state()
    assert PixelMetrics.from_state(state).auroc() == pixels.auroc()
    with pytest.raises(DataError, match="count the images again"):
        PixelMetrics.from_state(changed(state))


def test_a_state_is_a_copy():
    pixels = PixelMetrics()
    pixels.update(np.zeros((8, 8), bool), np.random.default_rng(0).random((8, 8), dtype="float32"))
    expected = pixels.threshold(0.1)
    for array in pixels.state().values():
        array[...] = 0
    assert pixels.threshold(0.1) == expected


MASK, MAP = np.eye(4, dtype=bool), np.eye(4, dtype="float32")


@pytest.mark.parametrize("metric", [auroc, roc_curve, per_region_overlap, aupro])
@pytest.mark.parametrize(
    ("masks", "maps", "message"),
    [
        ([], [], "one defect pixel in the masks; got none in 0 images"),
        ([MASK & False], [MAP], "at least one defect pixel"),
        ([MASK | True], [MAP], "at least one defect-free pixel"),
        ([MASK], [MAP[:3]], r"image 0: .* got \(4, 4\) and \(3, 4\)"),
        ([MASK, MASK], [MAP, MAP * np.nan], "image 1: .* 16 of 16 pixels NaN"),
        ([MASK], [MAP.astype(float) * 1e300], "4 of 16 pixels NaN or infinite"),
        ([MASK * np.uint8(255)], [MAP], "from 0 to 255; pass mask > 0"),
        ([MASK * 0.5], [MAP], "from 0.0 to 0.5"),
        ([MASK * np.nan], [MAP], "from nan to nan"),
        ([MASK, MASK], [MAP], "got fewer maps, 1"),
        ([MASK], [MAP, MAP], "got fewer masks, 1"),
        (MASK, MAP, "a list where images are meant"),
        ([MASK[..., None]], [MAP], r"\(4, 4, 1\)"),
        ([MASK[:0]], [MAP[:0]], r"\(0, 4\)"),
    ],
)
def test_refuses_what_it_cannot_measure(metric, masks, maps, message):
    with pytest.raises(DataError, match=message):
        metric(masks, maps)


def test_a_refused_image_is_not_counted():
    pixels = PixelMetrics()
    pixels.update(MASK, MAP)
    with pytest.raises(DataError):
        pixels.update(MASK, MAP * np.nan)
    assert pixels.images == 1 and pixels.auroc() == 1


@pytest.mark.parametrize("limit", [0, -0.1, 1.1, np.nan])
def test_refuses_other_limits(limit):
    with pytest.raises(ValueError, match="limit must be"):
        aupro([MASK], [MAP], limit)


@pytest.mark.parametrize("fprs", [[-0.1], [0.1, 1.1], np.nan])
def test_refuses_other_rates(fprs):
    with pytest.raises(ValueError, match="fprs must be"):
        per_region_overlap([MASK], [MAP], fprs)


def test_keras_is_not_imported():
    code = (
        "import sys, sadefect.metrics, sadefect.segmentation;"
        "sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_thresholds_of_bins_flag_as_many_pixels_as_exact_ones():
    map = np.arange(100, dtype="float32").reshape(10, 10)
    counted = PixelMetrics()
    counted.update(np.zeros(map.shape, bool), map)
    for percent in range(101):
        exact = threshold_for_fpr([map], percent / 100).value
        binned = counted.threshold(percent / 100).value
        assert (map >= binned).sum() == (map >= exact).sum(), percent
