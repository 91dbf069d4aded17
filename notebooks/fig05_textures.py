# %% [markdown]
# # Figure 5: both textures compared
#
# What a user of the method would see: an image, and the pixels that a threshold calls defective. The
# threshold is set on defect-free images, to allow a given rate of false alarms.
#
# - **Minutes**: smoke 1, quick 0.5, paper 3000

# %% tags=["parameters"]
datasets: list = ["synthetic/weave", "synthetic/twill"]  # One figure each.
real: str = "mvtec_ad/grid"  # A photographed texture, shown where it is under SADEFECT_DATA.
methods: list = ["l2", "ssim"]  # One row each.
fpr: float = 0.01  # False positive rate that the thresholds are for.
patches_seen: int = 0  # Budget of training; 0 takes the largest that was recorded for all methods.
patch_size: int = 128  # Side of a patch in pixels.
latent_dim: int = 0  # d; 0 takes the paper's for each data set.

# %%
from contextlib import suppress

from IPython.display import Markdown

from sadefect import DatasetNotFound, load_dataset
from sadefect.figures.explorers import slider
from sadefect.figures.origins import origin
from sadefect.figures.panels import show_segmentations
from sadefect.figures.sentences import found_by
from sadefect.figures.tables import inspection_table
from sadefect.paper.comparisons import headline
from sadefect.paper.headline import pictured
from sadefect.paper.inspection import inspect

settings = {"patch_size": patch_size, "latent_dim": latent_dim or None}
results = headline(datasets, methods, patches_seen, **settings)
with suppress(DatasetNotFound):
    load_dataset(real)
    results |= pictured([real], methods)

inspections = {}  # One image of each kind of defect, the first of its kind, by each method.
for dataset, group in results.items():
    kinds = [sample.kind for sample in load_dataset(dataset).test]
    first = [kinds.index(kind) for kind in sorted(set(kinds) - {"good"})]
    inspections[dataset] = [[inspect(result, number, fpr) for number in first] for result in group]
Markdown(
    " ".join(
        f"In the images of `{dataset}`, {found_by(sum(groups, []))}."
        for dataset, groups in inspections.items()
    )
)

# %%
# | figure: fig-texture-1
# | caption: >
# |   Inputs with true defects outlined in blue, and below them what each method finds: yellow where there
# |   is a defect, pink where there is none.
# | alt: >
# |   Three images of the first texture with different defects outlined; below each the segmentation of ℓ²
# |   and of SSIM with true and false positive pixels in two colours.
show_segmentations(inspections[datasets[0]], datasets[0])

# %%
# | figure: fig-texture-2
# | caption: The second texture, in the same way.
# | alt: >
# |   Three images of the second texture with different defects outlined; below each the segmentation of
# |   ℓ² and of SSIM with true and false positive pixels in two colours.
show_segmentations(inspections[datasets[-1]], datasets[-1])

# %% [markdown]
# ## Beside the paper
#
# - **The paper shows**: images of both woven fabrics with the segmentations of the ℓ² and the SSIM
#   autoencoder, true defects outlined.
#
# Ours show synthetic weave and twill, as the fabrics could not be obtained: the first image of each kind of
# defect.

# %%
inspection_table(
    inspection for groups in inspections.values() for group in groups for inspection in group
)

# %% [markdown]
# ## A photographed texture
#
# The wire grid of MVTec AD is the closest regular texture with photographs and masks.

# %%
if real in results:
    shown = slider.still(
        show_segmentations(inspections[real], real),
        alt="Images of a wire grid with different defects outlined; below each the segmentation of l2 and "
        "of SSIM with true and false positive pixels in two colours.",
        caption="The same on photographs: true defects outlined in blue, below them what each method finds.",
    )
else:
    shown = Markdown(
        "This figure appears in a build that has its images under `SADEFECT_DATA`: the page on "
        f"[data](data) says how to get `{real}`. Its numbers are on the page of [figure 6](fig06_roc)."
    )
shown

# %% [markdown]
# ## Where it differs, and why
#
# - Synthetic cloth is more regular than the paper's fabrics, which makes it easier for SSIM.
# - The table says how many patches our networks saw.
# - The paper picked its images; ours are the first of each kind.
# - The paper does not name its thresholds. Ours allow the false positive rate `fpr`, a parameter of this page,
#   on defect-free images.

# %% tags=["hide-input"]
origin(results)
