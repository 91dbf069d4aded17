"""The extractor of eq. 3: its arithmetic, its weights files, and the loss."""

import json

import keras
import numpy as np
import pytest
from keras import ops
from safetensors.numpy import save_file
from scipy.signal import correlate

from sadefect import build_autoencoder, features
from sadefect.errors import DataError
from sadefect.features import (
    MEAN,
    SHAPES,
    STD,
    build_extractor,
    load_extractor,
    read_weights,
)
from sadefect.losses import FeatureMatchingLoss


@pytest.fixture(scope="module")
def made_up():
    rng = np.random.default_rng(0)
    return {
        key: rng.normal(0, 0.5 / np.sqrt(np.prod(shape[1:])), shape).astype("float32")
        for key, shape in SHAPES.items()
    }


@pytest.fixture
def untrained(made_up, tmp_path, monkeypatch):
    """An extractor with weights that nobody trained, read from a file as ImageNet's are."""
    np.savez(tmp_path / "alexnet.npz", **made_up)
    monkeypatch.setenv("SADEFECT_WEIGHTS", str(tmp_path))
    return load_extractor()


@pytest.fixture
def patches():
    return np.random.default_rng(1).random((2, 64, 64, 1), dtype="float32")


def write_safetensors(path, header, raw):
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + raw)


def reference(image, weights):
    """The three maps of one gray image before their rectifiers, in float64 and torch's layout."""
    x = (image.astype("float64") - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))
    maps = []
    for number, (key, _, _, stride, padding) in enumerate(features.CONVOLUTIONS):
        if number:
            x = np.maximum(x, 0)
            windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
            x = windows[:, ::2, ::2].max(axis=(3, 4))
        x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
        kernels, biases = weights[f"{key}.weight"], weights[f"{key}.bias"]
        x = np.stack(
            [
                correlate(x, kernel, mode="valid", method="direct")[0, ::stride, ::stride] + bias
                for kernel, bias in zip(kernels, biases, strict=True)
            ]
        )
        maps.append(x)
    return maps


def test_shapes_for_both_patch_sizes():
    for side, mapped in ((128, (31, 15, 7)), (64, (15, 7, 3))):
        batch = np.zeros((2, side, side, 1), "float32")
        assert tuple(build_extractor()(batch).shape) == (2, mapped[2], mapped[2], 384)
        every = build_extractor(outputs="all")(batch)
        expected = [(2, p, p, filters) for p, filters in zip(mapped, (64, 192, 384), strict=True)]
        assert [tuple(each.shape) for each in every] == expected
    assert len(build_extractor(2, outputs="all").outputs) == 2


def test_smallest_patches_leave_one_pixel():
    for layers, side in enumerate(features.SMALLEST, 1):
        maps = build_extractor(layers, outputs="all")(np.zeros((1, side, side, 1), "float32"))
        last = maps[-1] if layers > 1 else maps  # Keras unpacks a list of one.
        assert tuple(last.shape[1:3]) == (1, 1)


@pytest.mark.parametrize(
    "options", [{"layers": 4}, {"outputs": "first"}, {"layers": 2, "outputs": "third"}]
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match="layers|outputs"):
        build_extractor(**options)


def test_maps_equal_a_slow_reference(made_up, tmp_path, monkeypatch):
    np.savez(tmp_path / "alexnet.npz", **made_up)
    monkeypatch.setenv("SADEFECT_WEIGHTS", str(tmp_path))
    image = np.random.default_rng(2).random((36, 33), dtype="float32")
    expected = reference(image, made_up)
    for last_relu in (True, False):
        model, name = load_extractor("imagenet", outputs="all", last_relu=last_relu)
        assert name.startswith("imagenet-")
        for number, found in enumerate(model(image[None, ..., None])):
            wanted = expected[number]
            wanted = np.maximum(wanted, 0) if number < 2 or last_relu else wanted
            found = ops.convert_to_numpy(found)[0].transpose(2, 0, 1)
            np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert found.min() < 0


