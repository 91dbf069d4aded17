"""The methods that the paper is compared with, beside the autoencoders: points, rows, pictures."""

from contextlib import suppress
from typing import NamedTuple

import numpy as np
from IPython.display import Markdown
from matplotlib.ticker import LogLocator, NullFormatter

from sadefect.baselines import BASELINES, IMAGENET, NORMALS, PUBLISHED
from sadefect.datasets import load_dataset
from sadefect.errors import DatasetNotFound, StoreError
from sadefect.figures.gap import CHANCE
from sadefect.figures.panels import Panel, show_panels
from sadefect.figures.style import WIDTH, Figure, house_style
from sadefect.figures.tables import OVERLAP, overlap, table
from sadefect.figures.timings import benchmark
from sadefect.methods import METHODS
from sadefect.paper import numbers
from sadefect.paper.compared import SHRINK, chosen_comparisons, example_map, written_choice
from sadefect.paper.headline import compared_recipes
from sadefect.paper.inspection import inspect
from sadefect.paper.rules import listed
from sadefect.paper.seeds import with_other_seeds
from sadefect.paper.store import stored_results

AUTOENCODER = "autoencoder"
# What a method was given: in words, its colour (of Okabe and Ito's palette) and its marker.
GIVEN = {
    NORMALS: ("defect-free images", "#009E73", "o"),
    IMAGENET: ("defect-free images and ImageNet", "#D55E00", "^"),
    AUTOENCODER: ("defect-free images, an autoencoder", "#0072B2", "s"),
}
IN_A_SENTENCE = {
    NORMALS: "without a network",
    IMAGENET: "on features of ImageNet",
    AUTOENCODER: "autoencoder",
}
# Rows of the benchmark ``inference``.
RECONSTRUCTED, AVERAGED = "our map, OpenVINO", "our scoring, maps averaged"
TIMED = "nanotwice"  # Whose images it takes.
CHANGED = "with changes of ours"  # Of an autoencoder that is not trained or scored as printed.


class Entry(NamedTuple):
    """A method on a data set: a row of the table, a point of the scatter.

    ``given`` is a key of `GIVEN`; ``seconds`` are those of an image and of fitting or training,
    None where they were not measured; ``spread`` are the AUROC of all seeds that have a result.
    """

    name: str
    label: str
    given: str
    faithful: str
    result: object
    seconds: tuple
    parameters: int
    spread: tuple

    @property
    def auroc(self):
        return self.result.metrics["auroc"]


def stored_entries(dataset, seeds=(0,)):
    """Return what is stored of all methods on a data set, the best AUROC first.

    Of baselines these are results at settings chosen without masks; of autoencoders those of the
    printed recipe and, where they were settled, of the headline.

    Parameters
    ----------
    dataset : str
    seeds : tuple of int
        The first is shown; the others say how far seeds differ.

    Returns
    -------
    list of Entry
    """
    first, *others = (chosen_comparisons(dataset, BASELINES, seed) for seed in seeds)
    entries, stored = [], stored_results()
    for result in first:
        again = [other for group in others for other in group if other.name == result.name]
        about = result.about
        entries.append(
            Entry(
                result.name, about.label, about.given, about.faithful, result,
                (result.seconds("image"), result.seconds("fit")), result.provenance["parameters"],
                tuple(seed.metrics["auroc"] for seed in (result, *again)),
            )
        )  # fmt: skip
    for method in ("ssim", "l2"):
        for recipe, result in compared_recipes(dataset, method).items():
            fitting = result.provenance["seconds"]["training"]
            took = _seconds_of_map(result), None if result.on_card else fitting
            network = result.experiment.build_model()
            label = f"{METHODS[method].label}, {recipe}"
            faithful = PUBLISHED if recipe == "as printed" else CHANGED
            entries.append(
                Entry(
                    method, label, AUTOENCODER, faithful, result, took,
                    network.count_params(),
                    tuple(r.metrics["auroc"] for r in with_other_seeds(result, stored)),
                )
            )  # fmt: skip
    return sorted(entries, key=lambda entry: -entry.auroc)


def _seconds_of_map(result):
    """Return the seconds that an autoencoder's map takes, by the benchmark ``inference``.

    Its image is as large as NanoTWICE's; there are none for images of other sizes.
    """
    if result.experiment.dataset != TIMED:
        return None
    measured = benchmark("inference")
    row = AVERAGED if result.experiment.average == "maps" else RECONSTRUCTED
    return measured.value("seconds", row)


def best_of_each(entries, dataset):
    """Say which method is best on a data set, and which among those that were given less or more.

    Parameters
    ----------
    entries : list of Entry
    dataset : str
    """
    if not entries:
        return Markdown(f"No method has a result on `{dataset}` yet.")
    best = {}
    for entry in entries:
        best.setdefault(entry.given, entry)
    first, *others = best.values()
    text = (
        f"On `{dataset}`, the largest AUROC of {len(entries)} results is that of *{first.label}* "
        f"({IN_A_SENTENCE[first.given]}): {_reached(first)}"
    )
    for other in others:
        text += f"; the best {IN_A_SENTENCE[other.given]} is *{other.label}*: {_reached(other)}"
    return Markdown(f"{text}.")


