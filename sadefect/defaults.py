"""What is taken where nothing else is asked for; imports nothing, so that `--help` is quick."""

FPR = 0.01  # Share of good pixels that may be flagged.
IMAGE_FPR = 0.05  # Share of good images that may be judged defective.
PATCHES = 100_000  # Of a training that is worth looking at.
HELD_OUT = 10  # One of so many good images is held out for thresholds.


def held_out(images):
    """How many good images, the last ones, are held out for thresholds; at least one.

    Examples
    --------
    >>> held_out(5), held_out(19), held_out(20)
    (1, 1, 2)
    """
    return max(1, images // HELD_OUT)
