"""The loop: patches in, trained network out, with checkpoints and early failure."""

import os
import shutil
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np

from sadefect.backends import many_steps
from sadefect.errors import TrainingDiverged, TrainingStopped
from sadefect.files import load_arrays, save_arrays, whole
from sadefect.patches import RandomPatches
from sadefect.progress import progress
from sadefect.training.stopping import STOPPING
from sadefect.training.trajectory import (
    checkpoint_path,
    decayed_rate,
    keeps_state,
    milestones,
    state_path,
    turned,
)

HISTORY = 1_000  # Patches between two points of the loss curve.
STATE_SECONDS = 30  # Between two resumable states on disk.
CALL_SECONDS = 1.0  # Of many steps at once, about; reports and requests to end wait for them.
PAUSE = 60  # Seconds; a step that takes longer was a process that was stopped meanwhile.
FLAT = 1e-3  # A reconstruction this much flatter than its input is a constant one.
FLAT_FROM = 10_000  # Patches seen, before which it may be one still.
CROPS = 512  # Of each kind, whose loss is computed at milestones; a multiple of 128.


def load_weights(model, path):
    """Set a model's variables from a checkpoint, and return it; `ValueError` if they do not fit."""
    arrays = load_arrays(path)
    names = [f"model_{number:03d}" for number in range(len(model.variables))]
    stored = [arrays[name].shape for name in names if name in arrays]
    expected = [tuple(variable.shape) for variable in model.variables]
    if stored != expected:
        raise ValueError(f"{path} belongs to another network: expected {expected}, got {stored}")
    for name, variable in zip(names, model.variables, strict=True):
        variable.assign(arrays[name].astype(variable.dtype))
    return model


def crops_loss(model, loss, images):
    """Compute the mean loss of a network on random crops of images, the same ones each time."""
    patches, size = RandomPatches(images, model.input_shape[1], CROPS), 128
    batches = (patches.batch(start, size) for start in range(0, CROPS, size))
    losses = (
        loss(keras.ops.convert_to_tensor(batch), model(batch, training=False)) for batch in batches
    )
    return sum(float(value) * size for value in losses) / CROPS


class OneStep:
    """Take a training step a call, as every backend can; see `sadefect.backends.many_steps`."""

    LONGEST = 1

    def __init__(self, model, patches, size):
        self.model, self.patches, self.size = model, patches, size

    def __call__(self, seen, rates):
        """Take a step at the learning rate, from the coordinate on; return a list of its loss."""
        self.model.optimizer.learning_rate.assign(rates[0])
        batch = self.patches.batch(seen, self.size)
        return [float(self.model.train_on_batch(batch, batch))]

    def settle(self):
        """Do nothing: the model has the variables that it has."""


def prepare(model, loss, patches, schedule, averaging=0.0):
    """Compile a model, and return its optimizer and what takes its training steps.

    Parameters are those of `train`.
    """
    optimizer = keras.optimizers.Adam(
        schedule.learning_rate,
        weight_decay=schedule.weight_decay if schedule.decay == "decoupled" else None,
        use_ema=averaging > 0,
        ema_momentum=averaging or 0.99,
    )
    model.compile(optimizer=optimizer, loss=loss)
    optimizer.build(model.trainable_variables)
    size = schedule.batch_size
    return optimizer, many_steps(model, patches, size) or OneStep(model, patches, size)


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
    stop=None,
):
    """Train until ``budget`` patches were seen, from wherever ``folder`` left off.

    The model is untrained and not compiled; its initial weights are those of the trajectory.
    ``patches`` are `RandomPatches`, the schedule is a `Schedule`. The last batch is whole, so that
    up to ``batch_size - 1`` patches more than the budget are seen. The folder gets ``state.npz``
    (the last resumable state) and ``checkpoints/`` (weights at milestones).

    Parameters
    ----------
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
    stop : callable, optional
        Takes the rows of ``milestones`` so far, after each of them; the training ends early where
        it returns true.

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
    TrainingStopped
        If the process was asked to end; the next call goes on from the saved state.
    """
    folder = Path(folder)
    optimizer, steps = prepare(model, loss, patches, schedule, averaging)
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

    size, at_once = schedule.batch_size, 1

    def save_state():
        steps.settle()
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

    # One that the state has just reached may lack a file: the process was killed there.
    pending = [mark for mark in keep(budget) if mark > seen - size or mark == budget]
    if stop and stop(curve):
        pending = []
    saved = last = time.monotonic()
    with progress(label, total=budget, unit="patches") as report:
        report(seen, loss=history[-1][1] if history else None)
        while pending:
            while pending and seen >= pending[0]:
                mark = pending.pop(0)
                steps.settle()
                weights = checkpoint_path(folder, mark)
                # What a process that was killed here had done already stays as it is.
                with _averaged(optimizer, model):
                    if len(held_out) and not (curve and curve[-1][0] == seen):
                        trained_on = crops_loss(model, loss, patches.images)
                        curve.append([seen, trained_on, crops_loss(model, loss, held_out)])
                    if not weights.exists():
                        save_arrays(weights, **_arrays("model", model.variables))
                save_state()
                kept = state_path(folder, mark)
                if keeps_state(mark, budget) and not kept.exists():
                    _link(latest, kept)
                if (least := turned(curve)) and least != seen:
                    print(
                        f"{label}: the loss on held-out crops was least after {least:,} "
                        "patches, and is higher now; more training overfits",
                        file=sys.stderr,
                    )
                if stop and stop(curve):
                    pending = []
                last = time.monotonic()
            if not pending:
                break
            if STOPPING.is_set():
                save_state()
                raise TrainingStopped(f"{label} stopped after {seen:,} patches; run again to go on")
            count = min(at_once, -(-(pending[0] - seen) // size))
            coordinates = [seen + number * size for number in range(count)]
            rates = [decayed_rate(schedule.learning_rate, at, decay) for at in coordinates]
            known = len(history)
            for at, value in zip(coordinates, steps(seen, rates), strict=True):
                losses.append(float(value))
                seen = at + size
                if len(losses) * size >= HISTORY:
                    history.append([seen, float(np.mean(losses))])
                    losses.clear()
            now = time.monotonic()
            spent = now - last
            seconds, last = seconds + (spent if spent < PAUSE else 0), now
            if spent < CALL_SECONDS / 2:
                at_once = min(2 * at_once, steps.LONGEST)
            if len(history) > known:
                steps.settle()
                mean = history[-1][1]
                _check(model, patches.batch(seen - size, size), mean, seen, schedule)
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
    """Give the model its averaged weights meanwhile, where the optimizer keeps some."""
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
    """Give a file a second name, or copy it where the file system has no links."""
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
            f"(now {schedule.learning_rate:g}), and look for NaN in the images and for gray values "
            "further apart than the loss's data_range"
        )
    # Of a VAE with a learned variance the second channel is its logarithm, far from the first.
    spread = float(np.std(np.asarray(model.predict_on_batch(batch))[..., 0]))
    if seen >= FLAT_FROM and spread < FLAT * float(np.std(batch)):
        raise TrainingDiverged(
            f"expected a reconstruction; after {seen:,} patches every patch gives the same gray "
            f"(standard deviation {spread:.2g}); try another seed, a lower learning rate, or "
            "images with more contrast"
        )
