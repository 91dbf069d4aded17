"""Exchanges a store with another one, in a folder or a bucket, by the hashes of files.

There a file lies under its hash, ``objects/SHA256``, and each training or evaluation has a list of
its files, ``index/KIND/KEY.json``, that is written last: what is listed is there, whole. Both ways
go on where they stopped, since what has arrived is not sent again.
"""

import hashlib
import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from sadefect.errors import StoreError
from sadefect.files import explained, store_folder, whole

EXCHANGED = ("evaluations", "trainings", "false_alarms", "remainder")
STATE = "state.npz"  # The one file of a trajectory that changes.


def _file_system(url):
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise StoreError(
            "expected fsspec, to exchange stores; it is not installed: pip install "
            '"sadefect[workflow]"'
        ) from error
    try:
        file_system, root = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise StoreError(f"cannot open {url}: {error}") from error
    return file_system, root.rstrip("/")


@contextmanager
def _reached(url):
    """Say in a `StoreError` that the other side failed."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:  # Each protocol has its own.
        raise StoreError(
            f"could not exchange with {url}: {type(error).__name__}: {error}; nothing was lost, "
            "run again to go on"
        ) from error


def _digest(path):
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _files(folder):
    """Return the files of a folder by name, without locks and what is being written."""
    if folder.is_file():
        return {"": folder}
    names = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        path.relative_to(folder).as_posix(): path
        for path in names
        if path.suffix != ".lock"
        and path.name != "lock"
        and not any(part.startswith((".", "to-")) for part in path.relative_to(folder).parts)
    }


def _seen(path):
    with np.load(path, allow_pickle=False) as arrays:
        return int(arrays["patches_seen"])


def _describe(path):
    described = {"sha256": _digest(path), "size": path.stat().st_size}
    return described | ({"patches_seen": _seen(path)} if path.name == STATE else {})


def _index(file_system, root, kind, key):
    path = f"{root}/index/{kind}/{key}.json"
    return json.loads(file_system.cat_file(path)) if file_system.exists(path) else {}


def _merged(own, theirs):
    """Return the list of files of both; of two states the one that has seen more."""
    both = theirs | own
    if STATE in own and STATE in theirs:
        both[STATE] = max(theirs[STATE], own[STATE], key=lambda entry: entry["patches_seen"])
    return both


def push(url):
    """Send what a store has and the other side has not.

    The ``url`` is that of a folder or a bucket, as fsspec takes it: ``file:///backup``,
    ``s3://bucket/sadefect``. Returns a dict: ``files`` and ``bytes`` that were sent, ``there`` that
    were there already. Raises `StoreError` if the other side cannot be reached.
    """
    file_system, root = _file_system(url)
    counts = {"files": 0, "bytes": 0, "there": 0}
    with _reached(url):
        file_system.invalidate_cache()
        present = {Path(name).name for name in file_system.find(f"{root}/objects")}
        for kind in EXCHANGED:
            for folder in sorted((store_folder() / kind).glob("[!.]*")):
                if folder.suffix == ".lock" or not (files := _files(folder)):
                    continue
                own = {}
                for name, path in files.items():
                    # A training may go on meanwhile: what is hashed is what is sent.
                    with _snapshot(path) as frozen:
                        own[name] = entry = _describe(frozen)
                        if entry["sha256"] in present:
                            counts["there"] += 1
                            continue
                        _send(file_system, frozen, f"{root}/objects/{entry['sha256']}")
                    present.add(entry["sha256"])
                    counts["files"] += 1
                    counts["bytes"] += entry["size"]
                theirs = _index(file_system, root, kind, folder.name)
                if (both := _merged(own, theirs)) != theirs:
                    text = json.dumps(both, indent=1, sort_keys=True).encode("utf-8")
                    file_system.makedirs(f"{root}/index/{kind}", exist_ok=True)
                    file_system.pipe_file(f"{root}/index/{kind}/{folder.name}.json", text)
    return counts


@contextmanager
def _snapshot(path):
    """Yield a second name of a file, under which it stays as it is when the first is replaced."""
    with tempfile.TemporaryDirectory(prefix=".push.", dir=store_folder()) as folder:
        frozen = Path(folder) / path.name
        try:
            os.link(path, frozen)
        except OSError:
            shutil.copy(path, frozen)
        yield frozen


def _send(file_system, path, target):
    """Send a file; one that was cut off is nowhere listed under the name of its hash."""
    parent = target.rpartition("/")[0]
    file_system.makedirs(parent, exist_ok=True)
    if "file" in file_system.protocol or "local" in file_system.protocol:
        file_system.put_file(str(path), f"{target}.part")
        file_system.mv(f"{target}.part", target)
    else:  # An object of a bucket appears whole or not at all.
        file_system.put_file(str(path), target)


def pull(url):
    """Fetch what the other side has and the store has not; parameters and result as in `push`.

    Of two states of one training the one that has seen more patches stays. A training that another
    process is at work on is left alone, and counted as ``busy``. Raises `StoreError` too if a file
    is not what its hash says.
    """
    file_system, root = _file_system(url)
    counts = {"files": 0, "bytes": 0, "there": 0, "busy": 0}
    with _reached(url):
        file_system.invalidate_cache()
        for kind in EXCHANGED:
            place = f"{root}/index/{kind}"
            listed = file_system.find(place) if file_system.exists(place) else []
            for path in listed:
                key = Path(path).name.removesuffix(".json")
                folder = store_folder() / kind / key
                entries = json.loads(file_system.cat_file(path))
                if "" in entries:  # A file, not a folder.
                    _fetch_all(file_system, root, {"": entries[""]}, folder, counts)
                elif kind == "evaluations":
                    _fetch_whole(file_system, root, entries, folder, counts)
                else:
                    _fetch_training(file_system, root, entries, folder, counts)
    return counts


def _fetch_whole(file_system, root, entries, folder, counts):
    """Fetch a folder that appears whole or not at all."""
    if folder.exists():
        counts["there"] += len(entries)
        return
    with whole(folder) as temporary:
        _fetch_all(file_system, root, entries, temporary, counts)


def _fetch_training(file_system, root, entries, folder, counts):
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            state = folder / STATE
            theirs = entries.get(STATE)
            if theirs and state.exists() and _seen(state) >= theirs["patches_seen"]:
                entries = {name: entry for name, entry in entries.items() if name != STATE}
                counts["there"] += 1
            # The state last: weights of all milestones before it are there then.
            ordered = dict(sorted(entries.items(), key=lambda item: item[0] == STATE))
            _fetch_all(file_system, root, ordered, folder, counts)
    except Timeout:
        counts["busy"] += 1


def _fetch_all(file_system, root, entries, folder, counts):
    """Fetch files that are not there as they should be, each whole and of the right hash."""
    for name, entry in entries.items():
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise StoreError(f"expected a name within the store; got {name}")
        target = folder / name if name else folder
        same_size = target.exists() and target.stat().st_size == entry["size"]
        if same_size and _digest(target) == entry["sha256"]:
            counts["there"] += 1
            continue
        with whole(target) as temporary:
            file_system.get_file(f"{root}/objects/{entry['sha256']}", str(temporary))
            if _digest(temporary) != entry["sha256"]:
                raise StoreError(
                    f"expected a file of hash {entry['sha256']} at {root}/objects; got another, it "
                    "is damaged: remove it there, and push again from where it is whole"
                )
        counts["files"] += 1
        counts["bytes"] += entry["size"]
