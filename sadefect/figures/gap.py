"""The page on the gap: the waterfall, fitted learning curves, and what takes a network apart."""

import numpy as np
from IPython.display import Markdown
from matplotlib.ticker import LogLocator, NullFormatter

from sadefect.figures.style import INK, WIDTH, Figure, house_style, label_level, method_label
from sadefect.figures.tables import percent, table
from sadefect.methods import METHODS, SCHEDULES
from sadefect.paper.extrapolation import CONFIDENCE, LEAST_POINTS, fit, last_doubling
from sadefect.paper.gap import DECAYED, LONGER, OVERFITTING, SCORED
from sadefect.paper.numbers import BUDGET
from sadefect.paper.repeated import made_on
from sadefect.paper.rules import listed
from sadefect.paper.seeds import OverSeeds

ADDS = {
    OVERFITTING: "undoing the overfitting",
    LONGER: "training longer",
    DECAYED: "letting the learning rate decay",
    SCORED: "our scoring",
}
CHANCE = 0.5
UP, DOWN, REST = METHODS["l2"].colour, METHODS["ssim"].colour, "#888888"


def gap_sentences(steps, reported=None, printed=(), spread=None) -> Markdown:
    """Say what each step from the printed recipe to the headline brings, and what remains.

    Parameters
    ----------
    steps : list of `sadefect.paper.gap.Step`
    reported : sadefect.paper.numbers.Reported, optional
        The paper's AUROC.
    printed : list of Result
        The learning curve of the printed recipe.
    spread : sadefect.paper.seeds.SeedSpread, optional
        Of the nearest run with several seeds.
    """
    if not steps:
        return Markdown(
            "No headline is settled for this data set yet: `sadefect record --group augmented` "
            "trains its networks, `sadefect settle` chooses among them."
        )
    first, *others = steps
    patches = first.result.experiment.patches_seen
    text = f"Trained as printed for {patches:,} patches, SSIM reaches an AUROC of {first.area:.3f}"
    text += f", {reported.value - first.area:.3f} below the paper's" if reported else ""
    changes = np.diff([step.area for step in steps])
    adds = [
        f"{' and '.join(ADDS[name] for name in (*step.along, step.change))} "
        f"{'adds' if change >= 0 else 'costs'} {abs(change):.3f}"
        for step, change in zip(others, changes, strict=True)
    ]
    text += f": {listed(adds)}." if adds else "."
    if reported:
        text += " " + _remaining(steps, reported.value)
    if reported and (law := fit(*curve_points(printed))):
        area, low, high = (float(value) for value in law.at(BUDGET))
        enough = "might" if high >= reported.value else "does not"
        text += (
            f" More training alone {enough} do it: extrapolated to the paper's {BUDGET:,} "
            f"patches, the printed recipe reaches {area:.3f} ({low:.3f} to {high:.3f})."
        )
    several = [step for step in steps if len(step.seeds) > 1]
    if not several:
        text += " Every step is one seed"
        text += f"; {spread} are {spread.width:.3f} apart." if spread else "."
    return Markdown(text)


def _remaining(steps, reported):
    """Say what is left to the paper's number, in its scoring and in ours."""
    parts = []
    for scored, whose in ((False, "the paper's scoring"), (True, "ours")):
        for step in [s for s in steps if (s.change == SCORED) == scored][-1:]:
            rest = reported - step.area
            leaves, exceeds = f"leaves a gap of {rest:.3f}", f"exceeds the paper by {-rest:.3f}"
            parts.append(f"{whose} {leaves if rest > 0 else exceeds}")
    text = "; ".join(parts) + "."
    return text[0].upper() + text[1:]


