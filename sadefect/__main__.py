"""``python -m sadefect`` is ``sadefect``."""

from sadefect.cli.main import main

main()
