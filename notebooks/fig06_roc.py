# %% [markdown]
# # Figure 6: ROC curves
#
# As the threshold on the residual map passes through all values, how many defective pixels are found, and at
# the price of how many false alarms? Network and budget are the same; only the comparison differs.
#
# - **Minutes**: smoke 1, quick 0.2, paper 6000

# %% tags=["parameters"]
datasets: list = [
    "nanotwice",
    "mvtec_ad/grid",
    "synthetic/fibres",
]  # One panel each; names of load_dataset.
methods: list = ["l2", "ssim"]  # One curve each, at the largest budget that these have.
others: list = ["vae"]  # Joined to them, at the largest budget that all have.
augmented: list = [
    "l2",
    "vae",
    "feature_matching",
    "ssim",
]  # With augmented patches, where recorded.
seeds: list = [0, 1, 2]  # Of the learning curves; the other curves are of seed 0.
patches_seen: int = 0  # Budget of training; 0 takes the largest that was recorded for all methods.
patch_size: int = 128  # Side of a patch in pixels.
latent_dim: int = 0  # d; 0 takes the paper's for each data set.

# %%
from dataclasses import replace

from sadefect.baselines import FILTERS
from sadefect.figures import charts
from sadefect.figures.explorers.threshold import segmentations
from sadefect.figures.gap import below_chance, residual_table
from sadefect.figures.origins import origin
from sadefect.figures.sentences import areas_beside_the_papers, last_doublings
from sadefect.figures.tables import augmentation_table, result_table, spread_table
from sadefect.paper.compared import chosen_comparisons
from sadefect.paper.comparisons import headline, learning_curve, over_seeds
from sadefect.paper.headline import pictured
from sadefect.paper.inspection import inspect_each
from sadefect.paper.remainder import remainder
from sadefect.paper.store import stored_results

settings = {"patch_size": patch_size, "latent_dim": latent_dim or None}
results = headline(datasets, methods, patches_seen, **settings)
areas_beside_the_papers(results[datasets[0]])

# %%
# | figure: fig-roc
# | caption: >
# |   ROC curves of pixels, pooled over all test images of a data set. Same network and same budget for
# |   both methods. Dotted, where it was run: the best of the simple filters, which needs no network.
# | alt: >
# |   One panel for each data set with the ROC curves of the ℓ² and the SSIM autoencoder and the diagonal of
# |   guessing, and a dotted one of a filter where it was run; the areas under the curves are in the legends
# |   and in the table below.
filters = {dataset: chosen_comparisons(dataset, FILTERS)[:1] for dataset in results}
charts.roc_curves(results, filters)

# %% [markdown]
# ## Beside the paper
#
# - **The paper shows**: one panel for each data set; SSIM far above the per-pixel methods, which hardly
#   beat guessing on nanofibres.

# %%
with_others = headline(datasets, [*methods, *others], patches_seen, required=False, **settings)
augmentation = settings | {"crops": "fresh", "symmetries": "all"}
with_augmentation = headline(datasets, augmented, required=False, **augmentation)

compared = (results, with_others, with_augmentation)
result_table(result for found in compared for group in found.values() for result in group)

# %% [markdown]
# Pixels of all test images are pooled: the true positive rate is the share of all defective pixels that
# are flagged, the false positive rate the share of all others. Each residual map is opened first, which
# is the same as opening the thresholded map at every threshold. The dotted curve is
# [one of the methods](compared.ipynb) that the autoencoders are compared with, at settings chosen without
# masks.
#
# ## More training
#
# How much would more training add? [The page on the gap](gap.ipynb) fits such curves and draws them to the paper's
# budget.

# %%
# | figure: fig-learning
# | caption: >
# |   Area under the ROC curve against patches seen in training; faint lines are further seeds. Dotted: the
# |   paper's values at its budget.
# | alt: >
# |   Learning curves, one panel for each data set: area under the ROC curve against the number of patches
# |   seen, for ℓ² and SSIM and for each seed, with the paper's values as dotted lines.
stored = stored_results()
curves = {
    dataset: [
        learning_curve(replace(result.experiment, seed=seed), stored)
        for result in group
        for seed in seeds
    ]
    for dataset, group in results.items()
}
charts.learning_curves(curves)

