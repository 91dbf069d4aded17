"""``python -m benchmarks [NAME ...]``: all benchmarks or those named, each in its own process."""

import subprocess
import sys
from pathlib import Path

known = sorted(
    path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_")
)
chosen = sys.argv[1:] or known
if unknown := set(chosen) - set(known):
    sys.exit(f"expected benchmarks among {known}; got {sorted(unknown)}")
for name in chosen:
    print(f"# {name}", flush=True)
    if code := subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode:
        sys.exit(code)
