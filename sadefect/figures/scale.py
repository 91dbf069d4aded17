"""What the whole paper takes on one machine or many, and what gives way in a large sweep.

All follows from the seconds and sizes of recorded results, and from the
benchmarks ``scheduling`` and ``reading``.
"""

import heapq
from collections import defaultdict
from statistics import fmean
from typing import NamedTuple

from IPython.display import Markdown
from matplotlib.ticker import LogLocator, NullFormatter

from sadefect.figures.style import Figure
from sadefect.figures.tables import percent, table
from sadefect.figures.timings import line_charts
from sadefect.paper import recording
from sadefect.paper.experiment import Experiment
from sadefect.paper.jobs import MEMORY, Costs, forecast, scoring_jobs, training_jobs
from sadefect.paper.rules import listed
from sadefect.paper.store import empty_store, recorded_folder, stored_results
from sadefect.provenance import describe_machine
from sadefect.training.trajectory import keeps_state, milestones

LAPTOP, CLUSTER = 2, 100  # Cores.
CARD = 80_000  # Megabytes of a large card.
CORES = (1, LAPTOP, 4, 8, 16, 32, 64, CLUSTER, 200, 400)
# What is at hand in many places. Of a dry run: what we ask of it; of a page: what its job asks for.
DRY_RUN, DRY_RUN_MEMORY = 30, 1000  # Seconds, megabytes.
PATIENCE = 60  # Seconds until a page has read all results.
UNUSED = 10**6  # A seed of which nothing is recorded.
DISK, FILES, YEAR = 1e12, 1_000_000, 365 * 24  # Bytes, objects, hours.


def paper_jobs():
    """Return the trainings and scorings of the whole paper, from an empty store.

    What is recorded counts as scored; pages are left out.
    """
    with empty_store():
        return recording.jobs_for(list(recording.GROUPS))


def full_forecast():
    """Return what `paper_jobs` take, as `sadefect.paper.jobs.forecast` has it."""
    return forecast(paper_jobs())


def hours_on(jobs, workers):
    """Return the hours until jobs are done by so many workers, each with one core.

    A worker takes the first job in the list that waits for none. Workers are as fast as the machine
    of the recorded results, and nothing is lost in between.

    Parameters
    ----------
    jobs : list of `sadefect.paper.jobs.Job`
    workers : int

    Returns
    -------
    float
    """
    places = {job.stamp: place for place, job in enumerate(jobs)}
    waits_for = {job.stamp: {name for name in job.after if name in places} for job in jobs}
    followers = defaultdict(list)
    for stamp, names in waits_for.items():
        for name in names:
            followers[name].append(stamp)
    ready = [places[stamp] for stamp, names in waits_for.items() if not names]
    heapq.heapify(ready)
    running, now = [], 0.0
    while ready or running:
        while ready and len(running) < workers:
            place = heapq.heappop(ready)
            heapq.heappush(running, (now + jobs[place].seconds, place))
        now, place = heapq.heappop(running)
        for stamp in followers[jobs[place].stamp]:
            waits_for[stamp].remove(jobs[place].stamp)
            if not waits_for[stamp]:
                heapq.heappush(ready, places[stamp])
    return now / 3600


def _days(hours):
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours"


def forecast_sentence(jobs) -> Markdown:
    """Say what all jobs take: in sum, on a laptop, on a cluster, and at the very least."""
    row = forecast(jobs)[-1]
    laptop, cluster = (_days(hours_on(jobs, cores)) for cores in (LAPTOP, CLUSTER))
    return Markdown(
        f"The whole paper is {row['jobs']:,} jobs and {row['core_hours']:,.0f} core-hours: "
        f"{laptop} on a laptop with {LAPTOP} cores, {cluster} on {CLUSTER} cores, and at least "
        f"{_days(row['longest_hours'])} on any number of cores, because some jobs wait for others."
    )


