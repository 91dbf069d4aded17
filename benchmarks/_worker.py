"""A process that makes one of `_steps` and takes it whenever a line comes in."""

import json
import sys

from . import _steps

if __name__ == "__main__":
    name, repeats, *arguments = json.loads(sys.argv[1])
    step = getattr(_steps, name)(*arguments)
    for _ in range(3):
        step()
    print("ready", flush=True)
    for _ in sys.stdin:
        for _ in range(repeats):
            step()
        print("done", flush=True)
