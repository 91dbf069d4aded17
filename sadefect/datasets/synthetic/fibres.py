"""Nanofibres under an electron microscope, painted from the deepest upwards, with defects between.

Lengths are in pixels; heights, light and gray values in [0, 1]. `sadefect.datasets.synthetic` says
against what the constants were fixed.
"""

from functools import partial
from operator import itemgetter

import numpy as np
from scipy import ndimage

MARGIN = 24  # Painted around the image, so that its border looks like its middle.
EDGE = 1.6  # Width of an outline.

# The mat.
DENSITY = 0.31  # Fibres for each pixel of the diagonal: the same coverage at every size.
DEEP = 1.45  # Above 1, more fibres are deep than high.
SPREAD = 0.7548776662466927, 0.5698402909980532  # Angles and offsets that fill the plane evenly.
CHANCE = 0.2  # How far they are from that; 1 leaves clots and holes that no mat has.
PAIRED = 0.1  # Share of fibres that run along the one painted before,
PAIR = 0.03, 12.0  # at such an angle to it and such a distance from it.
RADIUS = 4.1, 0.13  # Median, and spread of the logarithm.
LUMPS = 0.045, (15, 90)  # Spread of the radius along one fibre, and the lengths of its waves.
SAG = 26.0  # How far a fibre bends within 500 pixels,
WIGGLE = 2.0, (150, 600)  # and how it winds besides.
SOFT = (0.3, 1.2), (0.55, 0.7)  # What lies below a height is out of focus, by a blur so wide.

# The light.
GROUND, DEEPEST = 0.01, 0.06  # What is below all fibres, and the deepest of them.
SHADES = (2.5, 7), (3.0, 25)  # How much higher surroundings darken, and how wide they are.
SIDE, RIM = 0.06, 0.05  # More electrons leave the side near the detector, and edges.
STAIN = 0.03, (20, 200)  # Light along one fibre.
GAIN, CONTRAST, KNEE = 1.2, 1.45, 9  # Of the detector, which saturates.
BLACK, WHITE = 0.012, 1.0
GRAIN = 0.013  # Noise of a white pixel.

# The defects.
SPECKS = 6  # Defects in an image of the full size, on average;
DUSTY = 0.25, (35, 60)  # some images of debris are full of them.
AREA = {"debris": (600, 1.0), "film": (1100, 1.2)}  # Median, and spread of the logarithm.
SMALLEST = 60  # Pixels; nobody would mark less.
LARGEST = 0.09  # Share of the image that one defect covers at most.
FILM_HEIGHTS, CLUMP_HEIGHTS = (0.58, 0.9), (0.85, 1.02)  # Above all that is out of focus.

KINDS = ("debris", "film")
# What a canvas holds: light and height, both without defects too, and how much defects cover.
LIGHT, TOP, CLEAN_LIGHT, CLEAN_TOP, COVER = range(5)


def fibres(seed, shape, kind="good", clean=False, mask_only=False):
    """Paint a mat of fibres.

    A `numpy.random.SeedSequence` gives the same fibres and noise whether the defects, of a kind of
    `KINDS` or "good", are left out (``clean``) or not. Returns the image, float64 ``(H, W)`` in
    [0, 1], or None and sooner if only the mask is asked for, and the mask: the pixels of which
    defects that no fibre hides cover at least half.
    """
    mat, flaws, noise = (np.random.default_rng(child) for child in seed.spawn(3))
    canvas = np.zeros((shape[0] + 2 * MARGIN, shape[1] + 2 * MARGIN, 5))
    canvas[..., [LIGHT, CLEAN_LIGHT]] = GROUND
    steps = _fibre_steps(canvas, mat)
    steps += [(height, partial(_blur, canvas, width)) for height, width in SOFT]
    if kind != "good":
        steps += _defect_steps(canvas, flaws, kind, shape)
    for _, paint in sorted(steps, key=itemgetter(0)):
        paint()
    inside = np.s_[MARGIN:-MARGIN, MARGIN:-MARGIN]
    mask = _marked(canvas[inside][..., COVER])
    if mask_only:
        return None, mask
    shown = np.zeros(canvas.shape[:2], bool)
    if not clean:  # Half covered pixels around the mask belong to the picture of a defect.
        shown[inside] = ndimage.binary_dilation(mask, np.ones((3, 3)))
    return _develop(canvas, shown, noise)[inside], mask


def _marked(cover):
    """Find where defects are, but for the small pieces that fibres leave of them."""
    labels, number = ndimage.label(cover >= 0.5, np.ones((3, 3)))
    large = np.bincount(labels.ravel(), minlength=number + 1) >= SMALLEST
    large[0] = False
    return large[labels]


