"""Sparse representations of patches: the methods that NanoTWICE was made for.

A dictionary is learned in which patches without defects are sums of few atoms. How well that works
for a patch, and how many atoms it takes, tells whether it is one of them.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, stats

from sadefect.baselines.base import Baseline, Gaussian
from sadefect.baselines.coding import BATCH, learned_dictionary, sparse_codes
from sadefect.errors import DataError
from sadefect.patches import OverlapAverage, windows

DARKEST_SCORE = 0.0  # Of patches that are left out.


@dataclass(kw_only=True)
class PatchBaseline(Baseline):
    """What the methods on patches share; subclasses say what an unusual code is."""

    patch_size: int = 15  # In pixels, as is the stride; overlapping patches' scores are averaged.
    stride: int = 7
    atoms: int = 338  # Of the dictionary.
    penalty: float = 0.18  # Of the l1 norm, lambda.
    learned_from: int = 10_000  # Patches that the dictionary is learned from,
    held_out: int = 2_000  # and others that say what is usual; of all images, at random.
    darkest: float = 0.0  # Patches with a median up to this are left out, and score 0.
    rounds: int = 20  # Of learning.

    def _fit(self, images, count):
        rng = np.random.default_rng(self.seed)
        wanted = -(-(self.learned_from + self.held_out) // count)
        share = self.held_out / (self.learned_from + self.held_out)
        parts = [self._sample(image, wanted, share, rng) for image in images]
        learned, held = (np.concatenate(part) for part in zip(*parts, strict=True))
        if min(len(learned), len(held)) < 3:
            raise DataError(
                f"expected patches with a median above {self.darkest:g} to learn from; got "
                f"{len(learned) + len(held)}; lower `darkest`, or fit brighter images"
            )
        self._learn(learned, rng)
        self._fit_density(self._indicators(held))

    def _sample(self, image, wanted, share, rng):
        views, _ = windows(image, self.patch_size, self.stride)
        places = views.shape[0] * views.shape[1]
        chosen = rng.choice(places, min(wanted, places), replace=False)
        patches = views[np.divmod(chosen, views.shape[1])].reshape(len(chosen), -1)
        patches = patches[self._bright(patches)]
        held = int(np.ceil(share * len(patches)))
        return patches[held:], patches[:held]

    def _bright(self, patches):
        if not self.darkest:
            return np.ones(len(patches), bool)
        return np.median(patches, axis=1) > self.darkest

    def _learn(self, patches, rng):
        patches = patches - patches.mean(axis=1, keepdims=True)
        self.dictionary = learned_dictionary(
            patches, self.atoms, self.penalty, rng, rounds=self.rounds
        )

    def _codes(self, patches):
        return sparse_codes(patches, self.dictionary, self.penalty)

    def _indicators(self, patches):
        """Compute the squared error and norms of the codes of patches ``(n, pixels)``."""
        patches = patches - patches.mean(axis=1, keepdims=True)
        codes = self._codes(patches)
        errors = np.square(codes @ self.dictionary - patches).sum(axis=1)
        return np.stack([errors, *self._norms(codes)], axis=1)

    def _norms(self, codes):
        return [np.abs(codes).sum(axis=1)]

    def _map(self, image):
        views, corners = windows(image, self.patch_size, self.stride)
        average, side = OverlapAverage(image.shape), self.patch_size
        for first in range(0, len(corners), BATCH):
            block = corners[first : first + BATCH]
            patches = views[block[:, 0], block[:, 1]].reshape(len(block), -1)
            scores, bright = np.full(len(block), DARKEST_SCORE), self._bright(patches)
            if bright.any():
                scores[bright] = self._scores(self._indicators(patches[bright]))
            average.add(block, np.broadcast_to(scores[:, None, None], (len(block), side, side)))
        return average.mean()


@dataclass(kw_only=True)
class SparseCoding(PatchBaseline):
    """Sparse codes, and the density of their errors and l1 norms in defect-free images.

    The score of a patch is the negative logarithm of a kernel density estimate; the bandwidth is
    Scott's. In the spirit of Boracchi, Carrera and Wohlberg 2014, of which the idea is known here.
    """

    def _fit_density(self, indicators):
        self._density = stats.gaussian_kde(indicators.T)
        self._points = self._density.dataset

    def _scores(self, indicators):
        return -self._density.logpdf(indicators.T)


@dataclass(kw_only=True)
class ConfidenceRegion(PatchBaseline):
    """Sparse codes, and the Mahalanobis distance of their errors and l1 norms from normal ones.

    After Carrera, Manganini, Boracchi and Lanzarone 2017: patches of 15x15 pixels, 338 atoms,
    lambda of .18, a confidence region from patches that were held out, dark patches left out,
    overlapping patches averaged. A threshold on the distance bounds a confidence region.
    """

    darkest: float = 0.06

    def _fit_density(self, indicators):
        self._region = Gaussian()
        self._region.add(indicators)

    def _scores(self, indicators):
        return self._region.distance(indicators, ridge=0)


@dataclass(kw_only=True)
class MultiscaleSparse(ConfidenceRegion):
    """Sparse codes in dictionaries of several scales, with a group for each of them.

    A dictionary is learned at each scale and all of them code patches of the image as it is, with
    ``group_penalty`` times the sum of the l2 norms of the scales' codes, which is the third
    indicator. In the spirit of Carrera, Boracchi, Foi and Wohlberg 2016.
    """

    atoms: int = 113  # Of each scale's dictionary.
    scales: tuple = (1.0, 0.75, 0.5)  # By which images are enlarged to learn from.
    group_penalty: float = 0.02  # xi.
    darkest: float = 0.0

    def _sample(self, image, wanted, share, rng):
        learned, held = super()._sample(image, wanted, share, rng)
        parts = [learned]
        for scale in self.scales[1:]:
            smaller = ndimage.gaussian_filter(image, 0.5 * np.sqrt(1 / scale**2 - 1))
            smaller = ndimage.zoom(smaller, scale, order=1, mode="nearest")
            parts.append(super()._sample(smaller, wanted, share, rng)[0])
        shortest = min(map(len, parts))
        return np.stack([part[:shortest] for part in parts], axis=1), held

    def _learn(self, patches, rng):
        dictionaries = []
        for scale in range(len(self.scales)):
            super()._learn(patches[:, scale], rng)
            dictionaries.append(self.dictionary)
        self.dictionary = np.concatenate(dictionaries)

    def _codes(self, patches):
        return sparse_codes(
            patches, self.dictionary, self.penalty,
            groups=len(self.scales), group_penalty=self.group_penalty,
        )  # fmt: skip

    def _norms(self, codes):
        groups = np.linalg.norm(codes.reshape(len(codes), len(self.scales), -1), axis=2)
        return [*super()._norms(codes), groups.sum(axis=1)]
