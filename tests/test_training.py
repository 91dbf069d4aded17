"""A training is one trajectory, however often it is interrupted."""

import os
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from sadefect import RandomPatches, SSIMLoss, TrainingDiverged, build_autoencoder, build_vae
from sadefect.files import load_arrays
from sadefect.losses import GaussianLoss
from sadefect.methods import Schedule
from sadefect.models import precision
from sadefect.training import loop
from sadefect.training.loop import load_weights, train
from sadefect.training.trajectory import checkpoint_path, milestones, state_path

SCHEDULE = Schedule(batch_size=4, learning_rate=1e-3)

pytestmark = pytest.mark.usefixtures("small_networks")


def texture(seed=0):
    rows, columns = np.mgrid[:64, :80] / 5
    noise = np.random.default_rng(seed).normal(0, 0.02, rows.shape)
    return np.clip(0.5 + 0.4 * np.sin(rows) * np.sin(columns) + noise, 0, 1).astype("float32")


def run(
    folder,
    budget,
    *,
    schedule=SCHEDULE,
    images=None,
    loss=None,
    keep=lambda budget: [budget],
    **options,
):
    keras.utils.set_random_seed(0)
    model = build_autoencoder(32, 4)
    patches = RandomPatches(images or [texture()], 32, count=50)
    loss = loss or SSIMLoss(data_range=1.0, window_size=7)
    return model, train(model, loss, patches, schedule, budget, folder, keep=keep, **options)


def test_the_loss_falls(tmp_path):
    loss = run(tmp_path, 3000, loss=keras.losses.MeanSquaredError())[1]["loss"]
    assert loss[-1] < 0.8 * loss[0]


