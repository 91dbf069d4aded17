"""Files that appear whole or not at all."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from sadefect.errors import StoreError

REASONS = {
    errno.ENOSPC: "the disk is full; free some room",
    errno.EDQUOT: "your share of the disk is used up; free some room",
    errno.EFBIG: "files may not grow that large here; raise the limit",
    errno.EACCES: "the folder cannot be written to; change its permissions",
    errno.EPERM: "the folder cannot be changed; change its attributes",
    errno.EROFS: "the file system is read-only",
    errno.ENOENT: "no folder can be made there; correct the path",
    errno.ENOTDIR: "a file stands where a folder should be; remove it",
    errno.EISDIR: "a folder stands where a file should be; name a file",
    errno.EEXIST: "a file stands where a folder should be; remove it",
}


def store_folder():
    """Return where results and checkpoints are: ``SADEFECT_CACHE``, or the user's cache."""
    import platformdirs

    return Path(os.environ.get("SADEFECT_CACHE") or platformdirs.user_cache_dir("sadefect"))


@contextmanager
def explained(path):
    """Say in a `StoreError` what to do where something cannot be written."""
    try:
        yield
    except OSError as error:
        if error.errno not in REASONS:
            raise
        raise StoreError(
            f"could not write {path}: {REASONS[error.errno]}, or choose another place (for the "
            "store, SADEFECT_CACHE); nothing was lost, run again to go on"
        ) from error


@contextmanager
def locked(path, busy=None):
    """Hold a lock file; where another process has it, call ``busy``, which may raise, and wait."""
    from filelock import FileLock, Timeout

    with explained(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0 if busy else -1)
        except Timeout:
            busy()
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def whole(path, within=None):
    """Yield a temporary path that takes the place of ``path`` when the block ends without an error.

    Works for a file or a folder; whoever reads ``path`` sees the old content or the new one. What
    is temporary lies beside ``path``, or in a folder of the same file system, ``within``. Raises
    `StoreError` if the disk is full or the folder cannot be written to. Nothing is left behind,
    unless the process is killed.
    """
    path = Path(path)
    temporary = None
    try:
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            place = within or path.parent
            temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=place))
            yield temporary / path.name
            os.replace(temporary / path.name, path)
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def digests(folder):
    """Return the SHA-256 of each file below a folder, by its path in there."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def save_arrays(path, *, compressed=False, **arrays):
    """Write arrays to an ``.npz`` file, whole or not at all."""
    with whole(path) as temporary:
        (np.savez_compressed if compressed else np.savez)(temporary, **arrays)


def load_arrays(path):
    """Read an ``.npz`` file as a dict of arrays, running no code; `StoreError` if it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (FileNotFoundError, PermissionError, MemoryError):
        raise
    except Exception as error:  # Of many kinds, depending on which byte is wrong.
        raise StoreError(f"{path} is damaged ({error}); remove it and run again") from error


def save_json(path, value):
    """Write JSON, sorted and indented, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def load_json(path):
    """Read JSON; `StoreError` if the file is damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise StoreError(f"{path} is damaged ({error}); remove it and run again") from error
