# %% [markdown]
# # Figure 4: the textures
#
# What good material looks like, and what can be wrong with it. The paper contributed two woven fabrics
# with cuts, roughened areas and dirt on them.
#
# - **The paper shows**: a good and a defective image of each fabric.
# - **What to expect**: the same of synthetic cloth, which stands in for it: the archive of the fabrics
#   is no longer at its address. Where you have it, `datasets=["fabric1", "fabric2"]` shows it.
# - **Minutes**: smoke 0.2, quick 0.2, paper 0.2

# %% tags=["parameters"]
datasets: list = ["synthetic/weave", "synthetic/twill"]  # One figure row each.
good: int = 2  # Defect-free images shown of each.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-textures", "caption": "Defect-free images of each texture, and the first image of each kind of defect, outlined in blue. Images are shown as the networks see them, scaled as in section 4.2."}, "image": {"alt": "One row for each texture: two good images of woven cloth, then images with a cut, a pin and a roughened area, each outlined."}}
from sadefect import load_dataset
from sadefect.figures.origins import origin
from sadefect.figures.panels import Panel, show_panels
from sadefect.figures.tables import percent, table

loaded = {name: load_dataset(name) for name in datasets}
rows = []
for data in loaded.values():
    panels = [Panel(sample.image, "good") for sample in data.train[:good]]
    kinds = {}
    for sample in data.test:
        if sample.kind != "good":
            kinds.setdefault(sample.kind, sample)
    panels += [Panel(one.image, kind, outline=one.mask) for kind, one in sorted(kinds.items())]
    rows.append(panels)
show_panels(rows)

# %% [markdown]
# ## How many

# %% tags=["hide-input"]
table(
    (
        "data set",
        "defect-free images",
        "test images",
        "size in pixels",
        "kinds",
        "licence",
    ),
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
# The share of defective pixels, over the test images of each kind: a method that flags one pixel in
# twenty by mistake flags more than there is to find. [The page on data](data.ipynb) says where the
# images come from.

# %% tags=["hide-input"]
shares = {}
for name, data in loaded.items():
    for sample in data.test:
        shares.setdefault((name, sample.kind), []).append(float(sample.mask.mean()))
table(
    ("data set", "kind", "images", "smallest share", "mean share", "largest share"),
    [
        (
            name,
            kind,
            len(found),
            *map(percent, (min(found), sum(found) / len(found), max(found))),
        )
        for (name, kind), found in sorted(shares.items())
    ],
)

# %% [markdown]
# ## Where it differs, and why
#
# The paper shows photographs of two real fabrics; these are computed. Weave and twill are likenesses in
# the size of the threads, the gray values and the kinds of defects; dirt became pins. What a method
# scores on them says that the code works, and nothing about the paper's fabrics.

# %% tags=["hide-input"]
origin()
