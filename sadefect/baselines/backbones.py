"""Convolutional networks trained on ImageNet, as frozen extractors of features in Keras.

References
----------
.. [1] A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014,
   arXiv:1404.5997: torchvision's AlexNet
.. [2] K. Simonyan and A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
   Recognition", ICLR 2015, arXiv:1409.1556: VGG16
.. [3] M. Tan and Q. V. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
   Networks", ICML 2019, arXiv:1905.11946; Lite0 is TensorFlow's variant without squeezing
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from sadefect.baselines.weights import LAYERS, stored_weights
from sadefect.errors import DataError, require_choice
from sadefect.features import MEAN, STD

CHANNELS = "channels_last"  # Whatever keras.json says.

VGG16_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
ALEXNET = ((64, 11, 4, 2), (192, 5, 1, 2), (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1))
# EfficientNet-Lite0: kernel, stride and number of the blocks of a stage.
LITE0_STAGES = ((3, 1, 1), (3, 2, 2), (5, 2, 2), (3, 2, 3), (5, 1, 3), (5, 2, 4), (3, 1, 1))
LITE0_SCALE = 127 / 255, 128 / 255  # Its mean and standard deviation, of all three colours.

LAYER_NAMES = {
    "alexnet": [f"conv{number}" for number in range(1, 6)],
    "vgg16": [
        f"conv{block}_{number}"
        for block, filters in enumerate(VGG16_BLOCKS, 1)
        for number in range(1, len(filters) + 1)
    ],
    "efficientnet-lite0": [f"stage{number}" for number in range(1, 8)],
}


class Grid(NamedTuple):
    """Where the cells of a map of features lie: the first one's centre, and their distance."""

    first: float
    stride: int

    def enlarged(self, cells, shape):
        """Return a map of cells ``(h, w)``, linearly interpolated, as large as an image."""
        places = [(np.arange(length) - self.first) / self.stride for length in shape]
        rows, columns = (
            np.clip(place, 0, length - 1) for place, length in zip(places, cells.shape, strict=True)
        )
        grid = np.meshgrid(rows, columns, indexing="ij")
        return ndimage.map_coordinates(cells.astype("float32"), grid, order=1, mode="nearest")


class _Builder:
    """Stacks layers that are padded as torch pads them, and keeps track of where cells lie."""

    def __init__(self, weights, mean, std):
        import keras

        self.layers, self.weights = keras.layers, weights
        self.input = keras.Input((None, None, 1), name="image")
        self.x = self.layers.Concatenate(name="rgb")([self.input] * 3)
        scale, offset = 1 / np.array(std), -np.array(mean) / std
        self.x = self.layers.Rescaling(scale.tolist(), offset.tolist(), name="normalise")(self.x)
        self.first, self.stride = 0.0, 1

    def convolve(self, key, stride=1, padding="same", activation="relu", *, depthwise=False):
        kernel = self.weights[f"{key}.weight"].transpose(2, 3, 1, 0)
        arrays = [kernel.swapaxes(2, 3) if depthwise else kernel, self.weights[f"{key}.bias"]]
        size = kernel.shape[0]
        if padding != "same":  # Keras pads unevenly with a stride, and torch does not.
            self.x, padded = self.layers.ZeroPadding2D(padding, CHANNELS)(self.x), padding
        else:
            padded = (size - 1) // 2 if stride == 1 else (size - stride) // 2
        kind = self.layers.DepthwiseConv2D if depthwise else self.layers.Conv2D
        filters = {} if depthwise else {"filters": kernel.shape[-1]}
        layer = kind(
            kernel_size=size,
            strides=stride,
            padding="same" if padding == "same" else "valid",
            activation=activation,
            name=key.replace(".", "_"),
            data_format=CHANNELS,
            **filters,
        )
        self.x = layer(self.x)
        layer.set_weights(arrays)
        self._moved(size, stride, padded)

    def pool(self, size, stride):
        self.x = self.layers.MaxPooling2D(size, stride, data_format=CHANNELS)(self.x)
        self._moved(size, stride, 0)

    def _moved(self, size, stride, padding):
        self.first += self.stride * ((size - 1) / 2 - padding)
        self.stride *= stride

    @property
    def map(self):
        return self.x, Grid(self.first, self.stride)


