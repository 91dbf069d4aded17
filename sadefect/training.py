"""Patches in, trained model out: checkpoints, exact resume, progress, early failure (section 4.2).

A training is one trajectory. Its coordinate is how many patches were seen; every state is a
function of the settings and that coordinate: a larger budget continues where a smaller one ended.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from .errors import TrainingDiverged
from .files import load_arrays, save_arrays
from .progress import progress

HISTORY = 1_000  # Patches between two points of the loss curve.
STATE_SECONDS = 60  # Between two resumable states on disk.
PAUSE = 60  # Seconds; a step that takes longer was a process that was stopped meanwhile.
FLAT = 1e-3  # A reconstruction this much flatter than its input is a constant one.


@dataclass(frozen=True)
class Schedule:
    """How the loss is minimised; section 4.2 gives Adam's rate and decay, but no batch size."""

    batch_size: int
    learning_rate: float
    weight_decay: float = 1e-5
    # Or "l2", a penalty in the loss as PyTorch's Adam has with weight_decay, but of kernels only:
    # PyTorch's takes biases too.
    decay: str = "decoupled"


SCHEDULES = {
    # The paper's optimiser; 128 is the batch size of most public code.
    "paper": Schedule(batch_size=128, learning_rate=2e-4),
    # On a CPU steps count, not patches: chosen by the training loss alone.
    "cpu": Schedule(batch_size=16, learning_rate=5e-4),
    # Learns sooner, and is not ahead for long: the page on performance compares the three.
    "small": Schedule(batch_size=8, learning_rate=5e-4),
}


def milestones(budget):
    """Numbers of patches at which a checkpoint is kept: steps of sqrt 2, and the budget.

    Examples
    --------
    >>> milestones(30_000)
    [10000, 14000, 20000, 28000, 30000]
    """
    marks, step = [], 0
    while (mark := round(10_000 * 2 ** (step / 2), -3)) < budget:
        marks.append(int(mark))
        step += 1
    return [*marks, budget]


def checkpoint_path(folder, patches_seen):
    """Where a training keeps its weights after so many patches."""
    return Path(folder) / "checkpoints" / f"{patches_seen:09d}.npz"


def load_weights(model, path):
    """Set a model's variables from a checkpoint; returns the model.

    Raises
    ------
    ValueError
        If the checkpoint belongs to another network.
    """
    arrays = load_arrays(path)
    names = [f"model_{number:03d}" for number in range(len(model.variables))]
    found = [tuple(arrays[name].shape) for name in names if name in arrays]
    wanted = [tuple(variable.shape) for variable in model.variables]
    if found != wanted:
        raise ValueError(f"{path} belongs to another network: expected {wanted}, got {found}")
    for name, variable in zip(names, model.variables, strict=True):
        variable.assign(arrays[name].astype(variable.dtype))
    return model


def _arrays(prefix, variables):
    return {
        f"{prefix}_{number:03d}": keras.ops.convert_to_numpy(variable)
        for number, variable in enumerate(variables)
    }


