"""Points of a trajectory: where weights and states are kept, and how the rate and the loss go."""

import math
from pathlib import Path

import numpy as np

LAST_RATE = 0.01  # Of the constant rate, where a decay ends.
TURNED = 1.01  # A held-out loss this many times its least one has turned.


def milestones(budget, first=10_000):
    """List numbers of patches at which a checkpoint is kept: steps of sqrt 2, and the budget.

    Examples
    --------
    >>> milestones(30_000)
    [10000, 14000, 20000, 28000, 30000]
    """
    marks, step = [], 0
    while (mark := round(first * 2 ** (step / 2), -3)) < budget:
        marks.append(int(mark))
        step += 1
    return [*marks, budget]


def keeps_state(mark, budget):
    """Tell whether the whole state is kept at a milestone, for a decay of the rate to branch off.

    Examples
    --------
    >>> [mark for mark in milestones(700_000) if keeps_state(mark, 700_000)]
    [80000, 160000, 320000, 640000, 700000]
    """
    return mark == budget or (mark % 80_000 == 0 and math.log2(mark / 80_000) % 1 == 0)


def checkpoint_path(folder, patches_seen):
    """Return where a training keeps its weights after so many patches."""
    return Path(folder) / "checkpoints" / f"{patches_seen:09d}.npz"


def state_path(folder, patches_seen):
    """Return where a training keeps the whole state it had after so many patches."""
    return Path(folder) / "states" / f"{patches_seen:09d}.npz"


def decayed_rate(rate, seen, decay):
    """Return the rate at a coordinate: constant, then half a cosine down to `LAST_RATE` of it.

    ``decay`` has the patches seen at which the decay begins, and how many it lasts; None for none.

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


def turned(curve):
    """Find where the loss on held-out crops was least, if it has risen since; else None.

    ``curve`` has rows of patches seen, loss on training crops, loss on held-out crops. Returns the
    patches seen at the least held-out loss, if the last one is more than 1 % above it.

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


def risen(curve, patience):
    """Tell whether the held-out loss is above its least one at the last ``patience`` milestones.

    Examples
    --------
    >>> curve = [[10, 0.5, 0.5], [20, 0.3, 0.4], [30, 0.2, 0.45], [40, 0.1, 0.5]]
    >>> risen(curve, 2), risen(curve, 3)
    (True, False)
    """
    return all(turned(curve[: len(curve) - back]) for back in range(patience))
