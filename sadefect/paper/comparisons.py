"""Finds results that pages compare: methods with one budget, several seeds, cells of table 2."""

from dataclasses import replace

from sadefect.errors import StoreError
from sadefect.paper.experiment import Experiment
from sadefect.paper.numbers import TABLE_2
from sadefect.paper.run import run
from sadefect.paper.store import asked_for_fresh, stored_results


def by_settings(experiments, results, names):
    """Return the results of experiments that differ from them in the named settings only.

    Those of other data, or of an earlier version of the numerics, are left out. For each experiment
    there is a dict: values of the named settings, a tuple, to `Result`.
    """
    return [
        {
            tuple(getattr(result.experiment, name) for name in names): result
            for result in results
            if result.experiment.equals(experiment, but=names) and not result.outdated
        }
        for experiment in experiments
    ]


def shared_points(runs):
    """Return the points, values of settings, at which all dicts of `by_settings` have a result."""
    return set.intersection(*map(set, runs)) if runs else set()


def learning_curve(experiment, results=None):
    """Return results of one trajectory and scoring at all budgets scored, smallest first.

    Those of other data, or of an earlier version of the numerics, are left out, and those of
    another backend than the one that went furthest: it drew other initial weights. ``results`` are
    those to look among, where they were read already.
    """
    results = stored_results() if results is None else results
    [points] = by_settings([experiment], results, ["patches_seen"])
    curve = [points[budget] for budget in sorted(points)]
    return [point for point in curve if point.backend == curve[-1].backend]


def at_one_budget(experiments, patches_seen=0, *, results=None, compute=True):
    """Return a result of each experiment, all with one budget, in a list.

    Their own budgets do not matter: ``patches_seen`` is the budget, and 0 takes the largest at
    which all have a stored result. ``results`` are those to look among, where they were read
    already.

    Where ``compute`` says so, a result that is not stored at the budget is computed, and one that
    is recorded is computed again where `sadefect.paper.store.asked_for_fresh`. The list is empty
    where there is no such budget, or something is missing and not computed.
    """
    if not (patches_seen and compute):
        results = stored_results() if results is None else results
        runs = by_settings(experiments, results, ["patches_seen"])
        shared = shared_points(runs)
        point = (patches_seen,) if patches_seen else max(shared, default=None)
        if point not in shared:
            return []
        if not (compute and asked_for_fresh()):
            return [points[point] for points in runs]
        (patches_seen,) = point
    return [run(replace(experiment, patches_seen=patches_seen)) for experiment in experiments]


def over_seeds(experiments, results=None):
    """Return results of several seeds, at the largest budget where all experiments have the same.

    Their own budgets and seeds do not matter; ``results`` are those to look among, where they were
    read already. There is a list of `Result` for each experiment, by seed; none where no two seeds
    have a budget in common.
    """
    results = stored_results() if results is None else results
    runs = by_settings(experiments, results, ["patches_seen", "seed"])
    shared = shared_points(runs)
    budgets = [budget for budget, _ in shared]
    repeated = max((budget for budget in budgets if budgets.count(budget) > 1), default=None)
    points = sorted(point for point in shared if point[0] == repeated)
    return [[stored[point] for point in points] for stored in runs] if points else []


def headline(datasets, methods, patches_seen=0, *, required=True, **settings):
    """Return results of several methods with one budget for each data set, as pages compare them.

    The budget is ``patches_seen``; 0 takes the largest at which all methods of a data set have a
    result. If there is none, a `StoreError` says so where it is ``required``, and else the data set
    is left out. The settings are those of `Experiment`. Returns a dict of data set to a list of
    `Result`, in the order of ``methods``.
    """
    compared, results = {}, None if patches_seen else stored_results()
    for dataset in datasets:
        experiments = [Experiment(dataset=dataset, method=method, **settings) for method in methods]
        if group := at_one_budget(experiments, patches_seen, results=results):
            compared[dataset] = group
        elif required:
            raise StoreError(
                f"expected results of {' and '.join(methods)} on {dataset}; there are none with "
                "one budget; run `sadefect record`, or give patches_seen to train here"
            )
    return compared


def table_2_cells(dataset="nanotwice", columns=TABLE_2, **base):
    """Return the experiments of table 2, by the setting changed and its value.

    Examples
    --------
    >>> len(table_2_cells()), len(set(table_2_cells().values()))  # The centre is in each column.
    (13, 11)
    """
    return {
        (name, value): Experiment(dataset=dataset, **base | {name: value})
        for name, values in columns.items()
        for value in values
    }


def table_2(dataset, columns, base, patches_seen=0):
    """Return results of the cells of table 2: one setting changed at a time, one budget for all.

    ``columns`` are names of settings of `Experiment` to their values, ``base`` what the settings
    are where they are not changed. A budget of 0 takes the largest at which all cells that have a
    result have one, and leaves out the others. Returns names of settings to dicts of value to
    `Result`.
    """
    cells, results = table_2_cells(dataset, columns, **base), None
    if not patches_seen:
        results = stored_results()
        runs = by_settings(cells.values(), results, ["patches_seen"])
        cells = {cell: cells[cell] for cell, points in zip(cells, runs, strict=True) if points}
    group = at_one_budget(cells.values(), patches_seen, results=results)
    table = {name: {} for name in columns}
    for (name, value), result in zip(cells, group, strict=False):  # One for each, or none at all.
        table[name][value] = result
    return table
