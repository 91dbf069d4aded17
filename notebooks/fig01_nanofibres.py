# %% [markdown]
# # Figure 1: one image, two losses
#
# Two networks of one architecture were trained on the same defect-free nanofibres: one to minimise the
# squared difference of pixels (ℓ²), the other to maximise SSIM. Which of them finds the defect?
#
# - **Minutes**: smoke 1, quick 0.5, paper 2000

# %% tags=["parameters"]
datasets: list = ["nanotwice", "synthetic/fibres"]  # The real set and its stand-in.
methods: list = ["l2", "ssim"]  # One row each.
number: int = 0  # Which of the test images; 0 was not chosen by looking.
fpr: float = 0.05  # False positive rate that the threshold is for.
side: int = 400  # Side in pixels of the square shown, about the largest defect; 0 shows all.
patches_seen: int = 0  # Budget of training; 0 takes the largest that was recorded for all methods.
patch_size: int = 128  # Side of a patch in pixels.
latent_dim: int = 0  # d; 0 takes the paper's for each data set.

# %%
from IPython.display import Markdown
from myst_nb import glue

from sadefect.figures.explorers import slider
from sadefect.figures.origins import origin
from sadefect.figures.panels import inspection_panels, show_panels
from sadefect.figures.sentences import found_by
from sadefect.figures.style import method_label
from sadefect.figures.tables import inspection_table
from sadefect.paper.headline import pictured
from sadefect.paper.inspection import inspect

settings = {"patch_size": patch_size, "latent_dim": latent_dim or None}
results = pictured(datasets, methods, patches_seen, **settings)
inspections = {
    dataset: [inspect(result, number, fpr) for result in group]
    for dataset, group in results.items()
}
real, synthetic = inspections[datasets[0]], inspections[datasets[-1]]
budget = real[0].result.experiment.patches_seen
Markdown(
    f"In test image {real[0].name} of `{datasets[0]}`, {found_by(real)}, by networks that saw "
    f"{budget:,} patches. Thresholds allow {100 * fpr:g} % false positives on defect-free images."
)

# %%
# | figure: fig-nanofibres
# | caption: >
# |   A defect among nanofibres, for ℓ² (top) and SSIM (bottom): input and reconstruction where they may
# |   be shown, residual map, segmentation. The true defect is outlined in blue; yellow pixels are found,
# |   pink ones are false alarms. Each map has its own scale.
# | alt: >
# |   Two rows, ℓ² above SSIM: the residual map with the outline of the defect, and the segmentation with
# |   true and false positive pixels in two colours; the table below counts them.
show_panels([list(inspection_panels(inspection, side).values()) for inspection in real])

# %% [markdown]
# ## Beside the paper
#
# - **The paper shows**: input, reconstruction, residual map and segmentation. The defect cannot be seen
#   in the ℓ² row, and stands out in the SSIM row.
#
# Ours, over the whole image: the share of defective pixels found, and the share of other pixels flagged.

# %%
inspection_table(inspection for group in inspections.values() for inspection in group)

# %% tags=["remove-cell"]
# The picture of the preface: maps and segmentations, which may be shown of any image.
public = ("residual map", "segmentation")
maps = [inspection_panels(inspection, side)[name] for inspection in real for name in public]
glue(
    "picture",
    slider.still(
        show_panels([maps]),
        alt="Residual map and segmentation of one image, by ℓ² and by SSIM. The true defect is outlined "
        f"in blue; found pixels are yellow within it and pink elsewhere. {found_by(real)}.",
        caption=f"A defect among nanofibres, in test image {real[0].name}: {found_by(real)}, at thresholds "
        f"set on defect-free images, by networks that saw {budget:,} patches. Yellow: found. Pink: false "
        "alarm. Blue: outline of the true defect.",
    ),
    display=False,
)

# %% [markdown]
# ## The whole image
#
# The square above is cut out around the largest defect. This is all of the image, at the same thresholds.

# %%
# | figure: fig-nanofibres-whole
# | caption: Segmentations of the whole image, in the same colours.
# | alt: >
# |   The whole image with the segmentation of each method: found pixels inside and outside the outlined
# |   defects in two colours.
show_panels([[inspection_panels(inspection)["segmentation"] for inspection in real]])

# %% [markdown]
# ## Synthetic fibres
#
# Real images may not be published: only a build with `SADEFECT_DATA` shows them, and other builds show
# recorded maps and masks. Synthetic fibres can be shown to everybody.

# %%
# | figure: fig-synthetic-fibres
# | caption: >
# |   A defect among synthetic fibres: input, reconstruction, residual map and segmentation, for ℓ² (top)
# |   and SSIM (bottom), in the same colours.
# | alt: >
# |   Two rows of four panels, ℓ² above SSIM: the input with the outline of a defect, its reconstruction,
# |   the residual map and the segmentation with true and false positive pixels in two colours.
show_panels([list(inspection_panels(inspection, side).values()) for inspection in synthetic])

# %% [markdown]
# ## Input and reconstruction
#
# Whatever the network fails to reconstruct shows up in the residual. Drag the seam across the defect.

# %%
last = synthetic[-1]
window, method = last.window(side), method_label(last.result)
slider.comparison(
    "drawn",
    last.image[window],
    last.reconstruction[window],
    names=("input", "reconstruction"),
    alt=f"Synthetic fibres with {last.kind} to the left of a seam, and to its right the "
    f"reconstruction by the {method} network, smoother and without the defect.",
    caption=f"The image above and its reconstruction by the {method} network, in one place.",
)

# %% [markdown]
# ## Where it differs, and why
#
# - A network that saw fewer patches than the paper's reconstructs less sharply; the table has the number.
# - The paper does not name its image. Ours is the first of the test set, whatever it looks like.
# - The paper does not name its threshold. Ours come from defect-free images alone; test images
#   may have more false alarms than these allow, or fewer.

# %% tags=["hide-input"]
origin(results)
