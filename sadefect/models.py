"""The network of table 1: an encoder, its mirror, and the two together, variational or not."""

from contextlib import contextmanager
from functools import partial

import keras
from keras import layers, ops

from sadefect.errors import require_choice

PATCH_SIZES = (32, 64, 128)
# Table 1: filters, kernel and stride of conv1 to conv8; conv9 reduces what is left to 1x1xd.
TABLE_1 = (
    (32, 4, 2),
    (32, 4, 2),
    (32, 3, 1),
    (64, 4, 2),
    (64, 3, 1),
    (128, 4, 2),
    (64, 3, 1),
    (32, 3, 1),
)
DOWNSCALING = 16  # Product of the strides.
SLOPE = 0.2  # Of the leaky rectifiers.
CHANNELS = {"data_format": "channels_last"}  # Whatever keras.json says.


@contextmanager
def precision(name):
    """Set the precision with which layers that are built in this block compute.

    Weights stay float32. Under "mixed_bfloat16" all layers but the last compute in bfloat16, which
    processors with matrix units for it do several times faster; others are slower.

    Examples
    --------
    >>> with precision("mixed_bfloat16"):
    ...     build_autoencoder(32, 4).get_layer("decoder").get_layer("deconv2").compute_dtype
    'bfloat16'
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _full_precision():
    """Return the dtype of layers that 16 bits are too coarse for; None where there are more."""
    half = keras.config.dtype_policy().compute_dtype in ("bfloat16", "float16")
    return "float32" if half else None


def _check(patch_size, latent_dim):
    require_choice("patch_size, which table 1 halves four times,", patch_size, PATCH_SIZES)
    if latent_dim != int(latent_dim) or latent_dim < 1:
        raise ValueError(
            f"latent_dim must be a whole number of at least 1; received {latent_dim!r}"
        )


def table_1_row(layer):
    """Return output size; kernel, stride and padding of a convolution, transposed or not.

    Padding follows from the sizes: what a convolution was given more, half on each side.

    Examples
    --------
    >>> table_1_row(build_encoder().get_layer("conv1"))
    ('64x64x32', '4x4, 2, 1')
    """
    kernel, stride = layer.kernel_size[0], layer.strides[0]
    coarse, fine = sorted((layer.input.shape[1], layer.output.shape[1]))
    padding = ((coarse - 1) * stride + kernel - fine) // 2
    size = "x".join(map(str, layer.output.shape[1:]))
    return size, f"{kernel}x{layer.kernel_size[1]}, {stride}, {padding}"


def build_encoder(patch_size=128, latent_dim=100, *, kernel_regularizer=None):
    """Build the network from patch to latent vector: conv1 to conv9 of table 1.

    Parameters
    ----------
    patch_size : {32, 64, 128}
        Side of a patch in pixels. The paper does not say how 32 and 64 are encoded; here conv9's
        kernel is what is left of the map, 2x2 and 4x4 instead of 8x8.
    latent_dim : int
        d, the number of channels of conv9.
    kernel_regularizer : keras.Regularizer, optional
        For every kernel.

    Returns
    -------
    keras.Model
        ``(B, patch_size, patch_size, 1)`` to ``(B, 1, 1, latent_dim)``, linear at the end.

    References
    ----------
    Table 1 of doi:10.5220/0007364503720380

    Examples
    --------
    >>> build_encoder(latent_dim=100).output_shape
    (None, 1, 1, 100)
    """
    _check(patch_size, latent_dim)
    inputs = x = keras.Input((patch_size, patch_size, 1), name="patch")
    convolution = partial(layers.Conv2D, kernel_regularizer=kernel_regularizer, **CHANNELS)
    for number, (filters, kernel, stride) in enumerate(TABLE_1, 1):
        x = convolution(filters, kernel, stride, padding="same", name=f"conv{number}")(x)
        x = layers.LeakyReLU(SLOPE, name=f"conv{number}_leaky_relu")(x)
    z = convolution(latent_dim, patch_size // DOWNSCALING, name="conv9")(x)
    return keras.Model(inputs, z, name="encoder")


def build_decoder(
    patch_size=128,
    latent_dim=100,
    output_activation="linear",
    *,
    channels=1,
    kernel_regularizer=None,
):
    """Build the network from latent vector to patch: the mirror of table 1, deconv9 to deconv1.

    Layer ``deconvN`` undoes ``convN``: transposed where convN has a stride or a 1x1 output; a plain
    3x3 convolution where it has neither, which is the same function up to a flip of its kernel.

    Parameters
    ----------
    patch_size, latent_dim, kernel_regularizer
        As in `build_encoder`.
    output_activation : str
        "linear" as recalled from the paper; most public code uses "sigmoid".
    channels : int
        Numbers given for each pixel.

    Returns
    -------
    keras.Model
        ``(B, 1, 1, latent_dim)`` to ``(B, patch_size, patch_size, channels)``.

    References
    ----------
    Table 1 of doi:10.5220/0007364503720380

    Examples
    --------
    >>> build_decoder(latent_dim=100).output_shape
    (None, 128, 128, 1)
    """
    _check(patch_size, latent_dim)
    inputs = keras.Input((1, 1, latent_dim), name="latent")
    options = {"kernel_regularizer": kernel_regularizer} | CHANNELS
    # Eight bits of fraction are too few to compare a reconstruction with an image.
    last = _full_precision()
    kernel = patch_size // DOWNSCALING
    x = layers.Conv2DTranspose(TABLE_1[-1][0], kernel, name="deconv9", **options)(inputs)
    for number in range(len(TABLE_1), 0, -1):
        x = layers.LeakyReLU(SLOPE, name=f"deconv{number + 1}_leaky_relu")(x)
        _, kernel, stride = TABLE_1[number - 1]
        filters = TABLE_1[number - 2][0] if number > 1 else channels
        layer = layers.Conv2DTranspose if stride > 1 else layers.Conv2D
        options |= {"name": f"deconv{number}", "dtype": last if number == 1 else None}
        x = layer(filters, kernel, stride, padding="same", **options)(x)
    outputs = layers.Activation(output_activation, name="reconstruction", dtype=last)(x)
    return keras.Model(inputs, outputs, name="decoder")


def build_autoencoder(
    patch_size=128, latent_dim=100, output_activation="linear", *, kernel_regularizer=None
):
    """Build the autoencoder of eq. 1 with the network of table 1.

    Parameters
    ----------
    patch_size, latent_dim, output_activation, kernel_regularizer
        As in `build_encoder` and `build_decoder`.

    Returns
    -------
    keras.Model
        ``(B, patch_size, patch_size, 1)`` to the same shape, untrained. 1,048,549 parameters at
        ``latent_dim=100`` and 2,687,349 at ``latent_dim=500``, for patches of 128 pixels.

    Raises
    ------
    ValueError
        If the patch size is not one that table 1 can halve four times, or d is not positive.

    References
    ----------
    Eq. 1 and table 1 of doi:10.5220/0007364503720380

    Examples
    --------
    >>> build_autoencoder(latent_dim=100).count_params()
    1048549
    """
    options = {"kernel_regularizer": kernel_regularizer}
    encoder = build_encoder(patch_size, latent_dim, **options)
    decoder = build_decoder(patch_size, latent_dim, output_activation, **options)
    inputs = keras.Input((patch_size, patch_size, 1), name="patch")
    return keras.Model(inputs, decoder(encoder(inputs)), name="autoencoder")


@keras.saving.register_keras_serializable(package="sadefect")
class GaussianLatent(layers.Layer):
    """Draw latent vectors in training, else return their means; add the divergence as a loss.

    The loss is the Kullback-Leibler divergence from the unit Gaussian prior, summed over the latent
    dimensions, times ``scale`` and ``kl_weight``.

    References
    ----------
    D. Kingma and M. Welling, Auto-Encoding Variational Bayes, 2014, arXiv:1312.6114, appendix B
    """

    def __init__(self, kl_weight=1.0, scale=1.0, seed=0, **options):
        super().__init__(**options)
        self.kl_weight, self.scale, self.seed = kl_weight, scale, seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, moments, training=False):
        mean, log_variance = ops.split(moments, 2, axis=-1)
        divergence = 0.5 * ops.sum(
            ops.square(mean) + ops.exp(log_variance) - 1.0 - log_variance, axis=(1, 2, 3)
        )
        self.add_loss(self.kl_weight * self.scale * ops.mean(divergence))
        if not training:
            return mean
        noise = keras.random.normal(ops.shape(mean), seed=self.generator)
        return mean + ops.exp(0.5 * log_variance) * noise

    def get_config(self):
        own = {"kl_weight": self.kl_weight, "scale": self.scale, "seed": self.seed}
        return super().get_config() | own


def build_vae(
    patch_size=128,
    latent_dim=100,
    output_activation="linear",
    *,
    variance="fixed",
    kl_weight=1.0,
    seed=0,
    kernel_regularizer=None,
):
    """Build the variational autoencoder of section 3.1.2 with the network of table 1.

    Its encoder gives two numbers for each latent dimension, a mean and a log variance; the prior is
    a unit Gaussian. Train it with the mean squared error for ``variance="fixed"``, which together
    with the divergence is eq. 2 plus ``kl_weight`` times the divergence, over the number of pixels:
    a Gaussian likelihood of variance 1/2. For ``variance="learned"`` the decoder gives a log
    variance for each pixel too; train it with `GaussianLoss`. The paper does not say which it used.

    Parameters
    ----------
    patch_size, latent_dim, output_activation, kernel_regularizer
        As in `build_autoencoder`.
    variance : {"fixed", "learned"}
        Of the likelihood of a pixel.
    kl_weight : float
        Of the divergence; 1 is the variational bound.
    seed : int
        Of the latent draws in training.

    Returns
    -------
    keras.Model
        ``(B, P, P, 1)`` to the same shape, or ``(B, P, P, 2)`` for a learned variance.

    References
    ----------
    J. An and S. Cho, Variational Autoencoder based Anomaly Detection using Reconstruction
    Probability, SNU Data Mining Center, 2015

    Examples
    --------
    >>> build_vae(latent_dim=100).get_layer("encoder").output_shape
    (None, 1, 1, 200)
    """
    require_choice("variance", variance, ("fixed", "learned"))
    _check(patch_size, latent_dim)
    options = {"kernel_regularizer": kernel_regularizer}
    encoder = build_encoder(patch_size, 2 * latent_dim, **options)
    channels = 2 if variance == "learned" else 1
    decoder = build_decoder(patch_size, latent_dim, output_activation, channels=channels, **options)
    inputs = keras.Input((patch_size, patch_size, 1), name="patch")
    latent = GaussianLatent(
        kl_weight, 1 / patch_size**2, seed, name="latent_sample", dtype=_full_precision()
    )  # Per pixel, as the losses are.
    return keras.Model(inputs, decoder(latent(encoder(inputs))), name="variational_autoencoder")
