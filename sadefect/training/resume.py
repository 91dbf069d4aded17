"""Trainings in folders: one process at a time, resumed, or branched off another."""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sadefect.errors import StoreError
from sadefect.files import load_arrays, load_json, locked, save_json, whole
from sadefect.methods import Recipe
from sadefect.models import precision
from sadefect.patches import RandomPatches
from sadefect.provenance import made_by
from sadefect.training.loop import HISTORY, train
from sadefect.training.trajectory import checkpoint_path, milestones, state_path

PARTS = "parts.json"  # Who trained, as `parts_until` returns it.


@dataclass(frozen=True)
class Training:
    """Train a recipe with images, in a folder that holds its trajectory."""

    folder: Path  # A larger budget continues what it holds.
    recipe: Recipe
    # Gives the images to train on and those held out; called if there is something to train.
    read_images: Callable
    settings: Callable  # Gives what the trajectory depends on, plain JSON values; called likewise.
    label: str = "training"  # For the progress bar.
    trunk: "Training | None" = None  # The one that this one branches off, with a falling rate.
    decay_from: int = 0  # The patches seen at which it does; 0 for a constant rate.
    marks: Callable = milestones  # Of the budget: where weights are kept, and losses recorded.
    stop: Callable | None = None  # As `train` takes it; `best` is for those with one.

    def checkpoint(self, budget):
        """Train until ``budget`` patches were seen, or resume; return the path of the weights.

        Raises `TrainingDiverged` if going on would be a waste.
        """
        return self._until(budget, checkpoint_path(self.folder, budget))

    def state(self, budget):
        """Return the path of the whole state after ``budget`` patches; train if it was not kept."""
        return self._until(budget, state_path(self.folder, budget))

    def last_state(self, budget):
        """Return the path of the state that a training up to ``budget`` patches ended with."""
        ended = state_path(self.folder, budget)
        return ended if ended.exists() else self.folder / "state.npz"

    def best(self, budget):
        """Train until ``budget`` patches were seen, or it stopped early; find the best state.

        Returns the patches seen at the milestone with the least loss on held-out crops, that loss,
        NaN if none was recorded, and then it is the budget; and the path of the weights.
        """
        self._until(budget, checkpoint_path(self.folder, budget))
        marks, losses = self.marks(budget), {budget: np.nan}
        for seen, _, loss in loss_history(self.last_state(budget), budget)[0]["milestones"]:
            mark = max((mark for mark in marks if mark <= seen), default=-np.inf)
            # Budgets of earlier trainings are no milestones of this one.
            if seen - mark < self.recipe.optimisation.batch_size:
                losses[mark] = loss
        best = min(losses, key=lambda mark: (np.isnan(losses[mark]), losses[mark]))
        return best, losses[best], checkpoint_path(self.folder, best)

    def _until(self, budget, wanted):
        if wanted.exists():
            return wanted
        latest = self.folder / "state.npz"
        if self.trunk and not latest.exists():
            begin = self.trunk.state(self.decay_from)
            with one_process(self.folder), whole(latest) as temporary:
                if parts := parts_until(begin.parents[1], self.decay_from):
                    save_json(self.folder / PARTS, parts)
                shutil.copy(begin, temporary)
        with one_process(self.folder):
            if not wanted.exists():  # Else another process trained it while this one waited.
                self._train(budget, latest)
        return wanted

    def _train(self, budget, latest):
        images, held_out = self.read_images()
        recipe, seen, seconds = self.recipe, 0, 0.0
        options = {"crops": recipe.crops, "symmetries": recipe.symmetries}
        patches = RandomPatches(images, recipe.patch_size, recipe.n_patches, recipe.seed, **options)
        if latest.exists():
            try:
                state = load_arrays(latest)
                seen, seconds = int(state["patches_seen"]), float(state["seconds"])
            except StoreError as error:
                print(f"Training starts again: {error}")
                latest.unlink()
        # A trajectory cannot go back: an earlier point without a checkpoint is trained again.
        beyond = seen >= budget
        folder = self.folder / f"to-{budget}" if beyond else self.folder
        save_json(self.folder / "settings.json", self.settings())
        if not beyond:
            self._sign(seen, seconds)
        with precision(recipe.precision):
            model = recipe.build_model()
        train(
            model,
            recipe.build_loss(),
            patches,
            recipe.optimisation,
            budget,
            folder,
            label=self.label,
            # Weights within a decay are of use to nobody.
            keep=(lambda budget: [budget]) if self.decay_from else self.marks,
            decay=(self.decay_from, budget - self.decay_from) if self.decay_from else None,
            averaging=recipe.averaging,
            held_out=held_out,
            stop=self.stop,
        )
        if beyond:
            for path_of in (checkpoint_path, state_path):
                path_of(self.folder, budget).parent.mkdir(exist_ok=True)
                if path_of(folder, budget).exists():  # Unless it stopped early.
                    os.replace(path_of(folder, budget), path_of(self.folder, budget))
            shutil.rmtree(folder)

    def _sign(self, seen, seconds):
        """Write down who trains from here on, unless it is who did before."""
        parts = parts_until(self.folder, seen)
        here = made_by()
        if not parts or {name: parts[-1][name] for name in here} != here:
            save_json(self.folder / PARTS, [*parts, {"from": seen, "at": seconds} | here])


def parts_until(folder, patches_seen):
    """Return who trained which part of a trajectory, in order; [] where that was not written down.

    Dicts as `sadefect.provenance.made_by` returns them, with ``from``, the patches, and ``at``, the
    seconds of training that had been before.
    """
    path = Path(folder) / PARTS
    parts = load_json(path) if path.exists() else []
    return [part for part in parts if part["from"] < patches_seen]


def one_process(folder):
    """Allow one process at a time in a folder; others wait, and say so."""
    text = "another process trains this; waiting for its end"
    return locked(folder / "lock", lambda: print(text, file=sys.stderr, flush=True))


def loss_history(path, patches_seen):
    """Read the loss curves of a training up to some budget, and the seconds that they took.

    ``path`` is that of a state, or of what was recorded of one. Returns a dict of the arrays
    ``history_patches``, ``history_loss``, and ``milestones`` as `train` returns them, and seconds,
    which are None if there is no such file.
    """
    stored = load_arrays(path) if path.exists() else {"history": np.zeros((0, 2))}
    # The last mean of a curve may end a little after the budget.
    history, marks = (
        curve[curve[:, 0] <= patches_seen + HISTORY]
        for curve in (stored["history"], stored.get("milestones", np.zeros((0, 3))))
    )
    curves = {"history_patches": history[:, 0], "history_loss": history[:, 1], "milestones": marks}
    if "seconds" not in stored:
        return curves, None
    parts = parts_until(path.parent, np.inf)
    known = ((0, 0.0), *((part["from"], part["at"]) for part in parts))
    end = (int(stored["patches_seen"]), float(stored["seconds"]))
    # Those who trained parts of it took turns at rates of their own.
    return curves, float(np.interp(patches_seen, *zip(*known, end, strict=True)))