def test_npz_and_safetensors_hold_the_same(made_up, tmp_path, monkeypatch):
    monkeypatch.setenv("SADEFECT_WEIGHTS", str(tmp_path))
    extra = made_up | {"classifier.6.bias": np.zeros(7, "float32")}
    prints = []
    for name, save in (
        ("alexnet.safetensors", lambda path, weights: save_file(weights, path)),
        ("alexnet.npz", lambda path, weights: np.savez(path, **weights)),
    ):
        save(tmp_path / name, extra)
        for key, array in read_weights(tmp_path / name).items():
            np.testing.assert_array_equal(array, made_up[key])
        model, fingerprint = load_extractor()
        assert fingerprint.startswith("imagenet-")
        kernel = model.get_layer("conv2").get_weights()[0]
        np.testing.assert_array_equal(kernel[1, 2, 3, 4], made_up["features.3.weight"][4, 3, 1, 2])
        prints.append(fingerprint)
        (tmp_path / name).unlink()
    assert prints[0] == prints[1]
    save_file({k: v.astype("f2") for k, v in made_up.items()}, tmp_path / "half.safetensors")
    half = read_weights(tmp_path / "half.safetensors")
    np.testing.assert_array_equal(half["features.6.bias"], made_up["features.6.bias"].astype("f2"))


def test_missing_weights_say_how_to_get_them(tmp_path, monkeypatch):
    for folder in (None, tmp_path):
        monkeypatch.setenv("SADEFECT_CACHE", str(tmp_path))
        monkeypatch.delenv("SADEFECT_WEIGHTS", raising=False)
        if folder:
            monkeypatch.setenv("SADEFECT_WEIGHTS", str(folder))
        with pytest.raises(DataError, match="IMAGENET1K_V1") as error:
            load_extractor("imagenet")
        assert "SADEFECT_WEIGHTS" in str(error.value)
        assert "sadefect weights fetch alexnet" in str(error.value)
    with pytest.raises(ValueError, match="source must be one of"):
        load_extractor("vgg")


def test_wrong_npz_files_are_refused(made_up, tmp_path):
    path = tmp_path / "alexnet.npz"
    key = "features.3.weight"
    wrong = {
        "of shape": made_up[key].transpose(2, 3, 1, 0),
        "as floats": made_up[key].astype("int32"),
        "finite": np.full_like(made_up[key], np.nan),
        "cannot be read": np.array([{"not": "plain"}], dtype=object),
    }
    for message, array in wrong.items():
        np.savez(path, **(made_up | {key: array}))
        with pytest.raises(DataError, match=message) as error:
            read_weights(path)
        assert "IMAGENET1K_V1" in str(error.value)
    np.savez(path, **{name: array for name, array in made_up.items() if name != key})
    with pytest.raises(DataError, match=f"{key} is missing"):
        read_weights(path)
    with open(path, "wb") as file:
        np.save(file, np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="another kind of file"):
        read_weights(path)
    path.write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(DataError, match="cannot be read"):
        read_weights(path)


def test_wrong_safetensors_files_are_refused(made_up, tmp_path):
    path = tmp_path / "alexnet.safetensors"
    save_file(made_up, path)
    whole = path.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header, raw = json.loads(whole[8 : 8 + length]), whole[8 + length :]

    def refused(message):
        with pytest.raises(DataError, match=message) as error:
            read_weights(path)
        assert "IMAGENET1K_V1" in str(error.value)

    for kept in (4, 100, len(whole) - 1):
        path.write_bytes(whole[:kept])
        refused("cannot be read")
    path.write_bytes(b"\xff" * 8 + whole[8:])
    refused("cannot be read")
    for text in (b"[]", b"{", b"\xff\xfe"):
        path.write_bytes(len(text).to_bytes(8, "little") + text)
        refused("cannot be read")
    first = "features.0.weight"
    begin, end = header[first]["data_offsets"]
    for change in (
        {"dtype": "F16"},
        {"shape": [64, 3, 11, 12]},
        {"shape": [2**40, 2**40, 1, 1]},
        {"shape": "64"},
        {"data_offsets": [begin, end - 4]},
        {"data_offsets": [begin + 2**40, end + 2**40]},
        {"data_offsets": None},
    ):
        write_safetensors(path, header | {first: header[first] | change}, raw)
        refused("cannot be read|of shape")
    for change, message in (
        ({first: made_up[first].astype("int32")}, "as floats"),
        ({first: made_up[first][:, :, :, :10]}, "of shape"),
    ):
        arrays = {k: np.ascontiguousarray(v) for k, v in (made_up | change).items()}
        save_file(arrays, path)
        refused(message)
    save_file({key: value for key, value in made_up.items() if key != first}, path)
    refused(f"{first} is missing")


