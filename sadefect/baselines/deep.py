"""Methods on the features of a network that was trained on ImageNet.

All run the network over a whole image once. Which layers are seen is a setting: on NanoTWICE late
ones, whose cells see much of an image, were far better than early ones.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.cluster.vq import kmeans2
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist

from sadefect.baselines.base import Baseline, Gaussian, sample_rows, smoothed
from sadefect.errors import DataError, require_choice

RESTARTS = 5  # Of k-means; the one with the least squared distances is taken.
PADIM_RIDGE = 0.01  # Added to the variances at each position, as PaDiM does.
BLOCK = 4_096  # Cells of which distances are computed at once.


@dataclass(kw_only=True)
class DeepBaseline(Baseline):
    """What the methods on features share."""

    # Of `sadefect.baselines.backbones`; `sadefect weights fetch` gets its weights.
    backbone: str = "vgg16"
    # Maps of later ones are interpolated to the cells of the first one named.
    layers: tuple = ("conv4_3",)
    pool: int = 3  # Side of the square of cells whose features are averaged; odd.
    smoothing: float = 6.0  # Standard deviation of the Gaussian that smooths the map, in pixels.

    def __post_init__(self):
        if self.pool % 2 != 1:
            raise ValueError(f"pool must be odd, so that nothing shifts; received {self.pool!r}")

    def _features(self, image):
        """Compute features of an image's cells ``(h, w, channels)``; keep where the cells lie."""
        if not hasattr(self, "network"):
            from sadefect.baselines.backbones import Backbone

            self.network = Backbone(self.backbone, self.layers)
        maps = self.network.maps(image)
        maps = [ndimage.uniform_filter(map, (self.pool, self.pool, 1)) for map in maps]
        finest = self.network.grids[0]
        centres = [finest.first + finest.stride * np.arange(n) for n in maps[0].shape[:2]]
        for number, (map, grid) in enumerate(zip(maps[1:], self.network.grids[1:], strict=True), 1):
            maps[number] = _interpolated(
                map, [(line - grid.first) / grid.stride for line in centres]
            )
        return np.concatenate(maps, axis=-1)

    def _image_map(self, cells, image):
        return smoothed(self.network.grids[0].enlarged(cells, image.shape), self.smoothing)

    def _map(self, image):
        features = self._features(image)
        rows = features.reshape(-1, features.shape[-1])
        return self._image_map(self._distances(rows).reshape(features.shape[:2]), image)


def _interpolated(map, places):
    """Interpolate a map ``(h, w, channels)`` linearly between rows, then between columns."""
    for axis, place in enumerate(places):
        length = map.shape[axis]
        place = np.clip(place, 0, length - 1)
        low = np.minimum(place.astype(int), max(length - 2, 0))
        share = (place - low).astype("float32").reshape([-1 if n == axis else 1 for n in range(3)])
        high = np.minimum(low + 1, length - 1)
        map = map.take(low, axis) * (1 - share) + map.take(high, axis) * share
    return map


def k_means(rows, count, rng):
    """Return the centres of clusters of rows ``(n, d)``, float32 ``(count, d)``."""
    count = min(count, len(np.unique(rows, axis=0)))
    best = None
    for _ in range(RESTARTS):
        centres, labels = kmeans2(rows, count, iter=100, minit="++", missing="warn", rng=rng)
        spread = np.square(rows - centres[labels]).sum()
        if best is None or spread < best[0]:
            best = spread, centres
    return best[1].astype("float32")


@dataclass(kw_only=True)
class FeatureDictionary(DeepBaseline):
    """A dictionary of features, and the mean distance from the entries that are nearest.

    After Napoletano, Piccoli and Schettini 2018, as Bergmann et al. ran it for MVTec AD: principal
    components that hold 95 % of the variance, ten entries by k-means. Theirs are features of
    ResNet-18 for patches of 16x16 pixels; here those of VGG16's cells, since no package holds
    ResNet-18.
    """

    variance: float = 0.95  # The share that the principal components hold.
    entries: int = 10  # Of the dictionary,
    nearest: int = 1  # and those whose distances are averaged.
    sampled: int = 20_000  # Cells that the dictionary is learned from.

    def _fit(self, images, count):
        rng, spread, sample = np.random.default_rng(self.seed), Gaussian(), []
        for image in images:
            rows = _l1_normalised(self._features(image))
            spread.add(rows)
            sample.append(sample_rows(rng, rows, self.sampled, count))
        self.mean = spread.mean.astype("float32")
        self.components = spread.principal_components(self.variance).astype("float32")
        self.dictionary = k_means(self._projected(np.concatenate(sample)), self.entries, rng)

    def _projected(self, rows):
        return (rows - self.mean) @ self.components

    def _distances(self, rows):
        distances = cdist(self._projected(_l1_normalised(rows)), self.dictionary)
        nearest = min(self.nearest, distances.shape[1])
        return np.partition(distances, nearest - 1, axis=1)[:, :nearest].mean(axis=1)


