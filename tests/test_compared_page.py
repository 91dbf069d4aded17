"""What is shown of the methods that the paper is compared with, and the claim that they decide."""

import shutil
from dataclasses import replace
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest

from sadefect.baselines import BASELINES, FILTERS, IMAGENET, NORMALS, build_baseline
from sadefect.baselines.filters import Level
from sadefect.cli.compared import compare
from sadefect.datasets import load_dataset
from sadefect.figures import charts
from sadefect.figures import compared as page
from sadefect.figures.origins import origin
from sadefect.paper import compared, verdicts
from sadefect.paper.claims import CLAIMS
from sadefect.paper.compared import Comparison
from sadefect.paper.experiment import Experiment
from sadefect.paper.store import Result, empty_store
from sadefect.paper.verdicts import NOT_REPRODUCED, NOT_TESTABLE, REPRODUCED, decide

TINY = "synthetic/fibres-tiny"


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("SADEFECT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SADEFECT_RECORDED", str(tmp_path / "recorded"))


def comparison(name, area, seconds=1.0):
    metrics = {"auroc": area, "aupro": 0.5, "overlap": {"0.05": {"median": 0.25}}}
    provenance = {
        "seconds": {"fit": 12.0, "image": seconds}, "parameters": 1_234, "data": "some-data",
        "commit": "abc123", "versions": {}, "machine": {"processor": "some-processor"},
    }  # fmt: skip
    curves = {"fpr": [0, 1], "tpr": [0, 1]}
    return Comparison(
        name, "nanotwice", 0, {}, metrics, curves, provenance, "recorded", f"k-{name}"
    )


def entry(name, area, seconds=1.0, given=None):
    result = comparison(name if name in BASELINES else "level", area, seconds)
    about = BASELINES[result.name]
    label = about.label if name in BASELINES else name
    faithful, took = about.faithful, (seconds, 12.0)
    return page.Entry(name, label, given or about.given, faithful, result, took, 1_234, (area,))


ENTRIES = [
    entry("feature_gaussian", 0.98, 9.0),
    entry("SSIM, as printed", 0.95, 3.0, page.AUTOENCODER),
    entry("feature_dictionary", 0.94, 9.1),
    entry("filter_bank", 0.88, 0.5),
]


def test_only_results_at_settings_chosen_without_masks_are_taken(store):
    compared.evaluate_baseline("level", TINY, window=9)
    assert compared.chosen_comparisons(TINY) == []
    assert compared.chosen_settings("padim", TINY, compute=False) is None
    chosen = compared.chosen_settings("level", TINY)
    assert compared.chosen_comparisons(TINY) == []  # Chosen, and not scored.
    result = compared.evaluate_baseline("level", TINY, **chosen)
    [found] = compared.chosen_comparisons(TINY, FILTERS)
    assert found.key == result.key and compared.chosen_comparisons(TINY, ["filter_bank"]) == []
    [shown] = page.stored_entries(TINY)
    assert (shown.label, shown.given, shown.spread) == (
        "mean over a window", NORMALS, (result.metrics["auroc"],)
    )  # fmt: skip
    row = page.choices_table(["level", "padim"], TINY).data.splitlines()[2:]
    assert len(row) == 1 and f"| {len(BASELINES['level'].choices)} |" in row[0]
    figure = page.maps_of_one_image([shown], TINY)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["input", "mean over a window"]


def test_the_map_of_the_first_image_is_kept_in_8_bit_and_made_again(store):
    result = compared.evaluate_baseline("level", TINY, window=9)
    kept = compared.example_map(result)
    data = load_dataset(TINY)
    fitted = build_baseline("level", window=9).fit([good.image for good in data.split()[0]])
    exact = fitted.anomaly_map(data.test[0].image)
    exact = exact.reshape(kept.shape[0], 2, kept.shape[1], 2).mean((1, 3))
    low, high = np.quantile(exact, (0.01, 0.99))
    assert np.abs(kept.clip(low, high) - exact.clip(low, high)).max() < (high - low) / 100
    (_, folder), *_ = compared.places("compared", result.key)
    (folder / "map.npz").unlink()
    assert compared.example_map(result) is None
    shutil.rmtree(folder)
    again = compared.evaluate_baseline("level", TINY, window=9)
    assert np.array_equal(compared.example_map(again), kept)


