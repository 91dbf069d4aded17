"""Colours of pictures, and the one painter that lays masks over an image.

Pictures of the shell and its report, figures and explorers of the book all take their colours from
here, without matplotlib, which is no dependency of the module.
"""

import numpy as np
from PIL import Image, ImageColor
from scipy import ndimage

# Okabe and Ito's palette, which colour-blind readers tell apart; one colour for one thing. Those of
# methods are in `sadefect.methods`.
COLOURS = {
    "truth": "#56B4E9",  # Outlines of true defects, on gray and on magma.
    "flagged": "#D55E00",  # Flagged pixels and outlines, where nobody knows what is true;
    "hit": "#F0E442",  # flagged pixels that are defective,
    "false_alarm": "#CC79A7",  # and those that are not.
}
OPACITY = 0.85  # Of painted pixels; outlines are opaque.


def paint(flagged, truth=None):
    """Paint flagged pixels, in one colour within true defects and in another outside.

    Both are bool ``(H, W)``; where the truth is not known, all pixels have a colour that says
    neither. A layer for `overlay`, uint8 ``(H, W, 4)``, is transparent where nothing is flagged.
    """
    layer = np.zeros((*flagged.shape, 4), "uint8")
    parts = {"flagged": flagged}
    if truth is not None:
        parts = {"hit": flagged & truth, "false_alarm": flagged & ~truth}
    for name, part in parts.items():
        layer[part] = (*ImageColor.getrgb(COLOURS[name]), round(255 * OPACITY))
    return layer


def outline(mask, name, width=1):
    """Draw a line of some width around regions, in the colour of that name, as a layer too."""
    layer = np.zeros((*mask.shape, 4), "uint8")
    rim = ndimage.binary_dilation(mask, iterations=width) & ~mask
    layer[rim] = (*ImageColor.getrgb(COLOURS[name]), 255)
    return layer


def overlay(image, *layers):
    """Lay layers, uint8 ``(H, W, 4)``, over gray values in [0, 1], ``(H, W)``, the last one on top.

    Returns an RGB image of PIL.

    Examples
    --------
    >>> flagged = np.array([[True, False, False]])
    >>> picture = overlay(np.ones((1, 3)), outline(flagged, "flagged"))
    >>> [picture.getpixel((column, 0)) for column in range(3)]
    [(255, 255, 255), (213, 94, 0), (255, 255, 255)]
    """
    gray = np.uint8(np.round(255 * np.clip(image, 0, 1)))
    picture = Image.fromarray(gray).convert("RGBA")
    for layer in layers:
        picture.alpha_composite(Image.fromarray(layer))
    return picture.convert("RGB")


def heat_map(values, top):
    """Show a map in matplotlib's magma, from 0 to ``top``, as a PIL image."""
    levels = np.uint8(np.clip(values / max(top, 1e-12), 0, 1) * 255)
    return Image.fromarray(MAGMA[levels])


# matplotlib's, which tests/test_plots.py compares: red, green and blue of 256 colours.
MAGMA = np.frombuffer(
    bytes.fromhex(
        """
00000401000501010601010802010902020b02020d03030f03031204041405041606051806051a07061c08071e090720
0a08220b09240c09260d0a290e0b2b100b2d110c2f120d31130d34140e36150e38160f3b180f3d19103f1a10421c1044
1d11471e114920114b21114e22115024125325125527125829115a2a115c2c115f2d11612f1163311165331067341069
36106b38106c390f6e3b0f703d0f713f0f72400f74420f75440f764510774710784910784a10794c117a4e117b4f127b
51127c52137c54137d56147d57157e59157e5a167e5c167f5d177f5f187f601880621980641a80651a80671b80681c81
6a1c816b1d816d1d816e1e81701f81721f817320817521817621817822817922827b23827c23827e2482802582812581
8326818426818627818827818928818b29818c29818e2a81902a81912b81932b80942c80962c80982d80992d809b2e7f
9c2e7f9e2f7fa02f7fa1307ea3307ea5317ea6317da8327daa337dab337cad347cae347bb0357bb2357bb3367ab5367a
b73779b83779ba3878bc3978bd3977bf3a77c03a76c23b75c43c75c53c74c73d73c83e73ca3e72cc3f71cd4071cf4070
d0416fd2426fd3436ed5446dd6456cd8456cd9466bdb476adc4869de4968df4a68e04c67e24d66e34e65e44f64e55064
e75263e85362e95462ea5661eb5760ec5860ed5a5fee5b5eef5d5ef05f5ef1605df2625df2645cf3655cf4675cf4695c
f56b5cf66c5cf66e5cf7705cf7725cf8745cf8765cf9785df9795df97b5dfa7d5efa7f5efa815ffb835ffb8560fb8761
fc8961fc8a62fc8c63fc8e64fc9065fd9266fd9467fd9668fd9869fd9a6afd9b6bfe9d6cfe9f6dfea16efea36ffea571
fea772fea973feaa74feac76feae77feb078feb27afeb47bfeb67cfeb77efeb97ffebb81febd82febf84fec185fec287
fec488fec68afec88cfeca8dfecc8ffecd90fecf92fed194fed395fed597fed799fed89afdda9cfddc9efddea0fde0a1
fde2a3fde3a5fde5a7fde7a9fde9aafdebacfcecaefceeb0fcf0b2fcf2b4fcf4b6fcf6b8fcf7b9fcf9bbfcfbbdfcfdbf
"""
    ),
    "uint8",
).reshape(256, 3)
