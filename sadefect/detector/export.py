"""A detector's network for other runtimes; windows, averages and residuals stay here."""

import json
import warnings
from pathlib import Path

import numpy as np

from sadefect.errors import StoreError, require_choice
from sadefect.files import whole
from sadefect.inference.openvino import PRECISION, network

FORMATS = {"onnx": ".onnx", "openvino": ".xml"}


def export_network(detector, path, format="onnx"):
    """Write patches ``(B, P, P, 1)`` to reconstructions; any batch size, float32.

    Settings and thresholds go along, as JSON: in ONNX under the property ``sadefect``, in OpenVINO
    in the runtime information of that name, with what to compile the network with: OpenVINO rounds
    to bfloat16 on processors that have it, unless it is told ``INFERENCE_PRECISION_HINT: f32``.

    Parameters
    ----------
    detector : Detector
    path : path
        Ends in ``.onnx``, or ``.xml`` for OpenVINO, whose weights lie beside it as ``.bin``.
    format : {"onnx", "openvino"}

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If the format is not known, or the path has another suffix.
    StoreError
        If the extra, ``sadefect[export]`` or ``sadefect[engine]``, is not installed.
    """
    path = Path(path)
    require_choice("format", format, FORMATS)
    if path.suffix != FORMATS[format]:
        raise ValueError(f"path must end in {FORMATS[format]} for {format}; received {path}")
    try:
        write = {"onnx": _onnx, "openvino": _openvino}[format](detector)
    except ImportError as error:
        raise StoreError(
            f"expected the packages that export to {format}; got {error}; install them: "
            'pip install "sadefect[export,engine]"'
        ) from error
    settings = {"settings": detector.get_params(), "thresholds": thresholds(detector)}
    if format == "openvino":
        settings["compile_with"] = PRECISION
    with whole(path) as temporary:
        write(temporary, json.dumps(settings))
        if format == "openvino":
            with whole(path.with_suffix(".bin")) as weights:
                temporary.with_suffix(".bin").replace(weights)
    return path


def _onnx(detector):
    import onnx
    import tf2onnx  # noqa: F401 - what Keras converts with.

    def write(path, said):
        side = detector.patch_size  # Keras exports only what was called: a loaded one was not.
        detector.model_(np.zeros((1, side, side, 1), "float32"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # Keras's own, of numpy's old names.
            detector.model_.export(path, format="onnx", verbose=False)
        network = onnx.load(path)
        onnx.helper.set_model_props(network, {"sadefect": said})
        onnx.save(network, path)

    return write


def _openvino(detector):
    import openvino

    def write(path, said):
        converted = network(detector.model_)
        converted.set_rt_info(said, "sadefect")
        openvino.save_model(converted, path, compress_to_fp16=False)

    return write


def thresholds(detector):
    """Return the default thresholds of a detector, as plain values."""
    return {
        "pixels": detector.threshold()._asdict(),
        "images": detector.image_threshold().as_dict(),
    }
