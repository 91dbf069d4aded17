"""Where a number comes from: commit, versions, machine, and what runs trained networks."""

import os
import platform
import subprocess
import time
from contextlib import suppress
from importlib import metadata, util
from pathlib import Path

from sadefect.errors import require_choice

# Raised when the same settings would give other numbers; tests/test_numerics.py watches.
NUMERICS = {"training": 1, "scoring": 1}
BUILDING = "SADEFECT_BUILDING"  # Set while pages of a book are executed.

BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch", "": "Keras"}
ENGINES = ("auto", "openvino", "keras")


def versions():
    """Return the versions of what the numbers depend on."""
    import keras

    backend = keras.backend.backend()
    packages = ["sadefect", "keras", "numpy", "scipy", "scikit-image"]
    packages += ["openvino"] if chosen_engine() == "openvino" else []
    installed = {name: metadata.version(name) for name in packages}
    installed["python"] = platform.python_version()
    for name in {"tensorflow": ("tensorflow-cpu", "tensorflow")}.get(backend, (backend,)):
        with suppress(metadata.PackageNotFoundError):
            return installed | {name: metadata.version(name)}
    return installed


def commit():
    """Return the commit that the code is at, with a plus sign where it was changed since.

    A copy without its history, as in an image of a container, has it in ``SADEFECT_COMMIT``.
    """
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=10", "--dirty=+", "--exclude=*"],
            cwd=Path(__file__).resolve().parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        return described.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return os.environ.get("SADEFECT_COMMIT") or f"sadefect {metadata.version('sadefect')}"


def processor():
    """Return the processor's name."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def this_machine():
    """Return processor, cores and, where the backend computes on one, the graphics card.

    Who lets several trainings share it says how many in ``SADEFECT_AT_ONCE``: each takes longer.
    """
    from sadefect.backends import card

    machine = {"processor": processor(), "cores": os.cpu_count()}
    machine |= {"card": name} if (name := card()) else {}
    return machine | ({"at_once": int(n)} if (n := os.environ.get("SADEFECT_AT_ONCE")) else {})


def made_by():
    """Return what makes a number now: commit, versions and machine, as provenance has them."""
    return {"commit": commit(), "versions": versions(), "machine": this_machine()}


def trained_by(made):
    """List who trained, in order, each as `made_by` has it, with the part that is its own.

    ``from`` is what had been seen before, in patches, and ``seconds`` are those of the part. Where
    a provenance has no such list, who scored trained as well.

    Examples
    --------
    >>> made = {"commit": "1c3", "versions": {}, "machine": {}, "seconds": {"training": 60.0}}
    >>> trained_by(made)
    [{'from': 0, 'seconds': 60.0, 'commit': '1c3', 'versions': {}, 'machine': {}}]
    """
    if parts := made.get("trained_by"):
        return parts
    alone = {"from": 0, "seconds": made.get("seconds", {}).get("training")}
    return [
        alone | {name: made[name] for name in ("commit", "versions", "machine") if name in made}
    ]


def training_seconds(made):
    """Return the seconds of a training on processors and on a card, by whether it was a card.

    Those of parts that shared a machine with others are divided among them; a kind that trained
    nothing, or whose seconds are not known, is left out.

    Examples
    --------
    >>> shared = {"from": 0, "seconds": 60.0, "machine": {"card": "H100", "at_once": 4}}
    >>> training_seconds({"trained_by": [shared, {"from": 9, "seconds": 5.0, "machine": {}}]})
    {True: 15.0, False: 5.0}
    """
    seconds = {}
    for part in trained_by(made):
        if part["seconds"] is not None:
            card, shared = "card" in part["machine"], part["machine"].get("at_once", 1)
            seconds[card] = seconds.get(card, 0) + part["seconds"] / shared
    return seconds


def backend_of(installed):
    """Return the backend that is among versions of a provenance; "" if none is.

    Examples
    --------
    >>> backend_of({"keras": "3.15.1", "tensorflow-cpu": "2.21.0"})
    'tensorflow'
    """
    packages = {package.split("-")[0] for package in installed}
    return next((name for name in BACKENDS if name in packages), "")


def describe_machine(machine, shared=True):
    """Say what ``machine`` of a provenance is, and, if ``shared``, how many trainings shared it.

    Examples
    --------
    >>> describe_machine({"cores": 16, "processor": "Xeon", "card": "H100", "at_once": 4})
    '16 cores of Xeon with H100, 4 trainings at once'
    """
    with_card = f" with {machine['card']}" if "card" in machine else ""
    cores = f"{machine['cores']} cores of " if "cores" in machine else ""
    together = f", {machine['at_once']} trainings at once" if "at_once" in machine else ""
    return f"{cores}{machine['processor']}{with_card}{together if shared else ''}"


def chosen_engine():
    """Return "openvino" or "keras" as `SADEFECT_ENGINE` asks; "auto" takes what is faster.

    Raises `ValueError` if the variable holds something else, or asks for OpenVINO and it is not
    installed.
    """
    asked = os.environ.get("SADEFECT_ENGINE", "auto")
    require_choice("SADEFECT_ENGINE", asked, ENGINES)
    installed = util.find_spec("openvino") is not None
    if asked == "openvino" and not installed:
        raise ValueError(
            "SADEFECT_ENGINE=openvino needs OpenVINO, which is not installed: pip install openvino"
        )
    if asked == "keras" or not installed:
        return "keras"
    # OpenVINO computes on the CPU here; Keras with a GPU is faster.
    return "openvino" if asked == "openvino" or _keras_is_on_cpu() else "keras"


def _keras_is_on_cpu():
    """Ask an array, since not every backend can list its devices."""
    import keras

    return "cpu" in str(keras.ops.zeros(1).device).lower()


def describe_engine():
    """Return the engine and its version, as in "OpenVINO 2026.4.1" or "Keras 3.15.1"."""
    name = {"openvino": "OpenVINO", "keras": "Keras"}[chosen_engine()]
    return f"{name} {metadata.version(name.lower())}"


class Stopwatch:
    """Adds up the seconds of its blocks, by the clock and of the processor.

    Examples
    --------
    >>> watch = Stopwatch()
    >>> with watch:
    ...     total = sum(range(1_000))
    >>> watch.clock > 0 and watch.processor >= 0
    True
    """

    clock = processor = 0.0

    def __enter__(self):
        self.start = time.monotonic(), time.process_time()

    def __exit__(self, *_):
        self.clock += time.monotonic() - self.start[0]
        self.processor += time.process_time() - self.start[1]
