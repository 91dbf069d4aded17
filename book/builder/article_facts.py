"""Computes what the replication article says: numbers, rows of tables, verdicts and figures.

All is found as the pages of the book find it, but in ``recorded/`` alone, so that everybody gets
the same article; images are shown where ``SADEFECT_DATA`` has them.
"""

from collections import Counter
from dataclasses import replace

import yaml

from book.builder.pages import ROOT
from sadefect.baselines import BASELINES, FILTERS, IMAGENET
from sadefect.datasets import about_dataset
from sadefect.figures import charts
from sadefect.figures.compared import GIVEN, stored_entries
from sadefect.figures.gap import gap_sentences, waterfall
from sadefect.figures.panels import inspection_panels, show_panels
from sadefect.figures.scale import full_forecast
from sadefect.figures.sentences import area_over_seeds, found_by
from sadefect.figures.tables import SETTINGS
from sadefect.files import load_json
from sadefect.methods import METHODS, SCHEDULES
from sadefect.paper import numbers as paper
from sadefect.paper.claims import FORMULAS, NETWORKS, ROC_AREA
from sadefect.paper.compared import chosen_comparisons
from sadefect.paper.comparisons import learning_curve, over_seeds, table_2
from sadefect.paper.experiment import AUGMENTED, Experiment
from sadefect.paper.false_alarms import false_alarms, located
from sadefect.paper.gap import ablation, gap_steps
from sadefect.paper.headline import (
    LOOKED_AT,
    compared_recipes,
    headline_experiment,
    unseen_auroc,
)
from sadefect.paper.inspection import inspect
from sadefect.paper.ledger import compared_numbers
from sadefect.paper.open_readings import measured, still_stuck
from sadefect.paper.recording import BRANCH_AT
from sadefect.paper.rules import listed, named, spread
from sadefect.paper.seeds import OverSeeds, seeds_beside
from sadefect.paper.store import empty_store, recorded_folder, stored_results
from sadefect.paper.verdicts import (
    NOT_REPRODUCED,
    REPRODUCED,
    VERDICTS,
    count_verdicts,
    decide_claims,
)
from sadefect.provenance import describe_machine, training_seconds

DATASET, METHODS_SHOWN = "nanotwice", ("l2", "ssim")
FALSE_POSITIVES = 0.05  # At which maps are segmented and false alarms looked at.
MAPS = 5.4  # Inches of the figure of maps.
SIDE = 400  # Pixels of the square of the maps, as on the page of figure 1.


