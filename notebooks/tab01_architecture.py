# %% [markdown]
# # Table 1: the autoencoder
#
# Every method of the paper is trained with the same network: nine convolutions encode a patch into a vector
# of $d$ numbers, and a mirrored decoder has to reconstruct the patch from these numbers alone. The table is
# computed from the network that all other pages train.
#
# - **Minutes**: smoke 0.2, quick 0.2, paper 0.2

# %% tags=["parameters"]
latent_dim: int = 100  # Length d of the latent vector; 100 for the fabrics, 500 for nanofibres.
latent_dims: list = [50, 100, 200, 500, 1000]  # Latent dimensions of table 2, to be counted.
patch_size: int = 128  # Side of a patch in pixels: 32, 64 or 128.

# %%
from IPython.display import Markdown

from sadefect import build_autoencoder
from sadefect.figures.architecture import architecture
from sadefect.figures.origins import origin
from sadefect.figures.tables import table
from sadefect.models import table_1_row
from sadefect.paper import numbers

autoencoder = build_autoencoder(patch_size, latent_dim)
encoder, decoder = autoencoder.get_layer("encoder"), autoencoder.get_layer("decoder")
rows = []
for name, (output, filtering) in numbers.REPORTED_ENCODER.items():
    layer = encoder.get_layer(name)
    paper = (output.replace("d", str(latent_dim)), filtering)  # The paper writes 1x1xd.
    ours = table_1_row(layer)
    filters = [text.replace(" ", "\u00a0") for text in (paper[1], ours[1])]  # Kept in a line.
    verdict = "yes" if paper == ours else "no"
    rows.append((name, paper[0], ours[0], *filters, verdict, layer.count_params()))
equal = sum(row[-2] == "yes" for row in rows)
Markdown(f"{equal} of {len(rows)} layers of our encoder equal those of the paper's table 1.")

# %%
header = ("layer", "output, paper", "output, ours", "filter, paper", "filter, ours", "equal")
table((*header, "parameters"), rows)

# %%
# | figure: fig-architecture
# | caption: >
# |   The network, drawn from its layers: each box is the output of a convolution; its height shows
# |   pixels (on a scale of square roots), its width channels. Gray: the patch; blue: the encoder;
# |   orange: the latent vector; green: the decoder.
# | alt: A row of boxes that shrink from the patch to the latent vector and grow again to the patch
architecture(autoencoder)

# %% [markdown]
# ## Beside the paper
#
# - **The paper shows**: output size, kernel, stride and padding of each layer of the encoder.
#
# The paper's table lists the size of the output, 1x1x$d$ at the end, and the filter: kernel, stride,
# padding. Our padding follows from the sizes: a convolution with kernel $k$ and stride $s$ that turns $n$
# pixels into $m$ was given $(m - 1) s + k - n$ more, half on each side.
#
# All layers but the last of the encoder and of the decoder are followed by a leaky ReLU of
# slope 0.2; those two are linear. Nothing is normalised. Slope and linearity are recalled from the
# text and not in the table; most public code puts a sigmoid at the output instead.
#
# ## The decoder
#
# The paper lists the encoder only. Everybody who rebuilt it mirrors the encoder, and so do we: layer `deconvN`
# undoes `convN`, as a transposed convolution where sizes change, and as a plain one where they do not.

# %%
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
# each number that is left of the patch, and one bias.

# %%
rows = []
for d in latent_dims:
    parameters = build_autoencoder(patch_size, d).count_params()
    rows.append((d, parameters, round(patch_size**2 / d)))
table(("latent dimension d", "parameters", "pixels per latent number"), rows)

# %% [markdown]
# ## Where it differs, and why
#
# The paper gives no parameter count. `build_autoencoder` takes patches of 32 and 64 pixels too, for table 2;
# the paper does not say how these were encoded, and here the kernel of `conv9` is whatever the
# strides leave.

# %% tags=["hide-input"]
origin()
