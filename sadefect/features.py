"""The pretrained extractor of eq. 3, as the loss that matches features needs it.

The paper's feature matching autoencoder compares a patch and its reconstruction pixel by pixel, and
besides by what the first three convolutional layers of AlexNet, trained on ImageNet, see in them.
The paper does not say how gray patches enter a network for colour, nor whether features are taken
before or after the last rectifier; here each is an option or is said where it is decided.

ImageNet's weights are not part of this package: `load_extractor` reads them from a file of yours.

References
----------
.. [1] A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014,
   arXiv:1404.5997: the variant of AlexNet that torchvision has
.. [2] A. Dosovitskiy and T. Brox, "Generating Images with Perceptual Similarity Metrics based on
   Deep Networks", Advances in Neural Information Processing Systems 29, 2016, arXiv:1602.02644
"""

import hashlib
import os
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile

import keras
import numpy as np
from keras import layers as keras_layers
from safetensors import SafetensorError, safe_open

from sadefect.errors import DataError, require_choice
from sadefect.files import store_folder

# torchvision's name of a layer, then its filters, kernel, stride and padding.
CONVOLUTIONS = (
    ("features.0", 64, 11, 4, 2),
    ("features.3", 192, 5, 1, 2),
    ("features.6", 384, 3, 1, 1),
)
SMALLEST = (7, 15, 31)  # Side of a patch that leaves one pixel on the map of each layer.
# Of ImageNet's red, green and blue in [0, 1]; what torchvision's weights were trained with.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# What `load_extractor` calls torchvision's IMAGENET1K_V1: recorded results were trained with it.
TORCHVISION = "imagenet-f2d3643295cf"
UNREADABLE = (OSError, ValueError, TypeError, EOFError, KeyError, BadZipFile, SafetensorError)
FILES = ("alexnet.npz", "alexnet.safetensors")  # Looked for in this order.
HOW_TO_GET = """\
To get it, run `sadefect weights fetch alexnet`; or, where torchvision is installed,
    import numpy, torchvision
    state = torchvision.models.alexnet(weights="IMAGENET1K_V1").features.state_dict()
    numpy.savez("alexnet.npz", **{f"features.{name}": w.numpy() for name, w in state.items()})
and point SADEFECT_WEIGHTS to the folder that holds alexnet.npz."""

# Of the arrays of a weights file, in torch's layout: (out, in, height, width).
SHAPES = {
    "features.0.weight": (64, 3, 11, 11),
    "features.0.bias": (64,),
    "features.3.weight": (192, 64, 5, 5),
    "features.3.bias": (192,),
    "features.6.weight": (384, 192, 3, 3),
    "features.6.bias": (384,),
}


def build_extractor(layers=3, *, outputs="third", last_relu=True):
    """Build the first convolutional layers of AlexNet, frozen and untrained.

    Gray is repeated to red, green and blue and normalised with ImageNet's mean and standard
    deviation by the first two layers of the model. The zeros that pad an image come after that, as
    in torchvision: they stand for ImageNet's mean colour, not for black.

    Parameters
    ----------
    layers : {1, 2, 3}
        Number of convolutional layers.
    outputs : {"third", "all"}
        "third" gives the map of the third layer, the reading of eq. 3 in which F maps into one
        R^f; "all" gives a list with the map of each layer, and is needed for ``layers < 3``. Keras
        makes a list of one map the map itself.
    last_relu : bool
        Whether the last layer's map is taken after its rectifier. Those before it always are.

    Returns
    -------
    keras.Model
        ``(B, P, P, 1)``, gray in [0, 1], to ``(B, p, p, 384)``; p is 7 for P = 128, 3 for P = 64,
        and P is at least 31.

    Raises
    ------
    ValueError
        If an option is not one of those above.

    References
    ----------
    doi:10.1145/3065386 and arXiv:1404.5997 for the layers; eq. 3 of doi:10.5220/0007364503720380

    Examples
    --------
    >>> extractor = build_extractor()
    >>> extractor.count_params(), len(extractor.trainable_weights)
    (994624, 0)
    >>> extractor.compute_output_shape((16, 128, 128, 1))
    (16, 7, 7, 384)
    """
    return _build(layers, outputs, last_relu, name="alexnet", initializer="glorot_uniform")


def _build(layers, outputs, last_relu, *, name, initializer):
    require_choice("layers", layers, (1, 2, 3))
    require_choice("outputs", outputs, ("third", "all"))
    if outputs == "third" and layers < 3:
        raise ValueError(f'layers={layers} has no third layer; pass outputs="all"')
    gray = keras.Input((None, None, 1), name="patch")
    channels = {"data_format": "channels_last"}  # Whatever keras.json says.
    x = keras_layers.Concatenate(name="rgb")([gray, gray, gray])
    scale, offset = 1 / np.array(STD), -np.array(MEAN) / STD
    x = keras_layers.Rescaling(scale.tolist(), offset.tolist(), name="normalise")(x)
    maps = []
    for number, (_, filters, kernel, stride, padding) in enumerate(CONVOLUTIONS[:layers], 1):
        if number > 1:
            x = keras_layers.MaxPooling2D(3, 2, **channels, name=f"pool{number - 1}")(x)
        # Keras pads unevenly with padding="same" and a stride; torch does not.
        x = keras_layers.ZeroPadding2D(padding, **channels, name=f"pad{number}")(x)
        x = keras_layers.Conv2D(
            filters,
            kernel,
            stride,
            kernel_initializer=initializer,
            name=f"conv{number}",
            **channels,
        )(x)
        if number < layers or last_relu:
            x = keras_layers.ReLU(name=f"relu{number}")(x)
        maps.append(x)
    model = keras.Model(gray, maps if outputs == "all" else maps[-1], name=name)
    model.trainable = False
    return model


