"""The losses of all methods, each a `keras.losses.Loss`, and what residuals are not SSIM's.

SSIM, l2 (Keras's own), the likelihood of a VAE and feature matching are the paper's (section 3.1);
multi-scale SSIM and SSIM with absolute differences came after it.
"""

import keras
import numpy as np
from keras import ops

from sadefect.backends import guarded_in_step
from sadefect.features import SMALLEST, load_extractor
from sadefect.structural_similarity import (
    SSIMOptions,
    as_batch,
    check_integers,
    mean_of_channels,
    ssim_of_batch,
    statistics,
)

# Logarithms of a learned variance: standard deviations from about a step of 8 bits, 0.0041, to
# beyond the whole range, 1.6.
LOG_VARIANCE = (-11.0, 1.0)

# Of the scales in Wang 2003, finest first; the five-scale original needs 176 pixels for a window of
# 11. As many as fit are taken, and made to add up to 1.
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

SLACK = 1.01  # Times the data range: noise and interpolation may reach a little beyond it.


def _own_dtype(loss):
    """Return the part of a loss's configuration that says its dtype, where it is not Keras's."""
    return {} if loss.dtype == keras.backend.floatx() else {"dtype": loss.dtype}


def _spread_beyond(image, limit):
    """Return 0, or in a compiled step NaN where the gray values of an image span too much.

    A `ValueError` says so wherever values are known; a compiled step raises it too, as its backend
    can: see `sadefect.backends`.
    """
    image = ops.convert_to_tensor(image)
    if isinstance(image, keras.KerasTensor) or 0 in image.shape:
        return 0.0
    spread = ops.cast(ops.max(image), "float32") - ops.cast(ops.min(image), "float32")
    text = (
        "the gray values of y_true span {:g}, more than data_range={:g}; pass data_range= the "
        "largest minus the smallest possible gray value, 255 for 8 bit, or scale the images"
    )

    def refuse(spread):
        if not float(spread) <= limit:
            raise ValueError(text.format(float(spread), limit / SLACK))

    try:
        known = ops.convert_to_numpy(spread)
    except (TypeError, ValueError, NotImplementedError):  # A compiled step is being traced.
        words = text.format(0, limit / SLACK).split(" 0,", 1)
        spread = guarded_in_step(spread, spread <= limit, refuse, words)
        return ops.where(spread <= limit, 0.0, np.nan)
    refuse(known)
    return 0.0


