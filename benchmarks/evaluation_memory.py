"""Peak memory of scoring four images, and of scoring forty: it must not grow with their number."""

import resource
import subprocess
import sys
from dataclasses import replace

COUNTS = (4, 40)


def peak(count):
    """Megabytes of this process after scoring so many images of NanoTWICE's size, and before."""
    from sadefect import Experiment, build_autoencoder, load_dataset
    from sadefect.anomaly_maps import scored_map
    from sadefect.paper.run import evaluate_network

    data = load_dataset("synthetic/fibres")
    experiment = Experiment(dataset=data.name)
    model = build_autoencoder(latent_dim=500)  # What it costs does not depend on the weights.
    scored_map(model, data.train[0].image, experiment)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    evaluate_network(experiment, model, replace(data, test=data.test[:count]))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, before


if len(sys.argv) > 1:
    print(*peak(int(sys.argv[1])))
else:
    peaks = {}
    print(f"{'images':>6} {'peak MB':>8} {'MB above one image':>19}")
    for count in COUNTS:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.evaluation_memory", str(count)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        peaks[count], before = map(float, done.stdout.split()[-2:])
        print(f"{count:6} {peaks[count]:8.0f} {peaks[count] - before:19.0f}")
    few, many = (peaks[count] for count in COUNTS)
    print(f"peak of {COUNTS[1]} images over that of {COUNTS[0]}: {many / few:.2f}")
