"""A detector's network for other runtimes; windows, averages and residuals stay here."""

import json
from pathlib import Path

import numpy as np

from .errors import StoreError
from .files import whole

FORMATS = {"onnx": ".onnx", "openvino": ".xml"}


def export(detector, path, format="onnx"):
    """Write patches ``(B, P, P, 1)`` to reconstructions; any batch size, float32.

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
        If the format is not known, or the path does not end as it should.
    StoreError
        If the extra ``sadefect[export]`` is not installed.
    """
    path = Path(path)
    if format not in FORMATS:
        raise ValueError(f"format must be one of {tuple(FORMATS)}; received {format!r}")
    if path.suffix != FORMATS[format]:
        raise ValueError(f"path must end in {FORMATS[format]} for {format}; received {path}")
    try:
        import onnx

        if format == "openvino":
            import openvino
    except ImportError as error:
        raise StoreError(
            f"expected the packages that export to {format}; got {error}; install them: "
            'pip install "sadefect[export]"'
        ) from error
    side = detector.patch_size  # Keras exports only what was called: a loaded detector was not.
    detector.model_(np.zeros((1, side, side, 1), "float32"))
    settings = {"settings": detector.get_params(), "thresholds": thresholds(detector)}
    with whole(path) as temporary:
        first = temporary.with_suffix(".onnx")
        detector.model_.export(first, format="onnx", verbose=False)
        if format == "onnx":
            network = onnx.load(first)
            onnx.helper.set_model_props(network, {"sadefect": json.dumps(settings)})
            onnx.save(network, temporary)
        else:
            network = openvino.convert_model(first)
            network.set_rt_info(json.dumps(settings), "sadefect")
            openvino.save_model(network, temporary, compress_to_fp16=False)
            with whole(path.with_suffix(".bin")) as weights:
                temporary.with_suffix(".bin").replace(weights)
    return path


def thresholds(detector):
    """What goes with the network, as plain values."""
    return {
        "pixels": detector.threshold()._asdict(),
        "images": detector.image_threshold().as_dict(),
    }
