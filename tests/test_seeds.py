"""What several seeds, other crops and another machine say of one number."""

from dataclasses import replace

import pytest

from sadefect.figures.gap import (
    ablation_table,
    overfitting_sentence,
    precision_table,
    repeated_table,
    seeds_table,
)
from sadefect.figures.sentences import area_over_seeds
from sadefect.paper.comparisons import learning_curve
from sadefect.paper.experiment import AUGMENTATIONS, AUGMENTED, Experiment
from sadefect.paper.gap import ablation
from sadefect.paper.headline import headline_experiment
from sadefect.paper.repeated import made_on, precisions, repeated
from sadefect.paper.seeds import longest_with_seeds, with_other_seeds
from sadefect.paper.store import Result, empty_store, find, stored_results
from sadefect.provenance import NUMERICS

DATA = "synthetic/fibres-tiny"
TABLE_LINES = 2  # Of a header.


@pytest.fixture(scope="module")
def recorded():
    with empty_store():
        yield stored_results()


def result(area, experiment, losses=(), key="key"):
    overlap = {"0.05": {"median": 0.5}}
    metrics = {"auroc": area, "aupro": area / 2, "overlap": overlap}
    curves = {"milestones": [(experiment.patches_seen, *losses)]} if losses else {}
    data = experiment.training_settings["data"]
    made = {"numerics": NUMERICS, "data": data, "versions": {"jax": "1"}}
    made |= {"machine": {"processor": "some-processor", "card": "some-card"}}
    return Result(experiment, metrics, curves, made, "recorded", key)


def test_seeds_of_a_result_are_those_with_the_same_settings():
    own = result(0.8, Experiment(dataset=DATA, patches_seen=100, seed=3))
    others = [
        result(0.9, replace(own.experiment, seed=1)),
        result(0.7, replace(own.experiment, seed=0)),
        result(0.1, replace(own.experiment, seed=0, patches_seen=200)),
        result(0.2, replace(own.experiment, seed=1, opening=9)),
    ]
    group = with_other_seeds(own, [own, *others])
    assert [seed.metrics["auroc"] for seed in group] == [0.8, 0.7, 0.9]
    assert area_over_seeds(own, [own, *others]) == "0.800 (3 seeds, 0.700 to 0.900)"
    assert area_over_seeds(own, [own]) == "0.800"
    text = seeds_table({"some network": [group]}).data
    assert "0.700 to 0.900" in text and "| 0.400 |" in text
    assert "not recorded" in seeds_table({}).data


def test_one_seed_is_beside_the_largest_budget_with_several():
    own = result(0.9, Experiment(dataset=DATA, patches_seen=1_000, decay_from=800))
    shorter = replace(own.experiment, patches_seen=100, decay_from=80)
    alike = [result(0.7, replace(shorter, seed=seed)) for seed in (0, 1)]
    others = [
        *(result(0.5, replace(shorter, patches_seen=10, decay_from=8, seed=n)) for n in (0, 1)),
        *(result(0.1, replace(shorter, patches_seen=400, decay_from=0, seed=n)) for n in (0, 1)),
        *(result(0.2, replace(shorter, patches_seen=500, opening=9, seed=n)) for n in (0, 1)),
        result(0.3, replace(shorter, patches_seen=500, decay_from=400)),
    ]
    assert longest_with_seeds(own, [own, *others, *alike]) == alike
    said = area_over_seeds(own, [own, *others, *alike])
    assert said == "0.900; at 100 patches 0.700 (2 seeds, 0.700 to 0.700)"
    assert longest_with_seeds(own, [own]) == []


def test_the_ablation_is_at_one_budget_and_says_what_overfits(recorded):
    with empty_store():
        rows = ablation("nanotwice", results=recorded)
    names, scored, ours = zip(*rows, strict=True)
    assert list(names) == 2 * list(AUGMENTATIONS)
    budgets = [point.experiment.patches_seen for point in scored]
    assert len(set(budgets[:3])) == 1 and budgets[3:] == [n + n // 4 for n in budgets[:3]]
    assert all(point is None or point.experiment.opening != 4 for point in ours)
    gaps = [held_out / seen - 1 for seen, held_out in (point.losses for point in scored[:3])]
    assert gaps[0] > gaps[1] > gaps[2]
    text = overfitting_sentence(rows).data
    assert all(
        f"{gap:+.1%} with {name}" in text for gap, name in zip(gaps, AUGMENTATIONS, strict=False)
    )
    lines = ablation_table(rows).data.splitlines()
    assert len(lines) == TABLE_LINES + len(rows) and "falls from 160,000" in lines[-1]
    assert ablation(DATA, results=[]) == [] and "not recorded" in ablation_table([]).data


def test_what_was_computed_twice_differs_less_than_seeds_do(recorded):
    rows = repeated("nanotwice")
    places = [
        {made_on(made) for made in (row.result.provenance, row.elsewhere["provenance"])}
        for row in rows
    ]
    assert all(len(pair) == 2 and pair == places[0] for pair in places)
    assert len({row.result.key for row in rows}) == len(rows)
    several = [row for row in rows if len(row.seeds) > 1]
    assert several and all(row.seeds[0] == row.result.metrics["auroc"] for row in several)
    assert all(abs(row.difference) < max(row.seeds) - min(row.seeds) for row in several)
    lines = repeated_table(rows).data.splitlines()
    assert len(lines) == TABLE_LINES + len(rows) and "JAX on NVIDIA" in lines[-1]
    assert repeated(DATA) == [] and "nothing" in repeated_table([]).data


def test_lower_precision_changes_less_than_another_seed(recorded):
    pairs = precisions("nanotwice")
    assert [full.experiment.seed for full, _ in pairs] == [0, 1]
    areas = [[result.metrics["auroc"] for result in pair] for pair in pairs]
    apart = abs(areas[0][0] - areas[1][0])
    assert all(abs(lower - full) < apart for full, lower in areas)
    assert all(full.experiment.precision == "float32" for full, _ in pairs)
    lines = precision_table(pairs).data.splitlines()
    assert len(lines) == TABLE_LINES + 2 and "mixed_bfloat16" in lines[-1]
    assert precisions(DATA) == [] and "not recorded" in precision_table([]).data


def test_a_learning_curve_is_of_one_backend():
    def point(area, seen, package):
        made = result(area, Experiment(dataset=DATA, patches_seen=seen))
        made.provenance["versions"] = {package: "1"}
        return made

    curve = [point(0.5, 10, "tensorflow-cpu"), point(0.6, 20, "jax"), point(0.7, 40, "jax")]
    found = learning_curve(curve[0].experiment, curve)
    assert [seen.experiment.patches_seen for seen in found] == [20, 40]
    assert curve[0].backend == "tensorflow" and curve[1].on_card


def test_each_method_has_three_seeds_no_longer_than_its_headline(recorded):
    with empty_store():
        for method in ("ssim", "l2"):
            settled = find(headline_experiment("nanotwice", method))
            made = [seed.experiment for seed in longest_with_seeds(settled, recorded)]
            assert [run.seed for run in made] == [0, 1, 2]
            assert made[0].patches_seen <= settled.experiment.patches_seen
            assert all(run.crops == AUGMENTED["crops"] for run in made)
