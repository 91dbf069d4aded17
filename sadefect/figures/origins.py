"""Where numbers come from: the paragraph at the foot of a page."""

from collections.abc import Mapping

from IPython.display import Markdown

from sadefect.figures.explorers.markup import TEMPLATES
from sadefect.paper.compared import Comparison
from sadefect.paper.experiment import Experiment
from sadefect.provenance import (
    BACKENDS,
    backend_of,
    commit,
    describe_machine,
    this_machine,
    trained_by,
    versions,
)

MOST_NAMED = 2  # More trainings than these are named in a list that opens.


def origin(*sources):
    """Say in one paragraph, as Markdown, where numbers come from, for the foot of a page.

    `sources` are results, comparisons and experiments, or nested lists or dicts of them. A result
    says itself what made it; of an experiment, and without any, it is what runs now.

    Examples
    --------
    >>> line = origin(Experiment(dataset="synthetic/checkerboard", method="l2"))
    >>> "checkerboard-v" in line.data
    True
    """
    sources = list(_flat(sources)) or [None]
    # As keys: what several results have in common is said once.
    trainings = dict.fromkeys(map(_training, sources))
    code = dict.fromkeys(map(_made_by, sources))
    # The page on all pages, book.builder.status, reads this.
    known = {"sadefect": {"results": [_key_and_place(source) for source in sources if source]}}
    if len(trainings) <= MOST_NAMED:
        line = "*Where this comes from*: " + "; ".join([*trainings, *code]) + "."
        return Markdown(line, metadata=known)
    what = "results" if any(isinstance(s, Comparison) for s in sources) else "trainings"
    summary = f"Where this comes from: {len(trainings)} {what}"
    template = TEMPLATES.get_template("folded.md")
    return Markdown(template.render(summary=summary, lines=(*trainings, *code)), metadata=known)


def benchmark_origins(benchmarks):
    """Say as Markdown where `Benchmark`s were measured: an item for each machine, its commands."""
    commands = {}
    for made in (benchmark.provenance for benchmark in benchmarks):
        machine = describe_machine(made["machine"])
        where = f"{_code(made['commit'], made['versions'], machine)}, {made['date']}"
        commands.setdefault(where, {})[f"`{made['command']}`"] = None
    items = (f"- {', '.join(names)}: {where}." for where, names in commands.items())
    return Markdown("\n".join(items))


def _flat(sources):
    for source in sources.values() if isinstance(sources, Mapping) else sources:
        if isinstance(source, Mapping | list | tuple):
            yield from _flat(source)
        else:
            yield source


VERBS = {"recorded": "recorded", "local": "computed on this machine"}


def _training(source):
    """Say in words which training a result is of, or an experiment that a page computes itself."""
    if source is None:
        return "computed by this page"
    if isinstance(source, Comparison):
        settings = "" if source.variant == "default" else f", {source.variant}"
        return (
            f"{source.about.label} `{source.key}` (fitted to {source.provenance['data']}, seed "
            f"{source.seed}{settings}), {VERBS[source.source]}"
        )
    if isinstance(source, Experiment):
        experiment, verb, cost = source, "computed by this page", ""
    else:
        experiment = source.experiment
        verb = VERBS[source.source]
        if source.outdated:
            verb += " from other data or by an earlier version of the numerics"
        seconds = source.provenance["seconds"]["training"]
        cost = f" in {seconds / 60:.0f} minutes" if seconds else ""
        cost += _others(trained_by(source.provenance))
    settings = experiment.training_settings
    return (
        f"training `{experiment.training_key}` ({settings['data']}, seed {experiment.seed}, "
        f"batches of {settings['batch_size']} at a rate of {settings['learning_rate']:g}), "
        f"{experiment.patches_seen:,} patches{cost}, {verb}"
    )


def _others(parts):
    """Say who trained the parts of a network before the last one, each at its own pace."""
    ends = [part["from"] for part in parts[1:]]
    said = (
        f"until {end:,} by `{part['commit']}` with "
        f"{BACKENDS[backend_of(part['versions'])]} on {describe_machine(part['machine'])}"
        for part, end in zip(parts, ends, strict=False)
    )
    return f" ({'; '.join(said)})" if ends else ""


def _key_and_place(source):
    if isinstance(source, Experiment):
        return {"key": source.training_key, "source": "this page"}
    key = source.key if isinstance(source, Comparison) else source.experiment.evaluation_key
    return {"key": key, "source": source.source}


def _made_by(source):
    """Name the code, versions and machine of a result, or of what runs now."""
    made = getattr(source, "provenance", None)
    if not made:
        return _code(commit(), versions(), describe_machine(this_machine()))
    return _code(made["commit"], made["versions"], describe_machine(made["machine"]))


def _code(at, installed, machine):
    libraries = ", ".join(f"{name} {version}" for name, version in sorted(installed.items()))
    return f"code `{at}` with {libraries} on {machine}"
