# %% [markdown]
# # Run time of one image
#
# A method on a production line has to keep up with the line. Here one image of the size of
# NanoTWICE's goes through the network window by window, on the machine that built this page.
#
# - **Minutes**: smoke 0.5, quick 0.5, paper 0.5

# %% tags=["parameters"]
height: int = 696  # Of the image, in pixels; NanoTWICE's defective images have 696x1024.
width: int = 1024  # Of the image, in pixels.
latent_dim: int = 500  # d, the length of the latent vector.
window_size: int = 11  # K, the side of SSIM's window.
stride: int = 30  # Pixels from window to window.
repeats: int = 3  # Images timed after one that warms up.

# %%
from timeit import repeat

import numpy as np
from IPython.display import Markdown

from sadefect import anomaly_map, build_autoencoder, windows
from sadefect.baselines import BASELINES, IMAGENET
from sadefect.figures.origins import origin
from sadefect.figures.tables import percent, table
from sadefect.inference.forward import BATCH, forward
from sadefect.paper import numbers
from sadefect.paper.compared import chosen_comparisons
from sadefect.provenance import describe_engine, processor
from sadefect.structural_similarity import ssim_residual

# How long a network takes does not depend on its weights, nor on the image: both are random.
model = build_autoencoder(latent_dim=latent_dim)
image = np.random.default_rng(0).random((height, width), dtype="float32")
batch = np.zeros((BATCH, 128, 128, 1), "float32")
reconstruct = forward(model)


def seconds(call):
    """Return the median time of some calls, after one that compiles."""
    return float(np.median(repeat(call, number=1, repeat=1 + repeats)[1:]))


options = {"window_size": window_size}
whole = seconds(lambda: anomaly_map(model, image, stride=stride, **options))
one_patch = seconds(lambda: reconstruct(batch)) / BATCH
residual = seconds(lambda: ssim_residual(image, image, **options))
Markdown(
    f"An image of {width}x{height} pixels takes {whole:.2f} s on {processor()}; the paper's took "
    f"{numbers.SECONDS_PER_IMAGE.value:g} s on a GPU of its time ({numbers.SECONDS_PER_IMAGE.source})."
)

# %%
patches = len(windows(image, 128, stride)[1])
steps = {
    f"forward passes of {patches} patches, {describe_engine()}": patches * one_patch,
    "SSIM map of the image": residual,
    "cutting patches, averaging": whole - patches * one_patch - residual,
    "the whole image": whole,
}
table(
    ("step", "seconds", "share"),
    [(step, took, percent(took / whole)) for step, took in steps.items()],
)

# %% [markdown]
# ## Beside the paper
#
# - **The paper shows**: a few milliseconds for a patch and a few seconds for an image on a GPU, and many
#   more for a method that compares features of a pretrained network.
#
# The paper's come from a GPU, ours from the processor named below: they say whether the method is
# usable, not which machine is faster. Methods on ImageNet's features are those that
# [the paper is compared with](compared.ipynb), where they were run on NanoTWICE, each on the machine named at
# the foot of this page.

# %%
pretrained = [name for name, about in BASELINES.items() if about.given == IMAGENET]
rivals = chosen_comparisons("nanotwice", pretrained)
table(
    ("what", "the paper's seconds", "our seconds"),
    [
        ("one patch, forward", numbers.SECONDS_PER_PATCH, one_patch),
        (f"one image of {width}x{height} pixels", numbers.SECONDS_PER_IMAGE, whole),
        *(
            ("one image, features of a pretrained network", reported, "-")
            for reported in numbers.SECONDS_FEATURE_BASED
        ),
        *((f"one image, {rival.about.label}", "-", rival.seconds("image")) for rival in rivals),
    ],
)

# %% [markdown]
# ## Where it differs, and why
#
# Other work may have shared the processor while this was measured; [the appendix](performance.ipynb) has times of
# processors that had nothing else to do. Windows overlap, and the network
# reconstructs each: that is most of the time on either machine, and a larger stride would save it.

# %% tags=["hide-input"]
origin(None, rivals)
