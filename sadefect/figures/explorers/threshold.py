"""A threshold that a reader moves: segmentations of one image beside their ROC curves.

One of the explorers of `sadefect.figures.explorers.slider`. Needs the extra ``sadefect[book]``.
"""

from typing import NamedTuple

import numpy as np
from IPython.display import Markdown

from sadefect.detector.overlay import COLOURS, OPACITY, outline, overlay, paint
from sadefect.figures.data import picture_data, plain_numbers, png_address
from sadefect.figures.explorers.markup import base64_of, uri, webp
from sadefect.figures.explorers.slider import shown
from sadefect.figures.panels import Panel
from sadefect.figures.style import method_label
from sadefect.methods import METHODS, RESIDUALS

SHARES = np.unique(np.concatenate([np.geomspace(5e-4, 1, 90), np.linspace(0.02, 0.98, 49)]))


class Levels(NamedTuple):
    """A residual map cut at rising thresholds.

    A pixel is at or above ``thresholds[i]`` where ``levels > i``.
    """

    levels: np.ndarray  # uint8 (H, W): how many thresholds a pixel reaches.
    thresholds: np.ndarray
    start: int  # The position of the threshold that was chosen before.
    fpr: np.ndarray  # Shares of defect-free pixels that reach them,
    tpr: np.ndarray  # and of defective ones.

    @classmethod
    def of(cls, mask, residual, also):
        """Take thresholds for many shares of defect-free pixels, and one that was chosen before.

        Examples
        --------
        >>> residual = np.array([[0.0, 0.1, 0.2, 0.9]], "float32")
        >>> cut = Levels.of(np.array([[False, False, False, True]]), residual, 0.5)
        >>> float(cut.fpr[cut.start]), float(cut.tpr[cut.start])
        (0.0, 1.0)
        """
        free = np.quantile(residual[~mask], 1 - SHARES, method="higher")
        # From the smallest value on everything is flagged, and just above the largest nothing is.
        above = np.nextafter(np.float32([*free, residual.max()]), np.float32(np.inf))
        thresholds = np.unique(np.float32([*above, residual.min(), also]))
        levels = np.searchsorted(thresholds, residual, side="right").astype("uint8")
        flagged = [levels > at for at in range(len(thresholds))]
        rates = [[pixels[part].mean() for pixels in flagged] for part in (~mask, mask)]
        start = int(np.searchsorted(thresholds, np.float32(also)))
        return cls(levels, thresholds, start, *np.array(rates))

    def offered(self, unit):
        """Return plain JSON: thresholds with their rates, how many of them each pixel reaches."""
        return {
            "unit": unit,
            "thresholds": plain_numbers(self.thresholds),
            "false_positive_rate": plain_numbers(self.fpr),
            "true_positive_rate": plain_numbers(self.tpr),
            "thresholds_reached": png_address(self.levels),
        }

    def moved(self, unit, positions):
        """Return what the script needs for so many positions; the last threshold is repeated."""
        at = np.minimum(np.arange(positions), len(self.thresholds) - 1)
        return {
            "levels": base64_of(self.levels.tobytes()),
            "start": self.start,
            "fpr": self.fpr[at].round(5).tolist(),
            "tpr": self.tpr[at].round(5).tolist(),
            "values": [f"{unit} at least {threshold:.3g}" for threshold in self.thresholds[at]],
            "texts": [
                f"{100 * tpr:.1f} % of defective pixels found, "
                f"{100 * fpr:.1f} % of the others flagged"
                for fpr, tpr in zip(self.fpr[at], self.tpr[at], strict=True)
            ],
        }


def segmentations(name, inspections, fpr, *, side=0, **words):
    """Show segmentations by a threshold that a slider moves, beside their ROC curves.

    `inspections` are of one image that may be shown, by several methods, the last of which is shown
    first, at the thresholds for a false positive rate of `fpr` on defect-free images. What is shown
    is a square of `side` pixels, or all for 0. `name` and the rest are parameters of
    `sadefect.figures.explorers.slider.Explorer`, ``alt`` and ``caption`` among them.

    Returns an `Explorer`, or a widget in a live kernel; a note without `inspections`. Raises
    `ValueError` where not some of the pixels shown are defective and some not.
    """
    if not inspections:
        return Markdown("The picture is here in a build that has the images and the weights.")
    window = inspections[0].window(side)
    image, mask = inspections[0].image[window], inspections[0].mask[window]
    if mask.all() or not mask.any():
        raise ValueError(
            "expected a mask with defective and defect-free pixels; got only one kind; show "
            "another image, or more of it"
        )
    cuts, units, colours = {}, {}, {}
    for inspection in inspections:
        experiment, method = inspection.result.experiment, method_label(inspection.result)
        chosen = inspection.result.metrics["thresholds"][f"{fpr:g}"]
        units[method] = RESIDUALS[experiment.residual].unit
        colours[method] = METHODS[experiment.method].colour
        cuts[method] = Levels.of(mask, inspection.residual[window], chosen)
    # One slider for all methods: positions of the shorter ones are repeated at the end.
    positions = max(len(cut.thresholds) for cut in cuts.values())
    moved = {
        method: {"colour": colours[method]} | cut.moved(units[method], positions)
        for method, cut in cuts.items()
    }

    def painted(position, method):
        flagged = cuts[method].levels > min(position, len(cuts[method].thresholds) - 1)
        return webp(overlay(image, paint(flagged, mask), outline(mask, "truth")))

    data = {
        "kind": "threshold",
        "shape": list(np.shape(image)),
        "image": uri(webp(image)),
        "mask": base64_of(np.packbits(mask).tobytes()),
        "methods": moved,
        "first": method,
        "paint": OPACITY,
        "colours": {name: COLOURS[name] for name in ("truth", "hit", "false_alarm")},
    }
    offered = {
        "panels": [picture_data(Panel(np.asarray(image), "image", outline=mask))],
        "methods": {method: cut.offered(units[method]) for method, cut in cuts.items()},
    }
    parts = {"picture": painted, "choices": tuple(cuts), "data": data, "offered": offered}
    return shown(name=name, label="Threshold", start=cuts[method].start, **parts, **words)
