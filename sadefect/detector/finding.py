"""The verdict on an image."""

from typing import NamedTuple

import numpy as np

from sadefect.segmentation import regions


class Finding(NamedTuple):
    """A detector's verdict on an image, and where it rests.

    ``image`` is as it was given or read; ``map`` float32 ``(H, W)``, opened; ``mask`` bool, what is
    taken for defects; ``score`` that of the highest or largest flagged region, by height, mass or
    area as in `Calibration`; ``defect`` the verdict, true where the mask holds anything;
    ``threshold`` the score from which it is a defect.
    """

    name: str
    image: np.ndarray
    map: np.ndarray
    mask: np.ndarray
    score: int
    defect: bool
    threshold: int = 0

    def row(self):
        """Return the verdict and where the defects are, as plain values.

        A box is ``(top, left, bottom, right)``, its last two edges outside of it.
        """
        return {
            "image": self.name,
            "score": self.score,
            "peak": float(self.map.max()),
            "threshold": self.threshold,
            "verdict": "defect" if self.defect else "good",
            "area": float(self.mask.mean()),
            "regions": [
                {"area": region.area, "box": region.box, "centroid": region.centroid}
                for region in regions(self.mask)
            ],
        }