def test_the_sentence_names_the_best_of_each_kind():
    text = page.best_of_each(ENTRIES, "nanotwice").data
    assert text == (
        "On `nanotwice`, the largest AUROC of 4 results is that of *one Gaussian of features* (on "
        "features of ImageNet): 0.980 in 9 s an image; the best autoencoder is *SSIM, as printed*: "
        "0.950 in 3 s an image; the best without a network is *filter bank, Mahalanobis*: 0.880 in "
        "0.5 s an image."
    )
    assert "No method" in page.best_of_each([], "nanotwice").data


def test_methods_on_the_same_features_are_named_together():
    def on(name, area, *layers):
        made = entry(name, area)
        return made._replace(result=replace(made.result, settings={"layers": list(layers)}))

    entries = [on("memory_bank", 0.9, "a", "b"), on("padim", 0.8, "a", "b"),
               on("feature_gaussian", 0.7, "c")]  # fmt: skip
    assert page.same_features(entries).data == (
        "AUROC on the same features: on a and b, memory bank of features 0.900 and a Gaussian at "
        "each position 0.800."
    )
    assert page.same_features(entries[1:]).data.startswith("No two methods")


def test_what_is_below_chance_is_named():
    text = page.below_chance([*ENTRIES, entry("level", 0.4), entry("l2", 0.3, given="x")]).data
    assert text.startswith("Below chance: mean over a window (default), 0.400.")
    assert page.below_chance(ENTRIES) is None


def test_candidates_are_fitted_to_some_images_of_a_large_set(store, monkeypatch):
    seen = []
    monkeypatch.setattr(compared, "CHOSEN_FROM", 2)
    monkeypatch.setattr(Level, "_fit", lambda self, images, count: seen.append(count))
    monkeypatch.setattr(Level, "_map", lambda self, image: image)
    compared.choose_baseline("level", TINY)
    assert len(load_dataset(TINY).split()[0]) > 2 and set(seen) <= {1, 2} and seen


def test_the_scatter_names_every_point_and_no_name_covers_another():
    close = [entry(f"method number {n}", 0.9 + n / 200, 2 + n / 50) for n in range(8)]
    figure = page.quality_and_time([*ENTRIES, *close, entry("not timed", 0.7, None)])
    [axes] = figure.axes
    names = {text.get_text() for text in axes.texts}
    assert names == {point.label for point in (*ENTRIES, *close)}
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    bare = [box for box, text in zip(boxes, axes.texts, strict=True) if not text.arrow_patch]
    assert not any(one.overlaps(other) for one, other in combinations(bare, 2))
    assert axes.get_xscale() == "log" and sum(len(line.get_xdata()) for line in axes.lines) == 12
    assert figure._repr_png_() and page.quality_and_time([])._repr_png_()


def test_the_table_has_published_numbers_with_their_source():
    text = page.comparison_table(ENTRIES, "nanotwice").data
    rows = text.splitlines()
    assert [row for row in rows if row.startswith("| CNN feature dictionary | 0.940 | - | 0.974 ")]
    assert [row for row in rows if "(GCPF), not run here | - | - | 0.976 " in row]
    assert "Wan, L. Gao" in text and "The paper, section 4.3" in text
    assert len({row.count("|") for row in rows if row.startswith("|")}) == 1
    several = ENTRIES[0]._replace(spread=(0.98, 0.97))
    assert "| 0.980 | 0.970 to 0.980 |" in page.comparison_table([several], "nanotwice").data
    needs = page.needs_table(ENTRIES).data.splitlines()
    assert len(needs) == 2 + len(ENTRIES) and "in the spirit of" in "".join(needs)


