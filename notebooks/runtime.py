# %% [markdown]
# # Run time of one image
#
# A method that runs in a production line has to keep up with the line. Here one image of the size of
# NanoTWICE's goes through the network window by window, on the machine that built this page.
#
# - **The paper shows**: a few milliseconds for a patch and a few seconds for an image on a GPU, beside
#   many more of a method that compares features of a pretrained network.
# - **What to expect**: seconds on a CPU, in the order of the paper's on a GPU of its time.
# - **Minutes**: smoke 0.5, quick 0.5, paper 0.5

# %% tags=["parameters"]
height: int = 696  # Of the image, in pixels; NanoTWICE's defective images have 696x1024.
width: int = 1024  # Of the image, in pixels.
latent_dim: int = 500  # d, the length of the latent vector.
window_size: int = 11  # K, the side of SSIM's window.
stride: int = 30  # Pixels from window to window.
repeats: int = 3  # Images timed after one that warms up.

# %% tags=["hide-input"]
import time

import numpy as np

from sadefect import anomaly_map, build_autoencoder, windows
from sadefect.figures.origins import origin
from sadefect.figures.tables import table
from sadefect.inference.forward import BATCH, forward
from sadefect.paper import numbers
from sadefect.provenance import describe_engine
from sadefect.structural_similarity import ssim_residual

# How long a network takes does not depend on its weights, nor on the image: both are random.
model = build_autoencoder(latent_dim=latent_dim)
image = np.random.default_rng(0).random((height, width), dtype="float32")
batch = np.zeros((BATCH, 128, 128, 1), "float32")
run = forward(model)


def seconds(call):
    call()  # The first call compiles.
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


patches = len(windows(image, 128, stride)[1])
whole = seconds(lambda: anomaly_map(model, image, stride=stride, window_size=window_size))
forward_seconds = seconds(lambda: run(batch)) / BATCH
residual = seconds(lambda: ssim_residual(image, image, window_size=window_size))

# %% [markdown]
# ## Where the time goes

# %% tags=["hide-input"]
table(
    ("step", "seconds", "share"),
    [
        (
            f"forward passes of {patches} windows, {describe_engine()}",
            patches * forward_seconds,
            f"{100 * patches * forward_seconds / whole:.0f} %",
        ),
        ("SSIM map of the image", residual, f"{100 * residual / whole:.0f} %"),
        (
            "cutting windows, averaging",
            whole - patches * forward_seconds - residual,
            f"{100 * (whole - patches * forward_seconds - residual) / whole:.0f} %",
        ),
        ("the whole image", whole, "100 %"),
    ],
)

# %% [markdown]
# ## Beside the paper's numbers
#
# The paper's come from a GPU, ours from the processor named below: they say whether the method is
# usable, not which machine is faster.

# %% tags=["hide-input"]
table(
    ("what", "the paper's seconds", "our seconds"),
    [
        ("one patch, forward", numbers.SECONDS_PER_PATCH, forward_seconds),
        (f"one image of {width}x{height} pixels", numbers.SECONDS_PER_IMAGE, whole),
        *(
            ("one image, features of a pretrained network", one, "-")
            for one in numbers.SECONDS_FEATURE_BASED
        ),
    ],
)

# %% [markdown]
# ## Where it differs, and why
#
# The paper's times are of a graphics card, these of the processor at the foot of this page, which other
# work may have shared. Windows overlap, and each is drawn by the network: that is most of the time on
# either machine, and a larger stride would save it.

# %% tags=["hide-input"]
origin()
