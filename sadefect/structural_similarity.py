"""Structural similarity: its three terms, its map, its mean, and the loss (eq. 4-8 of the paper).

Windows are applied as two products with dense banded matrices, ``B_rows @ x @ B_columns.T``, which
a matrix library runs near its peak; a depthwise convolution with the same window is several times
slower in training on a CPU. Axes longer than ``BLOCK`` are cut into overlapping blocks that
share one small matrix, so that the cost stays linear in the number of pixels.
"""

from dataclasses import dataclass
from functools import lru_cache

import keras
import numpy as np
from keras import ops
from scipy.linalg import convolution_matrix

from sadefect.errors import require_choice

BLOCK = 256  # Longest axis, in pixels, that one dense matrix filters as a whole.


@dataclass(frozen=True, kw_only=True)
class SSIMOptions:
    """Hold what SSIM depends on besides the two images, checked when it is built.

    Parameters
    ----------
    data_range : float
        Distance between the largest and the smallest possible gray value: 1 for images in [0, 1],
        255 for 8-bit images. There is no default, because a wrong one changes every value silently.
    window_size : int
        Side K of the window in pixels, odd, at least 3.
    window : {"uniform", "gaussian"}
        Uniform weights are what eq. 5-8 say (means and variances of a patch); Gaussian ones are
        what Wang 2004 uses.
    sigma : float
        Standard deviation of the Gaussian window in pixels; unused by the uniform one.
    k1, k2 : float
        Wang's constants, ``c1 = (k1 * data_range)**2`` and ``c2 = (k2 * data_range)**2``.
    c1, c2 : float, optional
        Set the two constants themselves. The paper writes ``c1=0.01, c2=0.03``.
    padding : {"reflect", "valid"}
        "reflect" repeats the border pixel, as scipy.ndimage does, and keeps the size; "valid" gives
        values only where the window fits, and shrinks each side by ``window_size - 1`` pixels.
    """

    data_range: float
    window_size: int = 11
    window: str = "uniform"
    sigma: float = 1.5
    k1: float = 0.01
    k2: float = 0.03
    c1: float | None = None
    c2: float | None = None
    padding: str = "reflect"

    def __post_init__(self):
        if not np.isscalar(self.data_range) or not 0 < self.data_range < np.inf:
            raise ValueError(
                "data_range must be a positive number, 1 for images in [0, 1] or 255 for 8-bit "
                f"images; received data_range={self.data_range!r}"
            )
        if self.window_size % 2 != 1 or self.window_size < 3:
            raise ValueError(
                "window_size must be an odd whole number of at least 3, so that the window has a "
                f"centre pixel; received window_size={self.window_size!r}"
            )
        require_choice("window", self.window, ("uniform", "gaussian"))
        require_choice("padding", self.padding, ("reflect", "valid"))
        if not 0 < self.sigma < np.inf:
            raise ValueError(f"sigma must be a positive number of pixels; received {self.sigma!r}")
        for name in ("k1", "k2", "c1", "c2"):
            value = getattr(self, name)
            if value is not None and not 0 < value < np.inf:
                raise ValueError(
                    f"{name} must be a positive number, or the ratios of eq. 5-8 become 0/0 on "
                    f"constant patches; received {value!r}"
                )

    @property
    def constants(self):
        """Return c1 and c2 as they enter eq. 5-8."""
        c1 = (self.k1 * self.data_range) ** 2 if self.c1 is None else self.c1
        c2 = (self.k2 * self.data_range) ** 2 if self.c2 is None else self.c2
        return c1, c2

    def weights(self):
        """Return the window along one axis, shape ``(window_size,)``, summing to 1."""
        if self.window == "uniform":
            return np.full(self.window_size, 1 / self.window_size)
        radius = self.window_size // 2
        weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / self.sigma) ** 2)
        return weights / weights.sum()


