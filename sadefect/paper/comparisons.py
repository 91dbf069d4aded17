"""Results that pages compare: methods with one budget, several seeds, the cells of table 2."""

from dataclasses import replace

from sadefect.datasets import load_dataset
from sadefect.errors import DataError, StoreError
from sadefect.paper.experiment import Experiment
from sadefect.paper.run import has_weights, run
from sadefect.paper.store import results


def learning_curve(experiment, found=None):
    """Results of the same trajectory and scoring at all budgets scored, smallest first.

    Those of other data, or of an earlier version of the numerics, are left out. ``found`` are the
    results to look among, where they were read already.
    """
    same = [
        result
        for result in (results() if found is None else found)
        if result.stands_for(experiment, but=["patches_seen"])
    ]
    return sorted(same, key=lambda result: result.experiment.patches_seen)


def largest_budget(experiments, default=0):
    """The largest number of patches at which all of them have a result, or the default."""
    found = results()
    budgets = [
        {result.experiment.patches_seen for result in learning_curve(experiment, found)}
        for experiment in experiments
    ]
    return max(set.intersection(*budgets), default=default) if budgets else default


def over_seeds(experiments, found=None):
    """Results of several seeds, at the largest budget at which all experiments have the same ones.

    Parameters
    ----------
    experiments : list of Experiment
        Their own budgets and seeds do not matter.
    found : list of Result, optional
        The results to look among, where they were read already.

    Returns
    -------
    list of lists of Result
        One list for each experiment, by seed; empty where no two seeds have a budget in common.
    """
    found = results() if found is None else found
    runs = []
    for experiment in experiments:
        runs.append({})
        for result in found:
            if result.stands_for(experiment, but=["patches_seen", "seed"]):
                one = result.experiment
                runs[-1][one.patches_seen, one.seed] = result
    shared = set.intersection(*map(set, runs)) if runs else set()
    budgets = [budget for budget, _ in shared]
    repeated = max((budget for budget in budgets if budgets.count(budget) > 1), default=None)
    keys = sorted(key for key in shared if key[0] == repeated)
    return [[run[key] for key in keys] for run in runs] if keys else []


def headline(datasets, methods, patches_seen=0, **settings):
    """Results of several methods with one budget for each data set, as pages compare them.

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
    found = {}
    for dataset in datasets:
        experiments = [Experiment(dataset=dataset, method=method, **settings) for method in methods]
        budget = patches_seen or largest_budget(experiments)
        if not budget:
            raise StoreError(
                f"expected results of {' and '.join(methods)} on {dataset}; there are none with "
                "one budget; run `sadefect record`, or give patches_seen to train here"
            )
        found[dataset] = [run(replace(one, patches_seen=budget)) for one in experiments]
    return found


def pictured(datasets, methods, patches_seen=0, **settings):
    """Results to draw images with: `headline`'s, unless only others' weights are here.

    Weights of a few runs are recorded, of one seed and not always of the longest training. Where
    the images of a data set are here, a network that can draw them is worth more than a recorded
    map of one that was trained for longer.

    Parameters and returns are those of `headline`.
    """
    found = headline(datasets, methods, patches_seen, **settings)
    every = results()
    for dataset, group in found.items():
        try:
            load_dataset(dataset)
        except DataError:
            continue
        if patches_seen or all(has_weights(one.experiment) for one in group):
            continue
        runs = [
            {
                (one.experiment.patches_seen, -one.experiment.seed): one
                for one in every
                if one.stands_for(best.experiment, but=["patches_seen", "seed"])
                and has_weights(one.experiment)
            }
            for best in group
        ]
        if shared := set.intersection(*map(set, runs)):
            found[dataset] = [run[max(shared)] for run in runs]
    return found


def have_all(dataset, methods, **settings):
    """Whether all methods have a result on a data set with one budget."""
    return bool(
        largest_budget([Experiment(dataset=dataset, method=one, **settings) for one in methods])
    )


def table_2(dataset, columns, base, patches_seen=0):
    """Results of the cells of table 2: one setting changed at a time, one budget for all.

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
    every = [one for column in cells.values() for one in column.values()]
    found = results()
    here = every if patches_seen else [one for one in every if learning_curve(one, found)]
    budget = patches_seen or largest_budget(here)
    return {
        name: {
            value: run(replace(one, patches_seen=budget))
            for value, one in column.items()
            if budget and one in here
        }
        for name, column in cells.items()
    }
