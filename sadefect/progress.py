"""Progress of long work: a bar in a terminal, a line now and then elsewhere."""

import sys
import time
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

LINE_SECONDS = 30  # Between two lines where there is no terminal.


@contextmanager
def progress(label, total, unit="steps"):
    """Yield ``report(done, **numbers)``; shows how far, how fast and how long still.

    Parameters
    ----------
    label : str
    total : int
    unit : str

    Examples
    --------
    >>> with progress("counting", total=3) as report:
    ...     report(3, loss=0.5)
    """
    terminal = sys.stderr.isatty()  # A notebook's kernel tells rich that it is one.
    width = None if terminal else 120
    console = Console(stderr=True, force_terminal=terminal, force_jupyter=False, width=width)
    label = escape(label)  # Brackets of a name are no markup.
    columns = ("{task.description}", BarColumn(), "{task.completed:,}/{task.total:,}",
               "{task.fields[text]}", TimeElapsedColumn(), TimeRemainingColumn())  # fmt: skip
    bar = Progress(*columns, console=console, disable=not terminal)
    task, last = bar.add_task(label, total=total, text=unit), time.monotonic()

    def report(done, **numbers):
        nonlocal last
        bar.update(task, completed=done)
        speed = bar.tasks[task].speed
        said = [unit, *([f"({speed:.1f}/s)"] if speed else [])]
        said += [f"{name} {value:.4f}" for name, value in numbers.items() if value is not None]
        bar.update(task, text=" ".join(said))
        if not terminal and time.monotonic() - last >= LINE_SECONDS:
            last = time.monotonic()
            console.print(bar.get_renderable())

    with bar:
        yield report
