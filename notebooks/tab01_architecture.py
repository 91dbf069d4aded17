# %% [markdown]
# # Table 1: the autoencoder
#
# Every method of the paper is trained with the same network: nine convolutions squeeze a patch of
# 128x128 pixels into a vector of $d$ numbers, and a mirrored decoder has to draw the patch from
# these numbers alone. Here the table is computed from the network that all other pages train.
#
# - **The paper shows**: output size, kernel, stride and padding of each layer of the encoder.
# - **What to expect**: the same numbers from our network; its size for each latent dimension of
#   table 2; and the layers of the decoder, which the paper's table leaves out.
# - **Minutes**: smoke 0.2, quick 0.2, paper 0.2

# %% tags=["parameters"]
latent_dim: int = 100  # Length d of the latent vector; 100 for the fabrics, 500 for nanofibres.
latent_dims: list = [50, 100, 200, 500, 1000]  # Latent dimensions of table 2, to be counted.
patch_size: int = 128  # Side of a patch in pixels: 32, 64 or 128.

# %% [markdown]
# ## Layer by layer
#
# The paper's table lists the size of the output, 1x1x$d$ at the end, and the filter: kernel, stride,
# padding. Beside it stands what the network that is built here does. Its padding follows from its
# sizes: a convolution with kernel $k$ and stride $s$ that turns $n$ pixels into $m$ was given
# $(m - 1) s + k - n$ more, half on each side.

# %% tags=["hide-input"]
from sadefect import build_autoencoder
from sadefect.figures.origins import origin
from sadefect.figures.tables import table
from sadefect.models import table_1_row
from sadefect.paper import numbers

autoencoder = build_autoencoder(patch_size, latent_dim)
encoder, decoder = autoencoder.get_layer("encoder"), autoencoder.get_layer("decoder")
rows = []
for name, (output, filtering) in numbers.REPORTED_ENCODER.items():
    output = output.replace("d", str(latent_dim))  # The paper writes 1x1xd.
    layer = encoder.get_layer(name)
    our_output, our_filtering = table_1_row(layer)
    equal = (output, filtering) == (our_output, our_filtering)
    verdict = "yes" if equal else "no"
    filters = [
        text.replace(" ", "\u00a0") for text in (filtering, our_filtering)
    ]  # Kept in a line.
    rows.append((name, output, our_output, *filters, verdict, layer.count_params()))
header = ("layer", "output, paper", "output, ours", "filter, paper", "filter, ours", "equal")
table((*header, "parameters"), rows)

# %% [markdown]
# All layers but the last of the encoder and of the decoder are followed by a leaky rectifier of
# slope 0.2; those two are linear. Nothing is normalised. Slope and linearity are recalled from the
# text and not in the table; most public code puts a sigmoid at the output instead.
#
# ## The decoder
#
# The paper lists the encoder only. Its mirror is the reading of everybody who rebuilt it, and ours:
# layer `deconvN` undoes `convN`, as a transposed convolution where sizes change, and as a plain one
# where they do not.

# %% tags=["hide-input"]
rows = [
    (layer.name, *table_1_row(layer), layer.count_params())
    for layer in decoder.layers
    if layer.name.startswith("deconv") and hasattr(layer, "kernel_size")
]
table(("layer", "output", "filter", "parameters"), rows)

# %% [markdown]
# ## How large it is
#
# Only `conv9` and `deconv9` depend on $d$, and both see all that is left of the patch at once. The
# network therefore grows by the same number of parameters with each latent dimension: two weights for
# each number that is left, and one bias.

# %% tags=["hide-input"]
rows = []
for d in latent_dims:
    parameters = build_autoencoder(patch_size, d).count_params()
    rows.append((d, parameters, round(patch_size**2 / d)))
table(("latent dimension d", "parameters", "pixels per latent number"), rows)

# %% [markdown]
# ## Where it differs, and why
#
# The paper states no count. `build_autoencoder` takes patches of 32 and 64 pixels too, for table 2;
# the paper does not say how these were encoded, and here the kernel of `conv9` is whatever the
# strides leave.

# %% tags=["hide-input"]
origin()
