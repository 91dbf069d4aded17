"""Time to quality: CPU seconds until a schedule has brought the SSIM loss to a given value.

With NanoTWICE under SADEFECT_DATA, or the synthetic fibres. Each schedule trains from the same
weights on the same patches, one thread, two at a time; what is compared is the training loss alone,
over a thousand patches, so that no defect has a say in the choice.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace

from sadefect.errors import DatasetNotFound, TrainingDiverged
from sadefect.methods import SCHEDULES, Schedule
from sadefect.training.loop import train

from ._measure import report

BUDGET = 12_000  # Patches.
TRIED = {  # With the number of steps in which the rate rises to its value.
    "128 at 2e-4, the paper's rate": (SCHEDULES["paper"], 0),
    "128 at 1e-3": (Schedule(128, 1e-3), 0),
    "32 at 1e-3": (Schedule(32, 1e-3), 0),
    "16 at 5e-4, ours on a CPU": (SCHEDULES["cpu"], 0),
    "16 at 1e-3": (Schedule(16, 1e-3), 0),
    "16 at 1e-3, 300 steps of warm-up": (Schedule(16, 1e-3), 300),
    "8 at 5e-4": (SCHEDULES["small"], 0),
    "8 at 1e-3, 500 steps of warm-up": (Schedule(8, 1e-3), 500),
}


def data():
    from sadefect import load_dataset

    try:
        return load_dataset("nanotwice")
    except DatasetNotFound:
        return load_dataset("synthetic/fibres")


def rising(rate, steps):
    """A learning rate that grows from zero to ``rate``, and stays there."""
    import keras

    class Rising(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return rate * keras.ops.minimum(1.0, (keras.ops.cast(step, "float32") + 1) / steps)

        def __format__(self, spec):
            return format(rate, spec)

    return Rising()


def trial(schedule, warm_up):
    """Print the loss every thousand patches, and the CPU seconds of all."""
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, "1")  # Before the first import of keras.
    from sadefect import Experiment, RandomPatches

    dataset = data()
    experiment = Experiment(dataset=dataset.name)
    images = [one.image for one in dataset.train]
    patches = RandomPatches(images, 128, count=experiment.n_patches, seed=experiment.seed)
    if warm_up:
        schedule = replace(schedule, learning_rate=rising(schedule.learning_rate, warm_up))
    with tempfile.TemporaryDirectory() as folder:
        model, loss = experiment.build_model(), experiment.build_loss()
        start = time.process_time()
        try:
            curve = train(model, loss, patches, schedule, BUDGET, folder, keep=lambda n: [n])
        except TrainingDiverged as error:
            print(json.dumps({"diverged": str(error)}))
            return
        spent = time.process_time() - start
    found = {"patches": curve["patches_seen"].tolist(), "loss": curve["loss"].tolist()}
    print(json.dumps(found | {"seconds": spent}))


def trials():
    """All of `TRIED`, two at a time; their curves in CPU seconds."""
    waiting, working, found = list(TRIED.items()), {}, {}
    while waiting or working:
        while waiting and len(working) < min(2, os.cpu_count()):
            name, (schedule, warm_up) = waiting.pop(0)
            given = json.dumps([asdict(schedule), warm_up])
            command = [sys.executable, "-m", "benchmarks.schedules", given]
            working[name] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for name, process in list(working.items()):
            if process.poll() is not None:
                del working[name]
                found[name] = json.loads(process.stdout.read().splitlines()[-1])
                print(
                    name, found[name].get("diverged", found[name].get("loss", [])[-1:]), flush=True
                )
        time.sleep(0.5)
    return {name: found[name] for name in TRIED}


def seconds_until(curve, loss):
    """CPU seconds until the loss is at most this, or None; equal shares for all patches."""
    for patches, value in zip(curve.get("patches", []), curve.get("loss", []), strict=True):
        if value <= loss:
            return curve["seconds"] * patches / curve["patches"][-1]
    return None


def main():
    found = trials()
    slow = found["128 at 2e-4, the paper's rate"]
    goal = slow["loss"][-1]
    before = seconds_until(slow, goal)
    rows = []
    for name, curve in found.items():
        spent = seconds_until(curve, goal)
        rows.append(
            (
                name,
                float(curve["loss"][-1]) if "loss" in curve else "no reconstruction",
                float(curve.get("seconds", 0)),
                "-" if spent is None else float(spent),
                "-" if spent is None else float(before / spent),
            )
        )
    report(
        "schedules",
        ("batch and rate", "loss at the end", "CPU seconds", "to the first's end", "times fewer"),
        rows,
        f"SSIM loss, d = 500, {BUDGET:,} patches of {data().name}, seed 0, one thread each; the "
        f"fourth column: CPU seconds until the loss is {goal:.3f}, where the first ends.",
    )
    points = [
        (name, patches, loss, curve["seconds"] * patches / curve["patches"][-1])
        for name, curve in found.items()
        for patches, loss in zip(curve.get("patches", []), curve.get("loss", []), strict=True)
    ]
    report("schedules-curves", ("batch and rate", "patches", "loss", "CPU seconds"), points)


if len(sys.argv) > 1:
    given, warm_up = json.loads(sys.argv[1])
    trial(Schedule(**given), warm_up)
else:
    main()
