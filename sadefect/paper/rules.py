"""Rules that decide claims: each decides, and prints itself as the sentence that it decides by.

A rule on results takes one number for each run that it compares. Its threshold stands in it once.
It decides nothing after too little training, nor where another seed might decide otherwise.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from sadefect.methods import METHODS
from sadefect.paper.experiment import Experiment

FABRICS = ("fabric1", "fabric2")
# Shares of the paper's budget below which a claim on trained networks is undecided. Cells of table
# 2 are compared with each other, and large differences between settings show early.
MINIMUM_SHARE = 0.1
MINIMUM_SHARE_OF_TABLE_2 = 0.02
# What a sentence says, and what it means.
RELATIONS = {
    "at least": operator.ge,
    "more than": operator.gt,
    "at most": operator.le,
    "below": operator.lt,
}
SYMBOLS = {"latent_dim": "d={}", "window_size": "K={}", "patch_size": "patches of {} pixels"}


class Measure(NamedTuple):
    """A number of a result that a rule takes.

    ``number`` takes a `Result`, returns the number, or None where it was not measured; ``where``
    says at which point of a curve it is read.
    """

    name: str
    number: Callable
    where: str = ""


def listed(words):
    """Join words as a sentence does.

    Examples
    --------
    >>> listed(["ℓ²", "VAE", "SSIM"])
    'ℓ², VAE and SSIM'
    """
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def settings_of(run, runs):
    """Say in which settings of table 2 a run differs from others; of several, those not default."""
    differ = [name for name in SYMBOLS if len({getattr(other, name) for other in runs}) > 1]
    default = Experiment(dataset=run.dataset, method=run.method)
    settings = [
        SYMBOLS[name].format(getattr(run, name))
        for name in differ
        if len(differ) == 1 or getattr(run, name) != getattr(default, name)
    ]
    return ", ".join(settings) or ("default settings" if differ else "")


def named(run, runs):
    """Name a run beside those that it is compared with."""
    settings = settings_of(run, runs)
    one_method, one_dataset = (
        len({getattr(other, name) for other in runs}) == 1 for name in ("method", "dataset")
    )
    method = "" if one_method and settings else METHODS[run.method].label
    dataset = "" if one_dataset else f"on {run.dataset}"
    return " ".join(filter(None, (method, dataset, settings)))


def lead(values):
    """Return how far the first value is above the largest of the others."""
    return values[0] - max(values[1:])


def spread(values):
    """Return how far the largest value is above the smallest."""
    return max(values) - min(values)


@dataclass(frozen=True)
class Rule:
    """Decide by results: a number taken of theirs is in some relation to a limit."""

    # What the sentence says of the measure, with ``{first}``, ``{others}``, ``{all}``, ``{last}``
    # for runs and ``{limit}`` for the relation and the limit.
    text: str
    # Takes one number for each run, returns the one that is compared with the limit.
    take: Callable
    relation: str  # A key of `RELATIONS`.
    limit: float
    remark: str = ""  # What ends the sentence.
    # Runs come in pairs, one for each fabric, and it has to hold for both.
    on_each_fabric: bool = False
    minimum_share: float = MINIMUM_SHARE  # Of the paper's budget, below which nothing is decided.

    def _numbers(self, values):
        """Return what is compared with the limit, one number or one for each fabric."""
        groups = zip(values[::2], values[1::2], strict=True) if self.on_each_fabric else [values]
        # Rounded, so that the last bits of a number decide nothing.
        return [round(float(self.take(group)), 6) for group in groups]

    def holds(self, values):
        """Decide, given one number for each run."""
        return all(RELATIONS[self.relation](number, self.limit) for number in self._numbers(values))

    def margin(self, values):
        """Return how far numbers are on the right side of the limit; negative on the wrong one.

        Examples
        --------
        >>> round(bounded("at least", 0.5).margin([0.7]), 3)
        0.2
        """
        sign = 1 if self.relation in ("at least", "more than") else -1
        return min(round(sign * (number - self.limit), 6) for number in self._numbers(values))

    def sentence(self, runs, measure):
        """Say the rule of the compared experiments and a `Measure`."""
        place = "each of the two fabrics" if self.on_each_fabric else "nanofibres"
        runs = runs[:2] if self.on_each_fabric else runs
        names = [named(run, runs) for run in runs]
        text = self.text.format(
            first=names[0],
            last=names[-1],
            others=f"{'that' if len(runs) == 2 else 'those'} with {listed(names[1:] or names)}",
            all=listed(names),
            limit=f"{self.relation} {self.limit:g}",
        )
        early = f"below {100 * self.minimum_share:g} % of the paper's budget, or "
        return (
            f"On {place}{measure.where}, the {measure.name} {text}{self.remark}. "
            f"Undecided {early if self.minimum_share else ''}where the margin to that limit is "
            "smaller than the spread over seeds."
        )


def exceeds(by, relation="at least", **options):
    """Make the rule that the first run is so much above the others."""
    return Rule("with {first} exceeds {others} by {limit}", lead, relation, by, **options)


def bounded(relation, value, remark=""):
    """Make the rule that a run is above or below a value."""
    return Rule("with {first} is {limit}", operator.itemgetter(0), relation, value, remark)


def within(tolerance, reported):
    """Make the rule that a run is near a value of the paper."""
    text = f"with {{first}} differs from the paper's {reported:g} by {{limit}}"
    return Rule(text, lambda values: abs(values[0] - reported), "at most", tolerance)


def alike(limit, text="with {all} varies by {limit}", remark=""):
    """Make the rule that runs differ by no more than so much."""
    return Rule(text, spread, "at most", limit, remark)


def second_below_half():
    """Make the rule that the second of two runs is below half the first."""
    text = "with {last} is below half that with {first}"
    return Rule(text, lambda values: values[0] / 2 - values[1], "more than", 0)


def rising():
    """Make the rule that each run is above the one before it."""
    text = "rises from one to the next: {all}"
    return Rule(text, lambda values: min(b - a for a, b in pairwise(values)), "more than", 0)


def highest():
    """Make the rule that the first run is above all others."""
    return Rule("is highest with {first}", lead, "more than", 0)


def lowest():
    """Make the rule that the first run is below all others."""
    return Rule(
        "is lowest with {first}", lambda values: min(values[1:]) - values[0], "more than", 0
    )


class OnPar(NamedTuple):
    """The rule that the settled network is not far below the best of some baselines run here.

    ``by`` is how far it may be below; ``baselines`` are names of `sadefect.baselines`.
    """

    by: float
    baselines: tuple[str, ...]

    def holds(self, ours, best):
        """Decide, given the network's number and that of the best of the others."""
        return round(best - ours, 6) <= self.by

    def sentence(self, runs, measure):
        """Say the rule of a `Measure`."""
        return (
            f"On nanofibres{measure.where}, the {measure.name} of our final SSIM autoencoder, in "
            f"the paper's scoring, is at most {self.by:g} below that of the best method on "
            "ImageNet's features that was run here."
        )


def of_table_2(rule):
    """Make a rule decide after as little training as the cells of table 2 have."""
    return replace(rule, minimum_share=MINIMUM_SHARE_OF_TABLE_2)


def whatever_the_budget(rule):
    """Make a rule decide after any training, for numbers that do not depend on it."""
    return replace(rule, minimum_share=0.0)


class Check(NamedTuple):
    """A rule that needs no results.

    ``check`` takes the limits, returns whether the claim holds and the numbers that say so;
    ``text`` is the rule's sentence, with the names of the limits in braces.
    """

    check: Callable
    text: str
    limits: dict

    def sentence(self, runs, measure):
        """Say the rule with its limits."""
        return self.text.format(**self.limits)


def checked(text, **limits):
    """Make a `Check` of the function below."""
    return lambda check: Check(check, text, limits)


class NotTestable(NamedTuple):
    """What would decide a claim, and the reason why nothing here can."""

    text: str
    reason: str

    def sentence(self, runs, measure):
        """Say what would decide the claim."""
        return self.text
