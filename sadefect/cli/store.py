"""The verbs of the store: exchange it with another one, where machines share no disk."""

from typing import Annotated

import typer

app = typer.Typer(help="The store of results: push, pull.", no_args_is_help=True)
Url = Annotated[str, typer.Argument(help="file:///folder, s3://bucket/folder, or the like.")]


def _say(counts, verb):
    busy = f"; {counts['busy']} left alone, being trained" if counts.get("busy") else ""
    print(
        f"{verb} {counts['files']} files, {counts['bytes'] / 1e6:.1f} MB; "
        f"{counts['there']} were there already{busy}"
    )


@app.command()
def push(url: Url):
    """Send trainings and results that the other side has not; run again to go on."""
    from sadefect.paper import exchange

    _say(exchange.push(url), "Sent")


@app.command()
def pull(url: Url):
    """Fetch trainings and results that the store has not; run again to go on."""
    from sadefect.paper import exchange

    _say(exchange.pull(url), "Fetched")