def _fibre_steps(canvas, generator):
    """List what to paint, each with its height."""
    diagonal = np.hypot(*canvas.shape[:2])
    number = int(DENSITY * diagonal)
    heights = np.sort(generator.uniform(0, 1, number)) ** DEEP
    places = np.outer(np.arange(number), SPREAD) + CHANCE * generator.random((number, 2))
    places = (places + generator.random(2)) % 1
    angles, offsets = np.pi * places[:, 0], diagonal * (places[:, 1] - 0.5)
    for i in 1 + np.flatnonzero(generator.random(number - 1) < PAIRED):
        angles[i] = angles[i - 1] + generator.normal(0, PAIR[0])
        offsets[i] = offsets[i - 1] + generator.normal(0, PAIR[1])
    return [
        (height, partial(_paint_fibre, canvas, generator, height, angle, offset))
        for height, angle, offset in zip(heights, angles, offsets, strict=True)
    ]


def _paint_fibre(canvas, generator, height, angle, offset):
    """Paint one fibre, column by column, or row by row if it is steep."""
    angle = angle % np.pi
    steep = np.pi / 4 < angle < 3 * np.pi / 4
    angle = (angle + np.pi / 4) % (np.pi / 2) - np.pi / 4
    if steep:
        canvas = canvas.swapaxes(0, 1)
    rows, columns = canvas.shape[:2]
    x = np.arange(columns)
    along = (x - columns / 2) / np.cos(angle)
    centre = rows / 2 + offset / np.cos(angle) + (x - columns / 2) * np.tan(angle)
    centre += generator.normal(0, SAG) * (along / 500) ** 2 + _waves(generator, along, *WIGGLE)
    cosine = 1 / np.hypot(1, np.gradient(centre))
    inside = (centre >= 0) & (centre < rows)
    if not inside.any():
        return
    x, along, centre, cosine = (a[inside] for a in (x, along, centre, cosine))

    radius = np.exp(generator.normal(np.log(RADIUS[0]), RADIUS[1]))
    radius = radius * (1 + _waves(generator, along, *LUMPS))
    light = (DEEPEST + (1 - DEEPEST) * height) * (1 + _waves(generator, along, *STAIN))
    reach = int(np.ceil((radius.max() + EDGE / 2) / cosine.min()))
    y = np.floor(centre).astype(int) + np.arange(-reach, reach + 1)[:, None]
    away = (y - centre) * cosine
    cover = np.clip((radius - np.abs(away)) / EDGE + 0.5, 0, 1)
    across = np.clip(away / radius, -1, 1)
    facing = np.cos(angle) if steep else -np.sin(angle)
    light = light * (1 + SIDE * facing * across + RIM * across**4)
    drawn = (cover > 0) & (y >= 0) & (y < rows)
    where = y[drawn], np.broadcast_to(x, y.shape)[drawn]
    _paint(canvas, where, cover[drawn], light[drawn], height)


def _paint(canvas, where, cover, light, height, defect=False):
    old = canvas[where]
    new = old.copy()
    new[:, LIGHT], new[:, TOP], new[:, COVER] = light, height, defect
    if not defect:
        new[:, CLEAN_LIGHT], new[:, CLEAN_TOP] = light, height
    canvas[where] = old + cover[:, None] * (new - old)


def _waves(generator, position, spread, lengths, number=4):
    """Draw a smooth random curve around 0."""
    lengths = np.exp(generator.uniform(*np.log(lengths), (number, 1)))
    phases = generator.uniform(0, 2 * np.pi, (number, 1))
    waves = np.sin(2 * np.pi * position / lengths + phases)
    return spread * np.sqrt(2 / number) * waves.sum(axis=0)


def _blur(canvas, width):
    """Put out of focus what is there; defects come later."""
    light = ndimage.gaussian_filter(canvas[..., LIGHT], width, truncate=3)
    canvas[..., LIGHT] = canvas[..., CLEAN_LIGHT] = light


def _develop(canvas, shown, generator):
    """Shade what lies deep between others, and take the picture."""
    signal = np.where(shown, canvas[..., LIGHT], canvas[..., CLEAN_LIGHT])
    top = np.where(shown, canvas[..., TOP], canvas[..., CLEAN_TOP])
    around = canvas[..., CLEAN_TOP]
    for strength, size in SHADES:
        # Defects cast no shade on fibres, so that nothing changes outside their masks.
        mean = ndimage.uniform_filter(ndimage.uniform_filter(around, size), size)
        signal = signal * np.exp(-strength * np.maximum(mean - top, 0))
    gray = GAIN * signal**CONTRAST
    gray = np.abs(gray + GRAIN * gray**0.25 * generator.normal(size=gray.shape))
    return BLACK + (WHITE - BLACK) * gray / (1 + gray**KNEE) ** (1 / KNEE)


def _defect_steps(canvas, generator, kind, shape):
    number = 1 + generator.poisson(SPECKS * generator.exponential())
    if kind == "debris" and generator.random() < DUSTY[0]:
        number = generator.integers(*DUSTY[1])
    number = max(2, round(number * shape[0] * shape[1] / (696 * 1024)))
    steps = []
    for i in range(number):
        area = AREA[kind][0] * np.exp(generator.normal(0, AREA[kind][1]))
        area = min(area, LARGEST * shape[0] * shape[1])
        border = 0.1 if i == 0 else 0.0  # At least one is well inside and not hidden.
        centre = MARGIN + generator.uniform(border, 1 - border, 2) * shape
        limits, outline = (CLUMP_HEIGHTS, _clump) if kind == "debris" else (FILM_HEIGHTS, _film)
        height = max(limits) if i == 0 else generator.uniform(*limits)
        cover, light = outline(generator, area)
        steps.append((height, partial(_paint_patch, canvas, centre, cover, light, height)))
    return steps