def growth(jobs, measured) -> Figure:
    """Draw days against cores, and beside it seconds of a dry run against experiments.

    Parameters
    ----------
    jobs : list of `sadefect.paper.jobs.Job`
    measured : `sadefect.figures.timings.Benchmark`
        Of ``scheduling``.
    """
    longest = forecast(jobs)[-1]["longest_hours"] / 24
    days = [hours_on(jobs, cores) / 24 for cores in CORES]
    dry_runs = {
        f"{kind} trainings": [
            measured.column(column, trainings=kind) for column in ("experiments", "CPU seconds")
        ]
        for kind in dict.fromkeys(measured.column("trainings"))
    }
    figure = line_charts(
        {
            "the whole paper": {
                "curves": {"": (CORES, days)},
                "labels": ("cores", "days"),
                "limit": ("the longest chain of jobs", longest),
                "log": "xy",
                "ticks": (1, LAPTOP, 8, 32, CLUSTER, 400),
            },
            "a dry run": {
                "curves": dry_runs,
                "labels": ("experiments", "CPU seconds"),
                "limit": ("what we ask of it", DRY_RUN),
                "log": "xy",
                "ticks": (1, 100, 10_000),
            },
        }
    )
    for axes in figure.axes:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    left, right = figure.axes
    left.set_ylim(longest / 2, None)  # Room for the name of the line,
    right.set_ylim(None, 3 * DRY_RUN)  # and for the legend above it.
    for name, cores in {"a laptop": LAPTOP, "a cluster": CLUSTER}.items():
        point = (cores, hours_on(jobs, cores) / 24)
        left.annotate(name, point, (6, 6), textcoords="offset points", fontsize=9)
    return figure


def card_sentence(jobs) -> Markdown:
    """Say on what card trainings are recorded, and how much faster it is than a core."""
    with empty_store():
        made = [result.provenance["machine"] for result in stored_results()]
    cards = dict.fromkeys(describe_machine(machine) for machine in made if "card" in machine)
    if not cards:
        return Markdown("No training was recorded on a card: its hours are those of a core.")
    trainings = [job for job in jobs if job.rule == "train"]
    times = sum(job.seconds for job in trainings) / sum(job.card_seconds for job in trainings)
    return Markdown(
        f"The hours of a card are those of {listed(list(cards))}: together they see {times:,.0f} "
        "times as many patches a second as one core. A chain of jobs that wait for each other is "
        "slower than that, since it has a part of the card."
    )


def machines_table(jobs) -> Markdown:
    """Tabulate what all jobs take on a laptop, on many cores and on one card."""
    row, on_card = forecast(jobs)[-1], forecast(jobs, gpu=True)[-1]
    trainings = [job for job in jobs if job.rule == "train"]
    side_by_side = CARD // max(job.gpu_megabytes for job in trainings)
    gigabytes = max(job.megabytes for job in jobs) / 1000
    rows = [
        (
            name, _days(hours_on(jobs, cores)), f"{row['core_hours']:,.0f} core-hours",
            f"{cores * gigabytes:,.0f} GB", f"{row['gigabytes']:,.0f} GB",
        )
        for name, cores in (
            (f"a laptop, {LAPTOP} cores", LAPTOP),
            ("16 cores", 16),
            (f"a cluster, {CLUSTER} cores", CLUSTER),
        )
    ]  # fmt: skip
    rows.append(
        (
            f"one card of {CARD / 1000:.0f} GB, {side_by_side} trainings side by side",
            f"at least {_days(on_card['gpu_hours'])}", f"{on_card['gpu_hours']:,.0f} GPU-hours",
            f"{side_by_side * gigabytes:,.0f} GB", f"{row['gigabytes']:,.0f} GB",
        )
    )  # fmt: skip
    return table(("where", "time", "work", "memory", "stored"), rows)


