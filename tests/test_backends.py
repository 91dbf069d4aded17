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
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    name, *numbers = done.stdout.split()
    assert name == backend
    return [float(number) for number in numbers]


@pytest.mark.torch
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_backends_agree(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    assert run(backend) == pytest.approx(run("tensorflow"), abs=2e-4)
