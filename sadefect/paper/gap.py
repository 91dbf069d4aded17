"""The way from the printed recipe to the headline, one thing changed at a time."""

from dataclasses import replace
from typing import NamedTuple

from sadefect.paper.comparisons import by_settings, learning_curve, shared_points
from sadefect.paper.experiment import AUGMENTATIONS, AUGMENTED, Experiment
from sadefect.paper.headline import headline_experiment, headline_result, own_scoring
from sadefect.paper.seeds import with_other_seeds
from sadefect.paper.store import Result, find, stored_results


class Step(NamedTuple):
    """One change, what it gives, and what other seeds give.

    ``seeds`` are the AUROC of all seeds that ran with these settings, that of the result included;
    ``along`` are changes before it that were not scored alone, and are part of what it gives.
    """

    change: str
    result: Result
    seeds: tuple
    along: tuple = ()

    @property
    def area(self):
        """Return the AUROC of the result."""
        return self.result.metrics["auroc"]

    @property
    def label(self):
        """Say what was changed, and after how many patches."""
        changes = " and ".join([*self.along, self.change])
        return f"{changes}, {self.result.experiment.patches_seen:,} patches"


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
        **({LONGER: find(constant)} if longer else {}),
        **({DECAYED: find(settled)} if decayed else {}),
        SCORED: headline_result(dataset, method, "ours"),
    }
    known, along = [], []
    for change, result in steps.items():
        if result is None:
            along += [change] if known else []
            continue
        areas = (seed.metrics["auroc"] for seed in with_other_seeds(result, results))
        known.append(Step(change, result, tuple(areas), tuple(along)))
        along = []
    return known


def ablation(dataset, method="ssim", results=None):
    """Return what fresh crops, symmetries and a decayed learning rate are each worth.

    All are taken at the largest budget at which all were scored with a constant rate, and at the
    end of the decay that branches off there.

    Returns
    -------
    list of tuples
        A name of `AUGMENTATIONS`, the `Result` in the paper's scoring, and that in ours, None where
        it is unknown; empty where there is no such budget.
    """
    results = stored_results() if results is None else results
    trunks = {
        name: Experiment(dataset=dataset, method=method, **changes)
        for name, changes in AUGMENTATIONS.items()
    }
    runs = by_settings(trunks.values(), results, ["patches_seen"])
    budget = max((patches for (patches,) in shared_points(runs)), default=0)
    if not budget:
        return []
    constant = [(name, replace(trunk, patches_seen=budget)) for name, trunk in trunks.items()]
    rows = []
    for name, made in [*constant, *((name, made.branch) for name, made in constant)]:
        if (scored := find(made)) is not None:
            ours = own_scoring(made)
            rows.append((name, scored, ours and find(ours)))
    return rows
