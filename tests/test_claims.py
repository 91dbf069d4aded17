"""Every rule can come out either way, and nothing but what a claim is about decides it."""

import importlib
from dataclasses import replace

import numpy as np
import pytest

from book.builder.pages import ROOT
from sadefect.datasets import dataset_fingerprint
from sadefect.errors import DatasetNotFound
from sadefect.paper import numbers as paper
from sadefect.paper import rules, verdicts
from sadefect.paper.claims import CLAIMS, FORMULAS, NETWORKS, OVERLAP, ROC_AREA, SECONDS
from sadefect.paper.experiment import AUGMENTED, Experiment
from sadefect.paper.recording import record
from sadefect.paper.rules import Check, NotTestable, Rule
from sadefect.paper.seeds import seed_spread
from sadefect.paper.store import Result, stored_results
from sadefect.paper.verdicts import (
    NOT_REPRODUCED,
    NOT_TESTABLE,
    REPRODUCED,
    UNDECIDED,
    count_verdicts,
    decide_claims,
)
from sadefect.provenance import NUMERICS

ON_RESULTS = {key: claim for key, claim in CLAIMS.items() if isinstance(claim.rule, Rule)}
CHECKED = {key: claim for key, claim in CLAIMS.items() if isinstance(claim.rule, Check)}
BUDGET = 200_000  # Enough for every rule.

# Numbers for a claim's needs, in their order: some that a rule takes, and some that it does not.
# Where there are two of a kind, the second is just beyond the threshold.
MADE_UP = {
    "ssim_beats_l2": ([(0.9, 0.6), (0.9, 0.7)], [(0.6, 0.9), (0.9, 0.701)]),
    "ssim_beats_l2_on_fabrics": (
        [(0.9, 0.6, 0.9, 0.6), (0.8, 0.7, 0.9, 0.8)],
        [(0.9, 0.6, 0.6, 0.6), (0.6, 0.6, 0.9, 0.6)],
    ),
    "l2_almost_unusable": ([(0.6,), (0.749,)], [(0.9,), (0.75,)]),
    "vae_no_gain": ([(0.6, 0.6), (0.62, 0.6)], [(0.9, 0.6), (0.621, 0.6)]),
    "feature_matching_no_gain": ([(0.6, 0.6), (0.62, 0.6)], [(0.9, 0.6), (0.621, 0.6)]),
    "ssim_auroc": ([(0.966,), (0.946,)], [(0.9,), (0.99,)]),
    "l2_auroc": ([(0.688,), (0.708,)], [(0.6,), (0.709,)]),
    "ssim_best": ([(0.9, 0.6, 0.6, 0.6), (0.9, 0.7, 0.7, 0.8)], [(0.9, 0.6, 0.6, 0.801)]),
    "feature_matching_helps_fibres": ([(0.9, 0.6), (0.621, 0.6)], [(0.6, 0.6), (0.62, 0.6)]),
    "feature_matching_not_on_fabrics": (
        [(0.6, 0.6, 0.6, 0.6), (0.62, 0.6, 0.5, 0.6)],
        [(0.9, 0.6, 0.6, 0.6), (0.6, 0.6, 0.621, 0.6)],
    ),
    "l2_misses_regions": ([(0.9, 0.1), (0.8, 0.39)], [(0.9, 0.9), (0.8, 0.4)]),
    "overlap": ([(0.99,), (0.911,)], [(0.5,), (0.91,)]),
    "overlap_beats_features": ([(0.99,), (0.851,)], [(0.5,), (0.85,)]),
    "faster_than_features": ([(2.0,), (14.9,)], [(60.0,), (15.1,)]),
    "settings_hardly_matter": (
        [(0.9,) * 11, (0.848, *(0.966,) * 10)],
        [(0.5, *(0.9,) * 10), (0.847, *(0.966,) * 10)],
    ),
    "default_is_best": ([(0.9, *(0.8,) * 10)], [(0.8, *(0.9,) * 10), (0.9,) * 11]),
    "small_latent_dim_is_worse": ([(0.9, 0.8), (0.9, 0.879)], [(0.8, 0.9), (0.9, 0.88)]),
    "large_latent_dims_are_alike": ([(0.9, 0.9, 0.9), (0.92, 0.9, 0.91)], [(0.9, 0.95, 0.9)]),
    "window_3_is_worst": ([(0.8, *(0.9,) * 4)], [(0.9, *(0.8,) * 4), (0.8,) * 5]),
    "larger_windows_are_alike": ([(0.9,) * 4], [(0.9, 0.9, 0.9, 0.879)]),
    "larger_patches_are_better": ([(0.7, 0.8, 0.9)], [(0.9, 0.8, 0.7), (0.7, 0.9, 0.8)]),
    "patch_sizes_are_alike": ([(0.9, 0.9, 0.9)], [(0.8, 0.9, 0.9)]),
}


