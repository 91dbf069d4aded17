"""What results say of the paper's claims."""

from dataclasses import dataclass, replace

import numpy as np

from sadefect.methods import METHODS
from sadefect.paper import comparisons, store
from sadefect.paper import numbers as paper
from sadefect.paper.claims import (
    CLAIMS,
    FABRICS,
    MEASURES,
    SECONDS,
    SETTINGS,
    STANDINS,
    Claim,
    spread,
)
from sadefect.paper.experiment import Experiment

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
NOT_TESTABLE = "not testable here"
VERDICTS = (REPRODUCED, NOT_REPRODUCED, NOT_TESTABLE)


@dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Attributes
    ----------
    claim : Claim
    verdict : str
        One of `VERDICTS`.
    evidence : str
        The numbers that it rests on, and their budget; or what is missing.
    used : tuple of Result
        That the evidence mentions.
    """

    claim: Claim
    verdict: str
    evidence: str
    used: tuple = ()


def recorded():
    """What was recorded for everybody, whatever this user's store holds."""
    return store.results(["recorded"])


def judge(results):
    """Decide every claim.

    Parameters
    ----------
    results : list of Result
        As of `sadefect.paper.store.results`; those of other data, or of an earlier version of the
        numerics, are left out.

    Returns
    -------
    list of Verdict
        In the order of `CLAIMS`.

    Examples
    --------
    >>> by_key = {one.claim.key: one for one in judge([])}
    >>> by_key["ssim_beats_l2"].verdict
    'not testable here'
    >>> by_key["ssim_beats_l2"].evidence
    'Missing: SSIM on nanotwice; ℓ² on nanotwice.'
    """
    current = [result for result in results if not result.outdated]
    return [_judge(claim, current) for claim in CLAIMS]


def _judge(claim, results):
    if claim.decide is None:
        return Verdict(claim, NOT_TESTABLE, f"Not tested: {claim.reason}.")
    if not claim.needs:
        holds, evidence = claim.decide()
        return Verdict(claim, REPRODUCED if holds else NOT_REPRODUCED, f"{evidence}.")
    groups, missing = _comparable(results, claim.needs, claim.measure)
    if missing:
        beside, used = _beside(claim, results)
        return Verdict(claim, NOT_TESTABLE, missing + beside, used)
    values = _values(groups, claim.measure)
    again = _with_other_seeds(claim, results) if len(groups[0]) == 1 else []
    return Verdict(
        claim,
        REPRODUCED if claim.decide(values) else NOT_REPRODUCED,
        _evidence(claim.needs, groups, claim.measure) + _chance(claim, again),
        tuple(result for group in (*groups, *again) for result in group),
    )


def _with_other_seeds(claim, results):
    """Results of several seeds at a smaller budget, where the verdict rests on one seed."""
    if claim.measure == SECONDS:
        return []
    having = [one for one in results if MEASURES[claim.measure](one) is not None]
    return comparisons.over_seeds(claim.needs, having)


def _chance(claim, groups):
    """How far seeds differ, and whether the rule holds for their means."""
    if not groups:
        return ""
    parts = []
    for need, group in zip(claim.needs, groups, strict=True):
        values = [MEASURES[claim.measure](result) for result in group]
        name = _name(need, claim.needs)
        parts.append(f"{name} {np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")
    holds = "holds" if claim.decide(_values(groups, claim.measure)) else "does not hold"
    return (
        f" Over {len(groups[0])} seeds at {groups[0][0].experiment.patches_seen:,} patches: "
        f"{', '.join(parts)}; the rule {holds} there."
    )


