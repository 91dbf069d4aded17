"""The folder that `sadefect segment` and `sadefect evaluate` write: pictures and tables."""

import csv
import hashlib
import json
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from sadefect.datasets.images import as_gray
from sadefect.detector.overlay import heat_map, outline, overlay
from sadefect.errors import DataError
from sadefect.files import explained, save_json, whole

COLUMNS = (
    "image", "verdict", "score", "threshold", "peak", "area", "regions", "boxes", "error",
)  # fmt: skip
PICTURES = ("map", "mask", "overlay")


class Output:
    """A folder of results, one run at a time; a run that was stopped goes on where it was.

    ``pictures/`` gets a heat map, a mask and an overlay of each image; ``results.csv`` and the
    report come at the end. Until then ``.partial/`` remembers what is done.

    Parameters
    ----------
    folder : Path
    key : dict
        What results depend on; those of another key are not taken up.
    """

    def __init__(self, folder, key):
        self.folder, self.partial = Path(folder), Path(folder) / ".partial"
        text = json.dumps(key, sort_keys=True)
        self.log = self.partial / "rows.jsonl"  # The key, then a line for each image.
        self.counts = self.partial / "counts.npz"  # For `Detector.evaluate`.
        self.key = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.done, self.names, self.rows = {}, set(), []

    @contextmanager
    def open(self):
        """Keep other runs out, and take up what an earlier one left.

        Raises
        ------
        StoreError
            If another run writes here, or nothing can be written.
        """
        from filelock import FileLock, Timeout

        with explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / ".lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                raise DataError(
                    f"expected to be the only run that writes to {self.folder}; another one does; "
                    "wait for its end, or choose another folder"
                ) from None
        try:
            with explained(self.folder):
                self._take_up()
            yield self
            with explained(self.folder):
                shutil.rmtree(self.partial)
        finally:
            lock.release()
            (self.folder / ".lock").unlink(missing_ok=True)

    def _take_up(self):
        linked = self.partial.is_symlink() or self.log.is_symlink()
        text = self.log.read_text("utf-8", "replace") if self.log.is_file() and not linked else ""
        lines = text.splitlines()
        if lines[:1] != [self.key]:
            shutil.rmtree(self.partial, ignore_errors=True)
            self.partial.mkdir()
            self._note(self.key)
            return
        for line in lines[1:]:
            try:
                entry = json.loads(line)
                self.done[entry["identity"]] = entry["row"]
            except (ValueError, KeyError, TypeError):
                continue  # A line that was cut short.
        if not text.endswith("\n"):
            self._note("")
        for path in self.partial.iterdir():
            if path.is_dir():  # Of a picture that was not finished.
                shutil.rmtree(path, ignore_errors=True)

    def _note(self, line):
        with explained(self.folder), open(self.log, "a", encoding="utf-8") as log:
            log.write(line + "\n")

    def stem(self, name):
        """Return a file name for an image's name, once; it never leads out of the folder."""
        plain = re.sub(r"[^\w.-]+", "-", re.sub(r"\.\w{3,4}$", "", str(name))).strip("-.")
        plain = plain or "image"
        stem, number = plain[-100:], 2
        while stem.lower() in self.names:
            stem, number = f"{plain[-100:]}-{number}", number + 1
        self.names.add(stem.lower())
        return stem

    def add(self, stem, identity, look, top, truth=None):
        """Return the row of an image: of the earlier run, or of the `Finding` that ``look`` gives.

        Parameters
        ----------
        stem : str
            Of `stem`.
        identity : str
            Tells an image from one of the same name that is another.
        look : callable
            Returns a `Finding`.
        top : float
            The map's value that is shown brightest.
        truth : bool array (H, W), optional
            The true mask.
        """
        row = self.done.get(identity)
        paths = [self.picture(stem, kind) for kind in PICTURES]
        if row is None or not all(path.is_file() for path in paths):
            finding = look()
            row = finding.row()
            for path, picture in zip(paths, pictures(finding, truth, top), strict=True):
                with whole(path, within=self.partial) as temporary:
                    picture.save(temporary, "png")
            self._note(json.dumps({"identity": identity, "row": row}))
        self.rows.append(row | {"stem": stem})
        return row

    def fail(self, name, error):
        """Note an image that could not be used."""
        self.rows.append({"image": str(name), "verdict": "unreadable", "error": str(error)})

    def picture(self, stem, kind):
        return self.folder / "pictures" / f"{stem}_{kind}.png"

    def write_table(self, threshold):
        """Write ``results.csv``, and the same with every region as ``results.json``."""
        lines = []
        for row in self.rows:
            boxes = [region["box"] for region in row.get("regions", [])]
            line = {name: row[name] for name in COLUMNS if name in row}
            line |= {"regions": len(boxes), "threshold": threshold}
            lines.append(line | {"boxes": " ".join("-".join(map(str, box)) for box in boxes)})
        path = self.folder / "results.csv"
        with (
            whole(path, within=self.partial) as temporary,
            open(temporary, "w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(lines)
        save_json(self.folder / "results.json", self.rows)


def pictures(found, truth, top):
    """Return heat map, mask, and the image with outlines of flagged and of true regions."""
    width = max(1, round(max(found.mask.shape) / 250))
    masks = {"truth": truth, "flagged": found.mask}
    outlines = [outline(mask, name, width) for name, mask in masks.items() if mask is not None]
    return [
        heat_map(found.map, top),
        Image.fromarray(np.uint8(found.mask) * 255),
        overlay(as_gray(found.image), *outlines),
    ]