def waterfall(steps, paper=None) -> Figure:
    """Draw how AUROC changes step by step, and what remains to the paper's value.

    Parameters
    ----------
    steps : list of `sadefect.paper.gap.Step`
        Where several seeds ran, a line shows from where to where they reach.
    paper : float, optional
        The value that the paper reports, dotted.
    """
    areas = [step.area for step in steps]
    low = np.floor(20 * min(areas) - 1) / 20
    rows = [
        (step.label, start, step.area - start, _said(step, step.area - start if row else None))
        for row, (step, start) in enumerate(zip(steps, [low, *areas[:-1]], strict=True))
    ]
    if paper:
        rest = paper - areas[-1]
        rows.append(("remainder to the paper", areas[-1], rest, f"{rest:+.3f} = {paper:.3f}"))
    with house_style():
        figure = Figure(figsize=(WIDTH, 0.9 + 0.45 * len(rows)))
        axes = figure.subplots()
        names, starts, changes, said = zip(*rows, strict=True)
        colours = [REST, *(DOWN if change < 0 else UP for change in changes[1:])]
        if paper:
            colours[-1] = "#CCCCCC"
            axes.axvline(paper, color=INK, linestyle=":", label=f"the paper: {paper:.3f}")
            figure.legend(loc="outside upper right")
        axes.barh(names, changes, left=starts, height=0.6, color=colours)
        right = max([*areas, paper or 0]) + 0.005
        for row, text in enumerate(said):
            axes.text(right, row, text, va="center")
        for row, step in enumerate(steps):
            if len(step.seeds) > 1:
                axes.plot([min(step.seeds), max(step.seeds)], [row, row], color=INK, linewidth=2)
        axes.invert_yaxis()
        axes.set(xlim=(low, right + 0.6 * (right - low)), xlabel="area under the ROC curve")
        axes.set_xticks(np.arange(low, right, 0.05))
    return figure


def _said(step, change):
    seeds = "one seed"
    if len(step.seeds) > 1:
        seeds = f"{len(step.seeds)} seeds, {min(step.seeds):.3f} to {max(step.seeds):.3f}"
    return (
        f"{step.area:.3f}; {seeds}"
        if change is None
        else f"{change:+.3f} = {step.area:.3f}; {seeds}"
    )


def curve_points(curve):
    """Return the patches seen along a learning curve, a list of `Result`, and the AUROC there."""
    return (
        [result.experiment.patches_seen for result in curve],
        [result.metrics["auroc"] for result in curve],
    )


@house_style()
def fitted_curves(curves, paper=None) -> Figure:
    """Draw learning curves, and power laws fitted to them up to the paper's budget.

    Parameters
    ----------
    curves : dict
        Name to a learning curve, a list of `Result`. Those with too few points have no law.
    paper : float, optional
        The value that the paper reports, dotted.
    """
    figure = Figure(figsize=(WIDTH, 3.8))
    axes = figure.subplots()
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    lowest = 1.0
    for (name, curve), (colour, mark) in zip(
        curves.items(), ((REST, "s"), (METHODS["ssim"].colour, "o")), strict=False
    ):
        patches, areas = curve_points(curve)
        lowest = min(lowest, *areas, 1.0)
        axes.plot(patches, areas, mark, color=colour, label=name)
        if law := fit(patches, areas):
            along = np.geomspace(patches[0], BUDGET, 200)
            area, low, high = law.at(along)
            axes.plot(along, area, color=colour, linewidth=1.2, label=f"{name}, fitted")
            axes.fill_between(along, low, high, color=colour, alpha=0.18, lw=0)
    if paper:
        axes.axhline(paper, color=INK, linestyle=":", linewidth=1.2)
        label_level(axes, paper, f"the paper: {paper:g}", above=2)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda patches, _: f"{patches / 1000:,g}k")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(ylim=(lowest - 0.02, 1.0), xlabel="patches seen in training", ylabel="AUROC")
    axes.legend(loc="lower right")
    return figure


