"""Training steps of table 1's network: losses, backends and batch sizes, beside plain PyTorch."""

import os
from pathlib import Path

import numpy as np

from sadefect import build_autoencoder
from sadefect.methods import PRECISIONS

from ._measure import (
    Worker,
    gflop,
    installed,
    peak,
    ratio,
    report,
    taking_turns,
    workers_taking_turns,
)

CORES = os.cpu_count()
LOSSES = ("mse", "ssim", "tf.image.ssim", "keras.ops.image.ssim")
PATCHES = 192  # Of one turn, at least; fewer are noisy with small batches.
SIZES = (8, 16, 32, 128)
BACKENDS = {
    "Keras on TensorFlow": ("keras_training", "tensorflow"),
    "Keras on PyTorch": ("keras_training", "torch"),
    "Keras on JAX": ("keras_training", "jax"),
    "PyTorch, channels last": ("torch_training", "torch"),
}


def repeats(size):
    return max(1, PATCHES // size)


def losses():
    times = workers_taking_turns(
        {loss: Worker("keras_training", loss, 16, repeats=repeats(16)) for loss in LOSSES}
    )
    report(
        "training-losses",
        ("loss", "patches/s", "step over MSE", "step over ours"),
        [
            (
                loss,
                float(PATCHES / np.median(found)),
                ratio(times, loss, "mse"),
                ratio(times, loss, "ssim"),
            )
            for loss, found in times.items()
        ],
        f"Keras on TensorFlow, d = 500, batches of 16, {CORES} cores.",
    )


def backends():
    limit = peak() / (3 * gflop(build_autoencoder(latent_dim=500)))
    names = ["Keras on TensorFlow"]
    names += ["Keras on PyTorch", "PyTorch, channels last"] if installed("torch") else []
    names += ["Keras on JAX"] if installed("jax") else []
    rows = []
    for size in SIZES:
        workers = {
            name: Worker(step, "mse", size, repeats=repeats(size), backend=backend)
            for name, (step, backend) in BACKENDS.items()
            if name in names
        }
        times = workers_taking_turns(workers, rounds=5)
        for name, found in times.items():
            speed = float(size * repeats(size) / np.median(found))
            rows.append((name, size, speed, ratio(times, names[0], name), speed / limit))
    report(
        "training-backends",
        ("what", "batch", "patches/s", "over Keras on TensorFlow", "of the peak"),
        rows,
        f"Mean squared error, d = 500, {CORES} cores. At the machine's peak of float32 matrix "
        f"products it would be {limit:.0f} patches/s.",
    )


def precisions():
    """Steps in bfloat16 beside float32; the processor's flags say whether it has units for it."""
    limits = {}
    for size in (16, 128):
        workers = {
            name: Worker("keras_training", "ssim", size, name, repeats=repeats(size), threads=1)
            for name in PRECISIONS
        }
        limits[size] = workers_taking_turns(workers, rounds=3)
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
    units = [flag for flag in ("amx_bf16", "avx512_bf16") if flag in flags]
    report(
        "training-precision",
        ("batch", "precision", "patches/s", "speed over float32"),
        [
            (
                size,
                name,
                float(size * repeats(size) / np.median(times[name])),
                ratio(times, "float32", name),
            )
            for size, times in limits.items()
            for name in PRECISIONS
        ],
        "SSIM, d = 500, one thread, Keras on TensorFlow. Units for bfloat16 here: "
        f"{', '.join(units) or 'none'}.",
    )


def augmentation(size=16):
    """What a batch of crops costs, beside the step that is taken with it."""
    made = {"fixed": ("fixed", "none"), "augmented": ("fresh", "all")}
    workers = {
        name: Worker("patches", *options, size, repeats=repeats(size), threads=1)
        for name, options in made.items()
    }
    workers["step"] = Worker("keras_training", "ssim", size, repeats=repeats(size), threads=1)
    times = workers_taking_turns(workers, rounds=5)
    report(
        "training-augmentation",
        ("what", "ms a batch", "share of a step"),
        [
            (name, float(1000 * np.median(times[name]) / repeats(size)), ratio(times, name, "step"))
            for name in ("fixed", "augmented", "step")
        ],
        f"Batches of {size} crops of 128 pixels; fixed crops, or fresh ones in all eight "
        "symmetries. One thread.",
    )


def side_by_side():
    """One training on all cores, one on each, or one on one while the others are idle."""
    settings = {"repeats": repeats(16)}
    together = Worker("keras_training", "ssim", 16, **settings)
    apart = [Worker("keras_training", "ssim", 16, threads=1, **settings) for _ in range(CORES)]

    for worker in (together, *apart):
        worker.wait()

    def all_at_once():
        for worker in apart:
            worker.begin()
        for worker in apart:
            worker.until("done")

    ways = {"together": together, "apart": all_at_once, "alone": apart[0]}
    times = taking_turns(ways, warm_up=1)
    for worker in (together, *apart):
        worker.close()
    speeds = [float(PATCHES / np.median(times["together"]))]
    speeds.append(float(CORES * PATCHES / np.median(times["apart"])))
    speeds.append(float(PATCHES / np.median(times["alone"])))
    report(
        "training-workers",
        ("trainings", "patches/s in all", "over the first"),
        [
            (f"one on {CORES} cores", speeds[0], 1.0),
            (f"{CORES} on one core each", speeds[1], CORES / ratio(times, "apart", "together")),
            ("one on one core", speeds[2], 1 / ratio(times, "alone", "together")),
        ],
        "SSIM, d = 500, batches of 16, Keras on TensorFlow.",
    )


losses()
precisions()
augmentation()
backends()
side_by_side()
