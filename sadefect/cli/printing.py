"""Tables in a terminal, or the same as JSON."""

import json
import sys


def show_table(title, columns, rows, as_json=False):
    """Print the columns of rows, dicts, as a table as wide as it needs to be, or all as JSON."""
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    printed = Table(*columns, title=escape(title))
    for row in rows:
        values = [row[name] for name in columns]
        printed.add_row(*(f"{v:.3f}" if isinstance(v, float) else escape(str(v)) for v in values))
    Console(width=None if sys.stdout.isatty() else 160).print(printed)
