"""The headline: which networks and which scoring, settled before a test score is looked at.

Networks are settled by the loss on held-out crops, the scoring of our own by synthetic defects in
held-out images. What was settled is written down in ``recorded/``, and results are looked up by it.
"""

from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from sadefect.datasets import load_dataset
from sadefect.errors import DataError, StoreError
from sadefect.files import load_arrays, load_json, save_json, store_folder
from sadefect.methods import Scoring
from sadefect.paper.comparisons import by_settings, headline, learning_curve, shared_points
from sadefect.paper.experiment import AUGMENTED, Experiment
from sadefect.paper.run import evaluate_network, trained_model
from sadefect.paper.store import (
    find,
    recorded_folder,
    stored_json,
    stored_results,
    training_folder,
    weights,
)
from sadefect.provenance import commit
from sadefect.training.trajectory import keeps_state, milestones

TRAININGS = {"as printed": {}, "augmented": AUGMENTED}
SCORINGS = ("paper's", "ours")
LOOKED_AT = 5  # One of so many test images, the first included, was looked at by findings.
LATEST = 640_000  # Patches: no branch leaves its trunk later.


def held_out_loss(experiment):
    """Return the loss on held-out crops when so many patches were seen; NaN where none is known."""
    for path in (
        training_folder(experiment) / "state.npz",
        recorded_folder() / "trainings" / experiment.training_key / "history.npz",
    ):
        if path.exists():
            for seen, _, held_out in load_arrays(path).get("milestones", ()):
                if int(seen) == experiment.patches_seen:
                    return float(held_out)
    return float("nan")


def points(trunk):
    """List an experiment at its milestones, and where its decayed branches end."""
    trunks = [replace(trunk, patches_seen=mark) for mark in milestones(LATEST)]
    return trunks + [point.branch for point in trunks if keeps_state(point.patches_seen, LATEST)]


def settle(dataset, methods=("ssim", "l2"), seed=0):
    """Choose the point of each method's augmented training with the least held-out loss.

    All methods are taken at one budget and schedule: the one among those that all have at which the
    first of them has its least held-out loss. Returns rows of ``recorded/headline.json``, dicts,
    one for each method and scoring. Raises `StoreError` if there is no such point.
    """
    curves = [
        points(Experiment(dataset=dataset, method=method, seed=seed, **AUGMENTED))
        for method in methods
    ]
    losses = np.array([[held_out_loss(point) for point in curve] for curve in curves])
    shared = np.where(np.isfinite(losses).all(axis=0), losses[0], np.inf)
    if not np.isfinite(shared).any():
        raise StoreError(
            f"expected augmented trainings of {' and '.join(methods)} on {dataset} with held-out "
            "losses at one budget; got none; run `sadefect record --group augmented`"
        )
    rows, best = [], int(shared.argmin())
    for curve, loss in zip(curves, losses[:, best], strict=True):
        settled = curve[best]
        scored = dict(zip(SCORINGS, (settled, own_scoring(settled)), strict=True))
        row = {name: getattr(settled, name) for name in ("method", "patches_seen", "decay_from")}
        row |= {"dataset": dataset, "recipe": "augmented", "seed": seed, "held_out_loss": loss}
        rows += [
            row | {"scoring": scoring, "evaluation_key": experiment.evaluation_key}
            for scoring, experiment in scored.items()
            if experiment is not None
        ]
    return rows


def settle_all(datasets, methods=("ssim", "l2"), seed=0, destination=None):
    """Write down what `settle` chooses on some data sets, beside what it chose on others.

    Returns the path of ``headline.json``.
    """
    path = Path(destination or recorded_folder()) / "headline.json"
    rows = [row for row in _read(path) if row["dataset"] not in datasets]
    for dataset in datasets:
        rows += settle(dataset, methods, seed)
    save_json(path, rows)
    return path


def _read(path):
    return load_json(path) if path.exists() else []


def headline_experiment(dataset, method, scoring="paper's"):
    """Return the experiment that was settled for a headline; None if there is none.

    The scoring is one of `SCORINGS`.
    """
    for row in _read(recorded_folder() / "headline.json"):
        if (row["dataset"], row["method"], row["scoring"]) == (dataset, method, scoring):
            settled = Experiment(
                dataset=dataset,
                method=method,
                seed=row["seed"],
                patches_seen=row["patches_seen"],
                decay_from=row["decay_from"],
                **TRAININGS[row["recipe"]],
            )
            return settled if scoring == "paper's" else own_scoring(settled)
    return None


def headline_result(dataset, method, scoring="paper's"):
    """Return the result of `headline_experiment`; None if it is not settled or not scored."""
    experiment = headline_experiment(dataset, method, scoring)
    return experiment and find(experiment)


