"""Detectors of one's own images: what is learnt, said, saved and refused."""

import gc
import json
import re

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, special

from sadefect import DataError, Detector, StoreError, anomaly_map, opening
from sadefect.datasets.images import as_gray
from sadefect.detector import saving as detector_files
from sadefect.detector.conformal import (
    ImageThreshold,
    conformal_threshold,
    expected_fpr,
    held_out_count,
)
from sadefect.detector.inputs import Downscaled, named_images
from sadefect.detector.stack import stacked
from sadefect.detector.tiles import tiles
from sadefect.segmentation import threshold_for_fpr

PAPER = {
    "average": "reconstructions", "frame": 0, "smoothing": 0.0, "opening": 4, "margin": 0,
    "crops": "fixed", "symmetries": "none", "image_score": "area", "level_border": False,
}  # fmt: skip
SMALL = {"latent_dim": 8, "patch_size": 32, "window_size": 7, "patches": 9_600} | PAPER

pytestmark = pytest.mark.usefixtures("small_networks")

HELD = range(8, 12)  # Of a dozen textures the last third.


def texture(seed=0, shape=(70, 90)):
    rows, columns = np.mgrid[: shape[0], : shape[1]] / 3
    noise = np.random.default_rng(seed).normal(0, 0.02, shape)
    image = 0.5 + 0.4 * np.sin(rows + seed) * np.sin(columns + seed) + noise
    return np.clip(image, 0, 1).astype("float32")


def broken(seed=0, shape=(70, 90)):
    image = texture(seed, shape)
    image[20:36, 40:60] = 0.5
    return image


@pytest.fixture(scope="module")
def detector(store):
    return Detector(**SMALL).fit([texture(seed) for seed in range(12)])


@pytest.fixture(scope="module")
def saved(detector, tmp_path_factory):
    return detector.save(tmp_path_factory.mktemp("saved") / "one.sadefect")


def write_set(folder, mask=True):
    kinds = {
        "train/good": [texture(seed) for seed in range(3)],
        "test/good": [texture(20)],
        "test/cut": [broken(21)],
    }
    for name, images in kinds.items():
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(images):
            Image.fromarray(np.uint8(image * 255)).save(folder / name / f"{number}.png")
    if mask:
        (folder / "ground_truth/cut").mkdir(parents=True)
        drawn = np.zeros((70, 90), "uint8")
        drawn[20:36, 40:60] = 255
        Image.fromarray(drawn).save(folder / "ground_truth/cut/0_mask.png")
    return folder


def test_a_defect_scores_higher_and_is_found(detector):
    assert detector.score(broken(30)) > max(detector.score(texture(seed)) for seed in (30, 31))
    assert detector.look(broken(30)).defect
    mask = detector.segment(broken(30), fpr=0.05)
    assert mask[20:36, 40:60].mean() > 2 * mask.mean()


def test_repr_shows_every_setting_and_fit_returns_itself(detector):
    text = repr(Detector(**SMALL))
    assert all(f"{name}={value!r}" in text for name, value in SMALL.items())
    assert isinstance(detector, Detector) and eval(text).get_params() == detector.get_params()


def test_the_map_is_that_of_the_module(detector):
    image = texture(40)
    residual = anomaly_map(detector.model_, image, "ssim", window_size=7).residual
    np.testing.assert_array_equal(detector.anomaly_map(image), opening(residual))


@pytest.mark.parametrize("average", ["reconstructions", "maps"])
@pytest.mark.parametrize("shape", [(230, 301), (32, 400), (200, 32)])
def test_tiles_give_the_map_of_the_whole(detector, average, shape, monkeypatch):
    model, detector = detector.model_, Detector(**SMALL | {"average": average}, stride=13)
    detector.model_ = model
    image = texture(3, shape)
    whole, reconstruction = detector.anomaly_map(image), detector.reconstruct(image)
    monkeypatch.setattr("sadefect.detector.tiles.TILE", 60)
    np.testing.assert_allclose(detector.anomaly_map(image), whole, atol=2e-5)
    np.testing.assert_allclose(detector.reconstruct(image), reconstruction, atol=2e-6)


def test_tiles_cover_every_pixel_once():
    count = np.zeros((333, 91), int)
    for read, keep, place in tiles(count.shape, 32, 30, 9, tile=50):
        count[place] += 1
        assert np.empty(count.shape)[read][keep].shape == count[place].shape
    assert (count == 1).all()


