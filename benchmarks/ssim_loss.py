"""SSIM of a batch and its gradient: ours, and that of every library at hand, windows of 11x11."""

import os

import numpy as np

from ._measure import Worker, installed, ratio, report, workers_taking_turns

BATCH = 16
TENSORFLOW = {
    "sadefect, uniform": "uniform",
    "sadefect, Gaussian": "gaussian",
    "tf.image.ssim": "tf.image",
    "keras.ops.image.ssim": "keras.ops.image",
}
TORCH = {"pytorch-msssim": "pytorch_msssim", "piq": "piq", "torchmetrics": "torchmetrics"}

workers = {
    name: Worker("tensorflow_ssim", one, BATCH, repeats=5) for name, one in TENSORFLOW.items()
}
for name, package in TORCH.items():
    if installed("torch", package):
        workers[name] = Worker("torch_ssim", name, BATCH, repeats=5)
times = workers_taking_turns(workers)
report(
    "ssim_loss",
    ("SSIM and its gradient", "ms", "over ours"),
    [
        (name, 1e3 * float(np.median(found)) / 5, ratio(times, name, "sadefect, uniform"))
        for name, found in times.items()
    ],
    f"A batch of {BATCH} patches of 128x128 pixels, {os.cpu_count()} cores.",
)
sizes = (3, 7, 11, 15, 19)
times = workers_taking_turns(
    {size: Worker("tensorflow_ssim", "uniform", BATCH, size, repeats=5) for size in sizes}
)
report(
    "ssim_loss-window",
    ("window", "ms", "over the smallest"),
    [
        (size, 1e3 * float(np.median(found)) / 5, ratio(times, size, sizes[0]))
        for size, found in times.items()
    ],
    "The matrices are as large for every window: neither time nor memory grows with it.",
)
