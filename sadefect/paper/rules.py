"""Rules that decide claims: each decides, and prints itself as the sentence that it decides by.

A rule on results takes one number for each run that it compares. Its threshold stands in it once.
"""

import operator
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import NamedTuple

from sadefect.methods import METHODS

FABRICS = ("fabric1", "fabric2")
# What a sentence says, and what it means.
RELATIONS = {
    "at least": operator.ge,
    "more than": operator.gt,
    "at most": operator.le,
    "exceeds": operator.gt,
    "is below": operator.lt,
}
SYMBOLS = {"latent_dim": "d={}", "window_size": "K={}", "patch_size": "patches of {} pixels"}


class Measure(NamedTuple):
    """A number of a result that a rule takes.

    Attributes
    ----------
    name : str
        As evidence has it.
    number : callable
        Takes a `Result`, returns the number, or None where it was not measured.
    subject, ending : str
        How a rule's sentence begins, and how it ends.
    """

    name: str
    number: Callable
    subject: str
    ending: str = ""


def varied(runs):
    """Return the settings of table 2 in which experiments differ."""
    return [name for name in SYMBOLS if len({getattr(run, name) for run in runs}) > 1]


def listed(words):
    """Join words as a sentence does.

    Examples
    --------
    >>> listed([200, 500, 1000])
    '200, 500 and 1000'
    """
    *first, last = map(str, words)
    return f"{', '.join(first)} and {last}" if first else last


def rounded(difference):
    """Round a difference of AUROC, so that the last bits of a number decide nothing."""
    return round(float(difference), 6)


def spread(values):
    """Return how far the largest value is above the smallest."""
    return rounded(max(values) - min(values))


def lead(values):
    """Return how far the first value is above the largest of the others."""
    return rounded(values[0] - max(values[1:]))


def _named(runs, compared):
    """Name runs by what they differ in from those that they are compared with."""
    if settings := varied(compared):
        values = listed(getattr(run, settings[0]) for run in runs)
        return f"with {SYMBOLS[settings[0]].format(values)}"
    return f"of {listed(METHODS[run.method].label for run in runs)}"


@dataclass(frozen=True)
class Rule:
    """A rule on results.

    Parameters
    ----------
    remark : str
        What ends the sentence.
    """

    _: KW_ONLY
    remark: str = ""

    def holds(self, values):
        """Decide, given one number for each run."""
        raise NotImplementedError

    def sentence(self, runs, measure):
        """Say the rule of the compared experiments and a `Measure`."""
        place = "on each of the two fabrics" if runs[0].dataset in FABRICS else "on nanofibres"
        if varied(runs):
            place = ""  # The claims on table 2 are all on nanofibres.
        order = (place, self._predicate(runs)) if len(runs) == 1 else (self._predicate(runs), place)
        parts = (measure.subject, self._subject(runs), *order, measure.ending)
        return " ".join(filter(None, parts)) + (self.remark and f", {self.remark}") + "."

    def _subject(self, runs):
        return _named(runs[:1], runs)


@dataclass(frozen=True)
class Exceeds(Rule):
    """The first run is above the others by "at least", "more than" or "at most" so much."""

    by: float
    how: str = "at least"

    def holds(self, values):
        return RELATIONS[self.how](lead(values), self.by)

    def _predicate(self, runs):
        others = f"{'that' if len(runs) == 2 else 'those'} {_named(runs[1:], runs)}"
        return f"exceeds {others} by {self.how} {self.by:g}"


@dataclass(frozen=True)
class Bound(Rule):
    """A run "exceeds" a value, or "is below" it."""

    how: str
    value: float

    def holds(self, values):
        return RELATIONS[self.how](values[0], self.value)

    def _predicate(self, runs):
        return f"{self.how} {self.value:g}"


@dataclass(frozen=True)
class Faster(Rule):
    """Scoring an image takes fewer seconds."""

    seconds: float

    def holds(self, values):
        return values[0] < self.seconds

    def sentence(self, runs, measure):
        scoring = f"Scoring a nanofibre image with {METHODS[runs[0].method].label}"
        return f"{scoring} takes less than {self.seconds:g} s on the machine of the result."


