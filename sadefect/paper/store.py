"""Finds what came out of experiments, in the user's store and in what was recorded for everybody.

The store is the user's cache directory, or ``SADEFECT_CACHE``. ``recorded/`` holds the results of
runs that are too long to repeat. Both have the same layout; a folder appears whole or not at all.
"""

import os
import shutil
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sadefect.datasets import dataset_fingerprint
from sadefect.errors import DatasetNotFound, StoreError
from sadefect.files import (
    load_arrays,
    load_json,
    locked,
    save_arrays,
    save_json,
    store_folder,
    whole,
)
from sadefect.methods import METHODS, SSIM_SETTINGS
from sadefect.paper.experiment import COLUMNS, Experiment
from sadefect.provenance import NUMERICS, backend_of, trained_by
from sadefect.training.trajectory import checkpoint_path, turned

RETRAIN = "SADEFECT_RETRAIN"
FRESH = (RETRAIN, "SADEFECT_REEVALUATE")  # Ask to take nothing recorded.


def asked_for_fresh():
    """Return the environment variables that ask to take nothing recorded."""
    return [name for name in FRESH if os.environ.get(name, "0") not in ("", "0")]


def recorded_folder():
    """Return the folder of recorded results, of the checkout or ``SADEFECT_RECORDED``."""
    beside_package = Path(__file__).resolve().parents[2] / "recorded"
    return Path(os.environ.get("SADEFECT_RECORDED") or beside_package)


def training_folder(experiment):
    """Return where the store keeps an experiment's trajectory."""
    return store_folder() / "trainings" / experiment.training_key


def places(kind, key, *, fresh=False):
    """Yield where something may be stored: the user's store first, then what was recorded."""
    yield "local", store_folder() / kind / key
    if not fresh:
        yield "recorded", recorded_folder() / kind / key


