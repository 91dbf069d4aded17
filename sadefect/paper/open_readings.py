"""Lists what the paper leaves open: each question, our reading, and the other one, to measure."""

from dataclasses import dataclass, replace

from sadefect.paper.comparisons import at_one_budget
from sadefect.paper.experiment import Experiment
from sadefect.paper.run import run
from sadefect.paper.store import find, stored_results


@dataclass(frozen=True)
class Reading:
    """One open question: what the paper does not say, or says in two ways.

    ``ours`` is the default, with its reason, and ``other`` what else it may mean; ``changes`` are
    settings of `Experiment` that make it, ``method`` that with which it is measured; ``only`` is
    the data set that it is about, if it is about one.
    """

    question: str
    ours: str
    other: str
    changes: dict
    method: str = "ssim"
    only: str = ""

    def pair(self, dataset, **settings):
        """Return experiments of both readings, the default first."""
        default = Experiment(dataset=dataset, method=self.method, **settings)
        return default, replace(default, **self.changes)

    @property
    def trains(self):
        """Return whether the other reading needs a training of its own."""
        default, other = self.pair(self.only or "synthetic/fibres")
        return default.training_key != other.training_key


def _in_map_or_both(what, ours, other, **changes):
    """Make two readings of a setting of SSIM: in the residual map alone, and in the loss too."""
    residual = {f"residual_{name}": value for name, value in changes.items()}
    return (
        Reading(f"{what} in the residual map", ours, other, residual),
        Reading(f"{what}, in loss and residual map", ours, other, changes | residual),
    )


READINGS = (
    *_in_map_or_both(
        "Constants of SSIM",
        "squared, 1e-4 and 9e-4, as SSIM was defined",
        "0.01 and 0.03, as the paper writes them",
        c1=0.01,
        c2=0.03,
    ),
    *_in_map_or_both(
        "Weights of the window",
        "uniform: the text speaks of means and variances of patches",
        "Gaussian, 1.5 pixels wide, as most code has it",
        window="gaussian",
    ),
    Reading(
        "What is averaged where windows overlap",
        "reconstructions, as the text says",
        "residual maps, as a later paper of the same group says",
        {"average": "maps"},
    ),
    Reading(
        "Opening of the residual map before the ROC",
        "with a disc of 4 pixels: the text opens what the threshold leaves",
        "none: the ROC is of the map itself",
        {"opening": 0},
    ),
    Reading(
        "Opening of the ℓ² residual map before the ROC",
        "with a disc of 4 pixels",
        "none",
        {"opening": 0},
        "l2",
    ),
    Reading(
        "Size of the disc",
        "4 pixels across: the text says diameter",
        "9 pixels across: code that takes 4 for a radius",
        {"opening": 9},
    ),
    Reading(
        "Output of the decoder",
        "linear, as we recall the text",
        "sigmoid, as most code has it",
        {"output_activation": "sigmoid"},
    ),
    Reading(
        "Batch size and learning rate",
        "16 at 5e-4, which learns faster on a CPU",
        "128 at 2e-4: the rate is the paper's, it gives no batch size",
        {"schedule": "paper"},
    ),
    Reading(
        "Weight decay of 1e-5",
        "decoupled from the gradient, as in AdamW",
        "added to the loss, as in Adam of 2014",
        {"decay": "l2"},
    ),
    Reading(
        "Defect-free images to train on",
        "all but the last tenth, which sets thresholds",
        "all of them",
        {"train": "all"},
    ),
    Reading(
        "Size of nanofibre images",
        "whole: only textures are downscaled",
        "half of that",
        {"dataset": "nanotwice-half"},
        only="nanotwice",
    ),
    Reading(
        "Variance of the VAE's pixels",
        "1/2 for all, which makes its likelihood the ℓ² distance",
        "predicted by the decoder for each pixel, after An and Cho",
        {"variance": "learned"},
        "vae",
    ),
)


STUCK = 0.95  # Of the loss at the start: no structure is reconstructed yet.


def still_stuck(reading, other):
    """Return whether the training of an other reading, a `Result`, is still on its first plateau.

    Its AUROC then says how hard the start is, not what the reading is worth.
    """
    loss = other.curves["history_loss"]
    learns = reading.trains and reading.method == "ssim" and len(loss) > 1
    return bool(learns and loss[-1] > STUCK * loss[0])


def measured(dataset, *, compute=False, patches_seen=0, **settings):
    """Return results of both readings of each question, at the largest budget that both have.

    ``settings`` are of `Experiment`; ``patches_seen`` sets another budget, and ``compute`` trains
    and scores what is missing. There is a tuple of each `Reading` and two `Result`, or None and
    None where there is no common budget.
    """
    results = stored_results()
    rows = []
    for reading in READINGS:
        if reading.only not in ("", dataset):
            rows.append((reading, None, None))
            continue
        pair = reading.pair(dataset, **settings)
        both = at_one_budget(pair, patches_seen, results=results, compute=compute)
        rows.append((reading, *(both or (None, None))))
    return rows


# Scorings of one trained network, from ours on: what would close the gap, seen with the masks.
OTHER_SCORINGS = {
    "scored as in the paper": {},
    "window of 21 pixels": {"residual_window_size": 21},
    "residual maps averaged": {"average": "maps"},
    "disc of 9 pixels": {"opening": 9},
    "disc of 15 pixels": {"opening": 15},
    "smoothed by a Gaussian of 4 pixels": {"smoothing": 4.0},
    "smoothed by a Gaussian of 8 pixels": {"smoothing": 8.0},
    "residual maps averaged, smoothed by 8 pixels": {"average": "maps", "smoothing": 8.0},
}


def scorings(experiment, *, compute=False):
    """Return results of a trained network by each of `OTHER_SCORINGS`, name to `Result`.

    What is missing is scored where ``compute`` says so, and else left out.
    """
    scored = {}
    for name, changes in OTHER_SCORINGS.items():
        changed = replace(experiment, **changes)
        if changes and changed.evaluation_key == experiment.evaluation_key:
            continue  # A setting that this method's residual does not have.
        if (result := run(changed) if compute else find(changed)) is not None:
            scored[name] = result
    return scored
