"""Exported networks give what Keras gives; in `make test-slow`, which installs the extra."""

import json
import sys

import numpy as np
import pytest

from sadefect import Detector, StoreError
from sadefect.detector import export as exporting

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SADEFECT_CACHE", str(tmp_path_factory.mktemp("store")))
        images = [RNG.random((40, 60), dtype="float32") for _ in range(2)]
        fitted = Detector(patch_size=32, latent_dim=8, window_size=7, patches=320).fit(images)
    return Detector.load(fitted.save(tmp_path_factory.mktemp("saved") / "one.sadefect"))


def onnx(path):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path)
    said = session.get_modelmeta().custom_metadata_map["sadefect"]
    name = session.get_inputs()[0].name
    return said, lambda batch: session.run(None, {name: batch})[0]


def openvino(path):
    runtime = pytest.importorskip("openvino")
    network = runtime.Core().read_model(path)
    said = network.get_rt_info("sadefect").value
    compiled = runtime.compile_model(network, "CPU", json.loads(said)["compile_with"])
    return said, lambda batch: compiled(batch)[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format", "suffix", "opened"), [("onnx", "onnx", onnx), ("openvino", "xml", openvino)]
)
def test_an_exported_network_gives_the_same(detector, tmp_path, format, suffix, opened):
    pytest.importorskip({"onnx": "tf2onnx", "openvino": "openvino"}[format])
    path = detector.export(tmp_path / f"network.{suffix}", format)
    said, run = opened(path)
    assert json.loads(said)["settings"] == detector.get_params()
    assert json.loads(said)["thresholds"]["pixels"]["value"] == detector.threshold().value
    for size in (1, 5):
        batch = RNG.random((size, 32, 32, 1), dtype="float32")
        expected = np.asarray(detector.model_.predict_on_batch(batch))
        assert np.abs(run(batch) - expected).max() < 1e-4


@pytest.mark.parametrize(
    ("path", "format", "message"),
    [("a.onnx", "tflite", "format must be one of"), ("a.bin", "onnx", "must end in .onnx")],
)
def test_what_cannot_be_written_is_refused(path, format, message):
    with pytest.raises(ValueError, match=message):
        exporting.export_network(Detector(), path, format)


def test_a_missing_extra_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(StoreError, match=r"sadefect\[export,engine\]"):
        exporting.export_network(Detector(), "a.onnx")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(StoreError, match="export to openvino"):
        exporting.export_network(Detector(), "a.xml", "openvino")
