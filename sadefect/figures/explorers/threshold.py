"""A threshold that a reader moves: segmentations of one image beside their ROC curves.

One of the explorers of `sadefect.figures.explorers.slider`. Needs the extra ``sadefect[book]``.
"""

from typing import NamedTuple

import numpy as np

from sadefect.detector.overlay import COLOURS, OPACITY, outline, overlay, paint
from sadefect.figures.data import picture_data, plain_numbers
from sadefect.figures.explorers.markup import base64_of, uri, webp
from sadefect.figures.explorers.slider import Explorer, shown
from sadefect.figures.panels import Panel
from sadefect.figures.style import INK, method_label
from sadefect.methods import METHODS, RESIDUALS

SHARES = np.unique(np.concatenate([np.geomspace(5e-4, 1, 90), np.linspace(0.02, 0.98, 49)]))


class Levels(NamedTuple):
    """A residual map cut at rising thresholds.

    ``levels`` is uint8 ``(H, W)``, how many thresholds a pixel reaches, so that it is at or above
    ``thresholds[i]`` where ``levels > i``; ``fpr`` and ``tpr`` are the shares of defect-free and of
    defective pixels that are.
    """

    levels: np.ndarray
    thresholds: np.ndarray
    fpr: np.ndarray
    tpr: np.ndarray

    @classmethod
    def of(cls, mask, residual, also):
        """Take thresholds for many shares of defect-free pixels, and one that was chosen before.

        Examples
        --------
        >>> residual = np.array([[0.0, 0.1, 0.2, 0.9]], "float32")
        >>> cut = Levels.of(np.array([[False, False, False, True]]), residual, 0.5)
        >>> at = cut.thresholds.tolist().index(0.5)
        >>> float(cut.fpr[at]), float(cut.tpr[at])
        (0.0, 1.0)
        """
        free = np.quantile(residual[~mask], 1 - SHARES, method="higher")
        # From the smallest value on everything is flagged, and just above the largest nothing is.
        above = np.nextafter(np.float32([*free, residual.max()]), np.float32(np.inf))
        thresholds = np.unique(np.float32([*above, residual.min(), also]))
        levels = np.searchsorted(thresholds, residual, side="right").astype("uint8")
        flagged = [levels > at for at in range(len(thresholds))]
        return cls(
            levels,
            thresholds,
            np.array([pixels[~mask].mean() for pixels in flagged]),
            np.array([pixels[mask].mean() for pixels in flagged]),
        )

    def offered(self, unit):
        """Return plain JSON: thresholds with their rates, how many of them each pixel reaches."""
        return {
            "unit": unit,
            "thresholds": plain_numbers(self.thresholds),
            "false_positive_rate": plain_numbers(self.fpr),
            "true_positive_rate": plain_numbers(self.tpr),
            "thresholds_reached": self.levels.tolist(),
        }

    def moved(self, unit, start, positions):
        """Return what the script needs for so many positions; the last threshold is repeated."""
        at = np.minimum(np.arange(positions), len(self.thresholds) - 1)
        return {
            "levels": base64_of(self.levels.tobytes()),
            "start": int(np.flatnonzero(self.thresholds == np.float32(start))[0]),
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

    Parameters
    ----------
    name : str
        Of this explorer, unique on its page.
    inspections : sequence of `sadefect.paper.inspection.Inspection`
        Of one image that may be shown, by several methods; the last one is shown first. In what is
        shown some pixels have to be defective and some not.
    fpr : float
        False positive rate on defect-free images that the thresholds shown first are for.
    side : int
        Of the square shown, in pixels; 0 shows all.
    **words
        ``alt`` and ``caption``: what is to be seen, and the text below.

    Returns
    -------
    Explorer, or a widget in a live kernel
    """
    window = inspections[0].window(side)
    image, mask = inspections[0].image[window], inspections[0].mask[window]
    if mask.all() or not mask.any():
        raise ValueError(
            "expected a mask with defective and defect-free pixels; got only one kind; show "
            "another image, or more of it"
        )
    cuts, starts, units, curves = {}, {}, {}, []
    for inspection in inspections:
        experiment, method = inspection.result.experiment, method_label(inspection.result)
        starts[method] = inspection.result.metrics["thresholds"][f"{fpr:g}"]
        units[method] = RESIDUALS[experiment.residual].unit
        cuts[method] = cut = Levels.of(mask, inspection.residual[window], starts[method])
        points = list(zip(cut.fpr, cut.tpr, strict=True))
        colour = METHODS[experiment.method].colour
        curves.append({"method": method, "points": points, "colour": colour})
    first = list(cuts)[-1]
    # One slider for all methods: positions of the shorter ones are repeated at the end.
    positions = max(len(cut.thresholds) for cut in cuts.values())
    moved = {key: cut.moved(units[key], starts[key], positions) for key, cut in cuts.items()}

    def painted(position, method):
        flagged = cuts[method].levels > min(position, len(cuts[method].thresholds) - 1)
        return webp(overlay(image, paint(flagged, mask), outline(mask, "truth")))

    data = {
        "kind": "threshold",
        "shape": list(np.shape(image)),
        "image": uri(webp(image)),
        "mask": base64_of(np.packbits(mask).tobytes()),
        "methods": moved,
        "first": first,
        "paint": OPACITY,
        "colours": {key: COLOURS[key] for key in ("truth", "hit", "false_alarm")},
    }
    offered = {
        "panels": [picture_data(Panel(np.asarray(image), "image", outline=mask))],
        "methods": {key: cut.offered(units[key]) for key, cut in cuts.items()},
    }
    return shown(
        Explorer(
            name=name, label="Threshold", picture=painted, choices=tuple(cuts),
            start=moved[first]["start"], data=data, offered=offered, template="threshold.html",
            values={"curves": curves, "ink": INK}, **words,
        )
    )  # fmt: skip
