"""Verdicts on sets that nobody has seen: borders, sizes, symmetries, and what to compare with."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from test_detector import PAPER, broken, texture, write_set

from sadefect import DataError, Detector, StoreError
from sadefect.baselines.base import Gaussian
from sadefect.datasets.synthetic.planted import planted_samples
from sadefect.detector import learning as learning_module
from sadefect.detector import yardsticks
from sadefect.detector.calibration import (
    Calibration,
    choose_calibration,
    largest_region,
    planted_sentence,
)
from sadefect.detector.colour import choose_colour
from sadefect.detector.folder_check import check_folder
from sadefect.detector.learning import Learning, sentence
from sadefect.detector.region import Continued, Crowding, continued, counted_pixels
from sadefect.metrics import PixelMetrics
from sadefect.training.trajectory import milestones, risen

FORMAT_3 = Path(__file__).with_name("fixtures") / "detector_format3.sadefect"
QUICK = {"latent_dim": 4, "patch_size": 32, "window_size": 7, "patches": 320}


pytestmark = pytest.mark.usefixtures("store", "small_networks")


@pytest.fixture(scope="module")
def bank(store):
    return Detector("filter_bank", patch_size=32).fit([texture(seed) for seed in range(24)])


# Where an image counts


@pytest.mark.parametrize("part", [(slice(0, 50), slice(0, 60)), (slice(7, 33), slice(40, 55))])
def test_a_continued_image_is_padded_by_reflection(part):
    image = np.random.default_rng(0).random((30, 40), dtype="float32")
    np.testing.assert_array_equal(Continued(image, 10)[part], continued(image, 10)[part])


def test_flagged_pixels_that_crowd_are_said():
    even, border, place, shrunk = Crowding(), Crowding(), Crowding(), Crowding(side=4)
    for seed in range(4):
        mask = np.random.default_rng(seed).random((128, 128)) < 0.01
        even.add(mask)
        frame = mask.copy()
        frame[:3] = frame[:, :3] = True
        border.add(frame)
        shrunk.add(frame)
        mask[60:75, 20:30] = True
        place.add(mask)
    assert even.sentences() == []
    (text,) = border.sentences()
    assert "of the border" in text and "--border 4" in text
    (text,) = shrunk.sentences()
    assert "within 16 pixels of the border" in text and "--border 16" in text
    (text,) = place.sentences()
    assert "in one place" in text and "--ignore" in text


def test_what_is_ignored_is_in_no_threshold_verdict_or_metric(bank):
    images = [texture(seed) for seed in range(24)]
    for image in images:
        image[:, :6] = 1.0  # A saturated margin.
    mask = np.zeros((70, 90), bool)
    mask[10:20, 10:20] = True
    found = Detector("filter_bank", patch_size=32, border=8).fit(images, ignore=mask)
    assert found.threshold().pixels == 8 * (54 * 74 - 100)
    bad = texture(40)
    bad[:, :6] = 1.0
    bad[12:18, 12:18] = 0
    assert not found.segment(bad, 0.5)[mask].any() and not found.segment(bad, 0.5)[:8].any()
    assert found.look(broken(41)).mask[20:36, 40:60].any()
    with pytest.raises(DataError, match="ignored mask's size, 70x90"):
        found.look(texture(3, (80, 90)))
    pixels, cut = PixelMetrics(), PixelMetrics()
    map, true = np.random.default_rng(0).random((2, 40, 40), dtype="float32")
    counted = counted_pixels((40, 40), 5)
    pixels.update(true > 0.9, map, counted)
    cut.update((true > 0.9)[5:-5, 5:-5], map[5:-5, 5:-5])
    assert pixels.auroc() == cut.auroc()


@pytest.mark.parametrize(
    ("border", "mask", "message"),
    [(40, None, "leave none"), (0, np.ones((70, 90), bool), "perhaps it is inverted")],
)
def test_a_region_that_is_empty_is_refused(border, mask, message):
    with pytest.raises(DataError, match=message):
        Detector("filter_bank", patch_size=32, border=border).fit([texture(0), texture(1)], mask)


def test_a_shrunk_image_ignores_the_same(tmp_path):
    images = [np.kron(texture(seed), np.ones((2, 2), "float32")) for seed in range(12)]
    mask = np.zeros(images[0].shape, "uint8")
    mask[:40] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    settings = {"patch_size": 32, "shrink": 2, "border": 3}
    found = Detector("filter_bank", **settings).fit(images, ignore=tmp_path / "mask.png")
    assert found.threshold().pixels == 4 * (70 - 20 - 2) * (90 - 4)
    again = Detector.load(found.save(tmp_path / "one.sadefect"))
    for detector in (found, again):
        flagged = detector.segment(images[0], 0.5)
        assert flagged.any() and not flagged[:40].any() and not flagged[:, -3:].any()


# Training


def test_training_stops_after_two_milestones_of_rising():
    falling = [[10, 0.5, 0.5], [20, 0.3, 0.4]]
    assert not risen([], 2) and not risen(falling, 2)
    assert not risen([*falling, [30, 0.2, 0.45]], 2)
    assert not risen([*falling, [30, 0.2, 0.45], [40, 0.2, 0.39]], 2)
    assert risen([*falling, [30, 0.2, 0.45], [40, 0.2, 0.41]], 2)


@pytest.fixture
def learning(tmp_path):
    recipe = Detector(**QUICK | PAPER).recipe
    images = [texture(seed) for seed in range(3)]
    return Learning(tmp_path, recipe, lambda r: r.recipe_settings(), images[:2], images[2:])


def test_the_best_state_is_kept_and_said(learning, monkeypatch):
    losses = iter([0.5, 0.5, 0.4, 0.4, 0.3, 0.45, 0.2, 0.5])
    monkeypatch.setattr("sadefect.training.loop.crops_loss", lambda *_: next(losses))
    monkeypatch.setattr(learning_module, "FIRST", 2_000)
    monkeypatch.setattr(learning_module, "milestones", lambda budget, first: [32, 64, 96, 128, 320])
    training = learning.training("none")
    assert training.best(320)[:2] == (64, 0.4)
    assert training.best(320)[:2] == (64, 0.4)  # And does not go on.
    network, _, _, record = learning.learn(320, "none")
    assert record == {"symmetries": "none", "trials": {}, "trained": 128, "best": 64}
    text = sentence(record, 320)
    assert "stopped after 128" in text and "since 64" in text
    stored = np.load(training.best(320)[2])
    np.testing.assert_array_equal(network.get_weights()[0], stored["model_000"])


def test_milestones_of_a_detector_begin_early():
    assert milestones(8_000, 2_000) == [2000, 3000, 4000, 6000, 8000]
    assert milestones(640, 2_000) == [640]


@pytest.mark.parametrize(
    ("losses", "chosen", "tried"),
    [
        ({"none": 0.9}, "none", 1),  # Nothing learnt yet.
        ({"none": 0.2, "half_turns": 0.25}, "none", 2),
        ({"none": 0.2, "half_turns": 0.2, "mirrors": 0.3, "turns": 0.3}, "half_turns", 4),
        ({"none": 0.2, "half_turns": 0.2, "mirrors": 0.19, "turns": 0.3}, "mirrors", 4),
        ({"none": 0.2, "half_turns": 0.2, "mirrors": 0.2, "turns": 0.2, "all": 0.2}, "all", 5),
        ({"none": 0.2, "half_turns": 0.2, "mirrors": 0.2, "turns": 0.19, "all": 0.3}, "turns", 5),
    ],
)
def test_symmetries_are_those_that_held_out_images_agree_with(
    learning, monkeypatch, losses, chosen, tried
):
    class Trial:
        def __init__(self, name):
            self.name = name

        def best(self, budget):
            assert budget == 2_000
            return budget, losses[self.name], None

    monkeypatch.setattr(Learning, "training", lambda self, name, label: Trial(name))
    monkeypatch.setattr(Learning, "flat_loss", lambda self: 1.0)
    found, record = learning.choose(20_000)
    assert (found, len(record)) == (chosen, tried)
    assert learning.choose(19_999) == ("none", {})


def test_flat_patches_have_the_loss_of_flat_patches(learning):
    assert 0.5 < learning.flat_loss() < 1.1


# What is compared, and saved


def test_a_network_is_scored_as_synthetic_defects_choose(tmp_path):
    images = [texture(seed) for seed in range(4)]
    found = Detector(**QUICK, opening=0).fit(images)
    known = found.provenance_
    assert found.scoring.opening == 0 and known["training"]["symmetries"] == "none"
    assert set(known["synthetic defects"]) == {"network", *yardsticks.YARDSTICKS}
    best = known["scoring"][0]
    assert {name: best[name] for name in ("average", "frame", "smoothing")} == {
        name: getattr(found.scoring, name) for name in ("average", "frame", "smoothing")
    }
    assert best["auroc"] >= known["scoring"][1]["auroc"]
    assert any("filter_bank" in note for note in found.notes())  # 320 patches beat nothing.
    again = Detector.load(found.save(tmp_path / "one.sadefect"))
    assert again.scoring == found.scoring and again.notes() == found.notes()
    np.testing.assert_array_equal(again.anomaly_map(broken(1)), found.anomaly_map(broken(1)))
    assert found.anomaly_map(texture(3, (32, 200))).shape == (32, 200)


def test_explicit_settings_leave_nothing_to_choose():
    detector = Detector(**QUICK | PAPER)
    scoring = detector.scoring
    assert yardsticks.allowed_scorings(scoring, 32, detector.get_params()) == [scoring]
    assert len(yardsticks.allowed_scorings(scoring, 32, Detector().get_params())) > 30


def test_settings_may_be_numpy_and_cloned():
    detector = Detector(patches=np.int64(1_000), border=np.uint8(3))
    assert json.loads(json.dumps(detector.get_params(deep=False)))["patches"] == 1_000
    assert Detector(**detector.get_params(deep=False)).get_params() == detector.get_params()


def test_a_network_that_beats_all_is_not_blamed():
    assert yardsticks.verdict({"network": 0.9, "level": 0.5, "filter_bank": 0.8}) == ""
    text = yardsticks.verdict(
        {"network": 0.6, "level": 0.7, "local_contrast": 0.5, "filter_bank": 0.8}
    )
    assert "--method filter_bank" in text and "0.600" in text


def test_a_filter_bank_is_a_detector_like_any_other(bank, tmp_path):
    assert bank.look(broken(30)).defect and bank.score(broken(30)) > bank.score(texture(31))
    again = Detector.load(bank.save(tmp_path / "bank.sadefect"))
    np.testing.assert_allclose(
        again.anomaly_map(broken(1)), bank.anomaly_map(broken(1)), rtol=1e-4, atol=1e-5
    )
    assert again.image_threshold() == bank.image_threshold()
    metrics, _ = again.evaluate(write_set(tmp_path / "set"))
    yardstick = metrics["yardsticks"]["filter_bank"]["auroc"]  # Its border is not levelled.
    assert metrics["auroc"] == pytest.approx(yardstick, abs=0.02)
    assert set(metrics["yardsticks"]) == set(yardsticks.YARDSTICKS)
    with pytest.raises(DataError, match="a filter bank has none"):
        bank.reconstruct(texture(1))
    with pytest.raises(StoreError, match="filter_bank has none"):
        bank.export(tmp_path / "one.onnx")


def test_a_yardstick_in_tiles_is_that_of_the_whole(bank, monkeypatch):
    image = texture(3, (150, 230))
    for baseline in bank.yardsticks_.values():
        whole = baseline.anomaly_map(image)
        with monkeypatch.context() as patch:
            patch.setattr(yardsticks, "TILE", 60)
            tiled = yardsticks.baseline_in_tiles(baseline, image)
        np.testing.assert_allclose(tiled, whole, atol=1e-3 * whole.max())


def test_a_gaussian_of_its_mean_and_covariance_gives_the_same_distances():
    rows = np.random.default_rng(0).normal(size=(500, 3)) @ np.diag([1, 2, 3])
    learnt = Gaussian()
    learnt.add(rows)
    again = Gaussian.of(learnt.mean, learnt.covariance)
    np.testing.assert_allclose(again.distance(rows), learnt.distance(rows), rtol=1e-6)


# Verdicts


def test_a_threshold_means_the_same_at_any_size():
    """Of noise, as the maps of good textures are: promised 5 %."""

    def map_of(seed, side):
        white = np.random.default_rng(seed).normal(size=(side, side))
        return ndimage.gaussian_filter(white, 2, mode="wrap").astype("float32") * 10 + 9

    calibration = Calibration.of([map_of(seed, 64) for seed in range(99)])
    value, rates = calibration.pixels.threshold(0.01).value, {}
    for side in (64, 128, 256):
        limit = calibration.image_threshold(0.05, 0.01, side**2).value
        maps = (map_of(1_000 + seed, side) for seed in range(100))
        rates[side] = np.mean([largest_region(map >= value) >= limit for map in maps])
    assert all(rate <= 0.12 for rate in rates.values()), rates
    same = calibration.image_threshold(0.05, 0.01)
    assert calibration.image_threshold(0.05, 0.01, 64**2) == same
    assert calibration.image_threshold(0.05, 0.01, 32**2) == same


def test_of_equal_areas_the_more_anomalous_scores_higher():
    settings = {"patch_size": 32, "image_score": "mass"}
    bank = Detector("filter_bank", **settings).fit([texture(seed) for seed in range(24)])
    map = bank.anomaly_map(texture(60))
    low, excess = bank.threshold().value, bank.calibration_.excess[6]
    faint, strong, noisy = map.copy(), map.copy(), map.copy()
    faint[30:42, 40:52], strong[30:42, 40:52] = low, low + 2 * excess
    scores = [bank.judge(texture(60), one).score for one in (faint, strong)]
    by_area = Detector.load(FORMAT_3)
    assert scores[1] > 2 * scores[0] > 0 and by_area.calibration_.excess is None
    noisy[35, 45] = 100 * map.max()  # One pixel makes no defect, however anomalous.
    before, after = (bank.judge(texture(60), one) for one in (map, noisy))
    assert after.defect == before.defect and after.score <= before.score + 3


def test_a_score_is_chosen_by_planted_defects():
    rng = np.random.default_rng(0)
    good = rng.random((6, 40, 40), dtype="float32")
    small, large = good.copy(), good.copy()
    small[:, 10:11, 10:12] = 9  # As large as specks of good images, and far above them.
    large[:, 5:35, 5:35] = 0.999
    for planted, best in ((small, "mass"), (large, "height")):
        found, reached = choose_calibration(good, 1, None, planted)
        assert best == found.image_score, reached
        assert reached[best] == max(reached.values())


def test_a_detector_says_how_many_synthetic_defects_it_judges(bank, tmp_path):
    planted = planted_samples([texture(seed) for seed in range(16, 24)], bank.seed)
    judged = sum(bank.look(sample.image).defect for sample in planted)
    said = f"Of {len(planted)} good images with synthetic defects {judged} are judged defective"
    assert judged > 0 and [note for note in bank.notes() if note.startswith(said)]
    assert Detector.load(bank.save(tmp_path / "one.sadefect")).notes() == bank.notes()
    assert "more good images" not in planted_sentence(6, 12).lower()
    assert "expect that defects are missed. More good images" in planted_sentence(5, 12)


def test_a_score_keeps_its_promise_on_the_images_it_was_set_by(bank):
    limit = bank.image_threshold(0.5)
    held = [bank.look(texture(seed)).score for seed in range(16, 24)]  # The last third of 24.
    assert sorted(held) == sorted(bank.calibration_.scores().tolist())
    assert limit.value == sorted(held)[-4] + 1  # Three of eight, and the next, are half of nine.
    assert (limit.flagged, limit.expected) == (3, 4 / 9)


# Colour


def tinted(seed=0, stain=False):
    """A colour texture; a stain changes its colour, not its luminance."""
    gray, rng = texture(seed), np.random.default_rng(seed)
    image = np.stack([0.2 + 0.5 * gray, 0.3 + 0.4 * gray, 0.2 + 0.3 * gray], axis=-1)
    image += rng.normal(0, 0.01, image.shape)
    if stain:
        image[20:40, 30:60] += (0.25, -0.25 * 0.2125 / 0.7154, 0)
    return np.clip(image, 0, 1).astype("float32")


def test_channels_see_a_stain_of_the_same_luminance():
    images, found = [tinted(seed) for seed in range(24)], {}
    for colour in ("luminance", "channels"):
        bank = Detector("filter_bank", patch_size=32, colour=colour).fit(images)
        assert bank.look(tinted(30)).defect is False
        found[colour] = bank.look(tinted(30, stain=True)).mask[20:40, 30:60].mean()
    assert found["luminance"] < 0.02 and found["channels"] > 0.1  # The edges of the stain.
    gray = bank.anomaly_map(texture(1))
    again = bank.anomaly_map(np.stack([texture(1)] * 3, axis=-1))
    np.testing.assert_allclose(gray, again, rtol=1e-4)  # A mean of three equal channels.


@pytest.mark.parametrize(
    ("losses", "chosen"),
    [((0.2, 0.2), "channels"), ((0.2, 0.3), "luminance"), ((0.95, 0.9), "luminance")],
)
def test_colour_is_what_held_out_images_agree_with(monkeypatch, tmp_path, losses, chosen):
    losses, trained = dict(zip(("luminance", "channels"), losses, strict=True)), []

    class Trial:
        def __init__(self, images):
            self.colour = "channels" if len(images) > 3 else "luminance"

        def best(self, budget):
            assert budget == 2_000
            return budget, losses[self.colour], None

    def learn(self, budget, symmetries):
        trained.append(len(self.images))
        record = {"symmetries": "none", "trials": {}, "trained": budget, "best": budget}
        return self.recipe.build_model(), np.zeros((0, 2)), 0.0, record

    monkeypatch.setattr(Learning, "training", lambda self, name, label: Trial(self.images))
    monkeypatch.setattr(Learning, "flat_loss", lambda self: 1.0)
    monkeypatch.setattr(Learning, "learn", learn)
    quick = QUICK | PAPER | {"patches": 20_000, "seed": 3}
    detector = Detector(**quick).fit([tinted(seed) for seed in range(4)])
    assert trained == [9 if chosen == "channels" else 3]
    text = f"Colour images are judged by {chosen}"
    assert any(note.startswith(text) for note in detector.notes())
    again = Detector.load(detector.save(tmp_path / "one.sadefect"))
    assert again.colour_ == chosen and again.provenance_["training"]["colour trials"] == losses
    image = tinted(9)
    np.testing.assert_array_equal(again.anomaly_map(image), detector.anomaly_map(image))
    assert detector.reconstruct(image).shape == image.shape[:2]


def test_gray_images_and_short_trainings_leave_no_colour_to_choose(monkeypatch):
    monkeypatch.setattr(Learning, "training", None)  # Would be called.
    assert choose_colour({"luminance": None}, 10**6) == ("luminance", {})
    assert choose_colour({"luminance": None, "channels": None}, 19_999) == ("luminance", {})
    bank = Detector("filter_bank", patch_size=32).fit([tinted(seed) for seed in range(3)])
    assert bank.colour_ == "luminance"


def test_new_thresholds_without_training(bank, tmp_path):
    detector = Detector.load(bank.save(tmp_path / "one.sadefect"))
    before = detector.image_threshold()
    detector.calibrate([texture(seed) for seed in range(100, 120)])
    assert detector.image_threshold().images == 20 and before.images == 8
    again = Detector.load(detector.save(tmp_path / "two.sadefect"))
    assert again.image_threshold() == detector.image_threshold()
    assert again.calibrations_[0]["images"]["value"] == before.value
    assert not any("synthetic defects" in note for note in again.notes())
    with pytest.raises(DataError, match="at least one good image"):
        detector.calibrate([])


def test_calibrate_in_the_shell(bank, shell, tmp_path):
    model, good = bank.save(tmp_path / "one.sadefect"), tmp_path / "good"
    good.mkdir()
    for seed in range(5):
        Image.fromarray(np.uint8(texture(seed + 50) * 255)).save(good / f"{seed}.png")
    code, said, error = shell("calibrate", model, good)
    assert code == 0 and "5 held-out good images" in said, error
    assert Detector.load(model).image_threshold().images == 5
    code, said, _ = shell("calibrate", model, good, "-o", tmp_path / "two", "--json")
    assert code == 0 and json.loads(said)["images"]["images"] == 5


def test_train_in_the_shell_says_what_is_better(shell, tmp_path):
    data = write_set(tmp_path / "set")
    options = ("--patch-size", "32", "--border", "2")
    code, said, error = shell(
        "train", data, "-o", tmp_path / "a", "--method", "filter_bank", *options
    )
    assert code == 0 and ": 2 images" in said, error
    quick = ("--latent-dim", "4", "--window-size", "7", "--patches", "160")
    code, said, error = shell("train", data, "-o", tmp_path / "b", *options, *quick)
    assert code == 0 and "does not beat what needs no training" in said, error
    code, said, _ = shell("evaluate", tmp_path / "b", data, "-o", tmp_path / "out")
    assert code == 0 and "without training: filter bank" in said
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "does not beat" in page and "without training: filter bank" in page


@pytest.mark.parametrize(
    ("images", "level", "said"),
    [
        (2, "warning", "1 of them .* about one good image in 2 "),
        (12, "warning", "4 of them .* about one good image in 5 "),
        (57, "note", "19 of them .* about one good image in 20 "),
        (400, "note", "40 of them .* about one good image in 20 "),
    ],
)
def test_check_says_how_many_good_images_will_be_judged_defective(tmp_path, images, level, said):
    for number in range(images):
        Image.fromarray(np.uint8(255 * texture(number, (32, 40)))).save(tmp_path / f"{number}.png")
    (remark,) = [one for one in check_folder(tmp_path, 32, 7) if re.search(said, one.text)]
    assert remark.level == level and bool(remark.fix) == (level == "warning")


def test_check_counts_distinct_patches(tmp_path):
    for seed in range(3):
        pixels = np.uint8(texture(seed % 2, (330, 330)) * 255)
        Image.fromarray(pixels).save(tmp_path / f"{seed}.png")
    texts = [remark.text for remark in check_folder(tmp_path, 32, 7)]
    assert "distinct patches of 32x32 pixels, side by side: 200" in texts
    few = next(r for r in check_folder(tmp_path, 64, 7) if "distinct" in r.text)
    assert few.level == "warning" and "side by side: 50" in few.text
