"""Tables as Markdown: one maker for all, and those that are made of results."""

from dataclasses import replace

import numpy as np
from IPython.display import Markdown

from sadefect.figures.style import method_label
from sadefect.paper import numbers
from sadefect.paper.experiment import Experiment

MARKS = "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐ"  # Of notes below a table.


def table(header, rows) -> Markdown:
    """Make a table; floats with three digits, where numbers of the paper are from below it.

    Examples
    --------
    >>> print(table(("paper", "ours"), [(numbers.AUROC["nanotwice", "ssim"], 0.9)]).data)
    | paper | ours |
    | --- | --- |
    | 0.966 ᵃ | 0.900 |
    <BLANKLINE>
    ᵃ The paper, table 2, seen on the paper's last page.
    """
    rows = list(rows)
    reported = [cell for row in rows for cell in row if isinstance(cell, numbers.Reported)]
    notes = dict.fromkeys(f"{number.where}, {number.source}" for number in reported)
    marks = dict(zip(notes, MARKS, strict=False))
    cells = [[_cell(value, marks) for value in row] for row in rows]
    lines = [header, ["---"] * len(header), *cells]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    below = [f"{mark} The paper, {note}." for note, mark in marks.items()]
    return Markdown("\n\n".join([text, " ".join(below)]) if below else text)


def percent(share):
    """Return a share as a table shows it.

    Examples
    --------
    >>> percent(0.0258)
    '2.6 %'
    """
    return f"{100 * share:.1f} %"


def found_and_flagged(flagged, mask):
    """Return the shares of defective pixels found and of other pixels flagged, for a table.

    Parameters
    ----------
    flagged, mask : bool arrays (H, W)

    Returns
    -------
    pair of str

    Examples
    --------
    >>> found_and_flagged(np.array([[True, False, True]]), np.array([[True, True, False]]))
    ('50.0 %', '100.0 %')
    """
    return percent(flagged[mask].mean()), percent(flagged[~mask].mean())


OVERLAP_KEY = f"{numbers.OVERLAP_FPR.value:g}"  # Of a result's ``metrics["overlap"]``.
OVERLAP_HEADER = f"median overlap at {100 * numbers.OVERLAP_FPR.value:g} % false positives"


def score_table(results) -> Markdown:
    """Tabulate results beside what the paper reports, one row each, no result twice.

    Parameters
    ----------
    results : iterable of Result
    """
    header = ("data set", "method", "AUROC, paper", "AUROC, ours", "AUPRO, ours", OVERLAP_HEADER,
              "patches seen", "of the paper's budget", "seed", "minutes of training")  # fmt: skip
    rows = {
        result.experiment.evaluation_key: (
            result.experiment.dataset,
            method_label(result),
            numbers.AUROC.get((result.experiment.dataset, result.experiment.method), "-"),
            *_metrics(result),
            result.experiment.patches_seen,
            percent(result.experiment.patches_seen / numbers.BUDGET),
            str(result.experiment.seed),
            _minutes([result]),
        )
        for result in results
    }
    return table(header, rows.values())


def spread_table(groups) -> Markdown:
    """Tabulate what several seeds give: means, and the smallest and the largest AUROC.

    Parameters
    ----------
    groups : list of lists of Result
        Each of one experiment, as `sadefect.paper.comparisons.over_seeds` gives them.
    """
    rows = []
    for group in groups:
        area, aupro, overlap = np.mean([_metrics(result) for result in group], axis=0).tolist()
        areas = [result.metrics["auroc"] for result in group]
        rows.append(
            (
                group[0].experiment.dataset,
                method_label(group[0]),
                ", ".join(str(result.experiment.seed) for result in group),
                group[0].experiment.patches_seen,
                area,
                f"{min(areas):.3f} to {max(areas):.3f}",
                aupro,
                overlap,
                _minutes(group),
            )
        )
    header = (
        "data set", "method", "seeds", "patches seen", "AUROC, mean", "from, to", "AUPRO, mean",
        OVERLAP_HEADER, "minutes of training, mean",
    )  # fmt: skip
    return table(header, rows or [("two seeds with one budget are needed", *8 * "-")])


def scoring_table(groups) -> Markdown:
    """Tabulate scorings of trained networks, one row each, with the change from the first.

    Parameters
    ----------
    groups : list of dict
        For each network, name of the scoring to `Result`, as `open_readings.scorings` gives it.
    """
    header, rows = ["scoring"], {name: [name] for group in groups for name in group}
    for group in filter(None, groups):
        first = next(iter(group.values()))
        method = method_label(first)
        header += [f"AUROC, {method}", "change", f"AUPRO, {method}"]
        for name, row in rows.items():
            if name in group:
                area, aupro, _ = _metrics(group[name])
                row += [area, f"{area - first.metrics['auroc']:+.3f}", aupro]
            else:
                row += 3 * ["-"]
    return table(header, rows.values())


def augmentation_table(results) -> Markdown:
    """Tabulate results with augmented patches beside those with the printed recipe's, one row each.

    Parameters
    ----------
    results : iterable of Result
        All that are stored; those scored in other ways than the paper's are left out.
    """
    results = [result for result in results if not result.outdated]
    printed = {"crops": "fixed", "symmetries": "none", "decay_from": 0}
    rows = []
    for result in results:
        experiment = result.experiment
        plain = replace(
            Experiment(dataset=experiment.dataset, method=experiment.method, seed=experiment.seed),
            patches_seen=experiment.patches_seen,
        )
        augmented = {name: getattr(experiment, name) for name in printed}
        if experiment.crops != "fresh" or replace(plain, **augmented) != experiment:
            continue
        areas = [other.metrics["auroc"] for other in results if other.experiment == plain]
        decay = f"falls from {experiment.decay_from:,}" if experiment.decay_from else "constant"
        rows.append(
            (
                experiment.dataset, method_label(result), experiment.patches_seen, decay,
                *(loss if loss is not None else "-" for loss in result.losses),
                result.metrics["auroc"], result.metrics["aupro"], *(areas or ["-"]),
            )
        )  # fmt: skip
    header = (
        "data set", "method", "patches seen", "learning rate", "loss, training crops",
        "loss, held-out crops", "AUROC", "AUPRO", "AUROC, printed recipe",
    )  # fmt: skip
    return table(header, sorted(rows, key=lambda row: (row[0], row[1], row[2])))


def _metrics(result):
    metrics = result.metrics
    return metrics["auroc"], metrics["aupro"], metrics["overlap"][OVERLAP_KEY]["median"]


def _cell(value, marks):
    if isinstance(value, numbers.Reported):
        return f"{value.value:g} {marks[f'{value.where}, {value.source}']}"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 0.1 else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _minutes(group):
    seconds = [result.provenance["seconds"]["training"] for result in group]
    return f"{np.mean(seconds) / 60:.0f}" if all(seconds) else "-"
