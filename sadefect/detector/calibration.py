"""Thresholds of pixels, and of whole images, from the maps of held-out defect-free images.

An image is judged by one region of flagged pixels: by the area or the mass of the largest, or by
the height of the highest (Bullmore et al. 1999, doi:10.1109/42.750253). Heights are those of the
smoothed map. Good images hold many small specks that reach far up, and the largest value of a map
as it is belongs to the noisiest pixel; a defect is a region.

A larger image has more specks, and larger ones among them. In noise the areas of regions above a
threshold fall off exponentially (Friston et al. 1994, doi:10.1002/hbm.460010306), so that the
largest of an area r times as large is larger by the tail's mean excess times ln r. In textures they
may fall off as a power, by Hill's estimate (1975, doi:10.1214/aos/1176343247), and the largest is
r to that power times as large. The larger of the two is taken.
"""

import numpy as np
from scipy import ndimage

from sadefect.detector.conformal import ImageThreshold, conformal_threshold
from sadefect.detector.defaults import FPR, IMAGE_FPR, IMAGE_SCORES, UNITS
from sadefect.detector.region import Crowding
from sadefect.metrics import PixelMetrics
from sadefect.segmentation import check_share

# Shares of pixels for which the regions of held-out images are known; 1 is the whole image.
RATES = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
TAIL = 30  # Regions of held-out images, the largest, that say how fast areas fall off.
HEAVIEST = 2.5  # What a pixel counts at most in the mass of a region.
SMOOTHED = 3.0  # Standard deviation in pixels of a map, where regions are judged by their height,
HIGHEST = 10.0  # and how many mean excesses above the threshold a pixel reaches at most.
LARGER = 1.05  # Times the calibrated area: from there on an image is a larger one.
EIGHT_NEIGHBOURS = np.ones((3, 3), bool)  # Pixels that meet at a corner belong together.


def label_regions(flagged, side=1, weights=None):
    """Number the 8-connected regions of a mask; return int labels ``(H, W)`` and areas by label.

    The background has the label and the area 0. Pixels count by their ``weights``, an array of the
    mask's shape, where there are some: areas are masses then, rounded. Where each pixel of a map
    stands for a block of ``side``, pixels that are left over at the border do not count, so that
    areas are those that the map itself gives.
    """
    labels, count = ndimage.label(flagged, EIGHT_NEIGHBOURS)
    weights = None if weights is None else _blocks(weights, side).ravel()
    areas = np.bincount(_blocks(labels, side).ravel(), weights, minlength=count + 1) * side**2
    areas[0] = 0
    return labels, np.round(areas).astype("int64")


