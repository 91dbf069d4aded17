"""The network of table 1: an encoder, its mirror, and the two together."""

import keras
from keras import layers

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


def _check(patch_size, latent_dim):
    if patch_size not in PATCH_SIZES:
        raise ValueError(
            f"patch_size must be one of {PATCH_SIZES} pixels: table 1 halves it four times; "
            f"received {patch_size!r}"
        )
    if latent_dim != int(latent_dim) or latent_dim < 1:
        raise ValueError(
            f"latent_dim must be a whole number of at least 1; received {latent_dim!r}"
        )


def build_encoder(patch_size=128, latent_dim=100, *, kernel_regularizer=None):
    """Patch to latent vector: conv1 to conv9 of table 1.

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
    for number, (filters, kernel, stride) in enumerate(TABLE_1, 1):
        x = layers.Conv2D(
            filters,
            kernel,
            stride,
            padding="same",
            name=f"conv{number}",
            kernel_regularizer=kernel_regularizer,
        )(x)
        x = layers.LeakyReLU(SLOPE, name=f"conv{number}_leaky_relu")(x)
    z = layers.Conv2D(
        latent_dim, patch_size // DOWNSCALING, name="conv9", kernel_regularizer=kernel_regularizer
    )(x)
    return keras.Model(inputs, z, name="encoder")


def build_decoder(
    patch_size=128, latent_dim=100, output_activation="linear", *, kernel_regularizer=None
):
    """Latent vector to patch: the mirror of table 1, deconv9 to deconv1.

    Layer ``deconvN`` undoes ``convN``: transposed where convN has a stride or a 1x1 output; a plain
    3x3 convolution where it has neither, which is the same function up to a flip of its kernel.

    Parameters
    ----------
    patch_size, latent_dim, kernel_regularizer
        As in `build_encoder`.
    output_activation : str
        "linear" as recalled from the paper; most public code uses "sigmoid".

    Returns
    -------
    keras.Model
        ``(B, 1, 1, latent_dim)`` to ``(B, patch_size, patch_size, 1)``.

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
    x = layers.Conv2DTranspose(
        TABLE_1[-1][0],
        patch_size // DOWNSCALING,
        name="deconv9",
        kernel_regularizer=kernel_regularizer,
    )(inputs)
    for number in range(len(TABLE_1), 0, -1):
        x = layers.LeakyReLU(SLOPE, name=f"deconv{number + 1}_leaky_relu")(x)
        _, kernel, stride = TABLE_1[number - 1]
        filters = TABLE_1[number - 2][0] if number > 1 else 1
        layer = layers.Conv2DTranspose if stride > 1 else layers.Conv2D
        x = layer(
            filters,
            kernel,
            stride,
            padding="same",
            name=f"deconv{number}",
            kernel_regularizer=kernel_regularizer,
        )(x)
    outputs = layers.Activation(output_activation, name="reconstruction")(x)
    return keras.Model(inputs, outputs, name="decoder")


def build_autoencoder(
    patch_size=128, latent_dim=100, output_activation="linear", *, kernel_regularizer=None
):
    """The autoencoder of eq. 1 with the network of table 1.

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