NOWHERE = "of data that are nowhere"


def known_data(name):
    try:
        return dataset_fingerprint(name)
    except DatasetNotFound:  # The paper's fabrics are nowhere to be had.
        return NOWHERE


def made_up(experiment, measure, value, **changes):
    """A result of which one number is given."""
    images = 40
    experiment = replace(experiment, **{"patches_seen": BUDGET} | changes)
    return Result(
        experiment,
        {
            "auroc": value if measure == ROC_AREA else 0.5,
            "overlap": {"0.05": {"median": value if measure == OVERLAP else 0.5}},
            "threshold_images": 1,
        },
        {"region_images": np.repeat(np.arange(images), 3)},
        {
            "seconds": {"evaluation": (images + 1) * (value if measure == SECONDS else 1.0)},
            "machine": {"processor": "some-processor"},
            "numerics": NUMERICS,
            "data": known_data(experiment.dataset),
        },
        "local",
        "made up",
    )


def made_up_for(claim, values, **changes):
    return [
        made_up(need, claim.measure, value, **changes)
        for need, value in zip(claim.needs, values, strict=True)
    ]


def seeds(measure, *values, **settings):
    """Results of several seeds of one run; by default of one that no claim is about, and alike."""
    run = Experiment(**{"dataset": "synthetic/fibres-tiny", "method": "ms_ssim"} | settings)
    return [
        made_up(run, measure, value, patches_seen=run.patches_seen, seed=seed)
        for seed, value in enumerate(values or (0.5, 0.5))
    ]


def decide(claim, results):
    """The verdict by given results, where seeds make no difference."""
    return verdicts.decide(claim, [*results, *seeds(claim.measure)])


def test_claims_are_told_apart_and_complete():
    assert len({claim.text for claim in CLAIMS.values()}) == len(CLAIMS) >= 15
    for claim in CLAIMS.values():
        assert claim.place.source in (paper.LAST_PAGE, paper.QUOTED, paper.RECALLED)
        assert (ROOT / "notebooks" / f"{claim.place.page}.py").is_file(), claim.place.page
        for text in (claim.text, claim.sentence):
            assert text.endswith(".") and "|" not in text and "{" not in text
        assert bool(claim.needs) == isinstance(claim.rule, Rule)
        assert {"nanotwice", *rules.FABRICS}.issuperset(run.dataset for run in claim.needs)
    assert MADE_UP.keys() == ON_RESULTS.keys()


def limits(rule):
    """The thresholds of a rule, by the names of its fields."""
    if isinstance(rule, Check):
        return rule.limits
    said = {"limit": rule.limit, "minimum": 100 * rule.minimum_share}
    return {name: value for name, value in said.items() if value}  # Nothing is said of 0.


@pytest.mark.parametrize("key", [*ON_RESULTS, *CHECKED])
def test_a_sentence_says_the_thresholds_of_its_rule(key):
    claim = CLAIMS[key]
    for value in limits(claim.rule).values():
        assert f"{value:g}" in claim.sentence


