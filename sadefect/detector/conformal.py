"""Split conformal prediction: how many good images will be judged defective, and how sure."""

from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest

from sadefect.datasets.base import HELD_OUT, held_out
from sadefect.detector.defaults import IMAGE_FPR

CONFIDENCE = 0.95
THIRD = 3  # One good image in so many is held out at most, unless they are very few.


class ImageThreshold(NamedTuple):
    """The score from which an image is judged defective, and how sure that is.

    ``value`` is in `Calibration.unit`; ``fpr`` the share of good images that was asked for;
    ``flagged`` of ``images`` held-out ones reach the value.
    """

    value: int
    fpr: float
    flagged: int
    images: int

    @property
    def expected(self):
        """Return the share of new good images that will be judged defective, at most, on average.

        This is the guarantee of split conformal prediction; see `conformal_threshold`.
        """
        return min(1.0, (self.flagged + 1) / (self.images + 1))

    @property
    def bound(self):
        """Return what that share stays below, with 95 % confidence.

        The one-sided bound of Clopper and Pearson, doi:10.1093/biomet/26.4.404.
        """
        counted = binomtest(self.flagged, self.images, alternative="less")
        return float(counted.proportion_ci(CONFIDENCE, method="exact").high)

    @property
    def enough(self):
        """Say whether there are enough held-out images for the share that was asked for."""
        return self.expected <= self.fpr + 1e-12

    def as_dict(self):
        """Return all of it as plain values."""
        return self._asdict() | {"expected": self.expected, "bound": self.bound}

    def sentence(self):
        """Say what it rests on, in words."""
        text = (
            f"it rests on {self.images} held-out good image{'s' * (self.images > 1)}: expect "
            f"{self.expected:.2g} of good images to be judged defective, and with 95 % confidence "
            f"at most {self.bound:.2g}"
        )
        if self.enough or not self.fpr:
            return text
        needed = images_needed(self.fpr)
        good = good_images_needed(self.fpr)
        return (
            f"{text}. For {self.fpr:.4g} it takes {needed} held-out images, one in "
            f"{good // needed} of {good} good ones"
        )


def images_needed(image_fpr=IMAGE_FPR):
    """Return the least number of held-out images that can keep a share of good images.

    Examples
    --------
    >>> images_needed(0.05)
    19
    """
    return int(np.ceil(1 / image_fpr - 1e-9)) - 1


def held_out_count(images):
    """Return how many good images, the last ones, a detector holds out; at least one.

    A tenth, or as many as it takes to keep `IMAGE_FPR` if that is more, but no more than a third:
    the others are trained on.

    Examples
    --------
    >>> [held_out_count(images) for images in (2, 12, 40, 57, 300)]
    [1, 4, 13, 19, 30]
    """
    return max(held_out(images), min(images_needed(), images // THIRD))


def good_images_needed(image_fpr=IMAGE_FPR):
    """Return a number of good images of which a detector holds out `images_needed`.

    Examples
    --------
    >>> good_images_needed(), good_images_needed(0.01)
    (57, 990)
    """
    needed = images_needed(image_fpr)
    return (THIRD if needed <= images_needed() else HELD_OUT) * needed


def conformal_threshold(scores, image_fpr):
    """Return the score from which split conformal prediction rejects an image as not good.

    If k of N held-out good images reach it, a new one does with probability ``(k + 1) / (N + 1)``
    at most, provided that images come in no particular order (are exchangeable). It is the lowest
    score for which that is at most ``image_fpr``, in [0, 1], or, with too few images for that, the
    lowest that none of them reaches. The scores are an int array ``(N,)``, of good images that were
    not trained on.

    References
    ----------
    Papadopoulos et al., Inductive confidence machines for regression, ECML 2002,
    doi:10.1007/3-540-36755-1_29; Vovk, Gammerman and Shafer, Algorithmic learning in a random
    world, 2005, doi:10.1007/b106715; introduced by Angelopoulos and Bates, arXiv:2107.07511.

    Examples
    --------
    >>> conformal_threshold(np.arange(19), 0.05), conformal_threshold(np.arange(19), 0.1)
    (19, 18)
    """
    ascending, allowed = np.sort(scores), _allowed(len(scores), image_fpr)
    return int(ascending[-1 - allowed]) + 1 if allowed < len(scores) else 1


def _allowed(images, image_fpr):
    """Return how many of some held-out images may reach the threshold."""
    return max(int(image_fpr * (images + 1) + 1e-9) - 1, 0)


def expected_fpr(images, image_fpr=IMAGE_FPR):
    """Return the share of good images that so many held-out ones can keep: `image_fpr`, or more.

    Examples
    --------
    >>> expected_fpr(4), round(expected_fpr(40), 3)
    (0.2, 0.049)
    """
    return ImageThreshold(0, image_fpr, min(_allowed(images, image_fpr), images), images).expected
