"""What results say of the paper's claims."""

from collections import Counter
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sadefect.baselines import BASELINES
from sadefect.methods import METHODS
from sadefect.paper import comparisons
from sadefect.paper import numbers as paper
from sadefect.paper.claims import CLAIMS, SECONDS, Claim
from sadefect.paper.compared import chosen_comparisons
from sadefect.paper.experiment import AUGMENTED
from sadefect.paper.headline import SCORINGS, headline_experiment
from sadefect.paper.rules import FABRICS, Check, NotTestable, OnPar, named, settings_of, spread
from sadefect.paper.seeds import widest_spread
from sadefect.provenance import describe_machine

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
UNDECIDED = "undecided"
NOT_TESTABLE = "not testable here"
PAPERS_DATA = "nanotwice"
WORDS = {"paper's": "the paper's", "ours": "our"}  # Of scorings, in a sentence.
STANDINS = ("synthetic/weave", "synthetic/twill", "mvtec_ad/grid")  # For the fabrics.
VERDICTS = (REPRODUCED, NOT_REPRODUCED, UNDECIDED, NOT_TESTABLE)
DECIDED = (REPRODUCED, NOT_REPRODUCED)


class Verdict(NamedTuple):
    """What became of a claim.

    ``verdict`` is one of `VERDICTS`; ``evidence`` has the numbers that it rests on and their
    budget, or what is missing; ``used`` are the results that the evidence mentions; ``values`` are
    the numbers that the rule compared, one for each of the claim's needs.
    """

    claim: Claim
    verdict: str
    evidence: str
    used: tuple = ()
    values: tuple = ()


def count_verdicts(verdicts):
    """Return how many of some verdicts there are, by each of `VERDICTS`."""
    counts = Counter(verdict.verdict for verdict in verdicts)
    return {name: counts[name] for name in VERDICTS}


def decide_claims(results):
    """Decide every claim: return a `Verdict` by each key of `CLAIMS`.

    The results are those of `sadefect.paper.store.stored_results`; of them those of other data, or
    of an earlier version of the numerics, are left out.

    Examples
    --------
    >>> verdict = decide_claims([])["ssim_beats_l2"]
    >>> verdict.verdict, verdict.evidence
    ('not testable here', 'Missing: SSIM on nanotwice; ℓ² on nanotwice.')
    """
    current = [result for result in results if not result.outdated]
    return {key: decide(claim, current) for key, claim in CLAIMS.items()}


def decide(claim, results):
    """Return the `Verdict` on a claim, by results that are all of these data and numerics.

    Networks are trained as printed; where those leave a claim undecided, or are missing, it is
    decided by networks that were trained on augmented patches. The evidence names both.
    """
    if isinstance(claim.rule, NotTestable):
        return Verdict(claim, NOT_TESTABLE, f"Not tested: {claim.rule.reason}.")
    if isinstance(claim.rule, Check):
        holds, evidence = claim.rule.check(**claim.rule.limits)
        return Verdict(claim, REPRODUCED if holds else NOT_REPRODUCED, f"{evidence}.")
    if isinstance(claim.rule, OnPar):
        return _on_par(claim, results)
    measured = [result for result in results if claim.measure.number(result) is not None]
    printed = _by_results(claim, measured)
    if claim.measure == SECONDS:
        return printed
    augmented = claim._replace(needs=tuple(replace(need, **AUGMENTED) for need in claim.needs))
    augmented = _by_results(augmented, measured, ("decay_from",))
    if augmented.verdict == NOT_TESTABLE:
        return printed
    chosen = printed if printed.verdict in DECIDED else augmented
    used = printed.used + tuple(used for used in augmented.used if used not in printed.used)
    text = f"As printed: {printed.evidence} With augmented patches: {augmented.evidence}"
    if chosen is printed and augmented.verdict in DECIDED:
        text += f" The rule {'holds' if augmented.verdict == REPRODUCED else 'does not hold'}."
    return Verdict(claim, chosen.verdict, text, used, chosen.values)


def _by_results(claim, measured, also=()):
    """Decide by results whose measure is known, as `_comparable` finds them."""
    groups, missing = _comparable(claim.needs, measured, also)
    if missing:
        beside, used = _beside(claim, measured)
        return Verdict(claim, NOT_TESTABLE, missing + beside, used)
    again = []  # Of several seeds at a smaller budget, where the verdict rests on one seed.
    if len(groups[0]) == 1 and claim.measure != SECONDS:
        again = comparisons.over_seeds(claim.needs, measured)
    means = _means(groups, claim.measure)
    verdict = REPRODUCED if claim.rule.holds(means) else NOT_REPRODUCED
    seeds = widest_spread([group[0].experiment for group in groups], claim.measure, measured)
    if doubt := _doubt(claim.rule, means, groups[0][0].experiment.patches_seen, seeds):
        verdict = UNDECIDED
    used = [result for group in (*groups, *again) for result in group]
    used += [result for result in (seeds.results if seeds else ()) if result not in used]
    return Verdict(
        claim,
        verdict,
        _evidence(claim.needs, groups, claim.measure)
        + _chance(claim, again)
        + " "
        + doubt
        + _beyond(claim.rule, means, seeds),
        tuple(used),
        tuple(means),
    )


def _doubt(rule, values, patches, seeds):
    """Say why a rule on results decides nothing yet; an empty string if it does."""
    if patches < rule.minimum_share * paper.BUDGET:
        return f"Undecided below {100 * rule.minimum_share:g} % of the paper's budget. "
    if seeds is None:
        return "Undecided while no two seeds are known. "
    if abs(rule.margin(values)) < seeds.width:
        return "Undecided within the spread of seeds. "
    return ""


