"""Keys, the store, recorded results, and what happens to damaged and half-written ones."""

import json
import multiprocessing
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from sadefect import Experiment, learning_curve, run
from sadefect.errors import DatasetNotFound, StoreError
from sadefect.features import SHAPES, TORCHVISION
from sadefect.figures.origins import origin
from sadefect.files import load_arrays, load_json, save_arrays, save_json, store_folder
from sadefect.methods import METHODS
from sadefect.paper import headline
from sadefect.paper import run as running
from sadefect.paper.comparisons import at_one_budget, over_seeds
from sadefect.paper.headline import pictured
from sadefect.paper.jobs import Costs
from sadefect.paper.recording import (
    GROUPS,
    branches,
    record,
    record_weights,
    score,
    train_group,
)
from sadefect.paper.store import find, stored_results, training_folder
from sadefect.provenance import commit, this_machine, training_seconds
from sadefect.training.trajectory import checkpoint_path

RECORDED = Path(__file__).resolve().parents[1] / "recorded"
TINY = Experiment(
    dataset="synthetic/fibres-tiny", latent_dim=4, patch_size=32, window_size=7, patches_seen=64
)
HEADLINE = Experiment(dataset="nanotwice", patches_seen=640_000)

pytestmark = pytest.mark.usefixtures("small_networks")


@pytest.fixture(autouse=True)
def empty_store(tmp_path, monkeypatch):
    """No store and no recorded results but this test's own."""
    monkeypatch.setenv("SADEFECT_CACHE", str(tmp_path / "store"))
    monkeypatch.delenv("SADEFECT_RETRAIN", raising=False)
    monkeypatch.delenv("SADEFECT_REEVALUATE", raising=False)
    recorded = tmp_path / "recorded"
    monkeypatch.setenv("SADEFECT_RECORDED", str(recorded))
    return recorded


