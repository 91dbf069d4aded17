# %% [markdown]
# # Figure 7: how much of each defect is covered
#
# A large defect has more pixels than a hundred specks, so the ROC of figure 6 may look good while small
# defects are missed. Here every defect counts the same: how much of it is segmented at a given false
# positive rate?
#
# - **Minutes**: smoke 1, quick 0.2, paper 2000

# %% tags=["parameters"]
datasets: list = ["nanotwice", "synthetic/fibres"]  # One panel each; names of load_dataset.
methods: list = ["l2", "ssim"]  # One band each; the paper shows SSIM.
patches_seen: int = 0  # Budget of training; 0 takes the largest that was recorded for all methods.
patch_size: int = 128  # Side of a patch in pixels.
latent_dim: int = 0  # d; 0 takes the paper's for each data set.

# %%
from IPython.display import Markdown

from sadefect.figures import charts
from sadefect.figures.origins import origin
from sadefect.figures.sentences import best_first
from sadefect.figures.style import method_label
from sadefect.figures.tables import OVERLAPS, overlap, percent, result_table
from sadefect.paper import numbers
from sadefect.paper.comparisons import headline

settings = {"patch_size": patch_size, "latent_dim": latent_dim or None}
results = headline(datasets, methods, patches_seen, **settings)
medians = {method_label(result): overlap(result)["median"] for result in results[datasets[0]]}
sentence = "{} covers {} of the median defect"
Markdown(
    f"At a false positive rate of {100 * numbers.OVERLAP_FPR.value:g} % on `{datasets[0]}`, "
    f"{best_first(sentence, medians, percent)}. The paper's SSIM covers more than "
    f"{100 * numbers.OVERLAP_MEDIAN.value:g} % of it ({numbers.OVERLAP_MEDIAN.where}; "
    f"{numbers.OVERLAP_MEDIAN.source})."
)

# %%
# | figure: fig-overlap
# | caption: >
# |   Overlap of each defect with the segmentation: median over defects (line) and the range between the
# |   quartiles (band), by false positive rate.
# | alt: >
# |   One panel for each data set: median overlap of defects, with a band between the quartiles, against the
# |   false positive rate, for ℓ² and SSIM; a cross marks what the paper says of its median.
charts.region_overlaps(results)

# %% [markdown]
# ## Beside the paper
#
# - **The paper shows**: quantiles over the defects of NanoTWICE at several false positive rates, for the
#   SSIM autoencoder.
#
# A defect is a connected region of the mask. Its overlap is the share of its pixels that are flagged, at
# the threshold that flags a given share of all defect-free pixels of the data set.

# %%
result_table((result for group in results.values() for result in group), OVERLAPS)

# %% [markdown]
# ## Where it differs, and why
#
# Masks define what a defect is. Ours are 8-connected regions, however small; the paper
# does not say how it counts, nor whether it leaves out specks. Networks that saw few patches, see
# [figure 6](fig06_roc.ipynb), reconstruct blurred images, which costs small defects first.

# %% tags=["hide-input"]
origin(results)
