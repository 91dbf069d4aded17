# %% [markdown]
# # Figure 4: the textures
#
# What good material looks like, and what can be wrong with it. Synthetic cloth stands in for the paper's
# two woven fabrics, whose archive is no longer at its address.
#
# - **Minutes**: smoke 0.2, quick 0.2, paper 0.2

# %% tags=["parameters"]
datasets: list = ["synthetic/weave", "synthetic/twill"]  # One figure row each.
good: int = 2  # Defect-free images shown of each.

# %%
from IPython.display import Markdown

from sadefect import load_dataset
from sadefect.figures.origins import origin
from sadefect.figures.panels import Panel, show_panels
from sadefect.figures.tables import percent, table

loaded = {name: load_dataset(name) for name in datasets}
shares = {}  # Of defective pixels, for each data set and kind.
for name, data in loaded.items():
    for sample in data.test:
        shares.setdefault((name, sample.kind), []).append(float(sample.mask.mean()))
defective = [share for found in shares.values() for share in found if share]
Markdown(
    f"A defect covers {percent(min(defective))} to {percent(max(defective))} of its image: a method that "
    "flags one pixel in twenty by mistake may flag more than there is to find."
)

# %%
# | figure: fig-textures
# | caption: >
# |   Defect-free images of each texture, and the first image of each kind of defect, outlined in blue.
# |   Images are shown as the networks see them, scaled as in section 4.2.
# | alt: >
# |   One row for each texture: two good images of woven cloth, then images with a cut, a pin and a
# |   roughened area, each outlined.
rows = []
for data in loaded.values():
    first = {sample.kind: sample for sample in reversed(data.test) if sample.kind != "good"}
    defects = [Panel(first[kind].image, kind, outline=first[kind].mask) for kind in sorted(first)]
    rows.append([Panel(sample.image, "good") for sample in data.train[:good]] + defects)
show_panels(rows)

# %% [markdown]
# ## Beside the paper
#
# - **The paper shows**: a good and a defective image of each fabric, with cuts, roughened areas and dirt.
#
# The paper's are photographs, ours are computed. Weave and twill resemble its fabrics in the size of the
# threads, the gray values and the kinds of defects; pins take the place of dirt. A score on them shows that
# the code works; it says nothing about the paper's fabrics. If you have these, set
# `datasets=["fabric1", "fabric2"]`; [the page on data](data.ipynb) says where images come from.

# %%
table(
    ("data set", "defect-free images", "test images", "size in pixels", "kinds", "licence"),
    [
        (
            name,
            len(data.train),
            len(data.test),
            "x".join(map(str, reversed(data.train[0].image.shape))),
            ", ".join(sorted({sample.kind for sample in data.test})),
            data.licence,
        )
        for name, data in loaded.items()
    ],
)

# %% [markdown]
# ## How much of an image is defective
#
# The share of defective pixels, over the test images of each kind.

# %%
table(
    ("data set", "kind", "images", "smallest share", "mean share", "largest share"),
    [
        (name, kind, len(found), *map(percent, (min(found), sum(found) / len(found), max(found))))
        for (name, kind), found in sorted(shares.items())
    ],
)

# %% tags=["hide-input"]
origin()
