"""Finds results that pages compare: methods with one budget, several seeds, cells of table 2."""

from collections import Counter
from dataclasses import replace

from sadefect.datasets import load_dataset
from sadefect.errors import DataError, StoreError
from sadefect.paper.experiment import Experiment
from sadefect.paper.run import has_weights, run
from sadefect.paper.store import stored_results


def by_settings(experiments, results, names):
    """Return the results of experiments that differ from them in the named settings only.

    Those of other data, or of an earlier version of the numerics, are left out.

    Returns
    -------
    list of dicts
        One for each experiment: values of the named settings, a tuple, to `Result`.
    """
    return [
        {
            tuple(getattr(result.experiment, name) for name in names): result
            for result in results
            if result.stands_for(experiment, but=names)
        }
        for experiment in experiments
    ]


def _shared(runs):
    return set.intersection(*map(set, runs)) if runs else set()


def learning_curve(experiment, results=None):
    """Return results of one trajectory and scoring at all budgets scored, smallest first.

    Those of other data, or of an earlier version of the numerics, are left out. ``results`` are
    those to look among, where they were read already.
    """
    results = stored_results() if results is None else results
    [points] = by_settings([experiment], results, ["patches_seen"])
    return [points[budget] for budget in sorted(points)]


def largest_budget(experiments, default=0):
    """Return the largest number of patches at which all have a result, or the default."""
    shared = _shared(by_settings(experiments, stored_results(), ["patches_seen"]))
    return max((budget for (budget,) in shared), default=default)


def over_seeds(experiments, results=None):
    """Return results of several seeds, at the largest budget where all experiments have the same.

    Parameters
    ----------
    experiments : list of Experiment
        Their own budgets and seeds do not matter.
    results : list of Result, optional
        Those to look among, where they were read already.

    Returns
    -------
    list of lists of Result
        One list for each experiment, by seed; empty where no two seeds have a budget in common.
    """
    results = stored_results() if results is None else results
    runs = by_settings(experiments, results, ["patches_seen", "seed"])
    counts = Counter(budget for budget, _ in _shared(runs))
    repeated = max((budget for budget, count in counts.items() if count > 1), default=None)
    points = sorted(point for point in _shared(runs) if point[0] == repeated)
    return [[run[point] for point in points] for run in runs] if points else []


def headline(datasets, methods, patches_seen=0, **settings):
    """Return results of several methods with one budget for each data set, as pages compare them.

    Parameters
    ----------
    datasets, methods : lists of str
    patches_seen : int
        The budget; 0 takes the largest at which all methods of a data set have a result.
    **settings
        Of `Experiment`.

    Returns
    -------
    dict
        Data set to list of `Result`, in the order of ``methods``.

    Raises
    ------
    StoreError
        If no budget is given and there is no result to take it from.
    """
    compared = {}
    for dataset in datasets:
        experiments = [Experiment(dataset=dataset, method=method, **settings) for method in methods]
        budget = patches_seen or largest_budget(experiments)
        if not budget:
            raise StoreError(
                f"expected results of {' and '.join(methods)} on {dataset}; there are none with "
                "one budget; run `sadefect record`, or give patches_seen to train here"
            )
        compared[dataset] = [
            run(replace(experiment, patches_seen=budget)) for experiment in experiments
        ]
    return compared


def pictured(datasets, methods, patches_seen=0, **settings):
    """Return results to show images of: `headline`'s, unless only others' weights are here.

    Weights of a few runs are recorded, of one seed and not always of the longest training. Where
    the images of a data set are here, a network that can reconstruct them is worth more than a
    recorded map of one that was trained for longer.

    Parameters and returns are those of `headline`.
    """
    compared = headline(datasets, methods, patches_seen, **settings)
    results = stored_results()
    for dataset, group in compared.items():
        experiments = [result.experiment for result in group]
        if patches_seen or all(map(has_weights, experiments)) or not _is_here(dataset):
            continue
        runs = [
            {
                (budget, -seed): result
                for (budget, seed), result in points.items()
                if has_weights(result.experiment)
            }
            for points in by_settings(experiments, results, ["patches_seen", "seed"])
        ]
        if shared := _shared(runs):
            compared[dataset] = [run[max(shared)] for run in runs]
    return compared


def _is_here(dataset):
    try:
        load_dataset(dataset)
    except DataError:
        return False
    return True


def have_all(dataset, methods, **settings):
    """Return whether all methods have a result on a data set with one budget."""
    return bool(
        largest_budget([Experiment(dataset=dataset, method=name, **settings) for name in methods])
    )


def table_2(dataset, columns, base, patches_seen=0):
    """Return results of the cells of table 2: one setting changed at a time, one budget for all.

    Parameters
    ----------
    dataset : str
    columns : dict
        Names of settings of `Experiment` to their values.
    base : dict
        What the settings are where they are not changed.
    patches_seen : int
        The budget; 0 takes the largest at which all cells that have a result have one, and leaves
        out the others.

    Returns
    -------
    dict
        Names of settings to dicts of value to `Result`.
    """
    cells = {
        name: {value: Experiment(dataset=dataset, **base | {name: value}) for value in values}
        for name, values in columns.items()
    }
    experiments = [cell for column in cells.values() for cell in column.values()]
    if not patches_seen:
        curves = by_settings(experiments, stored_results(), ["patches_seen"])
        experiments = [cell for cell, points in zip(experiments, curves, strict=True) if points]
    budget = patches_seen or largest_budget(experiments)
    return {
        name: {
            value: run(replace(cell, patches_seen=budget))
            for value, cell in column.items()
            if budget and cell in experiments
        }
        for name, column in cells.items()
    }
