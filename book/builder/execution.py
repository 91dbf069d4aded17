"""Executes pages with papermill: only those whose inputs changed, several at once."""

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec

from book.builder.inputs import RESULTS, asked_for_fresh, digest_of_results, input_digests
from book.builder.pages import ROOT, BookError, Page, pages, select, write_notebook
from book.builder.profiles import Profile, read_profile
from sadefect.files import locked
from sadefect.provenance import BUILDING, commit, processor

PLACES = ("SADEFECT_DATA", "SADEFECT_CACHE", "SADEFECT_WEIGHTS")
# For outputs of a cell that has ended. papermill fails after 4, which a picture can take on a busy
# machine.
OUTPUT_SECONDS = 120
MOST_WORKERS = 4  # A kernel with its framework takes about 1 GB of memory.
HEARTBEAT = 10  # Seconds between two lines of progress while no page ends.


@dataclass(frozen=True, eq=False)
class _Job:
    page: Page
    parameters: dict[str, Any]
    inputs: dict[str, str]
    profile: Profile
    folder: Path  # Of the executed notebooks.

    @property
    def executed(self) -> Path:
        return self.folder / self.page.twin.name

    @property
    def partial(self) -> Path:
        return self.folder / f".{self.page.name}.partial.ipynb"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.page.name}.log"

    def changes(self) -> list[str]:
        """Return what changed since the page was last executed; empty if it need not be again."""
        last = _read(self.executed).get("metadata", {}).get("sadefect")
        if not last:
            return ["not executed yet"]
        if last["failed"]:
            return ["failed the last time"]
        # What was computed anew will do where nobody asked for that.
        return [key for key, now in self.inputs.items() if now and last["inputs"].get(key) != now]


def execute(
    profile: str = "quick",
    *,
    only: Sequence[str] = (),
    root: Path = ROOT,
    output: Path | None = None,
    workers: int | None = None,
) -> list[str]:
    """Execute the pages whose inputs changed since they were last executed; return their names.

    The profile is the name of a file in ``notebooks/profiles``; `only` names pages, or how they
    begin; `root` and `output` are the checkout and where to put what is built (default
    ``book/_build``). Pages run one a core and at most 4 at once, or `workers`; their kernels share
    the cores.

    Raises `BookError` if a page fails: no further one is started, those at work are finished, and
    the executed copy with its red cell stays at ``executed/NAME.ipynb``. The next call goes on from
    there.

    With ``SADEFECT_RETRAIN=1`` or ``SADEFECT_REEVALUATE=1`` in the environment, pages run even
    though nothing changed, unless such a run was cut short: then it goes on where it stopped.
    """
    folder = (output or root / "book" / "_build") / "executed"
    settings = read_profile(profile, root)
    with one_build(folder):
        for left in folder.glob(".*.ipynb*"):  # A build that was killed was just writing it.
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        jobs = []
        for page in select(pages(root), only):
            values = settings.values_for(page)
            jobs.append(_Job(page, values, input_digests(page, values, root), settings, folder))
        stale = {job: changes for job in jobs if (changes := job.changes())}
        if not stale and asked_for_fresh():
            stale = {job: ["asked to take nothing recorded"] for job in jobs}
        unchanged = len(jobs) - len(stale)
        print(f"Notebooks in the {profile} profile: {len(jobs)}, unchanged: {unchanged}")
        if stale:
            _run(stale, workers)
        results = digest_of_results()
        for job in stale:  # They know the results of this machine, those that they just added too.
            notebook = nbformat.read(job.executed, as_version=4)
            notebook.metadata["sadefect"]["inputs"][RESULTS] = results
            write_notebook(notebook, job.executed)
    return [job.page.name for job in stale]


def one_build(folder: Path) -> AbstractContextManager[None]:
    """Allow one build at a time in a folder; `BookError` if another process builds there."""

    def busy() -> None:
        raise BookError(f"another process builds in {folder.parent}; wait for its end") from None

    return locked(folder / ".lock", busy)