@dataclass(frozen=True)
class Within(Rule):
    """A run is as near to a value of the paper."""

    tolerance: float
    of: float

    def holds(self, values):
        return rounded(abs(values[0] - self.of)) <= self.tolerance

    def _predicate(self, runs):
        return f"is within {self.tolerance:g} of the paper's {self.of:g}"


@dataclass(frozen=True)
class AtMostBelow(Rule):
    """A run is below another's value by no more than so much, or above it."""

    by: float
    value: float
    whose: str

    def holds(self, values):
        return rounded(self.value - values[0]) <= self.by

    def _predicate(self, runs):
        return f"is at most {self.by:g} below that of {self.whose}, {self.value:g}"


@dataclass(frozen=True)
class SecondBelowHalf(Rule):
    """The second of two runs is below half the first."""

    def holds(self, values):
        return values[1] < values[0] / 2

    def _subject(self, runs):
        return _named(runs[1:], runs)

    def _predicate(self, runs):
        return f"is below half that {_named(runs[:1], runs)}"


@dataclass(frozen=True)
class Spread(Rule):
    """Runs differ by no more than so much."""

    at_most: float

    def holds(self, values):
        return spread(values) <= self.at_most

    def _subject(self, runs):
        return "of the best and of the worst cell" if len(varied(runs)) > 1 else _named(runs, runs)

    def _predicate(self, runs):
        verb = "differ" if len(varied(runs)) > 1 else "differs"
        return f"{verb} by at most {self.at_most:g}"


@dataclass(frozen=True)
class Rising(Rule):
    """Each run is above the one before it."""

    def holds(self, values):
        return all(low < high for low, high in zip(values[:-1], values[1:], strict=True))

    def _subject(self, runs):
        return ""

    def _predicate(self, runs):
        [setting] = varied(runs)
        values = [getattr(run, setting) for run in runs]
        steps = zip(values[:-1], values[1:], strict=True)
        text = ", and from ".join(f"{before} to {after}" for before, after in steps)
        return f"rises from {SYMBOLS[setting].format(text)}"


@dataclass(frozen=True)
class Highest(Rule):
    """The first run is above all others."""

    def holds(self, values):
        return lead(values) > 0

    def sentence(self, runs, measure):
        return f"That cell has the highest {measure.subject} of all."


@dataclass(frozen=True)
class Lowest(Rule):
    """The first run is below all others."""

    than: str

    def holds(self, values):
        return values[0] < min(values[1:])

    def _predicate(self, runs):
        return f"is below that with {self.than}"


@dataclass(frozen=True)
class OnEachFabric(Rule):
    """A rule on two runs holds for each of the two fabrics; runs of one fabric are neighbours."""

    rule: Rule

    def holds(self, values):
        return all(map(self.rule.holds, zip(values[::2], values[1::2], strict=True)))

    def sentence(self, runs, measure):
        return self.rule.sentence(runs[:2], measure)


@dataclass(frozen=True)
class Check:
    """A rule that needs no results.

    Parameters
    ----------
    check : callable
        Takes the limits, returns whether the claim holds and the numbers that say so.
    text : str
        The rule's sentence, with the names of the limits in braces.
    limits : dict
    """

    check: Callable
    text: str
    limits: dict

    def sentence(self, runs=(), measure=None):
        """Say the rule with its limits."""
        return self.text.format(**self.limits)

    def decide(self):
        """Return whether the claim holds, and the numbers that say so."""
        return self.check(**self.limits)


def checked(text, **limits):
    """Make a `Check` of the function below."""
    return lambda check: Check(check, text, limits)


@dataclass(frozen=True)
class NotTestable:
    """A rule that nothing here can apply, and the reason."""

    text: str
    reason: str

    def sentence(self, runs=(), measure=None):
        """Say what would decide the claim."""
        return self.text
