"""Maps of images, by what a detector has learnt: in tiles, and colour by colour where it does."""

import numpy as np

from sadefect.anomaly_maps import post_processed
from sadefect.datasets.images import as_gray
from sadefect.detector.border import levelled
from sadefect.detector.inputs import Downscaled
from sadefect.detector.region import Continued, counted_pixels, cropped
from sadefect.detector.settings import Settings
from sadefect.detector.tiles import map_in_tiles
from sadefect.detector.yardsticks import baseline_in_tiles
from sadefect.errors import DataError, StoreError, out_of_memory
from sadefect.progress import progress


class Mapping(Settings):
    """Computes maps with ``model_``; see `Detector`, which learns it."""

    def _learnt(self, name):
        if not hasattr(self, name):
            raise StoreError("this detector has learnt nothing yet; call fit, or Detector.load")
        return getattr(self, name)

    def _prepared(self, image, name=None):
        return Downscaled(image, self.shrink, self.patch_size, name)

    def _planes(self, prepared):
        """List the gray images that are judged for an image: its luminance, or its channels."""
        return prepared.channels() if self._by_channel else [prepared]

    def _counted(self, shape, factor=1):
        """Return the pixels that count, bool of an image's shape or of the downscaled one."""
        ignored = getattr(self, "ignored_", None)
        if factor > 1 and ignored is not None:
            ignored = Downscaled(np.float32(ignored), factor, 1)[:, :] > 0
        return counted_pixels(shape, -(-self.border // factor), ignored)

    def _map(self, prepared, part):
        """Compute a part of the `AnomalyMap` of a prepared image, at the image's own size."""
        try:
            map = self._map_of(self._planes(prepared), part)
        except Exception as error:
            if out_of_memory(error):
                height, width = prepared.full_shape
                error.add_note(f"while looking at {prepared.name}, {height}x{width} pixels")
            raise
        return prepared.enlarged(map)

    def _map_of(self, planes, part):
        """Compute a part of the `AnomalyMap` of an image, downscaled, from its planes.

        Of several, residuals are the largest; reconstructions become luminance, as images do.
        """
        maps = [self._map_of_plane(plane, part) for plane in planes]
        if part == "residual":
            return levelled(np.maximum.reduce(maps), getattr(self, "levels_", None))
        if len(maps) == 1:
            return maps[0]
        return as_gray(np.clip(np.stack(maps, axis=-1), 0, 1))

    def _map_of_plane(self, image, part):
        model, scoring, margin = self._learnt("model_"), self.scoring, self._margin
        if self._network:
            wide = Continued(image, margin) if margin else image
            return cropped(map_in_tiles(model, wide, scoring, self.seed, part), margin)
        if part != "residual":
            raise DataError("expected a network to reconstruct with; a filter bank has none")
        return post_processed(baseline_in_tiles(model, image), scoring)

    def _residuals(self, images):
        """Yield the maps of downscaled images, of good ones that were not trained on."""
        with progress("setting thresholds", len(images), "images") as report:
            for done, planes in enumerate(images, 1):
                yield self._map_of(planes, "residual")
                report(done)

    def yardstick_maps(self, image):
        """Return the maps of an image, a path or an array, by the name of the yardstick."""
        prepared = self._prepared(image)
        maps = {
            name: [baseline_in_tiles(baseline, plane) for plane in self._planes(prepared)]
            for name, baseline in self.yardsticks_.items()
        }
        return {name: prepared.enlarged(np.maximum.reduce(of)) for name, of in maps.items()}

    def anomaly_map(self, image):
        """Compute the opened residual map of an image: larger where it is more anomalous.

        Returns
        -------
        float32 array (H, W)

        Raises
        ------
        DataError
            If the image, an array or a path, cannot be used; the message says why.
        """
        return self._map(self._prepared(image), "residual")

    def reconstruct(self, image):
        """Reconstruct an image, float32 ``(H, W)``, which shows whether settings suit it."""
        return self._map(self._prepared(image), "reconstruction")
