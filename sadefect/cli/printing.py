"""Tables in a terminal."""

import sys


def table(title, columns, rows):
    """Print a table as wide as it needs to be."""
    from rich.console import Console
    from rich.table import Table

    printed = Table(*columns, title=title)
    for row in rows:
        printed.add_row(*(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row))
    Console(width=None if sys.stdout.isatty() else 160).print(printed)