def workers_sentence(measured) -> Markdown:
    """Say what trainings side by side gain, and what they take from each other if it is known.

    Parameters
    ----------
    measured : `sadefect.figures.timings.Benchmark`
        Of ``training-workers``.
    """
    (one, alone, _), (several, both, times), *one_core = measured.rows
    text = (
        f"Trainings, {several}, take {both:,.0f} patches a second in all, {one} {alone:,.0f}: "
        f"{times:.2f} times as many. "
    )
    if not one_core:
        text += (
            "What one training reaches on one core while the other is idle was not measured yet, "
            "so this does not say how much two take from each other."
        )
    for _, speed, _ in one_core:
        number = int(several.split()[0])
        text += f"Each takes {percent(both / number / speed)} of what it takes alone."
    return Markdown(text)


class Need(NamedTuple):
    """What each further experiment of a sweep needs of something, and how much there is of it."""

    what: str
    each: float
    there: float
    unit: str
    start: float = 0.0  # What is needed for none.

    @property
    def experiments(self):
        """How many experiments there is enough for."""
        return max(0, int((self.there - self.start) / self.each))


def sweep_needs(scheduling, reading):
    """List what a sweep needs for each experiment, what runs out first leading.

    Each experiment has the paper's full budget and one scoring.

    Parameters
    ----------
    scheduling, reading : `sadefect.figures.timings.Benchmark`
        Of ``scheduling`` and ``reading``.

    Returns
    -------
    list of Need
    """
    experiment, costs = Experiment(dataset="nanotwice", seed=UNUSED), Costs()
    with empty_store():
        training, *_ = training_jobs([experiment], costs)
        scoring, *_ = scoring_jobs([experiment], [], costs)
    marks = milestones(experiment.patches_seen)
    files = len(marks) + sum(keeps_state(mark, experiment.patches_seen) for mark in marks)
    files += 2 + 2  # The last state and the settings; metrics and curves.
    bytes_scored = fmean(
        sum(path.stat().st_size for path in folder.iterdir())
        for folder in (recorded_folder() / "evaluations").iterdir()
    )
    (few, many), seconds = _ends(scheduling, "experiments"), _ends(scheduling, "CPU seconds")
    megabytes, first = _ends(scheduling, "MB"), reading.rows[0][0]
    number = many - few
    hours = (training.seconds + scoring.seconds) / 3600
    needs = [
        Need("CPU time of a dry run", (seconds[1] - seconds[0]) / number, DRY_RUN, "s",
             seconds[0]),
        Need("memory of a dry run", (megabytes[1] - megabytes[0]) / number, DRY_RUN_MEMORY,
             "MB", megabytes[0]),
        Need("memory of a page that reads all results", reading.value("MB a result", first),
             MEMORY["page"], "MB"),
        Need("CPU time of a page that reads all results",
             reading.value("CPU ms a result", first) / 1000, PATIENCE, "s"),
        Need("number of files in the store", files, FILES, "files"),
        Need("size of the store", (training.stored + bytes_scored) / 1e9, DISK / 1e9, "GB"),
        Need(f"work of {CLUSTER} cores in a year", hours, CLUSTER * YEAR, "core-hours"),
    ]  # fmt: skip
    return sorted(needs, key=lambda need: need.experiments)


def _ends(measured, column):
    """Return the smallest and the largest of a column, of trainings that are jobs of their own."""
    values = measured.column(column, trainings="long")
    return values[0], values[-1]


def needs_table(needs, experiments) -> Markdown:
    """Tabulate what so many experiments need, what there is, and for how many it is enough."""
    rows = [
        (
            need.what, f"{need.start + need.each * experiments:,.0f} {need.unit}",
            f"{need.there:,.0f} {need.unit}", need.experiments,
        )
        for need in needs
    ]  # fmt: skip
    header = ("what", f"for {experiments:,} experiments", "assumed available", "enough for")
    return table(header, rows)


def breaks_first(needs, experiments) -> Markdown:
    """Say what runs out first, and what comes before the number of experiments asked about."""
    first, *_ = needs
    short = [need.what for need in needs if need.experiments < experiments]
    return Markdown(
        f"What breaks first is the {first.what}: {first.there:,.0f} {first.unit} are enough for "
        f"{first.experiments:,} experiments. At {experiments:,}, {len(short)} of {len(needs)} have "
        "run out."
    )
