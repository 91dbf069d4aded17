"""Losses that mix or stack SSIM, against scikit-image."""

import keras
import numpy as np
import pytest
from keras import ops
from skimage.metrics import structural_similarity
from skimage.transform import downscale_local_mean

from sadefect import L1SSIMLoss, MultiScaleSSIMLoss, SSIMLoss, build_autoencoder
from sadefect.losses import SCALE_WEIGHTS


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    x = downscale_local_mean(rng.random((256, 256)), (4, 4))
    return x, np.clip(x + rng.normal(0, 0.05, x.shape), 0, 1)


def as_patch(image):
    return image[None, ..., None].astype("float32")


def contrast_structure(x, y, window):
    """By scikit-image: with an infinite c1 luminance is 1."""
    options = {"data_range": 1.0, "win_size": window, "use_sample_covariance": False}
    return structural_similarity(x, y, full=True, K1=1e6, **options)[1].mean()


def test_ms_ssim_of_three_scales(pair):
    window = 11
    x, y = pair
    weights = np.array(SCALE_WEIGHTS[:3]) / sum(SCALE_WEIGHTS[:3])
    expected = 1.0
    for number, weight in enumerate(weights):
        if number < 2:
            expected *= contrast_structure(x, y, window) ** weight
        else:
            last = structural_similarity(
                x, y, full=True, data_range=1.0, win_size=window, use_sample_covariance=False
            )[1].mean()
            expected *= last**weight
        x, y = (downscale_local_mean(each, (2, 2)) for each in (x, y))
    found = float(MultiScaleSSIMLoss(data_range=1.0)(*map(as_patch, pair)))
    assert found == pytest.approx(1 - expected, abs=1e-4)


def test_l1_and_ssim_mix(pair):
    x, y = map(as_patch, pair)
    expected = 0.3 * float(SSIMLoss(data_range=1.0)(x, y)) + 0.7 * np.abs(x - y).mean()
    assert float(L1SSIMLoss(data_range=1.0, share=0.3)(x, y)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", [MultiScaleSSIMLoss, L1SSIMLoss])
def test_losses_are_serialisable_and_fall(kind):
    loss = kind(data_range=1.0, window_size=7)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is kind and again.get_config() == loss.get_config()
    model = build_autoencoder(32, 4)
    model.compile(keras.optimizers.Adam(1e-3), loss)
    ramp = np.linspace(0, 1, 32, dtype="float32")
    batch = np.broadcast_to(ramp[None, :, None, None], (8, 32, 32, 1))
    losses = [float(model.train_on_batch(batch, batch)) for _ in range(30)]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]


@pytest.mark.parametrize("kind", [MultiScaleSSIMLoss, L1SSIMLoss])
def test_constant_patches_have_no_loss(kind):
    flat = np.full((1, 64, 64, 1), 0.5, "float32")
    assert float(ops.mean(kind(data_range=1.0)(flat, flat))) == pytest.approx(0, abs=1e-6)