def same_features(entries):
    """Say what methods reach that were given the features of the same layers of a network."""
    groups = {}
    for entry in entries:
        if entry.given == IMAGENET:
            layers = tuple(entry.result.settings["layers"])
            groups.setdefault(layers, []).append(f"{entry.label} {entry.auroc:.3f}")
    texts = [
        f"on {listed(list(layers))}, {listed(reached)}"
        for layers, reached in groups.items()
        if len(reached) > 1
    ]
    none = "No two methods were given the same features."
    return Markdown(f"AUROC on the same features: {'; '.join(texts)}." if texts else none)


def below_chance(entries):
    """Say which baselines are below chance, and what that does not change; None if none is."""
    texts = [
        f"{entry.label} ({entry.result.variant}), {entry.auroc:.3f}"
        for entry in entries
        if entry.name in BASELINES and entry.auroc < CHANCE
    ]
    if not texts:
        return None
    return Markdown(
        f"Below chance: {listed(texts)}. Real defects lie on the opposite side of the normal level "
        "from the synthetic ones that were used to choose the settings. We keep the settings."
    )


def _reached(entry):
    seconds = entry.seconds[0]
    return f"{entry.auroc:.3f}" + (f" in {_short(seconds)} s an image" if seconds else "")


def _short(seconds):
    return f"{seconds:,.0f}" if seconds >= 10 else f"{seconds:.2g}"


def quality_and_time(entries) -> Figure:
    """Draw AUROC against seconds an image, a labelled point for each method that has both.

    Parameters
    ----------
    entries : list of Entry
    """
    timed = [entry for entry in entries if entry.seconds[0]]
    with house_style():
        figure = Figure(figsize=(WIDTH, 4.8))
        axes = figure.subplots()
        for given, (words, colour, marker) in GIVEN.items():
            if not (group := [entry for entry in timed if entry.given == given]):
                continue
            axes.plot(
                [entry.seconds[0] for entry in group], [entry.auroc for entry in group],
                linestyle="none", marker=marker, markersize=7, color=colour,
                markeredgecolor="white", label=words,
            )  # fmt: skip
        axes.set(
            xscale="log", xlabel="seconds an image (logarithmic)",
            ylabel="area under the ROC curve",
        )  # fmt: skip
        axes.margins(x=0.12, y=0.1)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(lambda seconds, _: f"{seconds:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(color="#DDDDDD", linewidth=0.6)
        axes.set_axisbelow(True)
        figure.legend(loc="outside upper left", ncols=3)
        _label_points(figure, axes, timed)
    return figure


def _label_points(figure, axes, entries):
    """Write names beside points, each at the nearest place where it covers nothing."""
    figure.draw_without_rendering()  # Or the places of points are not known yet.
    points = [axes.transData.transform((entry.seconds[0], entry.auroc)) for entry in entries]
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    left, bottom, right, top = axes.get_window_extent().extents
    for entry, (x, y) in zip(entries, points, strict=True):
        measured = axes.text(0, 0, entry.label, fontsize=8)
        width, height = measured.get_window_extent().size
        measured.remove()
        boxes = []
        for away in range(0, 120, 10):
            for up in (away - height / 2, -away - height / 2):
                boxes += [(x + side, y + up) for side in (9, -9 - width)]
            boxes += [(x - width / 2, y + 8 + away), (x - width / 2, y - 8 - height - away)]
        boxes = [(*corner, corner[0] + width, corner[1] + height) for corner in boxes]
        free = (
            box for box in boxes
            if box[0] > left and box[2] < right and box[1] > bottom and box[3] < top
            and not any(_overlap(box, other) for other in taken)
        )  # fmt: skip
        box = next(free, boxes[0])
        taken.append(box)
        far = abs((box[1] + box[3]) / 2 - y) > height + 8  # Too far to see whose it is.
        offset = [72 / figure.dpi * distance for distance in (box[0] - x, box[1] - y)]
        text = axes.annotate(
            entry.label, (entry.seconds[0], entry.auroc), offset, textcoords="offset points",
            fontsize=8, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.3, "alpha": 0.85},
            arrowprops={"arrowstyle": "-", "color": "#888888"} if far else None,
        )  # fmt: skip
        text.set_in_layout(False)


