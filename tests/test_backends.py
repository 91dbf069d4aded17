"""The same code on every backend that is installed: one step of training, one value of SSIM."""

import importlib.util
import os
import subprocess
import sys

import pytest

SCRIPT = """
import numpy as np, keras
from sadefect import SSIMLoss, anomaly_map, build_autoencoder, ssim
rng = np.random.default_rng(0)
x, y = rng.random((2, 40, 300), dtype="float32")
print(keras.backend.backend(), float(ssim(x, y, data_range=1.0)))
keras.utils.set_random_seed(0)
model = build_autoencoder(32, 4)
weights = [rng.normal(0, 0.05, w.shape) for w in model.get_weights()]
model.set_weights(weights)
model.compile(keras.optimizers.Adam(1e-3, weight_decay=1e-5), SSIMLoss(data_range=1.0))
batch = rng.random((4, 32, 32, 1), dtype="float32")
print(*[float(model.train_on_batch(batch, batch)) for _ in range(3)])
print(float(anomaly_map(model, x[:, :60]).residual.mean()))
"""


def run(backend):
    name, *numbers = run_script(SCRIPT, backend)
    assert name == backend
    return numbers


def run_script(script, backend):
    """Return what a script prints under a backend: numbers, and names as they are."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    words = done.stdout.split()
    return [word if word.isalpha() else float(word) for word in words]


@pytest.mark.torch
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_backends_agree(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    assert run(backend) == pytest.approx(run("tensorflow"), abs=2e-4)


MANY_STEPS = """
import tempfile
import keras, numpy as np
from sadefect.backends import jax as own
from sadefect.methods import Recipe
from sadefect.patches import RandomPatches
from sadefect.training import loop
rng = np.random.default_rng(0)
images = [rng.random((40, 50), dtype="float32") for _ in range(2)]
recipe = Recipe(patch_size=32, latent_dim=4, crops="fresh", symmetries="all")
patches = RandomPatches(images, 32, crops="fresh", symmetries="all")
for steps in (own.ManySteps, own.many_steps):
    loop.many_steps = steps
    folder = tempfile.mkdtemp()
    for budget in (200, 400):
        curve = loop.train(
            recipe.build_model(), recipe.build_loss(), patches, recipe.optimisation, budget, folder,
            held_out=images, decay=(160, 240),
        )["milestones"]  # The second training goes on from the first.
    print(*curve[-1])
"""


@pytest.mark.torch
def test_steps_on_the_device_are_those_of_the_host():
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    rows = run_script(MANY_STEPS, "jax")
    assert rows[:3] == pytest.approx(rows[3:], rel=1e-4)
