"""A training is one trajectory, however often it is interrupted."""

import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from sadefect import RandomPatches, SSIMLoss, TrainingDiverged, build_autoencoder, build_vae
from sadefect.files import load_arrays
from sadefect.models import GaussianLoss
from sadefect.training import Schedule, checkpoint_path, load_weights, milestones, train

SCHEDULE = Schedule(batch_size=4, learning_rate=1e-3)


def texture(seed=0):
    rows, columns = np.mgrid[:64, :80] / 5
    noise = np.random.default_rng(seed).normal(0, 0.02, rows.shape)
    return np.clip(0.5 + 0.4 * np.sin(rows) * np.sin(columns) + noise, 0, 1).astype("float32")


def run(folder, budget, *, schedule=SCHEDULE, images=None, loss=None, keep=lambda budget: [budget]):
    keras.utils.set_random_seed(0)
    model = build_autoencoder(32, 4)
    patches = RandomPatches(images or [texture()], 32, count=50)
    loss = loss or SSIMLoss(data_range=1.0, window_size=7)
    return model, train(model, loss, patches, schedule, budget, folder, keep=keep)


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
def test_a_constant_output_stops(tmp_path, variance):
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
        train(model, loss, patches, schedule, 12_000, tmp_path)


SCRIPT = """
import sys; sys.path.insert(0, {tests!r})
import test_training, sadefect.training
sadefect.training.STATE_SECONDS = 0
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