def test_loss_is_eq_3_over_the_pixels(untrained, patches):
    x, y = patches, patches[::-1].copy()
    found = ops.convert_to_numpy(FeatureMatchingLoss(weight=0.5, reduction=None)(x, y))
    fx, fy = (ops.convert_to_numpy(untrained[0](image)).astype("float64") for image in (x, y))
    expected = ((x - y) ** 2).sum((1, 2, 3)) + 0.5 * ((fx - fy) ** 2).sum((1, 2, 3))
    np.testing.assert_allclose(found, expected / 64**2, rtol=1e-4)
    plain = FeatureMatchingLoss(extractor=untrained[0], weight=0.0)
    assert float(plain(x, y)) == pytest.approx(float(np.mean((x - y) ** 2)), rel=1e-5)
    every = FeatureMatchingLoss(outputs="all", reduction=None)(x, y)
    assert (ops.convert_to_numpy(every) > found).all()
    assert float(plain(x, x)) == 0.0


def test_loss_is_serialisable(untrained):
    loss = FeatureMatchingLoss(weight=0.25, last_relu=False)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.get_config() == loss.get_config() and again.extractor_name == untrained[1]
    assert loss.get_config()["source"] == "imagenet"
    given = FeatureMatchingLoss(untrained[0])
    again = keras.losses.deserialize(keras.losses.serialize(given))
    with pytest.raises(ValueError, match="no extractor"):
        again(np.zeros((1, 64, 64, 1)), np.zeros((1, 64, 64, 1)))


def test_loading_draws_no_random_numbers(untrained):
    draws = []
    for load in (False, True):
        keras.utils.set_random_seed(0)
        if load:
            load_extractor()
        draws.append(keras.layers.Dense(3))
        draws[-1].build((None, 3))
    np.testing.assert_array_equal(*(layer.get_weights()[0] for layer in draws))


def test_wrong_patches_and_weights_are_refused(untrained):
    loss = FeatureMatchingLoss()
    for x, y, message in (
        ((1, 64, 64, 3), (1, 64, 64, 3), "gray patches"),
        ((1, 64, 64, 1), (1, 64, 32, 1), "of one shape"),
        ((1, 30, 30, 1), (1, 30, 30, 1), "at least 31"),
    ):
        with pytest.raises(ValueError, match=message):
            loss(np.zeros(x, "float32"), np.zeros(y, "float32"))
    with pytest.raises(ValueError, match="weight"):
        FeatureMatchingLoss(weight=-1.0, extractor=untrained[0])


def test_gradient_reaches_the_patch_through_the_extractor(untrained, patches):
    loss = FeatureMatchingLoss(extractor=untrained[0], weight=100.0)
    rate, step = 1e-3, 1e-2
    inputs = keras.Input((64, 64, 1))
    model = keras.Model(inputs, keras.layers.Conv2D(1, 1)(inputs))
    model.set_weights([np.full((1, 1, 1, 1), 0.8, "float32"), np.zeros(1, "float32")])
    model.compile(keras.optimizers.SGD(rate), loss)
    model.train_on_batch(patches, patches)
    gradient = -(model.get_weights()[0].item() - np.float32(0.8)) / rate
    above, below = (float(loss(patches, (0.8 + way * step) * patches)) for way in (1, -1))
    assert gradient == pytest.approx((above - below) / (2 * step), rel=0.02)
    pixels = np.mean(2 * (0.8 - 1) * patches**2)
    assert abs(gradient) > 2 * abs(pixels)


def test_training_falls_and_leaves_the_extractor_alone(untrained, patches, tmp_path):
    extractor = untrained[0]
    before = [weight.copy() for weight in extractor.get_weights()]
    keras.utils.set_random_seed(0)
    model = build_autoencoder(32, 4)
    patches = patches[:, :32, :32]
    own = len(model.trainable_variables)
    model.compile(keras.optimizers.Adam(1e-3), FeatureMatchingLoss(extractor=extractor))
    losses = [float(model.train_on_batch(patches, patches)) for _ in range(12)]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    kept = zip(before, extractor.get_weights(), strict=True)
    assert all((old == new).all() for old, new in kept)
    # The extractor is not part of the model, nor of its file.
    assert len(model.trainable_variables) == own
    path = tmp_path / "model.keras"
    model.save(path)
    assert len(keras.models.load_model(path, compile=False).variables) == own
