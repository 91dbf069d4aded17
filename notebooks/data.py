# %% [markdown]
# # The data
#
# Where the images come from, what may be done with them, and how to get them. No image of a real data set
# is part of this repository or of the published book; we publish only numbers, curves, masks
# and anomaly maps. Build the book with `SADEFECT_DATA` set, and the images appear in your copy.
#
# - **Minutes**: smoke 0.1, quick 0.2, paper 0.2

# %% tags=["parameters"]
real: list = ["nanotwice", "fabric1", "fabric2", "mvtec_ad/grid"]  # Sets to download.
synthetic: list = ["synthetic/fibres", "synthetic/weave", "synthetic/twill"]  # Sets computed here.
first: int = 3  # Test images shown of each set that is computed.

# %%
from IPython.display import Markdown

from sadefect import load_dataset
from sadefect.datasets import about_dataset
from sadefect.errors import DatasetNotFound
from sadefect.figures.origins import origin
from sadefect.figures.panels import Panel, show_panels
from sadefect.figures.tables import table

about = {name: about_dataset(name) for name in (*real, *synthetic)}
available = {}
for name in about:
    try:
        known = load_dataset(name).fingerprint == about[name].fingerprint
        available[name] = "yes" if known else "yes, other files"
    except DatasetNotFound:
        available[name] = "no"
missing = [f"`{name}`" for name, state in available.items() if state == "no"]
Markdown(
    f"This build has {len(about) - len(missing)} of {len(about)} data sets"
    + (f"; missing: {', '.join(missing)}." if missing else ".")
)

# %%
# | figure: fig-synthetic
# | caption: >
# |   The synthetic sets, one row each: a defect-free image and the first test images, with true defects
# |   outlined in blue.
# | alt: >
# |   Rows of pictures: bright fibres on dark ground with debris and films, plain weave and twill with cuts,
# |   roughened areas and pins; defects are outlined in blue.
rows = []
for name in synthetic:
    data = load_dataset(name)
    good = Panel(data.train[0].image, f"{name.split('/')[-1]}, good")
    defective = [
        Panel(sample.image, sample.kind, outline=sample.mask) for sample in data.test[:first]
    ]
    rows.append([good, *defective])
show_panels(rows)

# %% [markdown]
# ## Beside the paper
#
# - **The paper shows**: results on images of nanofibres, and on two woven fabrics that it contributed.
#
# `nanotwice`
# : the paper's main set {cite:p}`carrera2017`, nanofibres under an electron microscope. Defects are
#   clumps of debris and flattened films that have the fibres' own gray value.
#
# `fabric1`, `fabric2`
# : the two woven fabrics of the paper, with cuts, roughened areas and contaminations. They are downscaled, as
#   in the paper. They could not be obtained for this book.
#
# `mvtec_ad/grid`
# : a category of a later set by the same first author {cite:p}`bergmann2019mvtec`, in place of the fabrics.
#   Its licence, CC BY-NC-SA 4.0, allows its images to be shown for non-commercial purposes with attribution;
#   we still commit none. The known files are a downscaled copy without the defect-free test images.
#
# `synthetic/...`
# : computed from a seed, with exact masks, to resemble the real sets. A result on them checks the code and
#   illustrates; it is not evidence about the paper's claim.
#
# ## All sets
#
# The checksum, the first digits of a SHA-256, covers names and contents of all files that recorded results
# come from. Loaders compare it with the files that they find, and warn. For a computed set it is the
# generator's version and seed.

# %%
table(
    ("name", "images", "licence", "checksum", "in this build"),
    [
        (f"`{name}`", one.images, one.licence, f"`{one.fingerprint}`", available[name])
        for name, one in about.items()
    ],
)

# %%
table(
    ("name", "origin", "how to get it"),
    [(f"`{name}`", one.source, one.get) for name, one in about.items()],
)

# %% [markdown]
# ## Where files go
#
# `SADEFECT_DATA` names the folder; without it, files are looked for in `data` in `SADEFECT_CACHE`, or
# in the user's cache directory if that is not set either.
#
# ```text
# nanotwice/Normal/*.tif                   defect-free
# nanotwice/Anomalous/images/*.tif         with defects
# nanotwice/Anomalous/gt/*_gt.png          their masks
# texture_1/train/good/*                   fabric1
# texture_1/test/defective/*
# texture_1/ground_truth/defective/*
# texture_2/...                            fabric2
# mvtec_ad/grid/train/good/*               any category
# mvtec_ad/grid/test/*/*
# mvtec_ad/grid/ground_truth/*/*_mask.png
# ```
#
# Your own images, in the layout of a category of MVTec AD, are read from anywhere; [a page of its
# own](your_own_images.ipynb) says what to do with them:
#
# ```python
# from sadefect import load_dataset
#
# data = load_dataset("folder", root="my_images")
# ```

# %% tags=["hide-input"]
origin()
