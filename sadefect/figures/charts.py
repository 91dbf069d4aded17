"""Curves and tables made of results, in the house style of `sadefect.figures.panels`."""

import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter

from sadefect.figures.panels import INK, WIDTH, Figure, house_style
from sadefect.methods import METHODS
from sadefect.paper import numbers as paper

SETTINGS = {
    "latent_dim": "latent dimension d",
    "window_size": "window K in pixels",
    "patch_size": "patch size in pixels",
}


def method_name(result):
    """The method of a result, as figures and tables call it."""
    return METHODS[result.experiment.method].label


def _line(result, **more):
    method = result.experiment.method
    return {"color": METHODS[method].colour, "linestyle": METHODS[method].dashes} | more


def _panels(names, height=3.6):
    """A figure with one panel for each name, side by side."""
    figure = Figure(figsize=(WIDTH if len(names) > 1 else 0.6 * WIDTH, height))
    axes = figure.subplots(1, len(names), squeeze=False)[0]
    for panel, name in zip(axes, names, strict=True):
        panel.set_title(name)
        panel.grid(color="#DDDDDD", linewidth=0.6)
        panel.set_axisbelow(True)
    return figure, axes


def roc_curves(results):
    """ROC curves, one panel for each data set, the areas under them in the legend.

    Parameters
    ----------
    results : dict
        Data set to list of `Result`.

    Returns
    -------
    Figure
    """
    with house_style():
        figure, panels = _panels(results)
        for axes, group in zip(panels, results.values(), strict=True):
            axes.plot([0, 1], [0, 1], color="#888888", linewidth=0.8, label="guessing: 0.500")
            for result in group:
                label = f"{method_name(result)}: {result.metrics['auroc']:.3f}"
                fpr, tpr = (result.curves[name] for name in ("fpr", "tpr"))
                axes.plot(fpr, tpr, **_line(result, label=label))
            axes.set(xlim=(0, 1), ylim=(0, 1.01), aspect="equal", xlabel="false positive rate")
            axes.legend(
                loc="lower right", title="AUROC", alignment="left", fontsize=8.5,
                frameon=True, framealpha=0.85, edgecolor="none",
            )  # fmt: skip
        panels[0].set_ylabel("true positive rate")
    return figure


def learning_curves(curves):
    """AUROC against patches seen, one panel for each data set, the paper's values dashed.

    Parameters
    ----------
    curves : dict
        Data set to a list of learning curves, each a list of `Result` of one trajectory. The first
        of a method is drawn strong, those of further seeds faint.

    Returns
    -------
    Figure
    """
    with house_style():
        figure, panels = _panels(curves)
        for axes, (dataset, group) in zip(panels, curves.items(), strict=True):
            lowest = min((one.metrics["auroc"] for curve in group for one in curve), default=0.5)
            drawn = set()
            for curve in (curve for curve in group if curve):
                patches = [result.experiment.patches_seen for result in curve]
                areas = [result.metrics["auroc"] for result in curve]
                first = method_name(curve[0]) not in drawn
                look = {"label": method_name(curve[0])} if first else {"alpha": 0.4, "linewidth": 1}
                axes.plot(
                    patches, areas, **_line(curve[0], marker="o", markersize=3.5, **look)
                )  # fmt: skip
                if not first:
                    continue
                drawn.add(method_name(curve[0]))
                reported = paper.AUROC.get((dataset, curve[0].experiment.method))
                if reported:
                    axes.axhline(reported.value, color=METHODS[curve[0].experiment.method].colour,
                                 linestyle=":", linewidth=1.2)  # fmt: skip
                    axes.annotate(
                        f"paper, {METHODS[curve[0].experiment.method].label}: {reported.value:g}",
                        (0.02, reported.value), xycoords=("axes fraction", "data"),
                        xytext=(0, 2), textcoords="offset points", fontsize=8,
                    )  # fmt: skip
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(lambda patches, _: f"{patches / 1000:,g}k")
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.set(ylim=(min(0.5, lowest) - 0.04, 1.0), xlabel="patches seen in training")
            axes.legend(loc="lower right")
        panels[0].set_ylabel("AUROC")
    return figure


def region_overlaps(results):
    """Median and quartiles of the defects' overlap, against the false positive rate.

    Parameters
    ----------
    results : dict
        Data set to list of `Result`.

    Returns
    -------
    Figure
    """
    with house_style():
        figure, panels = _panels(results)
        for axes, (dataset, group) in zip(panels, results.items(), strict=True):
            for result in group:
                fprs, overlaps = (
                    result.curves[name] for name in ("overlap_fprs", "region_overlaps")
                )
                low, median, high = np.quantile(overlaps, (0.25, 0.5, 0.75), axis=1)
                axes.fill_between(
                    fprs,
                    low,
                    high,
                    color=METHODS[result.experiment.method].colour,
                    alpha=0.18,
                    lw=0,
                )
                axes.plot(
                    fprs, median, **_line(result, marker="o", markersize=3.5),
                    label=method_name(result),
                )  # fmt: skip
            if dataset == "nanotwice":
                axes.plot(
                    paper.OVERLAP_FPR.value, paper.OVERLAP_MEDIAN.value, "x", markersize=8,
                    markeredgewidth=2, color=INK,
                    label=f"paper's median, SSIM: > {paper.OVERLAP_MEDIAN.value:g}",
                )  # fmt: skip
            axes.set(xlim=(0, None), ylim=(0, 1.02), xlabel="false positive rate")
            axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            axes.legend(loc="lower right")
        panels[0].set_ylabel("overlap with the defect")
    return figure


