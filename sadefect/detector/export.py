"""A detector's network for other runtimes; windows, averages and residuals stay here."""

import json
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np

from sadefect.errors import StoreError, require_choice
from sadefect.files import whole
from sadefect.methods import METHODS

FORMATS = {"onnx": ".onnx", "openvino": ".xml"}


def export_network(detector, path, format="onnx"):
    """Write a detector's network for another runtime: patches ``(B, P, P, 1)`` to reconstructions.

    It takes any batch size, float32. Settings and thresholds go along, as JSON: in ONNX under the
    property ``sadefect``, in OpenVINO in the runtime information of that name, with what to compile
    the network with: OpenVINO rounds to bfloat16 on processors that have it, unless it is told
    ``INFERENCE_PRECISION_HINT: f32``.

    Parameters
    ----------
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
        If the detector has no network, or the extra, ``sadefect[export]`` or
        ``sadefect[engine]``, is not installed.
    """
    path = Path(path)
    if detector.method not in METHODS:
        raise StoreError(
            f"expected a detector with a network to export; {detector.method} has none; `sadefect "
            "train` with another --method"
        )
    require_choice("format", format, FORMATS)
    if path.suffix != FORMATS[format]:
        raise ValueError(f"path must end in {FORMATS[format]} for {format}; received {path}")
    try:
        with whole(path) as temporary:
            (_write_onnx if format == "onnx" else _write_openvino)(detector, temporary)
            if format == "openvino":
                with whole(path.with_suffix(".bin")) as weights:
                    temporary.with_suffix(".bin").replace(weights)
    except ImportError as error:
        raise StoreError(
            f"expected the packages that export to {format}; got {error}; install them: "
            'pip install "sadefect[export,engine]"'
        ) from error
    return path


def _write_onnx(detector, path):
    import onnx
    import tf2onnx  # noqa: F401 - what Keras converts with.

    side = detector.patch_size  # Keras exports only what was called: a loaded one was not.
    detector.model_(np.zeros((1, side, side, 1), "float32"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # Keras's own, of numpy's old names.
        detector.model_.export(path, format="onnx", verbose=False)
    exported = onnx.load(path)
    onnx.helper.set_model_props(exported, {"sadefect": _settings(detector)})
    onnx.save(exported, path)


def _write_openvino(detector, path):
    import openvino

    from sadefect.inference.openvino import PRECISION, network

    exported = network(detector.model_)
    exported.set_rt_info(_settings(detector, compile_with=PRECISION), "sadefect")
    openvino.save_model(exported, path, compress_to_fp16=False)


def _settings(detector, **also):
    settings = {"settings": detector.get_params(), "thresholds": thresholds(detector)}
    settings["scoring"] = asdict(detector.scoring)  # What "auto" came to.
    return json.dumps(settings | also)


def thresholds(detector):
    """Return the default thresholds of a detector, as plain values."""
    return {
        "pixels": detector.threshold()._asdict(),
        "images": detector.image_threshold().as_dict(),
    }
