"""Training of a detector's network: symmetries are tried out, and the best state is kept."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from sadefect.detector.defaults import LEAST_TRIAL, TRIAL
from sadefect.methods import Recipe, settings_digest
from sadefect.patches import RandomPatches
from sadefect.training.loop import load_weights
from sadefect.training.resume import Training, loss_history
from sadefect.training.trajectory import milestones, risen

FIRST = 2_000  # Patches before held-out images are scored for the first time.
AGREE = 1.01  # Symmetries are the texture's if the held-out loss is at most so many times as high.
LEARNT = 0.75  # Of the loss of flat gray patches: above it, a trial has learnt nothing yet.
PATIENCE = 2  # Milestones at which the held-out loss has risen before training stops.


@dataclass(frozen=True)
class Learning:
    """Trains networks of a recipe on images, in the folder ``place``.

    ``settings`` takes a recipe and gives what its trajectory depends on.
    """

    place: Path
    recipe: Recipe
    settings: Callable
    images: list
    held_out: list

    def training(self, symmetries, label="training"):
        """Return the `Training` with patches in some symmetries."""
        recipe = replace(self.recipe, symmetries=symmetries)
        settings = self.settings(recipe)
        return Training(
            self.place / settings_digest(settings),
            recipe,
            lambda: (self.images, self.held_out),
            lambda: settings,
            label,
            marks=partial(milestones, first=FIRST),
            stop=partial(risen, patience=PATIENCE),
        )

    def learn(self, budget, symmetries):
        """Train up to a budget; return the network, its curve ``(N, 2)``, seconds and a record.

        The record, plain values, has the symmetries, the losses of their trials, how many patches
        were trained on, and after how many of them the state was best, which is that of the
        network.
        """
        tried = {}
        if symmetries == "auto":
            symmetries, tried = self.choose(budget)
        training = self.training(symmetries)
        seen, _, weights = training.best(budget)
        network = load_weights(training.recipe.build_model(), weights)
        curves, seconds = loss_history(training.last_state(budget), budget)
        history = np.stack([curves["history_patches"], curves["history_loss"]], axis=-1)
        marks = curves["milestones"]
        trained = min(budget, int(marks[-1, 0])) if len(marks) else budget
        return network, history, seconds, {
            "symmetries": symmetries,
            "trials": tried,
            "trained": trained,
            "best": seen,
        }  # fmt: skip

    def choose(self, budget):
        """Return the symmetries that held-out images agree with, and the losses of the trials.

        Those with more members contain half turns, so that these are tried before them. The trial
        of what is chosen is the beginning of the training, and is not lost.
        """
        trial = budget // TRIAL
        if trial < LEAST_TRIAL:
            return "none", {}
        losses = {}

        def agrees(name):
            losses[name] = self.training(name, f"trying {name}").best(trial)[1]
            return losses[name] <= losses["none"] + (AGREE - 1) * abs(losses["none"])

        agrees("none")
        if losses["none"] > LEARNT * self.flat_loss() or not agrees("half_turns"):
            return "none", losses
        chosen = [name for name in ("mirrors", "turns") if agrees(name)]
        if len(chosen) == 2 and agrees("all"):
            return "all", losses
        return min(chosen or ["half_turns"], key=losses.get), losses

    def flat_loss(self):
        """Compute the loss of patches of held-out images that become their mean gray value."""
        patches = RandomPatches(self.held_out, self.recipe.patch_size, 128).batch(0, 128)
        flat = np.broadcast_to(patches.mean(axis=(1, 2), keepdims=True), patches.shape)
        return float(self.recipe.build_loss()(patches, np.ascontiguousarray(flat)))


def sentence(record, budget):
    """Say how a training went, in words, from the record of `Learning.learn`."""
    symmetries = record["symmetries"]
    text = ""
    if record["trials"]:
        losses = ", ".join(f"{name} {loss:.3f}" for name, loss in record["trials"].items())
        text = (
            f"Patches are shown in symmetries: {symmetries} (held-out loss in trials: {losses}). "
        )
    if record["trained"] < budget:
        return (
            f"{text}Training stopped after {record['trained']:,} patches: the loss on held-out "
            f"images has been rising since {record['best']:,}, and the weights of that point are "
            "kept. More training overfits; more images would help"
        )
    if record["best"] < budget:
        return (
            f"{text}The loss on held-out images was least after {record['best']:,} patches, whose "
            "state is kept; more training may not help"
        )
    if budget <= FIRST:  # There is but one loss.
        return text.rstrip(". ")
    return f"{text}The loss on held-out images was still falling: more patches would help"
