"""The network is that of table 1, and a saved one loads anywhere."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from scipy.stats import norm

from sadefect import (
    FeatureMatchingLoss,
    L1SSIMLoss,
    MultiScaleSSIMLoss,
    SSIMLoss,
    build_autoencoder,
    build_decoder,
    build_encoder,
    build_extractor,
    build_vae,
)
from sadefect.losses import GaussianLoss
from sadefect.methods import METHODS, load_model
from sadefect.models import GaussianLatent

# Layer, output size, channels, kernel, stride of table 1.
TABLE = [
    ("conv1", 64, 32, 4, 2),
    ("conv2", 32, 32, 4, 2),
    ("conv3", 32, 32, 3, 1),
    ("conv4", 16, 64, 4, 2),
    ("conv5", 16, 64, 3, 1),
    ("conv6", 8, 128, 4, 2),
    ("conv7", 8, 64, 3, 1),
    ("conv8", 8, 32, 3, 1),
    ("conv9", 1, 100, 8, 1),
]


@pytest.mark.parametrize(
    ("latent_dim", "parameters"),
    [(50, 843_699), (100, 1_048_549), (200, 1_458_249), (500, 2_687_349), (1000, 4_735_849)],
)
def test_number_of_parameters(latent_dim, parameters):
    assert build_autoencoder(latent_dim=latent_dim).count_params() == parameters


def test_encoder_is_table_1():
    encoder = build_encoder(128, 100)
    for name, size, channels, kernel, stride in TABLE:
        layer = encoder.get_layer(name)
        assert layer.output.shape == (None, size, size, channels)
        assert layer.kernel_size == (kernel, kernel) and layer.strides == (stride, stride)
        if name != "conv9":
            assert encoder.get_layer(f"{name}_leaky_relu").negative_slope == pytest.approx(0.2)
    assert encoder.output is encoder.get_layer("conv9").output  # The bottleneck is linear.


def test_decoder_mirrors_the_encoder():
    decoder = build_decoder(128, 100)
    encoder = build_encoder(128, 100)
    for number in range(1, 10):
        there, back = encoder.get_layer(f"conv{number}"), decoder.get_layer(f"deconv{number}")
        assert there.input.shape == back.output.shape
        assert there.output.shape[1:] == back.input.shape[1:]
        assert there.kernel_size == back.kernel_size
    assert decoder.get_layer("reconstruction").activation is keras.activations.linear


@pytest.mark.parametrize("patch_size", [32, 64, 128])
def test_patch_sizes(patch_size):
    model = build_autoencoder(patch_size, 10, "sigmoid")
    output = np.asarray(model(np.zeros((2, patch_size, patch_size, 1), "float32")))
    assert output.shape == (2, patch_size, patch_size, 1)
    assert output.min() > 0 and output.max() < 1


@pytest.mark.parametrize(
    ("arguments", "message"), [((100, 10), "patch_size"), ((128, 0), "latent")]
)
def test_unusable_sizes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_autoencoder(*arguments)


def untrained_feature_matching():
    return FeatureMatchingLoss(build_extractor(), source=None)


SAVED = {
    "ssim": (build_autoencoder, {}, lambda: SSIMLoss(data_range=1.0, window_size=7)),
    "l1_ssim": (build_autoencoder, {}, lambda: L1SSIMLoss(data_range=1.0, share=0.5)),
    "ms_ssim": (build_autoencoder, {}, lambda: MultiScaleSSIMLoss(data_range=1.0)),
    "l2": (build_autoencoder, {}, keras.losses.MeanSquaredError),
    "vae": (build_vae, {}, keras.losses.MeanSquaredError),
    "vae, learned": (build_vae, {"variance": "learned"}, GaussianLoss),
    "feature_matching": (build_autoencoder, {}, untrained_feature_matching),
}
FRESH = """
import json, sys
import numpy as np
from sadefect import load_model
folder = sys.argv[1]
patch = np.load(f"{folder}/patch.npy")
read = {}
for name in sys.argv[2:]:
    model = load_model(f"{folder}/{name}.keras")
    read[name] = [type(model.loss).__name__, float(np.asarray(model(patch)).sum())]
print(json.dumps(read))
"""


def test_saved_models_load_in_a_fresh_process(tmp_path):
    patch = np.random.default_rng(0).random((1, 32, 32, 1), dtype="float32")
    np.save(tmp_path / "patch.npy", patch)
    written = {}
    for name, (build, options, loss) in SAVED.items():
        model = build(32, 4, **options)
        model.compile("adam", loss())
        model.save(tmp_path / f"{name}.keras")
        written[name] = [type(model.loss).__name__, float(np.asarray(model(patch)).sum())]
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(tmp_path), *SAVED], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    assert read.keys() == written.keys()
    for name, (loss, total) in written.items():
        assert read[name][0] == loss
        assert read[name][1] == pytest.approx(total, rel=1e-4)
    assert load_model(tmp_path / "ssim.keras").loss.get_config()["window_size"] == 7


def test_every_method_has_a_model_that_is_saved():
    assert {name.partition(",")[0] for name in SAVED} == METHODS.keys()


@pytest.mark.parametrize("variance", ["fixed", "learned"])
def test_a_vae_learns_and_resumes_its_draws(variance):
    keras.utils.set_random_seed(0)
    vae = build_vae(32, 4, variance=variance)
    assert vae.output_shape[-1] == (2 if variance == "learned" else 1)
    loss = keras.losses.MeanSquaredError() if variance == "fixed" else GaussianLoss()
    vae.compile(keras.optimizers.Adam(1e-3), loss)
    rng = np.random.default_rng(0)
    batch = (0.2 + 0.6 * rng.random((8, 1, 1, 1)) * np.ones((8, 32, 32, 1))).astype("float32")
    losses = [float(vae.train_on_batch(batch, batch)) for _ in range(40)]
    wanted = 0.5 * losses[0] if variance == "fixed" else losses[0] - 0.1
    assert min(losses) < wanted
    assert any("seed" in variable.path for variable in vae.variables), "or no resume is exact"


def test_the_divergence_is_kingmas():
    layer = GaussianLatent(kl_weight=2.0, scale=0.5)
    mean, log_variance = np.array([0.3, -1.0]), np.array([0.2, -0.7])
    moments = np.concatenate([mean, log_variance])[None, None, None].astype("float32")
    assert np.allclose(layer(moments), mean)
    expected = 0.5 * np.sum(mean**2 + np.exp(log_variance) - 1 - log_variance)
    assert float(layer.losses[0]) == pytest.approx(expected, rel=1e-5)
    draws = np.concatenate([np.asarray(layer(moments, training=True)) for _ in range(500)])
    np.testing.assert_allclose(draws.std(axis=(0, 1, 2)), np.exp(log_variance / 2), rtol=0.15)


def test_gaussian_loss_equals_scipys():
    rng = np.random.default_rng(0)
    x, mean, log_variance = rng.normal(size=(3, 2, 8, 8, 1))
    found = float(GaussianLoss()(x, np.concatenate([mean, log_variance / 3], axis=-1)))
    expected = -norm.logpdf(x, mean, np.exp(log_variance / 6)).mean() - 0.5 * np.log(2 * np.pi)
    assert found == pytest.approx(expected, rel=1e-5)


def test_an_unknown_variance_is_refused():
    with pytest.raises(ValueError, match="learned"):
        build_vae(32, 4, variance="some")
