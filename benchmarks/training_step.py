"""One training step with our SSIM, with the mean squared error, and with TensorFlow's SSIM."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import time

import keras
import numpy as np
import tensorflow as tf

from sadefect import SSIMLoss, build_autoencoder

BATCH, ROUNDS, WARM_UP = 16, 15, 3


def tensorflow_ssim(y_true, y_pred):
    return 1 - tf.image.ssim(y_true, y_pred, max_val=1.0)


def keras_ssim(y_true, y_pred):
    return 1 - keras.ops.image.ssim(y_true, y_pred, max_val=1.0)


def model(loss):
    built = build_autoencoder(latent_dim=500)
    built.compile(keras.optimizers.Adam(2e-4, weight_decay=1e-5), loss)
    return built


batch = np.random.default_rng(0).random((BATCH, 128, 128, 1), dtype="float32")
models = {
    "mean squared error": model("mse"),
    "sadefect SSIM, uniform": model(SSIMLoss(data_range=1.0)),
    "sadefect SSIM, Gaussian": model(SSIMLoss(data_range=1.0, window="gaussian")),
    "tf.image.ssim": model(tensorflow_ssim),
    "keras.ops.image.ssim": model(keras_ssim),
}
times = {name: [] for name in models}
for number in range(WARM_UP + ROUNDS):  # Taking turns, so that drift hits all alike.
    for name, one in models.items():
        start = time.perf_counter()
        one.train_on_batch(batch, batch)
        if number >= WARM_UP:
            times[name].append(time.perf_counter() - start)
ours = np.array(times["sadefect SSIM, uniform"])
print(f"{'loss':26} {'patches/s':>10} {'step time over ours':>20} {'over MSE':>9}")
for name, seconds in times.items():
    seconds = np.array(seconds)
    ratios = np.median(seconds / ours), np.median(seconds / np.array(times["mean squared error"]))
    print(f"{name:26} {BATCH / np.median(seconds):10.1f} {ratios[0]:20.2f} {ratios[1]:9.2f}")
