"""What an evaluation has counted so far: it can be put aside, and gone on with."""

import json

import numpy as np

from sadefect.errors import DataError, StoreError
from sadefect.files import load_arrays, save_arrays
from sadefect.metrics import PixelMetrics, auroc


class Tally:
    """Counts of pixels and verdicts of images, in the order of a test set."""

    def __init__(self):
        self.pixels, self.images = PixelMetrics(), []

    def update(self, found, mask, kind):
        """Count the `Finding` of an image whose true mask is known."""
        self.pixels.update(mask, found.map)
        self.images.append(
            {"kind": kind, "score": found.score, "defect": found.defect, "true": bool(mask.any())}
        )

    def metrics(self, thresholds):
        """What came out; see `Detector.evaluate`.

        Returns
        -------
        metrics : dict
        curves : dict of arrays
        """
        from sadefect.metrics import summarise

        metrics, curves = summarise(self.pixels, thresholds)
        true = np.array([one["true"] for one in self.images])
        scores = np.array([one["score"] for one in self.images], "float32")
        both = true.any() and not true.all()
        verdicts = {}
        for one in self.images:
            counts = verdicts.setdefault(one["kind"], {"images": 0, "defect": 0})
            counts["images"] += 1
            counts["defect"] += int(one["defect"])
        image_auroc = auroc([true[None]], [scores[None]]) if both else None
        return metrics | {"image_auroc": image_auroc, "verdicts": verdicts}, curves

    def save(self, path):
        """Write this to a file, whole or not at all."""
        text = np.frombuffer(json.dumps(self.images).encode(), "uint8")
        save_arrays(path, images=text, **{f"of_{k}": v for k, v in self.pixels.state().items()})

    @classmethod
    def load(cls, path):
        """What `save` wrote; an empty tally if there is no such file, or it is damaged."""
        tally = cls()
        try:
            arrays = load_arrays(path)
            images = json.loads(arrays.pop("images").tobytes())
            pixels = PixelMetrics.from_state(
                {name.removeprefix("of_"): value for name, value in arrays.items()}
            )
        except (OSError, StoreError, DataError, ValueError, LookupError):
            return tally
        if pixels.images == len(images):
            tally.pixels, tally.images = pixels, images
        return tally
