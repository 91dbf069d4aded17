# %% [markdown]
# # How good is a segmentation?
#
# One threshold gives one segmentation, another threshold another. A method is therefore judged by all of
# them: how much is found, at the price of how many false alarms?
#
# - **Minutes**: smoke 0.5, quick 0.3, paper 1000

# %% tags=["parameters"]
datasets: list = ["synthetic/weave"]  # The first one's image is shown.
methods: list = ["l2", "ssim"]  # To choose from.
number: int = 0  # Of the test image; 0 was not chosen by looking.
fpr: float = 0.05  # False positive rate that the first threshold is for.
patches_seen: int = 0  # Budget of training; 0 takes the largest that was recorded for all methods.
patch_size: int = 128  # Side of a patch in pixels.
latent_dim: int = 0  # d; 0 takes the paper's for the data set.

# %%
from IPython.display import Markdown

from sadefect import aupro, auroc, per_region_overlap
from sadefect.figures.explorers.threshold import segmentations
from sadefect.figures.origins import origin
from sadefect.figures.sentences import best_first
from sadefect.figures.style import method_label
from sadefect.figures.tables import table
from sadefect.paper.headline import pictured
from sadefect.paper.inspection import inspect

settings = {"patch_size": patch_size, "latent_dim": latent_dim or None}
results = pictured(datasets[:1], methods, patches_seen, **settings)[datasets[0]]
inspections = [inspect(result, number, fpr) for result in results]
areas = {
    method_label(inspection.result): auroc([inspection.mask], [inspection.residual])
    for inspection in inspections
}
Markdown(
    best_first("In this image {} reaches an AUROC of {}", areas)
    + ". Move the threshold, or point at the curve."
)

# %%
segmentations(
    "threshold",
    inspections,
    fpr,
    alt="Woven cloth with a defect outlined in blue. Found pixels are yellow within it and pink "
    "elsewhere; the lower the threshold, the more of both.",
    caption="An image of synthetic cloth. Yellow: found. Pink: false alarm. Blue: outline of the true "
    f"defect. The first threshold comes from defect-free images, for {100 * fpr:g} % of false alarms.",
)

# %% [markdown]
# ## The ROC curve
#
# The true positive rate is the share of defective pixels that are found, the false positive rate the
# share of all other pixels that are flagged. A threshold gives a point of the curve. The area under
# it, AUROC, is 0.5 for guessing and 1 for a perfect map.
#
# On a data set the pixels of all test images are pooled: one curve, one area. It is computed from
# counts in fixed bins, not from a sorted list of all pixels, so that memory does not grow.

# %%
table(
    ("method", "AUROC, this image", "AUROC, all", "AUPRO, this image", "AUPRO, all"),
    [
        (
            method_label(inspection.result),
            auroc([inspection.mask], [inspection.residual]),
            inspection.result.metrics["auroc"],
            aupro([inspection.mask], [inspection.residual]),
            inspection.result.metrics["aupro"],
        )
        for inspection in inspections
    ],
)

# %% [markdown]
# ## Overlap with each defect
#
# In a pool of pixels, large defects outweigh small ones. The paper therefore also asks for each true
# region which share of it is covered, at a given false positive rate, and gives quantiles over the
# regions. AUPRO is the area under the mean overlap up to a false positive rate of 0.3, divided by 0.3
# {cite:p}`bergmann2020`.

# %%
rows = []
for inspection in inspections:
    overlap = per_region_overlap([inspection.mask], [inspection.residual], [fpr])
    [shares] = overlap.overlaps
    for area, share in zip(overlap.areas, shares, strict=True):
        rows.append(
            (method_label(inspection.result), int(area), float(share), float(shares.mean()))
        )
table(("method", "region, pixels", f"covered at {100 * fpr:g} %", "mean over regions"), rows)

# %% [markdown]
# ## Beside the paper
#
# - **The paper shows**: ROC curves of pixels in figure 6, overlap with each defect in figure 7.
#
# It gives areas under the ROC curve and quantiles of the overlap. AUPRO came later, from the same authors;
# it is what the field compares today.

# %% tags=["hide-input"]
origin(results)
