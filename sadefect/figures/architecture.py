"""The autoencoder as a drawing: a bar for each layer's output, made from the layers."""

import numpy as np

from sadefect.figures.style import INK, WIDTH, Figure, house_style

PART_COLOURS = {"encoder": "#0072B2", "decoder": "#009E73", "latent": "#D55E00", "patch": "#999999"}


def outputs_by_layer(autoencoder):
    """List what flows through the autoencoder of `sadefect.build_autoencoder`, from patch to patch.

    There is a tuple for the patch and for each convolution: name, side of the output in pixels,
    channels, and the network that it belongs to, a key of `PART_COLOURS`.

    Examples
    --------
    >>> from sadefect import build_autoencoder
    >>> rows = outputs_by_layer(build_autoencoder(latent_dim=100))
    >>> rows[0], rows[9], len(rows)
    (('patch', 128, 1, 'patch'), ('conv9', 1, 100, 'latent'), 19)
    """
    _, side, _, channels = autoencoder.input_shape
    rows = [("patch", side, channels, "patch")]
    for network in ("encoder", "decoder"):
        for layer in autoencoder.get_layer(network).layers:
            if hasattr(layer, "kernel_size"):
                _, side, _, channels = layer.output.shape
                rows.append((layer.name, side, channels, "latent" if side == 1 else network))
    return rows


def architecture(autoencoder) -> Figure:
    """Draw an autoencoder from left to right, one box for the output of each convolution.

    It is one of `sadefect.build_autoencoder`. A box is as high as the output is in pixels, and the
    wider the more channels it has; both on scales that keep the smallest visible.
    """
    rows = outputs_by_layer(autoencoder)
    heights = np.sqrt([side for _, side, _, _ in rows])
    widths = 0.25 + 0.12 * np.log2([channels for _, _, channels, _ in rows])
    lefts = np.cumsum(widths + 0.5) - widths
    with house_style():
        figure = Figure(figsize=(WIDTH, 3.2))
        axes = figure.subplots()
        for (name, side, channels, part), left, width, height in zip(
            rows, lefts, widths, heights, strict=True
        ):
            axes.bar(left, height, width, -height / 2, align="edge", color=PART_COLOURS[part],
                     edgecolor=INK, linewidth=0.6)  # fmt: skip
            middle = left + width / 2
            axes.text(middle, height / 2 + 0.3, f"{side}×{side}×{channels}", rotation=90,
                      ha="center", va="bottom", fontsize=8)  # fmt: skip
            axes.text(middle, -heights.max() / 2 - 0.5, name, rotation=90, ha="center", va="top",
                      fontsize=8)  # fmt: skip
        axes.set_xlim(lefts[0] - 0.5, lefts[-1] + widths[-1] + 0.5)
        axes.set_ylim(-heights.max() / 2 - 5.5, heights.max() / 2 + 5.5)
        axes.set_axis_off()
    return figure
