# %% [markdown]
# # The data
#
# Where the images are from, what may be done with them, and how to get them. No image of a real data
# set is part of this repository or of the published book: their licences do not allow it, or do not
# exist. What is published of them are numbers, curves, masks and anomaly maps. Build the book with
# `SADEFECT_DATA` set, and the images appear in your copy.
#
# - **The paper shows**: results on images of nanofibres, and on two woven fabrics that came with it.
# - **What to expect**: a table of all sets with origin, licence and checksum, and images of those
#   that may be shown.
# - **Minutes**: smoke 0.1, quick 0.2, paper 0.2

# %% tags=["parameters"]
real: list = ["nanotwice", "fabric1", "fabric2", "mvtec_ad/grid"]  # Sets that have to be got.
synthetic: list = ["synthetic/fibres", "synthetic/weave", "synthetic/twill"]  # Sets computed here.
first: int = 3  # Test images shown of each set that is computed.

# %% [markdown]
# ## All sets
#
# The checksum is over names and contents of all files that recorded results are from, the first
# digits of SHA-256. Loaders compare it with the files that they find, and warn. For a set
# that is computed it is the generator's version and seed.

# %% tags=["hide-input"]
from sadefect import load_dataset
from sadefect.datasets import about_dataset
from sadefect.errors import DatasetNotFound
from sadefect.figures.origins import origin
from sadefect.figures.panels import Panel, show_panels
from sadefect.figures.tables import table


def here(name):
    """Whether a set is on this machine, and is the known one."""
    try:
        data = load_dataset(name)
    except DatasetNotFound:
        return "no"
    return "yes" if data.fingerprint == about_dataset(name).fingerprint else "yes, other files"


about = {f"`{name}`": (about_dataset(name), here(name)) for name in (*real, *synthetic)}
table(
    ("name", "images", "licence", "checksum", "in this build"),
    [
        (name, one.images, one.licence, f"`{one.fingerprint}`", is_here)
        for name, (one, is_here) in about.items()
    ],
)

# %% tags=["hide-input"]
table(
    ("name", "origin", "how to get it"),
    [(name, one.source, one.get) for name, (one, _) in about.items()],
)

# %% [markdown]
# `nanotwice`
# : the paper's main set {cite:p}`carrera2017`, nanofibres under an electron microscope. Defects are
#   clumps of debris and flattened films that have the fibres' own gray value.
#
# `fabric1`, `fabric2`
# : two woven fabrics that the paper contributed, with cuts, roughened areas and contaminations. They
#   are scaled down, as the paper does. They could not be obtained for this book.
#
# `mvtec_ad/grid`
# : a category of a later set by the same first author {cite:p}`bergmann2019mvtec`, in the fabrics'
#   stead. The known files are a scaled copy without the defect-free test images.
#
# `synthetic/...`
# : likenesses, computed from a seed, with exact masks. A result on them is a check of the code and an
#   illustration, not evidence about the paper's claim.
#
# ## Images that may be shown

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-synthetic", "caption": "Synthetic sets: one row each, a defect-free image and the first test images, with true defects outlined in blue."}, "image": {"alt": "Rows of pictures: bright fibres on dark ground with debris and films, plain weave and twill with cuts, roughened areas and pins; defects are outlined in blue."}}
rows = []
for name in synthetic:
    data = load_dataset(name)
    good = data.train[0]
    rows.append(
        [
            Panel(good.image, f"{name.split('/')[-1]}, good"),
            *(Panel(one.image, one.kind, outline=one.mask) for one in data.test[:first]),
        ]
    )
show_panels(rows)

# %% [markdown]
# ## Where files go
#
# `SADEFECT_DATA` names the folder; without it, files are looked for in `data` in `SADEFECT_CACHE`, or
# in the user's cache directory where that is not set either.
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
# Your own images, in the layout of a category of MVTec AD, are read from anywhere; what to do with
# them is told on [a page of its own](your_own_images.ipynb):
#
# ```python
# from sadefect import load_dataset
#
# data = load_dataset("folder", root="my_images")
# ```

# %% tags=["hide-input"]
origin()