@keras.saving.register_keras_serializable(package="sadefect")
class SSIMLoss(keras.losses.Loss):
    """Compute ``1 - mean SSIM`` of each pair of patches.

    Parameters
    ----------
    data_range : float
        Largest minus smallest possible gray value, 1 for patches in [0, 1].
    reduction, name, dtype
        As in every Keras loss; SSIM itself is computed in float32.
    **options
        As in `ssim_map`.

    Raises
    ------
    ValueError
        When it is called, if the targets hold integers that the data range is not for, or values
        further apart than it. In a compiled step it is the backend's error, with the same words;
        where it cannot raise, with XLA on TensorFlow and in JAX's loop on a card, the loss is NaN.

    Notes
    -----
    Patches are ``(B, H, W, C)``; of several channels each is compared for itself, and the mean is
    taken.

    References
    ----------
    Section 3.1.4 of doi:10.5220/0007364503720380

    Examples
    --------
    >>> import numpy as np
    >>> patches = np.random.default_rng(0).random((2, 32, 32, 1), dtype="float32")
    >>> float(SSIMLoss(data_range=1.0)(patches, patches))
    0.0
    """

    def __init__(
        self,
        *,
        data_range,
        reduction="sum_over_batch_size",
        name="ssim_loss",
        dtype=None,
        **options,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.options = SSIMOptions(data_range=data_range, **options)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Check the gray values before Keras casts them, and compute the loss."""
        for name, image in (("y_true", y_true), ("y_pred", y_pred)):
            check_integers(name, image, self.options)
        beyond = _spread_beyond(y_true, SLACK * self.options.data_range)
        if not isinstance(beyond, float):
            y_true = ops.cast(y_true, self.dtype) + ops.cast(beyond, self.dtype)
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true, y_pred):
        x, y, channels = as_batch(y_true, y_pred, self.options)
        mean = ops.mean(ssim_of_batch(x, y, self.options), axis=(1, 2))
        return 1.0 - mean_of_channels(mean, channels)

    def get_config(self):
        return {**super().get_config(), **_own_dtype(self), **vars(self.options)}


@keras.saving.register_keras_serializable(package="sadefect")
class MultiScaleSSIMLoss(SSIMLoss):
    """Compute ``1 - MS-SSIM``, with as many scales as the patch and the window leave room for.

    References
    ----------
    Z. Wang, E. Simoncelli and A. Bovik, Multiscale structural similarity for image quality
    assessment, 2003, doi:10.1109/ACSSC.2003.1292216

    Examples
    --------
    >>> import numpy as np
    >>> patches = np.random.default_rng(0).random((2, 64, 64, 1), dtype="float32")
    >>> round(float(MultiScaleSSIMLoss(data_range=1.0)(patches, patches)), 6)
    0.0
    """

    def call(self, y_true, y_pred):
        x, y, channels = as_batch(y_true, y_pred, self.options)
        c1, c2 = self.options.constants
        sides = [min(x.shape[1:3]) // 2**number for number in range(len(SCALE_WEIGHTS))]
        scales = max(1, sum(side >= self.options.window_size for side in sides))
        product = 1.0
        for number, weight in enumerate(SCALE_WEIGHTS[:scales]):
            mean_x, mean_y, variance_x, variance_y, covariance = statistics(x, y, self.options)
            similar = (2 * covariance + c2) / (variance_x + variance_y + c2)
            if number == scales - 1:
                similar *= (2 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
            # A negative mean has no root; the clamp leaves it for the other scales to repair.
            mean = ops.maximum(ops.mean(similar, axis=(1, 2)), 1e-3)
            product = product * mean ** (weight / sum(SCALE_WEIGHTS[:scales]))
            x, y = (
                ops.average_pool(image[..., None], 2, data_format="channels_last")[..., 0]
                for image in (x, y)
            )
        return mean_of_channels(1.0 - product, channels)


@keras.saving.register_keras_serializable(package="sadefect")
class L1SSIMLoss(SSIMLoss):
    """Compute ``share`` of SSIM's loss, the rest mean absolute difference.

    References
    ----------
    H. Zhao, O. Gallo, I. Frosio and J. Kautz, Loss Functions for Image Restoration with Neural
    Networks, 2017, doi:10.1109/TCI.2016.2644865, who take 0.84 and several scales
    """

    def __init__(self, *, share=0.84, name="l1_ssim_loss", **options):
        super().__init__(name=name, **options)
        self.share = share

    def call(self, y_true, y_pred):
        difference = ops.abs(ops.cast(y_true, "float32") - ops.cast(y_pred, "float32"))
        difference = ops.mean(difference, axis=tuple(range(1, len(difference.shape))))
        return self.share * super().call(y_true, y_pred) + (1 - self.share) * difference

    def get_config(self):
        return super().get_config() | {"share": self.share}


@keras.saving.register_keras_serializable(package="sadefect")
class GaussianLoss(keras.losses.Loss):
    """Compute the mean negative log likelihood of pixels under a mean and a log variance.

    Predictions are ``(B, H, W, 2)``; the constant ``log(2 pi) / 2`` is left out.
    """

    def call(self, y_true, y_pred):
        mean, log_variance = ops.split(y_pred, 2, axis=-1)
        log_variance = ops.clip(log_variance, *LOG_VARIANCE)
        distance = ops.square(ops.cast(y_true, mean.dtype) - mean) * ops.exp(-log_variance)
        return ops.mean(0.5 * (distance + log_variance), axis=(1, 2, 3))


@keras.saving.register_keras_serializable(package="sadefect")
class FeatureMatchingLoss(keras.losses.Loss):
    """Compute eq. 3 for each pair of patches, over the number of pixels.

    ``(sum (x - y)^2 + weight * sum (F(x) - F(y))^2) / number of pixels``. The two sums keep the
    ratio that they have in eq. 3; without features this is the mean squared error.

    Parameters
    ----------
    extractor : keras.Model, optional
        ``(B, P, P, 1)`` to a tensor or a list of tensors, taken instead of a file's. It is not part
        of the configuration, where ``source`` is then None.
    weight : float
        Lambda of eq. 3, 0 or more.
    source : {"imagenet"} or None
        As in `load_extractor`. The file is read here, not in the first step: some backends cannot
        make variables in a compiled step. None reads no file; set ``extractor`` later.
    outputs, last_relu
        As in `build_extractor`; unused where an extractor is given.
    reduction, name, dtype
        As in every Keras loss.

    Attributes
    ----------
    extractor_name : str or None
        Source and fingerprint of the weights, as `load_extractor` returns them.

    References
    ----------
    Eq. 3 of doi:10.5220/0007364503720380, after arXiv:1602.02644

    Examples
    --------
    >>> import numpy as np
    >>> patches = np.random.default_rng(0).random((2, 64, 64, 1), dtype="float32")
    >>> from sadefect import build_extractor
    >>> float(FeatureMatchingLoss(build_extractor())(patches, patches))
    0.0
    """

    def __init__(
        self,
        extractor=None,
        *,
        weight=1.0,
        source="imagenet",
        outputs="third",
        last_relu=True,
        reduction="sum_over_batch_size",
        name="feature_matching_loss",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if not 0 <= weight < np.inf:
            raise ValueError(f"weight must be a number of at least 0; received {weight!r}")
        self.weight, self.outputs, self.last_relu = weight, outputs, last_relu
        self.extractor, self.source, self.extractor_name = extractor, None, None
        if extractor is None and source is not None:
            self.source = source
            self.extractor, self.extractor_name = load_extractor(
                source, outputs=outputs, last_relu=last_relu
            )

    def call(self, y_true, y_pred):
        if self.extractor is None:
            raise ValueError(
                "this loss has no extractor: it was made or saved without a source; "
                "set its attribute `extractor` to the model that belongs to it"
            )
        x, y = (ops.cast(ops.convert_to_tensor(image), "float32") for image in (y_true, y_pred))
        if len(x.shape) != 4 or x.shape[-1] != 1 or tuple(x.shape[1:]) != tuple(y.shape[1:]):
            raise ValueError(
                "expected two batches of gray patches (B, P, P, 1) of one shape; received "
                f"{tuple(x.shape)} and {tuple(y.shape)}"
            )
        if self.source and min(x.shape[1:3]) < SMALLEST[-1]:
            raise ValueError(
                f"patches of {x.shape[1]}x{x.shape[2]} pixels leave the third layer nothing; "
                f"expected at least {SMALLEST[-1]} pixels a side"
            )
        total = ops.sum(ops.square(x - y), axis=(1, 2, 3))
        # One call for both patches would also compute gradients for x, which nobody asks for.
        features = (keras.tree.flatten(self.extractor(patch, training=False)) for patch in (x, y))
        for map_x, map_y in zip(*features, strict=True):
            difference = ops.square(ops.cast(map_x, "float32") - ops.cast(map_y, "float32"))
            axes = tuple(range(1, len(difference.shape)))
            total = total + self.weight * ops.sum(difference, axis=axes)
        return total / (x.shape[1] * x.shape[2])

    def get_config(self):
        own = ("weight", "source", "outputs", "last_relu")
        settings = {name: getattr(self, name) for name in own}
        return super().get_config() | _own_dtype(self) | settings


def l2_residual(x, y):
    """Compute the squared difference of each pixel, eq. 2; arrays of one shape, float32."""
    difference = np.asarray(x, "float32") - np.asarray(y, "float32")
    return difference * difference


def vae_residual(x, *samples):
    """Compute the negative logarithm of the reconstruction probability, over latent samples.

    Each sample is a reconstruction of shape ``(..., 1)``, whose likelihood has the variance 1/2 of
    eq. 2, or ``(..., 2)`` with a log variance for each pixel. Constants are left out: the first
    kind gives the mean of the squared differences.
    """
    total = np.zeros(x.shape, "float32")
    for sample in samples:
        distance = (x - sample[..., 0]) ** 2
        if sample.shape[-1] == 2:
            log_variance = np.clip(sample[..., 1], *LOG_VARIANCE)
            distance = 0.5 * (distance * np.exp(-log_variance) + log_variance)
        total += distance
    return total / len(samples)