# A rule, and values for which it holds just so: the first of them decides by its threshold.
AT_THE_THRESHOLD = [
    (rules.exceeds(0.3), (0.8, 0.5, 0.4), "at least 0.3"),
    (rules.exceeds(0.3, "more than"), (0.801, 0.5, 0.4), "more than 0.3"),
    (rules.exceeds(0.3, "at most"), (0.8, 0.5, 0.4), "at most 0.3"),
    (rules.bounded("more than", 0.4), (0.401,), "more than 0.4"),
    (rules.bounded("at least", 0.4), (0.4,), "at least 0.4"),
    (rules.bounded("below", 0.4), (0.399,), "below 0.4"),
    (rules.within(0.1, 0.5), (0.6,), "from the paper's 0.5 by at most 0.1"),
    (rules.within(0.1, 0.5), (0.4,), "from the paper's 0.5 by at most 0.1"),
    (rules.alike(0.3), (0.8, 0.5, 0.6), "by at most 0.3"),
    (rules.second_below_half(), (0.801, 0.4), "ℓ² is below half that with SSIM"),
    (rules.highest(), (0.501, 0.5, 0.4), "is highest with SSIM"),
    (rules.lowest(), (0.399, 0.5, 0.4), "is lowest with SSIM"),
    (rules.exceeds(0.3, on_each_fabric=True), (0.8, 0.5, 0.9, 0.6), "at least 0.3"),
    (rules.exceeds(0.3, on_each_fabric=True), (0.9, 0.5, 0.9, 0.6), "at least 0.3"),
]


@pytest.mark.parametrize(("rule", "values", "words"), AT_THE_THRESHOLD)
def test_rules_flip_at_their_thresholds(rule, values, words):
    runs = [Experiment(dataset="nanotwice", method=m) for m in ("ssim", "l2", "vae", "ms_ssim")]
    assert words in rule.sentence(runs[: len(values)], ROC_AREA)
    assert rule.holds(values)
    beyond = [
        (*values[:at], values[at] + step, *values[at + 1 :])
        for at in range(len(values))
        for step in (0.002, -0.002)
    ]
    assert not all(map(rule.holds, beyond))


def test_rising_values_rise_at_every_step():
    assert rules.rising().holds((0.7, 0.701, 0.702))
    assert not rules.rising().holds((0.7, 0.701, 0.701))


@pytest.mark.parametrize("key", ON_RESULTS)
def test_results_decide_either_way(key):
    claim = CLAIMS[key]
    for expected, cases in zip((REPRODUCED, NOT_REPRODUCED), MADE_UP[key], strict=True):
        for values in cases:
            verdict = decide(claim, made_up_for(claim, values))
            assert verdict.verdict == expected, (values, verdict.evidence)
            assert "200,000 patches, 10 % of the paper's budget" in verdict.evidence
            assert claim.measure.name in verdict.evidence
            assert len(verdict.used) == len(claim.needs) + 2 and len(verdict.values) == len(values)


@pytest.mark.parametrize("key", ON_RESULTS)
def test_without_one_of_the_results_nothing_is_decided(key):
    claim = CLAIMS[key]
    every = made_up_for(claim, MADE_UP[key][0][0])
    for left_out in range(len(every)):
        verdict = decide(claim, every[:left_out] + every[left_out + 1 :])
        assert verdict.verdict == NOT_TESTABLE
        assert verdict.evidence.startswith("Missing: ")
        assert claim.needs[left_out].dataset in verdict.evidence


@pytest.mark.parametrize("key", ON_RESULTS)
def test_nothing_else_counts(key):
    every = made_up_for(CLAIMS[key], MADE_UP[key][0][0])
    old = [replace(result, provenance=result.provenance | {"numerics": {}}) for result in every]
    others = {
        "another variant": [
            replace(result, experiment=replace(result.experiment, stride=128)) for result in every
        ],
        "a stand-in": [
            replace(result, experiment=replace(result.experiment, dataset="synthetic/weave"))
            for result in every
        ],
        "an earlier version of the numerics": old,
        "other data": [
            replace(result, provenance=result.provenance | {"data": "theirs"})
            for result in every
            if result.provenance["data"] != NOWHERE  # Where nothing can tell.
        ],
    }
    for name, results in others.items():
        assert decide_on_results(results)[key].verdict == NOT_TESTABLE, name


