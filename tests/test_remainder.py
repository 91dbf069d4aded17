"""What keeps a network from a better number is taken apart, and extrapolated, as it should be."""

from types import SimpleNamespace

import numpy as np
import pytest

from sadefect.figures.gap import below_chance, residual_table, speck_sentence, threshold_table
from sadefect.metrics import auroc
from sadefect.paper import remainder
from sadefect.paper.experiment import Experiment
from sadefect.paper.extrapolation import fit, last_doubling
from sadefect.paper.remainder import account

SIZE = (90, 100)
MASK = np.zeros(SIZE, bool)
MASK[40:60, 30:60] = True


def sample(seed, brightness=0.0):
    """A busy half beside a flat one, with a flat bright defect."""
    image = np.random.default_rng(seed).random(SIZE, dtype="float32")
    image[:, :50] = 0.3 + 0.01 * image[:, :50]
    image[MASK] = 0.8
    return SimpleNamespace(image=image + np.float32(brightness), mask=MASK)


def test_one_threshold_for_all_images_loses_what_images_differ_by():
    samples = [sample(0), sample(1)]
    generator = np.random.default_rng(2)
    maps = [
        (MASK + 0.6 * generator.random(SIZE) + offset).astype("float32") for offset in (0.0, 5.0)
    ]
    counted = account(samples, maps)["thresholds"]
    shared, own = counted["one for all images"], counted["the best for each image"]
    assert own["found"] == pytest.approx(1) and own["iou"] > 0.99
    assert shared["found"] < 0.6 and shared["iou"] < 0.6
    same = account(samples[:1], maps[:1])["thresholds"]
    assert same["one for all images"] == same["the best for each image"]


def test_specks_like_defects_are_found_and_left_out():
    marked, unmarked = sample(0), sample(1)
    unmarked.image[5:25, 60:90] = 0.8
    maps = [MASK.astype("float32") for _ in range(2)]
    maps[1][5:25, 60:90] = 1
    specks = account([marked, unmarked], maps)["specks"]
    assert specks["alike"] == 1 and specks["alarms"] == pytest.approx(1)
    assert specks["auroc"] == pytest.approx(auroc([MASK, MASK], maps), abs=2e-3)
    assert specks["auroc_without"] == pytest.approx(1, abs=1e-3) and specks["auroc"] < 0.99
    assert "1, with 100.0 % of all false alarms" in speck_sentence({"specks": specks}).data


def test_a_residual_that_follows_contrast_finds_defects_among_their_like():
    samples = [sample(0), sample(1)]
    maps = [s.image.std() * remainder.surroundings(s.image, MASK)["contrast"] for s in samples]
    maps = [(m + 0.01 * MASK).astype("float32") for m in maps]
    residual = account(samples, maps)["residual"]
    assert residual["contrast"] > 0.99
    assert residual["fifths"] == sorted(residual["fifths"])
    assert residual["auroc"] < residual["auroc_like"]


def test_it_is_stored_and_not_computed_unasked(tmp_path, monkeypatch):
    monkeypatch.setenv("SADEFECT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remainder, "trained_model", lambda run: (run.build_model(), "local"))
    experiment = Experiment(
        dataset="synthetic/fibres-tiny", method="l2", patch_size=32, latent_dim=4, patches_seen=64
    )
    assert remainder.remainder(experiment) is None
    counted = remainder.remainder(experiment, compute=True)
    monkeypatch.delattr(remainder, "trained_model")
    assert remainder.remainder(experiment) == counted
    assert "one for all images" in threshold_table(counted).data


def told(method, area, like, patches=20_000):
    residual = {
        "contrast": 0.8,
        "brightness": 0.5,
        "fifths": [0.2, 1.8],
        "defects": 0.4,
        "flat": 0.5,
    }
    account = {"residual": residual | {"auroc": area, "auroc_like": like}}
    run = Experiment(dataset="nanotwice", method=method, patches_seen=patches)
    return SimpleNamespace(experiment=run, metrics={"auroc": area}), account


def test_curves_below_the_diagonal_are_explained_by_their_numbers():
    accounts = [told("l2", 0.4, 0.7), told("ssim", 0.9, 0.9)]
    vae = SimpleNamespace(
        experiment=SimpleNamespace(method="vae", patches_seen=80_000), metrics={"auroc": 0.47}
    )
    text = below_chance(accounts, [accounts[1][0], vae]).data
    assert text.startswith("Below 0.5 are VAE 0.470 (80,000 patches) and ℓ² 0.400 (20,000 patches)")
    assert "50.0 % lie in the flattest fifth." in text
    assert "of like contrast alone, the AUROC of ℓ² after 20,000 patches becomes 0.700" in text
    assert "VAE also compares pixel by pixel" in text
    assert "No curve" in below_chance(accounts[1:], []).data
    assert "| ℓ², 20,000 patches | +0.800 | 0.200 | 0.400 | 1.800 | 0.400 | 0.700 |" in (
        residual_table(accounts).data
    )


def test_too_few_points_are_not_fitted_and_a_noisy_curve_has_a_wide_band():
    patches = [20_000 * 2**n for n in range(7)]
    areas = np.array([0.95 - 0.05 * (n / 1e5) ** -0.7 for n in patches])
    assert fit(patches[:4], areas[:4]) is None
    assert fit([20_000] * 9, areas[:1].repeat(9)) is None
    exact = fit(patches, areas).at(2_000_000)
    noisy = fit(patches, areas + 0.005 * np.array([1, -1, 1, -1, 1, -1, 1])).at(2_000_000)
    assert exact[2] - exact[1] < 1e-3 < noisy[2] - noisy[1]
    assert noisy[1] < exact[0] < noisy[2] <= 1


def test_the_last_doubling_is_at_least_a_doubling():
    assert last_doubling([20, 40, 57, 80], [0.5, 0.6, 0.65, 0.7]) == pytest.approx(0.1)
    assert last_doubling([20, 80], [0.5, 0.7]) == pytest.approx(0.1)
    assert last_doubling([57, 80], [0.6, 0.7]) is None and last_doubling([], []) is None
