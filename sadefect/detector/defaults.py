"""Defaults of a detector, which the shell's help shows; imports nothing, so that it is quick."""

FPR = 0.01  # Share of good pixels that may be flagged.
IMAGE_FPR = 0.05  # Share of good images that may be judged defective.
PATCHES = 100_000  # Of a training that is worth looking at.
