"""The verbs of the shell. Frameworks are imported by the verbs that need them only."""

import os
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from sadefect import errors
from sadefect.cli import compared, own_images, presets, store, weights, workflow
from sadefect.cli.own_images import Json, load_framework
from sadefect.cli.printing import show_table

app = typer.Typer(
    help="SSIM autoencoders for unsupervised defect segmentation, reproduced.\n\n"
    "For your own images: check, then train, then segment; evaluate where there are masks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
data = typer.Typer(help="Data sets: list, fetch, check.", no_args_is_help=True)
OWN, PAPER = "Your own images", "The paper"
app.add_typer(data, name="data", rich_help_panel=PAPER)
app.add_typer(presets.app, name="preset", rich_help_panel=OWN)
app.add_typer(weights.app, name="weights", rich_help_panel=PAPER)
app.add_typer(store.app, name="store", rich_help_panel=PAPER)
for verb in ("check", "train", "segment", "evaluate", "calibrate", "export"):
    app.command(verb, rich_help_panel=OWN)(getattr(own_images, verb))


def _say_version(wanted: bool):
    if wanted:
        from sadefect.provenance import versions

        load_framework()
        print(" ".join(f"{name} {version}" for name, version in versions().items()))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Versions, and exit.", callback=_say_version, is_eager=True),
    ] = False,
):
    """Options of no verb in particular."""


COLUMNS = ("dataset", "method", "latent_dim", "window_size", "seed", "patches_seen", "auroc",
           "aupro", "variant", "source")  # fmt: skip


@app.command("results", rich_help_panel=PAPER)
def show_results(as_json: Json = False):
    """All results, recorded and local."""
    from sadefect.paper.compared import stored_comparisons
    from sadefect.paper.store import stored_results

    load_framework()
    rows = [result.row() for result in [*stored_results(), *stored_comparisons()]]
    rows.sort(key=lambda row: tuple(str(row[name]).zfill(9) for name in COLUMNS[:6]))
    show_table("Results", COLUMNS, rows, as_json)


app.command(rich_help_panel=PAPER)(workflow.record)
app.command(rich_help_panel=PAPER)(compared.compare)


@app.command(rich_help_panel=PAPER)
def settle(
    datasets: Annotated[list[str], typer.Argument(help="Names of data sets.")],
    method: Annotated[
        list[str] | None, typer.Option(help="The first decides the budget. Default: ssim, l2.")
    ] = None,
):
    """Settle the headline's networks and our scoring without test images; write recorded/."""
    from sadefect.paper.headline import choose_own_scoring, headline_experiment, settle_all

    load_framework()
    methods = method or ["ssim", "l2"]
    settle_all(datasets, methods)
    for dataset in datasets:
        for name in methods:
            print(choose_own_scoring(headline_experiment(dataset, name)))
    print(settle_all(datasets, methods))  # Again, with the keys of our scoring.


@app.command(rich_help_panel=PAPER)
def reproduce(
    profile: Annotated[str, typer.Option(help="smoke, quick or paper.")] = "quick",
    only: Annotated[
        list[str] | None, typer.Option(help="A page, or how its name begins: fig07.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Pages executed at once.")] = None,
    whole_paper: Annotated[
        bool, typer.Option("--all", help="The whole paper: trainings, scorings, pages, the book.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="With --all: say what it takes, and do nothing.")
    ] = False,
    where: Annotated[
        str, typer.Option(help="With --all: local, gpu, slurm or kubernetes.")
    ] = "local",
):
    """Run the notebooks and build the book, or run some of the pages alone."""
    from sadefect.cli.checkout import run_builder

    if whole_paper:
        workflow.reproduce_all(profile, where, plan)
        return
    jobs_option = [] if jobs is None else ["--jobs", str(jobs)]
    verb = ["execute", *only] if only else ["build"]
    run_builder(*verb, "--profile", profile, *jobs_option)


for hidden in (workflow.train_one, workflow.run_one):
    app.command(hidden.__name__.replace("_", "-"), hidden=True)(hidden)


@data.command("list")
def list_data(as_json: Json = False):
    """The data sets, and whether their files are here."""
    from sadefect.datasets import dataset_names, load_dataset

    rows = []
    for name in dataset_names():
        try:
            loaded = load_dataset(name)
            rows.append((name, len(loaded.train), len(loaded.test), "here", loaded.licence))
        except errors.DataError:
            rows.append((name, "", "", "your own" if name == "folder" else "not here", ""))
    columns = ("name", "train", "test", "files", "licence")
    show_table(
        "Data sets", columns, [dict(zip(columns, row, strict=True)) for row in rows], as_json
    )


def _known(name):
    """Refuse what is no data set's name; `check` is for your own folder."""
    from sadefect.datasets import dataset_names

    names = [known for known in dataset_names() if known != "folder"]
    if name not in names and not name.startswith("mvtec_ad/"):
        text = f"expected one of {', '.join(names)}; got {name}; `sadefect data list` tells of them"
        if name == "folder" or Path(name).is_dir():
            text += f"; for your own images, `sadefect check {name}`"
        raise errors.DataError(text)


@data.command("check")
def check_data(name: str):
    """Read every image and mask of a data set, and compare it with the recorded one."""
    from sadefect.datasets import load_dataset
    from sadefect.progress import progress

    _known(name)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        loaded = load_dataset(name)
        samples = [*loaded.train, *loaded.test]
        with progress(f"reading {name}", len(samples), "images") as report:
            for done, sample in enumerate(samples, 1):
                sample.image, sample.mask  # noqa: B018 - reading is the check.
                report(done)
    for warning in warned:
        print(f"sadefect: {warning.message}", file=sys.stderr)
    print(f"{name}: {len(loaded.train)} to train on, {len(loaded.test)} to test; all can be read; "
          f"fingerprint {loaded.fingerprint}")  # fmt: skip


@data.command("fetch")
def fetch_data(name: str):
    """Download a data set where its host still serves it."""
    from sadefect.datasets.fetch import fetch_dataset

    _known(name)
    print(fetch_dataset(name))


def _say_warning(message, category, filename, lineno, file=None, line=None):
    """Show a warning of ours as one line; others as Python does."""
    if issubclass(category, errors.InputWarning):
        print(f"sadefect: {message}", file=sys.stderr)
    else:
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))


def main():
    """Run a verb; expected errors are one message without a traceback, exit code 1."""
    for stream in (sys.stdout, sys.stderr):  # Names are bytes, and terminals have few letters.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = _say_warning
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # Its notes are not for users of a verb.
    try:
        app()
    except errors.TrainingStopped as error:
        print(f"sadefect: {error}", file=sys.stderr)
        sys.exit(workflow.TRY_AGAIN)
    except (errors.DataError, errors.StoreError, errors.TrainingDiverged) as error:
        print(f"sadefect: {error}", file=sys.stderr)
    except Exception as error:
        if not errors.out_of_memory(error):
            raise
        where = " ".join(getattr(error, "__notes__", ())) or str(error).strip().split("\n")[0]
        print(
            f"sadefect: out of memory{f' ({where})' if where else ''}; close other programs, cut "
            "large images into parts, or train with a larger --shrink; nothing was lost, run again "
            "to go on",
            file=sys.stderr,
        )
    else:
        return
    sys.exit(1)
