"""Hands jobs to Snakemake where it is installed, and else works through them one after another."""

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sadefect.errors import StoreError, require_choice
from sadefect.files import save_json, store_folder
from sadefect.methods import settings_digest
from sadefect.paper.jobs import as_plan, batched
from sadefect.training.trial import thread_variables

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"
WORKFLOW_PROFILES = ("local", "gpu", "slurm", "kubernetes")
VERBS = {"train": "train-one", "score": "run-one"}


@dataclass(frozen=True)
class How:
    """Say how jobs are worked through."""

    profile: str = "local"  # A folder of ``workflow/profiles``.
    threads: int = 1  # Of each training and scoring.
    backend: str | None = None  # Of Keras; by default the one that is set.
    # In seconds of the epoch: trainings save their states and end then.
    deadline: float = float("inf")
    book_profile: str = "quick"  # With which parameters pages are executed.
    options: tuple[str, ...] = ()  # More options of Snakemake.

    def __post_init__(self):
        require_choice("profile", self.profile, WORKFLOW_PROFILES)


def has_engine():
    """Return whether Snakemake and the workflow, which no wheel has, are here."""
    return importlib.util.find_spec("snakemake") is not None and WORKFLOW.is_dir()


def work(jobs, how=None):
    """Do jobs, in Snakemake's order or one after another; stopping is safe at any moment.

    Raises `StoreError` if a job fails, or the engine stops, before the deadline.
    """
    how = how or How()
    if not jobs or time.time() >= how.deadline:
        return
    if has_engine():
        _with_snakemake(jobs, how)
    elif how.profile in ("local", "gpu"):
        _one_by_one(jobs, how)
    else:
        raise StoreError(
            f"expected Snakemake, to work with the profile {how.profile}; it is not installed, or "
            'this is no checkout: pip install "sadefect[workflow]"'
        )


def _environment(how):
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    return environment | ({"KERAS_BACKEND": how.backend} if how.backend else {})


def _one_by_one(jobs, how):
    """Give each job to a process of its own; where one fails, no other is begun."""
    threads = thread_variables(how.threads)
    for job in jobs:
        if time.time() >= how.deadline:
            return
        if job.rule == "page":
            continue  # The book executes them all.
        command = [sys.executable, "-m", "sadefect"]
        if job.rule == "book":
            command += ["reproduce", "--profile", how.book_profile]
        else:
            command += [VERBS[job.rule], job.argument]
            command += ["--deadline", str(how.deadline)] if job.rule == "train" else []
        code = subprocess.run(command, env=_environment(how) | threads, check=False).returncode
        if code and time.time() < how.deadline:
            raise StoreError(f"{job.stamp} stopped with the error above; nothing is lost")


def write_plan(jobs):
    """Write the plan of jobs into the store, under a name that follows from it.

    A plan is never written over: jobs on other machines read it. Returns its path; the folder
    that it is in is Snakemake's, and gets the stamps.
    """
    plan = as_plan(batched(jobs))
    digest = settings_digest(sorted(job.stamp for job in jobs))
    path = (store_folder() / "workflow" / digest / "plan.json").resolve()
    if not path.exists():
        save_json(path, plan)
    return path


def snakemake_command(plan, how):
    """Return the command that works through a plan, as a list."""
    settings = {
        "plan": plan,
        "threads": how.threads,
        "deadline": how.deadline,
        "profile": how.book_profile,
        "gpu": int(how.profile == "gpu"),
        "python": sys.executable,
    }
    card = how.profile == "gpu"
    return [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(WORKFLOW / "Snakefile")),
        *("--profile", str(WORKFLOW / "profiles" / how.profile)),
        *("--directory", str(plan.parent)),
        *(["--resources", "builders=1", *([f"gpu_mb={card_megabytes()}"] if card else [])]),
        *("--config", *(f"{name}={value}" for name, value in settings.items())),
        *how.options,
    ]


def card_megabytes():
    """Return the free memory of the first card in MB; without one that of the machine."""
    query = ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    with suppress(OSError, subprocess.SubprocessError, ValueError, IndexError):
        listed = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30)
        return int(int(listed.stdout.split()[0]) * 0.95)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20


def _with_snakemake(jobs, how):
    plan = write_plan(jobs)
    locks = plan.parent / ".snakemake" / "locks"
    command = snakemake_command(plan, how)
    if locks.is_dir() and any(locks.iterdir()):
        unlock = shlex.join([*command, "--unlock"])
        raise StoreError(
            f"another workflow does these jobs, or one was killed: {locks} is not empty. If none "
            f"runs any more, unlock it, and run again; nothing is lost:\n{unlock}"
        )
    # These jobs are not in the store, whatever a stamp says.
    for job in batched(jobs):
        (plan.parent / f"{job.stamp}.done").unlink(missing_ok=True)
    code = subprocess.run(command, env=_environment(how), check=False).returncode
    if code == 0 and "--dry-run" not in how.options:
        shutil.rmtree(plan.parent, ignore_errors=True)
    elif code and time.time() < how.deadline:
        raise StoreError(
            f"the workflow stopped with the error above; nothing is lost, run again to go on; "
            f"what its jobs said is in {plan.parent / '.snakemake'}"
        )
