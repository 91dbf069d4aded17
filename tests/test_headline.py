"""The headline is settled by held-out loss and synthetic defects, never by test images."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sadefect.datasets import load_dataset
from sadefect.errors import StoreError
from sadefect.figures.charts import waterfall
from sadefect.figures.sentences import gap_sentence
from sadefect.files import load_json, save_arrays
from sadefect.paper import headline, numbers
from sadefect.paper.experiment import Experiment
from sadefect.paper.headline import (
    choose_own_scoring,
    gap_steps,
    headline_experiment,
    headline_result,
    own_scoring,
    settle_all,
    unseen_auroc,
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


def reached(area):
    return SimpleNamespace(metrics={"auroc": area})


def test_the_gap_is_told_step_by_step():
    steps = {
        "as printed, 10 patches": reached(0.8),
        "mirrored": reached(0.85),
        "ours": reached(0.97),
    }
    text = gap_sentence(steps, numbers.AUROC["nanotwice", "ssim"]).data
    assert "as printed, 10 patches reaches an AUROC of 0.800" in text
    assert "mirrored +0.050, ours +0.120, together 0.970" in text
    assert "The paper reports 0.966: ours is 0.004 above it." in text
    assert "settle" in gap_sentence({}).data
    assert "remain" in gap_sentence({"a": reached(0.8)}, numbers.AUROC["nanotwice", "ssim"]).data


def test_bars_of_the_gap_begin_where_the_last_one_ended():
    steps = {"a": reached(0.8), "b": reached(0.9), "c": reached(0.85)}
    [axes] = waterfall(steps, 0.966).axes
    ends = [bar.get_x() + bar.get_width() for bar in axes.patches]
    assert [bar.get_x() for bar in axes.patches] == pytest.approx([0.75, 0.8, 0.9])
    assert ends == pytest.approx([0.8, 0.9, 0.85])
    assert [text.get_text() for text in axes.texts] == ["0.800", "+0.100 = 0.900", "-0.050 = 0.850"]


def test_steps_of_the_gap_are_those_that_are_scored(folders):
    assert gap_steps(DATASET) == {}
    trained("ssim", {80_000: 0.3})
    trained("ssim", {100_000: 0.25}, decay_from=80_000)
    settle_all([DATASET], ["ssim"])
    assert headline_experiment(DATASET, "ssim").decay_from == 80_000
    assert gap_steps(DATASET) == {}  # Settled, nothing scored.


def test_steps_lead_from_the_printed_recipe_to_the_headline(folders, monkeypatch):
    trained("ssim", {80_000: 0.3})
    trained("ssim", {100_000: 0.25}, decay_from=80_000)
    settle_all([DATASET], ["ssim"])
    scored = lambda run: SimpleNamespace(experiment=run)  # noqa: E731
    monkeypatch.setattr(headline, "find", scored)
    monkeypatch.setattr(
        headline,
        "learning_curve",
        lambda run: [scored(replace(run, patches_seen=seen)) for seen in (40_000, 90_000, 160_000)],
    )
    steps = gap_steps(DATASET)
    assert list(steps) == [
        "as printed, 90,000 patches",
        "fresh crops in eight symmetries, 80,000 patches",
        "learning rate decayed, 100,000 patches",
    ]
    printed, augmented, decayed = (result.experiment for result in steps.values())
    assert (printed.crops, printed.symmetries) == ("fixed", "none")
    assert augmented == replace(printed, crops="fresh", symmetries="all", patches_seen=80_000)
    assert decayed == replace(augmented, decay_from=80_000, patches_seen=100_000)


def test_images_that_were_looked_at_do_not_count(folders, monkeypatch):
    monkeypatch.setattr(headline, "trained_model", lambda run: (run.build_model(), "local"))
    experiment = Experiment(
        dataset=DATASET, method="l2", patch_size=32, latent_dim=4, patches_seen=64
    )
    assert unseen_auroc(experiment) is None
    scored = []
    evaluate = headline.evaluate_network
    monkeypatch.setattr(
        headline,
        "evaluate_network",
        lambda run, model, data: scored.append(data) or evaluate(run, model, data),
    )
    area = unseen_auroc(experiment, compute=True)
    assert [sample.name for sample in scored[0].test] == [
        sample.name for sample in load_dataset(DATASET).test[1:]
    ]
    assert area == unseen_auroc(experiment) and len(scored) == 1