def sensitivity(cells, reported):
    """AUROC against one setting at a time, the paper's values as open circles.

    Parameters
    ----------
    cells : dict
        Setting to dict of value to `Result`.
    reported : dict
        The same of `sadefect.paper.numbers.Reported`; may be empty.

    Returns
    -------
    Figure
    """
    with house_style():
        figure, panels = _panels([SETTINGS[name] for name in cells])
        for axes, (name, column) in zip(panels, cells.items(), strict=True):
            values = sorted({*column, *reported.get(name, {})})
            ours = {values.index(v): result.metrics["auroc"] for v, result in column.items()}
            theirs = {values.index(v): one.value for v, one in reported.get(name, {}).items()}
            axes.plot(ours.keys(), ours.values(), "o-", color=METHODS["ssim"].colour, label="ours")
            if theirs:
                axes.plot(theirs.keys(), theirs.values(), "o--", color=INK,
                          markerfacecolor="white", label="paper")  # fmt: skip
            axes.set_xticks(range(len(values)), [str(value) for value in values])
            axes.margins(x=0.1)
            axes.set_ylim(min([0.5, *ours.values()]) - 0.02, 1.0)
        panels[0].set_ylabel("AUROC")
        panels[0].legend(loc="lower right")
    return figure


def loss_and_auroc(curves):
    """AUROC against the training loss, along learning curves.

    Parameters
    ----------
    curves : list of lists of Result
        Learning curves of one method; results without a recorded loss are left out.

    Returns
    -------
    Figure
    """
    with house_style():
        figure, [axes] = _panels(["checkpoints of a training, by patches seen"])
        named = False  # Numbers of a second curve would lie over those of the first.
        for curve in curves:
            points = [
                (float(one.curves["history_loss"][-1]), one.metrics["auroc"], one.experiment)
                for one in curve
                if one.curves["history_loss"].size
            ]
            if not points:
                continue
            loss, areas, experiments = zip(*points, strict=True)
            axes.plot(loss, areas, **_line(curve[0], marker="o", markersize=3.5))
            for number, (x, y, one) in enumerate([] if named else points):
                side = 1 if number % 2 else -1  # Neighbours on either side of the line.
                axes.annotate(
                    f"{one.patches_seen / 1000:g}k", (x, y), xytext=(-6 * side, 6 * side - 3),
                    textcoords="offset points", fontsize=7.5, ha="right" if side > 0 else "left",
                )  # fmt: skip
            named = True
        axes.invert_xaxis()
        axes.margins(0.12)
        axes.set(xlabel="training loss, falling to the right", ylabel="AUROC")
    return figure


AROUND = {
    "brightness": "brightness of the neighbourhood",
    "contrast": "contrast of the neighbourhood",
    "defect": "distance to a true defect",
    "border": "distance to the border",
}


def false_alarm_rates(found):
    """False positive rates by what lies around a pixel, one panel for each kind.

    Parameters
    ----------
    found : dict
        Of `sadefect.paper.false_alarms.locate`.

    Returns
    -------
    Figure
    """
    with house_style():
        figure = Figure(figsize=(WIDTH, 4.4))
        panels = figure.subplots(2, 2).flat
        for axes, (name, groups) in zip(panels, found["groups"].items(), strict=True):
            labels = [group["where"] for group in groups]
            axes.barh(labels, [group["rate"] for group in groups], color=METHODS["ssim"].colour)
            axes.axvline(found["fpr"], color=INK, linestyle="--", linewidth=1)
            axes.invert_yaxis()
            axes.set_title(AROUND[name])
            axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        for axes in figure.axes[2:]:
            axes.set_xlabel("false positive rate there; dashed: everywhere")
    return figure


def spreads(groups):
    """A table of what several seeds give: means, and the smallest and the largest AUROC.

    Parameters
    ----------
    groups : list of lists of Result
        Each of one experiment, as `sadefect.paper.store.over_seeds` gives them.

    Returns
    -------
    IPython.display.Markdown
    """
    overlap = f"{paper.OVERLAP_FPR.value:g}"
    rows = []
    for group in groups:
        experiment = group[0].experiment
        areas = [one.metrics["auroc"] for one in group]
        rows.append(
            (
                experiment.dataset,
                method_name(group[0]),
                ", ".join(str(one.experiment.seed) for one in group),
                experiment.patches_seen,
                float(np.mean(areas)),
                f"{min(areas):.3f} to {max(areas):.3f}",
                float(np.mean([one.metrics["aupro"] for one in group])),
                float(np.mean([one.metrics["overlap"][overlap]["median"] for one in group])),
                _minutes(group),
            )
        )
    header = (
        "data set", "method", "seeds", "patches seen", "AUROC, mean", "from, to", "AUPRO, mean",
        OVERLAP_HEADER, "minutes of training, mean",
    )  # fmt: skip
    return table(header, rows or [("two seeds with one budget are needed", *8 * "-")])


