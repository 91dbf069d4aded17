"""What results say of the paper's claims."""

from dataclasses import dataclass, replace

import numpy as np

from sadefect.methods import METHODS
from sadefect.paper import comparisons
from sadefect.paper import numbers as paper
from sadefect.paper.claims import CLAIMS, SECONDS, Claim
from sadefect.paper.experiment import Experiment
from sadefect.paper.rules import FABRICS, SYMBOLS, Check, NotTestable, spread, varied

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
NOT_TESTABLE = "not testable here"
STANDINS = ("synthetic/weave", "synthetic/twill", "mvtec_ad/grid")  # For the fabrics.
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


def decide_claims(results):
    """Decide every claim.

    Parameters
    ----------
    results : list of Result
        As of `sadefect.paper.store.stored_results`; those of other data, or of an earlier version
        of the numerics, are left out.

    Returns
    -------
    list of Verdict
        In the order of `CLAIMS`.

    Examples
    --------
    >>> by_key = {verdict.claim.key: verdict for verdict in decide_claims([])}
    >>> by_key["ssim_beats_l2"].verdict
    'not testable here'
    >>> by_key["ssim_beats_l2"].evidence
    'Missing: SSIM on nanotwice; ℓ² on nanotwice.'
    """
    current = [result for result in results if not result.outdated]
    return [decide(claim, current) for claim in CLAIMS]


def decide(claim, results):
    """Decide one claim by results that are all of these data and numerics.

    Returns
    -------
    Verdict
    """
    if isinstance(claim.rule, NotTestable):
        return Verdict(claim, NOT_TESTABLE, f"Not tested: {claim.rule.reason}.")
    if isinstance(claim.rule, Check):
        holds, evidence = claim.rule.decide()
        return Verdict(claim, REPRODUCED if holds else NOT_REPRODUCED, f"{evidence}.")
    groups, missing = _comparable(results, claim.needs, claim.measure)
    if missing:
        beside, used = _beside(claim, results)
        return Verdict(claim, NOT_TESTABLE, missing + beside, used)
    again = _with_other_seeds(claim, results) if len(groups[0]) == 1 else []
    return Verdict(
        claim,
        REPRODUCED if claim.rule.holds(_means(groups, claim.measure)) else NOT_REPRODUCED,
        _evidence(claim.needs, groups, claim.measure) + _chance(claim, again),
        tuple(result for group in (*groups, *again) for result in group),
    )


def _with_other_seeds(claim, results):
    """Results of several seeds at a smaller budget, where the verdict rests on one seed."""
    if claim.measure == SECONDS:
        return []
    measured = [result for result in results if claim.measure.number(result) is not None]
    return comparisons.over_seeds(claim.needs, measured)


def _chance(claim, groups):
    """Say how far seeds differ, and whether the rule holds for their means."""
    if not groups:
        return ""
    parts = []
    for need, group in zip(claim.needs, groups, strict=True):
        values = [claim.measure.number(result) for result in group]
        name = _name(need, claim.needs)
        parts.append(f"{name} {np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")
    holds = claim.rule.holds(_means(groups, claim.measure))
    return (
        f" Over {len(groups[0])} seeds at {groups[0][0].experiment.patches_seen:,} patches: "
        f"{', '.join(parts)}; the rule {'holds' if holds else 'does not hold'} there."
    )


def _comparable(results, needs, measure):
    """Results of each need at the largest budget of all, one for each seed that all have.

    Returns them and an empty string; or nothing, and what is missing.
    """
    measured = [result for result in results if measure.number(result) is not None]
    runs = comparisons.by_settings(needs, measured, ("patches_seen", "schedule", "seed"))
    if missing := [need for need, points in zip(needs, runs, strict=True) if not points]:
        return [], f"Missing: {_missing(missing, needs)}."
    shared = set.intersection(*map(set, runs))
    if not shared:
        reached = ", ".join(
            f"{_name(need, needs)} {max(points)[0]:,}"
            for need, points in zip(needs, runs, strict=True)
        )
        return [], f"Missing: a number of patches that all have results for; largest are {reached}."
    # The largest budget, and the paper's schedule before others.
    budget, _, schedule = max((point[0], point[1] == "paper", point[1]) for point in shared)
    seeds = sorted(point for point in shared if point[:2] == (budget, schedule))
    return [[points[seed] for seed in seeds] for points in runs], ""


def _means(groups, measure):
    """The mean over seeds for each need."""
    return [float(np.mean([measure.number(result) for result in group])) for group in groups]


def _method(need):
    label = METHODS[need.method].label
    return f"{label} ({need.features} features)" if need.method == "feature_matching" else label


def _settings(need, needs):
    """Say in which settings a run differs from others; of several, those not at their default."""
    differ = varied(needs)
    default = Experiment(dataset=need.dataset, method=need.method)
    parts = [
        SYMBOLS[name].format(getattr(need, name))
        for name in differ
        if len(differ) == 1 or getattr(need, name) != getattr(default, name)
    ]
    return ", ".join(parts) or ("default settings" if differ else "")


def _name(need, needs):
    """Name a run beside those that it is compared with."""
    settings = _settings(need, needs)
    several_methods = len({other.method for other in needs}) > 1
    several_datasets = len({other.dataset for other in needs}) > 1
    method = _method(need) if several_methods or not settings else ""
    dataset = f"on {need.dataset}" if several_datasets else ""
    return " ".join(filter(None, (method, dataset, settings)))


def _missing(missing, needs):
    """List runs without a result, those of one method and data set together."""
    groups = {}
    for need in missing:
        name = f"{_method(need)} on {need.dataset}"
        groups.setdefault(name, []).append(_settings(need, needs))
    return "; ".join(
        f"{name} with {', '.join(settings)}" if any(settings) else name
        for name, settings in groups.items()
    )


def _evidence(needs, groups, measure):
    """Say what came out, and after how many patches."""
    values = _means(groups, measure)
    parts = [f"{_name(need, needs)} {value:.3f}" for need, value in zip(needs, values, strict=True)]
    if len(values) == 2:
        parts.append(f"difference {values[0] - values[1]:+.3f}")
    elif len(values) > 2:
        parts.append(f"spread {spread(values):.3f}")
    first = groups[0][0]
    patches = first.experiment.patches_seen
    seeds = f"; means over {len(groups[0])} seeds" if len(groups[0]) > 1 else ""
    machine = f" on {first.provenance['machine']['processor']}" if measure == SECONDS else ""
    return (
        f"{measure.name}{machine}: {', '.join(parts)}{seeds}; after {patches:,} patches, "
        f"{100 * patches / paper.BUDGET:.3g} % of the paper's budget."
    )


def _beside(claim, results):
    """Say what stand-ins for the fabrics give, where a claim is on them."""
    text, used = "", []
    dataset = claim.needs[0].dataset
    for name in STANDINS if dataset in FABRICS else ():
        needs = [replace(need, dataset=name) for need in claim.needs if need.dataset == dataset]
        groups, missing = _comparable(results, needs, claim.measure)
        if not missing:
            text += f" Beside it, deciding nothing, {name}: "
            text += _evidence(needs, groups, claim.measure)
            used += [result for group in groups for result in group]
    return text, tuple(used)