def fit_table(curves) -> Markdown:
    """Tabulate what the last doubling of each learning curve brought, and where its law leads."""
    rows = []
    for name, curve in curves.items():
        patches, areas = curve_points(curve)
        doubling = last_doubling(patches, areas)
        gained = "-" if doubling is None else f"{doubling:+.3f}, to {patches[-1]:,} patches"
        law = fit(patches, areas)
        expected = f"no fit: {len(curve)} points, {LEAST_POINTS} are needed"
        limit = "-"
        if law:
            area, low, high = (float(value) for value in law.at(BUDGET))
            expected = f"{area:.3f}, {low:.3f} to {high:.3f}"
            limit = float(law.parameters[0])
        rows.append((name, len(curve), gained, expected, limit))
    band = f"at {BUDGET:,} patches, with its {100 * CONFIDENCE:g} % band"
    return table(("recipe", "points", "the last doubling added", band, "limit of the law"), rows)


def ablation_table(rows) -> Markdown:
    """Tabulate what `sadefect.paper.gap.ablation` returns: losses, and areas in both scorings."""
    header = (
        "patches", "learning rate", "patches seen", "loss, training crops",
        "loss, held-out crops", "AUROC, paper's scoring", "AUROC, ours", "AUPRO, ours",
    )  # fmt: skip
    lines = []
    for name, scored, ours in rows:
        made = scored.experiment
        rate = f"falls from {made.decay_from:,}" if made.decay_from else "constant"
        losses = ("-" if loss is None else loss for loss in scored.losses)
        scores = [ours.metrics[name] for name in ("auroc", "aupro")] if ours else ["-", "-"]
        area = scored.metrics["auroc"]
        lines.append((name, rate, f"{made.patches_seen:,}", *losses, area, *scores))
    return table(header, lines or [("not recorded", *7 * "-")])


def overfitting_sentence(rows) -> Markdown:
    """Say how far the losses on training and held-out crops are apart, by `ablation`'s rows."""
    gaps = {}
    for name, scored, _ in rows:
        if not scored.experiment.decay_from and None not in scored.losses:
            trained_on, held_out = scored.losses
            gaps[name] = f"{held_out / trained_on - 1:+.1%} with {name}"
    if not gaps:
        return Markdown("No losses on held-out crops are recorded for it.")
    return Markdown(
        f"The loss on held-out crops differs from that on training crops by "
        f"{listed(list(gaps.values()))}."
    )


def seeds_table(groups) -> Markdown:
    """Tabulate the seeds of networks and scorings.

    ``groups`` has, by name, lists of `Result`: those of each budget that is shown.
    """
    header = (
        "network and scoring", "seeds", "patches seen", "AUROC, mean", "from, to", "AUPRO, mean",
        "median overlap at 5 %, mean",
    )  # fmt: skip
    rows = []
    for name, group in [(name, group) for name, budgets in groups.items() for group in budgets]:
        seeds, patches = OverSeeds.of(group), f"{group[0].experiment.patches_seen:,}"
        areas = seeds.auroc, seeds.range, seeds.aupro, seeds.overlap
        rows.append((name, seeds.count, patches, *areas))
    return table(header, rows or [("not recorded", *6 * "-")])


def repeated_table(rows) -> Markdown:
    """Tabulate experiments that were computed twice, as `sadefect.paper.repeated` lists them."""
    header = (
        "training", "patches seen", "AUROC", "computed by", "AUROC elsewhere",
        "computed by ", "difference", "range of seeds",
    )  # fmt: skip
    lines = []
    for row in rows:
        made = row.result.experiment
        batches = f", batches of {made.optimisation.batch_size}"
        width = f"{max(row.seeds) - min(row.seeds):.3f}" if len(row.seeds) > 1 else "one seed"
        lines.append(
            (
                f"{method_label(row.result)}{batches}", f"{made.patches_seen:,}",
                row.result.metrics["auroc"], made_on(row.result.provenance),
                row.elsewhere["metrics"]["auroc"], made_on(row.elsewhere["provenance"]),
                f"{row.difference:+.3f}", width,
            )
        )  # fmt: skip
    return table(header, lines or [("nothing was computed twice", *7 * "-")])


