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
from sadefect.figures import charts
from sadefect.figures import panels as plots
from sadefect.figures.explorers import slider as explorers
from sadefect.figures.panels import Panel
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


def first_of_each_kind(dataset):
    """Numbers of test images, one for each kind of defect."""
    kinds = [sample.kind for sample in load_dataset(dataset).test]
    return [kinds.index(kind) for kind in sorted(set(kinds) - {"good"})]


seen = {
    dataset: [
        [inspection.inspect(result, number, fpr) for number in first_of_each_kind(dataset)]
        for result in pair
    ]
    for dataset, pair in results.items()
}


def figure(dataset):
    """Inputs above, then a row of segmentations for each method."""
    group = seen[dataset][0]
    names = [one.kind.replace("_", " ") for one in group]
    if len(group) < 4:  # Or they run into each other.
        names = [f"{dataset}, {name}" for name in names]
    inputs = [
        Panel(one.image, name, outline=one.mask) for one, name in zip(group, names, strict=True)
    ]
    rows = [[plots.segmentation_panel(one) for one in group] for group in seen[dataset]]
    return plots.show_panels([inputs, *rows])


# %% [markdown]
# ## First texture

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-texture-1", "caption": "Inputs with true defects outlined in blue, and below them what each method finds: yellow where there is a defect, pink where there is none."}, "image": {"alt": "Three images of the first texture with different defects outlined; below each the segmentation of ℓ² and of SSIM with true and false positive pixels in two colours."}}
figure(datasets[0])

# %% [markdown]
# ## Second texture

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-texture-2", "caption": "The second texture, in the same way."}, "image": {"alt": "Three images of the second texture with different defects outlined; below each the segmentation of ℓ² and of SSIM with true and false positive pixels in two colours."}}
figure(datasets[-1])

# %% [markdown]
# ## A photographed texture
#
# Neither of the paper's fabrics can be had; the wire grid of MVTec AD is the nearest regular texture of
# which there are photographs with masks.

# %% tags=["hide-input"]
explorers.still(
    figure(real),
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
charts.table(
    ("data set", "method", "kind", "defective pixels found", "other pixels flagged", "AUROC, all"),
    [
        (
            dataset,
            charts.method_name(one.result),
            one.kind,
            charts.percent(one.found[one.mask].mean()),
            charts.percent(one.found[~one.mask].mean()),
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
plots.provenance(*(result for pair in results.values() for result in pair))