def test_seeds_that_are_furthest_apart_are_named():
    assert page.seeds_apart(ENTRIES).data == "No method has several seeds."
    first, second = (ENTRIES[n]._replace(spread=(0.9, 0.9 - n / 10)) for n in (0, 1))
    text = page.seeds_apart([first, second, *ENTRIES[2:]]).data
    assert f"*{second.label}*" in text and "0.800 to 0.900. Those of all others" in text
    assert "10.3390/s18010209" in page.citations().data


def test_a_curve_without_a_network_is_dotted_and_gray():
    result = SimpleNamespace(
        experiment=Experiment(dataset="nanotwice", method="ssim"),
        metrics={"auroc": 0.9}, curves={"fpr": [0, 1], "tpr": [0, 1]},
    )  # fmt: skip
    for beside, lines in ((None, 2), ({"nanotwice": [comparison("filter_bank", 0.88)]}, 3)):
        [axes] = charts.roc_curves({"nanotwice": [result]}, beside).axes
        assert len(axes.lines) == lines
    assert axes.lines[-1].get_linestyle() == ":"
    assert axes.lines[-1].get_label() == "filter bank, Mahalanobis: 0.880"


def test_the_foot_of_a_page_names_baselines():
    line = origin(None, [comparison("level", 0.8)])
    for part in ("computed by this page", "`k-level`", "some-data", "recorded", "abc123"):
        assert part in line.data
    assert line.metadata["sadefect"]["results"] == [{"key": "k-level", "source": "recorded"}]


def headline(scoring, area):
    experiment = Experiment(dataset="nanotwice", patches_seen=1_000)
    experiment = experiment if scoring == "paper's" else replace(experiment, smoothing=4.0)
    return Result(experiment, {"auroc": area}, {}, {}, "local", "made up")


@pytest.mark.parametrize(
    ("papers", "ours", "best", "verdict", "said"),
    [
        (0.95, 0.96, 0.97, REPRODUCED, "SSIM 0.950 in the paper's scoring"),
        (0.949, 0.96, 0.97, NOT_REPRODUCED, "In our scoring the rule holds."),
        (0.9, 0.9, 0.97, NOT_REPRODUCED, "CNN feature dictionary 0.970"),
        (0.99, 0.99, None, NOT_TESTABLE, "Missing: CNN feature dictionary or one Gaussian"),
        (None, 0.99, 0.97, NOT_TESTABLE, "Missing: the headline's SSIM network on nanotwice"),
    ],
)
def test_the_claim_on_pretrained_networks(monkeypatch, papers, ours, best, verdict, said):
    areas = {"paper's": papers, "ours": ours}
    results = {name: headline(name, area) for name, area in areas.items() if area}
    monkeypatch.setattr(
        verdicts, "headline_experiment", lambda *asked: headline(asked[-1], 0).experiment
    )
    others = [comparison("feature_dictionary", best)] if best else []
    monkeypatch.setattr(verdicts, "chosen_comparisons", lambda *_: others)
    decided = decide(CLAIMS["ssim_on_par"], list(results.values()))
    assert decided.verdict == verdict and said in decided.evidence
    assert decided.used == (tuple(results.values()) if verdict != NOT_TESTABLE else ())
    assert all(BASELINES[name].given == IMAGENET for name in decided.claim.rule.baselines)


def test_every_baseline_that_was_recorded_on_real_images_is_found_by_its_choice():
    with empty_store():
        recorded = [r for r in compared.stored_comparisons(["recorded"]) if r.seed == 0]
        for dataset in {result.dataset for result in recorded}:
            found = {result.key for result in compared.chosen_comparisons(dataset)}
            there = {result.key for result in recorded if result.dataset == dataset}
            assert there <= found, dataset


def test_the_verb_chooses_runs_and_records(store, capsys):
    compare(["level"], data=[TINY], seed=[0, 1])
    assert capsys.readouterr().out.count("level") == 2
    with empty_store():
        [result] = compared.chosen_comparisons(TINY)
    assert result.name == "level" and result.source == "recorded"