def precision_table(pairs) -> Markdown:
    """Tabulate what `sadefect.paper.repeated.precisions` returns: one row for each pair."""
    header = (
        "training", "seed", "patches seen", "AUROC, float32", "AUROC, lower precision",
        "difference", "precision", "loss, held-out crops, float32", "the same, lower precision",
    )  # fmt: skip
    lines = []
    for full, lower in pairs:
        made, areas = lower.experiment, [result.metrics["auroc"] for result in (full, lower)]
        losses = ["-" if r.losses[1] is None else r.losses[1] for r in (full, lower)]
        lines.append(
            (
                method_label(lower), made.seed, f"{made.patches_seen:,}", *areas,
                f"{areas[1] - areas[0]:+.3f}", made.precision, *losses,
            )
        )  # fmt: skip
    return table(header, lines or [("not recorded", *8 * "-")])


def threshold_table(account) -> Markdown:
    """Tabulate what one threshold for all images finds, and the best for each image."""
    share = f"defective pixels found at {100 * account['fpr']:g} % false positives"
    return table(
        ("threshold", share, "largest mean intersection over union"),
        [(name, percent(row["found"]), row["iou"]) for name, row in account["thresholds"].items()],
    )


def speck_sentence(account) -> Markdown:
    """Say how many false alarms look like defects that nobody marked, and what they cost."""
    specks = account["specks"]
    return Markdown(
        f"Away from marked defects there are {specks['regions']:,} regions of false alarms. Of "
        f"these {specks['alike']:,}, with {percent(specks['alarms'])} of all false alarms, are as "
        "large, as bright and as flat as marked defects. Were they all defects that nobody marked, "
        f"and left out of the counting, the AUROC would be {specks['auroc_without']:.3f} instead "
        f"of {specks['auroc']:.3f}."
    )


def residual_table(accounts) -> Markdown:
    """Tabulate what residuals follow where there is no defect.

    `accounts` are pairs of a `Result` and what `sadefect.paper.remainder.remainder` says of it.
    """
    header = (
        "network", "correlation with contrast", "residual, flattest fifth", "on defects",
        "busiest fifth", "AUROC", "against like contrast",
    )  # fmt: skip
    rows = []
    for result, account in accounts:
        told, patches = account["residual"], f"{result.experiment.patches_seen:,} patches"
        rows.append(
            (
                f"{method_label(result)}, {patches}{_batches(result)}",
                f"{told['contrast']:+.3f}", told["fifths"][0], told["defects"], told["fifths"][-1],
                result.metrics["auroc"], told["auroc_like"],
            )
        )  # fmt: skip
    return table(header, rows or [("not recorded", *6 * "-")])


def _batches(result):
    size = result.experiment.optimisation.batch_size
    return "" if size == SCHEDULES["cpu"].batch_size else f", batches of {size}"


def below_chance(accounts, results) -> Markdown:
    """Say which results lie below chance, and whether defects among their like explain it.

    `accounts` are as in `residual_table`, `results` a list of `Result`.
    """
    low = [r for r in [*results, *(r for r, _ in accounts)] if r.metrics["auroc"] < CHANCE]
    below = dict.fromkeys(
        f"{method_label(r)} {r.metrics['auroc']:.3f} ({r.experiment.patches_seen:,} patches)"
        for r in low
    )
    if not below:
        return Markdown("No curve of this page lies below the diagonal.")
    text = f"Below {CHANCE:g} are {listed(list(below))}."
    explained = [
        f"of {method_label(result)} after {result.experiment.patches_seen:,} patches becomes "
        f"{told['auroc_like']:.3f}"
        for result, account in accounts
        if (told := account["residual"])["auroc"] < CHANCE
    ]
    if explained:
        flat = percent(accounts[0][1]["residual"]["flat"])
        text += (
            f" Of the defective pixels, {flat} lie in the flattest fifth. Compared with pixels of "
            f"like contrast alone, the AUROC {listed(explained)}."
        )
    unknown = {method_label(r) for r in low} - {method_label(result) for result, _ in accounts}
    if unknown:
        text += (
            f" {listed(sorted(unknown))} also compares pixel by pixel; its weights were not kept, "
            "so it has no row."
        )
    return Markdown(text)
