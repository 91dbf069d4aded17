"""Fits a learning curve, to say what more training would bring, and how surely."""

from typing import NamedTuple

import numpy as np
from scipy import optimize, stats

LEAST_POINTS = 5  # Three parameters, and two points more to tell how well they fit.
CONFIDENCE = 0.95
UNIT = 1e5  # Patches; keeps the parameters near one.


class Fit(NamedTuple):
    """A power law ``a - b * (patches / UNIT)**-c`` fitted to a learning curve."""

    parameters: np.ndarray
    covariance: np.ndarray
    points: int

    def at(self, patches):
        """Return the fitted AUROC at numbers of patches, with its confidence band.

        Returns
        -------
        area, low, high : float64 arrays, like `patches`
            The band is that of the curve: parameters vary, single trainings scatter about it.
        """
        n = np.asarray(patches, "float64") / UNIT
        _, b, c = self.parameters
        slope = np.stack([np.ones_like(n), -(n**-c), b * n**-c * np.log(n)], axis=-1)
        variance = np.einsum("...i,ij,...j->...", slope, self.covariance, slope)
        freedom = self.points - len(self.parameters)
        width = stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * np.sqrt(variance)
        area = _power_law(n, *self.parameters)
        return area, area - width, np.minimum(area + width, 1.0)


def _power_law(n, a, b, c):
    return a - b * n**-c


def fit(patches, areas):
    """Fit a power law to a learning curve.

    Parameters
    ----------
    patches, areas : sequences of numbers
        Patches seen, and the AUROC there.

    Returns
    -------
    Fit or None
        None for fewer than `LEAST_POINTS` different budgets, or where no such law fits.

    Examples
    --------
    >>> patches = [2e4, 4e4, 8e4, 16e4, 32e4, 64e4]
    >>> law = fit(patches, [0.95 - 0.05 * (n / 1e5) ** -0.7 for n in patches])
    >>> law.parameters.round(3).tolist()
    [0.95, 0.05, 0.7]
    >>> fit(patches[:4], [0.7, 0.8, 0.85, 0.87]) is None
    True
    """
    if len(set(patches)) < LEAST_POINTS:
        return None
    n, areas = np.asarray(patches, "float64") / UNIT, np.asarray(areas, "float64")
    start = (min(1.0, areas.max() + 0.01), max(1e-3, np.ptp(areas) / 4), 0.5)
    try:
        parameters, covariance = optimize.curve_fit(
            _power_law, n, areas, start, bounds=([0, 0, 0.01], [1, 2, 5])
        )
    except RuntimeError:  # It did not converge.
        return None
    return Fit(parameters, covariance, len(n)) if np.isfinite(covariance).all() else None


def last_doubling(patches, areas):
    """Return what the last doubling of a training brought.

    Between checkpoints the AUROC is taken to grow with the logarithm of the patches.

    Parameters
    ----------
    patches, areas : sequences of numbers
        Patches seen, increasing, and the AUROC there.

    Returns
    -------
    float or None
        None where the last checkpoint has not twice the patches of the first.

    Examples
    --------
    >>> last_doubling([10, 20, 80], [0.5, 0.6, 0.8])
    0.1
    """
    if len(patches) < 2 or 2 * patches[0] > patches[-1]:
        return None
    half = np.interp(np.log(patches[-1] / 2), np.log(patches), areas)
    return round(float(areas[-1] - half), 6)