def _l1_normalised(features):
    rows = features.reshape(-1, features.shape[-1])
    return rows / np.maximum(np.abs(rows).sum(axis=1, keepdims=True), 1e-12)


@dataclass(kw_only=True)
class MemoryBank(DeepBaseline):
    """The features of defect-free images, and the distance from the nearest one.

    After PatchCore: averages over 3x3 cells, and a coreset, chosen greedily so that no feature is
    far from it. Theirs are features of WideResNet-50, and a tenth or a hundredth of all are kept.
    """

    sampled: int = 20_000  # Cells to choose from, of all images together at random,
    kept: int = 1_000  # and those in the bank.
    projected: int = 128  # Dimensions of the random projection that the coreset is chosen in.

    def _fit(self, images, count):
        rng = np.random.default_rng(self.seed)
        sample = []
        for image in images:
            features = self._features(image)
            rows = features.reshape(-1, features.shape[-1])
            sample.append(sample_rows(rng, rows, self.sampled, count))
        sample = np.concatenate(sample)
        self.bank = sample[self._coreset(sample, rng)]

    def _coreset(self, rows, rng):
        """Choose the row that is farthest from those chosen, again and again."""
        if len(rows) <= self.kept:
            return np.arange(len(rows))
        if rows.shape[1] > self.projected:
            random = rng.normal(size=(rows.shape[1], self.projected)).astype("float32")
            rows = rows @ (random / np.float32(np.sqrt(self.projected)))
        squares = np.square(rows).sum(axis=1)
        chosen = [int(rng.integers(len(rows)))]
        distances = np.full(len(rows), np.inf, "float32")
        while len(chosen) < self.kept:
            last = chosen[-1]
            distances = np.minimum(distances, squares + squares[last] - 2 * rows @ rows[last])
            chosen.append(int(distances.argmax()))
        return np.array(chosen)

    def _distances(self, rows):
        squares = np.square(self.bank).sum(axis=1)
        nearest = [
            (np.square(part).sum(axis=1, keepdims=True) + squares - 2 * part @ self.bank.T).min(
                axis=1
            )
            for part in np.array_split(rows, max(1, -(-len(rows) // BLOCK)))
        ]
        return np.sqrt(np.maximum(np.concatenate(nearest), 0))


@dataclass(kw_only=True)
class FeatureGaussians(DeepBaseline):
    """A Gaussian of the features of defect-free images, and the Mahalanobis distance from it.

    PaDiM fits one at each position, which aligned images need. Of a texture every position is like
    every other, and one Gaussian over all of them knows more images of it.
    """

    positions: str = "all"  # "all" for one Gaussian that stands for all, "each" for one at each.
    dimensions: int = 50  # Channels that are kept, at random, where each position has its own.

    def __post_init__(self):
        super().__post_init__()
        require_choice("positions", self.positions, ("all", "each"))

    def _fit(self, images, count):
        if self.positions == "all":
            self.normal = Gaussian()
            for image in images:
                features = self._features(image)
                self.normal.add(features.reshape(-1, features.shape[-1]))
            return
        total = products = 0.0
        for image in images:
            features = self._chosen(self._features(image))
            if not np.isscalar(total) and total.shape != features.shape:
                raise DataError(
                    "expected images of one size for a Gaussian at each position; got maps of "
                    f"{total.shape[:2]} and {features.shape[:2]} cells; pass images of one size, "
                    'or use positions="all"'
                )
            total = total + features
            products = products + np.einsum("hwi,hwj->hwij", features, features)
        self.means = total / count
        covariances = products / count - np.einsum("hwi,hwj->hwij", self.means, self.means)
        covariances += PADIM_RIDGE * np.eye(covariances.shape[-1], dtype="float32")
        self.inverses = np.empty_like(covariances)
        for place in np.ndindex(covariances.shape[:2]):
            factor = cho_factor(covariances[place].astype("float64"))
            self.inverses[place] = cho_solve(factor, np.eye(covariances.shape[-1]))

    def _chosen(self, features):
        if not hasattr(self, "channels"):
            count = features.shape[-1]
            chosen = np.random.default_rng(self.seed).permutation(count)[: self.dimensions]
            self.channels = np.sort(chosen)
        return features[..., self.channels]

    def _map(self, image):
        if self.positions == "all":
            return super()._map(image)
        features = self._chosen(self._features(image))
        if features.shape != self.means.shape:
            raise DataError(
                f"expected an image of as many cells as those fitted, {self.means.shape[:2]}; got "
                f'{features.shape[:2]}; pass one of the same size, or use positions="all"'
            )
        deviation = features - self.means
        squares = np.einsum("hwi,hwij,hwj->hw", deviation, self.inverses, deviation, optimize=True)
        return self._image_map(np.sqrt(np.maximum(squares, 0)), image)

    def _distances(self, rows):
        return self.normal.distance(rows)
