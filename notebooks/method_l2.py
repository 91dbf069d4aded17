# %% [markdown]
# # Why comparing pixels fails
#
# Take the best autoencoder imaginable: it reconstructs the texture as it would be without its defect, down to
# the noise. Then let it be off by a fraction of a pixel, as every real one is.
#
# - **Minutes**: smoke 0.2, quick 0.3, paper 0.3

# %% tags=["parameters"]
dataset: str = "synthetic/weave"  # Its defects can be left out when an image is made.
number: int = 0  # Of the test image.
shifts: list = [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0]  # Pixels, to the right and down.
start: int = 2  # Which shift is shown first.

# %%
import numpy as np
from IPython.display import Markdown
from scipy import ndimage

from sadefect import auroc, load_dataset, opening
from sadefect.datasets.synthetic import drawn
from sadefect.figures.explorers import slider
from sadefect.figures.origins import origin
from sadefect.figures.panels import Panel, show_panels
from sadefect.figures.sentences import best_first
from sadefect.figures.tables import table
from sadefect.losses import l2_residual
from sadefect.structural_similarity import ssim_residual

image, mask = drawn(dataset, "test", number)
clean, _ = drawn(dataset, "test", number, clean=True)
maps = {}
for shift in shifts:
    moved = ndimage.shift(clean, (shift, shift), order=1, mode="nearest").clip(0, 1)
    maps[shift] = [opening(residual(image, moved), 4) for residual in (l2_residual, ssim_residual)]
areas = {shift: [auroc([mask], [residual]) for residual in pair] for shift, pair in maps.items()}
(l2_first, ssim_first), (l2_last, ssim_last) = areas[shifts[0]], areas[shifts[-1]]
course = (
    f"From {shifts[0]:g} to {shifts[-1]:g} pixels off, the AUROC of ℓ² goes from {l2_first:.2f} to "
    f"{l2_last:.2f}, that of SSIM from {ssim_first:.2f} to {ssim_last:.2f}"
)
sentence = f"With a perfect reconstruction that is {shifts[start]:g} pixels off, {{}} reaches an AUROC of {{}}"
at_start = dict(zip(("ℓ²", "SSIM"), areas[shifts[start]], strict=True))
Markdown(
    f"{best_first(sentence, at_start)}. Move the slider, and see how long each map still shows the defect."
)

# %%
rows = {}  # Both maps, each with its own scale.
for shift, (l2, ssim) in maps.items():
    limits = [(0, float(np.quantile(residual, 0.995))) for residual in (l2, ssim)]
    panels = [
        Panel(l2, "residual, ℓ²", "squared difference", limits[0], mask),
        Panel(ssim, "residual, SSIM", "1 − SSIM", limits[1], mask),
    ]
    rows[f"{shift:g} pixels off"] = (
        panels, dict(zip(("AUROC of ℓ²", "AUROC of SSIM"), areas[shift], strict=True)),
    )  # fmt: skip
defect = f"a defect ({load_dataset(dataset).test[number].kind})"
slider.steps(
    "misplaced",
    "How far the reconstruction is off, in pixels",
    rows,
    start=start,
    alt=f"Residual maps of ℓ² and of SSIM, {defect} outlined in blue. {course}.",
    caption=f"Synthetic texture with {defect}, compared with the same texture without it, shifted by "
    "what the slider says. Each map has its own scale. AUROC is the chance that a pixel of the defect "
    "is brighter than one of the good texture: 0.5 is guessing.",
)

# %% [markdown]
# ## Each pixel is judged alone
#
# The usual loss adds up squared differences,
#
# $$
# L_2(\mathbf{x}, \hat{\mathbf{x}}) = \sum_{r}\sum_{c}
# \bigl(\mathbf{x}(r, c) - \hat{\mathbf{x}}(r, c)\bigr)^2, \tag{2}
# $$
#
# and the residual of a pixel is its term of the sum. An edge that is reconstructed half a pixel off costs
# much, although nothing is wrong with it. A defect that has the gray values of its surroundings, but
# not their texture, costs little.

# %%
# | figure: fig-cut
# | caption: The texture with its defect, outlined in blue, and the same texture without.
# | alt: "A texture twice: with a defect, outlined in blue, and without."
inputs = [Panel(image, "input", outline=mask), Panel(clean, "perfect reconstruction")]
show_panels([inputs], width=5)

# %%
table(
    ("pixels off", "AUROC, ℓ²", "AUROC, SSIM"),
    [(f"{shift:g}", *pair) for shift, pair in areas.items()],
)

# %% [markdown]
# SSIM is not expected to be immune: once the reconstruction is off by half a period of the texture,
# windows do not match either.
#
# ## Beside the paper
#
# - **The paper shows**: in section 3, in words, that a loss for each pixel is misled by edges that are
#   slightly misplaced, and by defects that keep the gray values of their surroundings.
#
# This is our demonstration, not the paper's, and no network takes part in it. Residuals are opened as
# everywhere in this book, see [the page on regions](method_regions.ipynb).

# %% tags=["hide-input"]
origin()
