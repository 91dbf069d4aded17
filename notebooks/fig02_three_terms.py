# %% [markdown]
# # Figure 2: three differences that ℓ² cannot tell apart
#
# Two patches may differ in brightness, in the strength of their texture, or in the texture itself. The ℓ²
# distance gives one number for all three. SSIM is a product of three terms, one for each difference.
#
# - **Minutes**: smoke 0.2, quick 0.2, paper 0.2

# %% tags=["parameters"]
side: int = 31  # Side of a patch in pixels, odd; the patch is one window.
grain: float = 1.3  # Size of the spots in pixels.
faint: float = 0.05  # Strength of the texture in the pair that differs in luminance.
seed: int = 0  # Of the spots.

# %%
import numpy as np
from IPython.display import Markdown
from scipy import ndimage

from sadefect import ssim, ssim_components
from sadefect.figures.origins import origin
from sadefect.figures.panels import Panel, show_panels
from sadefect.figures.tables import table
from sadefect.paper import numbers
from sadefect.paper.claim_checks import answers_alone

noise = np.random.default_rng(seed).normal(size=(side, side))
smooth = ndimage.gaussian_filter(noise, grain, mode="wrap")
spots = (smooth > np.median(smooth)).astype("float32")
gap = np.float32(np.sqrt(numbers.PATCH_L2.value))  # Between the patches of a pair, at every pixel.
pairs = {
    "luminance": (faint * spots, faint * spots + gap),
    "contrast": (np.full_like(spots, 0.5), 0.5 + gap * (2 * spots - 1)),
    "structure": (0.5 + gap * (spots - 0.5), 0.5 - gap * (spots - 0.5)),
}
squared = {name: (p - q) ** 2 for name, (p, q) in pairs.items()}
options = {"data_range": 1.0, "window_size": side, "padding": "valid"}  # The patch is one window.
terms = {
    name: [float(term[0, 0]) for term in ssim_components(*pair, **options)]
    for name, pair in pairs.items()
}
alone = [answers_alone(values, place) for place, values in enumerate(terms.values())]
Markdown(
    f"All pairs have a squared difference of {np.mean(list(squared.values())):.2f}. For {sum(alone)} of "
    f"{len(pairs)} pairs one term of SSIM is near its minimum while the other two stay near one."
)

# %%
# | figure: fig-three-terms
# | caption: >
# |   Three pairs of patches that differ in luminance (top), in contrast (middle) or in structure (bottom),
# |   and their squared difference, which is the same everywhere.
# | alt: >
# |   Three rows of three panels. Top: a dark and a brighter patch with the same faint spots. Middle: an
# |   even gray patch and one with strong black and white spots. Bottom: a spotted patch and its negative.
# |   The third panel of each row is the same even colour, as the squared difference is the same at every
# |   pixel.
show_panels(
    [
        [
            Panel(p, f"{name}: p"),
            Panel(q, f"{name}: q"),
            Panel(squared[name], "squared difference", "per pixel", (0.0, 0.5)),
        ]
        for name, (p, q) in pairs.items()
    ],
    width=5.5,
)

# %% [markdown]
# ## Beside the paper
#
# - **The paper shows**: three pairs of toy patches with the same squared difference at every pixel. For
#   each pair one term is near its minimum and the other two are near one.

# %%
worst = max(abs(float(values.mean()) - numbers.PATCH_L2.value) for values in squared.values())
claim = (
    f"one squared difference for all pairs, {numbers.PATCH_L2.value:g} ({numbers.PATCH_L2.source})"
)
same = "yes" if worst < 1e-6 else "no"
rows = [(claim, "its mean over a pair, largest deviation", f"{worst:.1g}", same)]
for place, (name, values) in enumerate(terms.items()):
    lowest_other = min(np.delete(values, place))
    rows.append(
        (
            f"a term responds to {name} alone",
            "its value, and the lower one of the other two",
            f"{values[place]:.3f}; {lowest_other:.3f}",
            "yes" if alone[place] else "no",
        )
    )
table(("the paper says", "measured as", "ours", "agrees"), rows)

# %% [markdown]
# ## How the pairs are made
#
# All three pairs come from one pattern of spots, half of it bright. The first pair is faint and differs in
# brightness. The second has even gray beside the pattern at full strength. The third has the pattern
# beside its negative.
#
# The whole patch is one window here, so that each term is one number. For gray values that are not
# negative, luminance and contrast lie between 0 and 1, structure between −1 and 1. The table begins with
# mean and range of the squared difference over the pixels of a pair.

# %%
table(
    ("pair differs in", "mean", "range", "luminance", "contrast", "structure", "SSIM"),
    [
        (
            name,
            float(squared[name].mean()),
            float(np.ptp(squared[name])),
            *terms[name],
            float(ssim(*pair, **options)),
        )
        for name, pair in pairs.items()
    ],
)

# %% [markdown]
# ## Where it differs, and why
#
# The paper's own patches are not reproduced: we know only what the figure shows, recalled and not checked
# against the page. An odd number of pixels cannot be split in half, so a term may fall a little short of one.

# %% tags=["hide-input"]
origin()
