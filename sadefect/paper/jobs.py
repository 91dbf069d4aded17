"""Jobs of a workflow: what is missing in the store, in what order, and what it will cost.

A job trains one trajectory up to one point, scores one experiment, executes one page, or builds the
book. Costs are those of recorded results; nothing here imports a framework.
"""

import json
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from graphlib import TopologicalSorter
from itertools import islice
from statistics import median

from sadefect.files import load_json
from sadefect.paper.experiment import Experiment
from sadefect.paper.store import places, training_folder
from sadefect.provenance import processor, trained_by, training_seconds
from sadefect.training.trajectory import checkpoint_path, keeps_state, milestones

SECONDS_A_PATCH = 0.03  # Of 128x128 pixels on one core, where nothing is recorded.
SECONDS_A_SCORING = 60.0
READ_AT_MOST = 500  # Results of the store that costs are learned from.
MEMORY = {"train": 2000, "score": 2000, "page": 3000, "book": 4000}  # Megabytes.
MARGIN = 2  # Times the expected minutes are asked for: a machine may be slower, or shared.
LEAST_MINUTES = 10  # Of which a framework's start takes some.
PLAIN = {field.name: field.default for field in fields(Experiment)}
# A scheduler takes milliseconds for each job, and a job seconds to start: of many jobs, those that
# are short are put together.
MANY = 500
SHORT = 300.0  # Seconds.
BATCH_SECONDS, BATCH = 1800.0, 100


@dataclass(frozen=True)
class Job:
    """Describe one job of a workflow."""

    rule: str  # "train", "score", "page" or "book".
    name: str  # Names its stamp, and no other's of its rule.
    argument: str  # The experiment as JSON, or the name of the page.
    after: tuple[str, ...] = ()  # Stamps of the jobs that must have ended: ``RULE/NAME``.
    seconds: float = 0.0  # Expected, on one core.
    megabytes: int = 0  # Of memory, as the next.
    gpu_megabytes: int = 0
    stored: int = 0  # Bytes that it adds to the store.
    card_seconds: float = 0.0  # Expected of a graphics card that is kept busy by several.

    @property
    def stamp(self):
        """Return the name of the job among all."""
        return f"{self.rule}/{self.name}"


def as_argument(experiment):
    """Return an experiment as the JSON that `sadefect train-one` takes, without defaults."""
    values = {field.name: getattr(experiment, field.name) for field in fields(experiment)}
    changed = {name: value for name, value in values.items() if value != PLAIN[name]}
    return json.dumps(changed, sort_keys=True)


def is_trained(experiment):
    """Return whether the store has the weights of an experiment."""
    return checkpoint_path(training_folder(experiment), experiment.patches_seen).exists()


def is_scored(experiment):
    """Return whether the metrics of an experiment are stored or recorded, without reading them."""
    folders = places("evaluations", experiment.evaluation_key)
    return any((folder / "result.json").exists() for _, folder in folders)


class Costs:
    """Learn what a training and a scoring take from the provenance of results.

    Those of this machine's processor count alone where there are any.
    """

    def __init__(self):
        local, recorded = (folder for _, folder in places("evaluations", ""))
        paths = [*recorded.glob("*/result.json")]
        paths += islice(local.glob("*/result.json"), READ_AT_MOST)
        results = [load_json(path) for path in paths]
        # Seconds of a graphics card are not those of a core, and a sum of both is of neither.
        cards = [
            {"card" in part["machine"] for part in trained_by(result["provenance"])}
            for result in results
        ]
        self._on_card, results = (
            [result for result, kinds in zip(results, cards, strict=True) if kinds == {card}]
            for card in (True, False)
        )
        own = [
            result
            for result in results
            if result["provenance"]["machine"]["processor"] == processor()
        ]
        self._results = own or results
        self._known = {}

    def _median(self, what, experiment, names, of):
        """Return the median over results that agree in the named settings; None without one."""
        wanted = tuple(getattr(experiment, name) for name in names)
        if (what, names, wanted) not in self._known:
            values = [
                of(result)
                for result in self._results
                if tuple(result["experiment"].get(name, "float32") for name in names) == wanted
                and result["provenance"]["seconds"].get(what)
            ]
            self._known[what, names, wanted] = median(values) if values else None
        return self._known[what, names, wanted]

    @cached_property
    def card_share(self):
        """Return the seconds of a card for each second of a core, 1 where nothing is recorded.

        Trainings that shared the card are taken to have had equal parts of it.
        """
        shares = []
        for result in self._on_card:
            settings, made = result["experiment"], result["provenance"]
            if seconds := training_seconds(made).get(True):
                known = self.a_patch(Experiment(**settings))
                shares.append(seconds / settings["patches_seen"] / known)
        return median(shares) if shares else 1.0

    def a_patch(self, experiment):
        """Return the seconds on one core that a training takes for each patch."""

        def seconds(result):
            spent = result["provenance"]["seconds"]["training"]
            return spent / result["experiment"]["patches_seen"]

        for names in (
            ("method", "patch_size", "precision", "schedule"),
            ("method", "patch_size", "precision"),
            ("patch_size", "precision"),
            ("patch_size",),
        ):
            if value := self._median("training", experiment, names, seconds):
                return value
        return SECONDS_A_PATCH * (experiment.patch_size / 128) ** 2

    def a_scoring(self, experiment):
        """Return the seconds that scoring an experiment takes."""

        def seconds(result):
            return result["provenance"]["seconds"]["evaluation"]

        for names in (("dataset", "residual", "patch_size", "stride"), ("dataset",)):
            if value := self._median("evaluation", experiment, names, seconds):
                return value
        return SECONDS_A_SCORING


