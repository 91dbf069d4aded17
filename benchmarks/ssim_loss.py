"""SSIM of a batch and its gradient: ours, and that of every library at hand, 11x11 windows."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # Two libraries' threads, one at a time.

import keras
import numpy as np

from sadefect import SSIMLoss

from ._measure import installed, ratio, report, taking_turns

BATCH = 16
x, y = np.random.default_rng(0).random((2, BATCH, 128, 128, 1), dtype="float32")


def in_tensorflow(loss):
    import tensorflow as tf

    truth, drawn = tf.constant(x), tf.constant(y)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            tape.watch(drawn)
            value = loss(truth, drawn)
        return tape.gradient(value, drawn)

    return lambda: step().numpy()


def in_torch(loss):
    import torch

    truth, drawn = (torch.from_numpy(one.transpose(0, 3, 1, 2).copy()) for one in (x, y))
    drawn.requires_grad_(True)

    def step():
        drawn.grad = None
        loss(truth, drawn).backward()

    return step


def peers():
    import tensorflow as tf

    def theirs(ssim, **options):
        def loss(a, b):
            return 1 - tf.reduce_mean(ssim(a, b, 1.0, **options))

        return in_tensorflow(loss)

    ours = SSIMLoss(data_range=1.0)
    gaussian = SSIMLoss(data_range=1.0, window="gaussian")
    yield "sadefect, uniform", in_tensorflow(ours.__call__)
    yield "sadefect, Gaussian", in_tensorflow(gaussian.__call__)
    yield "tf.image.ssim", theirs(tf.image.ssim)
    yield "keras.ops.image.ssim", theirs(keras.ops.image.ssim)
    if installed("torch", "pytorch_msssim"):
        import pytorch_msssim

        yield "pytorch-msssim", in_torch(lambda a, b: 1 - pytorch_msssim.ssim(a, b, data_range=1.0))
    if installed("torch", "piq"):
        import piq

        yield "piq", in_torch(lambda a, b: 1 - piq.ssim(a, b.clamp(0, 1), data_range=1.0))
    if installed("torch", "torchmetrics"):
        from torchmetrics.functional.image import structural_similarity_index_measure as measure

        yield "torchmetrics", in_torch(lambda a, b: 1 - measure(b, a, data_range=1.0))


times = taking_turns(dict(peers()), rounds=20, warm_up=4)
report(
    "ssim_loss",
    ("SSIM and its gradient", "ms", "over ours"),
    [
        (name, 1e3 * float(np.median(found)), ratio(times, name, "sadefect, uniform"))
        for name, found in times.items()
    ],
    f"A batch of {BATCH} patches of 128x128 pixels, {os.cpu_count()} cores.",
)
losses = {size: SSIMLoss(data_range=1.0, window_size=size) for size in (3, 7, 11, 15, 19)}
times = taking_turns(
    {size: in_tensorflow(loss.__call__) for size, loss in losses.items()}, rounds=20, warm_up=4
)
report(
    "ssim_loss-window",
    ("window", "ms", "over the smallest"),
    [(size, 1e3 * float(np.median(found)), ratio(times, size, 3)) for size, found in times.items()],
    "The matrices are as large for every window: neither time nor memory grows with it.",
)
