"""Patches in, trained model out: checkpoints, exact resume, progress, early failure (section 4.2).

A training is one trajectory. Its coordinate is how many patches were seen; every state is a
function of the settings and that coordinate: a larger budget continues where a smaller one ended.
"""

import math
import os
import shutil
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from sadefect.errors import TrainingDiverged
from sadefect.files import load_arrays, save_arrays, whole
from sadefect.patches import RandomPatches
from sadefect.progress import progress

HISTORY = 1_000  # Patches between two points of the loss curve.
STATE_SECONDS = 60  # Between two resumable states on disk.
PAUSE = 60  # Seconds; a step that takes longer was a process that was stopped meanwhile.
FLAT = 1e-3  # A reconstruction this much flatter than its input is a constant one.
LAST_RATE = 0.01  # Of the constant rate, where a decay ends.
CROPS = 512  # Of each kind, whose loss is computed at milestones.
TURNED = 1.01  # A held-out loss this many times its least one has turned.


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


def keeps_state(mark, budget):
    """Whether the whole state is kept at a milestone, for a decay of the rate to branch off.

    Examples
    --------
    >>> [mark for mark in milestones(700_000) if keeps_state(mark, 700_000)]
    [80000, 160000, 320000, 640000, 700000]
    """
    return mark == budget or (mark % 80_000 == 0 and math.log2(mark / 80_000) % 1 == 0)


def state_path(folder, patches_seen):
    """Where a training keeps the whole state it had after so many patches."""
    return Path(folder) / "states" / f"{patches_seen:09d}.npz"


def decayed_rate(rate, seen, decay):
    """The learning rate at a coordinate: constant, then half a cosine down to `LAST_RATE` of it.

    Parameters
    ----------
    rate : float
        The constant rate.
    seen : int
        Patches seen.
    decay : (int, int) or None
        Patches seen at which the decay begins, and how many it lasts.

    Examples
    --------
    >>> [round(decayed_rate(1.0, seen, (100, 50)), 3) for seen in (0, 100, 125, 150)]
    [1.0, 1.0, 0.505, 0.01]
    """
    if decay is None:
        return rate
    begin, length = decay
    progressed = min(1.0, max(0.0, (seen - begin) / length))
    return rate * (LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * progressed)))


def crops_loss(model, loss, images, count=CROPS, seed=0):
    """Mean loss of a network on random crops of images, as they are.

    Parameters
    ----------
    model : keras.Model
    loss : keras.losses.Loss
    images : list of arrays (H, W)
    count : int
        How many crops; the same ones each time for a seed.
    seed : int

    Returns
    -------
    float
    """
    patches = RandomPatches(images, model.input_shape[1], count, seed)
    total, size = 0.0, 128
    for start in range(0, count, size):
        batch = patches.batch(start, min(size, count - start))
        outputs = model(batch, training=False)
        total += float(loss(keras.ops.convert_to_tensor(batch), outputs)) * len(batch)
    return total / count


def turned(curve):
    """Where the loss on held-out crops was least, if it has risen since; else None.

    Parameters
    ----------
    curve : array (N, 3)
        Patches seen, loss on training crops, loss on held-out crops.

    Returns
    -------
    int or None
        The patches seen at the least held-out loss, if the last one is more than 1 % above it.

    Examples
    --------
    >>> turned([[10, 0.5, 0.5], [20, 0.3, 0.4], [30, 0.2, 0.45]])
    20
    """
    curve = np.asarray(curve, "float64").reshape(-1, 3)
    held_out = curve[:, 2]
    if not len(curve) or not np.isfinite(held_out).any():
        return None
    least = int(np.nanargmin(held_out))
    # Of a loss that can be negative, such as a likelihood, by as much of its size.
    risen = held_out[-1] - held_out[least] > (TURNED - 1) * abs(held_out[least])
    return int(curve[least, 0]) if risen else None


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


