"""How a training is asked to end before its budget: by a signal, or at a deadline."""

import signal
import threading
import time

STOPPING = threading.Event()  # The loop saves its state and ends where it is set.
FOR_EVER = 10**8  # Seconds that no timer has to count.


def listen(deadline=float("inf")):
    """Set `STOPPING` on SIGTERM, and at a deadline in seconds of the epoch.

    SIGTERM is what schedulers send before they take a machine away.
    """
    signal.signal(signal.SIGTERM, lambda *_: STOPPING.set())
    if (left := deadline - time.time()) < FOR_EVER:
        timer = threading.Timer(max(0, left), STOPPING.set)
        timer.daemon = True
        timer.start()
