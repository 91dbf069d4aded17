"""Results in words that follow from their numbers, for the sentence that a page opens with."""

import numpy as np
from IPython.display import Markdown

from sadefect.figures.style import method_label
from sadefect.figures.tables import percent
from sadefect.paper import numbers
from sadefect.paper.extrapolation import last_doubling
from sadefect.paper.rules import listed
from sadefect.paper.seeds import OverSeeds, seeds_beside


def best_first(sentence, values, show="{:.3f}".format):
    """Say what several methods reach, the highest first.

    The `sentence` about the first has braces for its name and its number, and the others are
    appended; `values` are a dict of name to number, which `show` turns into text.

    Examples
    --------
    >>> best_first("{} finds {} of the pixels", {"ℓ²": 0.12, "SSIM": 0.63}, percent)
    'SSIM finds 63.0 % of the pixels, ℓ² 12.0 %'
    """
    (name, value), *others = sorted(values.items(), key=lambda item: -item[1])
    rest = [f"{other} {show(number)}" for other, number in others]
    return ", ".join([sentence.format(name, show(value)), *rest])


def found_by(inspections):
    """Say which share of the defective pixels each method finds, over all `Inspection`s given."""
    passed = {}
    for inspection in inspections:
        pixels = passed.setdefault(method_label(inspection.result), [])
        pixels.append(inspection.found[inspection.mask])
    shares = {method: np.concatenate(pixels).mean() for method, pixels in passed.items()}
    return best_first("{} finds {} of the defective pixels", shares, percent)


def area_over_seeds(result, results):
    """Say the AUROC of a `Result`: of its own seed, or the mean over all, and their range.

    Where its budget has one seed only, that of the largest budget with several comes after it.
    ``results`` are those to look among.
    """
    told = []
    for group in seeds_beside(result, results):
        seeds, patches = OverSeeds.of(group), group[0].experiment.patches_seen
        told.append(f"at {patches:,} patches {seeds.auroc:.3f}" if told else f"{seeds.auroc:.3f}")
        told[-1] += f" ({seeds.count} seeds, {seeds.range})" if seeds.count > 1 else ""
    return "; ".join(told)


def areas_beside_the_papers(results):
    """Say what AUROC each method reaches on a data set, and what the paper reports of them.

    `results` are a list of `Result` of that data set and one budget.
    """
    dataset, patches = results[0].experiment.dataset, results[0].experiment.patches_seen
    ours = {method_label(result): result.metrics["auroc"] for result in results}
    text = best_first(f"On `{dataset}`, {{}} reaches an AUROC of {{}}", ours)
    reported = [
        f"{number.value:g} for {method_label(result)}"
        for result in results
        if (number := numbers.AUROC.get((dataset, result.experiment.method)))
    ]
    paper = f"; the paper reports {listed(reported)} after {numbers.BUDGET:,}" if reported else ""
    return Markdown(f"{text}, after {patches:,} patches{paper}.")


def last_doublings(curves):
    """Say what the last doubling of the training brought, by data set and method.

    `curves` are a dict of data set to learning curves, each a list of `Result` of one trajectory;
    of several seeds of a method, the first is told.
    """
    told = []
    for dataset, group in curves.items():
        gains = {}
        for curve in filter(None, group):
            patches = [result.experiment.patches_seen for result in curve]
            gain = last_doubling(patches, [result.metrics["auroc"] for result in curve])
            if gain is not None:
                gains.setdefault(method_label(curve[0]), gain)
        if gains:
            gained = listed([f"{gain:+.3f} to {method}" for method, gain in gains.items()])
            told.append(f"on `{dataset}` it added {gained}")
    text = f"The last doubling of the training: {'; '.join(told)}." if told else ""
    return Markdown(text or "No training was scored at two budgets, one twice the other.")
