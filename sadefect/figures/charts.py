"""Curves and bars made of results, in the house style."""

import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter

from sadefect.figures.style import (
    INK,
    WIDTH,
    Figure,
    chart_row,
    house_style,
    label_level,
    method_label,
    method_line,
)
from sadefect.figures.tables import SETTINGS
from sadefect.methods import METHODS
from sadefect.paper import numbers

SURROUNDINGS = {
    "brightness": "brightness of the neighbourhood",
    "contrast": "contrast of the neighbourhood",
    "defect": "distance to a true defect",
    "border": "distance to the border",
}
DOTS = {"marker": "o", "markersize": 3.5}
SEED_STYLES = ("o", "-"), ("s", "--"), ("^", ":")  # Marker and line, where the colour is one.
SSIM = METHODS["ssim"].colour


def roc_curves(results, without_network=None) -> Figure:
    """Draw ROC curves, one panel for each data set, the areas under them in the legend.

    `results` are a dict of data set to list of `Result`, `without_network` of data set to list of
    `sadefect.paper.compared.Comparison`, whose curves are gray and dotted.
    """

    def draw(axes, dataset, group):
        axes.plot([0, 1], [0, 1], color="#888888", linewidth=0.8, label="guessing: 0.500")
        for result in group:
            label = f"{method_label(result)}: {result.metrics['auroc']:.3f}"
            rates = result.curves["fpr"], result.curves["tpr"]
            axes.plot(*rates, **method_line(result, label=label))
        for comparison in (without_network or {}).get(dataset, ()):
            axes.plot(
                comparison.curves["fpr"], comparison.curves["tpr"], color="#555555",
                linestyle=":", linewidth=1.8,
                label=f"{comparison.about.label}: {comparison.metrics['auroc']:.3f}",
            )  # fmt: skip
        axes.set(xlim=(0, 1), ylim=(0, 1.01), aspect="equal", xlabel="false positive rate")
        below = {"loc": "upper left", "bbox_to_anchor": (0, -0.2)}  # Names of filters are long.
        axes.legend(
            **below if without_network else {"loc": "lower right"}, title="AUROC",
            alignment="left", fontsize=8.5, frameon=True, framealpha=0.85, edgecolor="none",
        )  # fmt: skip

    return chart_row(results, "true positive rate", draw)


def learning_curves(curves) -> Figure:
    """Draw AUROC against patches seen, one panel for each data set, the paper's values dotted.

    `curves` are a dict of data set to learning curves, each a list of `Result` of one trajectory.
    The first of a method is drawn strong, those of further seeds faint.
    """

    def draw(axes, dataset, group):
        lowest, drawn = 0.5, set()
        for curve in filter(None, group):
            method, label = curve[0].experiment.method, method_label(curve[0])
            areas = [result.metrics["auroc"] for result in curve]
            lowest = min(lowest, *areas)
            look = {"alpha": 0.4, "linewidth": 1} if method in drawn else {"label": label}
            patches = [result.experiment.patches_seen for result in curve]
            axes.plot(patches, areas, **method_line(curve[0], **DOTS, **look))
            reported = numbers.AUROC.get((dataset, method))
            if reported and method not in drawn:
                area = reported.value
                axes.axhline(area, **method_line(curve[0], linestyle=":", linewidth=1.2))
                label_level(axes, area, f"paper, {label}: {area:g}", above=2)
            drawn.add(method)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(lambda patches, _: f"{patches / 1000:,g}k")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(ylim=(lowest - 0.04, 1.0), xlabel="patches seen in training")
        axes.legend(loc="lower right")

    return chart_row(curves, "AUROC", draw)


def region_overlaps(results) -> Figure:
    """Draw median and quartiles of the defects' overlap, against the false positive rate.

    `results` are a dict of data set to list of `Result`.
    """

    def draw(axes, dataset, group):
        for result in group:
            rates, overlaps = result.curves["overlap_fprs"], result.curves["region_overlaps"]
            low, median, high = np.quantile(overlaps, (0.25, 0.5, 0.75), axis=1)
            line = method_line(result, label=method_label(result), **DOTS)
            axes.fill_between(rates, low, high, color=line["color"], alpha=0.18, lw=0)
            axes.plot(rates, median, **line)
        if dataset == "nanotwice":
            median = numbers.OVERLAP_MEDIAN.value
            axes.plot(
                numbers.OVERLAP_FPR.value, median, "x", markersize=8, markeredgewidth=2,
                color=INK, label=f"paper's median, SSIM: > {median:g}",
            )  # fmt: skip
        axes.set(xlim=(0, None), ylim=(0, 1.02), xlabel="false positive rate")
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.legend(loc="lower right")

    return chart_row(results, "overlap with the defect", draw)


