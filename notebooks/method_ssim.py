# %% [markdown]
# # SSIM and its three terms
#
# Structural similarity compares two windows by how bright they are, how strong their texture is, and
# whether the textures agree. It was made to predict what people see in compressed photographs; here
# it tells cloth from a cut in it.
#
# - **Minutes**: smoke 0.5, quick 0.3, paper 500

# %% tags=["parameters"]
datasets: list = ["synthetic/fibres"]  # The first one's image is shown.
number: int = 0  # Of the test image; 0 was not chosen by looking.
window_sizes: list = [3, 7, 11, 15, 19]  # K, in pixels; those of table 2.
start: int = 2  # Which window is shown first.
side: int = 300  # Side in pixels of the square shown, about the largest defect; 0 shows all.
patches_seen: int = 0  # Budget of training; 0 takes the largest that was recorded.
patch_size: int = 128  # Side of a patch in pixels.
latent_dim: int = 0  # d; 0 takes the paper's for the data set.

# %%
from IPython.display import Markdown

from sadefect import auroc, opening
from sadefect.figures.explorers import slider
from sadefect.figures.origins import origin
from sadefect.figures.panels import Panel
from sadefect.figures.tables import table
from sadefect.paper.headline import pictured
from sadefect.paper.inspection import inspect
from sadefect.structural_similarity import ssim_residual

settings = {"patch_size": patch_size, "latent_dim": latent_dim or None}
[result] = pictured(datasets[:1], ["ssim"], patches_seen, **settings)[datasets[0]]
inspection = inspect(result, number)
maps = {
    size: opening(ssim_residual(inspection.image, inspection.reconstruction, window_size=size), 4)
    for size in window_sizes
}
areas = {size: auroc([inspection.mask], [residual]) for size, residual in maps.items()}
best, worst = (choose(areas, key=areas.get) for choose in (max, min))
Markdown(
    f"In this image a window of {best} pixels separates the defect best, with an AUROC of "
    f"{areas[best]:.3f}, and one of {worst} pixels worst, with {areas[worst]:.3f}."
)

# %%
window = inspection.window(side)
outline = inspection.mask[window]
image = Panel(inspection.image[window], "input", outline=outline)
rows = {}
for size, residual in maps.items():
    title = f"residual, K = {size}"
    panels = [image, Panel(residual[window], title, "1 − SSIM", (0.0, 1.5), outline)]
    rows[f"K = {size}"] = (panels, {"AUROC on this image": areas[size]})
slider.steps(
    "windows",
    "Window size K, in pixels",
    rows,
    start=start,
    alt="Fibres with a defect outlined in blue, and the residual map of SSIM. "
    "It is fine-grained for a small window and smoother for a large one.",
    caption="Residual maps of one image for several windows, by a network that was trained with one "
    "of the default size. Only the residual's window changes.",
)

# %% [markdown]
# ## A sliding window
#
# The window slides over the image and gives one value for each pixel; the residual is
# $1 - \mathrm{SSIM}$. The same value, averaged over the patch, is the loss. A small window follows
# every thread and its noise. A large one sees texture, and blurs the defect's border.

# %%
table(("window K in the residual", "AUROC of this image"), list(areas.items()))

# %% [markdown]
# [Table 2](tab02_sensitivity.ipynb) changes the window in training as well, and scores all images.
#
# ## Three terms
#
# SSIM {cite:p}`wang2004` compares two windows $\mathbf{p}$ and $\mathbf{q}$ of $K \times K$ pixels:
#
# $$
# \mathrm{SSIM}(\mathbf{p}, \mathbf{q}) = l(\mathbf{p}, \mathbf{q})^{\alpha}\,
# c(\mathbf{p}, \mathbf{q})^{\beta}\, s(\mathbf{p}, \mathbf{q})^{\gamma}. \tag{4}
# $$
#
# Luminance compares their means $\mu$, contrast their standard deviations $\sigma$, and structure
# their covariance $\sigma_{\mathbf{pq}}$:
#
# $$
# l = \frac{2\mu_\mathbf{p}\mu_\mathbf{q} + c_1}{\mu_\mathbf{p}^2 + \mu_\mathbf{q}^2 + c_1}, \tag{5}
# $$
#
# $$
# c = \frac{2\sigma_\mathbf{p}\sigma_\mathbf{q} + c_2}{\sigma_\mathbf{p}^2 + \sigma_\mathbf{q}^2 + c_2},
# \tag{6}
# $$
#
# $$
# s = \frac{2\sigma_\mathbf{pq} + c_2}{2\sigma_\mathbf{p}\sigma_\mathbf{q} + c_2}. \tag{7}
# $$
#
# With $\alpha = \beta = \gamma = 1$ the product is
#
# $$
# \mathrm{SSIM} = \frac{(2\mu_\mathbf{p}\mu_\mathbf{q} + c_1)(2\sigma_\mathbf{pq} + c_2)}
# {(\mu_\mathbf{p}^2 + \mu_\mathbf{q}^2 + c_1)(\sigma_\mathbf{p}^2 + \sigma_\mathbf{q}^2 + c_2)}.
# \tag{8}
# $$
#
# It lies between $-1$ and $1$, and is $1$ only for equal windows. [Figure 2](fig02_three_terms.ipynb)
# has pairs of patches that differ in one term each.
#
# ## Beside the paper
#
# - **The paper shows**: equations 4 to 8, and windows of 11 pixels unless table 2 says otherwise.
#
# Two things are open in the paper. It writes the constants as $c_1 = 0.01$ and $c_2 = 0.03$, where the
# definition of SSIM has $(0.01 L)^2$ and $(0.03 L)^2$ for gray values with the range $L$. And it does
# not say how pixels of a window are weighted. Here the squared constants and uniform weights are the
# default, both are options of `ssim_map`, and [the page on open readings](ambiguities.ipynb) says
# what they are worth. Two successors, MS-SSIM and SSIM mixed with ℓ¹, are losses of this module too.

# %% tags=["hide-input"]
origin(result)
