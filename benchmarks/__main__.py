"""``python -m benchmarks [--record] [NAME ...]``: all or those named, each in its own process."""

import os
import subprocess
import sys
from pathlib import Path

from ._measure import RECORD, missing_peers

known = sorted(
    path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_")
)
chosen = [name for name in sys.argv[1:] if name != "--record"]
if unknown := set(chosen) - set(known):
    sys.exit(f"expected --record or benchmarks among {known}; got {sorted(unknown)}")
sources = "".join(Path(__file__).with_name(f"{name}.py").read_text() for name in chosen or known)
missing = [peer for peer in missing_peers() if peer.replace("-", "_") in sources]
if "--record" in sys.argv and missing:
    sys.exit(
        f"expected all that the page compares with; missing are {', '.join(missing)}: "
        'pip install -e ".[torch,bench,export]" anomalib'
    )
environment = os.environ | ({RECORD: "1"} if "--record" in sys.argv else {})
for name in chosen or known:
    print(f"# {name}", flush=True)
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    if code := subprocess.run(command, env=environment, check=False).returncode:
        sys.exit(code)