def compared_scorings(groups):
    """A table of scorings of trained networks, one row each, with the change from the first.

    Parameters
    ----------
    groups : list of dict
        For each network, name of the scoring to `Result`, as `open_readings.scorings` gives it.

    Returns
    -------
    IPython.display.Markdown
    """
    groups = [group for group in groups if group]
    header, rows = ["scoring"], {name: [name] for group in groups for name in group}
    for group in groups:
        method = method_name(next(iter(group.values())))
        header += [f"AUROC, {method}", "change", f"AUPRO, {method}"]
        first = next(iter(group.values())).metrics["auroc"]
        for name, row in rows.items():
            metrics = group[name].metrics if name in group else None
            row += (
                [metrics["auroc"], f"{metrics['auroc'] - first:+.3f}", metrics["aupro"]]
                if metrics
                else 3 * ["-"]
            )
    return table(header, rows.values())


OVERLAP_HEADER = f"median overlap at {100 * paper.OVERLAP_FPR.value:g} % false positives"


def _minutes(group):
    seconds = [one.provenance["seconds"]["training"] for one in group]
    return f"{np.mean(seconds) / 60:.0f}" if all(seconds) else "-"


def scores(results):
    """A table of results beside what the paper reports, one row each, no result twice.

    Parameters
    ----------
    results : iterable of Result

    Returns
    -------
    IPython.display.Markdown
    """
    overlap = f"{paper.OVERLAP_FPR.value:g}"
    header = ("data set", "method", "AUROC, paper", "AUROC, ours", "AUPRO, ours", OVERLAP_HEADER,
              "patches seen", "of the paper's budget", "seed", "minutes of training")  # fmt: skip
    rows = {
        one.experiment.evaluation_key: (
            one.experiment.dataset,
            method_name(one),
            paper.AUROC.get((one.experiment.dataset, one.experiment.method), "-"),
            one.metrics["auroc"],
            one.metrics["aupro"],
            one.metrics["overlap"][overlap]["median"],
            one.experiment.patches_seen,
            f"{100 * one.experiment.patches_seen / paper.BUDGET:.1f} %",
            str(one.experiment.seed),
            _minutes([one]),
        )
        for one in results
    }
    return table(header, rows.values())


def differences(readings):
    """How much AUROC changes from our reading of an open question to the other one.

    Parameters
    ----------
    readings : list of tuple
        `sadefect.paper.open_readings.Reading`, result of our reading, result of the other.

    Returns
    -------
    Figure
    """
    names = [reading.question for reading, *_ in readings]
    changes = [other.metrics["auroc"] - ours.metrics["auroc"] for _, ours, other in readings]
    with house_style():
        figure = Figure(figsize=(WIDTH, 0.7 + 0.32 * max(1, len(names))))
        axes = figure.subplots()
        places = range(len(names))
        axes.barh(
            places, changes, height=0.6,
            color=[METHODS["ssim" if change < 0 else "l2"].colour for change in changes],
        )  # fmt: skip
        for place, change in zip(places, changes, strict=True):
            axes.annotate(
                f"{change:+.3f}", (change, place), xytext=(4 if change >= 0 else -4, 0),
                textcoords="offset points", va="center", ha="left" if change >= 0 else "right",
            )  # fmt: skip
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.margins(x=0.2)
        axes.set_xlabel("change of AUROC by the other reading")
    return figure


MARKS = "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐ"  # Of notes below a table.


def table(header, rows):
    """A Markdown table; floats with three digits, where numbers of the paper are from below it.

    Examples
    --------
    >>> print(table(("paper", "ours"), [(paper.AUROC["nanotwice", "ssim"], 0.9)]).data)
    | paper | ours |
    | --- | --- |
    | 0.966 ᵃ | 0.900 |
    <BLANKLINE>
    ᵃ The paper, table 2, seen on the paper's last page.
    """
    from IPython.display import Markdown

    known = [cell for row in rows for cell in row if isinstance(cell, paper.Reported)]
    notes = dict.fromkeys(f"{one.where}, {one.source}" for one in known)
    marks = dict(zip(notes, MARKS, strict=False))
    cells = [[_cell(value, marks) for value in row] for row in rows]
    lines = [header, ["---"] * len(header), *cells]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    below = [f"{mark} The paper, {note}." for note, mark in marks.items()]
    return Markdown("\n\n".join([text, " ".join(below)]) if below else text)


def percent(share):
    """A share as a table shows it.

    Examples
    --------
    >>> percent(0.0258)
    '2.6 %'
    """
    return f"{100 * share:.1f} %"


def _cell(value, marks):
    if isinstance(value, paper.Reported):
        return f"{value.value:g} {marks[f'{value.where}, {value.source}']}"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 0.1 else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