# %%
last_doublings(curves)

# %% [markdown]
# ## One threshold at a time
#
# A part of one image, segmented by a threshold. Its curve is not that of all images above.

# %%
shown = pictured(datasets[-1:], methods, patches_seen, **settings)[datasets[-1]]
segmentations(
    "roc",
    inspect_each(shown, 0, 0.05),
    0.05,
    side=320,
    alt=f"An image of {datasets[-1]} with a defect outlined in blue. Found pixels are yellow within it and pink "
    "elsewhere; the lower the threshold, the more of both.",
    caption="A square about the largest defect of the first test image. Yellow: found. Pink: false alarm. "
    "Blue: outline of the true defect. Point at the curve, or move the threshold.",
)

# %% [markdown]
# ## The variational autoencoder
#
# It is scored by its reconstruction probability. All curves of a panel are of the largest budget that all
# methods have, which may be smaller than above; the table says which. A data set without all of the methods
# is left out.

# %%
# | figure: fig-roc-all
# | caption: ROC curves of the variational autoencoder and the other two, at one shared budget.
# | alt: >
# |   One panel for each data set with the ROC curves of the ℓ², VAE and SSIM autoencoders and the diagonal
# |   of guessing.
charts.roc_curves(with_others) if with_others else None

# %% [markdown]
# ## Feature matching, and augmented patches
#
# Feature matching also compares patches by the first layers of ImageNet's AlexNet. It was trained with
# augmented patches: fresh crops in the eight symmetries of the square instead of a fixed set. The others
# are shown trained in the same way, at the largest budget that all have. To
# continue: `sadefect record --group methods-augmented --minutes 60`, with AlexNet's layers under
# `SADEFECT_WEIGHTS`.

# %%
# | figure: fig-roc-augmented
# | caption: ROC curves with augmented patches, at one shared budget.
# | alt: >
# |   ROC curves of the ℓ², variational, feature matching and SSIM autoencoders, trained with augmented patches, and the
# |   diagonal of guessing.
charts.roc_curves(with_augmentation) if with_augmentation else None

# %% [markdown]
# Each result stands beside that of the printed recipe with the same budget, where there is one. The losses
# are means over crops, the same each time, of images that were trained on and of the held-out image: where
# the second stays close to the first, the network does not overfit. A learning rate that falls goes down to
# a hundredth by the end of the budget.

# %%
augmentation_table(stored)

# %% [markdown]
# ## Why a curve can lie below the diagonal
#
# Guessing gives the diagonal: below it, a method finds defects *less* suspicious than good material. On
# nanofibres that is what comparing pixels does after few training steps. The network reconstructs strong texture
# poorly, so that the squared difference follows the contrast of the neighbourhood, and many defects are flat.
# The table has the rank correlation of residual and contrast over defect-free pixels; the median residual in
# the flattest and in the busiest fifth of these and on defects, over the median of all; and the AUROC if
# defects are compared with defect-free pixels of like contrast alone.

# %%
known = [
    (result, remainder(result.experiment))
    for result in stored
    if result.experiment.dataset == datasets[0]
]
known = sorted(
    (pair for pair in known if pair[1]),
    key=lambda pair: (pair[0].experiment.method, pair[0].experiment.patches_seen),
)
residual_table(known)

# %%
below_chance(
    known, [result for group in compared for results in group.values() for result in results]
)

# %% [markdown]
# ## How much is chance
#
# The paper shows single runs. Here are the same trainings with other seeds, which give other weights and
# other patches, at the largest budget that several seeds have. A difference between methods or settings
# that is smaller than this range may be due to the seed.

# %%
repeated = [
    over_seeds([result.experiment for result in group], stored) for group in results.values()
]
spread_table([group for groups in repeated for group in groups])

# %% [markdown]
# ## Where it differs, and why
#
# The first table says how many patches our networks saw. The paper's fabrics could not be
# obtained, and its values for other methods are not known to us. What else keeps us from its number is on
# [a page of its own](gap.ipynb).

# %% tags=["hide-input"]
origin(*compared, filters, repeated, [result for result, _ in known])