def test_every_kind_of_image_gives_the_same_map(detector, tmp_path):
    eight = np.uint8(texture(5) * 255)
    Image.fromarray(eight).save(tmp_path / "gray.png")
    expected = detector.anomaly_map(eight / np.float32(255))
    for image in (
        eight,
        np.repeat(eight[..., None], 3, axis=-1),
        eight.astype("uint16") * 257,
        tmp_path / "gray.png",
        str(tmp_path / "gray.png"),
    ):
        np.testing.assert_allclose(detector.anomaly_map(image), expected, atol=1e-5)


def test_shrinking_keeps_the_images_size(store):
    images = [np.repeat(np.repeat(texture(seed), 2, 0), 2, 1)[:139] for seed in range(4)]
    quick = SMALL | {"patches": 320}
    plain = Detector(**quick).fit([image[:138:2, ::2] for image in images])
    shrunk = Detector(**quick, shrink=2).fit(images)
    found = shrunk.anomaly_map(images[0])
    assert found.shape == (139, 180)
    np.testing.assert_allclose(
        found[:138:2, ::2], plain.anomaly_map(images[0][:138:2, ::2]), atol=1e-5
    )
    np.testing.assert_array_equal(found[138], found[137])
    # The held-out image, of which the thresholds are, is just not a defect.
    seen, limit = shrunk.look(images[-1]), shrunk.image_threshold()
    assert not seen.defect and seen.score == limit.value - 1 and seen.score % 4 == 0
    # A row that is left over at the border belongs to no block, and counts for none.
    at_the_border = np.zeros((139, 180), "float32")
    at_the_border[136:] = found.max() * 9
    assert shrunk.judge(images[0], at_the_border).score == 2 * 180


def test_a_part_of_a_downscaled_image_is_that_of_the_whole():
    pixels = np.random.default_rng(0).integers(256, size=(50, 71, 3), dtype="uint8")
    image = Downscaled(pixels, 3, 8)
    blocks = as_gray(pixels)[:48, :69].reshape(16, 3, 23, 3).mean(axis=(1, 3))
    assert image.shape == blocks.shape
    np.testing.assert_allclose(image[2:9, 5:23], blocks[2:9, 5:23], atol=1e-6)


def test_a_folder_a_generator_and_arrays_train_the_same(store, tmp_path):
    write_set(tmp_path / "set", mask=False)
    arrays = [
        np.asarray(Image.open(path)) for path in sorted((tmp_path / "set/train/good").iterdir())
    ]
    found = [
        Detector(**SMALL | {"patches": 32}).fit(images)
        for images in (
            tmp_path / "set",
            tmp_path / "set/train/good",
            iter(arrays),
            np.stack(arrays),
        )
    ]
    assert len({one.provenance_["data"] for one in found}) == 1
    assert len({one.score(arrays[0]) for one in found}) == 1


def test_thresholds_are_those_of_the_maps_and_say_what_they_rest_on(detector):
    maps = [detector.anomaly_map(texture(seed)) for seed in HELD]
    for fpr in (0, 0.01, 0.3, 1):
        exact, found = threshold_for_fpr(maps, fpr), detector.threshold(fpr)
        assert found.value == pytest.approx(exact.value, rel=3e-4)
        assert (found.images, found.pixels) == (exact.images, exact.pixels) == (4, 4 * 70 * 90)
        assert (np.stack(maps) >= found.value).mean() <= fpr


def test_the_threshold_of_images_is_that_of_regions_of_held_out_images(detector):
    for fpr in (0.01, 0.1):
        areas = []
        for seed in HELD:
            map = detector.anomaly_map(texture(seed))
            labels, count = ndimage.label(map >= detector.threshold(fpr).value, np.ones((3, 3)))
            areas.append(max((np.sum(labels == one) for one in range(1, count + 1)), default=0))
            assert detector.score(texture(seed), fpr) == areas[-1]
        found = detector.image_threshold(fpr=fpr)
        assert (found.value, found.images, found.flagged) == (max(areas) + 1, 4, 0)
    assert not found.enough and found.expected == 0.2 and "it takes 19" in found.sentence()
    # In between, the regions of a larger share: never more is flagged than allowed.
    assert detector.image_threshold(fpr=0.07).value == detector.image_threshold(fpr=0.1).value


@pytest.mark.parametrize("fpr", [0.01, 0.02, 0.05, 0.1, 0.3])
def test_what_it_takes_is_enough(fpr):
    threshold = ImageThreshold(9, fpr, 0, 1)
    held, good = map(int, re.search(r"takes (\d+) .* of (\d+) good", threshold.sentence()).groups())
    assert held_out_count(good) >= held and expected_fpr(held, fpr) <= fpr + 1e-9


