"""Any number of gray images, one after the other in a file, in constant memory."""

import hashlib
import tempfile
from collections.abc import Sequence

import numpy as np

from sadefect.files import explained


class Stack(Sequence):
    """Images that are written once and read back as views.

    The file has no name, so that nothing stays when the process ends, however it ends; and images
    that change on disk meanwhile do not change a training.

    Parameters
    ----------
    folder : Path
        Where the file lies; 4 bytes for each pixel.
    """

    def __init__(self, folder):
        self.folder, self.digest = folder, hashlib.sha256()
        self.shapes, self.starts, self.pixels = [], [0], None
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self.file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as this.

    def append(self, image):
        """Add a float32 image ``(H, W)``."""
        data = np.ascontiguousarray(image, "float32")
        self.digest.update(repr(data.shape).encode())
        self.digest.update(data)
        with explained(self.folder):
            self.file.write(data)
        self.shapes.append(data.shape)
        self.starts.append(self.starts[-1] + data.size)

    def seal(self):
        """No more images; they can be read now."""
        with explained(self.folder):
            self.file.flush()
        if self.shapes:
            self.pixels = np.memmap(self.file, "float32", "r")

    @property
    def fingerprint(self):
        """SHA-256 over the images' pixels, 16 hexadecimal digits."""
        return self.digest.hexdigest()[:16]

    def __len__(self):
        return len(self.shapes)

    def __getitem__(self, number):
        if isinstance(number, slice):
            return [self[each] for each in range(len(self))[number]]
        number = range(len(self))[number]
        begin, end = self.starts[number : number + 2]
        return self.pixels[begin:end].reshape(self.shapes[number])
