"""An image of NanoTWICE's size, window by window: our map beside what a plain `predict` costs."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np

from sadefect import Experiment, anomaly_map, load_dataset, windows
from sadefect.anomaly_maps import scored_map
from sadefect.paper.headline import own_scoring
from sadefect.paper.run import trained_model
from sadefect.provenance import chosen_engine
from sadefect.structural_similarity import ssim_residual

from ._measure import gflop, peak, ratio, report, taking_turns

TRAINED = Experiment(dataset="nanotwice", seed=1, patches_seen=113_000)  # Weights are recorded.
IMAGES = 5  # On which the engines' maps are compared.

data = load_dataset("synthetic/fibres")
image = data.test[0].image
model, _ = trained_model(TRAINED)
views, corners = windows(image)
patches = views[corners[:, 0], corners[:, 1]][..., None]


def map_by(engine):
    def call():
        os.environ["SADEFECT_ENGINE"] = engine
        return anomaly_map(model, image)

    return call


def scored_our_way():
    os.environ["SADEFECT_ENGINE"] = "openvino"
    return scored_map(model, image, own_scoring(TRAINED))


calls = {
    "predict": lambda: model.predict(patches, verbose=0),
    "our map, Keras": map_by("keras"),
}
fast = chosen_engine() == "openvino"
if fast:
    calls["our map, OpenVINO"] = map_by("openvino")
    calls["our scoring, maps averaged"] = scored_our_way
calls["our SSIM map alone"] = lambda: ssim_residual(image, image)
times = taking_turns(calls, rounds=8)
work = len(patches) * gflop(model)
limit = peak()
report(
    "inference",
    ("what", "seconds", "predict over it", "of the peak"),
    [
        (
            name,
            float(np.median(found)),
            ratio(times, "predict", name),
            "-" if "alone" in name else float(work / np.median(found) / limit),
        )
        for name, found in times.items()
    ],
    f"{image.shape[1]}x{image.shape[0]} pixels, {len(patches)} patches, d = 500, "
    f"{os.cpu_count()} cores. predict: the network alone over all patches at once, without "
    f"averages and SSIM. {work:.0f} GFLOP; float32 matrix products reach {limit:.0f} GFLOP/s.",
)
if fast:
    rows = []
    for number in range(IMAGES):
        image = data.test[number].image
        maps = [map_by(engine)() for engine in ("keras", "openvino")]
        rows.append([number, *(float(abs(a - b).max()) for a, b in zip(*maps, strict=True))])
    report(
        "inference-equality",
        ("image", "reconstructions differ by", "maps differ by"),
        rows,
        f"Largest difference of a pixel between the engines, {data.name}, a trained network.",
    )
