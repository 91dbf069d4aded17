"""What all baselines share: settings, checks of images, Gaussians, samples.

Memory does not grow with the number of images: each is looked at once, and what is kept of it is
added to sums or is a sample of fixed size.
"""

from dataclasses import asdict, dataclass, fields

import numpy as np
from scipy import ndimage

from sadefect.errors import DataError
from sadefect.patches import as_image

RIDGE = 1e-4  # Of the mean variance, added to all variances, so that a covariance has an inverse.


@dataclass(kw_only=True)
class Baseline:
    """A method that learns what defect-free images look like, and has no autoencoder.

    Subclasses are dataclasses whose fields are their settings, and implement ``_map(image)`` and
    ``_fit(images, count)``, which iterates over the images once.

    Parameters
    ----------
    seed : int
        Of whatever is drawn at random; the same seed gives the same maps.
    """

    seed: int = 0

    def fit(self, images):
        """Learn from defect-free images, a sequence of float32 arrays ``(H, W)`` in [0, 1].

        Each is read once, in order. Returns itself. Raises `DataError` if there is none, or one is
        not what it should be.
        """
        if not len(images):
            raise DataError(
                "expected at least one defect-free image to fit; got none; pass a list of images"
            )
        self._fit((as_image(image) for image in images), len(images))
        self.fitted = True
        return self

    def anomaly_map(self, image):
        """Return an image's anomaly map, float32 ``(H, W)``, larger where it is more anomalous.

        The image ``(H, W)`` has gray values in [0, 1]. Raises `DataError` if it has not, or the
        method was not fitted.
        """
        if not getattr(self, "fitted", False):
            raise DataError(
                f"expected a fitted {type(self).__name__}; got one that saw no image; call "
                "fit(images) with defect-free images first"
            )
        return np.asarray(self._map(as_image(image)), "float32")

    @property
    def settings(self):
        """Return all settings but the seed, as plain values."""
        return {name: value for name, value in asdict(self).items() if name != "seed"}

    @property
    def parameters(self):
        """Count the numbers that the fitted method holds, those of a network included."""
        own = {field.name for field in fields(self)}
        return sum(_size(value) for name, value in vars(self).items() if name not in own)


def _size(value):
    if isinstance(value, (list, tuple)):
        return sum(map(_size, value))
    return value.size if isinstance(value, np.ndarray) else int(getattr(value, "parameters", 0))


class Gaussian:
    """Mean and covariance of rows that come in batches, and distances from them.

    Examples
    --------
    >>> gaussian = Gaussian()
    >>> gaussian.add(np.random.default_rng(0).normal(3, 2, (4_000, 1)))
    >>> gaussian.distance(np.array([[3.0], [7.0]])).round(1).tolist()
    [0.0, 2.0]
    """

    def __init__(self):
        self.count = 0

    @classmethod
    def of(cls, mean, covariance):
        """Return the one that has a mean ``(d,)`` and a covariance ``(d, d)``."""
        gaussian = cls()
        gaussian.count, gaussian._origin = 1, np.asarray(mean, "float64")
        gaussian._sum, gaussian._products = np.zeros_like(gaussian._origin), np.asarray(covariance)
        return gaussian

    def add(self, rows):
        """Add rows ``(n, d)``."""
        if not self.count:
            self._origin = rows.mean(axis=0, dtype="float64")  # Keeps sums of squares small.
            self._sum, self._products = 0.0, 0.0
        rows = (rows - self._origin).astype("float64")
        self.count += len(rows)
        self._sum += rows.sum(axis=0)
        self._products += rows.T @ rows

    @property
    def mean(self):
        return self._origin + self._sum / self.count

    @property
    def covariance(self):
        mean = self._sum / self.count
        return self._products / self.count - np.outer(mean, mean)

    @property
    def parameters(self):
        return len(self._origin) * (len(self._origin) + 3) // 2

    def principal_components(self, share):
        """Return the eigenvectors ``(d, n)`` that hold a share of the variance, largest first."""
        variances, vectors = np.linalg.eigh(self.covariance)
        variances, vectors = np.maximum(variances[::-1], 0), vectors[:, ::-1]
        held = np.cumsum(variances) / max(variances.sum(), np.finfo(float).tiny)
        return vectors[:, : int(np.searchsorted(held, share)) + 1]

    def distance(self, rows, ridge=RIDGE):
        """Return the Mahalanobis distances of rows ``(n, d)``, an array ``(n,)``."""
        covariance = self.covariance
        scale = np.trace(covariance) / len(covariance) or 1.0
        whiten = np.linalg.inv(
            np.linalg.cholesky(covariance + ridge * scale * np.eye(len(covariance)))
        )
        return np.linalg.norm((rows - self.mean) @ whiten.T, axis=1)


def sample_rows(rng, rows, count, images):
    """Return an image's share of a sample: at most ``count / images`` of its rows, at least one."""
    wanted = max(1, count // images)
    return rows if len(rows) <= wanted else rows[rng.choice(len(rows), wanted, replace=False)]


def smoothed(map, sigma):
    """Return a map smoothed by a Gaussian of ``sigma`` pixels; unchanged for 0."""
    return ndimage.gaussian_filter(map, sigma, truncate=3, mode="nearest") if sigma else map


def as_rows(channels):
    """Return planes ``(H, W)`` as rows ``(H * W, n)``."""
    return np.stack(channels, axis=-1).reshape(-1, len(channels))