@empty_store()
def article_facts():
    """Return all that the text of ``article/`` names, as a dict; ``figures`` among it."""
    stored = stored_results()
    recipes = {method: compared_recipes(DATASET, method) for method in ("ssim", "l2")}
    printed = recipes["ssim"]["as printed"]
    steps, readings = gap_steps(DATASET), measured(DATASET)
    columns = {name: list(column) for name, column in paper.TABLE_2.items()}
    cells = table_2(DATASET, columns, {})
    decayed = table_2(DATASET, columns, AUGMENTED | {"decay_from": BRANCH_AT[0]})
    verdicts, entries = decide_claims(stored), stored_entries(DATASET)
    filters = chosen_comparisons(DATASET, FILTERS)[:1]
    seeds = over_seeds([Experiment(dataset=DATASET, method=m) for m in ("ssim", "l2")], stored)
    augmentations = [
        (name, result)
        for name, result, _ in ablation(DATASET, results=stored)
        if not result.experiment.decay_from
    ]
    ours = headline_experiment(DATASET, "ssim", "ours")
    shown = [result for group in recipes.values() for result in group.values()]
    shown += [
        *(step.result for step in steps),
        *(result for _, result in augmentations),
        *(r for row in readings for r in row[1:] if r),
    ]
    for column in (*cells.values(), *decayed.values()):
        shown += column.values()
    shown += [result for verdict in verdicts.values() for result in verdict.used]
    curve = learning_curve(printed.experiment, stored)
    maps, caption = _maps(recipes)
    return {
        "paper": paper,
        "schedules": SCHEDULES,
        "looked_at": LOOKED_AT,
        "known": _known(),
        "cited": citation()["references"][0],
        "about_data": about_dataset(DATASET),
        "encoder_layers": len(paper.REPORTED_ENCODER),
        "parameters": next(e.parameters for e in entries if e.result.key == printed.key),
        "recipes": recipes,
        "over_seeds": {
            recipe: area_over_seeds(result, stored) for recipe, result in recipes["ssim"].items()
        },
        "steps": steps,
        "gap": gap_sentences(steps, paper.AUROC[DATASET, "ssim"], curve).data,
        "unseen": ours and unseen_auroc(ours),
        "seeds": [[result.metrics["auroc"] for result in group] for group in seeds],
        "seeds_at": seeds[0][0].experiment.patches_seen if seeds else 0,
        "headline_rows": _headline_rows(recipes, stored),
        "ablation_rows": [
            (name, r.metrics["auroc"], r.metrics["aupro"], r.experiment.patches_seen)
            for name, r in augmentations
        ],
        "readings": readings,
        "reading_rows": [_reading_row(*row) for row in readings if row[1]],
        "largest": max(filter(_counts, readings), key=_change, default=None),
        "columns": _columns(cells),
        "columns_augmented": _columns(decayed),
        "entries": entries,
        "compared_rows": [_compared_row(entry) for entry in entries],
        "best_pretrained": next((e for e in entries if e.given == IMAGENET), None),
        "best_filter": filters[0] if filters else None,
        "napoletano": _citation("feature_dictionary"),
        "scoring": ours,
        "candidates": _candidates(),
        "alarms": _alarms(recipes["ssim"].get("augmented"), stored),
        "forecast": full_forecast()[-1],
        "made": _made(shown, entries),
        "maps_caption": caption,
        **_verdicts(verdicts),
        "figures": {
            "roc": _roc(recipes),
            "maps": maps,
            "sensitivity": _flat(
                charts.sensitivity({"as printed": cells, "augmented": decayed}, paper.TABLE_2), 2.2
            ),
            "gap": _gap(steps) if steps else None,
        },
    }


def citation(root=ROOT):
    """Return ``CITATION.cff``: who made this, and the paper among its references."""
    return yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))


def _known():
    """Count the paper's numbers by how they are known to us."""

    def reported(value):
        if isinstance(value, paper.Reported):
            yield value
        elif isinstance(value, dict | tuple):
            for member in value.values() if isinstance(value, dict) else value:
                yield from reported(member)

    found = {id(n): n for value in vars(paper).values() for n in reported(value)}.values()
    counts = Counter(n.source for n in found if n.publication == paper.Reported.publication)
    return {source: counts[source] for source in (paper.LAST_PAGE, paper.QUOTED, paper.RECALLED)}


def _training_hours(result):
    """Return the hours of a training, with a mark where they are a graphics card's."""
    hours = f"{result.provenance['seconds']['training'] / 3600:.1f}"
    return hours + (" †" if result.on_card else "")


def _headline_rows(recipes, stored):
    rows = []
    for method, group in recipes.items():
        rows.append(
            (
                METHODS[method].label, "the paper", "-", paper.AUROC[DATASET, method], "-", "-",
                paper.OVERLAP_MEDIAN if method == "ssim" else "-", paper.BUDGET, "-",
            )
        )  # fmt: skip
        for recipe, result in group.items():
            most = 1 if recipe == "as printed" else None  # The text has its seeds.
            for trained in seeds_beside(result, stored)[:most]:
                seeds = OverSeeds.of(trained)
                rows.append(
                    (
                        METHODS[method].label, recipe, seeds.count, seeds.auroc, seeds.range,
                        seeds.aupro, seeds.overlap, trained[0].experiment.patches_seen,
                        _training_hours(trained[0]),
                    )
                )  # fmt: skip
    return rows


def _counts(row):
    """Return whether both readings of a question were scored, and both trainings got somewhere."""
    return row[1] is not None and not still_stuck(row[0], row[2])


def _change(row):
    return abs(row[2].metrics["auroc"] - row[1].metrics["auroc"])