def _paint_patch(canvas, centre, cover, light, height):
    """Paint a defect, given on a square of pixels, around a place of the canvas."""
    y, x = np.nonzero(cover)
    rows, columns = (np.round(centre) - np.array(cover.shape) // 2).astype(int)
    kept = (y + rows >= 0) & (y + rows < canvas.shape[0])
    kept &= (x + columns >= 0) & (x + columns < canvas.shape[1])
    y, x = y[kept], x[kept]
    places = y + rows, x + columns
    _paint(canvas, places, cover[y, x], light[y, x] * height, height, defect=True)


def _film(generator, area):
    """Draw a flattened area: smooth, as light as a fibre of its height."""
    stretch = np.exp(generator.uniform(0, 0.7))
    radius = np.sqrt(area / np.pi)
    y, x = _square(1.7 * radius * stretch)
    turn = generator.uniform(0, np.pi)
    v = (np.cos(turn) * y - np.sin(turn) * x) * stretch
    u = (np.cos(turn) * x + np.sin(turn) * y) / stretch
    angle = np.arctan2(v, u)
    outline = np.ones(y.shape)
    for order in range(2, 8):
        phase = generator.uniform(0, 2 * np.pi)
        outline += generator.normal(0, 0.25 / order) * np.cos(order * angle + phase)
    # Between the fibres that hold it, a film is drawn inwards.
    scallops = max(5, int(radius / 4))
    outline -= 0.12 * np.abs(np.sin(scallops * angle / 2 + generator.uniform(0, np.pi)))
    cover = np.clip((radius * outline - np.hypot(u, v)) / EDGE + 0.5, 0, 1)
    light = 0.95 + 0.07 * _cloud(generator, y.shape, 12) + 0.03 * _cloud(generator, y.shape, 1.5)
    return cover, light


def _clump(generator, area):
    """Draw debris: a heap of crumbs with dark crevices between them."""
    radius = np.sqrt(area / np.pi)
    number = int(np.clip(area / 15, 9, 160))
    crumbs = (1.5 + 0.6 * np.sqrt(radius)) * np.exp(generator.normal(0, 0.4, number))
    angle = generator.uniform(0, 2 * np.pi, number)
    turns = generator.uniform(0, 2 * np.pi, 2)
    reach = 1 + 0.35 * np.cos(2 * angle + turns[0]) + 0.25 * np.cos(3 * angle + turns[1])
    out = 0.85 * np.sqrt(generator.random(number))
    crumbs[0], out[0] = 0.65 * radius, 0.0  # A core, so that the heap has no holes.
    base = radius * (0.5 * np.sqrt(1 - out**2) + generator.normal(0, 0.15, number))
    base[0] = -0.3 * radius
    rows, columns = radius * out * reach * np.sin(angle), radius * out * reach * np.cos(angle)

    y, x = _square(1.5 * radius + crumbs.max())
    # Crumbs are round in bent coordinates, hence not on the image.
    bend = 0.35 * np.sqrt(radius)
    y = y + bend * _cloud(generator, y.shape, 2.5) + 2 * bend * _cloud(generator, y.shape, 7)
    x = x + bend * _cloud(generator, y.shape, 2.5) + 2 * bend * _cloud(generator, y.shape, 7)
    relief, cover = np.full(y.shape, -0.5 * radius), np.zeros(y.shape)
    for row, column, crumb, height in zip(rows, columns, crumbs, base, strict=True):
        away = np.hypot(y - row, x - column)
        surface = height + np.sqrt(np.maximum(crumb**2 - away**2, 0))
        relief = np.where(away < crumb, np.maximum(relief, surface), relief)
        cover = np.maximum(cover, np.clip((crumb - away) / EDGE + 0.5, 0, 1))
    relief += 0.35 * _cloud(generator, y.shape, 1.0) + 0.6 * _cloud(generator, y.shape, 2.5)
    crevices = relief - ndimage.gaussian_filter(relief, 2.5)
    slopes = np.gradient(ndimage.gaussian_filter(relief, 0.7), axis=1)
    light = 0.78 + 0.28 * np.tanh(crevices / 2) - 0.12 * np.tanh(slopes)
    return cover, np.maximum(light + 0.05 * _cloud(generator, y.shape, 5), 0.1)


def _square(half):
    half = int(np.ceil(half)) + 2
    return np.mgrid[-half : half + 1, -half : half + 1].astype(float)


def _cloud(generator, shape, size):
    """Draw smooth noise of spread 1."""
    noise = ndimage.gaussian_filter(generator.normal(size=shape), size, mode="wrap")
    return 2 * np.sqrt(np.pi) * size * noise
