"""What planning costs: jobs, seconds and memory until a dry run ends.

Needs Snakemake, in this environment or in the one that ``make workflow-plan`` makes.
"""

import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ._measure import installed, report

EXPERIMENTS = (1, 100, 10_000)
KINDS = {"short": 64, "long": 200_000}  # Patches: minutes of training, or hours.
WORKFLOW = Path(sys.prefix) / "workflow" / "bin" / "python"


def measure(number, patches):
    """Print jobs, seconds of the clock and of processors, peak megabytes and bytes of the plan."""
    from sadefect.paper.engine import How, work, write_plan
    from sadefect.paper.experiment import Experiment
    from sadefect.paper.jobs import Costs, batched, scoring_jobs, training_jobs

    start = time.perf_counter()
    first = Experiment(dataset="synthetic/fibres", patches_seen=patches)
    points, costs = [replace(first, seed=seed) for seed in range(number)], Costs()
    jobs = training_jobs(points, costs)
    jobs += scoring_jobs(points, jobs, costs)
    planned = time.perf_counter() - start
    work(jobs, How(options=("--dry-run", "--quiet", "all")))
    clock = time.perf_counter() - start
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    busy = sum(use.ru_utime + use.ru_stime for use in used)
    megabytes = max(use.ru_maxrss for use in used) / 1024
    size = write_plan(jobs).stat().st_size
    print(len(jobs), len(batched(jobs)), planned, clock, busy, megabytes, size)


def child(python, *arguments):
    command = [str(python), "-m", "benchmarks.scheduling", *map(str, arguments)]
    with TemporaryDirectory() as store:
        environment = os.environ | {"SADEFECT_CACHE": store, "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
    return [float(word) for word in done.stdout.splitlines()[-1].split()]


if len(sys.argv) > 1:
    measure(*map(int, sys.argv[1:]))
elif WORKFLOW.exists() or installed("snakemake"):
    python = WORKFLOW if WORKFLOW.exists() else sys.executable
    rows = []
    for kind, patches in KINDS.items():
        for number in EXPERIMENTS:
            jobs, batches, *others = child(python, number, patches)
            rows.append((kind, number, int(jobs), int(batches), *others[:-1], int(others[-1])))
    report(
        "scheduling",
        (
            "trainings", "experiments", "jobs", "after batching", "seconds to plan",
            "seconds in all", "CPU seconds", "MB", "bytes of the plan",
        ),
        rows,
        "From experiments to the end of Snakemake's dry run. Short trainings and scorings are put "
        "together, long ones are jobs of their own. MB: the peak of the larger process.",
    )  # fmt: skip