def decide_on_results(results):
    """`decide_claims` without the checks that need no result."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verdicts, "CLAIMS", ON_RESULTS)
        return decide_claims(results)


@pytest.mark.parametrize("key", [key for key, claim in ON_RESULTS.items() if len(claim.needs) > 1])
def test_compared_runs_have_one_budget(key):
    claim = CLAIMS[key]
    good, bad = (MADE_UP[key][which][0] for which in (0, 1))
    small = made_up_for(claim, good)
    unequal = [made_up(claim.needs[0], claim.measure, 0.9, patches_seen=299_999), *small[1:]]
    verdict = decide(claim, unequal)
    assert verdict.verdict == NOT_TESTABLE and "299,999" in verdict.evidence
    large = made_up_for(claim, bad, patches_seen=400_000)
    verdict = decide(claim, small + unequal + large)
    assert verdict.verdict == NOT_REPRODUCED and "400,000 patches" in verdict.evidence
    assert decide(claim, small + unequal + large[1:]).verdict == REPRODUCED


def test_schedules_are_not_mixed_and_seeds_are_averaged():
    claim = CLAIMS["ssim_beats_l2"]
    first = made_up_for(claim, (0.82, 0.5))
    other = made_up_for(claim, (0.82, 0.5), schedule="paper")
    assert decide(claim, [first[0], other[1]]).verdict == NOT_TESTABLE
    second = made_up_for(claim, (0.78, 0.5), seed=1)
    verdict = decide(claim, first + second)
    assert verdict.verdict == REPRODUCED and "means over 2 seeds" in verdict.evidence
    assert "SSIM 0.800, ℓ² 0.500, difference +0.300" in verdict.evidence
    assert "means over" not in decide(claim, first + second[:1]).evidence


def augmented_for(claim, values, **changes):
    """Results of networks whose rate decayed, trained on augmented patches."""
    changes = {"decay_from": 160_000} | AUGMENTED | changes
    return made_up_for(claim, values, **changes)


def test_augmented_patches_decide_what_the_printed_ones_leave_open():
    claim = CLAIMS["ssim_beats_l2"]
    good, bad = (MADE_UP["ssim_beats_l2"][which][0] for which in (0, 1))
    few = {"patches_seen": 1_000}
    open_ones = ([], made_up_for(claim, bad, **few))
    for printed in open_ones:
        for values, expected in ((good, REPRODUCED), (bad, NOT_REPRODUCED)):
            verdict = decide(claim, [*printed, *augmented_for(claim, values)])
            assert verdict.verdict == expected and verdict.values == pytest.approx(values)
            assert "With augmented patches: AUROC: SSIM" in verdict.evidence
        verdict = decide(claim, [*printed, *augmented_for(claim, good, decay_from=0, **few)])
        assert verdict.verdict == UNDECIDED
    # What the printed ones decide stays decided, and the others are mentioned.
    verdict = decide(claim, [*made_up_for(claim, good), *augmented_for(claim, bad)])
    assert verdict.verdict == REPRODUCED and verdict.evidence.endswith("The rule does not hold.")
    assert len(verdict.used) == 6
    # Runs that are compared decayed alike.
    first, second = augmented_for(claim, good), augmented_for(claim, good, decay_from=100_000)
    assert decide(claim, [first[0], second[1]]).verdict == NOT_TESTABLE


def test_a_verdict_of_one_seed_says_how_far_seeds_differ():
    claim = CLAIMS["ssim_beats_l2"]
    long = made_up_for(claim, (0.95, 0.6), patches_seen=500_000)
    seeds = made_up_for(claim, (0.8, 0.7)) + made_up_for(claim, (0.7, 0.6), seed=1)
    verdict = decide(claim, long + seeds)
    assert verdict.verdict == REPRODUCED and len(verdict.used) == 6
    assert "Over 2 seeds at 200,000 patches: SSIM 0.750 (0.700 to 0.800)" in verdict.evidence
    assert "the rule does not hold there" in verdict.evidence
    assert "the rule" not in decide(claim, long + seeds[:3]).evidence


@pytest.mark.parametrize("key", ON_RESULTS)
def test_too_little_training_decides_nothing(key):
    claim = CLAIMS[key]
    enough = claim.rule.minimum_share * paper.BUDGET
    for expected, cases in zip((REPRODUCED, NOT_REPRODUCED), MADE_UP[key], strict=True):
        for patches in (int(enough) - 1, int(enough)) if enough else (1,):
            results = made_up_for(claim, cases[0], patches_seen=patches)
            verdict = decide(claim, results)
            assert verdict.verdict == (expected if patches >= enough else UNDECIDED)
            assert ("Undecided below" in verdict.evidence) == (patches < enough)


def test_rules_on_table_2_need_less_training():
    shares = {
        name: {claim.rule.minimum_share for claim in ON_RESULTS.values() if choose(claim)}
        for name, choose in {
            "table 2": lambda claim: claim.place.page.startswith("tab02"),
            "time": lambda claim: claim.measure == SECONDS,
        }.items()
    }
    assert shares == {"table 2": {rules.MINIMUM_SHARE_OF_TABLE_2}, "time": {0.0}}
    assert rules.MINIMUM_SHARE_OF_TABLE_2 < rules.MINIMUM_SHARE


@pytest.mark.parametrize("key", ON_RESULTS)
def test_within_the_spread_of_seeds_nothing_is_decided(key):
    claim = CLAIMS[key]
    for expected, cases in zip((REPRODUCED, NOT_REPRODUCED), MADE_UP[key], strict=True):
        margin = abs(claim.rule.margin(cases[0]))
        for width, verdict in ((margin - 0.0001, expected), (margin + 0.0001, UNDECIDED)):
            results = made_up_for(claim, cases[0]) + seeds(claim.measure, 0.1, 0.1 + width)
            assert verdicts.decide(claim, results).verdict == verdict


def test_without_seeds_nothing_is_decided():
    claim = CLAIMS["ssim_beats_l2"]
    verdict = verdicts.decide(claim, made_up_for(claim, (0.9, 0.6)))
    assert verdict.verdict == UNDECIDED and "no two seeds are known" in verdict.evidence


def test_seeds_are_those_of_the_nearest_run():
    run = Experiment(dataset="nanotwice", latent_dim=50)
    nearer = [  # Each is taken before all that come earlier in the list.
        seeds(ROC_AREA, 0.1, 0.2),
        seeds(ROC_AREA, 0.1, 0.3, method="ssim"),
        seeds(ROC_AREA, 0.1, 0.4, dataset="nanotwice", method="l2"),
        seeds(ROC_AREA, 0.1, 0.9, dataset="nanotwice", method="ssim", patches_seen=1_000),
        seeds(ROC_AREA, 0.1, 0.5, dataset="nanotwice", method="ssim"),
        seeds(ROC_AREA, 0.1, 0.6, dataset="nanotwice", method="ssim", latent_dim=50),
    ]
    known = []
    for results in nearer:
        known += results
        spread = seed_spread(run, ROC_AREA, known)
        assert spread.results == tuple(results) and spread.own == (results is nearer[-1])
    assert str(spread) == "2 seeds of SSIM on nanotwice at 2,000,000 patches"
    odd = seeds(ROC_AREA, 0.1, 0.9, dataset="nanotwice", method="ssim", crops="fresh")
    assert seed_spread(run, ROC_AREA, odd) is None
    assert seed_spread(replace(run, crops="fresh"), ROC_AREA, known + odd).results == tuple(odd)


def test_verdicts_are_counted():
    counts = count_verdicts(decide_on_results([]).values())
    assert counts == {REPRODUCED: 0, NOT_REPRODUCED: 0, UNDECIDED: 0, NOT_TESTABLE: len(ON_RESULTS)}
    assert {claim.kind for claim in ON_RESULTS.values()} == {NETWORKS}
    assert {claim.kind for claim in CHECKED.values()} == {FORMULAS}


def test_stand_ins_are_mentioned():
    claim = CLAIMS["ssim_beats_l2_on_fabrics"]
    weave = [
        made_up(Experiment(dataset="synthetic/weave", method=method), ROC_AREA, value)
        for method, value in (("ssim", 0.8), ("l2", 0.7))
    ]
    verdict = decide(claim, weave)
    assert verdict.verdict == NOT_TESTABLE and verdict.used == tuple(weave)
    assert "For comparison only, synthetic/weave: AUROC: SSIM 0.800, ℓ² 0.700" in verdict.evidence


def test_a_result_without_the_number_is_no_result():
    claim = CLAIMS["faster_than_features"]
    (result,) = made_up_for(claim, (2.0,))
    for without in (
        replace(result, curves={}),
        replace(result, provenance=result.provenance | {"seconds": {"training": 1.0}}),
    ):
        assert decide(claim, [without]).verdict == NOT_TESTABLE


def halved(function):
    def wrong(*args, **options):
        values = function(*args, **options)
        return tuple(value / 2 for value in values) if isinstance(values, tuple) else values / 2

    return wrong


# What a check looks at, and how it may be wrong.
BROKEN = {
    "edges_mislead_less": (
        "structural_similarity",
        "ssim_residual",
        lambda old: lambda x, y: (x - y) ** 2,
    ),
    "three_measures": ("structural_similarity", "ssim_components", halved),
    "ssim_is_bounded": ("structural_similarity", "ssim_map", halved),
    "ssim_is_a_product": ("structural_similarity", "ssim_map", halved),
    "encoder_is_table_1": ("models", "TABLE_1", lambda old: ((16, 4, 2), *old[1:])),
    "decoder_is_a_mirror": ("models", "build_decoder", lambda old: lambda: old(patch_size=64)),
}


def test_every_check_has_a_way_to_fail():
    assert BROKEN.keys() == CHECKED.keys()


@pytest.mark.parametrize("key", BROKEN)
def test_checks_decide_either_way(key, monkeypatch):
    assert decide(CLAIMS[key], []).verdict == REPRODUCED
    home, name, broken = BROKEN[key]
    module = importlib.import_module(f"sadefect.{home}")
    monkeypatch.setattr(module, name, broken(getattr(module, name)))
    assert decide(CLAIMS[key], []).verdict == NOT_REPRODUCED


@pytest.mark.parametrize("scale", [1.1, -1.0])
def test_a_similarity_beyond_its_bounds_is_noticed(scale, monkeypatch):
    module = importlib.import_module("sadefect.structural_similarity")
    right = module.ssim_map
    monkeypatch.setattr(module, "ssim_map", lambda *a, **options: scale * right(*a, **options))
    assert decide(CLAIMS["ssim_is_bounded"], []).verdict == NOT_REPRODUCED


def test_what_nothing_can_test_says_why():
    for claim in CLAIMS.values():
        if isinstance(claim.rule, NotTestable):
            verdict = decide(claim, [])
            assert verdict.verdict == NOT_TESTABLE and claim.rule.reason in verdict.evidence


def test_recorded_results_are_read_whatever_the_store_holds(tmp_path, monkeypatch):
    monkeypatch.setenv("SADEFECT_CACHE", str(tmp_path / "store"))
    monkeypatch.setenv("SADEFECT_RECORDED", str(tmp_path / "recorded"))
    assert stored_results(["recorded"]) == []
    from sadefect import run

    tiny = Experiment(
        dataset="synthetic/fibres-tiny", latent_dim=4, patch_size=32, window_size=7, patches_seen=16
    )
    record([run(tiny)])
    [recorded] = stored_results(["recorded"])
    assert (recorded.experiment, recorded.source) == (tiny, "recorded")
    assert len(decide_on_results([recorded])) == len(ON_RESULTS)
