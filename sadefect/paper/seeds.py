"""How far seeds are apart: what a difference has to exceed before it decides a claim."""

from collections import defaultdict
from dataclasses import replace
from statistics import fmean
from typing import NamedTuple

from sadefect.methods import METHODS
from sadefect.paper.numbers import OVERLAP_FPR, TABLE_2

TRAINED_ALIKE = ("patches_seen", "schedule", "seed")
CELL = (*TABLE_2, "residual_window_size")  # What differs between cells of table 2.


class SeedSpread(NamedTuple):
    """How far apart several seeds of one experiment are.

    ``results`` has one `Result` for each seed; ``own`` says whether they differ from the run that
    was asked for in seed and budget only, or are the nearest that are known.
    """

    width: float
    results: tuple
    own: bool

    def __str__(self):
        experiment = self.results[0].experiment
        return (
            f"{len(self.results)} seeds of {METHODS[experiment.method].label} on "
            f"{experiment.dataset} at {experiment.patches_seen:,} patches"
        )


class OverSeeds(NamedTuple):
    """Hold means over the seeds of one experiment, and the least and the largest AUROC.

    ``overlap`` is the median over defects, at the paper's false positive rate.
    """

    count: int
    auroc: float
    low: float
    high: float
    aupro: float
    overlap: float

    @classmethod
    def of(cls, results):
        """Return those of a list of `Result`."""
        rate, metrics = f"{OVERLAP_FPR.value:g}", [result.metrics for result in results]
        areas = [values["auroc"] for values in metrics]
        aupro = fmean(values["aupro"] for values in metrics)
        overlap = fmean(values["overlap"][rate]["median"] for values in metrics)
        return cls(len(areas), fmean(areas), min(areas), max(areas), aupro, overlap)

    @property
    def range(self):
        """Return the least and the largest AUROC, in words."""
        return f"{self.low:.3f} to {self.high:.3f}" if self.count > 1 else "-"


def with_other_seeds(result, results):
    """Return a `Result`, then those of other seeds with the same settings among ``results``."""
    others = {
        other.experiment.seed: other
        for other in results
        if other.experiment.equals(result.experiment, but=["seed"])
        and other.experiment.seed != result.experiment.seed
        and not other.outdated
    }
    return [result, *(others[seed] for seed in sorted(others))]


def longest_with_seeds(result, results):
    """Return the seeds of the largest budget that several seeds had, trained and scored likewise.

    Alike is what differs from a `Result` in seed and budget only, and whose learning rate decays
    for the same share of the budget, if it does. Returns a list of `Result` of ``results``, by
    seed; empty where no two seeds have one budget.
    """
    made = result.experiment
    budgets = defaultdict(dict)
    for other in results:
        like = other.experiment
        alike = like.equals(made, but=("seed", "patches_seen", "decay_from"))
        same_share = like.decay_from * made.patches_seen == made.decay_from * like.patches_seen
        if alike and same_share and not other.outdated:
            budgets[like.patches_seen][like.seed] = other
    several = [budget for budget, seeds in budgets.items() if len(seeds) > 1]
    seeds = budgets[max(several)] if several else {}
    return [seeds[seed] for seed in sorted(seeds)]


def seeds_beside(result, results):
    """Return the seeds of a `Result`, and, where it is the only one, `longest_with_seeds`.

    That is a list of one or two lists of `Result`, of one budget each.
    """
    own, several = with_other_seeds(result, results), longest_with_seeds(result, results)
    return [own] if len(own) > 1 or not several else [own, several]


def seed_spread(run, measure, results):
    """Return how far seeds of a run are apart; of the nearest run with several, if it has none.

    Nearest are, in this order, cells of table 2 that were trained likewise, default settings of the
    same method and data set, other methods on the data set, the method on other data, and anything
    else; of several, the largest budget and there the widest. Budget and seed of the run, an
    `Experiment`, do not matter; ``measure`` is a `sadefect.paper.rules.Measure`. Returns a
    `SeedSpread`, or None where no two seeds are known at all.
    """
    seeds = defaultdict(dict)
    for result in results:
        if (number := measure.number(result)) is not None:
            seeds[replace(result.experiment, seed=0)][result.experiment.seed] = (number, result)
    spreads = {}
    for experiment, by_seed in seeds.items():
        if len(by_seed) > 1:
            numbers, of_seeds = zip(*(by_seed[seed] for seed in sorted(by_seed)), strict=True)
            spreads[experiment] = round(max(numbers) - min(numbers), 6), of_seeds
    for nearness, is_near in enumerate(_nearness(run)):
        near = [experiment for experiment in spreads if is_near(experiment)]
        if near:
            widest = max(near, key=lambda made: (made.patches_seen, spreads[made][0]))
            return SeedSpread(*spreads[widest], own=nearness == 0)
    return None


def _nearness(run):
    """Return conditions on experiments, the narrowest first."""

    def usual(made):
        return made.variant == "default"

    return (
        lambda made: made.equals(run, but=TRAINED_ALIKE),
        lambda made: made.equals(run, but=(*TRAINED_ALIKE, *CELL)),
        lambda made: usual(made) and (made.dataset, made.method) == (run.dataset, run.method),
        lambda made: usual(made) and made.dataset == run.dataset,
        lambda made: usual(made) and made.method == run.method,
        usual,
    )


def widest_spread(runs, measure, results):
    """Return the widest `seed_spread` of several runs; None where no seeds are known.

    It counts as their own only if each of the runs has several seeds.
    """
    spreads = [spread for run in runs if (spread := seed_spread(run, measure, results))]
    if not spreads:
        return None
    widest = max(spreads, key=lambda spread: spread.width)
    return widest._replace(own=all(spread.own for spread in spreads))
