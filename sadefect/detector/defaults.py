"""Defaults of a detector, which the shell's help shows; imports nothing, so that it is quick."""

FPR = 0.01  # Share of good pixels that may be flagged.
IMAGE_FPR = 0.05  # Share of good images that may be judged defective.
PATCHES = 100_000  # Of a training that is worth looking at.
IMAGE_SCORES = ("height", "mass", "area")  # Of a region; of equals the first is chosen.
UNITS = {"height": "thousandths of the threshold of pixels", "mass": "pixels", "area": "pixels"}
TRIAL = 10  # Where settings are tried out, a trial takes this part of the budget,
LEAST_TRIAL = 2_000  # or none does: shorter trials tell nothing.
