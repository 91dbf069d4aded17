"""Experiments that were computed once more elsewhere: another backend, another machine.

Two such runs see the same crops in the same order. Their initial weights have one distribution, and
differ, since each backend draws them by itself; so the yardstick for how far they are apart is how
far seeds are.
"""

from dataclasses import replace
from typing import NamedTuple

from sadefect.files import load_json
from sadefect.paper.seeds import with_other_seeds
from sadefect.paper.store import Result, recorded_folder, stored_results
from sadefect.provenance import BACKENDS, backend_of
from sadefect.segmentation import DIAMETER

PAPERS = {"average": "reconstructions", "opening": DIAMETER, "smoothing": 0.0, "frame": 0}


class Repeated(NamedTuple):
    """One experiment, its result, what came out elsewhere, and what other seeds give.

    ``elsewhere`` has ``metrics`` and ``provenance`` as a `Result` has; ``seeds`` are the AUROC of
    all seeds, that of the result first.
    """

    result: Result
    elsewhere: dict
    seeds: tuple

    @property
    def difference(self):
        """Return the AUROC elsewhere less that of the result."""
        return self.elsewhere["metrics"]["auroc"] - self.result.metrics["auroc"]


def repeated(dataset):
    """List the recorded trainings on a data set that ran twice, by method and patches seen.

    Of each there are two rows at most, its shortest budget and its longest, in the paper's scoring:
    what lies between is no other training.
    """
    results = stored_results(["recorded"])
    by_key = {result.key: result for result in results if result.experiment.dataset == dataset}
    found = [
        Repeated(
            by_key[path.stem],
            load_json(path),
            tuple(seed.metrics["auroc"] for seed in with_other_seeds(by_key[path.stem], results)),
        )
        for path in sorted((recorded_folder() / "repeated").glob("*.json"))
        if path.stem in by_key
    ]

    trainings = {}
    for row in sorted(found, key=lambda row: row.result.experiment.patches_seen):
        made = row.result.experiment
        if made == replace(made, **PAPERS):
            trainings.setdefault((made.method, made.schedule), []).append(row)
    shown = []
    for _, rows in sorted(trainings.items()):
        shown += [rows[0], rows[-1]] if len(rows) > 1 else rows
    return shown


def precisions(dataset):
    """Return pairs of recorded results on a data set that differ in precision, float32 first.

    They are sorted by method, patches seen and seed.
    """
    results = {
        result.experiment: result
        for result in stored_results(["recorded"])
        if result.experiment.dataset == dataset
    }
    pairs = [
        (results[full], result)
        for made, result in results.items()
        if (full := replace(made, precision="float32")) != made and full in results
    ]
    order = ("method", "patches_seen", "seed")
    return sorted(pairs, key=lambda pair: [getattr(pair[0].experiment, name) for name in order])


def made_on(provenance):
    """Say what computed something: the backend, and the card or else the processor.

    Examples
    --------
    >>> made_on({"versions": {"jax": "0.11.2"}, "machine": {"processor": "Xeon", "card": "H100"}})
    'JAX on H100'
    """
    machine = provenance["machine"]
    shared = f", {machine['at_once']} at once" if "at_once" in machine else ""
    where = machine.get("card", machine["processor"])
    return f"{BACKENDS[backend_of(provenance['versions'])]} on {where}{shared}"
