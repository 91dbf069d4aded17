"""Executes pages with papermill: only those whose inputs changed, several at once."""

import hashlib
import json
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import filelock
import nbformat

from book.builder.pages import ROOT, BookError, Page, notebook_text, pages, read_profile, select
from sadefect.datasets.base import data_root
from sadefect.files import whole
from sadefect.paper.store import store
from sadefect.provenance import BUILDING, commit, processor

PACKAGE = Path(__file__).resolve().parents[2] / "sadefect"
# Changing these executes no page again: the shell, which no page reads.
SHELL = ("cli", "__main__.py")
FRESH = ("SADEFECT_RETRAIN", "SADEFECT_REEVALUATE")  # Ask pages to take nothing recorded.
PLACES = ("SADEFECT_DATA", "SADEFECT_CACHE", "SADEFECT_WEIGHTS")
# For outputs of a cell that has ended. papermill fails after 4, which a picture can take on a busy
# machine.
OUTPUT_SECONDS = 120
MOST_WORKERS = 4  # A kernel with its framework takes about 1 GB of memory.
LOCAL = "results of this machine"
HEARTBEAT = 10  # Seconds between two lines of progress while no page ends.


def local_results() -> str:
    """Digest of the names of all results in the user's store."""
    found = (store() / "evaluations").glob("*/result.json")
    return digest(sorted(path.parent.name for path in found))


def inputs(page: Page, parameters: dict[str, Any], root: Path = ROOT) -> dict[str, str]:
    """Digests of all that a page's outputs depend on; while none changes, it is not executed again.

    Prose, contents and configuration of the book are not among them. Of the store of results only
    the names count, because pages take the largest budget that they find there.

    Returns
    -------
    dict
        What it is (script, parameters, package, recorded results, data, libraries, ...) to a
        digest of 16 hexadecimal digits.
    """
    recorded = root / "recorded"
    return {
        "script": digest(notebook_text(page.notebook())),
        "parameters": digest(parameters),
        "package": digest_of_files(PACKAGE, _read_by_pages()),
        "recorded results": digest_of_files(recorded, _files(recorded)),
        LOCAL: local_results(),
        "backend": digest(os.environ.get("KERAS_BACKEND")),
        "data": digest([_listing(data_root()), _listing(os.environ.get("SADEFECT_WEIGHTS"))]),
        "libraries": libraries(),
        "asked to take nothing recorded": ",".join(filter(_asked, FRESH)),
    }


def _read_by_pages() -> Iterator[Path]:
    files = _files(PACKAGE)
    return (path for path in files if path.relative_to(PACKAGE).parts[0] not in SHELL)


