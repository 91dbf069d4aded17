"""Chooses a scoring by synthetic defects in held-out good images; no test mask is looked at.

Each candidate gets the mean, over kinds and sizes of defects, of the area under the ROC curve.
The rule sees only what was planted, so that a choice is written down before a test image is read.
"""

from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np

from sadefect.anomaly_maps import combine, post_processed, reconstructed_windows
from sadefect.datasets.synthetic.planted import planted_samples
from sadefect.errors import DataError
from sadefect.methods import Scoring
from sadefect.metrics import PixelMetrics
from sadefect.progress import progress


class Score(NamedTuple):
    """A candidate, its mean AUROC, and the AUROC of each kind and radius."""

    candidate: object
    auroc: float
    parts: dict[tuple[str, int], float]


def scoring_candidates(scoring, patch_size=128, windows=(7, 11, 15, 21)):
    """List the scorings that are compared: ways to average, windows, frames, what follows.

    The first is ``scoring`` itself, which gives the residual and all that is not varied. The
    windows are those of an SSIM residual, in pixels. A frame is a sixteenth of the network's
    patches, or what the overlap of windows leaves.

    Examples
    --------
    >>> len(scoring_candidates(Scoring(residual="l2")))
    36
    """
    frame = min(patch_size // 16, (patch_size - scoring.stride) // 2)
    varied = {"average": ("reconstructions", "maps"), "frame": (0, frame)}
    if scoring.residual == "ssim":
        varied["residual_window_size"] = [size for size in windows if size <= patch_size]
    # The paper opens; smoothing does what opening does, to dark and bright specks alike.
    cleaning = [{"opening": d, "smoothing": 0.0} for d in (0, 4, 9)]
    cleaning += [{"opening": 0, "smoothing": s} for s in (2.0, 4.0, 6.0, 8.0, 12.0, 16.0)]
    candidates = [
        replace(scoring, **dict(zip(varied, values, strict=True)), **clean)
        for values in product(*varied.values())
        for clean in cleaning
    ]
    return list(dict.fromkeys([scoring, *candidates]))


def score_maps(model, image, scorings, seed=0):
    """Yield the float32 map ``(H, W)`` of an image by each scoring; it is reconstructed once.

    The scorings have one stride, and one residual; the seed is that of a VAE's draws.
    """
    first = scorings[0]
    windows = list(
        reconstructed_windows(model, image, first.residual, first.stride, first.samples, seed)
    )
    residuals = {}
    for scoring in scorings:
        plain = replace(scoring, opening=0, smoothing=0.0)
        if plain not in residuals:
            residuals[plain] = combine(
                image,
                windows,
                plain.residual,
                plain.average,
                plain.frame,
                **plain.residual_options(seed),
            ).residual
        yield post_processed(residuals[plain], scoring)


def choose(images, candidates, score, seed=0):
    """Compare candidates on synthetic defects in held-out good images.

    Parameters
    ----------
    images : list of float32 arrays (H, W)
        Defect-free, in [0, 1], and not trained on.
    candidates : list
        Of anything hashable.
    score : callable
        Takes an image and the candidates, yields a map for each.
    seed : int
        Of the defects.

    Returns
    -------
    list of Score
        The best first; of equals the one that was listed first.

    Raises
    ------
    DataError
        If there is no image, or none is large enough for a defect.

    Examples
    --------
    >>> from scipy import ndimage
    >>> texture = np.random.default_rng(0).random((128, 128), dtype="float32")
    >>> def flatness(image, widths):
    ...     return [
    ...         ndimage.uniform_filter(image, width) ** 2 - ndimage.uniform_filter(image**2, width)
    ...         for width in widths
    ...     ]
    >>> best, *_ = choose([texture], (1, 5), flatness)
    >>> best.candidate
    5
    """
    samples = planted_samples(images, seed) if images else []
    if not samples:
        raise DataError(
            "expected held-out good images of at least 24x24 pixels to put synthetic defects into; "
            f"got {len(images)} images"
        )
    aurocs = {candidate: {} for candidate in candidates}
    with progress("comparing scorings on synthetic defects", len(samples), "images") as report:
        for number, sample in enumerate(samples, 1):
            maps = score(sample.image, candidates)
            for candidate, map in zip(candidates, maps, strict=True):
                pixels = PixelMetrics()
                pixels.update(sample.mask, map)
                aurocs[candidate][sample.kind, sample.radius] = pixels.auroc()
            report(number)
    scores = [Score(c, float(np.mean(list(p.values()))), p) for c, p in aurocs.items()]
    return sorted(scores, key=lambda score: -score.auroc)


def choose_scoring(model, images, scoring=None, seed=0):
    """Compare the `scoring_candidates` of a network; the first of what it returns is the choice.

    The images are as in `choose`; candidates are varied from ``scoring``; the seed is that of the
    defects, and of a VAE's draws. Returns a list of `Score`.
    """
    return choose(
        images,
        scoring_candidates(scoring or Scoring(), model.input_shape[1]),
        lambda image, scorings: score_maps(model, image, scorings, seed),
        seed,
    )