@lru_cache(maxsize=64)
def _band(options, size):
    """Build the matrix that filters an axis of ``size`` pixels, and find the blocks it applies to.

    Returns ``(matrix, None)`` where one matrix covers the axis, borders folded into it, else
    ``(matrix, indices)``: row ``b`` of ``indices`` says which pixels block ``b`` reads.
    """
    radius = options.window_size // 2
    source = np.arange(size)
    if options.padding == "reflect":
        source = np.pad(source, radius, mode="symmetric")
    length = len(source) - 2 * radius
    block = length if length <= BLOCK else BLOCK // 2
    matrix = convolution_matrix(options.weights(), block).T
    if block == length:
        folded = np.zeros((block, size))
        np.add.at(folded.T, source, matrix.T)
        return folded.astype("float32"), None
    starts = np.arange(0, length, block)[:, None]
    reach = np.arange(block + 2 * radius)
    # The last block may reach beyond the axis; what it computes there is cut off afterwards.
    return matrix.astype("float32"), source[np.minimum(starts + reach, len(source) - 1)]


def _filter_rows(x, options, size):
    """Compute weighted means along axis -2 of ``x`` of shape ``(N, size, W)``."""
    matrix, blocks = _band(options, size)
    if blocks is None:
        return ops.matmul(matrix, x)
    width = x.shape[-1]
    x = ops.reshape(ops.take(x, blocks.ravel(), axis=-2), (-1, *blocks.shape, width))
    x = ops.reshape(ops.matmul(matrix, x), (-1, blocks.shape[0] * matrix.shape[0], width))
    return x[:, : size if options.padding == "reflect" else size - options.window_size + 1]


def _filter(x, options):
    """Compute weighted means of each window of ``x``, shape ``(N, H, W)``."""
    height, width = x.shape[-2:]
    x = _filter_rows(x, options, height)
    matrix, blocks = _band(options, width)
    if blocks is None:
        return ops.matmul(x, matrix.T)
    return ops.transpose(_filter_rows(ops.transpose(x, (0, 2, 1)), options, width), (0, 2, 1))


def check_integers(name, image, options):
    """Raise `ValueError` if an image holds integers that the data range cannot be meant for."""
    dtype = keras.backend.standardize_dtype(image.dtype) if hasattr(image, "dtype") else ""
    if "int" in dtype and options.data_range < (256 if dtype == "uint16" else 254):
        largest = 65535 if dtype == "uint16" else 255
        raise ValueError(
            f"{name} holds {dtype} gray values but data_range={options.data_range:g}; pass "
            f"data_range={largest}, or divide the image by {largest}"
        )


def as_batch(x, y, options):
    """Return both images as float32 ``(N, H, W)``, and the number of their channels.

    Channels are taken apart: N is their number times that of images; 0 is that of ``(H, W)``.
    """
    for name, image in (("x", x), ("y", y)):
        check_integers(name, image, options)
        if isinstance(image, np.ndarray) and image.size and np.issubdtype(image.dtype, np.floating):
            reach = float(np.max(image)) - float(np.min(image))
            if not np.isfinite(reach):
                raise ValueError(f"{name} holds NaN or infinity; SSIM needs finite gray values")
            if reach > 10 * options.data_range:
                raise ValueError(
                    f"the gray values of {name} span {reach:g}, more than ten times "
                    f"data_range={options.data_range:g}; pass your images' range, 255 for 8 bit"
                )
    x, y = (ops.cast(ops.convert_to_tensor(image), "float32") for image in (x, y))
    shapes = [tuple(x.shape), tuple(y.shape)]
    if any(shape[:1] == (None,) for shape in shapes):  # A graph may not know how many images.
        shapes = [shape[1:] for shape in shapes]
    if shapes[0] != shapes[1]:
        raise ValueError(f"x and y must have one shape; received {x.shape} and {y.shape}")
    rank = len(x.shape)
    if rank == 2:
        x, y, channels = x[None], y[None], 0
    elif rank == 4 and x.shape[-1]:
        channels = x.shape[-1]
        x, y = (
            image[..., 0]
            if channels == 1
            else ops.reshape(ops.transpose(image, (0, 3, 1, 2)), (-1, *image.shape[1:3]))
            for image in (x, y)
        )
    else:
        raise ValueError(
            "expected gray images of shape (H, W), or batches (B, H, W, 1) or (B, H, W, C); "
            f"received {tuple(x.shape)}; add an axis for the batch, image[None]"
        )
    height, width = x.shape[-2:]
    if min(height, width) < options.window_size:
        raise ValueError(
            f"window_size={options.window_size} does not fit into an image of {height}x{width} "
            "pixels; use a smaller window or larger images"
        )
    return x, y, channels