def digest(value: Any) -> str:
    """Of text, or of anything that JSON can say."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest_of_files(folder: Path, files: Iterable[Path]) -> str:
    """Of names below `folder` and contents."""
    return digest(
        [
            (path.relative_to(folder).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest())
            for path in sorted(files)
        ]
    )


def libraries() -> str:
    """Digest of the installed versions of Python and of all that the project itself depends on."""
    requirements = metadata.requires("sadefect") or []
    versions = {"python": sys.version}
    for name in {re.match(r"[\w.-]+", requirement).group() for requirement in requirements}:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # For another platform, or an extra that is not installed.
    return digest(versions)


def _asked(name: str) -> bool:
    return os.environ.get(name, "0") not in ("", "0")


def _files(folder: Path) -> Iterator[Path]:
    paths = folder.rglob("*")
    return (path for path in paths if path.is_file() and "__pycache__" not in path.parts)


def _listing(folder: str | Path | None) -> list[Any] | None:
    """What lies two levels deep, with times: a data set that comes, goes or grows is noticed.

    Whole data sets are not read through at each build; loaders verify those that they know.
    """
    if not folder or not Path(folder).is_dir():
        return None
    found = [*Path(folder).glob("*"), *Path(folder).glob("*/*")]
    return sorted((str(path.relative_to(folder)), path.stat().st_mtime_ns) for path in found)


@dataclass(frozen=True, eq=False)
class _Job:
    page: Page
    parameters: dict[str, Any]
    inputs: dict[str, str]
    profile: str
    cell_timeout: int
    folder: Path  # Of the executed notebooks.
    threads: int = 1

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
        """What changed since the page was last executed; empty if it need not be again."""
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
    only: Iterable[str] = (),
    root: Path = ROOT,
    output: Path | None = None,
    workers: int | None = None,
    say: Callable[[str], None] = print,
) -> list[str]:
    """Execute the pages whose inputs changed since they were last executed.

    Parameters
    ----------
    profile : {"smoke", "quick", "paper"}
        Which parameters; or the name of another file in ``notebooks/profiles``.
    only : iterable of str
        Names of pages, or how they begin; all pages if empty.
    root, output : Path
        The checkout, and where to put what is built (default ``book/_build``).
    workers : int, optional
        Pages at once; default one a core, at most 4. Their kernels share the cores.
    say : callable
        Receives lines of progress.

    Returns
    -------
    list of str
        Names of the pages that were executed.

    Raises
    ------
    BookError
        If a page fails: no further one is started, those at work are finished, and the executed
        copy with its red cell stays at ``executed/NAME.ipynb``. The next call goes on from there.

    Notes
    -----
    With ``SADEFECT_RETRAIN=1`` or ``SADEFECT_REEVALUATE=1`` in the environment, pages run even
    though nothing changed, unless such a run was cut short: then it goes on where it stopped.
    """
    folder = (output or root / "book" / "_build") / "executed"
    settings, chosen = read_profile(profile, root), select(pages(root), only)
    with alone(folder):
        _clear(folder)
        jobs = []
        for page in chosen:
            values = settings.of(page)
            limit = settings.cell_timeout
            jobs.append(_Job(page, values, inputs(page, values, root), profile, limit, folder))
        stale = {job: changes for job in jobs if (changes := job.changes())}
        if not stale and any(map(_asked, FRESH)):
            stale = {job: ["asked to take nothing recorded"] for job in jobs}
        say(f"Notebooks in the {profile} profile: {len(jobs)}, unchanged: {len(jobs) - len(stale)}")
        if stale:
            _run(stale, workers, say)
            _stamp(stale)
    return [job.page.name for job in stale]


def _stamp(jobs: Iterable[_Job]) -> None:
    """Say that pages know the results of this machine, those included that they just added."""
    known = local_results()
    for job in jobs:
        notebook = nbformat.read(job.executed, as_version=4)
        if notebook.metadata["sadefect"]["inputs"][LOCAL] != known:
            notebook.metadata["sadefect"]["inputs"][LOCAL] = known
            with whole(job.executed) as temporary:
                temporary.write_text(notebook_text(notebook), encoding="utf-8")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One build at a time in a folder.

    Raises
    ------
    BookError
        If another process builds there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(folder / ".lock", timeout=0):
            yield
    except filelock.Timeout:
        raise BookError(f"another process builds in {folder.parent}; wait for its end") from None


def _clear(folder: Path) -> None:
    """Remove what a build that was killed was just writing."""
    for left in folder.glob(".*.ipynb*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def _run(stale: dict[_Job, list[str]], workers: int | None, say: Callable[[str], None]) -> None:
    # Longest first, so that none trails behind the others.
    jobs = sorted(stale, key=lambda job: -job.page.minutes(job.profile))
    for job in jobs:
        minutes = job.page.minutes(job.profile)
        say(f"  to do: {job.page.name}, about {minutes:g} min ({', '.join(stale[job])})")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    workers = workers or min(cores, len(jobs), MOST_WORKERS)
    threads = max(1, cores // workers)
    # Processes, because papermill changes the working directory of the whole process; spawned,
    # because a fork of a process with threads may hang.
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_end_with_parent
    )
    to_do, at_work = [replace(job, threads=threads) for job in reversed(jobs)], {}
    start, done, failures = time.monotonic(), 0, []
    try:
        while at_work or (to_do and not failures):
            # One by one: what the pool has once been given cannot be taken back after a failure.
            while to_do and not failures and len(at_work) < workers:
                job = to_do.pop()
                at_work[pool.submit(_work, job)] = job
            ended = wait(at_work, timeout=HEARTBEAT, return_when=FIRST_COMPLETED).done
            for job, future in [(at_work.pop(future), future) for future in ended]:
                seconds, failure = future.result()
                done += 1
                verb = "FAILED after" if failure else "executed in"
                say(f"  [{done}/{len(jobs)}] {job.page.name} {verb} {seconds:.0f} s")
                if failure:
                    failures.append(f"{job.page.name}: {failure}")
            if not ended:
                where = "; ".join(filter(None, map(_position, at_work.values()))) or "starting"
                say(f"  [{done}/{len(jobs)}] after {time.monotonic() - start:.0f} s: {where}")
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
    """A notebook as plain JSON; empty if it is not there, or just being written."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _position(job: _Job) -> str:
    """Where a page at work is: the cell, and the last line that it printed."""
    cells = _read(job.partial).get("cells", [])
    states = [cell["metadata"].get("papermill", {}).get("status") for cell in cells]
    if "running" not in states:
        return ""
    at = states.index("running")
    streams = ["".join(output.get("text", "")) for output in cells[at].get("outputs", [])]
    lines = "\n".join(streams).split("\n")
    last = next((f" ({line.strip()})" for line in reversed(lines) if line.strip()), "")
    return f"{job.page.name} at cell {at + 1} of {len(cells)}{last}"


