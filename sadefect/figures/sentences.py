"""Results in words that follow from their numbers, for the sentence that a page opens with."""

import numpy as np
from IPython.display import Markdown

from sadefect.figures.style import method_label
from sadefect.figures.tables import percent
from sadefect.paper import numbers
from sadefect.paper.rules import listed


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


def gap_sentence(steps, reported=None):
    """Say what each step from the printed recipe to the headline brings, and what remains.

    Parameters
    ----------
    steps : dict
        Of `sadefect.paper.headline.gap_steps`.
    reported : sadefect.paper.numbers.Number, optional
        What the paper reports.
    """
    if not steps:
        return Markdown(
            "No headline is settled for this data set yet: `sadefect record --group augmented` "
            "trains its networks, `sadefect settle` chooses among them."
        )
    areas = [result.metrics["auroc"] for result in steps.values()]
    (first, *others), changes = steps, np.diff(areas)
    brought = [f"{name} {change:+.3f}" for name, change in zip(others, changes, strict=True)]
    text = f"The recipe {first} reaches an AUROC of {areas[0]:.3f}"
    text += f"; {', '.join(brought)}, together {areas[-1]:.3f}." if brought else "."
    if reported:
        rest = reported.value - areas[-1]
        text += f" The paper reports {reported.value:.3f}: " + (
            f"{rest:.3f} remain." if rest > 0 else f"ours is {-rest:.3f} above it."
        )
    return Markdown(text)
