"""OpenVINO gives what Keras gives, follows the weights, and steps aside where it cannot help."""

import gc
import weakref

import keras
import numpy as np
import pytest
from keras import layers

from sadefect import anomaly_map, build_autoencoder, build_vae, provenance
from sadefect.inference.forward import forward

pytest.importorskip("openvino", reason="the engine is OpenVINO, which is not installed")


def patches(side, count=3, channels=1):
    return np.random.default_rng(2).random((count, side, side, channels), "float32")


def shaken(model, seed=1):
    """A network whose outputs are as large as a trained one's, biases included."""
    rng = np.random.default_rng(seed)
    for weight in model.trainable_variables:
        fan_in = np.prod(weight.shape[:-1]) if len(weight.shape) > 1 else 100
        weight.assign(rng.normal(0, fan_in**-0.5, weight.shape))
    return model


def by_keras(model, batch):
    return keras.ops.convert_to_numpy(model(batch, training=False))


@pytest.fixture
def openvino(monkeypatch):
    monkeypatch.setenv("SADEFECT_ENGINE", "openvino")


@pytest.mark.parametrize("side", [32, 64, 128])
@pytest.mark.parametrize("activation", ["linear", "sigmoid"])
def test_engine_gives_what_keras_gives(openvino, side, activation):
    model = shaken(build_autoencoder(side, 8, activation))
    batch = patches(side)
    expected = by_keras(model, batch)
    assert expected.std() > 1e-3  # Or anything would be close.
    np.testing.assert_allclose(forward(model)(batch), expected, atol=2e-5)


@pytest.mark.parametrize("variance", ["fixed", "learned"])
def test_engine_runs_a_vae_as_a_whole(openvino, recwarn, variance):
    model = shaken(build_vae(32, 4, variance=variance))
    np.testing.assert_allclose(forward(model)(patches(32)), by_keras(model, patches(32)), atol=2e-5)
    assert not [one for one in recwarn if "slower than OpenVINO" in str(one.message)]


@pytest.mark.parametrize("variance", ["fixed", "learned"])
def test_engine_runs_both_halves_of_a_vae(openvino, variance):
    model = shaken(build_vae(32, 4, variance=variance))
    image = patches(64)[0, ..., 0]
    expected = forward(model.get_layer("encoder"))(patches(32))
    np.testing.assert_allclose(
        expected, by_keras(model.get_layer("encoder"), patches(32)), atol=2e-5
    )
    maps = {}
    for name in ("openvino", "keras"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SADEFECT_ENGINE", name)
            maps[name] = anomaly_map(model, image, "vae").residual
    np.testing.assert_allclose(maps["openvino"], maps["keras"], atol=1e-4, rtol=1e-4)


def layer_zoo():
    return [
        layers.Conv2D(3, 3, 2, padding="same"),
        layers.Conv2D(3, 4, 2, padding="same", activation="relu"),
        layers.Conv2D(3, 3, 1, padding="valid", use_bias=False),
        layers.Conv2D(3, 5, 3, padding="same", activation="tanh"),
        layers.Conv2DTranspose(3, 3, 2, padding="same"),
        layers.Conv2DTranspose(3, 4, 2, padding="same", activation="sigmoid"),
        layers.Conv2DTranspose(1, 4, 2, padding="same"),
        layers.Conv2DTranspose(1, 4, 2, padding="same", use_bias=False),
        layers.Conv2DTranspose(2, 4, 2, padding="valid"),
        layers.Conv2DTranspose(2, 2, 2, padding="same"),
    ]


@pytest.mark.parametrize("layer", layer_zoo(), ids=lambda layer: f"{layer.name}")
def test_each_kind_of_layer(openvino, recwarn, layer):
    inputs = keras.Input((13, 13, 2))
    model = shaken(keras.Model(inputs, layers.LeakyReLU(0.2)(layer(inputs))))
    batch = patches(13, channels=2)
    np.testing.assert_allclose(forward(model)(batch), by_keras(model, batch), atol=2e-5)
    assert not [one for one in recwarn if "slower than OpenVINO" in str(one.message)]


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (layers.Conv2D(2, 3, padding="same", dilation_rate=2), "dilated"),
        (layers.Conv2D(2, 3, padding="same", activation="gelu"), "gelu"),
        (layers.BatchNormalization(), "BatchNormalization"),
    ],
)
def test_what_openvino_is_not_given_runs_in_keras_and_says_so(openvino, layer, said):
    inputs = keras.Input((8, 8, 2))
    model = keras.Model(inputs, layer(inputs))
    with pytest.warns(UserWarning, match=f"slower than OpenVINO.*{said}"):
        run = forward(model)
    np.testing.assert_allclose(
        run(patches(8, channels=2)), by_keras(model, patches(8, channels=2)), atol=1e-6
    )