def sensitivity(recipes, reported) -> Figure:
    """Draw AUROC against one setting at a time, the paper's values as open circles.

    `recipes` are a dict of label to cells, which are a dict of setting to dict of value to
    `Result`; `reported` is the same of `sadefect.paper.numbers.Reported`, and may be empty.
    """
    names = dict.fromkeys(name for cells in recipes.values() for name in cells)
    looks = dict(zip(recipes, ("o-", "s-.", "^:"), strict=False))

    def draw(axes, _, name):
        columns = {label: cells.get(name, {}) for label, cells in recipes.items()}
        paper = reported.get(name, {})
        values = sorted({value for column in (*columns.values(), paper) for value in column})
        least = 0.5
        for label, column in columns.items():
            areas = [column[value].metrics["auroc"] for value in sorted(column)]
            places = [values.index(value) for value in sorted(column)]
            axes.plot(places, areas, looks[label], color=SSIM, label=label)
            least = min([least, *areas])
        if paper:
            look = {"color": INK, "markerfacecolor": "white", "label": "paper"}
            areas = [paper[value].value for value in sorted(paper)]
            axes.plot([values.index(value) for value in sorted(paper)], areas, "o--", **look)
        axes.set_xticks(range(len(values)), [str(value) for value in values])
        axes.margins(x=0.1)
        axes.set_ylim(least - 0.02, 1.0)
        if axes.get_subplotspec().is_first_col():
            axes.legend(loc="lower right")

    return chart_row({SETTINGS[name]: name for name in names}, "AUROC", draw)


def loss_and_auroc(curves) -> Figure:
    """Draw AUROC against the training loss, along learning curves.

    `curves` are lists of `Result` of one method; those without a recorded loss are left out.
    """
    recorded = [[point for point in curve if point.curves["history_loss"].size] for curve in curves]

    def draw(axes, *_):
        # Numbers beside the points of a second curve would lie over those of the first.
        for place, curve in enumerate(filter(None, recorded)):
            losses = [float(result.curves["history_loss"][-1]) for result in curve]
            areas = [result.metrics["auroc"] for result in curve]
            marker, dashes = SEED_STYLES[place % len(SEED_STYLES)]
            style = DOTS | {"marker": marker, "linestyle": dashes}
            style["label"] = f"seed {curve[0].experiment.seed}"
            axes.plot(losses, areas, **method_line(curve[0], **style))
            for number, result in enumerate([] if place else curve):
                side = 1 if number % 2 else -1  # Neighbours on either side of the line.
                axes.annotate(
                    f"{result.experiment.patches_seen / 1000:g}k", (losses[number], areas[number]),
                    xytext=(-6 * side, 6 * side - 3), textcoords="offset points", fontsize=7.5,
                    ha="right" if side > 0 else "left",
                )  # fmt: skip
        if sum(map(bool, recorded)) > 1:
            axes.legend(loc="lower right")
        axes.invert_xaxis()
        axes.margins(0.12)
        axes.set(xlabel="training loss, falling to the right")

    return chart_row({"checkpoints of a training, by patches seen": None}, "AUROC", draw)


@house_style()
def false_alarm_rates(located) -> Figure:
    """Draw false positive rates by what lies around a pixel, one panel for each kind.

    `located` is what `sadefect.paper.false_alarms.locate` returns.
    """
    figure = Figure(figsize=(WIDTH, 4.4))
    panels = figure.subplots(2, 2).flat
    for axes, (name, groups) in zip(panels, located["groups"].items(), strict=True):
        labels = [group["where"] for group in groups]
        axes.barh(labels, [group["rate"] for group in groups], color=SSIM)
        axes.axvline(located["fpr"], color=INK, linestyle="--", linewidth=1)
        axes.invert_yaxis()
        axes.set_title(SURROUNDINGS[name])
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    for axes in figure.axes[2:]:
        axes.set_xlabel("false positive rate there; dashed: everywhere")
    return figure


@house_style()
def differences(readings) -> Figure:
    """Draw how AUROC changes from our reading of an open question to the other one.

    `readings` are tuples of a `sadefect.paper.open_readings.Reading`, and of the `Result` of our
    reading and of the other.
    """
    names = [reading.question for reading, *_ in readings]
    changes = [other.metrics["auroc"] - ours.metrics["auroc"] for _, ours, other in readings]
    colours = [METHODS["ssim" if change < 0 else "l2"].colour for change in changes]
    figure = Figure(figsize=(WIDTH, 0.7 + 0.32 * max(1, len(names))))
    axes = figure.subplots()
    bars = axes.barh(range(len(names)), changes, height=0.6, color=colours)
    axes.bar_label(bars, [f"{change:+.3f}" for change in changes], padding=4)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set_xlabel("change of AUROC by the other reading")
    return figure
