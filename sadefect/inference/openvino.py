"""A Keras network in OpenVINO's operations, layer by layer."""

import os

import keras
import numpy as np
import openvino
from openvino import opset13 as ops

from sadefect.models import GaussianLatent

TOLERANCE = 1e-4  # Of the trial patch's largest value, or of 1, whichever is larger.
# Not bfloat16, in which OpenVINO computes otherwise on processors that have it.
PRECISION = {"INFERENCE_PRECISION_HINT": "f32"}


class Unsupported(Exception):
    """A network that OpenVINO is not given."""


def compiled(model):
    """Return a function that runs a network with OpenVINO, after a trial against Keras.

    It raises `Unsupported` as `network` does, and if the trial patch differs.
    """
    options = PRECISION | {"PERFORMANCE_HINT": "LATENCY"}
    asked = os.environ.get("OMP_NUM_THREADS", "")  # Of the backends too.
    if asked.isdigit() and int(asked):
        options["INFERENCE_NUM_THREADS"] = int(asked)
    request = openvino.Core().compile_model(network(model), "CPU", options).create_infer_request()

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
    """Return a Keras model as one of OpenVINO, float32, with the weights that it has now.

    It maps patches ``(B, P, P, C)`` as the Keras model does: a chain of convolutions and
    activations, as all of `sadefect.models` are. Another layer raises `Unsupported`.
    """
    start = ops.parameter([-1, *model.input_shape[1:]], np.float32, name=model.inputs[0].name)
    x = ops.transpose(start, ops.constant([0, 3, 1, 2]))  # Inside, (B, C, H, W).
    for layer in _layers(model):
        # Classes themselves: a subclass may compute something else.
        kind = type(layer)
        if kind is keras.layers.Conv2D:
            x = _with_activation(_convolution(layer, x), layer)
        elif kind is keras.layers.Conv2DTranspose:
            x = _with_activation(_transposed_convolution(layer, x), layer)
        elif kind is keras.layers.LeakyReLU:
            x = ops.prelu(x, _constant([layer.negative_slope]))
        elif kind is keras.layers.Activation:
            x = _with_activation(x, layer)
        elif kind is GaussianLatent:  # Which is the mean, but in training.
            x = ops.split(x, ops.constant(1), 2).output(0)
        else:
            raise Unsupported(f"its layer {layer.name} is a {kind.__name__}")
    x = ops.transpose(x, ops.constant([0, 2, 3, 1]))
    return openvino.Model([x], [start], model.name)


def _constant(array):
    return ops.constant(np.ascontiguousarray(array, "float32"))


def _with_activation(x, layer):
    name = getattr(layer.activation, "__name__", None)
    if name not in ("linear", "relu", "sigmoid", "tanh"):
        raise Unsupported(f"its layer {layer.name} has the activation {name}")
    return x if name == "linear" else getattr(ops, name)(x)


def _with_bias(x, layer, repeats=1):
    if not layer.use_bias:
        return x
    bias = np.tile(keras.ops.convert_to_numpy(layer.bias), repeats)
    return ops.add(x, _constant(bias.reshape(1, -1, 1, 1)))


def _check(layer):
    square = len(set(layer.kernel_size)) == len(set(layer.strides)) == 1
    if not square or set(layer.dilation_rate) != {1} or getattr(layer, "groups", 1) != 1:
        raise Unsupported(f"its layer {layer.name} is dilated, grouped or not square")
    return keras.ops.convert_to_numpy(layer.kernel), layer.kernel_size[0], layer.strides[0]


def _convolution(layer, x):
    kernel, _, stride = _check(layer)
    padding = {"same": "same_upper", "valid": "valid"}[layer.padding]
    weights = _constant(kernel.transpose(3, 2, 0, 1))
    x = ops.convolution(x, weights, [stride] * 2, [0, 0], [0, 0], [1, 1], padding)
    return _with_bias(x, layer)


def _transposed_convolution(layer, x):
    kernel, side, stride = _check(layer)
    if side < stride or layer.output_padding is not None:
        raise Unsupported(f"its layer {layer.name} leaves gaps")
    if (side, stride, layer.padding, layer.filters) == (4, 2, "same", 1):
        return _phases(layer, kernel, x)
    spare = side - stride if layer.padding == "same" else 0
    x = ops.convolution_backprop_data(
        x,
        _constant(kernel.transpose(3, 2, 0, 1)),
        strides=[stride] * 2,
        pads_begin=[spare // 2] * 2,
        pads_end=[spare - spare // 2] * 2,
    )
    return _with_bias(x, layer)


def _phases(layer, kernel, x):
    """Add a 4x4 transposed convolution of stride 2 to one channel, four times faster.

    Even and odd rows and columns of the output are four channels of a 3x3 convolution, which a
    processor's vectors can be filled with; one channel leaves most of them empty.
    """
    weights = np.zeros((2, 2, kernel.shape[3], 3, 3), "float32")
    for row, column in np.ndindex(2, 2):  # Of the output, even or odd.
        for down, right in np.ndindex(3, 3):  # Of the input, from one before to one after.
            tap = row + 3 - 2 * down, column + 3 - 2 * right
            if min(tap) >= 0 and max(tap) < 4:
                weights[row, column, :, down, right] = kernel[tap][0]
    weights = _constant(weights.reshape(4, -1, 3, 3))
    x = ops.convolution(x, weights, [1, 1], [1, 1], [1, 1], [1, 1])
    return ops.depth_to_space(_with_bias(x, layer, 4), "blocks_first", 2)