@pytest.mark.parametrize(("flagged", "images"), [(0, 1), (1, 1), (0, 19), (1, 40), (10, 5000)])
def test_the_bound_is_that_of_clopper_and_pearson(flagged, images):
    expected = special.betaincinv(flagged + 1, images - flagged, 0.95) if flagged < images else 1
    assert ImageThreshold(9, 0.05, flagged, images).bound == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("image_fpr", [0, 0.03, 0.05, 0.1, 0.5, 0.9, 1])
def test_the_conformal_threshold_keeps_its_promise_over_every_image_left_out(image_fpr):
    scores = np.random.default_rng(0).integers(30, size=40)  # With ties.
    rejected = [
        score >= conformal_threshold(np.delete(scores, number), image_fpr)
        for number, score in enumerate(scores)
    ]
    assert np.mean(rejected) <= max(image_fpr, 1 / 40)


def test_one_noisy_pixel_makes_no_defect_and_a_faint_region_does(detector):
    map = detector.anomaly_map(texture(11))
    assert not detector.judge(texture(11), map).defect
    low, side = detector.threshold().value, int(detector.image_threshold().value ** 0.5) + 1
    noisy, faint = map.copy(), map.copy()
    noisy[35, 45] = 10 * map.max()
    faint[30 : 30 + side, 40 : 40 + side] = low
    assert not detector.judge(texture(11), noisy).defect
    found = detector.judge(texture(11), faint)
    assert found.defect and found.mask[30 : 30 + side, 40 : 40 + side].all()


def test_verdict_and_mask_agree(detector):
    images = [texture(11), *(broken(seed) for seed in range(50, 55))]
    findings = list(detector.predict(images))
    assert [one.defect for one in findings] == [bool(one.mask.any()) for one in findings]
    assert not findings[0].defect and any(one.defect for one in findings[1:])
    row = findings[1].row()
    assert json.loads(json.dumps(row))["image"] == "image 1"


def test_a_larger_budget_continues(store, monkeypatch, tmp_path):
    images, small = [texture(seed) for seed in range(60, 63)], SMALL | {"patches": 160}
    Detector(**small).fit(images)
    resumed = Detector(**small | {"patches": 320}).fit(images)
    monkeypatch.setenv("SADEFECT_CACHE", str(tmp_path))
    straight = Detector(**small | {"patches": 320}).fit(images)
    for one, other in zip(resumed.model_.weights, straight.model_.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({}, {"latent_dim": 100}, True),
        ({}, {"stride": 10, "opening": 0, "average": "maps", "patches": 5}, True),
        ({"method": "l2"}, {"method": "l2", "window_size": 7}, True),
        ({}, {"window_size": 7}, False),
        ({}, {"shrink": 2}, False),
        ({}, {"schedule": "small"}, False),
        ({}, {"seed": 1}, False),
    ],
)
def test_a_training_is_known_by_what_settings_come_to(one, other, same):
    first, second = (Detector(**each)._training_settings("data") for each in (one, other))
    assert (first == second) is same
    assert first["data"] == "data" and Detector()._training_settings("others") != first
    assert json.loads(json.dumps(first)) == first


def test_evaluation(detector, tmp_path):
    seen = []
    metrics, curves = detector.evaluate(
        write_set(tmp_path), show=lambda found, sample: seen.append((found.name, sample.kind))
    )
    assert seen == [("cut/0", "cut"), ("good/0", "good")]
    assert 0.6 < metrics["auroc"] <= 1 and metrics["image_auroc"] == 1
    assert metrics["verdicts"]["cut"]["images"] == 1 and curves["tpr"][-1] == 1
    with pytest.raises(DataError, match="test images with masks"):
        detector.evaluate(tmp_path / "train/good")


def test_an_evaluation_goes_on_from_what_it_remembers(detector, tmp_path):
    data, remembered = write_set(tmp_path / "set"), tmp_path / "counts.npz"
    expected, curves = detector.evaluate(data)

    def stops(found, sample):
        if sample.kind == "good":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        detector.evaluate(data, show=stops, resume=remembered)
    seen = []
    again, other = detector.evaluate(
        data, show=lambda found, sample: seen.append(found is None), resume=remembered
    )
    assert seen == [True, False] and again == expected
    for name in curves:
        np.testing.assert_array_equal(curves[name], other[name])
    remembered.write_bytes(b"damaged")
    assert detector.evaluate(data, resume=remembered)[0] == expected


# Files