def end_after(returns: Callable[[], Any]) -> None:
    """End this process, whatever it is doing, when a call that waits for something returns."""

    def watch() -> None:
        returns()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _end_with_parent() -> None:
    """End a worker when the build is killed; kernels look after that themselves.

    Without it a worker would go on, write into the folder of the next build, and wait for ever.
    """
    end_after(parent_process().join)


def _work(job: _Job) -> tuple[float, str]:
    """Execute one page in a process of its own."""
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[name] = str(job.threads)
    for name in PLACES:  # Relative to where `make book` was called, not to the notebooks.
        if os.environ.get(name):
            os.environ[name] = str(Path(os.environ[name]).expanduser().resolve())
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # Python raises what matters; this is progress.
    # No widgets, as a page has no kernel that could move them; figures come with their numbers.
    os.environ[BUILDING] = "1"
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # Not a kernel of the same name in the user's home.
    log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):  # What kernels say as they come and go frightens, and means nothing.
        os.dup2(log, stream)
    os.close(log)
    return _execute_page(job)


def _execute_page(job: _Job) -> tuple[float, str]:
    """Seconds, and what went wrong ("" if nothing did)."""
    import papermill  # A second that a build with nothing to execute can do without.

    start, failure = time.monotonic(), ""
    for _ in range(2):
        try:
            papermill.execute_notebook(
                job.page.notebook(),
                job.partial,
                job.parameters,
                progress_bar=False,
                cwd=job.page.script.parent,
                execution_timeout=job.cell_timeout,
                iopub_timeout=OUTPUT_SECONDS,
            )
            failure = ""
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
            "profile": job.profile,
            "seconds": round(seconds, 1),
            "commit": commit(),
            "machine": {"processor": processor(), "cores": os.cpu_count()},
            "inputs": job.inputs,
            "failed": bool(failure),
        }
        with whole(job.executed) as temporary:
            temporary.write_text(notebook_text(notebook), encoding="utf-8")
    if failure:
        failure += f"\n  executed copy: {job.executed}\n  what its kernel said: {job.log}"
    return seconds, failure


def _explain(error: Exception, job: _Job) -> str:
    """Cell and error of a failed page; colours the cell red where papermill did not."""
    name, text = getattr(error, "ename", type(error).__name__), getattr(error, "evalue", str(error))
    if not job.partial.is_file():
        return f"could not be started: {name}: {text}"
    notebook = nbformat.read(job.partial, as_version=4)
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    red = [cell for cell in codes if cell.metadata.get("papermill", {}).get("exception")]
    if not red:  # The kernel died, or was stopped at the time limit: the copy does not say so yet.
        red = [cell for cell in codes if cell.metadata.get("papermill", {}).get("start_time")][-1:]
        if not red:
            return f"its kernel did not start: {name}: {text}"
        if isinstance(error, TimeoutError) and "IOPub" not in text:
            name = "CellTimeout"
            text = f"took longer than {job.cell_timeout} s, the profile's cell_timeout"
        red[0].outputs.append(
            nbformat.v4.new_output("error", ename=name, evalue=text, traceback=[f"{name}: {text}"])
        )
        nbformat.write(notebook, job.partial)
    cell = red[0]
    lines = [line for line in cell.source.splitlines() if line and not line.startswith("#")]
    number = f"code cell {codes.index(cell) + 1} of {len(codes)}"
    return f"{number}, `{next(iter(lines), '')}`\n  {name}: {text}"
