"""Tables as Markdown: one maker for all, and those that are made of results."""

from dataclasses import replace
from statistics import fmean

import numpy as np
from IPython.display import Markdown

from sadefect.figures.style import method_label
from sadefect.paper import numbers
from sadefect.paper.experiment import AUGMENTED, Experiment
from sadefect.paper.seeds import OverSeeds

MARKS = "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐ"  # Of notes below a table.
SETTINGS = {
    "latent_dim": "latent dimension d",
    "window_size": "window K in pixels",
    "patch_size": "patch size in pixels",
}


def table(header, rows) -> Markdown:
    """Make a table, with where numbers of the paper are from below it.

    All floats have one number of decimals: three, or four where one of them would else be left
    with a single digit. Numbers of the paper keep the digits that it gives.

    Examples
    --------
    >>> print(table(("paper", "ours"), [(numbers.AUROC["nanotwice", "ssim"], 0.9)]).data)
    | paper | ours |
    | --- | --- |
    | 0.966 ᵃ | 0.900 |
    <BLANKLINE>
    ᵃ The paper, table 2, seen on the paper's last page.
    """
    marks = {}  # Of what is said below.
    rows = [list(row) for row in rows]
    floats = [abs(value) for row in rows for value in row if isinstance(value, float)]
    decimals = 4 if any(0.0005 <= value < 0.0095 for value in floats) else 3

    def cell(value):
        if isinstance(value, numbers.Reported):
            note = f"{value.publication}, {value.where}, {value.source}."
            if note not in marks:
                marks[note] = MARKS[len(marks)]
            shown = f"{value.value:.{decimals}f}"
            same = float(shown) == value.value and not float(value.value).is_integer()
            return f"{shown if same else f'{value.value:g}'} {marks[note]}"
        if isinstance(value, float):
            return f"{value:.{decimals}f}"
        return f"{value:,}" if isinstance(value, int) else str(value)

    lines = [header, ["---"] * len(header), *([cell(value) for value in row] for row in rows)]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    below = " ".join(f"{mark} {note}" for note, mark in marks.items())
    return Markdown(f"{text}\n\n{below}" if below else text)


def percent(share):
    """Return a share as a table shows it.

    Examples
    --------
    >>> percent(0.0258)
    '2.6 %'
    """
    return f"{100 * share:.1f} %"


def found_and_flagged(flagged, mask):
    """Return the shares of defective pixels found and of others flagged, of bool arrays ``(H, W)``.

    Examples
    --------
    >>> found_and_flagged(np.array([[True, False, True]]), np.array([[True, True, False]]))
    ('50.0 %', '100.0 %')
    """
    return percent(flagged[mask].mean()), percent(flagged[~mask].mean())


def overlap(result):
    """Return quantiles of the defects' overlap at the paper's false positive rate."""
    return result.metrics["overlap"][f"{numbers.OVERLAP_FPR.value:g}"]


def _covered(result):
    """Return the share of defects that are covered by more than the paper's number."""
    at = np.flatnonzero(np.isclose(result.curves["overlap_fprs"], numbers.OVERLAP_FPR.value))[0]
    return float(np.mean(result.curves["region_overlaps"][at] > numbers.OVERLAP_MEDIAN.value))


def _minutes(*results):
    seconds = [result.provenance["seconds"]["training"] for result in results]
    return f"{fmean(seconds) / 60:.0f}" if all(seconds) else "-"


def _reported(result):
    return result.experiment.dataset, result.experiment.method


MEDIAN = f"> {numbers.OVERLAP_MEDIAN.value:g}"
OVERLAP = f"median overlap at {100 * numbers.OVERLAP_FPR.value:g} % false positives"
COVERED = f"share of defects covered by more than {100 * numbers.OVERLAP_MEDIAN.value:g} %"


def _augmented(result):
    return result.experiment.equals(replace(result.experiment, **AUGMENTED), but=[])


COLUMNS = {  # Of a table of results, and what each shows of one.
    "data set": lambda result: result.experiment.dataset,
    "method": lambda result: method_label(result) + (", augmented" if _augmented(result) else ""),
    "AUROC, paper": lambda result: numbers.AUROC.get(_reported(result), "-"),
    "AUROC, ours": lambda result: result.metrics["auroc"],
    "AUPRO, ours": lambda result: result.metrics["aupro"],
    OVERLAP: lambda result: overlap(result)["median"],
    "patches seen": lambda result: result.experiment.patches_seen,
    "of the paper's budget": lambda r: percent(r.experiment.patches_seen / numbers.BUDGET),
    "seed": lambda result: str(result.experiment.seed),
    "minutes of training": _minutes,
    "defects": lambda result: result.metrics["regions"],
    "25 %": lambda result: overlap(result)["q25"],
    "median, paper": lambda r: MEDIAN if _reported(r) == ("nanotwice", "ssim") else "-",
    "median, ours": lambda result: overlap(result)["median"],
    "75 %": lambda result: overlap(result)["q75"],
    COVERED: _covered,
}
SCORES = list(COLUMNS)[:10]
OVERLAPS = list(COLUMNS)[:2] + list(COLUMNS)[10:]


