# %% [markdown]
# # Figure 5: both textures, looked at
#
# What a user of the method would get to see: an image, and the pixels that a threshold calls
# defective. The threshold is set on defect-free images, for a rate of false alarms.
#
# - **The paper shows**: images of both woven fabrics with the segmentations of the ℓ² and the SSIM
#   autoencoder, true defects outlined.
# - **What to expect**: the same on synthetic weave and twill, which stand in for fabrics that could
#   not be obtained; one image of each kind of defect, the first of its kind.
# - **Minutes**: smoke 1, quick 0.5, paper 3000

# %% tags=["parameters"]
datasets: list = ["synthetic/weave", "synthetic/twill"]  # One figure each.
real: str = "mvtec_ad/grid"  # A photographed texture, drawn where it is under SADEFECT_DATA.
methods: list = ["l2", "ssim"]  # One row each.
fpr: float = 0.01  # False positive rate that the thresholds are for.
patches_seen: int = 0  # Budget of training; 0 takes the largest that was recorded for all methods.
patch_size: int = 128  # Side of a patch in pixels.
latent_dim: int = 0  # d; 0 takes the paper's for each data set.

# %% tags=["hide-input"]
from IPython.display import Markdown

from sadefect import DatasetNotFound, load_dataset
from sadefect.figures.explorers import slider
from sadefect.figures.origins import origin
from sadefect.figures.panels import show_segmentations
from sadefect.figures.style import method_label
from sadefect.figures.tables import found_and_flagged, table
from sadefect.paper import inspection
from sadefect.paper.comparisons import headline, pictured

results = headline(
    datasets, methods, patches_seen, patch_size=patch_size, latent_dim=latent_dim or None
)
try:
    load_dataset(real)
except DatasetNotFound:
    photographed = {}
else:
    photographed = pictured([real], methods)
results |= photographed

seen = {}  # One image of each kind of defect, the first of its kind, by each method.
for dataset, pair in results.items():
    kinds = [sample.kind for sample in load_dataset(dataset).test]
    numbers = [kinds.index(kind) for kind in sorted(set(kinds) - {"good"})]
    seen[dataset] = [
        [inspection.inspect(result, number, fpr) for number in numbers] for result in pair
    ]


# %% [markdown]
# ## First texture

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-texture-1", "caption": "Inputs with true defects outlined in blue, and below them what each method finds: yellow where there is a defect, pink where there is none."}, "image": {"alt": "Three images of the first texture with different defects outlined; below each the segmentation of ℓ² and of SSIM with true and false positive pixels in two colours."}}
show_segmentations(seen[datasets[0]], datasets[0])

# %% [markdown]
# ## Second texture

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-texture-2", "caption": "The second texture, in the same way."}, "image": {"alt": "Three images of the second texture with different defects outlined; below each the segmentation of ℓ² and of SSIM with true and false positive pixels in two colours."}}
show_segmentations(seen[datasets[-1]], datasets[-1])

# %% [markdown]
# ## A photographed texture
#
# Neither of the paper's fabrics can be had; the wire grid of MVTec AD is the nearest regular texture of
# which there are photographs with masks.

# %% tags=["hide-input"]
slider.still(
    show_segmentations(seen[real], real),
    alt="Images of a wire grid with different defects outlined; below each the segmentation of l2 and "
    "of SSIM with true and false positive pixels in two colours.",
    caption="The same on photographs: true defects outlined in blue, below them what each method finds.",
) if photographed else Markdown(
    f"Its images may not be published. With them under `SADEFECT_DATA`, the figure is here: see the page "
    f"on [data](data) for how to get `{real}`. Its numbers are on the page of [figure 6](fig06_roc)."
)

# %% [markdown]
# ## What came out
#
# Over the images shown: the share of defective pixels found and of other pixels flagged. Last, the
# area under the ROC curve over all images of the data set.

# %% tags=["hide-input"]
table(
    ("data set", "method", "kind", "defective pixels found", "other pixels flagged", "AUROC, all"),
    [
        (
            dataset,
            method_label(one.result),
            one.kind,
            *found_and_flagged(one.found, one.mask),
            one.result.metrics["auroc"],
        )
        for dataset, groups in seen.items()
        for group in groups
        for one in group
    ],
)

# %% [markdown]
# ## Where it differs, and why
#
# - Synthetic cloth stands in for the paper's, and is more regular: SSIM has an easier time with it.
#   The photographed grid is trained for fewer patches than the paper's fabrics were.
# - The paper picked its images; ours are the first of each kind.
# - The paper does not name its thresholds. Ours are for a rate of false alarms on defect-free images.

# %% tags=["hide-input"]
origin(results)
