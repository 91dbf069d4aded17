# %% [markdown]
# # How good is a segmentation?
#
# One threshold gives one segmentation, and another threshold another one. A method is therefore judged
# by all of them: how much is found, at the price of how many false alarms.
#
# - **The paper shows**: ROC curves of pixels in figure 6, overlap with each defect in figure 7.
# - **What to expect**: a threshold to move on one image, and the same numbers for it as a method gets.
# - **Minutes**: smoke 0.5, quick 0.3, paper 1000

# %% tags=["parameters"]
datasets: list = ["synthetic/weave"]  # The first one's image is shown.
methods: list = ["l2", "ssim"]  # To choose from.
number: int = 0  # Of the test image; 0 was not chosen by looking.
fpr: float = 0.05  # False positive rate that the first threshold is for.
patches_seen: int = 0  # Budget of training; 0 takes the largest that was recorded for all methods.
patch_size: int = 128  # Side of a patch in pixels.
latent_dim: int = 0  # d; 0 takes the paper's for the data set.

# %% [markdown]
# ## The ROC curve
#
# The true positive rate is the share of defective pixels that are found, the false positive rate the
# share of all other pixels that are flagged. A threshold gives a point of the curve. The area under
# it, AUROC, is 0.5 for guessing and 1 for a perfect map.
#
# Move the threshold, or point at the curve.

# %% tags=["hide-input"]
import numpy as np

from sadefect import aupro, auroc, per_region_overlap
from sadefect.figures.explorers.threshold import segmentations
from sadefect.figures.origins import origin
from sadefect.figures.style import method_label
from sadefect.figures.tables import table
from sadefect.paper import inspection
from sadefect.paper.comparisons import pictured

results = pictured(
    datasets[:1], methods, patches_seen, patch_size=patch_size, latent_dim=latent_dim or None
)[datasets[0]]
seen = [inspection.inspect(result, number, fpr) for result in results]
segmentations(
    "threshold",
    seen,
    fpr,
    alt="Woven cloth with a defect outlined in blue. Found pixels are yellow within it and pink "
    "elsewhere; the lower the threshold, the more of both.",
    caption="An image of synthetic cloth. Yellow: found. Pink: false alarm. Blue: outline of the true "
    f"defect. The first threshold comes from defect-free images, for {100 * fpr:g} % of false alarms.",
)

# %% [markdown]
# On a data set the pixels of all test images are pooled: one curve, one area. It is computed from
# counts in fixed bins, not from a sorted list of all pixels, so that memory does not grow.
#
# ## Overlap with each defect
#
# In a pool of pixels, large defects drown small ones. The paper therefore also asks for each true
# region which share of it is covered, at a given false positive rate, and gives quantiles over the
# regions. AUPRO is the area under the mean overlap up to a false positive rate of 0.3, over 0.3
# {cite:p}`bergmann2020`.

# %% tags=["hide-input"]
rows = []
for one in seen:
    overlap = per_region_overlap([one.mask], [one.residual], [fpr])
    for area, share in zip(overlap.areas, overlap.overlaps[0], strict=True):
        rows.append(
            (method_label(one.result), int(area), float(share), float(np.mean(overlap.overlaps[0])))
        )
table(("method", "region, pixels", f"covered at {100 * fpr:g} %", "mean over regions"), rows)

# %% [markdown]
# ## One image, and all of them

# %% tags=["hide-input"]
table(
    ("method", "AUROC, this image", "AUROC, all", "AUPRO, this image", "AUPRO, all"),
    [
        (
            method_label(one.result),
            auroc([one.mask], [one.residual]),
            one.result.metrics["auroc"],
            aupro([one.mask], [one.residual]),
            one.result.metrics["aupro"],
        )
        for one in seen
    ],
)

# %% [markdown]
# ## Where it differs from the paper
#
# The paper gives areas under the ROC curve and quantiles of the overlap. AUPRO came later, from the
# same authors, and is given here because it is what the field compares today.

# %% tags=["hide-input"]
origin(results)
