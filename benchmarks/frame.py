"""Errors of reconstructions near the frame of a patch: is table 1's padding lopsided?

``SAME`` pads one pixel more at the bottom and right where what it adds is odd. Whether it does so
here is asked of the network itself: if every kernel is its own mirror image, the network of a
mirrored patch is the mirrored network, unless padding is lopsided. Then the mean error of recorded
networks by row and column, of good images under SADEFECT_DATA.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np

from sadefect import RandomPatches, build_autoencoder, load_dataset
from sadefect.errors import DatasetNotFound
from sadefect.paper.run import trained_model
from sadefect.paper.store import stored_results, weights

from ._measure import report

CROPS, SIDES, DEPTHS = 64, ("top", "left", "bottom", "right"), (0, 1, 2, 4, 8)


def lopsided():
    """Return by how much a network of mirror-symmetric kernels differs between mirrored patches."""
    model = build_autoencoder(128, 100)
    generator = np.random.default_rng(0)
    for weight in model.trainable_weights:
        value = generator.normal(0, 0.05, weight.shape)
        if value.ndim == 4:
            value = (value + value[::-1]) / 2
            value = (value + value[:, ::-1]) / 2
        weight.assign(value)
    patch = generator.random((1, 128, 128, 1), "float32")
    mirrored = model.predict(patch[:, ::-1, ::-1], verbose=0)[:, ::-1, ::-1]
    plain = model.predict(patch, verbose=0)
    return float(np.abs(plain - mirrored).max() / np.abs(plain).max())


def rows():
    runs = [run.experiment for run in stored_results(["recorded"])]
    runs = {run.training_key: run for run in runs if run.method == "ssim" and weights(run)}
    for run in runs.values():
        try:
            images = [sample.image for sample in load_dataset(run.dataset).train[:20]]
        except DatasetNotFound:
            continue
        model, _ = trained_model(run)
        patches = RandomPatches(images, run.patch_size, CROPS).batch(0, CROPS)
        error = np.abs(patches - model.predict(patches, verbose=0))[..., 0].mean(axis=0)
        by_row, by_column = error.mean(axis=1), error.mean(axis=0)
        lines = {"top": by_row, "left": by_column, "bottom": by_row[::-1], "right": by_column[::-1]}
        inside = float(error[16:-16, 16:-16].mean())
        for side in SIDES:
            found = [float(lines[side][depth]) for depth in DEPTHS]
            yield (run.dataset, run.method, f"{run.patches_seen:,}", side, *found, inside)


columns = ("data", "method", "patches", "side", *(f"pixel {depth}" for depth in DEPTHS), "inside")
differs = lopsided()
report(
    "frame",
    columns,
    list(rows()),
    f"Mean |x - reconstruction| of {CROPS} random crops of good images. Between a patch and its "
    f"mirror image, a network of mirrored kernels differs by {differs:.1g} of its largest value: "
    f"padding is {'even' if differs < 1e-4 else 'lopsided'}.",
)
