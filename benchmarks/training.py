"""Training steps of table 1's network: losses, backends and batch sizes, beside plain PyTorch."""

import os
import subprocess
import sys

import numpy as np

from ._measure import gflop, installed, peak, ratio, report, taking_turns

LOSSES = ("mse", "ssim", "tf.image.ssim", "keras.ops.image.ssim")
PATCHES = 64  # In one turn.


class Trainer:
    """A process of its own, since one process has one backend; it trains when it is called."""

    def __init__(self, backend, loss, size, threads):
        environment = os.environ | {
            "KERAS_BACKEND": "tensorflow" if backend == "torch" else backend,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "OMP_WAIT_POLICY": "PASSIVE",
        }
        for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
            environment[name] = str(threads)
        if backend == "keras-torch":
            environment["KERAS_BACKEND"] = "torch"
        self.steps = max(1, PATCHES // size)
        self.patches = self.steps * size
        command = [sys.executable, "-m", "benchmarks._trainer", backend, loss, size, self.steps]
        self.process = subprocess.Popen(
            list(map(str, command)),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def wait(self):
        for line in self.process.stdout:  # Some backends talk.
            if line.strip() == "ready":
                return
        sys.exit(f"{self.process.args} did not start")

    def begin(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self):
        self.process.stdout.readline()

    def __call__(self):
        self.begin()
        self.end()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measured(settings, rounds=10):
    """Seconds per patch of trainers with these (backend, loss, batch size, threads), in turns."""
    trainers = {one: Trainer(*one) for one in settings}
    for trainer in trainers.values():
        trainer.wait()
    times = taking_turns(trainers, rounds, warm_up=1)
    found = {one: times[one] / trainers[one].patches for one in settings}
    for trainer in trainers.values():
        trainer.close()
    return found


def side_by_side(size, cores, rounds=10):
    """Two designs for the cores of a machine: a training on all, or one on each."""
    together = Trainer("tensorflow", "ssim", size, cores)
    alone = [Trainer("tensorflow", "ssim", size, 1) for _ in range(cores)]
    for trainer in (together, *alone):
        trainer.wait()

    def all_at_once():
        for trainer in alone:
            trainer.begin()
        for trainer in alone:
            trainer.end()

    times = taking_turns({"one": together, "several": all_at_once}, rounds, warm_up=1)
    for trainer in (together, *alone):
        trainer.close()
    patches = np.array([together.patches, cores * together.patches])
    return [float(n / np.median(times[name])) for n, name in zip(patches, times, strict=True)]


def main():
    from sadefect import build_autoencoder

    cores = os.cpu_count()
    limit = peak() / (3 * gflop(build_autoencoder(latent_dim=500)))
    losses = [("tensorflow", loss, 16, cores) for loss in LOSSES]
    found = measured(losses)
    times = {loss: found[one] for loss, one in zip(LOSSES, losses, strict=True)}
    report(
        "training-losses",
        ("loss", "patches/s", "step over MSE", "step over ours"),
        [
            (
                loss,
                float(1 / np.median(found)),
                ratio(times, loss, "mse"),
                ratio(times, loss, "ssim"),
            )
            for loss, found in times.items()
        ],
        f"Keras on TensorFlow, d = 500, batches of 16, {cores} cores.",
    )
    backends = ["tensorflow"]
    backends += ["keras-torch", "torch"] if installed("torch") else []
    backends += ["jax"] if installed("jax") else []
    rows = []
    for size in (8, 16, 32, 128):
        found = measured([(one, "mse", size, cores) for one in backends], rounds=6)
        for backend, *_ in found:
            speed = 1 / np.median(found[backend, "mse", size, cores])
            over = ratio(found, ("tensorflow", "mse", size, cores), (backend, "mse", size, cores))
            rows.append((NAMES[backend], size, float(speed), over, float(speed / limit)))
    report(
        "training-backends",
        ("what", "batch", "patches/s", "over Keras on TensorFlow", "of the peak"),
        rows,
        f"Mean squared error, d = 500, {cores} cores. At the machine's peak of float32 matrix "
        f"products it would be {limit:.0f} patches/s.",
    )
    together, apart = side_by_side(16, cores)
    report(
        "training-workers",
        ("trainings", "patches/s in all", "over the first"),
        [
            (f"one on {cores} cores", together, 1.0),
            (f"{cores} on one core each", apart, apart / together),
        ],
        "SSIM, d = 500, batches of 16, Keras on TensorFlow.",
    )


NAMES = {
    "tensorflow": "Keras on TensorFlow",
    "keras-torch": "Keras on PyTorch",
    "jax": "Keras on JAX",
    "torch": "PyTorch, channels last",
}
if __name__ == "__main__":
    main()
