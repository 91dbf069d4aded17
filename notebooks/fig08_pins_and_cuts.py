# %% [markdown]
# # Figure 8: metal pins and a cut
#
# Two kinds of defect on one fabric. A metal pin differs from the threads in its gray values, and a
# comparison of pixels has something to go by. A cut has the gray values of the cloth around it and
# lacks its texture only.
#
# - **The paper shows**: that ℓ² finds such defects in part, if they stand out, and SSIM both kinds.
# - **What to expect**: the same two kinds on synthetic cloth, which stands in for a fabric that could
#   not be obtained, with the share of each defect that is found.
# - **Minutes**: smoke 1, quick 0.3, paper 1000

# %% tags=["parameters"]
dataset: str = "synthetic/weave"  # With the kinds below among its test images.
kinds: list = ["pin", "cut"]  # One row each; the first test image of the kind.
methods: list = ["l2", "ssim"]  # Side by side.
side: int = 140  # Side in pixels of the square shown, about the largest defect; 0 shows all.
fpr: float = 0.01  # False positive rate that the threshold is for.
patches_seen: int = 0  # Budget of training; 0 takes the largest that was recorded for all methods.
patch_size: int = 128  # Side of a patch in pixels.
latent_dim: int = 0  # d; 0 takes the paper's for each data set.

# %% tags=["hide-input"]
from sadefect import load_dataset
from sadefect.figures.origins import origin
from sadefect.figures.panels import Panel, residual_panel, segmentation_panel, show_panels
from sadefect.figures.style import method_label
from sadefect.figures.tables import found_and_flagged, table
from sadefect.paper import inspection
from sadefect.paper.comparisons import headline

results = headline(
    [dataset], methods, patches_seen, patch_size=patch_size, latent_dim=latent_dim or None
)[dataset]
every_kind = [sample.kind for sample in load_dataset(dataset).test]
seen = {
    kind: [inspection.inspect(result, every_kind.index(kind), fpr) for result in results]
    for kind in kinds
}

# %% [markdown]
# ## Side by side
#
# A square around the largest defect of each image. Thresholds come from defect-free images that were
# not trained on.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-pins-and-cuts", "caption": "One image of each kind, a pin above and a cut below: the input, and for each method the residual map and what its threshold finds. True defects are outlined in blue; found pixels are yellow where there is one and pink where there is none. Each map has its own scale."}, "image": {"alt": "Two rows for each kind of defect. The first has the input and the residual maps of ℓ² and SSIM, the second the input with the outline of the defect and both segmentations."}}
rows = []
for kind, pair in seen.items():
    here = pair[0].window(side)
    maps = [residual_panel(one, side) for one in pair]
    found = [segmentation_panel(one, side) for one in pair]
    image, mask = pair[0].image[here], pair[0].mask[here]
    rows += [[Panel(image, kind), *maps], [Panel(image, f"{kind}, outlined", outline=mask), *found]]
show_panels(rows)

# %% [markdown]
# ## What came out

# %% tags=["hide-input"]
table(
    ("kind", "image", "method", "defective pixels found", "other pixels flagged"),
    [
        (
            kind,
            each.name,
            method_label(result),
            *found_and_flagged(each.found, each.mask),
        )
        for kind, pair in seen.items()
        for result, each in zip(results, pair, strict=True)
    ],
)

# %% [markdown]
# These are single images. [Figure 6](fig06_roc.ipynb) has rates over all images of its data sets.
#
# ## Where it differs, and why
#
# The paper's images are of real cloth, and its pins are real pins. Ours are computed, with the same two
# kinds of difference: in gray values, and in texture alone. Thresholds come from defect-free images;
# the paper does not say where its own are from.

# %% tags=["hide-input"]
origin(results)
