"""Where a number comes from: commit, versions, machine."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path

# Raised when the same settings would give other numbers; tests/test_numerics.py watches.
NUMERICS = {"training": 1, "scoring": 1}
BUILDING = "SADEFECT_BUILDING"  # Set while pages of a book are executed.


def versions():
    """Versions of what the numbers depend on."""
    import keras

    from sadefect.inference.engines import chosen

    backend = keras.backend.backend()
    packages = ["sadefect", "keras", "numpy", "scipy", "scikit-image"]
    packages += ["openvino"] if chosen() == "openvino" else []
    found = {name: metadata.version(name) for name in packages}
    for name in {"tensorflow": ("tensorflow-cpu", "tensorflow")}.get(backend, (backend,)):
        try:
            return found | {"python": platform.python_version(), name: metadata.version(name)}
        except metadata.PackageNotFoundError:
            continue
    return found | {"python": platform.python_version()}


def commit():
    """The commit that the code is at, with a plus sign where it was changed since."""
    here = Path(__file__).resolve().parent
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=10", "--dirty=+", "--exclude=*"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        return described.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return f"sadefect {metadata.version('sadefect')}"


def processor():
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