def _beyond(rule, values, seeds):
    """Say how far values are from the limit of a rule, and how far seeds are apart."""
    if seeds is None:
        return ""
    side = "inside" if rule.holds(values) else "outside"
    nearest = "" if seeds.own else ", the nearest where a run has one seed"
    return (
        f"Margin {abs(rule.margin(values)):.3f} {side} the limit; seeds differ by up to "
        f"{seeds.width:.3f} ({seeds}{nearest})."
    )


def _on_par(claim, results):
    """Compare the settled network, by the paper's scoring and by ours, with baselines run here."""
    settled = {name: headline_experiment(PAPERS_DATA, "ssim", name) for name in SCORINGS}
    ours = {
        name: result
        for name, experiment in settled.items()
        for result in results
        if result.experiment == experiment
    }
    others = chosen_comparisons(PAPERS_DATA, claim.rule.baselines)
    missing = [] if SCORINGS[0] in ours else [f"the headline's SSIM network on {PAPERS_DATA}"]
    if not others:
        labels = [BASELINES[name].label for name in claim.rule.baselines]
        missing.append(f"{' or '.join(labels)} on {PAPERS_DATA}")
    if missing:
        return Verdict(claim, NOT_TESTABLE, f"Missing: {'; '.join(missing)}.")
    best, number = others[0].metrics["auroc"], claim.measure.number
    holds = {scoring: claim.rule.holds(number(result), best) for scoring, result in ours.items()}
    parts = [f"SSIM {number(result):.3f} in {WORDS[name]} scoring" for name, result in ours.items()]
    parts += [f"{other.about.label} {other.metrics['auroc']:.3f}" for other in others]
    text = f"{claim.measure.name}: {', '.join(parts)}."
    if len(set(holds.values())) > 1:
        text += f" In our scoring the rule {'holds' if holds['ours'] else 'does not hold'}."
    verdict = REPRODUCED if holds[SCORINGS[0]] else NOT_REPRODUCED
    return Verdict(claim, verdict, text, tuple(ours.values()))


def _comparable(needs, results, also=()):
    """Find results of each need at the largest budget of all, one for each seed that all have.

    Budget, schedule and seed are those of the results, and so are settings whose names are in
    ``also``; all results agree in them. Returns them and an empty string; or nothing, and what is
    missing.
    """
    names = ("patches_seen", "schedule", *also, "seed")
    runs = comparisons.by_settings(needs, results, names)
    missing = [
        f"{METHODS[need.method].label} on {need.dataset}" + (settings and f" with {settings}")
        for need, points in zip(needs, runs, strict=True)
        for settings in [settings_of(need, needs)]
        if not points
    ]
    if missing:
        return [], f"Missing: {'; '.join(missing)}."
    if not (shared := comparisons.shared_points(runs)):
        reached = ", ".join(
            f"{named(need, needs)} {max(points)[0]:,}"
            for need, points in zip(needs, runs, strict=True)
        )
        return [], f"Missing: a number of patches that all have results for; largest are {reached}."
    # The largest budget, and the paper's schedule before others.
    largest = max(shared, key=lambda point: (point[0], point[1] == "paper", point))
    seeds = sorted(point for point in shared if point[:-1] == largest[:-1])
    return [[points[seed] for seed in seeds] for points in runs], ""


def _means(groups, measure):
    """Return the mean over seeds for each need."""
    return [float(np.mean([measure.number(result) for result in group])) for group in groups]


def _evidence(needs, groups, measure):
    """Say what came out, and after how many patches."""
    values = _means(groups, measure)
    parts = [f"{named(need, needs)} {value:.3f}" for need, value in zip(needs, values, strict=True)]
    if len(values) == 2:
        parts.append(f"difference {values[0] - values[1]:+.3f}")
    elif len(values) > 2:
        parts.append(f"spread {spread(values):.3f}")
    result = groups[0][0]
    patches = result.experiment.patches_seen
    seeds = f"; means over {len(groups[0])} seeds" if len(groups[0]) > 1 else ""
    machine = f" on {describe_machine(result.provenance['machine'])}" if measure == SECONDS else ""
    return (
        f"{measure.name}{measure.where}{machine}: {', '.join(parts)}{seeds}; after {patches:,} "
        f"patches, {100 * patches / paper.BUDGET:.3g} % of the paper's budget."
    )


def _chance(claim, groups):
    """Say how far seeds differ, and whether the rule holds for their means."""
    if not groups:
        return ""
    parts = []
    for need, group in zip(claim.needs, groups, strict=True):
        values = [claim.measure.number(result) for result in group]
        name = named(need, claim.needs)
        parts.append(f"{name} {np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")
    holds = claim.rule.holds(_means(groups, claim.measure))
    return (
        f" Over {len(groups[0])} seeds at {groups[0][0].experiment.patches_seen:,} patches: "
        f"{', '.join(parts)}; the rule {'holds' if holds else 'does not hold'} there."
    )


def _beside(claim, results):
    """Say what stand-ins for the fabrics give, where a claim is on them."""
    text, used = "", ()
    dataset = claim.needs[0].dataset
    for name in STANDINS if dataset in FABRICS else ():
        needs = [replace(need, dataset=name) for need in claim.needs if need.dataset == dataset]
        groups, missing = _comparable(needs, results)
        if not missing:
            text += f" For comparison only, {name}: "
            text += _evidence(needs, groups, claim.measure)
            used += tuple(result for group in groups for result in group)
    return text, used
