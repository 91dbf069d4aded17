"""What runs a trained network over patches: Keras, or OpenVINO where it is installed.

OpenVINO fuses layers and knows CPUs. The network is handed to it layer by layer, so that any Keras
backend can be the one that trained it; it is used only after it gave what Keras gives on a trial
patch, and made anew when the weights have changed.
"""

import hashlib
import logging
import os
import warnings
from importlib import metadata, util
from weakref import WeakKeyDictionary

import keras
import numpy as np

from sadefect.models import GaussianLatent

BATCH = 32  # Patches per forward pass; more do not fit into a CPU's cache.
TOLERANCE = 1e-4  # Of the trial patch's largest value, or of 1, whichever is larger.
CHOICES = ("auto", "openvino", "keras")
# Not bfloat16, in which OpenVINO computes otherwise on processors that have it.
PRECISION = {"INFERENCE_PRECISION_HINT": "f32"}
log = logging.getLogger(__name__)
_compiled = WeakKeyDictionary()


class Unsupported(Exception):
    """A network that OpenVINO is not given."""


def chosen():
    """The engine that `SADEFECT_ENGINE` asks for; "auto" takes OpenVINO where that is faster.

    Returns
    -------
    {"openvino", "keras"}

    Raises
    ------
    ValueError
        If the variable holds something else, or asks for OpenVINO and it is not installed.
    """
    asked = os.environ.get("SADEFECT_ENGINE", "auto")
    if asked not in CHOICES:
        raise ValueError(f"SADEFECT_ENGINE must be one of {CHOICES}; received {asked!r}")
    installed = util.find_spec("openvino") is not None
    if asked == "openvino" and not installed:
        raise ValueError(
            "SADEFECT_ENGINE=openvino needs OpenVINO, which is not installed: pip install openvino"
        )
    if asked == "keras" or not installed:
        return "keras"
    # OpenVINO computes on the CPU here; Keras with a GPU is faster.
    return "openvino" if asked == "openvino" or _keras_is_on_cpu() else "keras"


def _keras_is_on_cpu():
    """Asked of an array, since not every backend can list its devices."""
    return "cpu" in str(keras.ops.zeros(1).device).lower()


def describe():
    """The engine and its version, as provenance has it: "OpenVINO 2026.4.1", or "Keras 3.15.1"."""
    name = {"openvino": "OpenVINO", "keras": "Keras"}[chosen()]
    return f"{name} {metadata.version(name.lower())}"


def forward(model):
    """A function from patches ``(B, P, P, C)`` to what a network makes of them, by the engine.

    Parameters
    ----------
    model : keras.Model
        With one input and one output; it may change afterwards, see below.

    Returns
    -------
    callable
        Takes and gives float32 arrays, at most `BATCH` patches at a time. It has the weights that
        the model has now: call `forward` again after they change, which costs some milliseconds if
        they did not, and a compilation of about a tenth of a second if they did.

    Raises
    ------
    ValueError
        As `chosen` does.

    Examples
    --------
    >>> from sadefect import build_autoencoder
    >>> forward(build_autoencoder(32, 4))(np.zeros((2, 32, 32, 1), "float32")).shape
    (2, 32, 32, 1)
    """
    if chosen() == "keras":
        return _by_keras(model)
    digest = _digest(model)
    if _compiled.get(model, (None,))[0] != digest:
        try:
            run = _by_openvino(model)
        except Unsupported as error:
            warnings.warn(f"Keras runs this network, slower than OpenVINO: {error}", stacklevel=2)
            run = None  # A function of Keras here would hold the model for good.
        else:
            log.info("%s runs the network", describe())
        _compiled[model] = digest, run
    return _compiled[model][1] or _by_keras(model)


def _digest(model):
    """Changes when a weight does."""
    digest = hashlib.blake2b(digest_size=16)
    for variable in model.variables:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(variable)))
    return digest.digest()


def _by_keras(model):
    def run(batch):
        # A batch of another size would make some backends compile a second time.
        missing = np.zeros((max(0, BATCH - len(batch)), *batch.shape[1:]), "float32")
        outputs = model.predict_on_batch(np.concatenate([batch, missing]))
        return keras.ops.convert_to_numpy(outputs)[: len(batch)]

    return run