def test_a_larger_budget_continues_exactly(tmp_path):
    straight, _ = run(tmp_path / "straight", 120)
    run(tmp_path / "parts", 40)
    resumed, _ = run(tmp_path / "parts", 120)
    for one, other in zip(straight.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    states = [load_arrays(tmp_path / name / "state.npz") for name in ("straight", "parts")]
    assert states[0].keys() == states[1].keys()
    for name in set(states[0]) - {"seconds"}:
        np.testing.assert_array_equal(states[0][name], states[1][name])


def test_milestones_have_checkpoints_that_load(tmp_path):
    model, _ = run(tmp_path, 80, keep=lambda budget: [40, 80])
    again = load_weights(build_autoencoder(32, 4), checkpoint_path(tmp_path, 80))
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    middle = load_weights(build_autoencoder(32, 4), checkpoint_path(tmp_path, 40))
    assert not np.array_equal(middle.get_weights()[0], model.get_weights()[0])
    with pytest.raises(ValueError, match="another network"):
        load_weights(build_autoencoder(32, 5), checkpoint_path(tmp_path, 80))


def test_milestones_end_with_the_budget():
    assert milestones(2_000_000)[-1] == 2_000_000
    assert milestones(5) == [5]
    assert set(milestones(100_000)[:-1]) < set(milestones(1_000_000))


def test_nan_stops_at_once(tmp_path):
    schedule = Schedule(batch_size=4, learning_rate=1e30)
    with pytest.raises(TrainingDiverged, match="lower the learning rate"):
        run(tmp_path, 4000, schedule=schedule, loss=keras.losses.MeanSquaredError())


@pytest.mark.parametrize("variance", [None, "learned"])
def test_a_constant_output_stops(tmp_path, variance, monkeypatch):
    assert loop.FLAT_FROM == 10_000
    monkeypatch.setattr(loop, "FLAT_FROM", 1_000)
    noise = np.random.default_rng(0).random((64, 64), dtype="float32")
    schedule = Schedule(batch_size=32, learning_rate=1e-12)
    keras.utils.set_random_seed(0)
    model, loss = build_autoencoder(32, 1), keras.losses.MeanSquaredError()
    if variance:
        model, loss = build_vae(32, 1, variance=variance), GaussianLoss()
        # Its second channel, the logarithm of the variance, is another constant.
        model.get_layer("decoder").get_layer("deconv1").bias.assign([0.5, -3.0])
    kernel = model.get_layer("decoder").get_layer("deconv9").kernel
    kernel.assign(np.zeros(kernel.shape))
    patches = RandomPatches([noise], 32, count=50)
    with pytest.raises(TrainingDiverged, match="same gray"):
        train(model, loss, patches, schedule, 3_000, tmp_path)


SCRIPT = """
import sys; sys.path.insert(0, {tests!r})
import test_training, sadefect.training.loop
sadefect.training.loop.STATE_SECONDS = 0
print("ready", flush=True)
test_training.run(sys.argv[1], 2000)
"""


@pytest.mark.slow
def test_kill_9_loses_nothing(tmp_path):
    script = SCRIPT.format(tests=os.path.dirname(__file__))
    rng = np.random.default_rng(0)
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "killed")], stdout=subprocess.PIPE
        )
        process.stdout.readline()
        time.sleep(rng.uniform(2, 6))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    killed, _ = run(tmp_path / "killed", 2000)
    straight, _ = run(tmp_path / "straight", 2000)
    for one, other in zip(killed.get_weights(), straight.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_decay_branches_off_a_trajectory(tmp_path):
    run(tmp_path / "trunk", 80)
    branch, straight = tmp_path / "branch", tmp_path / "straight"
    branch.mkdir()
    shutil.copy(state_path(tmp_path / "trunk", 80), branch / "state.npz")
    branched, _ = run(branch, 120, decay=(80, 40))
    whole, _ = run(straight, 120, decay=(80, 40))
    for one, other in zip(branched.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    constant, _ = run(tmp_path / "trunk", 120)
    assert not np.array_equal(constant.get_weights()[0], whole.get_weights()[0])
    assert float(whole.optimizer.learning_rate) < 0.1 * SCHEDULE.learning_rate


def test_a_training_that_begins_again_keeps_its_states_too(tmp_path):
    run(tmp_path, 80)
    before = load_arrays(state_path(tmp_path, 80))
    for path in (tmp_path / "state.npz", state_path(tmp_path, 80)):
        path.unlink()
    run(tmp_path, 80)
    again = load_arrays(state_path(tmp_path, 80))
    for name in set(before) - {"seconds"}:
        np.testing.assert_array_equal(before[name], again[name])


def both(budget):
    return [40, budget]


def test_a_training_that_begins_again_records_its_losses_again(tmp_path):
    watched = {"keep": both, "held_out": [texture(seed=1)]}
    _, before = run(tmp_path, 80, **watched)
    (tmp_path / "state.npz").unlink()  # The weights of its milestones are still there.
    _, again = run(tmp_path, 80, **watched)
    np.testing.assert_array_equal(before["milestones"], again["milestones"])
    assert again["milestones"][:, 0].tolist() == [40, 80]


def test_a_process_killed_at_a_milestone_leaves_nothing_out(tmp_path, monkeypatch):
    monkeypatch.setattr("sadefect.training.loop.keeps_state", lambda mark, budget: True)
    watched = {"keep": both, "held_out": [texture(seed=1)]}
    _, before = run(tmp_path, 80, **watched)
    state_path(tmp_path, 40).replace(tmp_path / "state.npz")  # Saved, and not linked yet.
    kept = load_arrays(tmp_path / "state.npz")
    _, again = run(tmp_path, 80, **watched)
    for name, array in load_arrays(state_path(tmp_path, 40)).items():
        np.testing.assert_array_equal(array, kept[name])
    np.testing.assert_array_equal(before["milestones"], again["milestones"])


def test_averaged_weights_are_saved_and_the_trajectory_stays(tmp_path):
    plain, _ = run(tmp_path / "plain", 80)
    averaged, _ = run(tmp_path / "averaged", 80, averaging=0.9)
    for one, other in zip(plain.get_weights(), averaged.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    saved = load_weights(build_autoencoder(32, 4), checkpoint_path(tmp_path / "averaged", 80))
    assert not np.array_equal(saved.get_weights()[0], plain.get_weights()[0])


def test_held_out_losses_are_recorded_at_milestones(tmp_path):
    _, watched = run(
        tmp_path, 80, keep=lambda budget: [40, budget], held_out=[texture(seed=1)], averaging=0.9
    )
    assert watched["milestones"][:, 0].tolist() == [40, 80]
    assert (watched["milestones"][:, 1:] > 0).all()
    unwatched, _ = run(tmp_path / "unwatched", 80, averaging=0.9)
    again, curve = run(tmp_path, 80, held_out=[texture(seed=1)], averaging=0.9)
    np.testing.assert_array_equal(curve["milestones"], watched["milestones"])
    for one, other in zip(unwatched.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_training_says_when_the_held_out_loss_turns(tmp_path, monkeypatch, capsys):
    losses = iter([0.5, 0.5, 0.4, 0.6])
    monkeypatch.setattr("sadefect.training.loop.crops_loss", lambda *_: next(losses))
    run(tmp_path, 80, keep=lambda budget: [40, budget], held_out=[texture()])
    assert "least after 40 patches" in capsys.readouterr().err


@pytest.mark.parametrize("build", [build_autoencoder, build_vae])
def test_mixed_precision_keeps_the_output_in_float32(build):
    batch = np.random.default_rng(0).random((2, 32, 32, 1), dtype="float32")
    with precision("mixed_bfloat16"):
        mixed = build(32, 4)
    plain = build(32, 4)
    plain.set_weights(mixed.get_weights())
    output = mixed(batch)
    assert keras.backend.standardize_dtype(output.dtype) == "float32"
    assert plain.get_layer("encoder").get_layer("conv1").compute_dtype == "float32"
    output, exact = (keras.ops.convert_to_numpy(one) for one in (output, plain(batch)))
    assert 0 < np.abs(output - exact).max() < 0.05 * np.abs(exact).max() + 0.01
    # The last layer adds its bias and sums in float32: more than bfloat16's 8 bits of fraction.
    assert len(np.unique(output)) > 256
