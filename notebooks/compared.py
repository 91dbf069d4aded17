# %% [markdown]
# # What the paper is compared with
#
# The paper sets its autoencoder beside a method that compares features of a pretrained network, and cites
# others that code small patches sparsely. Here they run on the same images and are scored by the same
# metrics, together with filters that learn nothing and with methods that came later.
#
# - **Minutes**: smoke 0.5, quick 1, paper 600

# %% tags=["parameters"]
datasets: list = [
    "nanotwice",
    "mvtec_ad/grid",
    "synthetic/fibres",
]  # The first that has results is drawn.
computed: list = [
    "level",
    "local_contrast",
    "gradient_energy",
    "filter_bank",
]  # Methods that are run here on synthetic sets, unless that was done before.
seeds: list = [0, 1, 2]  # Those that have results; the first is shown.
compute: bool = False  # Run all methods on all data sets: hours, and weights of ImageNet.

# %%
from IPython.display import display

from sadefect.baselines import BASELINES, IMAGENET
from sadefect.errors import DataError
from sadefect.figures import compared
from sadefect.figures.origins import origin
from sadefect.figures.tables import table
from sadefect.paper.compared import chosen_settings, evaluate_baseline

synthetic = [dataset for dataset in datasets if dataset.startswith("synthetic/")]
for dataset in datasets if compute else synthetic:
    for name in BASELINES if compute else computed:
        try:
            evaluate_baseline(name, dataset, **chosen_settings(name, dataset))
        except DataError as missing:
            print(f"{name} on {dataset}: {missing}")

entries = {dataset: compared.stored_entries(dataset, seeds) for dataset in datasets}
drawn = next((dataset for dataset in datasets if entries[dataset]), datasets[0])
compared.best_of_each(entries[drawn], drawn)

# %%
# | figure: fig-compared
# | caption: >
# |   Area under the ROC curve against the seconds that an image takes, one point for each method, with settings
# |   chosen without test images. Times are CPU time where it was measured, otherwise wall-clock time, on
# |   machines that other work may have shared.
# | alt: >
# |   Scatter of the area under the ROC curve against seconds an image on a logarithmic axis. Each point is
# |   named; circles are methods that saw defect-free images alone, triangles those that use a network trained on
# |   ImageNet, squares the autoencoders. The table below has the numbers.
compared.quality_and_time(entries[drawn])

# %% [markdown]
# ## Beside the paper
#
# - **The paper shows**: that SSIM is on par with a method that relies on a network trained on ImageNet, and
#   takes seconds for an image where that takes 15 or 55.
#
# The first is tested on [the page of claims](claims.ipynb), the second on [that of run time](runtime.ipynb).

# %%
compared.comparison_table(entries[drawn], drawn)

# %% [markdown]
# A seed decides which patches a dictionary is learnt from, which features a bank or a Gaussian at each position
# keeps, and with which weights a network starts; some methods have none.

# %%
compared.seeds_apart(entries[drawn])

# %%
compared.needs_table(entries[drawn])

# %% [markdown]
# Seconds an image of an autoencoder are those of the benchmark `inference`, by the clock on all cores; of those
# trained on a card, the seconds of the training are left out. Parameters are all numbers that a method
# keeps, those of a pretrained network included. "In the spirit of" means that we follow the idea of a
# publication but not its exact method, or that a part was exchanged, such as its network for VGG16; the
# modules of `sadefect/baselines/` say what.

# %%
compared.citations()

# %% [markdown]
# ## The other data sets
#
# What is good on one texture need not be good on another. NanoTWICE's defects are bright and flat, so that
# brightness alone finds many of them; those of MVTec AD's grid are bent and broken wires, as bright as whole
# ones. Synthetic fibres resemble nanofibres in brightness and size.

# %%
for dataset in datasets:
    if dataset != drawn and entries[dataset]:
        display(compared.best_of_each(entries[dataset], dataset))
        display(compared.comparison_table(entries[dataset], dataset))
        if sentence := compared.below_chance(entries[dataset]):
            display(sentence)

# %% [markdown]
# ## The same features, other distances
#
# A Gaussian scales distances by the spread of the features in defect-free images; a dictionary or a memory bank
# does not. A Gaussian at each position estimates that spread from only one value per image. A dictionary with too
# few entries cannot represent the texture: the publication's numbers of entries were among those tried here.

# %%
compared.same_features(entries[drawn])

# %% [markdown]
# ## Settings without masks
#
# Windows, layers and smoothing were not chosen by the numbers above. Synthetic defects, specks and patches of
# several sizes, were put into held-out good images; the settings that find them best are taken, before a
# test image is read. Where the last of the settings is as good as the first, they hardly matter; where the
# synthetic defects are unlike the real ones, the choice may be a poor one, and it stays.

# %%
compared.choices_table(BASELINES, drawn)

# %% [markdown]
# ## One image, many maps
#
# Each map is bright where a method finds the first test image unlike the defect-free ones; each has a scale
# of its own. The true defect is outlined in blue.

# %%
# | figure: fig-compared-maps
# | caption: >
# |   The first test image, where it is at hand, and its maps by all methods that kept one, the best method
# |   first, at half the image's size. Blue: the true defect.
# | alt: >
# |   Maps of one test image, one for each method, with the defect outlined. The better methods are dark but
# |   for the defect; the others are also bright along fibres or in the gaps between them.
compared.maps_of_one_image(entries[drawn], drawn)

# %% [markdown]
# ## Not run yet
#
# What has no result on a data set, and what it takes to get one.

# %%
there = {dataset: {entry.name for entry in entries[dataset]} for dataset in datasets}
needs = {
    name: "`sadefect weights fetch vgg16`, then " if about.given == IMAGENET else ""
    for name, about in BASELINES.items()
}
table(
    ("data set", "method", "what it takes"),
    [
        (
            dataset,
            BASELINES[name].label,
            f"{needs[name]}`sadefect compare {name} --data {dataset}`",
        )
        for dataset in datasets
        for name in BASELINES
        if name not in there[dataset]
    ],
)

# %% [markdown]
# ## Where it differs, and why
#
# Publications differ in what they score: a crop of the image, rates averaged over images, masks of another
# edition. Ours pool the pixels of whole images, the same for every method. GCPF's number is of a centre crop
# of 512 pixels, half of the width. No other published number of an SSIM autoencoder on NanoTWICE was
# found.

# %% tags=["hide-input"]
origin([entry.result for group in entries.values() for entry in group])