def _run(stale: dict[_Job, list[str]], workers: int | None) -> None:
    """Execute pages side by side, each in a process of its own, and print how far they are."""
    # Longest first, so that none trails behind the others.
    minutes = {job: job.page.minutes(job.profile.name) for job in stale}
    jobs = sorted(stale, key=minutes.get, reverse=True)
    for job in jobs:
        print(f"  to do: {job.page.name}, about {minutes[job]:g} min ({', '.join(stale[job])})")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    workers = workers or min(cores, len(jobs), MOST_WORKERS)
    # Processes, because papermill changes the working directory of the whole process; spawned,
    # because a fork of a process with threads may hang.
    pool = ProcessPoolExecutor(
        workers, get_context("spawn"), _prepare_worker, (max(1, cores // workers),)
    )
    to_do, at_work = jobs[::-1], {}
    start, done, failures = time.monotonic(), 0, []
    try:
        while at_work or (to_do and not failures):
            # One by one: what the pool has once been given cannot be taken back after a failure.
            while to_do and not failures and len(at_work) < workers:
                job = to_do.pop()
                at_work[pool.submit(_execute_logged, job)] = job
            ended = wait(at_work, timeout=HEARTBEAT, return_when=FIRST_COMPLETED).done
            for job, future in [(at_work.pop(future), future) for future in ended]:
                seconds, failure = future.result()
                done += 1
                verb = "FAILED after" if failure else "executed in"
                print(f"  [{done}/{len(jobs)}] {job.page.name} {verb} {seconds:.0f} s")
                if failure:
                    failures.append(f"{job.page.name}: {failure}")
            if not ended:
                where = "; ".join(filter(None, map(_position, at_work.values()))) or "starting"
                print(f"  [{done}/{len(jobs)}] after {time.monotonic() - start:.0f} s: {where}")
    except BrokenProcessPool:
        raise BookError(
            "a process that executed a page was killed, perhaps for want of memory; "
            "run again with fewer pages at once, as in `make book JOBS=1`"
        ) from None
    finally:  # After Ctrl-C too; the workers got it as well, and shut their kernels down.
        pool.shutdown()
        for job in jobs:
            job.partial.unlink(missing_ok=True)
    if failures:
        raise BookError("\n\n".join(failures))


def _read(path: Path) -> dict[str, Any]:
    """Return a notebook as plain JSON; empty if it is not there, or just being written."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _position(job: _Job) -> str:
    """Say where a page at work is: the cell, and the last line that it printed."""
    cells = _read(job.partial).get("cells", [])
    for number, cell in enumerate(cells, 1):
        if cell["metadata"].get("papermill", {}).get("status") == "running":
            streams = ["".join(output.get("text", "")) for output in cell.get("outputs", [])]
            lines = [line.strip() for line in "\n".join(streams).split("\n") if line.strip()]
            last = f" ({lines[-1]})" if lines else ""
            return f"{job.page.name} at cell {number} of {len(cells)}{last}"
    return ""


def end_after(returns: Callable[[], Any]) -> None:
    """End this process, whatever it is doing, when a call that waits for something returns."""

    def watch() -> None:
        returns()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _prepare_worker(threads: int) -> None:
    """Set up a process that executes pages; what it sets, its kernels inherit."""
    # Where the build is killed, its workers end too; kernels look after that themselves. A worker
    # that went on would write into the folder of the next build, and wait for ever.
    end_after(parent_process().join)
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[name] = str(threads)
    for name in PLACES:  # Relative to where `make book` was called, not to the notebooks.
        if os.environ.get(name):
            os.environ[name] = str(Path(os.environ[name]).expanduser().resolve())
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # Python raises what matters; this is progress.
    # No widgets, as a page has no kernel that could move them; figures come with their numbers.
    os.environ[BUILDING] = "1"


class KernelManager(AsyncKernelManager):
    """Starts kernels of this interpreter, whatever kernels of one name JUPYTER_PATH knows."""

    @property
    def kernel_spec(self) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="Python 3", language="python")


def _execute_logged(job: _Job) -> tuple[float, str]:
    """Execute one page with all that is said on the way in its log.

    What kernels say as they come and go frightens, and means nothing.
    """
    with job.log.open("wb") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    return _execute_page(job)


def _execute_page(job: _Job) -> tuple[float, str]:
    """Execute one page; return the seconds it took, and what went wrong ("" if nothing did)."""
    start = time.monotonic()
    for _ in range(2):
        failure = ""
        try:
            papermill.execute_notebook(
                job.page.notebook(),
                job.partial,
                job.parameters,
                progress_bar=False,
                cwd=job.page.script.parent,
                execution_timeout=job.profile.cell_timeout,
                iopub_timeout=OUTPUT_SECONDS,
                kernel_manager_class=KernelManager,
            )
        except Exception as error:  # Of the page, its kernel or the machinery: all are reported.
            failure = _explain(error, job)
        # Kernels that start at once sometimes take each other's port: that is worth a second try.
        begun = any(cell.get("outputs") for cell in _read(job.partial).get("cells", []))
        if begun or not failure:
            break
    seconds = time.monotonic() - start
    if job.partial.is_file():
        notebook = nbformat.read(job.partial, as_version=4)
        notebook.metadata.pop("widgets", None)  # One of these adds two scripts from elsewhere.
        for key in ("input_path", "output_path"):  # Paths of this machine are not to be published.
            notebook.metadata.papermill[key] = f"notebooks/{job.page.twin.name}"
        notebook.metadata["sadefect"] = {
            "profile": job.profile.name,
            "seconds": round(seconds, 1),
            "gigabytes": _gigabytes(),
            "commit": commit(),
            "machine": {"processor": processor(), "cores": os.cpu_count()},
            "inputs": job.inputs,
            "failed": bool(failure),
        }
        write_notebook(notebook, job.executed)
    if failure:
        failure += f"\n  executed copy: {job.executed}\n  what its kernel said: {job.log}"
    return seconds, failure


def _gigabytes() -> float | None:
    """Return the memory of the largest kernel that this process has run; None where unknown."""
    with suppress(ImportError):
        import resource  # Not on Windows.

        unit = 1 if sys.platform == "darwin" else 1024
        return round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / 1e9, 2)
    return None


def _explain(error: Exception, job: _Job) -> str:
    """Name cell and error of a failed page; colour the cell red where papermill did not."""
    name, text = getattr(error, "ename", type(error).__name__), getattr(error, "evalue", str(error))
    if not job.partial.is_file():
        return f"could not be started: {name}: {text}"
    notebook = nbformat.read(job.partial, as_version=4)
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    told = [cell.metadata.get("papermill", {}) for cell in codes]
    at = next((number for number, state in enumerate(told) if state.get("exception")), None)
    if at is None:  # The kernel died, or was stopped at the time limit: no cell says so yet.
        begun = [number for number, state in enumerate(told) if state.get("start_time")]
        if not begun:
            return f"its kernel did not start: {name}: {text}"
        at = begun[-1]
        if isinstance(error, TimeoutError) and "IOPub" not in text:
            name = "CellTimeout"
            text = f"took longer than {job.profile.cell_timeout} s, the profile's cell_timeout"
        red = {"ename": name, "evalue": text, "traceback": [f"{name}: {text}"]}
        codes[at].outputs.append(nbformat.v4.new_output("error", **red))
        nbformat.write(notebook, job.partial)
    source = codes[at].source.splitlines()
    line = next((line for line in source if line and not line.startswith("#")), "")
    return f"code cell {at + 1} of {len(codes)}, `{line}`\n  {name}: {text}"