def _blocks(array, side):
    """Return one pixel of each whole block of ``side`` pixels on a side."""
    height, width = (length // side * side for length in array.shape)
    return array[:height:side, :width:side]


def largest_region(flagged):
    """Return the area of the largest region of a mask, in pixels; 0 if there is none."""
    return int(label_regions(flagged)[1].max())


def _weights(map, limit, excess):
    """Return what pixels at or above a limit count: 1 at the mean excess, at most `HEAVIEST`."""
    if not excess:
        return np.ones(map.shape)
    return np.clip((1 + (map - limit) / excess) / 2, 0.5, HEAVIEST)


def _smoothed(map, counted):
    """Smooth a map; pixels that do not count are left out of averages."""
    if counted is None:
        return ndimage.gaussian_filter(map, SMOOTHED, mode="nearest")
    weights = ndimage.gaussian_filter(counted.astype("float32"), SMOOTHED, mode="nearest")
    map = ndimage.gaussian_filter(np.where(counted, map, 0), SMOOTHED, mode="nearest")
    return map / np.maximum(weights, 1e-6)


def _power(largest):
    """Return by which power of the area the largest of some scores grow: Hill's estimate."""
    low, *above = largest
    return float(np.mean(np.log(np.divide(above, low)))) if above and low else 0.0


def _mean_excess(maps, counted, limits):
    """Compute how far pixels at or above each limit are above it on average, 0 without any."""
    sums = np.zeros((len(limits), 2))
    for map, mask in zip(maps, counted, strict=True):
        values = np.asarray(map if mask is None else map[mask], "float64")
        for row, limit in zip(sums, limits, strict=True):
            above = values[values >= limit]
            row += above.sum() - limit * above.size, above.size
    return np.maximum(sums[:, 0], 0) / np.maximum(sums[:, 1], 1)


class Calibration:
    """Counts maps of defect-free images; nothing is kept of them but what thresholds need.

    ``pixels`` are `PixelMetrics`; ``areas``, int ``(N, len(RATES))``, those of the largest region
    of each image, by the share of pixels that is flagged; ``tails`` ``(len(RATES),)`` how fast the
    areas of regions fall off, in pixels, ``powers`` likewise, and ``size`` how many pixels an image
    has, all 0 where an earlier version did not count them; ``crowded`` sentences of `Crowding`.

    Where regions are judged by their mass, ``excess`` ``(len(RATES),)`` is how far flagged pixels
    of these images are above the threshold on average, and ``areas`` are masses: a pixel at the
    threshold counts half, one that is so far above it once, and none more than `HEAVIEST`, so that
    no single one makes a defect. A good image's mass is about its area. Where they are judged by
    their height, ``areas`` are heights of the smoothed map, in thousandths of ``threshold(FPR)``;
    pixels are cut off at `HIGHEST` mean excesses.

    Examples
    --------
    >>> maps = np.random.default_rng(0).random((20, 64, 64), dtype="float32")
    >>> limit = Calibration.of(maps).image_threshold(0.05, fpr=0.01)
    >>> limit.flagged, limit.images, round(limit.expected, 3)
    (0, 20, 0.048)
    """

    def __init__(
        self, pixels, areas, tails=None, size=0, crowded=(), excess=None, image_score=None,
        powers=None,
    ):  # fmt: skip
        self.pixels, self.areas, self.size = pixels, np.asarray(areas), float(size)
        self.image_score = image_score or ("area" if excess is None else "mass")
        self.excess = None if excess is None else np.asarray(excess, "float64")
        self.tails, self.powers = (
            np.zeros(len(RATES)) if each is None else np.asarray(each, "float64")
            for each in (tails, powers)
        )
        self.crowded = list(crowded)

    @classmethod
    def of(cls, maps, side=1, counted=None, image_score="area"):
        """Count a sequence of opened maps ``(H, W)``; each pixel stands for a block of ``side``.

        ``counted`` has a mask for each map, of the pixels that count, or None for all;
        ``image_score``, one of `IMAGE_SCORES`, is what regions are judged by.
        """
        pixels, counted = PixelMetrics(), counted or [None] * len(maps)
        for map, mask in zip(maps, counted, strict=True):
            pixels.update(np.zeros(map.shape, bool), map, mask)
        limits = [pixels.threshold(rate).value for rate in RATES]
        excess = None if image_score == "area" else _mean_excess(maps, counted, limits)
        found = cls(pixels, np.zeros((len(maps), len(RATES)), "int64"), excess=excess,
                    image_score=image_score)  # fmt: skip
        crowding, sizes, largest = Crowding(side), [], [[] for _ in RATES]
        for number, (map, mask) in enumerate(zip(maps, counted, strict=True)):
            values = found._values(map, mask)
            for column, limit in enumerate(limits):
                above = map >= limit if mask is None else (map >= limit) & mask
                scores = np.sort(found._scores(above, values, map, column, limit)[1])[::-1]
                scores = scores * found._block(side)
                found.areas[number, column] = scores[0]
                largest[column] = sorted([*largest[column], *scores[: TAIL + 1].tolist()])
                largest[column] = largest[column][-TAIL - 1 :]
                if RATES[column] == FPR:
                    crowding.add(above)
            sizes.append(map.size if mask is None else int(mask.sum()))
        tails = [np.mean(top[1:]) - top[0] if len(top) > 1 else top[0] for top in largest]
        found.tails, found.size = np.asarray(tails, "float64"), float(np.mean(sizes) * side**2)
        found.powers = np.array([_power(top) for top in largest])
        found.crowded = crowding.sentences()
        return found

    @property
    def unit(self):
        """Return the unit of scores, in words."""
        return UNITS[self.image_score]

    def _block(self, side):
        """Return what a pixel of a map counts, where it stands for a block of an image."""
        return 1 if self.image_score == "height" else side**2

    def _values(self, map, counted):
        """Return the smoothed map that heights are of; None where they do not matter."""
        if self.image_score != "height":
            return None
        limit = self.pixels.threshold(FPR).value
        highest = limit + HIGHEST * self.excess[RATES.index(FPR)]
        values = 1000 * _smoothed(np.minimum(map, highest), counted) / (limit or 1)
        return np.round(np.maximum(values, 1)).astype("int64")

    def _scores(self, flagged, values, map, column, limit, side=1):
        """Number the regions of flagged pixels; return labels ``(H, W)`` and scores by label."""
        if self.image_score == "mass":
            return label_regions(flagged, side, _weights(map, limit, self.excess[column]))
        labels, areas = label_regions(flagged, side)
        if values is None:
            return labels, areas
        heights = np.zeros(len(areas), "int64")
        np.maximum.at(heights, _blocks(labels, side).ravel(), values.ravel())
        heights[0] = 0
        return labels, heights

    def score_regions(self, map, flagged, fpr=FPR, side=1, counted=None):
        """Number the 8-connected regions of an image's flagged pixels, and judge each.

        Parameters
        ----------
        map : array (H, W)
            Of the image's size; each pixel of the map of held-out ones stood for a block of
            ``side`` pixels.
        flagged : bool array (H, W)
        fpr, side : float, int
        counted : bool array (H, W), optional
            Pixels that count; all by default.

        Returns
        -------
        labels : int array (H, W)
        scores : int array
            By label, in `unit`; 0 for the background.
        """
        column, limit = np.searchsorted(RATES, fpr), self.pixels.threshold(fpr).value
        counted = None if counted is None else _blocks(counted, side)
        values = self._values(_blocks(map, side), counted)
        return self._scores(flagged, values, map, column, limit, side)

    def score(self, map, side=1):
        """Return the score of an opened map by its regions, as those of held-out images."""
        above = map >= self.pixels.threshold(FPR).value
        return int(self.score_regions(map, above)[1].max()) * self._block(side)

    def count_defective(self, maps, side=1):
        """Count the opened maps whose score reaches the threshold of images."""
        limit = self.image_threshold().value
        return sum(self.score(map, side) >= limit for map in maps)

    def image_threshold(self, image_fpr=IMAGE_FPR, fpr=FPR, size=None):
        """Return the score from which a region of flagged pixels is a defect.

        Pixels are flagged at or above ``threshold(fpr)``. Of an image larger than the held-out
        ones, ``size`` pixels that count, the threshold is raised by as much as the score of a good
        image is expected to be larger.

        This is split conformal prediction, with the largest region as the score. It is not exact:
        the threshold of pixels is of the same images; and between two of `RATES` the regions are
        those of the larger one, so that the threshold is a little larger than it had to be.
        """
        check_share(image_fpr, "image_fpr")
        scores = self.scores(fpr)
        value = conformal_threshold(scores, image_fpr)
        flagged = int((scores >= value).sum())
        if size and self.size and size > LARGER * self.size:
            column, times = np.searchsorted(RATES, fpr), size / self.size
            more = (self.tails[column] * np.log(times), value * (times ** self.powers[column] - 1))
            value += int(np.ceil(max(more)))
        return ImageThreshold(value, image_fpr, flagged, len(scores))

    def scores(self, fpr=FPR):
        """Return the scores of the held-out images, int ``(N,)``: their largest regions."""
        check_share(fpr, "fpr")
        return self.areas[:, np.searchsorted(RATES, fpr)]

    def thinned(self, shares=4096):
        """Return it with far fewer bins of pixels, for small files.

        Thresholds of `RATES` and of 0 stay exactly what they are; between them there are those of
        so many ``shares``, evenly spread by their logarithm, and others are a little lower.
        """
        state = self.pixels.state()
        at_least = np.cumsum(state["counts"][::-1])[::-1]
        rates = np.r_[0, RATES, np.geomspace(1 / at_least[0], 1, shares)]
        # The highest bin that has too many pixels at or above it decides each threshold.
        deciding = np.searchsorted(-at_least, -rates * at_least[0]) - 1
        kept = np.unique(np.r_[0, np.maximum(deciding, 0), len(at_least) - 1])
        counts = np.add.reduceat(state["counts"], kept)
        pixels = PixelMetrics.from_state(state | {"bins": state["bins"][kept], "counts": counts})
        own = self.areas, self.tails, self.size, self.crowded, self.excess, self.image_score
        return Calibration(pixels, *own, self.powers)

    def state(self):
        """Return everything as a dict of arrays that `from_state` takes."""
        pixels = {f"pixels.{name}": value for name, value in self.pixels.state().items()}
        regions = {"areas": self.areas, "tails": self.tails, "powers": self.powers}
        regions |= {"size": np.array(self.size)}
        regions |= {} if self.excess is None else {"excess": self.excess}
        regions |= {"heights": np.array(1.0)} if self.image_score == "height" else {}
        return pixels | regions | {"rates": np.array(RATES)}

    @classmethod
    def from_state(cls, arrays):
        """Return the object whose `state` is among some arrays; raise if they do not fit."""
        rates, areas = arrays["rates"], arrays["areas"]
        if not np.array_equal(rates, RATES):
            raise ValueError("areas are those of other rates")
        pixels = PixelMetrics.from_state(
            {name.removeprefix("pixels."): array for name, array in arrays.items()}
        )
        fits = areas.dtype.kind in "iu" and areas.shape == (pixels.images, len(RATES))
        if not fits or not len(areas) or areas.min() < 0:
            raise ValueError(
                f"expected the areas of {pixels.images} images at {len(RATES)} rates; got "
                f"{areas.dtype} of shape {areas.shape}"
            )
        tails, size = arrays.get("tails", np.zeros(len(RATES))), arrays.get("size", np.array(0.0))
        powers = arrays.get("powers", np.zeros(len(RATES)))
        shapes = {tails.shape, powers.shape}
        if shapes != {(len(RATES),)} or size.shape or min(size, *tails, *powers) < 0:
            raise ValueError(f"expected {len(RATES)} tails, powers, a size; got {shapes}, {size}")
        excess = arrays.get("excess")
        if excess is not None and (excess.shape != (len(RATES),) or excess.min() < 0):
            raise ValueError(f"expected {len(RATES)} mean excesses; got shape {excess.shape}")
        by_height = "height" if "heights" in arrays and excess is not None else None
        calibration = cls(
            pixels, areas, tails, size, excess=excess, image_score=by_height, powers=powers
        )
        pixels.threshold(FPR), calibration.image_threshold()  # Raises where there is none.
        return calibration


def planted_sentence(judged, images):
    """Say how many good images with synthetic defects are judged defective, in words."""
    verb = "is" if judged == 1 else "are"
    text = f"Of {images} good images with synthetic defects {judged} {verb} judged defective"
    if 2 * judged >= images:
        return text
    return (
        f"{text}: expect that defects are missed. More good images lower the threshold of images; "
        "a larger `--image-fpr` lowers it too, at the price of false alarms"
    )


def choose_calibration(maps, side, counted, planted):
    """Return the `Calibration` by the image score that tells images with defects best.

    Few synthetic defects are a noisy judge: of `IMAGE_SCORES` the first is taken that is within one
    standard error of the best, as Breiman et al. 1984 choose among trees.

    Parameters
    ----------
    maps, side, counted
        As in `Calibration.of`.
    planted : list of arrays (H, W)
        Opened maps of good images with synthetic defects.

    Returns
    -------
    Calibration
    dict
        The AUROC of each of `IMAGE_SCORES` among these images.
    """
    calibrations = {name: Calibration.of(maps, side, counted, name) for name in IMAGE_SCORES}
    above = {}  # For each image with a defect, the share of good ones that it is above.
    for name, calibration in calibrations.items():
        scores = np.array([calibration.score(map, side) for map in planted])
        order = np.sign(scores[:, None] - calibration.scores())
        above[name] = 0.5 + order.mean(axis=1) / 2
    best = max(IMAGE_SCORES, key=lambda name: above[name].mean())
    for chosen in IMAGE_SCORES:
        behind = above[best] - above[chosen]
        if behind.mean() <= behind.std() / np.sqrt(len(behind)):
            break
    return calibrations[chosen], {name: float(values.mean()) for name, values in above.items()}
