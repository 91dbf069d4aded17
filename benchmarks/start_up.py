"""How long it takes until something happens: the shell's help, the import, a framework's import."""

import subprocess
import sys

import numpy as np

from ._measure import ratio, report, taking_turns

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "sadefect --help": ["-m", "sadefect", "--help"],
    "import sadefect": ["-c", "import sadefect"],
    "import tensorflow": ["-c", "import tensorflow"],
}


def run(arguments):
    command = [sys.executable, *arguments]
    return lambda: subprocess.run(command, check=True, capture_output=True)


times = taking_turns({name: run(one) for name, one in COMMANDS.items()}, rounds=5, warm_up=1)
report(
    "start_up",
    ("command", "seconds", "import tensorflow over it"),
    [
        (name, float(np.median(found)), ratio(times, "import tensorflow", name))
        for name, found in times.items()
    ],
)