def _threads():
    """As many as the backends were asked to use; in `OMP_NUM_THREADS`."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return {"INFERENCE_NUM_THREADS": int(asked)} if asked.isdigit() and int(asked) else {}


def _by_openvino(model):
    import openvino

    compiled = openvino.Core().compile_model(
        network(model),
        "CPU",
        PRECISION | {"PERFORMANCE_HINT": "LATENCY"} | _threads(),
    )
    request = compiled.create_infer_request()

    def run(batch):
        return request.infer(np.ascontiguousarray(batch))[0].copy()  # It writes there again.

    trial = np.random.default_rng(0).random((1, *model.input_shape[1:]), "float32")
    expected, got = keras.ops.convert_to_numpy(model(trial, training=False)), run(trial)
    if expected.shape != got.shape:
        raise Unsupported(f"expected {expected.shape} from it, got {got.shape}")
    error = float(np.abs(expected - got).max()) / max(1.0, float(np.abs(expected).max()))
    if not error <= TOLERANCE:
        raise Unsupported(f"a trial patch differs by {error:.1e} of its largest value")
    return run


def _layers(model):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer


def network(model):
    """A network in OpenVINO's operations, with the weights that it has now.

    Parameters
    ----------
    model : keras.Model
        A chain of convolutions and activations, as all of `sadefect.models` are.

    Returns
    -------
    openvino.Model
        Patches ``(B, P, P, C)`` to what the Keras model makes of them, float32.

    Raises
    ------
    Unsupported
        If it has a layer that is not known here.
    """
    import openvino
    from openvino import opset13 as ops

    start = ops.parameter([-1, *model.input_shape[1:]], np.float32, name=model.inputs[0].name)
    x = ops.transpose(start, ops.constant([0, 3, 1, 2]))  # Inside, (B, C, H, W).
    for layer in _layers(model):
        # Classes themselves: a subclass may compute something else.
        kind = type(layer)
        if kind is keras.layers.Conv2D:
            x = _with_activation(ops, _convolution(ops, layer, x), layer)
        elif kind is keras.layers.Conv2DTranspose:
            x = _with_activation(ops, _transposed_convolution(ops, layer, x), layer)
        elif kind is keras.layers.LeakyReLU:
            x = ops.prelu(x, _constant(ops, [layer.negative_slope]))
        elif kind is keras.layers.Activation:
            x = _with_activation(ops, x, layer)
        elif kind is GaussianLatent:  # Which is the mean, but in training.
            x = ops.split(x, ops.constant(1), 2).output(0)
        else:
            raise Unsupported(f"its layer {layer.name} is a {kind.__name__}")
    x = ops.transpose(x, ops.constant([0, 2, 3, 1]))
    return openvino.Model([x], [start], model.name)


def _constant(ops, array):
    return ops.constant(np.ascontiguousarray(array, "float32"))


def _with_activation(ops, x, layer):
    name = getattr(layer.activation, "__name__", None)
    if name not in ("linear", "relu", "sigmoid", "tanh"):
        raise Unsupported(f"its layer {layer.name} has the activation {name}")
    return x if name == "linear" else getattr(ops, name)(x)


def _with_bias(ops, x, layer, repeats=1):
    if not layer.use_bias:
        return x
    bias = np.tile(keras.ops.convert_to_numpy(layer.bias), repeats)
    return ops.add(x, _constant(ops, bias.reshape(1, -1, 1, 1)))


def _check(layer):
    square = len(set(layer.kernel_size)) == len(set(layer.strides)) == 1
    if not square or set(layer.dilation_rate) != {1} or getattr(layer, "groups", 1) != 1:
        raise Unsupported(f"its layer {layer.name} is dilated, grouped or not square")
    return keras.ops.convert_to_numpy(layer.kernel), layer.kernel_size[0], layer.strides[0]


def _convolution(ops, layer, x):
    kernel, side, stride = _check(layer)
    missing = [0, 0]
    if layer.padding == "same":
        missing = [
            max((-(-n // stride) - 1) * stride + side - n, 0) for n in layer.input.shape[1:3]
        ]
    x = ops.convolution(
        x,
        _constant(ops, kernel.transpose(3, 2, 0, 1)),
        strides=[stride, stride],
        pads_begin=[n // 2 for n in missing],
        pads_end=[n - n // 2 for n in missing],
        dilations=[1, 1],
    )
    return _with_bias(ops, x, layer)


def _transposed_convolution(ops, layer, x):
    kernel, side, stride = _check(layer)
    if side < stride or layer.output_padding is not None:
        raise Unsupported(f"its layer {layer.name} leaves gaps")
    if (side, stride, layer.padding, layer.filters) == (4, 2, "same", 1):
        return _phases(ops, layer, kernel, x)
    spare = side - stride if layer.padding == "same" else 0
    x = ops.convolution_backprop_data(
        x,
        _constant(ops, kernel.transpose(3, 2, 0, 1)),
        strides=[stride, stride],
        pads_begin=[spare // 2] * 2,
        pads_end=[spare - spare // 2] * 2,
        dilations=[1, 1],
    )
    return _with_bias(ops, x, layer)


def _phases(ops, layer, kernel, x):
    """A 4x4 transposed convolution of stride 2 to one channel, four times faster.

    Even and odd rows and columns of the output are four channels of a 3x3 convolution, which a
    processor's vectors can be filled with; one channel leaves most of them empty.
    """
    weights = np.zeros((2, 2, kernel.shape[3], 3, 3), "float32")
    for row, column in np.ndindex(2, 2):  # Of the output, even or odd.
        for down, right in np.ndindex(3, 3):  # Of the input, from one before to one after.
            tap = row + 3 - 2 * down, column + 3 - 2 * right
            if min(tap) >= 0 and max(tap) < 4:
                weights[row, column, :, down, right] = kernel[tap][0]
    x = ops.convolution(
        x,
        _constant(ops, weights.reshape(4, -1, 3, 3)),
        strides=[1, 1],
        pads_begin=[1, 1],
        pads_end=[1, 1],
        dilations=[1, 1],
    )
    return ops.depth_to_space(_with_bias(ops, x, layer, 4), "blocks_first", 2)