def train(model, loss, patches, schedule, budget, folder, *, label="training", keep=milestones):
    """Train until ``budget`` patches were seen, from wherever ``folder`` left off.

    Parameters
    ----------
    model : keras.Model
        Untrained and not compiled; its initial weights are those of the trajectory.
    loss : keras.losses.Loss
        Of patches and reconstructions.
    patches : RandomPatches
    schedule : Schedule
    budget : int
        Patches to see in all; the last batch is whole, so that up to ``batch_size - 1`` more are.
    folder : path
        Gets ``state.npz`` (the last resumable state) and ``checkpoints/`` (weights at milestones).
    label : str
        For the progress bar.
    keep : callable
        Takes the budget, gives the numbers of patches after which weights are kept, in ascending
        order and the budget last.

    Returns
    -------
    dict
        ``patches_seen`` and ``loss`` (means over `HISTORY` patches), and ``seconds`` spent so far.

    Raises
    ------
    TrainingDiverged
        If the loss is not finite, or the reconstruction is the same gray everywhere.
    """
    folder = Path(folder)
    optimizer = keras.optimizers.Adam(
        schedule.learning_rate,
        weight_decay=schedule.weight_decay if schedule.decay == "decoupled" else None,
    )
    model.compile(optimizer=optimizer, loss=loss)
    optimizer.build(model.trainable_variables)
    state_path = folder / "state.npz"
    seen, seconds, history, losses = 0, 0.0, [], []
    if state_path.exists():
        state = load_arrays(state_path)
        load_weights(model, state_path)
        for number, variable in enumerate(optimizer.variables):
            variable.assign(state[f"optimizer_{number:03d}"])
        seen, seconds = int(state["patches_seen"]), float(state["seconds"])
        history, losses = state["history"].tolist(), state["losses"].tolist()

    def save_state():
        save_arrays(
            state_path,
            **_arrays("model", model.variables),
            **_arrays("optimizer", optimizer.variables),
            patches_seen=np.int64(seen),
            seconds=np.float64(seconds),
            history=np.array(history, "float64").reshape(-1, 2),
            losses=np.array(losses, "float64"),
        )

    size = schedule.batch_size
    pending = [mark for mark in keep(budget) if mark > seen or mark == budget]
    saved = last = time.monotonic()
    with progress(label, total=budget, unit="patches") as report:
        report(seen, loss=history[-1][1] if history else None)
        while pending:
            while pending and seen >= pending[0]:
                path = checkpoint_path(folder, pending.pop(0))
                if not path.exists():
                    save_arrays(path, **_arrays("model", model.variables))
                    save_state()
            if not pending:
                break
            batch = patches.batch(seen, size)
            losses.append(float(model.train_on_batch(batch, batch)))
            seen += size
            now = time.monotonic()
            seconds, last = seconds + (now - last if now - last < PAUSE else 0), now
            if len(losses) * size >= HISTORY:
                mean = float(np.mean(losses))
                history.append([seen, mean])
                losses.clear()
                _check(model, batch, mean, seen, schedule)
                report(seen, loss=mean)
            # Not past a milestone: resuming from there would miss its checkpoint.
            if now - saved > STATE_SECONDS and seen < pending[0]:
                save_state()
                saved = last = time.monotonic()
    curve = np.array(history, "float64").reshape(-1, 2)
    return {"patches_seen": curve[:, 0], "loss": curve[:, 1], "seconds": seconds}


def _check(model, batch, loss, seen, schedule):
    """Stop early where going on is a waste."""
    if not np.isfinite(loss):
        raise TrainingDiverged(
            f"expected a finite loss; got {loss} after {seen:,} patches; lower the learning rate "
            f"(now {schedule.learning_rate:g}) and look for NaN in the images"
        )
    # Of a VAE with a learned variance the second channel is its logarithm, far from the first.
    spread = float(np.std(np.asarray(model.predict_on_batch(batch))[..., 0]))
    if seen >= 10_000 and spread < FLAT * float(np.std(batch)):
        raise TrainingDiverged(
            f"expected a reconstruction; after {seen:,} patches every patch gives the same gray "
            f"(standard deviation {spread:.2g}); try another seed, a lower learning rate, or "
            "images with more contrast"
        )


def load_model(path):
    """A saved Keras model, in a process that has not used `sadefect` before too.

    `keras.saving.load_model` cannot find `SSIMLoss` unless its module was imported; this imports it
    first, and refuses files that would run code.

    Parameters
    ----------
    path : path
        A ``.keras`` file.

    Returns
    -------
    keras.Model
    """
    from . import ssim  # noqa: F401 - registers the classes.

    return keras.saving.load_model(path, safe_mode=True)


def one_thread():
    """Ask the backends for one thread; before the first import of keras only.

    Two one-thread trainings side by side use two cores better than one training with two.
    """
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, "1")
