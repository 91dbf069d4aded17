"""Methods that filter an image and compare with the levels of defect-free ones; nothing is learned.

They say how much of a result is due to the data: on NanoTWICE, where defects are bright, flat
specks, the mean over a window is far better than chance.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from sadefect.baselines.base import Baseline, Gaussian, as_rows, smoothed
from sadefect.errors import require_choice

SIDES = ("both", "above", "below")
FLOOR = 1e-3  # Added to what a logarithm is taken of; gray values come in steps of 4e-3.


@dataclass(kw_only=True)
class Level(Baseline):
    """The mean over a square window, as its distance from the level of defect-free images."""

    window: int = 21  # Side in pixels.
    side: str = "both"  # Which deviations count, one of `SIDES`.

    def __post_init__(self):
        require_choice("side", self.side, SIDES)

    def _values(self, image):
        return ndimage.uniform_filter(image, self.window, mode="reflect")

    def _fit(self, images, count):
        self.normal = Gaussian()
        for image in images:
            self.normal.add(self._values(image).reshape(-1, 1))

    def _map(self, image):
        deviation = self._values(image) - self.normal.mean[0]
        deviation /= np.sqrt(self.normal.covariance[0, 0]) or 1
        return {"both": np.abs(deviation), "above": deviation, "below": -deviation}[self.side]


@dataclass(kw_only=True)
class LocalContrast(Level):
    """The standard deviation in a square window, as its distance from the normal level."""

    def _values(self, image):
        mean = ndimage.uniform_filter(image, self.window, mode="reflect")
        square = ndimage.uniform_filter(image**2, self.window, mode="reflect")
        return np.sqrt(np.maximum(square - mean**2, 0))


@dataclass(kw_only=True)
class GradientEnergy(Level):
    """The mean squared gradient in a square window, as its distance from the normal level.

    Parameters are those of `Level`; the gradient is that of Gaussians of one pixel, and its energy
    is taken as a logarithm.
    """

    def _values(self, image):
        energy = ndimage.gaussian_gradient_magnitude(image, 1.0, mode="reflect") ** 2
        return np.log(FLOOR**2 + ndimage.uniform_filter(energy, self.window, mode="reflect"))


@dataclass(kw_only=True)
class FilterBank(Baseline):
    """Eight filters, pooled by a Gaussian, and the Mahalanobis distance from defect-free images.

    The channels are the image smoothed by one pixel; logarithms of the gradient's magnitude and of
    the absolute Laplacian, both of Gaussians of 1, 2 and 4 pixels; and the logarithm of the
    standard deviation in the window.
    """

    window: int = 25  # Side in pixels; channels are pooled by a Gaussian of a third of it.

    def _channels(self, image):
        channels = [ndimage.gaussian_filter(image, 1.0)]
        for sigma in (1, 2, 4):
            gradient = ndimage.gaussian_gradient_magnitude(image, sigma)
            laplacian = np.abs(ndimage.gaussian_laplace(image, sigma))
            channels += [np.log(gradient + FLOOR), np.log(laplacian + FLOOR)]
        sigma = self.window / 3
        channels = [smoothed(channel, sigma) for channel in channels]
        variance = smoothed(image**2, sigma) - smoothed(image, sigma) ** 2
        channels.append(np.log(np.sqrt(np.maximum(variance, 0)) + FLOOR))
        return as_rows(channels)

    def _fit(self, images, count):
        self.normal = Gaussian()
        for image in images:
            self.normal.add(self._channels(image))

    def _map(self, image):
        return self.normal.distance(self._channels(image)).reshape(image.shape)