def _reading_row(reading, ours, other):
    change = f"{other.metrics['auroc'] - ours.metrics['auroc']:+.3f}"
    mark = " ˢ" if still_stuck(reading, other) else ""
    patches = ours.experiment.patches_seen
    return reading.question, reading.ours, reading.other, patches, change + mark


def _columns(cells):
    """Return how far AUROC varies over each column of table 2, by the paper and by ours."""
    columns = [
        {
            "name": SETTINGS[setting].removesuffix(" in pixels"),
            "ours": spread([result.metrics["auroc"] for result in column.values()]),
            "paper": spread([paper.TABLE_2[setting][value].value for value in column]),
            "settings": listed([str(value) for value in column]),
            "patches": next(iter(column.values())).experiment.patches_seen,
        }
        for setting, column in cells.items()
        if len(column) > 1
    ]
    return sorted(columns, key=lambda column: -column["ours"])


def _compared_row(entry):
    seconds = entry.seconds[0]
    return (
        entry.label, entry.auroc, entry.result.metrics["aupro"],
        f"{seconds:.2g}" if seconds else "-", GIVEN[entry.given][0],
    )  # fmt: skip


def _citation(name):
    about = BASELINES[name]
    return f"{about.citation}, doi:{about.doi}"


def _candidates():
    """Count the scorings that ours was chosen among."""
    path = recorded_folder() / "scorings" / f"{DATASET}_ssim.json"
    return len(load_json(path)["candidates"]) if path.exists() else 0


def _alarms(result, stored):
    """Return where the false alarms of a network are, as far as it is recorded."""
    counted = result and located(stored, result.experiment, FALSE_POSITIVES)
    if counted is None or counted.experiment != result.experiment:
        return None
    alarms = false_alarms(result.experiment, FALSE_POSITIVES)
    worst = max(alarms["groups"]["contrast"], key=lambda group: group["rate"])
    changes = {name: area - alarms["auroc"] for name, area in alarms["without"].items()}
    return {"fpr": alarms["fpr"], "where": worst["where"], "share": worst["alarms"]} | {
        "without": changes
    }


def _verdicts(verdicts):
    """Return what the text says of verdicts: counts, the title's prefix, and rows of the table."""
    of_kind = {
        kind: [verdict for verdict in verdicts.values() if verdict.claim.kind == kind]
        for kind in (NETWORKS, FORMULAS)
    }
    networks, formulas = (count_verdicts(group) for group in of_kind.values())
    ranked = sorted(verdicts.values(), key=lambda verdict: VERDICTS.index(verdict.verdict))
    return {
        "verdicts": {key: verdict.verdict for key, verdict in verdicts.items()},
        "networks": networks,
        "formulas": formulas,
        "prefix": title_prefix(networks),
        "reproduced": [v.claim.text for v in of_kind[NETWORKS] if v.verdict == REPRODUCED],
        "missed": [v.claim.text for v in of_kind[NETWORKS] if v.verdict == NOT_REPRODUCED],
        "claims": [_claim(verdict) for verdict in ranked],
    }


def counted(counts):
    """Say how many claims have each verdict that any has.

    Examples
    --------
    >>> counted({"reproduced": 2, "undecided": 0, "not reproduced": 1})
    '2 are reproduced and 1 is not reproduced'
    """
    return listed([f"{n} {'is' if n == 1 else 'are'} {name}" for name, n in counts.items() if n])


def title_prefix(counts):
    """Return what ReScience C puts before a title, by the verdicts on trained networks.

    Examples
    --------
    >>> title_prefix({"reproduced": 2, "not reproduced": 1})
    '[Re]'
    """
    return "[Re]" if counts[REPRODUCED] > counts[NOT_REPRODUCED] else "[¬Re]"


