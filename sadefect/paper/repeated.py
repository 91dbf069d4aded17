"""Experiments that were computed once more elsewhere: another backend, another machine.

Two such runs take the same patches in the same order from the same initial weights, and still part,
since sums are rounded in another order. How far is a question for the same yardstick as any other:
how far seeds are apart.
"""

from typing import NamedTuple

from sadefect.files import load_json
from sadefect.paper.seeds import with_other_seeds
from sadefect.paper.store import Result, recorded_folder


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


def repeated(dataset, results):
    """List the experiments on a data set that were computed twice, by method and patches seen.

    ``results`` are those to look among.
    """
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

    def place(row):
        made = row.result.experiment
        return made.method, made.schedule, made.patches_seen, made.average

    return sorted(found, key=place)


def made_on(provenance):
    """Say what computed something: the backend, and the card or else the processor.

    Examples
    --------
    >>> made_on({"versions": {"jax": "0.11.2"}, "machine": {"processor": "Xeon", "card": "H100"}})
    'JAX on H100'
    """
    names = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
    known = [label for name, label in names.items() if _has(provenance["versions"], name)]
    machine = provenance["machine"]
    return f"{known[0] if known else 'Keras'} on {machine.get('card', machine['processor'])}"


def _has(versions, name):
    return any(package.split("-")[0] == name for package in versions)
