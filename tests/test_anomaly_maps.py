"""Window by window and averaged, against the obvious way to do it."""

import keras
import numpy as np
import pytest

from sadefect import DataError, anomaly_map, build_autoencoder, build_vae, ssim_map, window_starts
from sadefect.anomaly_maps import residual_map
from sadefect.patches import as_image


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return build_autoencoder(32, 4)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).random((70, 95), dtype="float32")


def by_hand(model, image, residual=None, stride=30):
    """Mean over all windows of what each window gives, pixel by pixel."""
    total, count = np.zeros(image.shape), np.zeros(image.shape)
    for top in window_starts(image.shape[0], 32, stride):
        for left in window_starts(image.shape[1], 32, stride):
            here = slice(top, top + 32), slice(left, left + 32)
            output = np.asarray(model(image[here][None, ..., None]))[0, ..., 0]
            total[here] += output if residual is None else residual(image[here], output)
            count[here] += 1
    return total / count


def squared(x, y):
    return (x - y) ** 2


def dissimilarity(x, y):
    return 1 - np.asarray(ssim_map(x, y, data_range=1.0))


@pytest.mark.parametrize(("method", "residual"), [("l2", squared), ("ssim", dissimilarity)])
def test_averaged_reconstructions(model, image, method, residual):
    result = anomaly_map(model, image, method)
    expected = by_hand(model, image)
    np.testing.assert_allclose(result.reconstruction, expected, atol=1e-5)
    np.testing.assert_allclose(result.residual, residual(image, result.reconstruction), atol=1e-4)
    assert result.residual.dtype == result.reconstruction.dtype == np.float32


@pytest.mark.parametrize(("method", "residual"), [("l2", squared), ("ssim", dissimilarity)])
def test_averaged_maps(model, image, method, residual):
    result = anomaly_map(model, image, method, average="maps", stride=13)
    np.testing.assert_allclose(
        result.residual, by_hand(model, image, residual, stride=13), atol=1e-4
    )


def test_an_image_of_one_patch_and_a_channel_axis(model, image):
    patch = image[:32, :32]
    result = anomaly_map(model, patch[..., None], "l2")
    np.testing.assert_allclose(
        result.reconstruction, np.asarray(model(patch[None, ..., None]))[0, ..., 0], atol=1e-6
    )


def test_residual_options_reach_ssim(model, image):
    narrow, wide = (anomaly_map(model, image, window_size=size).residual for size in (3, 19))
    assert not np.allclose(narrow, wide)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda image: image[:20], "at least 32x32"),
        (lambda image: np.full_like(image, np.nan), "NaN"),
        (lambda image: 255 * image, "divide 8-bit"),
        (lambda image: image - 0.5, r"\[0, 1\]"),
        (lambda image: np.stack([image] * 3, -1), "gray"),
        (lambda image: (255 * image).astype("uint8"), "floats"),
        (lambda image: image[:0], "NaN"),
    ],
)
def test_unusable_images_are_refused(model, image, change, message):
    with pytest.raises(DataError, match=message):
        anomaly_map(model, change(image))


@pytest.mark.parametrize(
    "options", [{"residual": "l3"}, {"average": "median"}, {"stride": 33}, {"window_size": 4}]
)
def test_unusable_options_are_refused(model, image, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        anomaly_map(model, image, **options)


def test_half_and_double_precision_are_converted(image):
    for dtype in ("float16", "float64"):
        assert as_image(image.astype(dtype)).dtype == np.float32


@pytest.mark.parametrize("variance", ["fixed", "learned"])
@pytest.mark.parametrize("average", ["reconstructions", "maps"])
def test_a_vae_is_scored_by_its_samples(variance, average):
    vae = build_vae(32, 4, variance=variance)
    image = np.random.default_rng(0).random((50, 40), dtype="float32")
    one = anomaly_map(vae, image, "vae", average=average, samples=1)
    again = anomaly_map(vae, image, "vae", average=average, samples=1)
    other = anomaly_map(vae, image, "vae", average=average, samples=1, seed=1)
    np.testing.assert_array_equal(one.residual, again.residual)
    assert not np.array_equal(one.residual, other.residual)
    if variance == "fixed" and average == "reconstructions":
        np.testing.assert_allclose(one.residual, (image - one.reconstruction) ** 2, atol=1e-6)
    many = anomaly_map(vae, image, "vae", average=average, samples=6)
    assert many.residual.shape == image.shape and np.isfinite(many.residual).all()


def test_a_residual_without_a_function_is_refused():
    image = np.zeros((4, 4), "float32")
    with pytest.raises(ValueError, match="no function computes the residual 'sharpness'"):
        residual_map("sharpness", image, [image[..., None]])