def _cells(result, *columns):
    return [COLUMNS[name](result) for name in columns]


def result_table(results, columns=SCORES) -> Markdown:
    """Tabulate results in some of `COLUMNS`, beside the paper's, one row each, none twice."""
    different = {result.experiment.evaluation_key: result for result in results}.values()
    return table(columns, [_cells(result, *columns) for result in different])


def inspection_table(inspections) -> Markdown:
    """Tabulate what thresholds find in single images, one row for each `Inspection`."""
    header = ("data set", "method", "seed", "image", "kind", "defective pixels found",
              "other pixels flagged", "AUROC, all images", "patches seen")  # fmt: skip
    rows = [
        (
            *_cells(inspection.result, "data set", "method", "seed"),
            inspection.name, inspection.kind,
            *found_and_flagged(inspection.found, inspection.mask),
            *_cells(inspection.result, "AUROC, ours", "patches seen"),
        )
        for inspection in inspections
    ]  # fmt: skip
    return table(header, rows)


def spread_table(groups) -> Markdown:
    """Tabulate what several seeds give: means, and the smallest and the largest AUROC.

    `groups` are lists of `Result`, as `sadefect.paper.comparisons.over_seeds` gives them.
    """
    header = (
        "data set", "method", "seeds", "patches seen", "AUROC, mean", "from, to", "AUPRO, mean",
        f"{OVERLAP}, mean", "minutes of training, mean",
    )  # fmt: skip
    rows = []
    for group in groups:
        dataset, method, patches = _cells(group[0], "data set", "method", "patches seen")
        seeds = ", ".join(str(result.experiment.seed) for result in group)
        over = OverSeeds.of(group)
        means = over.auroc, over.range, over.aupro, over.overlap
        rows.append((dataset, method, seeds, patches, *means, _minutes(*group)))
    return table(header, rows or [("two seeds with one budget are needed", *8 * "-")])


def scoring_table(groups) -> Markdown:
    """Tabulate scorings of trained networks, one row each, with the change from the first.

    `groups` are one dict for each network, of the scoring's name to `Result`, as
    `sadefect.paper.open_readings.scorings` gives it.
    """
    header, rows = ["scoring"], {name: [name] for group in groups for name in group}
    for group in filter(None, groups):
        first, method = _cells(next(iter(group.values())), "AUROC, ours", "method")
        header += [f"AUROC, {method}", "change", f"AUPRO, {method}"]
        for name, row in rows.items():
            if name in group:
                area, aupro = _cells(group[name], "AUROC, ours", "AUPRO, ours")
                row += [area, f"{area - first:+.3f}", aupro]
            else:
                row += 3 * ["-"]
    return table(header, rows.values())


def augmentation_table(results) -> Markdown:
    """Tabulate results with augmented patches beside those with the printed recipe's, one row each.

    Of all `results` that are stored, those scored in other ways than the paper's are left out.
    """
    header = (
        "data set", "method", "patches seen", "learning rate", "loss, training crops",
        "loss, held-out crops", "AUROC", "AUPRO", "AUROC, printed recipe",
    )  # fmt: skip
    current = [result for result in results if not result.outdated]
    rows = []
    for result in current:
        made = result.experiment
        shared = ("dataset", "method", "seed", "patches_seen")
        printed = Experiment(**{name: getattr(made, name) for name in shared})
        if made.crops != "fresh" or not made.equals(printed, ("crops", "symmetries", "decay_from")):
            continue
        areas = [other.metrics["auroc"] for other in current if other.experiment == printed]
        decay = f"falls from {made.decay_from:,}" if made.decay_from else "constant"
        losses = ("-" if loss is None else loss for loss in result.losses)
        scores = _cells(result, "AUROC, ours", "AUPRO, ours")
        row = _cells(result, "data set", "method", "patches seen")
        rows.append([*row, decay, *losses, *scores, *(areas or ["-"])])
    return table(header, sorted(rows, key=lambda row: row[:3]))
