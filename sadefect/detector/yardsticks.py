"""What a network is compared with on synthetic defects: other scorings, and training-free methods.

No mask of a test image is read: what is planted in held-out good images decides.
"""

from dataclasses import replace

import numpy as np

from sadefect.baselines import build_baseline, candidates
from sadefect.baselines.base import Gaussian
from sadefect.detector.region import continued, cropped
from sadefect.detector.settings import AUTO
from sadefect.detector.tiles import tiles
from sadefect.scoring_choice import choose, score_maps, scoring_candidates

YARDSTICKS = {"level": "level", "local_contrast": "local contrast", "filter_bank": "filter bank"}
SIDE = 512  # Pixels of an image that yardsticks are fitted on, in its middle.
IMAGES = 8  # As many as yardsticks are fitted on; they are Gaussians of at most eight numbers.
TILE = 1024
REACH = 20  # Pixels that the widest filter reaches, beyond the window.
COMPARED = 5  # Scorings that are remembered, the best first.


class Ranking:
    """What synthetic defects say of a network's scorings and of the yardsticks.

    ``scoring`` is the best `Scoring`, None without a network; ``yardsticks`` are fitted, by name,
    each with its best settings; ``aurocs`` the mean AUROC on synthetic defects of "network" and of
    each yardstick; ``compared`` the best scorings and what they reached, plain values.
    """

    def __init__(self, images, held_out, scorings=(), model=None, margin=0, seed=0):
        step = max(1, len(images) // IMAGES)
        parts = [_middle(image) for image in images[::step]]
        fitted = {
            (name, number): build_baseline(name, seed, **settings).fit(parts)
            for name in YARDSTICKS
            for number, settings in enumerate(candidates(name))
        }

        def maps(image, _):
            if model is not None:
                wide = continued(image, margin)
                yield from (cropped(map, margin) for map in score_maps(model, wide, scorings, seed))
            yield from (baseline.anomaly_map(image) for baseline in fitted.values())

        scorings = list(scorings) if model is not None else []
        ranked = choose([np.asarray(image) for image in held_out], [*scorings, *fitted], maps, seed)
        of_network = [score for score in ranked if score.candidate in scorings]
        self.scoring = of_network[0].candidate if of_network else None
        self.compared = [
            {name: getattr(score.candidate, name) for name in AUTO} | {"auroc": score.auroc}
            for score in of_network[:COMPARED]
        ]
        self.aurocs = {"network": of_network[0].auroc} if of_network else {}
        self.yardsticks = {}
        for name in YARDSTICKS:
            best = next(s for s in ranked if s.candidate not in scorings and s.candidate[0] == name)
            self.yardsticks[name], self.aurocs[name] = fitted[best.candidate], best.auroc


def _middle(image):
    top, left = ((length - min(SIDE, length)) // 2 for length in image.shape)
    return np.asarray(image[top : top + SIDE, left : left + SIDE])


def allowed_scorings(scoring, patch_size, settings):
    """List the scorings that settings leave to be chosen among: those whose value is "auto".

    Where a setting is "auto", ``scoring`` has its default.
    """
    free = {name for name in AUTO if settings[name] == "auto"}
    listed = scoring_candidates(scoring, patch_size, windows=(scoring.residual_window_size,))
    return list(
        dict.fromkeys(
            replace(scoring, **{name: getattr(candidate, name) for name in free})
            for candidate in listed
        )
    )


def baseline_in_tiles(baseline, image):
    """Compute a yardstick's map of an image, float32 ``(H, W)``, in memory that does not grow."""
    whole, margin = np.empty(image.shape, "float32"), baseline.window + REACH
    for read, keep, place in tiles(image.shape, 1, 1, margin, TILE):
        whole[place] = baseline.anomaly_map(image[read])[keep]
    return whole


def verdict(aurocs):
    """Say which yardsticks a network does not beat on synthetic defects; empty if it beats all."""
    better = [name for name in YARDSTICKS if aurocs.get(name, 0) >= aurocs.get("network", 1)]
    if not better:
        return ""
    reached = ", ".join(f"{YARDSTICKS[name]} {aurocs[name]:.3f}" for name in YARDSTICKS)
    best = max(better, key=aurocs.get)
    return (
        f"On synthetic defects in held-out good images the network (AUROC "
        f"{aurocs['network']:.3f}) does not beat what needs no training: {reached}. Train longer, "
        + (
            "or take `--method filter_bank`"
            if "filter_bank" in better
            else "or take another method"
        )
        + (f"; {YARDSTICKS[best]} is best" if best != "filter_bank" else "")
    )


def state(yardsticks):
    """Return fitted yardsticks as arrays and as plain settings; `from_state` takes them."""
    arrays, settings = {}, {}
    for name, baseline in yardsticks.items():
        arrays[f"yardstick.{name}.mean"] = baseline.normal.mean
        arrays[f"yardstick.{name}.covariance"] = baseline.normal.covariance
        settings[name] = baseline.settings
    return arrays, settings


def from_state(arrays, settings, seed=0):
    """Return the yardsticks whose `state` is among some arrays; raise if they do not fit."""
    yardsticks = {}
    for name in YARDSTICKS:
        if name not in settings:
            continue
        baseline = build_baseline(name, seed, **settings[name])
        mean, covariance = (arrays[f"yardstick.{name}.{what}"] for what in ("mean", "covariance"))
        if covariance.shape != (8 if name == "filter_bank" else 1,) * 2:
            raise ValueError(f"the covariance of {name} has shape {covariance.shape}")
        if mean.shape != covariance.shape[:1]:
            raise ValueError(f"the mean of {name} has shape {mean.shape}")
        baseline.normal = Gaussian.of(mean, covariance)
        baseline.fitted = True
        yardsticks[name] = baseline
    return yardsticks
