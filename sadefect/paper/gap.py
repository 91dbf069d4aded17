"""The way from the printed recipe to the headline, one thing changed at a time."""

from dataclasses import replace
from typing import NamedTuple

from sadefect.paper.comparisons import learning_curve
from sadefect.paper.experiment import AUGMENTED, Experiment
from sadefect.paper.headline import headline_experiment, headline_result
from sadefect.paper.store import Result, find, stored_results


class Step(NamedTuple):
    """One change, what it gives, and what other seeds give.

    ``seeds`` are the AUROC of all seeds that ran with these settings, that of the result included.
    """

    change: str
    result: Result
    seeds: tuple

    @property
    def area(self):
        """Return the AUROC of the result."""
        return self.result.metrics["auroc"]

    @property
    def label(self):
        """Say what was changed, and after how many patches."""
        return f"{self.change}, {self.result.experiment.patches_seen:,} patches"


PRINTED, OVERFITTING = "as printed", "overfitting undone"
LONGER, DECAYED, SCORED = "trained longer", "learning rate decayed", "scored our way"


def recipes(dataset, method="ssim"):
    """Return the experiments of the printed recipe and of the headline's, at a constant rate.

    Their budgets do not matter; empty without a headline.
    """
    if (settled := headline_experiment(dataset, method)) is None:
        return {}
    constant = settled.trunk or settled
    printed = replace(constant, **{name: getattr(Experiment, name) for name in AUGMENTED})
    return {PRINTED: printed, "augmented": constant}


def gap_steps(dataset, method="ssim", results=None):
    """Return the steps from the printed recipe to the headline, one thing changed at a time.

    Overfitting is undone at the largest budget at which both recipes were scored.

    Parameters
    ----------
    dataset, method : str
    results : list of Result, optional
        Those to look among, where they were read already.

    Returns
    -------
    list of Step
        What is not scored is left out. Empty without a headline.
    """
    if not (both := recipes(dataset, method)):
        return []
    results = stored_results() if results is None else results
    printed, augmented = (
        {point.experiment.patches_seen: point for point in learning_curve(recipe, results)}
        for recipe in both.values()
    )
    shared = max(printed.keys() & augmented.keys(), default=0)
    settled, constant = headline_experiment(dataset, method), both["augmented"]
    longer, decayed = constant.patches_seen > shared, constant != settled
    steps = {
        PRINTED: printed.get(shared) or next(reversed(printed.values()), None),
        OVERFITTING: augmented.get(shared),
        LONGER: find(constant) if longer else None,
        DECAYED: find(settled) if decayed else None,
        SCORED: headline_result(dataset, method, "ours"),
    }
    return [
        Step(change, result, _seeds(result, results)) for change, result in steps.items() if result
    ]


def _seeds(result, results):
    """Return the AUROC of all seeds of a result, its own first."""
    others = [
        other.metrics["auroc"]
        for other in results
        if other.experiment.equals(result.experiment, but=["seed"])
        and other.experiment.seed != result.experiment.seed
        and not other.outdated
    ]
    return (result.metrics["auroc"], *others)