def _claim(verdict):
    claim = verdict.claim
    rows = compared_numbers(verdict) if verdict.values else []
    parts = []
    for need, row in zip(claim.needs, rows, strict=True) if len(rows) in (1, 2) else ():
        label = f"{named(need, claim.needs)} " if len(rows) == 2 else ""
        reported = "" if row["paper"] is None else f" ({row['paper']:g})"
        parts.append(f"{label}{row['ours']:.3f}{reported}")
    name = "" if claim.measure == ROC_AREA else f"{claim.measure.name}: "
    return {
        "text": claim.text,
        "where": claim.place.where,
        "recalled": claim.place.source == paper.RECALLED,
        "numbers": name + ", ".join(parts) if parts else "",
        "verdict": verdict.verdict,
    }


def _made(results, entries):
    """Say when, where and with what results were computed."""
    different = {result.key: result for result in results}
    networks, on_card = {}, {}
    for result in different.values():
        made = result.experiment
        key = (made.trunk or made).training_key  # A branch has its trunk's time in its own.
        for card, seconds in training_seconds(result.provenance).items():
            known = on_card if card else networks
            known[key] = max(known.get(key, 0), seconds)
    different |= {entry.result.key: entry.result for entry in entries}
    provenance = [result.provenance for result in different.values()]
    libraries = {}
    for made in provenance:
        for name, version in made["versions"].items():
            libraries.setdefault(name, set()).add(version)
    seconds = sum(made["seconds"]["evaluation"] for made in provenance)
    return {
        "results": len(different),
        "networks": len(networks),
        "networks_on_card": len(on_card),
        "at_once": max(made["machine"].get("at_once", 1) for made in provenance),
        "card_minutes": sum(on_card.values()) / 60,
        "longest": max(result.experiment.patches_seen for result in results),
        "training_hours": sum(networks.values()) / 3600,
        "scoring_hours": seconds / 3600,
        "machines": sorted(
            {describe_machine(made["machine"], shared=False) for made in provenance}
        ),
        "commits": sorted({made["commit"] for made in provenance}),
        "versions": [
            f"{name} {listed(sorted(known))}" for name, known in sorted(libraries.items())
        ],
    }


def _roc(recipes):
    panels = {
        recipe: [recipes[method][recipe] for method in METHODS_SHOWN if recipe in recipes[method]]
        for recipe in recipes["ssim"]
    }
    return _flat(charts.roc_curves(panels), 2.9)


def _gap(steps):
    return _flat(waterfall(steps, paper.AUROC[DATASET, "ssim"].value), 2.5)


def _flat(figure, inches):
    """Return a figure at another height: an article has less room than a page of the book."""
    figure.set_figheight(inches)
    return figure


def _maps(recipes):
    """Show one image by ℓ², SSIM and SSIM scored our way, and say what is seen.

    Input and reconstruction are there only where the images are.
    """
    wanted = [("l2", "augmented"), ("ssim", "augmented"), ("ssim", "augmented, our scoring")]
    results = [recipes[method][recipe] for method, recipe in wanted if recipe in recipes[method]]
    if not results:
        return None, ""
    inspections = [inspect(result, 0, FALSE_POSITIVES) for result in results]
    panels = [inspection_panels(inspection, SIDE) for inspection in inspections]
    names = {"residual map": "map", "segmentation": "found"}
    titles = [METHODS[method].label for method, _ in wanted[:-1]] + ["SSIM, ours"]
    rows = [
        [
            replace(shown[name], title=f"{what}, {title}")
            for shown, title in zip(panels, titles, strict=False)
        ]
        for name, what in names.items()
    ]
    if "input" in panels[0]:
        outputs = [
            replace(shown["reconstruction"], title=f"output, {title}")
            for shown, title in zip(panels[:2], titles, strict=False)
        ]
        rows.insert(0, [panels[0]["input"], *outputs])
    caption = (
        f"Test image {inspections[0].name} about its largest defect, by the augmented networks: "
        "ℓ² (left), SSIM (middle), SSIM with our scoring (right). Thresholds allow "
        f"{100 * FALSE_POSITIVES:g} % false positives on the held-out good image. Blue: the true "
        "defect. Yellow: found. Pink: false alarm. Over the whole image, scored the paper's way, "
        f"{found_by(inspections[:2])}."
    )
    # With a third row it stays on its page if it is narrower.
    return show_panels(rows, width=MAPS * (0.66 if len(rows) > 2 else 1)), caption