def _weights_bytes(experiment):
    """Return the size of a network's weights; of Table 1, all but conv9's are always the same."""
    return 4 * (639_000 + 64 * (experiment.patch_size // 16) ** 2 * experiment.latent_dim)


def _card_megabytes(experiment, weights):
    """Return what a training takes of a card: framework, optimizer, and maps of a batch."""
    maps = 12 * experiment.optimisation.batch_size * (experiment.patch_size / 128) ** 2
    return 600 + 4 * weights // 2**20 + int(maps)


def _trained_so_far(experiment):
    """Return the largest milestone of a trajectory in the store that is not past the budget."""
    folder = checkpoint_path(training_folder(experiment), 0).parent
    marks = [int(path.stem) for path in folder.glob("*.npz")] if folder.is_dir() else []
    return max((mark for mark in marks if mark <= experiment.patches_seen), default=0)


def training_jobs(points, costs):
    """List jobs that train experiments up to their budgets, those already trained left out.

    Points of one trajectory follow each other, so that no two jobs share a folder; a branch waits
    for its trunk, which is trained too where it is missing. The points, a list of `Experiment`, are
    in the order in which they are to be trained where resources are short.
    """
    wanted = {}
    for point in points:
        for needed in filter(None, (point.trunk, point)):
            wanted.setdefault((needed.training_key, needed.patches_seen), needed)
    trajectories = {}
    for (key, budget), point in wanted.items():
        if not is_trained(point):
            trajectories.setdefault(key, []).append((budget, point))
    jobs = {}
    for key, ascending in trajectories.items():
        ascending.sort(key=lambda pair: pair[0])
        begin, before = _trained_so_far(ascending[0][1]), ()
        for budget, point in ascending:
            trunk = point.trunk
            after = [*before]
            if trunk and (trunk.training_key, trunk.patches_seen) in wanted and not before:
                begin = trunk.patches_seen
                after += [] if is_trained(trunk) else [f"train/{point_name(trunk)}"]
            weights = _weights_bytes(point)
            kept = [mark for mark in milestones(budget) if mark > begin]
            states = 1 + sum(keeps_state(mark, budget) for mark in kept)
            jobs[key, budget] = job = Job(
                "train",
                point_name(point),
                as_argument(point),
                tuple(after),
                seconds := (budget - begin) * costs.a_patch(point),
                MEMORY["train"],
                _card_megabytes(point, weights),
                weights * (len(kept) + 3 * states),
                seconds * costs.card_share,
            )
            begin, before = budget, (job.stamp,)
    order = {key: position for position, key in enumerate(wanted)}
    return [jobs[key] for key in sorted(jobs, key=order.get)]


def point_name(experiment):
    """Return the name of a point of a trajectory."""
    return f"{experiment.training_key}-{experiment.patches_seen}"


def scoring_jobs(experiments, trainings, costs):
    """List jobs that score experiments, those whose metrics are known left out.

    ``trainings`` are the jobs that train them; each waits for the first that reaches its budget.
    """
    reached = {}
    for job in trainings:
        key, _, budget = job.name.rpartition("-")
        reached.setdefault(key, []).append(int(budget))
    jobs = []
    for experiment in dict.fromkeys(experiments):
        if is_scored(experiment):
            continue
        key = experiment.training_key
        marks = [mark for mark in reached.get(key, ()) if mark >= experiment.patches_seen]
        after = (f"train/{key}-{min(marks)}",) if marks and not is_trained(experiment) else ()
        seconds = costs.a_scoring(experiment)
        argument = as_argument(experiment)
        # Curves and metrics are small beside weights.
        sizes = (MEMORY["score"], 1000, 100_000)
        on_card = seconds * costs.card_share
        name = experiment.evaluation_key
        jobs.append(Job("score", name, argument, after, seconds, *sizes, on_card))
    return jobs


def page_jobs(pages, scorings):
    """List a job for each page, given its name and minutes, and one for the book of them all."""
    after = tuple(job.stamp for job in scorings)
    jobs = [
        Job("page", name, name, after, 60 * minutes, MEMORY["page"], 1000)
        for name, minutes in pages.items()
    ]
    stamps = tuple(job.stamp for job in jobs)
    return [*jobs, Job("book", "all", "", stamps or after, 120, MEMORY["book"])]


def forecast(jobs, gpu=False):
    """Return what jobs will take: how many, core-hours, GPU-hours, gigabytes that are stored.

    The GPU-hours are those of jobs that train or score, at the speed of the card whose results are
    recorded; see `Costs.card_share`. There is a row, a dict, for each rule, then the
    sum; each says the longest chain of jobs that wait for each other.
    """
    rows = []
    for rule in (*MEMORY, "all"):
        chosen = [job for job in jobs if rule in (job.rule, "all")]
        hours = sum(job.seconds for job in chosen) / 3600
        on_card = [job for job in chosen if gpu and job.rule in ("train", "score")]
        row = {
            "rule": rule,
            "jobs": len(chosen),
            "core_hours": round(hours - sum(job.seconds for job in on_card) / 3600, 2),
            "gpu_hours": round(sum(job.card_seconds for job in on_card) / 3600, 2),
            "gigabytes": round(sum(job.stored for job in chosen) / 1e9, 3),
            "longest_hours": round(_longest(chosen) / 3600, 2),
        }
        rows += [row] if chosen else []
    return rows


def _longest(jobs):
    """Return the seconds of the longest chain of jobs that wait for each other."""
    known = {job.stamp: job for job in jobs}
    waits_for = {job.stamp: [name for name in job.after if name in known] for job in jobs}
    ends = {}
    for stamp in TopologicalSorter(waits_for).static_order():
        begin = max((ends[name] for name in waits_for[stamp]), default=0)
        ends[stamp] = begin + known[stamp].seconds
    return max(ends.values(), default=0)


def batched(jobs):
    """Put short jobs together where there are many: trainings that wait for none, and scorings.

    The argument of a batch is a JSON list of those of its jobs.
    """
    if len(jobs) < MANY:
        return jobs
    batches = {}
    batch_of, others = {}, []
    for job in jobs:
        batchable = job.rule == "score" or (job.rule == "train" and not job.after)
        if not batchable or job.seconds > SHORT:
            others.append(job)
            continue
        made = batches.setdefault(job.rule, [[]])
        if len(made[-1]) == BATCH or sum(other.seconds for other in made[-1]) > BATCH_SECONDS:
            made.append([])
        made[-1].append(job)
        batch_of[job.stamp] = f"{job.rule}/batch-{len(made)}"

    def renamed(names):
        return tuple(dict.fromkeys(batch_of.get(name, name) for name in names))

    together = [
        Job(
            rule,
            f"batch-{number}",
            f"[{', '.join(job.argument for job in batch)}]",
            renamed(name for job in batch for name in job.after),
            sum(job.seconds for job in batch),
            max(job.megabytes for job in batch),
            max(job.gpu_megabytes for job in batch),
            sum(job.stored for job in batch),
            sum(job.card_seconds for job in batch),
        )
        for rule, made in batches.items()
        for number, batch in enumerate(made, 1)
    ]
    return [*together, *(replace(job, after=renamed(job.after)) for job in others)]


def as_plan(jobs):
    """Return the jobs as plain JSON values, with what a scheduler is asked for."""
    minutes = {job.stamp: int(MARGIN * job.seconds / 60) + LEAST_MINUTES for job in jobs}
    return {"jobs": [asdict(job) | {"minutes": minutes[job.stamp]} for job in jobs]}
