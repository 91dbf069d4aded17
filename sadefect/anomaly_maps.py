"""A trained model and an image give a reconstruction and a residual map (section 3.1, 4.2)."""

from typing import NamedTuple

import numpy as np

from .errors import DataError
from .patches import STRIDE, OverlapAverage, windows

BATCH = 32  # Windows per forward pass; more do not fit into a CPU's cache.


class AnomalyMap(NamedTuple):
    """What a model makes of an image: two float32 arrays ``(H, W)``.

    ``reconstruction`` is in gray values; ``residual`` is larger where the image is more anomalous:
    squared differences for l2, ``1 - SSIM`` in [0, 2] for SSIM.
    """

    reconstruction: np.ndarray
    residual: np.ndarray


def l2_residual(x, y):
    """Squared difference of each pixel, eq. 2; arrays of one shape, float32."""
    difference = np.asarray(x, "float32") - np.asarray(y, "float32")
    return difference * difference


def ssim_residual(x, y, **options):
    """``1 - SSIM`` of each pixel, in [0, 2]; images ``(H, W)`` or ``(B, H, W, 1)`` in [0, 1]."""
    from keras import ops

    from .ssim import ssim_map

    return 1.0 - ops.convert_to_numpy(ssim_map(x, y, data_range=1.0, **options))


RESIDUALS = {"l2": l2_residual, "ssim": ssim_residual}


def as_image(image):
    """A gray image as float32 ``(H, W)``, or a `DataError` that says what is wrong with it."""
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    if image.ndim != 2 or not np.issubdtype(image.dtype, np.floating):
        raise DataError(
            "expected a gray image of shape (H, W) or (H, W, 1) with floats in [0, 1]; got "
            f"shape {image.shape} of {image.dtype}; read_image converts colour, 8 and 16 bit"
        )
    image = image.astype("float32", copy=False)
    low, high = (float(image.min()), float(image.max())) if image.size else (np.nan, np.nan)
    if not (low >= 0 and high <= 1):
        raise DataError(
            f"expected gray values in [0, 1] without NaN; got values from {low:g} to {high:g}; "
            "divide 8-bit images by 255 and 16-bit images by 65535"
        )
    return image


def anomaly_map(
    model, image, method="ssim", *, stride=STRIDE, average="reconstructions", **residual_options
):
    """Reconstruct an image window by window and compare the two.

    Parameters
    ----------
    model : keras.Model
        Maps patches ``(B, P, P, 1)`` to reconstructions of the same shape.
    image : array (H, W) or (H, W, 1)
        Gray values in [0, 1], at least one patch large.
    method : {"ssim", "l2"}
        The residual.
    stride : int
        Pixels between windows; the last window of each row and column ends at the border.
    average : {"reconstructions", "maps"}
        "reconstructions" averages overlapping reconstructions and takes one residual of the whole
        image, as this paper's text says; "maps" takes a residual of each window and averages
        these, as the same group's MVTec AD paper says.
    **residual_options
        For "ssim": ``window_size``, ``window``, ``c1``, ... as in `sadefect.ssim_map`.

    Returns
    -------
    AnomalyMap
        ``reconstruction`` and ``residual``, float32 ``(H, W)``.

    Raises
    ------
    DataError
        If the image is not gray, not in [0, 1], holds NaN, or is smaller than a patch.
    ValueError
        If an option is not known.

    References
    ----------
    Sections 3.1 and 4.2 of doi:10.5220/0007364503720380

    Examples
    --------
    >>> import numpy as np
    >>> from sadefect import build_autoencoder
    >>> image = np.random.default_rng(0).random((70, 80), dtype="float32")
    >>> result = anomaly_map(build_autoencoder(32, 4), image)
    >>> result.residual.shape
    (70, 80)
    """
    if method not in RESIDUALS:
        raise ValueError(f"method must be one of {sorted(RESIDUALS)}; received {method!r}")
    if average not in ("reconstructions", "maps"):
        raise ValueError(f'average must be "reconstructions" or "maps"; received {average!r}')
    residual = RESIDUALS[method]
    image = as_image(image)
    patch_size = model.input_shape[1]
    views, corners = windows(image, patch_size, stride)
    reconstructions, residuals = OverlapAverage(image.shape), OverlapAverage(image.shape)
    for start in range(0, len(corners), BATCH):
        here = corners[start : start + BATCH]
        batch = views[here[:, 0], here[:, 1]][..., None]
        # A last batch of another size would make some backends compile a second time.
        padded = np.concatenate(
            [batch, np.zeros((BATCH - len(batch), *batch.shape[1:]), "float32")]
        )
        output = np.asarray(model.predict_on_batch(padded))[: len(batch)]
        reconstructions.add(here, output[..., 0])
        if average == "maps":
            residuals.add(here, residual(batch, output, **residual_options)[..., 0])
    reconstruction = reconstructions.mean()
    if average == "maps":
        return AnomalyMap(reconstruction, residuals.mean())
    return AnomalyMap(reconstruction, residual(image, reconstruction, **residual_options))
