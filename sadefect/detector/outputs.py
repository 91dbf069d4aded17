"""The folder that `sadefect segment` and `sadefect evaluate` write: pictures and tables."""

import csv
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from sadefect.datasets.images import as_gray
from sadefect.detector.overlay import heat_map, outline, overlay
from sadefect.errors import DataError, StoreError
from sadefect.files import explained, load_json, locked, save_json, whole
from sadefect.methods import settings_digest

TABLE_COLUMNS = (
    "image", "verdict", "score", "threshold", "peak", "area", "regions", "boxes", "error",
)  # fmt: skip
PICTURES = ("map", "mask", "overlay")


class Output:
    """A folder of results, one run at a time; a run that was stopped goes on where it was.

    ``pictures/`` gets a heat map, a mask and an overlay of each image; ``results.csv`` and the
    report come at the end. Until then ``.partial/KEY/`` has a file for each image that is done.

    The ``key``, a dict, is what results depend on; those of another key are not taken up.
    """

    def __init__(self, folder, key):
        self.folder = Path(folder)
        self.partial = self.folder / ".partial" / settings_digest(key)
        self.counts = self.partial / "counts.npz"  # For `Detector.evaluate`.
        self.names, self.rows = set(), []

    @contextmanager
    def open(self):
        """Keep other runs out, a `DataError`, and take up what an earlier one left.

        A `StoreError` says why nothing can be written.
        """

        def busy():
            raise DataError(
                f"expected to be the only run that writes to {self.folder}; another one does; "
                "wait for its end, or choose another folder"
            ) from None

        with locked(self.folder / ".lock", busy):
            try:
                with explained(self.folder):
                    self._take_up()
                yield self
                with explained(self.folder):
                    shutil.rmtree(self.partial.parent)
            finally:
                (self.folder / ".lock").unlink(missing_ok=True)

    def _take_up(self):
        """Make the folder of what is done so far; remove what is of another key."""
        for path in (self.partial.parent, self.partial):
            if path.is_symlink():
                path.unlink()
        self.partial.mkdir(parents=True, exist_ok=True)
        for path in self.partial.parent.iterdir():
            if path != self.partial:  # Its pictures are about to be written over.
                shutil.rmtree(path, ignore_errors=True)

    def stem(self, name):
        """Return a file name for an image's name, once; it never leads out of the folder."""
        name = re.sub(r"\.\w{3,4}$", "", str(name))
        plain = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "image"
        stem, number = plain[-100:], 2
        while stem.lower() in self.names:
            stem, number = f"{plain[-100:]}-{number}", number + 1
        self.names.add(stem.lower())
        return stem

    def recall(self, stem, identity):
        """Take up the row of an image from an earlier run; return whether there is one.

        The ``identity`` tells an image from one of the same name that is another.
        """
        try:
            done = load_json(self._row_path(stem))
        except (OSError, StoreError):
            return False
        whole_set = all(self.picture(stem, kind).is_file() for kind in PICTURES)
        if known := whole_set and done["identity"] == identity:
            self.rows.append(done["row"])
        return known

    def add(self, stem, identity, finding, top, truth=None):
        """Write the row of a `Finding`, its heat map, brightest at ``top``, mask and overlay.

        That is the image with outlines of flagged and of true regions.
        """
        width = max(1, round(max(finding.mask.shape) / 250))
        outlines = [] if truth is None else [outline(truth, "truth", width)]
        outlines.append(outline(finding.mask, "flagged", width))
        pictures = {
            "map": heat_map(finding.map, top),
            "mask": Image.fromarray(np.uint8(finding.mask) * 255),
            "overlay": overlay(as_gray(finding.image), *outlines),
        }
        for kind, picture in pictures.items():
            with whole(self.picture(stem, kind), within=self.partial) as temporary:
                picture.save(temporary, "png")
        row = finding.row() | {"stem": stem}
        save_json(self._row_path(stem), {"identity": identity, "row": row})
        self.rows.append(row)

    def fail(self, name, error):
        """Note an image that could not be used."""
        self.rows.append({"image": str(name), "verdict": "unreadable", "error": str(error)})

    def picture(self, stem, kind):
        return self.folder / "pictures" / f"{stem}_{kind}.png"

    def _row_path(self, stem):
        return self.partial / f"{stem}.json"

    def write_table(self, threshold):
        """Write ``results.csv``, and the same with every region as ``results.json``."""
        with (
            whole(self.folder / "results.csv", within=self.partial) as temporary,
            # A name may hold bytes that are no text.
            open(temporary, "w", newline="", encoding="utf-8", errors="backslashreplace") as file,
        ):
            writer = csv.DictWriter(file, TABLE_COLUMNS, extrasaction="ignore")
            writer.writeheader()
            for row in self.rows:
                boxes = ["-".join(map(str, region["box"])) for region in row.get("regions", [])]
                also = {"regions": len(boxes), "boxes": " ".join(boxes)}
                writer.writerow({"threshold": threshold} | row | also)
        save_json(self.folder / "results.json", self.rows)