@pytest.mark.filterwarnings("ignore:Keras runs this network")
@pytest.mark.parametrize("activation", ["relu", "gelu"])  # OpenVINO is not given the other one.
def test_a_network_is_let_go(openvino, activation):
    inputs = keras.Input((8, 8, 2))
    model = keras.Model(inputs, layers.Conv2D(2, 3, activation=activation)(inputs))
    forward(model)(patches(8, channels=2))
    seen = weakref.ref(model)
    del model, inputs
    keras.backend.clear_session()
    gc.collect()
    assert seen() is None


def test_a_network_that_branches_is_caught_by_its_trial_patch(openvino):
    inputs = keras.Input((8, 8, 2))
    first = layers.Conv2D(2, 3, padding="same")
    second = layers.Conv2D(2, 3, padding="same")
    # Layer by layer this reads as one chain, which gives something else.
    model = keras.Model(inputs, layers.Activation("linear")(second(inputs) + 0 * first(inputs)))
    with pytest.warns(UserWarning, match="slower than OpenVINO"):
        run = forward(model)
    np.testing.assert_allclose(
        run(patches(8, channels=2)), by_keras(model, patches(8, channels=2)), atol=1e-6
    )


def test_engine_is_never_stale(openvino):
    model = shaken(build_autoencoder(32, 4))
    batch = patches(32)
    before = forward(model)(batch)
    assert forward(model) is forward(model)
    shaken(model, seed=3)
    after = forward(model)(batch)
    assert abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after, by_keras(model, batch), atol=2e-5)
    model.get_layer("decoder").get_layer("deconv1").bias.assign([0.25])
    np.testing.assert_allclose(forward(model)(batch), by_keras(model, batch), atol=2e-5)


def test_outputs_of_one_batch_outlive_the_next(openvino):
    run = forward(shaken(build_autoencoder(32, 4)))
    first = run(patches(32))
    kept = first.copy()
    run(1 - patches(32))
    np.testing.assert_array_equal(first, kept)


def test_choice_of_engine(monkeypatch):
    for asked, name in {"keras": "Keras", "openvino": "OpenVINO", "auto": "OpenVINO"}.items():
        monkeypatch.setenv("SADEFECT_ENGINE", asked)
        assert provenance.describe_engine().split()[0] == name
    monkeypatch.setenv("SADEFECT_ENGINE", "onnx")
    with pytest.raises(ValueError, match="SADEFECT_ENGINE must be one of"):
        provenance.chosen_engine()


def test_without_openvino_keras_runs(monkeypatch):
    monkeypatch.setattr(provenance.util, "find_spec", lambda name: None)
    monkeypatch.setenv("SADEFECT_ENGINE", "auto")
    assert provenance.chosen_engine() == "keras"
    model = shaken(build_autoencoder(32, 4))
    batch = patches(32)
    np.testing.assert_allclose(forward(model)(batch), by_keras(model, batch), atol=1e-5)
    monkeypatch.setenv("SADEFECT_ENGINE", "openvino")
    with pytest.raises(ValueError, match="pip install openvino"):
        provenance.chosen_engine()


def test_a_gpu_keeps_keras(monkeypatch):
    monkeypatch.setenv("SADEFECT_ENGINE", "auto")
    monkeypatch.setattr(provenance, "_keras_is_on_cpu", lambda: False)
    assert provenance.chosen_engine() == "keras"


def test_a_map_of_a_whole_image_is_the_same(monkeypatch):
    model = shaken(build_autoencoder(32, 8))
    image = np.random.default_rng(5).random((90, 110), "float32")
    maps = {}
    for name in ("keras", "openvino"):
        monkeypatch.setenv("SADEFECT_ENGINE", name)
        maps[name] = anomaly_map(model, image)
    for ours, expected in zip(maps["openvino"], maps["keras"], strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-4)