def _restore(x, channels):
    if channels < 2:
        return x[..., None] if channels else x[0]
    return ops.transpose(ops.reshape(x, (-1, channels, *x.shape[1:])), (0, 2, 3, 1))


def mean_of_channels(values, channels):
    """Return a value for each image, ``(B,)``, from one for each channel of each image."""
    return values if channels < 2 else ops.mean(ops.reshape(values, (-1, channels)), axis=-1)


def statistics(x, y, options):
    """Compute means, variances and covariance of each window."""
    # Moments around mid-gray keep four more bits than moments around black: the variance is a
    # difference of two numbers that are then small.
    middle = options.data_range / 2
    x, y = x - middle, y - middle
    means = _filter(ops.concatenate([x, y, x * x, y * y, x * y], axis=0), options)
    mean_x, mean_y, square_x, square_y, product = ops.split(means, 5, axis=0)
    variance_x = square_x - mean_x * mean_x
    variance_y = square_y - mean_y * mean_y
    # Where both windows are constant, what is left of the covariance is rounding.
    constant = ops.maximum(variance_x, variance_y) <= 0
    covariance = ops.where(constant, 0.0, product - mean_x * mean_y)
    variance_x, variance_y = ops.maximum(variance_x, 0.0), ops.maximum(variance_y, 0.0)
    return mean_x + middle, mean_y + middle, variance_x, variance_y, covariance


def ssim_of_batch(x, y, options):
    """Compute eq. 8 for float32 images of shape ``(B, H, W)``."""
    c1, c2 = options.constants
    mean_x, mean_y, variance_x, variance_y, covariance = statistics(x, y, options)
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    denominator = (mean_x * mean_x + mean_y * mean_y + c1) * (variance_x + variance_y + c2)
    # Rounding may carry a value past its bounds by a few units of the last digit.
    return ops.clip(numerator / denominator, -1.0, 1.0)


def ssim_map(x, y, *, data_range, **options):
    """Compute the structural similarity of every pixel's neighbourhood, eq. 8.

    ``SSIM = (2 mu_x mu_y + c1)(2 s_xy + c2) / ((mu_x^2 + mu_y^2 + c1)(s_x^2 + s_y^2 + c2))``

    Parameters
    ----------
    x, y : array of shape (H, W) or (B, H, W, C)
        Images, of any real dtype; computed in float32, each channel for itself.
    data_range : float
        Largest minus smallest possible gray value, 1 for images in [0, 1].
    **options
        ``window_size=11, window="uniform", sigma=1.5, k1=0.01, k2=0.03, c1=None, c2=None,
        padding="reflect"``; see `SSIMOptions`.

    Returns
    -------
    tensor of the shape of ``x`` (smaller by ``window_size - 1`` with ``padding="valid"``)
        float32 in [-1, 1]; 1 where the two neighbourhoods are equal.

    Raises
    ------
    ValueError
        If an option, a shape or the range of the gray values is not usable.

    Notes
    -----
    ``skimage.metrics.structural_similarity(x, y, win_size=11, data_range=1.0, full=True,
    use_sample_covariance=False)`` gives the same map in float64, and with
    ``gaussian_weights=True, sigma=1.5`` that of ``window="gaussian"`` (there the window is 11).

    References
    ----------
    Eq. 8 and section 3.1.4 of doi:10.5220/0007364503720380; Z. Wang, A. C. Bovik, H. R. Sheikh and
    E. P. Simoncelli, "Image quality assessment", 2004, doi:10.1109/TIP.2003.819861

    Examples
    --------
    >>> import numpy as np
    >>> image = np.linspace(0, 1, 64 * 64).reshape(64, 64)
    >>> tuple(ssim_map(image, image, data_range=1.0).shape)
    (64, 64)
    >>> float(ssim_map(image, image, data_range=1.0)[5, 5])
    1.0
    """
    options = SSIMOptions(data_range=data_range, **options)
    x, y, channels = as_batch(x, y, options)
    return _restore(ssim_of_batch(x, y, options), channels)


