"""Presets: what ships, what is made, and that both are read by this package and by Keras alone."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from test_detector import PAPER, broken, texture

from sadefect import Detector, StoreError
from sadefect.cli import presets as verbs
from sadefect.datasets import load_dataset
from sadefect.detector import presets
from sadefect.detector.calibration import RATES, Calibration

pytestmark = pytest.mark.usefixtures("store")
SHIPPED = ("twill", "weave")


@pytest.fixture(scope="module")
def detector(store):
    settings = {"latent_dim": 4, "patch_size": 32, "window_size": 7, "patches": 320}
    return Detector(**settings | PAPER).fit([texture(seed) for seed in range(6)])


def test_a_preset_says_what_its_detector_says(detector, tmp_path):
    folder = detector.save_to_preset(tmp_path / "mine")
    again = Detector.from_preset(folder)
    np.testing.assert_array_equal(again.anomaly_map(broken(1)), detector.anomaly_map(broken(1)))
    assert again.get_params() == detector.get_params()
    assert again.image_threshold() == detector.image_threshold()
    before, after = detector.look(broken(1)), again.look(broken(1))
    assert (before.score, before.threshold) == (after.score, after.threshold)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "config.json", "metadata.json", "model.weights.h5", "README.md", "assets/detector.sadefect",
    }  # fmt: skip


def test_keras_alone_reads_the_network_of_a_preset(detector, tmp_path):
    folder = detector.save_to_preset(tmp_path / "mine")
    config = json.loads((folder / "config.json").read_text())
    network = keras.saving.deserialize_keras_object(config)
    network.load_weights(folder / "model.weights.h5")
    patches = np.random.default_rng(0).random((2, 32, 32, 1), "float32")
    np.testing.assert_array_equal(
        network.predict_on_batch(patches), detector.model_.predict_on_batch(patches)
    )
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["parameter_count"] == network.count_params()


def test_weights_are_halved_only_where_that_loses_nothing(detector, tmp_path):
    full = detector.save_to_preset(tmp_path / "full")
    rounded = Detector.load(detector.save(tmp_path / "one.sadefect"))
    presets.round_to_half(rounded)
    half = rounded.save_to_preset(tmp_path / "half")
    sizes = [(folder / "model.weights.h5").stat().st_size for folder in (full, half)]
    assert sizes[1] < 0.6 * sizes[0]
    again = Detector.from_preset(half)
    for one, other in zip(again.model_.get_weights(), rounded.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_thinned_thresholds_are_the_same():
    maps = np.random.default_rng(0).normal(size=(3, 90, 90)).astype("float32")
    whole = Calibration.of(maps, image_score="mass")
    thinned = whole.thinned(100)
    assert len(thinned.pixels.state()["bins"]) < 130 < len(whole.pixels.state()["bins"])
    for rate in (0, *RATES):
        assert thinned.pixels.threshold(rate) == whole.pixels.threshold(rate)
    near = thinned.pixels.threshold(0.03).value, whole.pixels.threshold(0.03).value
    assert near[0] <= near[1] < near[0] + 0.1


def test_a_preset_that_is_not_there_is_refused_with_those_that_are(tmp_path, detector):
    with pytest.raises(StoreError, match="twill, weave.*got wool$"):
        Detector.from_preset("wool")
    with pytest.raises(StoreError, match="preset make nanofibres` .*SADEFECT_DATA"):
        Detector.from_preset("nanofibres")
    folder = detector.save_to_preset(tmp_path / "cut")
    (folder / "model.weights.h5").write_bytes(b"cut short")
    with pytest.raises(StoreError, match="copy or make it again"):
        Detector.from_preset(folder)
    (folder / "config.json").write_text("{}")
    with pytest.raises(StoreError):
        Detector.from_preset(folder)


def test_what_has_no_network_is_no_preset(tmp_path):
    bank = Detector("filter_bank", patch_size=32).fit([texture(seed) for seed in range(4)])
    with pytest.raises(StoreError, match="filter_bank has none"):
        bank.save_to_preset(tmp_path / "bank")


# What ships


def test_what_ships_is_small_and_says_what_it_is():
    files = [path for path in presets.PACKAGED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 6_000_000
    for name in SHIPPED:
        card = (presets.PACKAGED / name / "README.md").read_text(encoding="utf-8")
        assert card.startswith("---\nlibrary_name: keras\nlicense: mit")
        assert f"synthetic/{name}" in card and f"preset:{name}" in card
    assert {path.name for path in presets.PACKAGED.iterdir()} == set(SHIPPED)
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    assert "preset_files/**/*" in text


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_finds_defects_and_leaves_good_images_alone(name):
    detector, data = Detector.from_preset(name), load_dataset(f"synthetic/{name}")
    rough = [sample for sample in data.test if sample.kind == "rough"]
    bad = [detector.look(sample.image).defect for sample in rough[:4]]
    good = [detector.look(sample.image).defect for sample in data.train[:6]]
    assert all(bad) and sum(good) <= 1, (bad, good)


def test_cards_of_real_images_say_what_they_may_be_used_for(detector):
    for name in ("nanofibres", "grid"):
        card = presets.card(name, detector, presets.OFFERED[name], {"AUROC": "0.9"}.items())
        assert "research and non-commercial use only" in card and "| AUROC | 0.9 |" in card
    assert "non-commercial" not in presets.card("weave", detector, presets.OFFERED["weave"])


# In the shell


def test_the_first_example_of_the_readme(shell, tmp_path):
    code, said, error = shell("preset", "images", "twill", tmp_path / "cloth")
    assert code == 0 and "12 images" in said and "cut" in said, error
    code, said, error = shell(
        "segment", "preset:twill", tmp_path / "cloth/test/cut", "-o", tmp_path / "found"
    )
    assert code == 0 and "images judged defective" in said, error
    assert (tmp_path / "found/report.html").is_file()


def test_presets_are_listed(shell):
    code, said, _ = shell("preset", "list", "--json")
    rows = {row["name"]: row for row in json.loads(said)}
    assert code == 0 and rows["weave"]["state"] == "here"
    assert rows["grid"]["state"] == "sadefect preset make grid, with SADEFECT_DATA"
    assert "non-commercial" in rows["nanofibres"]["use"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["preset", "images", "grid", "x"], "weave or twill; got grid"),
        (["preset", "make", "wool"], "among weave, twill, nanofibres, grid; got wool"),
        (["segment", "preset:wool", "x", "-o", "y"], "got wool"),
        (["calibrate", "preset:weave", "x"], "expected -o FILE"),
    ],
)
def test_what_a_user_may_do_wrong(shell, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _, error = shell(*arguments)
    assert code == 1 and message in error


def test_a_preset_is_made(shell, tmp_path, monkeypatch):
    tiny = {"patch_size": 32, "window_size": 7, "latent_dim": 4, "patches": 320, "margin": 0}
    recipe = presets.OFFERED["weave"]._replace(
        dataset="synthetic/weave-tiny", settings=tiny | PAPER
    )
    monkeypatch.setitem(presets.OFFERED, "weave", recipe)
    monkeypatch.setattr(verbs, "TRAINED_ON", (1,))
    code, said, error = shell("preset", "make", "weave", "-o", tmp_path)
    assert code == 0 and said.strip() == str(tmp_path / "weave"), error
    made = Detector.from_preset(tmp_path / "weave")
    assert made.image_threshold().images == 4 and made.calibrations_
    assert "other good images" in (tmp_path / "weave/README.md").read_text(encoding="utf-8")


def test_a_detector_is_made_of_a_network_that_was_trained_elsewhere(detector):
    samples = load_dataset("synthetic/weave-tiny").train
    made = presets.detector_of(
        Detector,
        detector.model_,
        detector.recipe,
        (samples[:3], samples[3:]),
        {"shrink": 2} | PAPER,
    )
    assert made.image_threshold().images == 1 and made.latent_dim == 4 and made.shrink == 2
    assert made.look(samples[0].image).map.shape == (160, 160)
