"""``python -m sadefect`` is ``sadefect``."""

from .cli import main

main()
