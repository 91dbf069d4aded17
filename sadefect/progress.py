"""Progress of long work: a bar in a terminal, a line now and then elsewhere."""

import sys
import time
from contextlib import contextmanager

LINE_SECONDS = 30  # Between two lines where there is no terminal.


@contextmanager
def progress(label, total, unit="steps"):
    """Yield ``report(done, **numbers)``, which shows how far, how fast and how long still.

    Examples
    --------
    >>> with progress("counting", total=3) as report:
    ...     report(3, loss=0.5)
    """
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (
            *Progress.get_default_columns()[:3],
            TextColumn("{task.completed:,}/{task.total:,} {task.fields[unit]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[numbers]}"),
        )
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(label, total=total, unit=unit, numbers="")
            yield lambda done, **numbers: bar.update(task, completed=done, numbers=_text(numbers))
        return

    start, first, last = time.monotonic(), None, time.monotonic()

    def report(done, **numbers):
        nonlocal first, last
        now = time.monotonic()
        first = done if first is None else first
        if now - last < LINE_SECONDS:
            return
        last = now
        rate = (done - first) / (now - start)
        left = f", {(total - done) / rate / 60:.1f} min left" if rate else ""
        line = f"{label}: {done:,}/{total:,} {unit}, {rate:.1f} {unit}/s{left} {_text(numbers)}"
        print(line.rstrip(), file=sys.stderr, flush=True)

    yield report


def _text(numbers):
    return " ".join(f"{name} {value:.4f}" for name, value in numbers.items() if value is not None)
