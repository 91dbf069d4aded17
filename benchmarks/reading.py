"""What it costs to read all recorded results, as a page that compares them does."""

import time
import tracemalloc

import numpy as np

from sadefect.paper.store import stored_results

from ._measure import report, seconds

ROUNDS = 5

results = stored_results(["recorded"])  # Until the disk is warm.
took = float(np.median([seconds(lambda: stored_results(["recorded"])) for _ in range(ROUNDS)]))
start = time.process_time()
stored_results(["recorded"])
busy = time.process_time() - start
tracemalloc.start()
kept = stored_results(["recorded"])
megabytes = tracemalloc.get_traced_memory()[0] / 1e6
report(
    "reading",
    ("results", "seconds", "ms a result", "CPU ms a result", "MB", "MB a result"),
    [
        (
            len(results), took, 1e3 * took / len(results), 1e3 * busy / len(results), megabytes,
            megabytes / len(results),
        )
    ],
    "Metrics and curves of each; the memory is what they hold once they are read.",
)  # fmt: skip
