# %% [markdown]
# # Figure 8: metal pins and a cut
#
# Two kinds of defect on one fabric. A metal pin differs from the threads in gray value, so comparing pixels
# can find it. A cut keeps the gray values of the cloth around it and lacks only its texture.
#
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

# %%
from IPython.display import Markdown

from sadefect import load_dataset
from sadefect.figures.origins import origin
from sadefect.figures.panels import Panel, inspection_panels, show_panels
from sadefect.figures.sentences import found_by
from sadefect.figures.tables import inspection_table
from sadefect.paper.comparisons import headline
from sadefect.paper.inspection import inspect

settings = {"patch_size": patch_size, "latent_dim": latent_dim or None}
results = headline([dataset], methods, patches_seen, **settings)[dataset]
every_kind = [sample.kind for sample in load_dataset(dataset).test]
inspections = {
    kind: [inspect(result, every_kind.index(kind), fpr) for result in results] for kind in kinds
}
Markdown(
    " ".join(f"In the image of a {kind}, {found_by(group)}." for kind, group in inspections.items())
    + f" Thresholds allow {100 * fpr:g} % false positives on defect-free images."
)

# %%
# | figure: fig-pins-and-cuts
# | caption: >
# |   One image of each kind, a pin above and a cut below: the input, and for each method the residual map
# |   and what its threshold finds, in a square around the largest defect. True defects are outlined in
# |   blue; yellow pixels are found, pink ones are false alarms. Each map has its own scale.
# | alt: >
# |   Two rows for each kind of defect. The first has the input and the residual maps of ℓ² and SSIM, the
# |   second the input with the outline of the defect and both segmentations.
rows = []
for kind, group in inspections.items():
    panels = [inspection_panels(inspection, side) for inspection in group]
    outlined = panels[0]["input"]
    rows.append([Panel(outlined.image, kind), *(shown["residual map"] for shown in panels)])
    rows.append([outlined, *(shown["segmentation"] for shown in panels)])
show_panels(rows)

# %% [markdown]
# ## Beside the paper
#
# - **The paper shows**: that ℓ² finds such defects in part, if they stand out, and SSIM finds both kinds.
#
# Ours are single images; [figure 6](fig06_roc.ipynb) has rates over all images of its data sets.

# %%
inspection_table(inspection for group in inspections.values() for inspection in group)

# %% [markdown]
# ## Where it differs, and why
#
# The paper's images are of real cloth with real pins. Ours are computed, as its fabric could not be
# obtained, with the same two kinds of difference: in gray values, and in texture alone. Our thresholds come
# from defect-free images that were not trained on; the paper does not say where its own are from.

# %% tags=["hide-input"]
origin(results)
