"""SSIM against scikit-image in float64, its bounds, and what it refuses."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops
from skimage import data
from skimage.metrics import structural_similarity

from sadefect import SSIMLoss, ssim, ssim_components, ssim_map

WINDOWS = [
    ({"window_size": 11}, {"win_size": 11}),
    ({"window_size": 7}, {"win_size": 7}),
    ({"window": "gaussian", "window_size": 11}, {"gaussian_weights": True, "sigma": 1.5}),
]


@pytest.fixture(scope="module")
def pair():
    """A natural image and the same with noise of standard deviation 0.1, float64."""
    image = data.camera() / 255
    noise = np.random.default_rng(0).normal(0, 0.1, image.shape)
    return image, np.clip(image + noise, 0, 1)


def oracle(x, y, data_range=1.0, **options):
    return structural_similarity(
        x, y, data_range=data_range, full=True, use_sample_covariance=False, **options
    )[1]


@pytest.mark.parametrize(("ours", "theirs"), WINDOWS)
@pytest.mark.parametrize("size", [(512, 512), (128, 128), (300, 140)])
def test_equals_scikit_image_in_float64(pair, ours, theirs, size):
    x, y = (image[: size[0], : size[1]] for image in pair)
    expected = oracle(x, y, **theirs)
    found = ops.convert_to_numpy(ssim_map(x, y, data_range=1.0, **ours))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=5e-5, rtol=0)
    assert float(ssim(x, y, data_range=1.0, **ours)) == pytest.approx(expected.mean(), abs=2e-6)


@pytest.mark.parametrize(("ours", "theirs"), WINDOWS)
def test_colour_equals_scikit_image(ours, theirs):
    image = data.astronaut()[100:200, 180:300] / 255
    noise = np.random.default_rng(0).normal(0, [0.02, 0.1, 0.3], image.shape)
    x, y = (array.astype("float32")[None] for array in (image, np.clip(image + noise, 0, 1)))
    expected = oracle(x[0].astype("float64"), y[0].astype("float64"), channel_axis=-1, **theirs)
    found = ops.convert_to_numpy(ssim_map(x, y, data_range=1.0, **ours))[0]
    # Dark, flat places are far from the middle that is taken off before squares: they lose a bit.
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)
    loss = SSIMLoss(data_range=1.0, padding="reflect", **ours)(x, y)
    assert float(loss) == pytest.approx(1 - expected.mean(), abs=1e-5)


@pytest.mark.parametrize("ours", [ours for ours, _ in WINDOWS])
def test_valid_is_the_inside_of_reflect(pair, ours):
    inside, whole = (
        ops.convert_to_numpy(ssim_map(*pair, data_range=1.0, padding=padding, **ours))
        for padding in ("valid", "reflect")
    )
    radius = ours["window_size"] // 2
    # Matrices of two sizes: processors add up their rows in different orders.
    np.testing.assert_allclose(inside, whole[radius:-radius, radius:-radius], atol=5e-5)


def test_equals_keras(pair):
    x, y = (image[None, :128, :128, None].astype("float32") for image in pair)
    expected = keras.ops.image.ssim(x, y, max_val=1.0)
    found = ssim(x, y, data_range=1.0, window="gaussian", padding="valid")
    # Keras squares gray values without taking their middle off first, and loses a digit.
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, atol=5e-5)


def test_components_multiply_to_the_map(pair):
    terms = ssim_components(*pair, data_range=1.0)
    product = np.prod([ops.convert_to_numpy(term) for term in terms], axis=0)
    expected = ops.convert_to_numpy(ssim_map(*pair, data_range=1.0))
    np.testing.assert_allclose(product, expected, atol=2e-5)


def test_each_component_answers_to_its_own_change(pair):
    image = 0.25 + 0.5 * pair[0][200:264, 200:264]  # The tripod, with texture everywhere.
    rng = np.random.default_rng(0)
    changes = {
        "luminance": image + 0.25,
        "contrast": image.mean() + 0.3 * (image - image.mean()),
        "structure": rng.permutation(image.ravel()).reshape(image.shape),
    }
    for number, (name, changed) in enumerate(changes.items()):
        means = [float(ops.mean(term)) for term in ssim_components(image, changed, data_range=1.0)]
        if name != "contrast":  # A narrower spread around the image's mean moves local means too.
            assert int(np.argmin(means)) == number, (name, means)
        assert means[number] < 0.95


@given(
    hnp.arrays("float32", (2, 24, 20), elements=st.floats(0, 1, width=32)),
    st.sampled_from(["uniform", "gaussian"]),
    st.sampled_from([3, 7, 11]),
)
@settings(max_examples=30, deadline=None)
def test_symmetric_bounded_and_one_on_itself(images, window, size):
    options = {"data_range": 1.0, "window": window, "window_size": size}
    x, y = images
    forth, back = (ops.convert_to_numpy(ssim_map(*both, **options)) for both in ((x, y), (y, x)))
    np.testing.assert_allclose(forth, back, atol=1e-6)
    assert np.isfinite(forth).all() and forth.min() >= -1 and forth.max() <= 1
    same = ops.convert_to_numpy(ssim_map(x, x, **options))
    np.testing.assert_allclose(same, 1.0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32", "float64"])
def test_dtypes(pair, dtype):
    scale = {"uint8": 255, "uint16": 65535}.get(dtype, 1)
    x, y = ((image * scale).astype(dtype) for image in pair)
    expected = oracle(x.astype("float64"), y.astype("float64"), data_range=scale, win_size=11)
    found = ssim_map(x, y, data_range=float(scale))
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, atol=1e-4)


@pytest.mark.parametrize("gray", [0.0, 0.5, 1.0])
def test_constant_images_give_one_and_finite_gradients(gray):
    image = np.full((4, 32, 32, 1), gray, "float32")
    np.testing.assert_allclose(
        ops.convert_to_numpy(ssim(image, image, data_range=1.0)), 1, atol=1e-6
    )
    model = keras.Sequential([keras.Input((32, 32, 1)), keras.layers.Conv2D(1, 1)])
    model.compile(keras.optimizers.SGD(0.1), SSIMLoss(data_range=1.0))
    for _ in range(3):
        assert np.isfinite(model.train_on_batch(image, image))
    assert all(np.isfinite(weights).all() for weights in model.get_weights())


def test_literal_constants_of_the_paper(pair):
    literal = ssim(*pair, data_range=1.0, c1=0.01, c2=0.03)
    by_factor = ssim(*pair, data_range=1.0, k1=0.1, k2=0.03**0.5)
    assert float(literal) == pytest.approx(float(by_factor), abs=1e-6)
    assert float(literal) > float(ssim(*pair, data_range=1.0))


def test_loss_is_one_minus_the_mean_and_serialises(pair):
    x, y = (np.stack([image[:64, :64], image[64:128, :64]])[..., None] for image in pair)
    loss = SSIMLoss(data_range=1.0, window="gaussian", c1=0.01, reduction=None, name="mine")
    values = ops.convert_to_numpy(loss(x, y))
    expected = ssim(x, y, data_range=1.0, window="gaussian", c1=0.01)
    np.testing.assert_allclose(values, 1 - ops.convert_to_numpy(expected), atol=1e-6)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.get_config() == loss.get_config()
    np.testing.assert_array_equal(ops.convert_to_numpy(again(x, y)), values)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window_size": 10}, "odd"),
        ({"window_size": 1}, "at least 3"),
        ({"window_size": 33}, "does not fit"),
        ({"window": "box"}, "uniform"),
        ({"padding": "zeros"}, "reflect"),
        ({"sigma": 0}, "sigma"),
        ({"c1": 0}, "c1"),
        ({"k2": -1}, "k2"),
        ({"data_range": 0}, "data_range"),
        ({"data_range": None}, "data_range"),
        ({"data_range": float("nan")}, "data_range"),
    ],
)
def test_unusable_options_are_refused(options, message):
    image = np.zeros((32, 32))
    with pytest.raises(ValueError, match=message):
        ssim_map(image, image, **{"data_range": 1.0, **options})


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((32, 32), "uint8"), np.zeros((32, 32), "uint8"), "data_range=255"),
        (np.linspace(0, 255, 1024).reshape(32, 32), np.zeros((32, 32)), "255 for 8 bit"),
        (np.full((32, 32), np.nan), np.zeros((32, 32)), "NaN"),
        (np.zeros((32, 32, 3)), np.zeros((32, 32, 3)), "gray"),
        (np.zeros((32, 32)), np.zeros((32, 31)), "one shape"),
        (np.zeros((32, 32)), np.zeros((40, 32)), "one shape"),
        (np.zeros((1, 32, 32, 1)), np.zeros((6, 32, 32, 1)), "one shape"),
        (np.zeros((32, 32, 1)), np.zeros((1, 32, 32, 1)), "one shape"),
    ],
)
def test_unusable_images_are_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        ssim_map(x, y, data_range=1.0)


def test_the_number_of_images_may_be_unknown():
    one, other = keras.Input((32, 32, 1)), keras.Input((32, 32, 1), batch_size=2)
    assert ssim_map(one, other, data_range=1.0).shape[1:] == (32, 32, 1)
    with pytest.raises(ValueError, match="one shape"):
        ssim_map(one, keras.Input((40, 32, 1)), data_range=1.0)


def test_the_loss_checks_its_options_when_it_is_built():
    with pytest.raises(ValueError, match="odd"):
        SSIMLoss(data_range=1.0, window_size=4)
    with pytest.raises(TypeError):
        SSIMLoss()
