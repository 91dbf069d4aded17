"""Time and memory of a map against the image's size and SSIM's window: both grow as they should."""

import os
import resource
import subprocess
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np

from ._measure import report, taking_turns

SIDES = (256, 512, 1024, 2048)


def measure(side, window):
    """Print patches, seconds and megabytes above those of a small image."""
    from sadefect import anomaly_map, build_autoencoder, windows

    model = build_autoencoder(latent_dim=500)
    image = np.random.default_rng(0).random((side, side), dtype="float32")
    anomaly_map(model, image[:256, :256], window_size=window)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rounds = max(1, 1024 // side)
    found = taking_turns({0: lambda: anomaly_map(model, image, window_size=window)}, rounds, 0)[0]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(len(windows(image)[1]), np.median(found), grown)


def found(side, window=11):
    command = [sys.executable, "-m", "benchmarks.scaling", str(side), str(window)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()[-3:]]


if len(sys.argv) > 1:
    measure(*map(int, sys.argv[1:]))
else:
    rows = []
    for side in SIDES:
        patches, seconds, megabytes = found(side)
        pixels = side**2 / 1e6
        rows.append(
            (
                f"{side}x{side}",
                int(patches),
                seconds,
                1e3 * seconds / patches,
                megabytes,
                megabytes / pixels,
            )
        )
    report(
        "scaling",
        ("image", "patches", "seconds", "ms per patch", "MB", "MB per megapixel"),
        rows,
        "Memory above that of an image of 256x256 pixels.",
    )
    rows = [(window, *found(1024, window)[1:]) for window in (3, 11, 19)]
    report("scaling-window", ("window", "seconds", "MB"), rows, "An image of 1024x1024 pixels.")