def ssim_components(x, y, *, data_range, **options):
    """Compute luminance, contrast and structure of every pixel's neighbourhood, eq. 5-7.

    Their product is `ssim_map`. For looking at, not for training: the structure term has square
    roots whose gradient is not finite on constant patches.

    Parameters
    ----------
    x, y, data_range, **options
        As in `ssim_map`.

    Returns
    -------
    tuple of three tensors of the shape of ``x``
        float32: luminance in [-1, 1], contrast in [0, 1], structure in [-1, 1].

    References
    ----------
    Eq. 5-7 of doi:10.5220/0007364503720380, with Wang's ``c3 = c2 / 2``.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.linspace(0, 1, 64 * 64).reshape(64, 64)
    >>> luminance, contrast, structure = ssim_components(image, 0.5 * image, data_range=1.0)
    >>> bool(luminance[32, 32] < 1), bool(contrast[32, 32] < 1), bool(structure[32, 32] > 0.9)
    (True, True, True)
    """
    options = SSIMOptions(data_range=data_range, **options)
    x, y, channels = as_batch(x, y, options)
    c1, c2 = options.constants
    mean_x, mean_y, variance_x, variance_y, covariance = statistics(x, y, options)
    spread = ops.sqrt(variance_x * variance_y)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
    contrast = (2 * spread + c2) / (variance_x + variance_y + c2)
    structure = (2 * covariance + c2) / (2 * spread + c2)
    return tuple(
        _restore(ops.clip(term, -1.0, 1.0), channels) for term in (luminance, contrast, structure)
    )


def ssim(x, y, *, data_range, **options):
    """Compute the mean structural similarity of each pair of images.

    Parameters
    ----------
    x, y, data_range, **options
        As in `ssim_map`.

    Returns
    -------
    tensor of shape () for images (H, W), or (B,) for batches (B, H, W, C)
        float32 in [-1, 1], the mean over channels too.

    References
    ----------
    Eq. 8 of doi:10.5220/0007364503720380; doi:10.1109/TIP.2003.819861

    Examples
    --------
    >>> import numpy as np
    >>> image = np.linspace(0, 1, 64 * 64).reshape(64, 64)
    >>> float(ssim(image, 1 - image, data_range=1.0)) < 0
    True
    """
    options = SSIMOptions(data_range=data_range, **options)
    x, y, channels = as_batch(x, y, options)
    mean = ops.mean(ssim_of_batch(x, y, options), axis=(1, 2))
    return mean_of_channels(mean, channels) if channels else mean[0]


def ssim_residual(x, y, **options):
    """Compute ``1 - SSIM`` of each pixel, in [0, 2]: the residual of section 3.1.4.

    Images and reconstructions are arrays ``(H, W)`` or ``(B, H, W)`` of floats in [0, 1]; options
    are those of `ssim_map`, the data range aside. Returns float32 of the same shape.
    """
    x, y = (np.asarray(image)[..., None] if np.ndim(image) == 3 else image for image in (x, y))
    residual = 1.0 - ops.convert_to_numpy(ssim_map(x, y, data_range=1.0, **options))
    return residual[..., 0] if residual.ndim == 4 else residual