def _overlap(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def comparison_table(entries, dataset) -> Markdown:
    """Tabulate what methods reach on a data set, one row each, and below what others published.

    Parameters
    ----------
    entries : list of Entry
    dataset : str
    """
    header = (
        "method", "AUROC, seed 0", "over seeds", "AUROC, published", "AUPRO", OVERLAP,
        "seconds an image",
    )  # fmt: skip
    rows = []
    for entry in entries:
        published = numbers.AUROC if entry.given == AUTOENCODER else numbers.AUROC_ELSEWHERE
        seconds = entry.seconds[0]
        rows.append(
            (
                entry.label, entry.auroc, _over_seeds(entry) or "-",
                published.get((dataset, entry.name), "-"), entry.result.metrics["aupro"],
                overlap(entry.result)["median"], _short(seconds) if seconds else "-",
            )
        )  # fmt: skip
    for label, area in numbers.NOT_BUILT.get(dataset, {}).items():
        rows.append((f"{label}, not run here", "-", "-", area, *3 * "-"))
    return table(header, rows)


def needs_table(entries) -> Markdown:
    """Tabulate what methods need: what they are given, keep, and take to fit, one row each.

    Parameters
    ----------
    entries : list of Entry
    """
    rows = [
        (
            entry.label, GIVEN[entry.given][0], entry.parameters,
            _short(entry.seconds[1]) if entry.seconds[1] else "-", entry.faithful,
        )
        for entry in entries
    ]  # fmt: skip
    return table(("method", "uses", "parameters", "seconds to fit", "fidelity"), rows)


def seeds_apart(entries) -> Markdown:
    """Say for which method seeds are furthest apart, of those with several."""
    several = [entry for entry in entries if len(entry.spread) > 1]
    if not several:
        return Markdown("No method has several seeds.")
    widest = max(several, key=lambda entry: max(entry.spread) - min(entry.spread))
    others = [max(e.spread) - min(e.spread) for e in several if e is not widest]
    rest = f" Those of all others are at most {max(others):.3f} apart." if others else ""
    return Markdown(
        f"Of {len(several)} methods with several seeds, those of *{widest.label}* are furthest "
        f"apart: {_over_seeds(widest)}.{rest}"
    )


def _over_seeds(entry):
    """Return the least and the largest AUROC over seeds; an empty string for one seed."""
    areas = entry.spread
    return f"{min(areas):.3f} to {max(areas):.3f}" if len(areas) > 1 else ""


def citations(names=BASELINES) -> Markdown:
    """List the publications that baselines are built after; those without one are left out."""
    cited = [BASELINES[name] for name in names if BASELINES[name].citation]
    lines = (
        f"- {about.label}: {about.faithful} {about.citation}, "
        f"[doi:{about.doi}](https://doi.org/{about.doi})"
        for about in cited
    )
    return Markdown("\n".join(lines))


def choices_table(names, dataset) -> Markdown:
    """Tabulate which settings of baselines were chosen by synthetic defects, and how clearly.

    Parameters
    ----------
    names : iterable of str
    dataset : str
    """
    header = ("method", "settings tried", "chosen", "AUROC, synthetic defects", "of the worst")
    rows = []
    for name in names:
        if scores := written_choice(name, dataset):
            chosen = ", ".join(f"{key} {_plain(v)}" for key, v in scores[0]["settings"].items())
            areas = [score["auroc"] for score in scores]
            rows.append(
                (BASELINES[name].label, len(scores), chosen or "defaults", areas[0], areas[-1])
            )
    return table(header, rows)


def _plain(value):
    return " and ".join(value) if isinstance(value, (list, tuple)) else value


def maps_of_one_image(entries, dataset) -> Figure:
    """Show the maps of the first test image, one for each method that kept it.

    The image itself is shown where the data set is at hand; maps are at half its size.

    Parameters
    ----------
    entries : list of Entry
    dataset : str
    """
    maps = {entry.label: _example(entry) for entry in entries}
    maps = {label: map for label, map in maps.items() if map is not None}
    image, mask = _first_image(dataset, entries)
    panels = [] if image is None else [Panel(image, "input", outline=mask)]
    for label, map in maps.items():
        limits = tuple(float(limit) for limit in np.quantile(map, (0.01, 0.999)))
        outline = None if mask is None else mask[: map.shape[0], : map.shape[1]]
        panels.append(Panel(map, label, "anomaly score", limits, outline))
    return show_panels([panels[start : start + 3] for start in range(0, len(panels), 3)])


def _example(entry):
    """Return a method's map of the first test image at half its size, or None."""
    if entry.given != AUTOENCODER:
        return example_map(entry.result)
    with suppress(StoreError):
        return inspect(entry.result, 0).residual[::SHRINK, ::SHRINK]


def _first_image(dataset, entries):
    """Return the first test image and its mask at half their size, None where they are not here."""
    with suppress(DatasetNotFound):
        sample = load_dataset(dataset).test[0]
        return sample.image[::SHRINK, ::SHRINK], sample.mask[::SHRINK, ::SHRINK]
    for entry in entries:
        if entry.given == AUTOENCODER:
            with suppress(StoreError):
                return None, inspect(entry.result, 0).mask[::SHRINK, ::SHRINK]
    return None, None