def _alexnet(weights):
    network = _Builder(weights, MEAN, STD)
    for number, (layer, (_, _, stride, padding)) in enumerate(
        zip(LAYERS["alexnet"], ALEXNET, strict=True), 1
    ):
        if number in (2, 3):
            network.pool(3, 2)
        network.convolve(f"features.{layer}", stride, padding)
        yield f"conv{number}", network


def _vgg16(weights):
    network, layers = _Builder(weights, MEAN, STD), iter(LAYERS["vgg16"])
    for block, filters in enumerate(VGG16_BLOCKS, 1):
        if block > 1:
            network.pool(2, 2)
        for number in range(1, len(filters) + 1):
            network.convolve(f"features.{next(layers)}")
            yield f"conv{block}_{number}", network


def _lite0(weights):
    mean, std = ([value] * 3 for value in LITE0_SCALE)
    network, block = _Builder(weights, mean, std), 0
    network.convolve("_conv_stem", 2, activation="relu6")
    for number, (_, stride, blocks) in enumerate(LITE0_STAGES, 1):
        for step in range(blocks):
            before, key = network.x, f"_blocks.{block}."
            if f"{key}_expand_conv.weight" in weights:
                network.convolve(f"{key}_expand_conv", activation="relu6")
            network.convolve(
                f"{key}_depthwise_conv", 1 if step else stride, activation="relu6", depthwise=True
            )
            network.convolve(f"{key}_project_conv", activation=None)
            if step:
                network.x = network.layers.Add()([network.x, before])
            block += 1
        yield f"stage{number}", network


BUILDERS = {"alexnet": _alexnet, "vgg16": _vgg16, "efficientnet-lite0": _lite0}


class Backbone:
    """The layers of a pretrained network, a key of `LAYER_NAMES`, up to those that are asked for.

    Layers are taken after their rectifiers, of Lite0 the ends of stages. The ``weights`` are
    `sadefect.baselines.weights.stored_weights`'s by default; raises `DatasetNotFound` if they are
    not here.
    """

    def __init__(self, name, layers, weights=None):
        import keras

        require_choice("backbone", name, BUILDERS)
        if not layers:
            raise ValueError(f"layers must name at least one of {LAYER_NAMES[name]}; received none")
        for layer in layers:
            require_choice("layers", layer, LAYER_NAMES[name])
        maps = {}
        for layer, network in BUILDERS[name](stored_weights(name) if weights is None else weights):
            maps[layer] = network.map
            if set(layers) <= set(maps):
                break
        self.name, self.grids = name, [maps[layer][1] for layer in layers]
        self.model = keras.Model(network.input, [maps[layer][0] for layer in layers], name=name)
        self.model.trainable = False
        # XLA halves the time on a processor, where TensorFlow's convolution is slow at some sizes.
        self.model.compile(jit_compile=keras.config.backend() != "torch")

    @property
    def parameters(self):
        return self.model.count_params()

    def maps(self, image):
        """Return the maps of features of an image ``(H, W)``, one ``(h, w, channels)`` a layer.

        Raises `DataError` if the image is too small for the network.
        """
        stride = max(grid.stride for grid in self.grids)
        if min(image.shape) < 4 * stride:
            raise DataError(
                f"expected an image of at least {4 * stride} pixels a side; got {image.shape[0]}x"
                f"{image.shape[1]}; use larger images, or an earlier layer"
            )
        maps = self.model.predict_on_batch(image[None, :, :, None])
        return [map[0] for map in (maps if isinstance(maps, (list, tuple)) else [maps])]