@contextmanager
def empty_store():
    """Set the store to an empty folder, so that there is nothing but what is recorded."""
    before = os.environ.get("SADEFECT_CACHE")
    with TemporaryDirectory() as folder:
        os.environ["SADEFECT_CACHE"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["SADEFECT_CACHE"]
            else:
                os.environ["SADEFECT_CACHE"] = before


def weights(experiment):
    """Return where an experiment's weights are: pairs of source and path, the store's first."""
    paths = [
        (source, checkpoint_path(folder, experiment.patches_seen))
        for source, folder in places("trainings", experiment.training_key)
    ]
    return [(source, path) for source, path in paths if path.exists()]


class OtherVersion(StoreError):
    """A stored result that is whole, and that another version of sadefect wrote."""


@dataclass(frozen=True)
class Result:
    """What came out of an experiment.

    Attributes
    ----------
    experiment : Experiment
    metrics : dict
        ``auroc``, ``aupro`` (to a false positive rate of 0.3), ``overlap`` (quantiles over regions
        at each of `FPRS`), ``thresholds`` (from held-out defect-free images), counts.
    curves : dict of arrays
        ``fpr``, ``tpr``; ``overlap_fprs``, ``region_overlaps`` (fprs, regions), ``region_areas``,
        ``region_images``; ``history_patches``, ``history_loss``.
    provenance : dict
        Commit, versions, machine, seconds, data.
    source : {"local", "recorded"}
    key : str
        The evaluation key under which it is stored.
    """

    experiment: Experiment
    metrics: dict
    curves: dict
    provenance: dict
    source: str
    key: str

    @property
    def outdated(self):
        """Tell whether today's code, or the data that are here, would give something else."""
        try:
            data = dataset_fingerprint(self.experiment.dataset)
        except DatasetNotFound:  # Nothing is here to tell.
            data = self.provenance["data"]
        return (self.provenance["numerics"], self.provenance["data"]) != (NUMERICS, data)

    @property
    def backend(self):
        """Return the backend that computed it: "tensorflow", "jax" or "torch"; "" if unknown."""
        return backend_of(self.provenance.get("versions", ()))

    @property
    def on_card(self):
        """Tell whether a graphics card trained any part: its seconds are not a processor's."""
        return any("card" in part["machine"] for part in trained_by(self.provenance))

    @property
    def losses(self):
        """Return the loss on training crops and on held-out crops; None each where not recorded."""
        marks = self.curves.get("milestones", ())
        return tuple(float(value) for value in marks[-1][1:]) if len(marks) else (None, None)

    @property
    def turned_at(self):
        """Return the patches seen at the least held-out loss, if it is higher now; else None."""
        return turned(self.curves.get("milestones", ()))

    def row(self):
        """Return the result as one row of `sadefect results --json`."""
        own = {
            "schedule": self.experiment.schedule,
            "training_loss": self.losses[0],
            "held_out_loss": self.losses[1],
            "held_out_turned_at": self.turned_at,
        }
        settings = {name: getattr(self.experiment, name) for name in COLUMNS}
        return settings | columns(self, self.experiment.variant, "training") | own


def columns(result, variant, phase):
    """Return the columns that rows of experiments and of baselines share.

    ``phase`` is what the column of seconds counts, a name in the provenance.
    """
    return {
        "auroc": result.metrics["auroc"],
        "aupro": result.metrics["aupro"],
        "overlap_at_5_percent": result.metrics["overlap"].get("0.05", {}).get("median"),
        "variant": variant,
        "seconds": result.provenance["seconds"][phase],
        "source": result.source,
        "key": result.key,
        "numerics_version": result.provenance["numerics"],
    }


def stored_json(kind, name, version=None):
    """Return what a JSON file of some kind holds, in the store or recorded; None if in neither.

    Where there is a ``version``, files of others do not count.
    """
    files = (load_json(path) for _, path in places(kind, name) if path.exists())
    return next((held for held in files if version in (None, held.get("version"))), None)


def record_folder(kind, key):
    """Copy a folder of the store into ``recorded/``; return where it is then, None without one."""
    (_, folder), (_, target) = places(kind, key)
    if not folder.exists():
        return None
    shutil.rmtree(target, ignore_errors=True)
    with whole(target) as temporary:
        shutil.copytree(folder, temporary)
    return target


def find(experiment, *, fresh=False):
    """Return an experiment's stored result, or None; a damaged one is removed with a message.

    Raises `OtherVersion` if another version of sadefect wrote it.
    """
    return find_folder("evaluations", experiment.evaluation_key, _result, fresh=fresh)


def find_folder(kind, key, make, *, fresh=False):
    """Return `_read` of what is stored under a key, or None.

    What is damaged is removed with a message, unless it is recorded or another version's.
    """
    for source, folder in places(kind, key, fresh=fresh):
        if folder.exists():
            try:
                return _read(folder, source, make)
            except (StoreError, FileNotFoundError) as error:
                if source == "recorded" or isinstance(error, OtherVersion):
                    raise
                print(f"Computing again what {folder.name} held: {error}")
                shutil.rmtree(folder, ignore_errors=True)
    return None


@contextmanager
def claimed(kind, key):
    """Yield the folder of the store where something goes; other processes wait for it meanwhile."""
    folder = store_folder() / kind / key
    with locked(folder.with_suffix(".lock")):
        yield folder


def keep(folder, result, **files):
    """Write what `_read` reads, a dict of JSON values and ``curves``, and other files of arrays.

    All of them appear, or none.
    """
    with whole(folder) as temporary:
        save_json(temporary / "result.json", result)
        for name, arrays in files.items():
            save_arrays(temporary / f"{name}.npz", compressed=name != "curves", **arrays)


def _read(folder, source, make):
    """Return ``make(stored, **parts)`` of a folder: its JSON, and what all results have of it."""
    stored, curves = load_json(folder / "result.json"), load_arrays(folder / "curves.npz")
    try:
        shared = {name: stored[name] for name in ("metrics", "provenance")}
        return make(stored, curves=curves, source=source, key=folder.name, **shared)
    except (KeyError, TypeError, ValueError) as error:
        raise OtherVersion(
            f"expected a result of this version of sadefect in {folder}; got another's ({error}); "
            "remove it, or set SADEFECT_CACHE to another folder"
        ) from error


def _result(stored, **parts):
    return Result(Experiment(**_own(stored["experiment"])), **parts)


def _own(settings):
    """Leave out settings of other methods: versions before had values that are refused today.

    Those of SSIM stay, which any method may be scored with.
    """
    special = {name for method in METHODS.values() for name in method.settings}
    others = special.difference(METHODS[settings["method"]].settings, SSIM_SETTINGS)
    return {name: value for name, value in settings.items() if name not in others}


def stored_results(sources=("local", "recorded")):
    """Read all results of the store and of ``recorded/``, the store's first; none twice.

    What cannot be read in the store is left out with a warning.
    """
    return read_folders("evaluations", _result, sources)


def read_folders(kind, make, sources):
    """Return `_read` of all that is stored of a kind, as `stored_results` says."""
    results = {}
    for source, folder in places(kind, ""):
        for path in sorted(folder.glob("*/result.json")) if source in sources else ():
            key = path.parent.name
            if key not in results:
                try:
                    results[key] = _read(path.parent, source, make)
                except (StoreError, FileNotFoundError) as error:
                    if source == "recorded":
                        raise
                    warnings.warn(f"left out: {error}", stacklevel=3)
    return list(results.values())
