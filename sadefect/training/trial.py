"""Finds what trains fastest on this machine: which backend, one thread each or all in one."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import fields

from sadefect.methods import Recipe
from sadefect.provenance import BACKENDS

SEVERAL = 64  # Steps of a call, where a backend takes many in one.
WARM_UP = 3  # Steps before the clock starts: functions are traced, buffers allocated.


def installed_backends():
    """Return the backends of Keras that can be imported here, without importing them."""
    return [name for name in BACKENDS if name and importlib.util.find_spec(name)]


def cores():
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def thread_variables(threads):
    """Return the environment of a process whose framework is to use so many threads, quietly."""
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    quiet = {"TF_NUM_INTEROP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return dict.fromkeys(names, str(threads)) | quiet


def trial(recipe, seconds=3.0, backends=None):
    """Measure how fast a recipe trains, on noise, in each way that this machine can be used.

    Each measurement takes so many seconds, without the start of a framework; the backends are
    `KERAS_BACKEND` where it is set, else all that are installed. Returns dicts, the fastest first:
    ``backend``, ``workers``, ``threads``, and ``patches_per_second`` of all workers together.
    """
    asked = os.environ.get("KERAS_BACKEND")
    backends = backends or ([asked] if asked else installed_backends())
    ways = dict.fromkeys([(cores(), 1), (1, cores())])
    rows = [
        {
            "backend": backend,
            "workers": workers,
            "threads": threads,
            "patches_per_second": round(_together(recipe, backend, workers, threads, seconds), 1),
        }
        for backend in backends
        for workers, threads in ways
    ]
    return sorted(rows, key=lambda row: -row["patches_per_second"])


def _together(recipe, backend, workers, threads, seconds):
    """Return the patches per second of processes at work at once; 0 where one fails."""
    environment = thread_variables(threads) | {"KERAS_BACKEND": backend}
    settings = {field.name: getattr(recipe, field.name) for field in fields(Recipe)}
    command = [sys.executable, "-m", "sadefect.training.trial", json.dumps(settings), str(seconds)]
    processes = [
        subprocess.Popen(
            command,
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for _ in range(workers)
    ]
    total = 0.0
    try:
        for process in processes:
            process.stdout.readline()  # It is warm.
        for process in processes:
            with suppress(BrokenPipeError):
                process.stdin.write("\n")
                process.stdin.flush()
        for process in processes:
            total += float(process.stdout.readline() or "nan")
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    return total if total == total else 0.0


def _measure(recipe, seconds):
    """Train for some seconds on noise; return patches per second. Both ends wait for each other."""
    import numpy as np

    from sadefect.models import precision
    from sadefect.patches import RandomPatches
    from sadefect.training.loop import prepare

    schedule = recipe.optimisation
    with precision(recipe.precision):
        model = recipe.build_model()
    noise = np.random.default_rng(0).random((2, 2 * recipe.patch_size, 2 * recipe.patch_size))
    patches = RandomPatches(list(noise.astype("float32")), recipe.patch_size)
    _, steps = prepare(model, recipe.build_loss(), patches, schedule)
    rates = [schedule.learning_rate] * min(steps.LONGEST, SEVERAL)
    for _ in range(WARM_UP):
        steps(0, rates)
    print(flush=True)
    sys.stdin.readline()
    start, taken = time.monotonic(), 0
    while (spent := time.monotonic() - start) < seconds or not taken:
        steps(0, rates)
        taken += len(rates)
    return taken * schedule.batch_size / spent


if __name__ == "__main__":
    print(_measure(Recipe(**json.loads(sys.argv[1])), float(sys.argv[2])), flush=True)
