"""What all benchmarks share: calls that take turns, the machine's peak, tables that are kept."""

import json
import os
import platform
import subprocess
import sys
import time
from contextlib import suppress
from importlib import metadata

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
RECORD = "SADEFECT_RECORD_BENCHMARKS"  # Set by ``python -m benchmarks --record``.
# What is compared with, besides what `sadefect.provenance.versions` names.
PEERS = (
    "anomalib", "jax", "onnxruntime", "piq", "pytorch-msssim", "scikit-learn", "tf2onnx", "torch",
    "torchmetrics",
)  # fmt: skip


def seconds(call):
    """How long one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def taking_turns(calls, rounds=10, warm_up=2):
    """Seconds of each call, round by round, so that whatever else the machine does hits all alike.

    Parameters
    ----------
    calls : dict
        Name to a function without arguments.
    rounds, warm_up : int
        Rounds that count, and rounds before them that do not.

    Returns
    -------
    dict
        Name to an array ``(rounds,)``.
    """
    times = {name: [] for name in calls}
    for _ in range(warm_up + rounds):
        for name, call in calls.items():
            times[name].append(seconds(call))
    return {name: np.array(found[warm_up:]) for name, found in times.items()}


class Worker:
    """One of `_steps` in a process of its own, for libraries that do not bear each other.

    Called, it takes the step as often as said, and waits for it.
    """

    def __init__(self, name, *arguments, repeats=1, threads=None, backend="tensorflow"):
        environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        for variable in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
            environment[variable] = str(threads or os.cpu_count())
        call = json.dumps([name, repeats, *arguments])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks._worker", call],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.ready = False

    def wait(self):
        """Until it can begin; workers that were made before get ready meanwhile."""
        if not self.ready:
            self.until("ready")
            self.ready = True

    def until(self, word):
        for line in self.process.stdout:  # Some libraries talk.
            if line.strip() == word:
                return
        sys.exit(f"{' '.join(self.process.args)} stopped with {self.process.wait()}")

    def begin(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def __call__(self):
        self.begin()
        self.until("done")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def workers_taking_turns(workers, rounds=10):
    """As `taking_turns`, of workers; they are closed afterwards."""
    for worker in workers.values():
        worker.wait()
    times = taking_turns(workers, rounds, warm_up=1)
    for worker in workers.values():
        worker.close()
    return times


def ratio(times, name, other):
    """How many times longer ``name`` takes than ``other``: the median over rounds."""
    return float(np.median(times[name] / times[other]))


def peak(size=2048, rounds=5):
    """GFLOP/s of float32 matrix products, which no layer of a network gets beyond."""
    a = np.random.default_rng(0).random((size, size), dtype="float32")
    a @ a
    return 2 * size**3 / min(seconds(lambda: a @ a) for _ in range(rounds)) / 1e9


def gflop(model):
    """Of one patch forward: two for each weight and each place where a kernel is laid."""
    import keras

    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            total += gflop(layer)
        elif hasattr(layer, "kernel"):
            transposed = isinstance(layer, keras.layers.Conv2DTranspose)
            places = (layer.input if transposed else layer.output).shape[1:3]
            total += 2 * np.prod(layer.kernel.shape) * np.prod(places) / 1e9
    return float(total)


def report(name, columns, rows, note=""):
    """Print a table; keep it for the book's page on performance where that was asked for.

    Parameters
    ----------
    name : str
        Of the benchmark; a dash and a word more for its second table.
    columns : sequence of str
    rows : sequence of sequences
        Text and numbers, as many as there are columns.
    note : str
        What a reader has to know.
    """
    shown = [[f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in r] for r in rows]
    widths = [max(map(len, column)) for column in zip(columns, *shown, strict=True)]
    for line in (columns, *shown):
        first, *others = zip(line, widths, strict=True)
        print(f"{first[0]:{first[1]}}", *(f"{text:>{width}}" for text, width in others), sep="  ")
    if note:
        print(note)
    print(flush=True)
    if not os.environ.get(RECORD):
        return
    from sadefect.files import save_json
    from sadefect.paper.store import recorded_folder
    from sadefect.provenance import commit, processor, versions

    folder = recorded_folder() / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    save_json(
        folder / f"{name}.json",
        {
            "columns": list(columns),
            "rows": json.loads(json.dumps(rows)),
            "note": note,
            "provenance": {
                "command": f"python -m benchmarks {name.partition('-')[0]}",
                "commit": commit(),
                "versions": versions() | _peers(),
                "machine": {"processor": processor(), "cores": os.cpu_count()},
                "system": platform.platform(terse=True),
                "date": time.strftime("%Y-%m-%d"),
            },
        },
    )


def _peers():
    found = {}
    for name in PEERS:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def missing_peers():
    """Those of `PEERS` that are not installed, without which a record would lose rows."""
    return sorted(set(PEERS) - set(_peers()))


def installed(*names):
    """Whether all of these can be imported; says so if not."""
    from importlib.util import find_spec

    missing = [name for name in names if find_spec(name) is None]
    if missing:
        print(f"left out, not installed: {', '.join(missing)}", file=sys.stderr)
    return not missing
