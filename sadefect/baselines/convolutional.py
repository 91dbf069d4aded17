"""Convolutional sparse representations: an image as a sum of few, freely placed small filters.

Everything is solved in the frequency domain, after

.. [1] B. Wohlberg, "Efficient Algorithms for Convolutional Sparse Representations", 2016,
   doi:10.1109/TIP.2015.2495260

SPORCO is that paper's library; tests compare with it.
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from sadefect.baselines.base import Baseline, Gaussian
from sadefect.baselines.coding import shrink
from sadefect.patches import RandomPatches

RELAXATION = 1.8  # Of ADMM.
SMOOTH = 16  # Pixels by which an image is reflected before it is filtered.
SPARSER = 4  # One of so many pixels along each axis is enough to say what is usual.


def high_pass(image, weight):
    """Return an image without its smooth part.

    Tikhonov's: the smooth part minimises the squared difference from the image, plus the weight
    times the squares of horizontal and vertical differences.

    Examples
    --------
    >>> float(abs(high_pass(np.full((9, 9), 0.5, "float32"), 5.0)).max().round(5))
    0.0
    """
    padded = np.pad(image, SMOOTH, mode="symmetric")
    down, right = (
        4 * np.sin(np.pi * frequencies) ** 2
        for frequencies in (fft.fftfreq(padded.shape[0]), fft.rfftfreq(padded.shape[1]))
    )
    response = (1 / (1 + weight * (down[:, None] + right))).astype("float32")
    smooth = fft.irfft2(response * fft.rfft2(padded), padded.shape)
    return image - smooth[SMOOTH:-SMOOTH, SMOOTH:-SMOOTH]


def convolutional_codes(images, filters, penalty, *, iterations=30, density=None, start=None):
    r"""Code images as sums of filters by ADMM; images wrap around.

    Minimises, for each image s, :math:`\tfrac12 |\sum_m d_m * x_m - s|^2 + \lambda \sum_m |x_m|_1`.

    Images are ``(n, H, W)``, filters ``(m, h, w)``, whose first pixel is the origin; the penalty is
    :math:`\lambda`, the density ADMM's rho, by default SPORCO's ``50 lambda + 1``. Returns codes
    and multipliers, float32 ``(n, m, H, W)``, with which another call may ``start``.
    """
    rho = np.float32(50 * penalty + 1 if density is None else density)
    shape, axes = images.shape[-2:], (-2, -1)
    spectra = fft.rfft2(filters.astype("float32"), shape)  # (m, H, W'); padded with zeros.
    power = rho + np.square(np.abs(spectra)).sum(axis=0)
    linear = spectra.conj() * fft.rfft2(images.astype("float32"))[:, None]
    if start is None:
        y = np.zeros((len(images), len(filters), *shape), "float32")
        u = np.zeros_like(y)
    else:
        y, u = start
    for _ in range(iterations):
        x = fft.rfft2(y - u, axes=axes, overwrite_x=True)
        x *= rho
        x += linear
        # Sherman and Morrison: at each frequency, the matrix is rho plus one of rank 1.
        common = np.einsum("mij,nmij->nij", spectra, x) / power
        x -= spectra.conj() * common[:, None]
        x /= rho
        x = fft.irfft2(x, shape, axes=axes, overwrite_x=True)
        x *= RELAXATION
        x += (1 - RELAXATION) * y
        u += x
        y = shrink(u, np.float32(penalty) / rho)
        u -= y
    return y, u


def reconstruction(codes, filters):
    """Return the images ``(n, H, W)`` that codes and filters make."""
    shape = codes.shape[-2:]
    spectra = fft.rfft2(filters.astype("float32"), shape)
    return fft.irfft2(np.einsum("mij,nmij->nij", spectra, fft.rfft2(codes)), shape)


def learned_filters(images, count, size, penalty, rng, *, rounds=20, iterations=10):
    """Learn ``count`` filters of ``size`` pixels a side that images are sparse sums of.

    Coding images, ``(n, H, W)``, takes turns with accelerated projected gradient steps of the
    filters, whose pixels beyond ``size`` are held at zero, and whose length at 1: ``rounds`` of
    them, with so many ``iterations`` of each. Returns float32 ``(count, size, size)``.
    """
    images = images.astype("float32")
    filters = rng.normal(size=(count, size, size)).astype("float32")
    filters /= np.linalg.norm(filters, axis=(1, 2), keepdims=True)
    state = None
    for _ in range(rounds):
        state = convolutional_codes(images, filters, penalty, iterations=iterations, start=state)
        filters = _improved(filters, state[0], images, iterations)
    return filters


def _improved(filters, codes, images, iterations):
    shape = images.shape[-2:]
    codes, target = fft.rfft2(codes), fft.rfft2(images)
    # At each frequency the curvature is a matrix of rank n; its trace bounds its largest value.
    step = 1 / max(np.square(np.abs(codes)).sum(axis=(0, 1)).max(), 1e-12)
    size, y, t = filters.shape[-1], filters, 1.0
    for _ in range(iterations):
        error = np.einsum("mij,nmij->nij", fft.rfft2(y, shape), codes) - target
        gradient = fft.irfft2(np.einsum("nmij,nij->mij", codes.conj(), error), shape)
        z = y - np.float32(step) * gradient[:, :size, :size]
        z /= np.maximum(np.linalg.norm(z, axis=(1, 2), keepdims=True), 1e-12)
        following = (1 + np.sqrt(1 + 4 * t**2)) / 2
        y, filters, t = z + np.float32((t - 1) / following) * (z - filters), z, following
    return filters


@dataclass(kw_only=True)
class ConvolutionalSparse(Baseline):
    """Convolutional sparse codes, described window by window, and their Mahalanobis distance.

    The indicators of a window are the mean squared error of the reconstruction, the mean l1 norm of
    the codes and the sum over filters of the codes' root mean square in it. In the spirit of
    Carrera, Boracchi, Foi and Wohlberg 2015.
    """

    filters: int = 16  # How many,
    filter_size: int = 8  # and their side.
    penalty: float = 0.1  # Of the l1 norm, lambda.
    window: int = 25  # Side in pixels.
    smooth_weight: float = 5.0  # Of `high_pass`.
    crops: int = 12  # What filters are learned from, at random positions;
    crop_size: int = 128  # smaller where images are.
    rounds: int = 20  # Of learning,
    iterations: int = 20  # and of coding an image.

    def _fit(self, images, count):
        rng = np.random.default_rng(self.seed)
        # Filtered images are kept of a few only.
        kept, sampled = [], set(np.linspace(0, count - 1, min(count, self.crops), dtype=int))
        for number, image in enumerate(images):
            if number in sampled:
                kept.append(high_pass(image, self.smooth_weight))
        side = min(self.crop_size, *(size for image in kept for size in image.shape))
        crops = RandomPatches(kept, side, self.crops, self.seed).batch(0, self.crops)[..., 0]
        self.learned = learned_filters(
            crops, self.filters, self.filter_size, self.penalty, rng, rounds=self.rounds
        )
        self.normal = Gaussian()
        for image in kept:
            indicators = self._indicators(image)[::SPARSER, ::SPARSER]
            self.normal.add(indicators.reshape(-1, 3))

    def _indicators(self, image):
        border = self.filter_size
        padded = np.pad(image, border, mode="symmetric")
        codes, _ = convolutional_codes(
            padded[None], self.learned, self.penalty, iterations=self.iterations
        )
        error = (reconstruction(codes, self.learned)[0] - padded) ** 2
        # A code lies at its filter's first pixel; what it adds is around the filter's centre.
        codes = np.roll(codes[0], (self.filter_size // 2,) * 2, axis=(1, 2))
        square = (ndimage.uniform_filter(code**2, self.window) for code in codes)
        planes = [
            ndimage.uniform_filter(error, self.window),
            ndimage.uniform_filter(np.abs(codes).sum(axis=0), self.window),
            sum(np.sqrt(np.maximum(plane, 0)) for plane in square),
        ]
        return np.stack([plane[border:-border, border:-border] for plane in planes], axis=-1)

    def _map(self, image):
        indicators = self._indicators(high_pass(image, self.smooth_weight))
        return self.normal.distance(indicators.reshape(-1, 3), ridge=0).reshape(image.shape)
