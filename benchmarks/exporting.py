"""Exported networks in their runtimes beside Keras: patches per second, and how they differ."""

import json
import os
import tempfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np

from sadefect import Detector, load_dataset

from ._measure import installed, ratio, report, taking_turns

BATCH, BATCHES = 16, 8

images = [sample.image for sample in load_dataset("synthetic/weave").train[:10]]
detector = Detector(latent_dim=500, patches=320).fit(images)
patches = np.random.default_rng(0).random((BATCH, 128, 128, 1), dtype="float32")


def repeated(call):
    return lambda: [call() for _ in range(BATCHES)]


def keras():
    return np.asarray(detector.model_.predict_on_batch(patches))


def onnx_runtime(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: patches})[0]


def openvino(path):
    import openvino as runtime

    network = runtime.Core().read_model(path)
    told = json.loads(network.get_rt_info("sadefect").value)["compile_with"]
    compiled = runtime.compile_model(network, "CPU", told)
    return lambda: compiled(patches)[0]


calls = {"Keras, predict_on_batch": keras}
with tempfile.TemporaryDirectory() as folder:
    if installed("tf2onnx", "onnxruntime"):
        calls["ONNX in ONNX Runtime"] = onnx_runtime(detector.export(Path(folder, "a.onnx")))
    if installed("openvino"):
        path = detector.export(Path(folder, "a.xml"), "openvino")
        calls["OpenVINO's own file"] = openvino(path)
    expected = keras()
    apart = {name: float(np.abs(call() - expected).max()) for name, call in calls.items()}
    times = taking_turns({name: repeated(call) for name, call in calls.items()}, rounds=8)
report(
    "exporting",
    ("network", "patches/s", "over Keras", "differs by"),
    [
        (
            name,
            float(BATCH * BATCHES / np.median(found)),
            ratio(times, "Keras, predict_on_batch", name),
            apart[name],
        )
        for name, found in times.items()
    ],
    f"d = 500, batches of {BATCH}, {os.cpu_count()} cores; the largest difference of a pixel.",
)
