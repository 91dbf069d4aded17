# %% [markdown]
# # Figure 7: how much of each defect is covered
#
# A large defect has more pixels than a hundred specks, so the ROC of figure 6 may look well while
# small defects are missed. Here every defect counts the same: how much of it lies inside the
# segmentation, at a given false positive rate.
#
# - **The paper shows**: quantiles over the defects of NanoTWICE at several false positive rates,
#   for the SSIM autoencoder.
# - **What to expect**: the same quantiles from our run, and where its median stands at one rate of false alarms.
# - **Minutes**: smoke 1, quick 0.2, paper 2000

# %% tags=["parameters"]
datasets: list = ["nanotwice", "synthetic/fibres"]  # One panel each; names of load_dataset.
methods: list = ["l2", "ssim"]  # One band each; the paper shows SSIM.
patches_seen: int = 0  # Budget of training; 0 takes the largest that was recorded for all methods.
patch_size: int = 128  # Side of a patch in pixels.
latent_dim: int = 0  # d; 0 takes the paper's for each data set.

# %% tags=["hide-input"]
import numpy as np
from IPython.display import Markdown

from sadefect.figures import charts
from sadefect.figures.origins import origin
from sadefect.figures.style import method_label
from sadefect.figures.tables import table
from sadefect.paper import numbers
from sadefect.paper.comparisons import headline

results = headline(
    datasets, methods, patches_seen, patch_size=patch_size, latent_dim=latent_dim or None
)

# %% [markdown]
# ## Quantiles over defects
#
# A defect is a connected region of the mask. Its overlap is the share of its pixels that are
# flagged, at the threshold that flags a given share of all defect-free pixels of the data set.

# %% mystnb={"figure": {"name": "fig-overlap", "caption": "Overlap of each defect with the segmentation: median over defects (line) and the range from the 25 % to the 75 % quantile (band), by false positive rate."}, "image": {"alt": "One panel for each data set: median overlap of defects, with a band between the quartiles, against the false positive rate, for ℓ² and SSIM; a cross marks what the paper says of its median at 5 percent."}} tags=["hide-input"]
charts.region_overlaps(results)
# %% [markdown]
# ## At one false positive rate

# %% tags=["hide-input"]
key = f"{numbers.OVERLAP_FPR.value:g}"


def share_covered(result):
    """Share of defects that are covered by more than the paper's number."""
    rate = np.flatnonzero(np.isclose(result.curves["overlap_fprs"], numbers.OVERLAP_FPR.value))[0]
    return float(np.mean(result.curves["region_overlaps"][rate] > numbers.OVERLAP_MEDIAN.value))


table(
    (
        "data set",
        "method",
        "defects",
        "25 %",
        "median, paper",
        "median, ours",
        "75 %",
        f"share covered above {100 * numbers.OVERLAP_MEDIAN.value:g} %",
    ),
    [
        (
            dataset,
            method_label(result),
            result.metrics["regions"],
            result.metrics["overlap"][key]["q25"],
            f"> {numbers.OVERLAP_MEDIAN.value:g}"
            if (dataset, result.experiment.method) == ("nanotwice", "ssim")
            else "-",
            result.metrics["overlap"][key]["median"],
            result.metrics["overlap"][key]["q75"],
            share_covered(result),
        )
        for dataset, pair in results.items()
        for result in pair
    ],
)

# %% tags=["hide-input"]
Markdown(
    f"All at a false positive rate of {100 * numbers.OVERLAP_FPR.value:g} %. The paper's statement is "
    "that more than half of the defects are covered by more than "
    f"{100 * numbers.OVERLAP_MEDIAN.value:g} % then ({numbers.OVERLAP_MEDIAN.where}; "
    f"{numbers.OVERLAP_MEDIAN.source})."
)

# %% [markdown]
# ## Where it differs, and why
#
# Masks define what a defect is. Ours are connected regions, corners included, however small; the paper
# does not say how it counts, nor whether it leaves out specks. Networks that saw few patches, see
# [figure 6](fig06_roc.ipynb), draw blurred, from which small defects suffer first.

# %% tags=["hide-input"]
origin(results)