def _comparable(results, needs, measure):
    """Results of each need at the largest budget of all, one for each seed that all have.

    Returns them and an empty string; or nothing, and what is missing.
    """
    runs = []
    for need in needs:
        found = {}
        for result in results:
            one = result.experiment
            alike = one.equals(need, but=["patches_seen", "schedule", "seed"])
            if alike and MEASURES[measure](result) is not None:
                found[one.patches_seen, one.schedule, one.seed] = result
        runs.append(found)
    if missing := [need for need, found in zip(needs, runs, strict=True) if not found]:
        return [], f"Missing: {_missing(missing, needs)}."
    shared = set.intersection(*map(set, runs))
    if not shared:
        reached = ", ".join(
            f"{_name(need, needs)} {max(found)[0]:,}"
            for need, found in zip(needs, runs, strict=True)
        )
        return [], f"Missing: a number of patches that all have results for; largest are {reached}."
    # The largest budget, and the paper's schedule before others.
    best = max((key[:2] for key in shared), key=lambda one: (one[0], one[1] == "paper", one[1]))
    seeds = sorted(key for key in shared if key[:2] == best)
    return [[found[key] for key in seeds] for found in runs], ""


def _values(groups, measure):
    """The mean over seeds for each need."""
    return [float(np.mean([MEASURES[measure](result) for result in group])) for group in groups]


def _method(need):
    label = METHODS[need.method].label
    return f"{label} ({need.features} features)" if need.method == "feature_matching" else label


def _settings(need, needs):
    """In which settings a run differs from others; of several, those that are not the default."""
    differ = [name for name in SETTINGS if len({getattr(one, name) for one in needs}) > 1]
    default = Experiment(dataset=need.dataset, method=need.method)
    parts = [
        text.format(getattr(need, name))
        for name, text in SETTINGS.items()
        if name in differ and (len(differ) == 1 or getattr(need, name) != getattr(default, name))
    ]
    return ", ".join(parts) or ("default settings" if differ else "")


def _name(need, needs):
    """What a run is called beside those that it is compared with."""
    settings = _settings(need, needs)
    methods, datasets = ({getattr(one, name) for one in needs} for name in ("method", "dataset"))
    method = _method(need) if len(methods) > 1 or not settings else ""
    dataset = f"on {need.dataset}" if len(datasets) > 1 else ""
    return " ".join(filter(None, (method, dataset, settings)))


def _missing(missing, needs):
    """Runs without a result, those of one method and data set together."""
    groups = {}
    for need in missing:
        settings = groups.setdefault(f"{_method(need)} on {need.dataset}", [])
        settings.append(_settings(need, needs))
    return "; ".join(
        f"{name} with {', '.join(settings)}" if any(settings) else name
        for name, settings in groups.items()
    )


def _evidence(needs, groups, measure):
    values = _values(groups, measure)
    parts = [f"{_name(need, needs)} {value:.3f}" for need, value in zip(needs, values, strict=True)]
    if len(values) == 2:
        parts.append(f"difference {values[0] - values[1]:+.3f}")
    elif len(values) > 2:
        parts.append(f"spread {spread(values):.3f}")
    one = groups[0][0]
    patches = one.experiment.patches_seen
    seeds = f"; means over {len(groups[0])} seeds" if len(groups[0]) > 1 else ""
    machine = f" on {one.provenance['machine']['processor']}" if measure == SECONDS else ""
    return (
        f"{measure}{machine}: {', '.join(parts)}{seeds}; after {patches:,} patches, "
        f"{100 * patches / paper.BUDGET:.3g} % of the paper's budget."
    )


def _beside(claim, results):
    """What stand-ins for images or features of the paper give, where there is one."""
    features = [
        replace(need, features="standin") if need.features == "imagenet" else need
        for need in claim.needs
    ]
    tried = [("stand-in features", features)]
    if claim.needs[0].dataset in FABRICS:
        first = [need for need in features if need.dataset == claim.needs[0].dataset]
        tried = [(name, [replace(need, dataset=name) for need in first]) for name in STANDINS]
    parts, used = [], []
    for name, needs in tried:
        if tuple(needs) != claim.needs:
            groups, missing = _comparable(results, needs, claim.measure)
            if not missing:
                parts.append(f" Beside it, deciding nothing, {name}: ")
                parts.append(_evidence(needs, groups, claim.measure))
                used += [result for group in groups for result in group]
    return "".join(parts), tuple(used)