def test_a_saved_detector_says_the_same(detector, saved):
    again = Detector.load(saved)
    assert again.get_params() == detector.get_params()
    assert again.provenance_ == detector.provenance_
    np.testing.assert_array_equal(again.anomaly_map(broken(1)), detector.anomaly_map(broken(1)))
    assert again.threshold(0.02) == detector.threshold(0.02)
    assert again.image_threshold(0.2) == detector.image_threshold(0.2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 6, "version": "9.9"}, "format 6, of sadefect 9.9; upgrade"),
        ({"format": 1}, "format 1, whose verdicts .* is in the store"),
        ({"settings": {"hue": True}}, "unexpected keyword argument 'hue'"),
        ({"settings": {"latent_dim": 10**9}}, "latent_dim 1000000000"),
        ({"settings": {"patch_size": "__import__('os')"}}, "patch_size must be"),
        ({"settings": []}, "does not fit together"),
        ({"settings": None}, "does not fit together"),
    ],
)
def test_what_does_not_fit_is_refused(saved, tmp_path, change, message):
    header, arrays = detector_files.read_file(saved)
    path = tmp_path / "changed.sadefect"
    if isinstance(change.get("settings"), dict):
        change = {"settings": header["settings"] | change["settings"]}
    detector_files.write_file(path, header | change, arrays)
    with pytest.raises(StoreError, match=message):
        Detector.load(path)


@pytest.mark.parametrize("name", ["weights.003", "pixels.counts", "areas", "rates"])
def test_arrays_that_do_not_fit_are_refused(saved, tmp_path, name):
    header, arrays = detector_files.read_file(saved)
    path = tmp_path / "changed.sadefect"
    for other in (arrays[name][:-1][:0], np.full_like(arrays[name], -1).astype("float64") * np.nan):
        detector_files.write_file(path, header, arrays | {name: other})
        with pytest.raises(StoreError, match="train it again"):
            Detector.load(path)
    detector_files.write_file(path, header, {key: arrays[key] for key in arrays if key != name})
    with pytest.raises(StoreError, match="train it again"):
        Detector.load(path)


def test_mutated_files_are_read_or_refused(saved, tmp_path):
    whole, path = saved.read_bytes(), tmp_path / "mutated.sadefect"
    rng = np.random.default_rng(0)
    end = int.from_bytes(whole[:8], "little")
    for turn in range(60):
        changed = bytearray(whole[: rng.integers(1, len(whole) + 1)] if turn % 3 == 0 else whole)
        upto = min(len(changed), 8 + end if turn % 2 else len(changed))
        for place in rng.integers(upto, size=rng.integers(1, 8)):
            changed[place] = rng.integers(256)
        path.write_bytes(changed)
        try:
            found = Detector.load(path)
        except StoreError:
            continue
        assert np.isfinite(found.threshold().value)


# Refusals


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "ssmi"}, "method must be"),
        ({"patch_size": 100}, "patch_size must be"),
        ({"latent_dim": 0}, "latent_dim must be"),
        ({"latent_dim": "many"}, "latent_dim must be"),
        ({"window_size": 10}, "window_size"),
        ({"shrink": 0}, "shrink must be"),
        ({"stride": 200}, "stride must be"),
        ({"average": "mean"}, "average must be"),
        ({"colour": "red"}, "colour must be"),
        ({"image_score": "peak"}, "image_score must be"),
    ],
)
def test_settings_are_checked_when_the_detector_is_built(settings, message):
    with pytest.raises(ValueError, match=message):
        Detector(**settings)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "at least 2"),
        ([texture()], "at least 2"),
        (texture(), "several images"),
        ([texture(), texture()[:20]], "at least 32x32 pixels.*image 1"),
        ([texture(), texture() * 3], "floats in .*image 1"),
        ("/nowhere", "an image, or a folder of images, at /nowhere"),
    ],
)
def test_images_that_cannot_be_used_are_named(store, images, message):
    with pytest.raises(DataError, match=message):
        Detector(**SMALL).fit(images)


def test_what_has_learnt_nothing_says_so():
    with pytest.raises(StoreError, match="call fit"):
        Detector(**SMALL).score(texture())


def test_images_are_taken_one_by_one():
    taken = []
    found = named_images(taken.append(number) or texture(number) for number in range(5))
    assert next(found)[0] == "image 0" and len(taken) == 1


@pytest.mark.filterwarnings(
    "error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning"
)
def test_images_in_a_file_leave_nothing_open(tmp_path):
    images = [texture(seed) for seed in range(2)]
    views, digest = stacked(tmp_path, iter(images))
    assert list(tmp_path.iterdir()) == [] and len(digest) == 16
    gc.collect()
    for view, image in zip(views, images, strict=True):
        np.testing.assert_array_equal(view, image)
    assert stacked(tmp_path, [])[0] == []