def train(
    model,
    loss,
    patches,
    schedule,
    budget,
    folder,
    *,
    label="training",
    keep=milestones,
    decay=None,
    averaging=0.0,
    held_out=(),
):
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
    decay : (int, int), optional
        As in `decayed_rate`.
    averaging : float
        Checkpoints hold an exponential average of the weights with this momentum; 0 for the
        weights themselves.
    held_out : list of arrays (H, W)
        Defect-free images that are not trained on; the loss of their crops is recorded at
        milestones, beside that of crops of the training images.

    Returns
    -------
    dict
        ``patches_seen`` and ``loss`` (means over `HISTORY` patches); ``seconds`` spent so far;
        ``milestones``, an array ``(N, 3)`` of patches seen, loss on training crops and on held-out
        crops, the same crops each time, not augmented.

    Raises
    ------
    TrainingDiverged
        If the loss is not finite, or the reconstruction is the same gray everywhere.
    """
    folder = Path(folder)
    optimizer = keras.optimizers.Adam(
        schedule.learning_rate,
        weight_decay=schedule.weight_decay if schedule.decay == "decoupled" else None,
        use_ema=averaging > 0,
        ema_momentum=averaging or 0.99,
    )
    model.compile(optimizer=optimizer, loss=loss)
    optimizer.build(model.trainable_variables)
    latest = folder / "state.npz"
    seen, seconds, history, losses, curve = 0, 0.0, [], [], []
    if latest.exists():
        state = load_arrays(latest)
        load_weights(model, latest)
        for number, variable in enumerate(optimizer.variables):
            variable.assign(state[f"optimizer_{number:03d}"])
        seen, seconds = int(state["patches_seen"]), float(state["seconds"])
        history, losses = state["history"].tolist(), state["losses"].tolist()
        curve = state["milestones"].tolist() if "milestones" in state else []

    def save_state():
        save_arrays(
            latest,
            **_arrays("model", model.variables),
            **_arrays("optimizer", optimizer.variables),
            patches_seen=np.int64(seen),
            seconds=np.float64(seconds),
            history=np.array(history, "float64").reshape(-1, 2),
            losses=np.array(losses, "float64"),
            milestones=np.array(curve, "float64").reshape(-1, 3),
        )

    def save_checkpoint(mark):
        with _averaged(optimizer, model):
            if len(held_out):
                trained_on = crops_loss(model, loss, patches.images)
                curve.append([seen, trained_on, crops_loss(model, loss, held_out)])
            save_arrays(checkpoint_path(folder, mark), **_arrays("model", model.variables))

    size = schedule.batch_size
    pending = [mark for mark in keep(budget) if mark > seen or mark == budget]
    saved = last = time.monotonic()
    with progress(label, total=budget, unit="patches") as report:
        report(seen, loss=history[-1][1] if history else None)
        while pending:
            while pending and seen >= pending[0]:
                mark = pending.pop(0)
                if not checkpoint_path(folder, mark).exists():
                    save_checkpoint(mark)
                    save_state()
                    if keeps_state(mark, budget):
                        _link(latest, state_path(folder, mark))
                    if (least := turned(curve)) and least != seen:
                        print(
                            f"{label}: the loss on held-out crops was least after {least:,} "
                            f"patches, and is higher now; more training overfits",
                            file=sys.stderr,
                        )
                    last = time.monotonic()
            if not pending:
                break
            if decay:
                optimizer.learning_rate.assign(decayed_rate(schedule.learning_rate, seen, decay))
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
    history = np.array(history, "float64").reshape(-1, 2)
    return {
        "patches_seen": history[:, 0],
        "loss": history[:, 1],
        "seconds": seconds,
        "milestones": np.array(curve, "float64").reshape(-1, 3),
    }


@contextmanager
def _averaged(optimizer, model):
    """The model has its averaged weights meanwhile, where the optimizer keeps some."""
    if not optimizer.use_ema:
        yield
        return
    own = [keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables]
    optimizer.finalize_variable_values(model.trainable_variables)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, own, strict=True):
            variable.assign(value)


def _link(source, target):
    """A second name for a file, or a copy where the file system has no links."""
    with whole(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copy(source, temporary)


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
    from sadefect import ssim  # noqa: F401 - registers the classes.

    return keras.saving.load_model(path, safe_mode=True)


def one_thread():
    """Ask the backends for one thread; before the first import of keras only.

    Two one-thread trainings side by side use two cores better than one training with two.
    """
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, "1")