@pytest.fixture(autouse=True)
def no_tracing():
    """Few steps of a small network are quicker without making graphs first."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow

    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)


def count_trainings(monkeypatch):
    calls = []
    train = running.train_experiment
    monkeypatch.setattr(
        running, "train_experiment", lambda *args: (calls.append(args), train(*args))[1]
    )
    return calls


def test_a_result_is_computed_once(monkeypatch):
    calls = count_trainings(monkeypatch)
    first, second = run(TINY), run(TINY)
    assert len(calls) == 1
    assert first.metrics == second.metrics and first.source == "local"
    assert 0 <= first.metrics["auroc"] <= 1 and 0 <= first.metrics["aupro"] <= 1
    np.testing.assert_array_equal(first.curves["tpr"], second.curves["tpr"])
    assert {"commit", "versions", "machine", "seconds", "data"} <= first.provenance.keys()
    assert json.loads(json.dumps(first.row()))["patches_seen"] == 64


def test_scoring_otherwise_does_not_train_again(monkeypatch):
    calls = count_trainings(monkeypatch)
    plain = run(TINY)
    opened = run(replace(TINY, opening=0))
    l2 = run(replace(TINY, residual="l2"))
    assert len(calls) == 1
    assert len({result.metrics["auroc"] for result in (plain, opened, l2)}) == 3
    assert plain.experiment.variant == "default" and "opening=0" in opened.experiment.variant


def test_a_larger_budget_continues(monkeypatch):
    run(TINY)
    state = training_folder(TINY) / "state.npz"
    before = np.load(state)["patches_seen"]
    larger = replace(TINY, patches_seen=128)
    run(larger)
    assert before == 64 and np.load(state)["patches_seen"] == 128
    curve = learning_curve(TINY)
    assert [result.experiment.patches_seen for result in curve] == [64, 128]
    assert train_group([TINY], 128) == 128
    both = at_one_budget([TINY, replace(TINY, patches_seen=128)], compute=False)
    assert [result.experiment.patches_seen for result in both] == [128, 128]


def test_a_smaller_budget_is_the_same_as_without_the_larger_one():
    small = replace(TINY, patches_seen=32)
    run(TINY)
    after = np.load(running.train_experiment(small))["model_000"]
    shutil.rmtree(store_folder())
    np.testing.assert_array_equal(after, np.load(running.train_experiment(small))["model_000"])


def test_recorded_results_are_found_without_data_or_weights(empty_store, monkeypatch):
    result = run(TINY)
    record([result])
    shutil.rmtree(store_folder())
    monkeypatch.setattr(running, "load_dataset", lambda *args: pytest.fail("data were read"))
    again = run(TINY)
    assert again.source == "recorded" and again.metrics == result.metrics
    assert [result.source for result in stored_results()] == ["recorded"]
    assert not list(empty_store.rglob("checkpoints"))


def test_flags_ignore_what_was_recorded(empty_store, monkeypatch):
    record([run(TINY)])
    record_weights(TINY)
    weights = checkpoint_path(empty_store / "trainings" / TINY.training_key, 64)
    assert np.load(weights)["model_000"].dtype == np.float16
    shutil.rmtree(store_folder())
    calls = count_trainings(monkeypatch)
    monkeypatch.setenv("SADEFECT_REEVALUATE", "1")
    again = run(TINY)
    assert not calls and again.source == "local" and again.provenance["weights"] == "recorded"
    shutil.rmtree(store_folder())
    monkeypatch.setenv("SADEFECT_RETRAIN", "1")
    assert run(TINY).provenance["weights"] == "local"
    assert len(calls) == 1


@pytest.mark.parametrize("name", ["result.json", "curves.npz"])
def test_a_damaged_result_is_built_again(name, capsys):
    metrics = run(TINY).metrics
    path = store_folder() / "evaluations" / TINY.evaluation_key / name
    path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(UserWarning, match="left out"):
        assert stored_results(["local"]) == []
    assert run(TINY).metrics == metrics
    assert "Computing again" in capsys.readouterr().out


def test_a_result_of_another_version_is_kept():
    run(TINY)
    path = store_folder() / "evaluations" / TINY.evaluation_key / "result.json"
    stored = load_json(path)
    stored["experiment"]["sharpness"] = 2
    save_json(path, stored)
    with pytest.warns(UserWarning, match="another's"):
        assert stored_results(["local"]) == []
    with pytest.raises(StoreError, match="sharpness"):
        run(TINY)
    assert path.exists()


def test_settings_that_a_method_does_not_own_are_not_read():
    run(TINY)
    path = store_folder() / "evaluations" / TINY.evaluation_key / "result.json"
    stored = load_json(path)
    foreign = {"features": "of an earlier version", "variance": "of another method"}
    save_json(path, stored | {"experiment": stored["experiment"] | foreign})
    assert find(TINY).experiment == TINY
    assert [result.experiment for result in stored_results(["local"])] == [TINY]


def test_a_damaged_state_starts_again(capsys):
    run(TINY)
    state = training_folder(TINY) / "state.npz"
    state.write_bytes(b"not an archive")
    run(replace(TINY, patches_seen=128))
    assert "starts again" in capsys.readouterr().out
    assert np.load(state)["patches_seen"] == 128


def _run_in_process(queue):
    queue.put(run(TINY).metrics["auroc"])


@pytest.mark.slow
def test_two_processes_train_once():
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_run_in_process, args=(queue,)) for _ in range(2)]
    for process in processes:
        process.start()
    values = [queue.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    assert values[0] == values[1]


def test_smoothing_has_results_of_its_own_and_changes_no_other_name():
    smooth = replace(TINY, smoothing=2.0)
    assert "smoothing" not in TINY.evaluation_settings
    assert smooth.evaluation_settings["smoothing"] == 2
    assert smooth.evaluation_key != TINY.evaluation_key
    assert len(list(RECORDED.glob(f"evaluations/{HEADLINE.evaluation_key}"))) == 1
    assert run(smooth).metrics["auroc"] != run(TINY).metrics["auroc"]


def test_keys_depend_on_what_matters_only():
    assert Experiment(dataset="nanotwice").latent_dim == 500
    assert Experiment(dataset="mvtec_ad/grid").latent_dim == 100
    base = Experiment(dataset="synthetic/fibres")
    for change in ({"seed": 1}, {"window": "gaussian"}, {"c1": 0.01}, {"train": "all"},
                   {"schedule": "paper"}, {"decay": "l2"}, {"latent_dim": 50}):  # fmt: skip
        assert replace(base, **change).training_key != base.training_key, change
    for change in ({"stride": 32}, {"opening": 0}, {"average": "maps"}, {"patches_seen": 5},
                   {"residual_window_size": 7}, {"residual": "l2"}):  # fmt: skip
        changed = replace(base, **change)
        assert changed.training_key == base.training_key, change
        assert changed.evaluation_key != base.evaluation_key, change
    l2 = Experiment(dataset="synthetic/fibres", method="l2")
    assert replace(l2, window_size=7, residual_window_size=7).evaluation_key == l2.evaluation_key


@pytest.mark.parametrize(
    "change", [{"method": "l3"}, {"schedule": "fast"}, {"patches_seen": 0}, {"train": "some"}]
)
def test_unusable_settings_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        Experiment(**{"dataset": "nanotwice", **change})


def test_results_of_other_numerics_or_data_are_marked():
    result = run(TINY)
    path = store_folder() / "evaluations" / TINY.evaluation_key / "result.json"
    stored = load_json(path)
    for changed in ({"numerics": {"training": 0, "scoring": 0}}, {"data": "theirs"}):
        save_json(path, stored | {"provenance": stored["provenance"] | changed})
        assert not result.outdated and find(TINY).outdated
        assert learning_curve(TINY) == [] and at_one_budget([TINY], compute=False) == []


def test_missing_weights_say_how_to_get_them():
    with pytest.raises(StoreError, match=r"train_experiment\(experiment\)"):
        running.trained_model(replace(TINY, patches_seen=9_999))


def test_recorded_weights_are_short_and_close():
    path = running.train_experiment(TINY)
    exact, short = np.load(path), np.load(record_weights(TINY))
    for name in exact.files:
        assert short[name].dtype == np.float16
        np.testing.assert_allclose(short[name], exact[name], rtol=2**-7.5, atol=1e-6)


def test_groups_compare_what_shares_a_budget():
    for name, group in GROUPS.items():
        assert len(set(group)) == len(group) > 1, name
        assert len({experiment.training_key for experiment in group}) == len(group), name
        assert len({experiment.patches_seen for experiment in group}) == 1
    assert len(GROUPS["table2"]) == 11  # 13 cells, of which three are the headline's.
    assert len(GROUPS["table2-augmented"]) == 11


def test_branches_leave_their_trunks_within_the_budget():
    assert branches(GROUPS["nanotwice"]) == branches(GROUPS["augmented"], 100_000) == []
    branched = {name for name, group in GROUPS.items() if branches(group)}
    assert branched == {"ablation"} | {name for name in GROUPS if "augmented" in name}
    for trunks in map(GROUPS.get, branched):
        decayed = branches(trunks, 200_000)
        assert {(branch.decay_from, branch.patches_seen) for branch in decayed} == {
            (160_000, 200_000)
        }
        assert [branch.trunk for branch in decayed] == [
            replace(trunk, patches_seen=160_000) for trunk in trunks
        ]


def test_feature_matching_is_known_without_its_weights(monkeypatch):
    monkeypatch.delenv("SADEFECT_WEIGHTS", raising=False)
    matching = Experiment(dataset="nanotwice", method="feature_matching")
    assert matching.training_settings["extractor"] == TORCHVISION
    assert "extractor" not in replace(matching, method="ssim", residual=None).training_settings


def test_a_shorter_training_replaces_no_recorded_curve(empty_store):
    record([run(replace(TINY, patches_seen=128))])
    shutil.rmtree(store_folder())
    record([run(TINY)])
    history = np.load(empty_store / "trainings" / TINY.training_key / "history.npz")
    assert history["patches_seen"] == 128


def test_seeds_are_compared_at_the_largest_budget_that_they_share():
    l2 = replace(TINY, method="l2", residual="l2")
    assert over_seeds([TINY]) == []
    for experiment in (TINY, replace(TINY, seed=1), replace(TINY, patches_seen=128), l2):
        run(experiment)
    [group] = over_seeds([replace(TINY, seed=5)])
    assert [(result.experiment.seed, result.experiment.patches_seen) for result in group] == [
        (0, 64),
        (1, 64),
    ]
    assert over_seeds([TINY, l2]) == []  # l2 has one seed only.


def test_images_are_drawn_by_a_network_whose_weights_are_here(empty_store, monkeypatch):
    names = {"patch_size": 32, "latent_dim": 4, "window_size": 7}
    drawn_by = replace(TINY, seed=1)
    record([run(replace(TINY, patches_seen=128)), run(drawn_by)])
    shutil.rmtree(store_folder())
    [chosen] = pictured([TINY.dataset], ["ssim"], **names)[TINY.dataset]
    assert chosen.experiment.patches_seen == 128  # No weights at all.
    running.train_experiment(drawn_by)
    record_weights(drawn_by)
    [chosen] = pictured([TINY.dataset], ["ssim"], **names)[TINY.dataset]
    assert (chosen.experiment.seed, chosen.experiment.patches_seen) == (1, 64)
    monkeypatch.setattr(headline, "load_dataset", _not_here)
    [chosen] = pictured([TINY.dataset], ["ssim"], **names)[TINY.dataset]
    assert (chosen.experiment.seed, chosen.experiment.patches_seen) == (0, 128)


def _not_here(name):
    raise DatasetNotFound(name)


@pytest.mark.slow
def test_points_of_a_curve_are_scored_side_by_side():
    running.train_experiment(TINY)
    curve = score([TINY], 64)
    assert [(result.experiment.patches_seen, result.source) for result in curve] == [(64, "local")]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_trained_and_scored(method, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)  # For feature matching, weights that nobody trained.
    untrained = {name: rng.normal(0, 0.02, shape) for name, shape in SHAPES.items()}
    np.savez(tmp_path / "alexnet.npz", **untrained)
    monkeypatch.setenv("SADEFECT_WEIGHTS", str(tmp_path))
    result = run(replace(TINY, method=method, residual=None))
    assert result.experiment.residual == METHODS[method].residual
    assert 0 <= result.metrics["auroc"] <= 1 and result.curves["history_patches"].size == 0
    assert (result.provenance["settings"].get("extractor") is None) == (
        method != "feature_matching"
    )


def test_a_decayed_branch_leaves_its_trunk_as_it_is(tmp_path):
    trunk = replace(TINY, crops="fresh", symmetries="all")
    branch = replace(trunk, patches_seen=80, decay_from=64)
    assert branch.trunk == trunk
    assert branch.training_key != trunk.training_key
    assert branch.training_key != replace(branch, patches_seen=96).training_key
    result = run(branch)  # Trains its trunk as well.
    assert result.losses[1] > 0
    state = training_folder(trunk) / "states" / f"{64:09d}.npz"
    assert load_arrays(state)["patches_seen"] == 64
    before = state.read_bytes()
    running.train_experiment(replace(trunk, patches_seen=96))
    assert state.read_bytes() == before
    # A trunk whose state was not kept is trained to it again.
    state.unlink()
    weights = load_arrays(checkpoint_path(training_folder(branch), 80))
    shutil.rmtree(training_folder(branch))
    running.train_experiment(branch)
    again = load_arrays(checkpoint_path(training_folder(branch), 80))
    for name, array in weights.items():
        np.testing.assert_array_equal(array, again[name])


def test_a_network_trained_in_parts_names_who_trained_each(empty_store, monkeypatch):
    trunk = replace(TINY, crops="fresh", symmetries="all")
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("sadefect.backends.card", lambda: "some card")
        alone = run(trunk)
    assert alone.on_card and "until" not in origin(alone).data
    # Continued here, and branched off that; a process that resumes where nothing changed is as one.
    for experiment in (replace(trunk, patches_seen=96), replace(trunk, patches_seen=128).branch):
        result = run(experiment)
        parts = result.provenance["trained_by"]
        assert [part["from"] for part in parts] == [0, 64]
        assert ["card" in part["machine"] for part in parts] == [True, False]
        assert "card" not in result.provenance["machine"] and result.on_card
        seconds = [part["seconds"] for part in parts]
        assert sum(seconds) == pytest.approx(result.provenance["seconds"]["training"])
        assert min(seconds) > 0 and result.curves["history_loss"].shape == (0,)
        assert "until 64 by" in origin(result).data
        assert training_seconds(result.provenance) == {True: seconds[0], False: seconds[1]}
    assert run(replace(trunk, opening=0)).provenance["trained_by"] == alone.provenance["trained_by"]
    Costs()  # Learns from neither.
    # Without a state nobody knows how long the last part took.
    (training_folder(trunk) / "state.npz").rename(training_folder(trunk) / "elsewhere.npz")
    last = run(replace(trunk, patches_seen=96, opening=0)).provenance["trained_by"][-1]
    assert last["seconds"] is None and last["from"] == 64
    (training_folder(trunk) / "elsewhere.npz").rename(training_folder(trunk) / "state.npz")
    record([run(replace(trunk, patches_seen=96))])
    assert (empty_store / "trainings" / trunk.training_key / "parts.json").exists()


def test_a_decayed_branch_is_compared_with_any_budget():
    branch = replace(TINY, patches_seen=200, decay_from=160)
    assert not branch.equals(TINY, but=["patches_seen"])
    assert branch.equals(TINY, but=["patches_seen", "decay_from"])


@pytest.mark.parametrize(
    "wrong", [{"decay_from": 100, "patches_seen": 100}, {"precision": "float16"}, {"averaging": 1}]
)
def test_settings_of_training_are_checked(wrong):
    with pytest.raises(ValueError, match="must"):
        Experiment(dataset="synthetic/weave", **wrong)


def test_a_damaged_archive_is_a_store_error_whatever_byte_is_wrong(tmp_path):
    path = tmp_path / "arrays.npz"
    values = np.random.default_rng(0).integers(9, size=500)
    save_arrays(path, compressed=True, values=values)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with suppress(StoreError):  # A byte that says nothing of the arrays may be wrong unnoticed.
            np.testing.assert_array_equal(load_arrays(path).get("values", values), values)
    with pytest.raises(FileNotFoundError):
        load_arrays(tmp_path / "none.npz")


def test_provenance_names_the_card_the_sharing_and_the_commit_of_a_copy(monkeypatch):
    monkeypatch.setattr("sadefect.backends.card", lambda: "some card")
    monkeypatch.setenv("SADEFECT_AT_ONCE", "3")
    assert this_machine() | {"processor": "x", "cores": 1} == {
        "processor": "x", "cores": 1, "card": "some card", "at_once": 3,
    }  # fmt: skip
    monkeypatch.setenv("SADEFECT_COMMIT", "abc123")
    assert commit() != "abc123"  # This is no copy.
    monkeypatch.setenv("PATH", "")
    assert commit() == "abc123"