def _refuse(path, problem):
    return DataError(f"{path} does not hold AlexNet's first layers: {problem}.\n{HOW_TO_GET}")


def _read_npz(path):
    with open(path, "rb") as file:
        if file.read(2) != b"PK":
            raise _refuse(path, "expected a zip of .npy arrays, got another kind of file")
    with np.load(path, allow_pickle=False) as arrays:
        return {key: arrays[key] for key in SHAPES if key in arrays.files}


def _read_safetensors(path):
    weights = {}
    with safe_open(path, framework="numpy") as opened:
        for key in SHAPES.keys() & set(opened.keys()):
            array = opened.get_slice(key)
            _check_shape(path, key, array.get_shape())  # Before anything of it is read.
            weights[key] = array[:]
    return weights


def _check_shape(path, key, shape):
    if tuple(shape) != SHAPES[key]:
        raise _refuse(path, f"expected {key} of shape {SHAPES[key]}, got {tuple(shape)}")


def read_weights(path):
    """Read and check the kernels and biases in a weights file; no code in the file is ever run.

    It is ``.npz`` or ``.safetensors``, with the names of `SHAPES`, which are torchvision's. Returns
    them with float32 arrays. Raises `DataError` if the file is damaged, or an array is missing, of
    another shape or type, or not finite.
    """
    path = Path(path)
    try:
        weights = (_read_safetensors if path.suffix == ".safetensors" else _read_npz)(path)
    except DataError:
        raise
    except UNREADABLE as error:
        raise _refuse(
            path, f"expected arrays, got a file that cannot be read as {path.suffix} ({error})"
        ) from error
    for key in SHAPES:
        if key not in weights:
            raise _refuse(path, f"expected arrays {', '.join(SHAPES)}; {key} is missing")
        _check_shape(path, key, weights[key].shape)
        if not np.issubdtype(weights[key].dtype, np.floating):
            raise _refuse(path, f"expected {key} as floats, got {weights[key].dtype}")
        weights[key] = weights[key].astype("float32")
        if not np.isfinite(weights[key]).all():
            raise _refuse(path, f"expected finite numbers in {key}, got NaN or infinity")
    return weights


def weights_fingerprint(weights):
    """Return the first 12 hexadecimal digits of the SHA-256 of what `read_weights` returns."""
    content = b"".join(np.ascontiguousarray(weights[key], "<f4").tobytes() for key in SHAPES)
    return hashlib.sha256(content).hexdigest()[:12]


def _weights_file():
    """Return where the weights are, or None."""
    paths = (folder / name for folder in _weights_folders() for name in FILES)
    return next((path for path in paths if path.is_file()), None)


def _weights_folders():
    """List where weights are looked for: the folder of the variable, then that of the cache."""
    named = os.environ.get("SADEFECT_WEIGHTS")
    own = [Path(named).expanduser()] if named else []
    return [*own, store_folder() / "weights"]


@lru_cache(maxsize=4)
def _name_of_file(path, modified):
    return f"imagenet-{weights_fingerprint(read_weights(path))}"


def extractor_name():
    """Return what `load_extractor` calls the weights here; without any, torchvision's.

    Experiments that were recorded are known by it where nobody has the weights.
    """
    path = _weights_file()
    return _name_of_file(path, path.stat().st_mtime_ns) if path else TORCHVISION


def load_extractor(source="imagenet", *, layers=3, outputs="third", last_relu=True):
    """Build the extractor of eq. 3 with weights.

    Parameters
    ----------
    source : {"imagenet"}
        Reads ``alexnet.npz`` or ``alexnet.safetensors`` in the folder that the environment variable
        SADEFECT_WEIGHTS names, or in the cache. The file is taken at its word; the name that is
        returned says which weights they were.
    layers, outputs, last_relu
        As in `build_extractor`.

    Returns
    -------
    model : keras.Model
        Frozen; see `build_extractor`.
    name : str
        The source, a hyphen, and a fingerprint: the first 12 hexadecimal digits of the SHA-256 of
        the weights, as float32 in torch's layout, the same for both kinds of file.

    Raises
    ------
    DataError
        If the weights are not found, or a file is not what it should be; the message says how to
        make one.

    References
    ----------
    Eq. 3 of doi:10.5220/0007364503720380

    Examples
    --------
    >>> model, name = load_extractor()  # doctest: +SKIP
    >>> name  # doctest: +SKIP
    'imagenet-f2d3643295cf'
    """
    require_choice("source", source, ("imagenet",))
    path = _weights_file()
    if path is None:
        folders = " or ".join(map(str, _weights_folders()))
        raise DataError(
            f"expected {' or '.join(FILES)} in the folder SADEFECT_WEIGHTS or in the cache, got "
            f"none of them in {folders}.\n{HOW_TO_GET}"
        )
    weights = read_weights(path)
    # Zeros draw no random numbers: loading an extractor changes nobody's seed.
    model = _build(layers, outputs, last_relu, name=f"alexnet_{source}", initializer="zeros")
    for number, (key, *_) in enumerate(CONVOLUTIONS[:layers], 1):
        kernel = weights[f"{key}.weight"].transpose(2, 3, 1, 0)
        model.get_layer(f"conv{number}").set_weights([kernel, weights[f"{key}.bias"]])
    return model, f"{source}-{weights_fingerprint(weights)}"
