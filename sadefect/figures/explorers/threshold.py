"""A threshold that a reader moves: segmentations of one image beside their ROC curves.

One of the explorers of `sadefect.figures.explorers.slider`. Needs the extra ``sadefect[book]``.
"""

from html import escape
from typing import NamedTuple

import numpy as np

from sadefect.detector.overlay import COLOURS, OPACITY, outline, overlay, paint
from sadefect.figures.data import numbers, picture_data
from sadefect.figures.explorers.markup import base64_of, figure_tag, image_tag, roc_tag, uri
from sadefect.figures.explorers.slider import Explorer, Step, picture, shown
from sadefect.figures.panels import Panel
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
        """Thresholds for many shares of defect-free pixels, and one more that was chosen before.

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
            np.array([one[~mask].mean() for one in flagged]),
            np.array([one[mask].mean() for one in flagged]),
        )

    def data(self, unit):
        """As plain JSON: thresholds with their rates, and how many of them each pixel reaches."""
        return {
            "unit": unit,
            "thresholds": numbers(self.thresholds),
            "false_positive_rate": numbers(self.fpr),
            "true_positive_rate": numbers(self.tpr),
            "thresholds_reached": self.levels.tolist(),
        }


def threshold(name, image, mask, maps, *, starts, unit, caption, alt):
    """Segmentations of an image by a threshold that a slider moves, beside their ROC curves.

    Parameters
    ----------
    name : str
        Of this explorer, unique on its page.
    image : array (H, W)
        Gray values in [0, 1].
    mask : bool array (H, W)
        True defects; some pixels have to be defective and some not.
    maps : dict
        Names of methods to residual maps, float32 (H, W); the last one is shown first. Colours are
        those of ``unit``.
    starts : dict
        Names of methods to the threshold shown first.
    unit : dict
        Names of methods to a pair: what the map measures, and the key of the method's colour.
    caption, alt : str
        The text below; and what is to be seen.

    Returns
    -------
    Explorer, or a widget in a live kernel
    """
    if mask.all() or not mask.any():
        raise ValueError(
            "expected a mask with defective and defect-free pixels; got only one kind; show "
            "another image, or more of it"
        )
    cut = {method: Levels.of(mask, residual, starts[method]) for method, residual in maps.items()}
    first = list(maps)[-1]
    # One slider for all methods: positions of the shorter ones are repeated at the end.
    positions = max(len(one.thresholds) for one in cut.values())
    at = {
        method: np.minimum(np.arange(positions), len(one.thresholds) - 1)
        for method, one in cut.items()
    }
    texts = {
        method: [
            f"{100 * one.tpr[i]:.1f} % of defective pixels found, "
            f"{100 * one.fpr[i]:.1f} % of the others flagged"
            for i in at[method]
        ]
        for method, one in cut.items()
    }
    values = {
        method: [f"{unit[method][0]} at least {one.thresholds[i]:.3g}" for i in at[method]]
        for method, one in cut.items()
    }
    start = {
        method: int(np.flatnonzero(one.thresholds == np.float32(starts[method]))[0])
        for method, one in cut.items()
    }

    def frame(position, method):
        i = at[method][position]
        flagged = cut[method].levels > i
        painted = overlay(image, paint(flagged, mask), outline(mask, "truth"))
        return Step(values[method][position], picture(painted), texts[method][position])

    data = {
        "kind": "threshold",
        "shape": list(np.shape(image)),
        "image": uri(picture(image)),
        "mask": base64_of(np.packbits(mask).tobytes()),
        "methods": {
            method: {
                "levels": base64_of(one.levels.tobytes()),
                "start": start[method],
                "fpr": one.fpr[at[method]].round(5).tolist(),
                "tpr": one.tpr[at[method]].round(5).tolist(),
                "values": values[method],
                "texts": texts[method],
            }
            for method, one in cut.items()
        },
        "first": first,
        "paint": OPACITY,
        "colours": {key: COLOURS[key] for key in ("truth", "hit", "false_alarm")},
    }
    curves = {
        method: (one.fpr, one.tpr, METHODS[unit[method][1]].colour) for method, one in cut.items()
    }
    here = frame(start[first], first)
    choice = "".join(
        f'<label><input type="radio" name="{name}-method" value="{escape(method)}"'
        f"{' checked' if method == first else ''}> {escape(method)}</label>"
        for method in maps
    )
    pair = image_tag(here.picture, alt) + roc_tag(name, curves, first)
    html = figure_tag(
        name, "Threshold", data | {"positions": positions}, start[first],
        f'<div class="explorer-pair">{pair}</div>',
        caption,
        f'<fieldset class="explorer-choice"><legend>Method</legend>{choice}</fieldset>',
        here,
    )  # fmt: skip
    offered = {
        "explorer": name,
        "caption": caption,
        "panels": [picture_data(Panel(np.asarray(image), "image", outline=mask))],
        "methods": {method: one.data(unit[method][0]) for method, one in cut.items()},
    }
    return shown(
        Explorer(html, "Threshold", frame, positions, start[first], tuple(maps), data=offered)
    )


def segmentations(name, seen, fpr, *, side=0, alt, caption):
    """`threshold` of one image as several methods see it.

    Parameters
    ----------
    name : str
        Of this explorer, unique on its page.
    seen : dict
        Names of methods to `sadefect.paper.inspection.Inspection` of one image that may be shown.
    fpr : float
        False positive rate on defect-free images that the thresholds shown first are for.
    side : int
        Of the square shown, in pixels; 0 shows all.
    alt, caption : str
        As of `threshold`.

    Returns
    -------
    Explorer, or a widget in a live kernel
    """
    one = next(iter(seen.values()))
    here = one.window(side)
    experiments = {method: each.result.experiment for method, each in seen.items()}
    return threshold(
        name,
        one.image[here],
        one.mask[here],
        {method: each.residual[here] for method, each in seen.items()},
        starts={
            method: each.result.metrics["thresholds"][f"{fpr:g}"] for method, each in seen.items()
        },
        unit={
            method: (RESIDUALS[each.residual].unit, each.method)
            for method, each in experiments.items()
        },
        alt=alt,
        caption=caption,
    )
