"""The headline is settled by held-out loss and synthetic defects, never by test images."""

from dataclasses import replace

import numpy as np
import pytest

from sadefect.errors import StoreError
from sadefect.files import load_json, save_arrays
from sadefect.paper import headline
from sadefect.paper.experiment import Experiment
from sadefect.paper.headline import (
    choose_own_scoring,
    headline_experiment,
    headline_result,
    own_scoring,
    settle_all,
)
from sadefect.paper.store import training_folder

DATASET = "synthetic/fibres-tiny"


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("SADEFECT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SADEFECT_RECORDED", str(tmp_path / "recorded"))
    return tmp_path


def trained(method, held_out, **settings):
    """Leave a state with the given held-out losses, as a training does."""
    experiment = Experiment(dataset=DATASET, method=method, crops="fresh", symmetries="all")
    experiment = replace(experiment, patches_seen=max(held_out), **settings)
    curve = np.array([[seen, 0.1, loss] for seen, loss in held_out.items()])
    save_arrays(training_folder(experiment) / "state.npz", milestones=curve)


def test_the_point_with_the_least_held_out_loss_that_all_methods_have(folders):
    trained("ssim", {80_000: 0.3, 160_000: 0.2, 226_000: 0.1})
    trained("ssim", {100_000: 0.25}, decay_from=80_000)
    trained("l2", {80_000: 0.03, 160_000: 0.04})
    trained("l2", {100_000: 0.02}, decay_from=80_000)
    rows = load_json(settle_all([DATASET]))
    assert [(row["method"], row["scoring"]) for row in rows] == [
        ("ssim", "paper's"),
        ("l2", "paper's"),
    ]
    assert {row["patches_seen"] for row in rows} == {160_000}
    experiment = headline_experiment(DATASET, "l2")
    assert (experiment.patches_seen, experiment.decay_from, experiment.crops) == (
        160_000,
        0,
        "fresh",
    )
    assert rows[1]["evaluation_key"] == experiment.evaluation_key
    assert headline_result(DATASET, "l2") is None  # Settled, not scored.
    assert headline_experiment(DATASET, "vae") is None


def test_settling_one_data_set_keeps_the_others(folders):
    trained("ssim", {10_000: 0.3})
    path = settle_all([DATASET], ["ssim"])
    path.write_text(path.read_text().replace(DATASET, "mvtec_ad/grid"))
    rows = load_json(settle_all([DATASET], ["ssim"]))
    assert [row["dataset"] for row in rows] == ["mvtec_ad/grid", DATASET]


def test_nothing_to_settle_is_said(folders):
    trained("ssim", {10_000: 0.3})
    with pytest.raises(StoreError, match="augmented trainings of ssim and l2"):
        settle_all([DATASET])


def test_our_scoring_is_written_down_with_what_lost_and_used(folders, monkeypatch):
    monkeypatch.setattr(headline, "trained_model", lambda run: (run.build_model(), "local"))
    experiment = Experiment(
        dataset=DATASET, method="l2", patch_size=32, latent_dim=4, patches_seen=64
    )
    assert own_scoring(experiment) is None
    written = load_json(choose_own_scoring(experiment))
    assert written["network"] == experiment.training_key
    areas = [candidate["auroc"] for candidate in written["candidates"]]
    assert areas == sorted(areas, reverse=True) and len(set(areas)) > 1
    chosen = own_scoring(experiment)
    assert chosen.training_key == experiment.training_key
    first = written["candidates"][0]
    assert {name: getattr(chosen, name) for name in first if hasattr(chosen, name)} == {
        name: value for name, value in first.items() if hasattr(chosen, name)
    }
