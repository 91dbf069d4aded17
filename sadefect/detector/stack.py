"""Any number of gray images, one after the other in a file, in constant memory."""

import hashlib
import tempfile

import numpy as np

from sadefect.files import explained


def stacked(folder, images):
    """Write gray images ``(H, W)`` to a file, one in memory at a time; return float32 views of it.

    The file, 4 bytes for each pixel, has no name, so that nothing stays in the folder when the
    process ends, however it ends; and images that change on disk meanwhile do not change a
    training. A fingerprint comes second, SHA-256 over the pixels, 16 hexadecimal digits.
    """
    shapes, ends, digest = [], [0], hashlib.sha256()
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed below.
    with file:
        for image in images:
            data = np.ascontiguousarray(image, "float32")
            digest.update(repr(data.shape).encode())
            digest.update(data)
            with explained(folder):
                file.write(data)
            shapes.append(data.shape)
            ends.append(ends[-1] + data.size)
        with explained(folder):
            file.flush()
        # The views keep what is mapped when the file is closed.
        parts = np.split(np.memmap(file, "float32", "r"), ends[1:-1]) if shapes else []
    views = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
    return views, digest.hexdigest()[:16]
