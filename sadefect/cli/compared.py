"""The verb that runs the methods which the paper is compared with."""

from typing import Annotated

import typer

from sadefect import errors
from sadefect.cli.own_images import load_framework, usage
from sadefect.cli.printing import show_table

COLUMNS = ("method", "data set", "seed", "settings", "auroc", "aupro", "seconds an image")


def compare(
    names: Annotated[list[str] | None, typer.Argument(help="Methods; all by default.")] = None,
    data: Annotated[list[str] | None, typer.Option(help="Data sets. Default: nanotwice.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Seeds. Default: 0.")] = None,
):
    """Choose settings of baselines by synthetic defects, run them, and write recorded/."""
    from sadefect.baselines import BASELINES
    from sadefect.paper.compared import chosen_settings, evaluate_baseline, record_comparisons

    with usage("NAMES"):
        for name in names or []:
            errors.require_choice("method", name, BASELINES)
    load_framework()
    rows = []
    for dataset in data or ["nanotwice"]:
        for name in names or BASELINES:
            settings = chosen_settings(name, dataset)
            for number in seed or [0]:
                result = evaluate_baseline(name, dataset, number, **settings)
                record_comparisons([result])  # Each at once: the next may take hours.
                scores = {name: result.metrics[name] for name in ("auroc", "aupro")}
                about = {"method": name, "data set": dataset, "seed": number}
                took = {"settings": result.variant, "seconds an image": result.seconds("image")}
                rows.append(about | scores | took)
    show_table("Baselines", COLUMNS, rows)