def _scoring_path(experiment, destination=None):
    folder = Path(destination or recorded_folder()) / "scorings"
    return folder / f"{experiment.dataset.replace('/', '-')}_{experiment.method}.json"


def choose_own_scoring(experiment, root=None, destination=None):
    """Choose our own scoring of a method on a data set, and write it down with all that lost.

    No test image is read: see `sadefect.scoring_choice`. The experiment has weights in the store,
    or recorded; its held-out images, which `load_dataset` finds below ``root``, get the synthetic
    defects. Returns the path of a file of ``recorded/scorings``, or of ``destination``.
    """
    from sadefect.scoring_choice import choose_scoring

    model, _ = trained_model(experiment)
    _, held_out = load_dataset(experiment.dataset, root).split(experiment.train)
    scores = choose_scoring(
        model, [sample.image for sample in held_out], experiment, experiment.seed
    )
    settings = [score.candidate.scoring_settings() for score in scores]
    varied = [name for name in settings[0] if len({row.get(name) for row in settings}) > 1]
    candidates = []
    for score, row in zip(scores, settings, strict=True):
        parts = {f"{kind} {radius}": round(a, 4) for (kind, radius), a in score.parts.items()}
        numbers = {"auroc": round(score.auroc, 4), "by_kind": parts}
        candidates.append({name: row.get(name) for name in varied} | numbers)
    chosen = scores[0].candidate
    path = _scoring_path(experiment, destination)
    save_json(
        path,
        {
            "dataset": experiment.dataset,
            "method": experiment.method,
            "network": experiment.training_key,
            "patches_seen": experiment.patches_seen,
            "commit": commit(),
            "chosen": {field.name: getattr(chosen, field.name) for field in fields(Scoring)},
            "candidates": candidates,
        },
    )
    return path


def own_scoring(experiment):
    """Return an experiment with our own scoring, as it was written down; None if it was not."""
    path = _scoring_path(experiment)
    return replace(experiment, **load_json(path)["chosen"]) if path.exists() else None


def compared_recipes(dataset, method):
    """Return what each recipe and scoring reaches, as far as it is known.

    That is a dict of "as printed", at the largest budget that was scored, "augmented" and
    "augmented, our scoring" to `Result`.
    """
    results = {
        "as printed": next(
            reversed(learning_curve(Experiment(dataset=dataset, method=method))), None
        ),
        "augmented": headline_result(dataset, method),
        "augmented, our scoring": headline_result(dataset, method, "ours"),
    }
    return {name: result for name, result in results.items() if result}


def pictured(datasets, methods, patches_seen=0, **settings):
    """Return results to show images of: those that were settled for the headline, where there are.

    Parameters and returns are those of `headline`, whose results are taken for other settings and
    data sets. Weights of a few runs are recorded, of one seed and not always of the longest
    training. Where the images of a data set are here, a network that can reconstruct them is worth
    more than a recorded map of one that was trained for longer.
    """
    compared = headline(datasets, methods, patches_seen, **settings)
    for dataset, group in compared.items():
        experiments = [result.experiment for result in group]
        settled = [headline_result(dataset, method) for method in methods]
        if not patches_seen and all(settled) and all(map(_alike, group, settled)):
            compared[dataset] = settled
            continue
        if patches_seen or all(map(weights, experiments)):
            continue
        with_weights = [result for result in stored_results() if weights(result.experiment)]
        runs = by_settings(experiments, with_weights, ["patches_seen", "seed"])
        if shared := shared_points(runs):
            with suppress(DataError):  # Where the images are not here, maps are all there is.
                load_dataset(dataset)
                longest = max(shared, key=lambda point: (point[0], -point[1]))
                compared[dataset] = [points[longest] for points in runs]
    return compared


def _alike(result, settled):
    """Return whether two results differ in nothing but how long and on which crops they trained."""
    return result.experiment.equals(
        settled.experiment, but=[*AUGMENTED, "patches_seen", "decay_from", "seed"]
    )


def unseen_auroc(experiment, root=None, compute=False):
    """Return the AUROC of the test images that findings had not looked at; None if it is not known.

    Every fifth had been, before the candidates of our scoring were listed. Where ``compute`` says
    so, what is not known is computed, with the data set below ``root`` as in `load_dataset`.
    """
    name = f"{experiment.evaluation_key}.json"
    if (stored := stored_json("unseen", name)) is not None or not compute:
        return stored and stored["auroc"]
    dataset = load_dataset(experiment.dataset, root)
    unseen = [sample for number, sample in enumerate(dataset.test) if number % LOOKED_AT]
    model, _ = trained_model(experiment)
    metrics, _ = evaluate_network(experiment, model, replace(dataset, test=unseen))
    result = {"auroc": metrics["auroc"], "images": len(unseen), "commit": commit()}
    save_json(store_folder() / "unseen" / name, result)
    return result["auroc"]
