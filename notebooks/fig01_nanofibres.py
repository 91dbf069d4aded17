# %% [markdown]
# # Figure 1: one image, two losses
#
# The paper in one picture. Two networks of the same kind were trained on the same defect-free
# nanofibres, one to keep the squared difference of pixels small, one to keep SSIM high. Both now
# draw an image with a defect, and both drawings are compared with the image in their own way.
#
# - **The paper shows**: input, reconstruction, residual map and segmentation; nothing to be seen in
#   the l2 row, the defect in the SSIM row.
# - **What to expect**: the same rows from our networks, at one budget, thresholds from defect-free
#   images. Real fibres are shown where `SADEFECT_DATA` has them, synthetic ones elsewhere.
# - **Minutes**: smoke 1, quick 0.5, paper 600

# %% tags=["parameters"]
datasets: list = ["nanotwice", "synthetic/fibres"]  # The first that is here is shown.
methods: list = ["l2", "ssim"]  # One row each.
number: int = 0  # Which of the test images; 0 was not chosen by looking.
fpr: float = 0.05  # False positive rate that the threshold is for.
side: int = 400  # Side in pixels of the square shown, about the largest defect; 0 shows all.
patches_seen: int = 0  # Budget of training; 0 takes the largest that was recorded for all methods.
patch_size: int = 128  # Side of a patch in pixels.
latent_dim: int = 0  # d; 0 takes the paper's for each data set.

# %% tags=["hide-input"]
from sadefect import charts, inspection, plots
from sadefect.runs import headline

dataset = inspection.available(datasets)
results = headline(
    [dataset], methods, patches_seen, patch_size=patch_size, latent_dim=latent_dim or None
)[dataset]
seen = [inspection.inspect(result, number, fpr) for result in results]

# %% [markdown]
# ## Around the largest defect

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-nanofibres", "caption": "A defect among fibres: input, reconstruction, residual map and segmentation, for l2 (top) and SSIM (bottom). The true defect is outlined in blue; found pixels are yellow where there is one and pink where there is none. Each map has its own scale."}, "image": {"alt": "Two rows of four panels, l2 above SSIM: the input with the outline of a defect, its reconstruction, the residual map and the segmentation with true and false positive pixels in two colours."}}
plots.show_panels(
    [
        inspection.row(each, charts.method_name(result), side)
        for each, result in zip(seen, results, strict=True)
    ]
)

# %% [markdown]
# ## The whole image

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-nanofibres-whole", "caption": "Segmentations of the whole image, at thresholds for the same false positive rate on defect-free images. Colours as above."}, "image": {"alt": "The whole image with the segmentation of each method: found pixels inside and outside the outlined defects in two colours."}}
plots.show_panels(
    [
        [
            inspection.found_panel(each, charts.method_name(result), each.window(0))
            for each, result in zip(seen, results, strict=True)
        ]
    ]
)

# %% [markdown]
# ## What came out
#
# Of this one image: the share of defective pixels that are found, and the share of the others that
# are flagged, beside the rate that the threshold was set for on defect-free images.

# %% tags=["hide-input"]
charts.table(
    (
        "method",
        "image",
        "defective pixels found",
        "other pixels flagged",
        "asked for",
        "AUROC, all images",
        "patches seen",
    ),
    [
        (
            charts.method_name(result),
            each.name,
            float(each.found[each.mask].mean()),
            float(each.found[~each.mask].mean()),
            fpr,
            result.metrics["auroc"],
            result.experiment.patches_seen,
        )
        for each, result in zip(seen, results, strict=True)
    ],
)

# %% tags=["hide-input"]
plots.provenance(*results)
