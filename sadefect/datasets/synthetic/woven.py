"""Woven cloth under a camera: threads that pass over and under each other, and what befalls them.

Everything is drawn at twice the final size and averaged over areas in the end, as the paper's
512x512 photographs are. Lengths are in pixels of the drawing; u and v count threads.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage import draw

SCALE = 2  # The drawing's size over the image's.
NATIVE = 512  # The drawing for which the lengths of defects are given.

TURN, SKEW = 0.025, 0.01  # Spread of the cloth's angle to the camera, in radians, and its shear.
SLACK = 2.0, 90  # How far threads are from straight, and over what length.
THICKNESS = 0.07, 0.08  # Spread between threads, and along one.
STAIN = 0.05, 0.04  # The same of their light.
TWIST = 0.07  # Of the yarn's strands, in light.
RISE = 0.6  # How far a thread goes up and down, in half its thickness.
SLOPE, HOLLOW = 0.5, 0.95  # Light that slopes take and give, and that hollows lose.
FUZZ = 0.15  # Fibres too fine to be drawn.
LIGHTING = 0.06  # How uneven the lamp is.
BLUR = 1.1  # Of the lens.
GRAIN = 0.012  # Of the camera, in the image.


class Cloth(NamedTuple):
    """Describe a way of weaving."""

    pitch: float  # Distance of neighbouring threads.
    # Warp lies over weft where ``(warp - step * weft) % repeat < float_length``.
    float_length: int
    repeat: int
    step: int
    warp: float  # How light the threads are.
    weft: float


CLOTHS = {
    "weave": Cloth(pitch=15.0, float_length=1, repeat=2, step=1, warp=0.72, weft=0.66),
    "twill": Cloth(pitch=11.0, float_length=2, repeat=4, step=1, warp=0.45, weft=0.78),
}


class _Flaws:
    """Collect what lies over the cloth, how light it is, and how far threads were pushed."""

    def __init__(self, side):
        self.side, self.scale = side, side / NATIVE
        self.cover, self.light = np.zeros((2, side, side))
        self.shift = np.zeros((2, side, side))

    def lay(self, cover, light):
        """Put something with soft edges on the cloth."""
        self.light = np.where(cover > 0, light, self.light)
        self.cover = np.maximum(self.cover, cover)

    def stroke(self, start, step, gray, within=None):
        """Lay a loose fibre, two pixels wide."""
        for offset in ((0, 0), (0, 1), (1, 0)):
            ends = np.round([*start, *(start + step)]).astype(int)
            rows, columns, values = draw.line_aa(*ends)
            rows, columns = rows + offset[0], columns + offset[1]
            kept = (rows >= 0) & (rows < self.side) & (columns >= 0) & (columns < self.side)
            rows, columns, values = rows[kept], columns[kept], values[kept]
            if within is not None:
                values = values * within[rows, columns]
            drawn = values > 0.3
            rows, columns, values = rows[drawn], columns[drawn], values[drawn]
            self.light[rows, columns] = gray
            self.cover[rows, columns] = np.maximum(self.cover[rows, columns], values)


def woven(seed, shape, kind="good", clean=False, mask_only=False, *, cloth):
    """Paint a piece of cloth; parameters and what is returned are those of `fibres`.

    The image is a square, ``kind`` is one of `FLAWS` or "good", ``cloth`` a `Cloth`. The mask has
    the pixels of which defects take at least half.
    """
    threads, defects, noise = (np.random.default_rng(child) for child in seed.spawn(3))
    flaws = _Flaws(SCALE * shape[0])
    if kind != "good":
        for _ in range(defects.integers(1, 3)):
            FLAWS[kind](defects, flaws)
    mask = _average(np.maximum(flaws.cover, (flaws.shift != 0).any(axis=0))) >= 0.5
    if mask_only:
        return None, mask
    if clean:
        flaws = _Flaws(flaws.side)
    gray = _weave(threads, cloth, flaws.side, flaws.shift)
    gray += flaws.cover * (flaws.light - gray)
    gray *= 1 + LIGHTING * _slow(noise, flaws.side, 0.7 * flaws.side)
    image = _average(ndimage.gaussian_filter(gray, BLUR))
    return np.clip(image + GRAIN * noise.normal(size=image.shape), 0, 1), mask


def _average(array):
    side = array.shape[0] // SCALE
    return array.reshape(side, SCALE, side, SCALE).mean(axis=(1, 3))


def _weave(generator, cloth, side, shift):
    """Draw gray values of the cloth; `shift` moves its threads."""
    y, x = np.mgrid[:side, :side] - side / 2
    turn, skew = generator.normal(0, TURN), generator.normal(0, SKEW)
    across = x + turn * y + SLACK[0] * _slow(generator, side, SLACK[1]) + shift[1]
    along = y - (turn + skew) * x + SLACK[0] * _slow(generator, side, SLACK[1]) + shift[0]
    number = int(side / cloth.pitch) + 12  # Some more than are seen, for turned and shifted cloth.
    u, v = (_count(generator, place / cloth.pitch, number) for place in (across, along))
    i, j = np.mgrid[:number, :number]
    signs = np.where((i - cloth.step * j) % cloth.repeat < cloth.float_length, 1.0, -1.0)
    warp_height, warp_light = _threads(generator, u, v, signs)
    weft_height, weft_light = _threads(generator, v, u, -signs.T)

    over = np.clip(0.5 + 4 * (warp_height - weft_height), 0, 1)
    gray = over * cloth.warp * warp_light + (1 - over) * cloth.weft * weft_light
    height = np.maximum(warp_height, weft_height)
    slopes = np.gradient(ndimage.gaussian_filter(height, 0.8))
    facing = cloth.pitch / 15 * (slopes[0] + 0.6 * slopes[1])
    hollow = np.maximum(1 - height / (1 + RISE), 0)
    fuzz = ndimage.gaussian_filter(generator.normal(size=height.shape), 0.8)
    return gray * (1 + SLOPE * facing) * (1 - HOLLOW * hollow) * (1 + FUZZ * fuzz)


def _count(generator, position, number):
    """Count positions in threads, which are not equally thick; from 2 to number - 2."""
    edges = np.arange(number + 1) + generator.normal(0, THICKNESS[0], number + 1)
    middle = number / 2 + generator.uniform(-0.5, 0.5)
    return np.clip(np.interp(position + middle, edges, np.arange(number + 1.0)), 2, number - 2)


def _threads(generator, u, v, signs):
    """Draw height and light of threads of which u is the number and v the way along.

    Thread i lies over thread j of the other kind where ``signs[i, j]`` is 1, else under it.
    """
    thread = u.astype(int)
    crossing = (v - 0.5).astype(int)
    way = v - 0.5 - crossing
    way = way * way * (3 - 2 * way)
    rise = signs[thread, crossing] * (1 - way) + signs[thread, crossing + 1] * way

    number = len(signs)
    table = generator.normal(size=(2, number, number // 2 + 2))
    place = (v / 2).astype(int)
    part = v / 2 - place
    wide, stain = (t[thread, place] * (1 - part) + t[thread, place + 1] * part for t in table)
    away = (2 * (u - thread) - 1) / (0.95 + THICKNESS[1] * wide)
    height = RISE * rise + np.sqrt(np.maximum(1 - away**2, 0))
    own = 1 + STAIN[0] * generator.normal(size=number)
    phase = generator.uniform(0, 2 * np.pi, number)
    twist = np.sin(2 * np.pi * (1.6 * v + 0.9 * away) + phase[thread])
    return height, own[thread] * (1 + STAIN[1] * stain + TWIST * twist)


def _slow(generator, side, length):
    """Draw smooth noise of about spread 1 over lengths that are not short."""
    knots = int(np.ceil(side / length)) + 3
    coarse = generator.normal(size=(knots, knots))
    place = np.arange(side) / length + generator.random()
    weights = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(knots)))
    weights = weights * weights * (3 - 2 * weights)
    return 1.4 * weights @ coarse @ weights.T


def _around(generator, side, border):
    """Return two coordinates about a random place and direction, and what they were made from."""
    row, column = generator.uniform(border * side, (1 - border) * side, 2)
    turn = generator.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:side, :side].astype(float)
    along = np.cos(turn) * (x - column) + np.sin(turn) * (y - row)
    away = np.cos(turn) * (y - row) - np.sin(turn) * (x - column)
    return along, away, np.array([row, column]), turn


def _cut(generator, flaws):
    """Cut a slit between frayed edges, hardly darker than the cloth."""
    along, away, middle, turn = _around(generator, flaws.side, 0.25)
    half = flaws.scale * generator.uniform(45, 100)
    along = along / half
    bend = flaws.scale * generator.normal(0, 8)
    away = away - bend * along**2
    knots = np.linspace(-1, 1, 60)
    edges = (np.interp(along, knots, generator.normal(0, 1.6, 60)) for _ in range(2))
    width = generator.uniform(5, 9) * np.sqrt(np.maximum(1 - along**2, 0))
    width += np.where(away > 0, *edges)
    slit = np.where(np.abs(along) < 1, np.clip(width - np.abs(away), 0, 1), 0)
    flaws.lay(slit, 0.33 + 0.04 * _slow(generator, flaws.side, 12))
    # Ends of threads stick out into the slit.
    forward = np.array([np.sin(turn), np.cos(turn)])
    sideward = np.array([np.cos(turn), -np.sin(turn)])
    for place in generator.uniform(-0.9, 0.9, int(half / 4)):
        start = middle + half * place * forward + bend * place**2 * sideward
        step = generator.normal(0, 0.5) * forward + generator.choice([-1, 1]) * sideward
        step *= flaws.scale * generator.uniform(4, 13)
        flaws.stroke(start - 0.9 * step, 1.3 * step, generator.uniform(0.45, 0.75))


def _roughen(generator, flaws):
    """Rub threads of an area out of place, with loose fibres on it."""
    along, away, middle, _ = _around(generator, flaws.side, 0.2)
    radius = flaws.scale * generator.uniform(30, 60)
    stretch = np.exp(generator.uniform(0, 0.4))
    outline = radius * (1 + 0.2 * _slow(generator, flaws.side, 25 * flaws.scale))
    window = np.clip((outline - np.hypot(along / stretch, away * stretch)) / 4, 0, 1)
    for axis in range(2):
        push = 4.5 * _slow(generator, flaws.side, 14) + 2.0 * _slow(generator, flaws.side, 6)
        flaws.shift[axis] += window * push
    for _ in range(int(radius)):
        start = middle + generator.uniform(-0.6, 0.6, 2) * radius
        step = generator.normal(0, 0.3 * radius, 2)
        flaws.stroke(start, step, generator.uniform(0.4, 0.8), within=window > 0)


def _pin(generator, flaws):
    """Lay a metal pin with a head on the cloth, which shines."""
    along, away, *_ = _around(generator, flaws.side, 0.2)
    length = flaws.scale * generator.uniform(80, 170)
    radius, head = generator.uniform(3.5, 5.5), generator.uniform(8, 12)
    taper = radius * np.clip((length - along) / (0.25 * length), 0.15, 1)
    shaft = np.where((along > 0) & (along < length), np.clip(taper - np.abs(away) + 0.5, 0, 1), 0)
    flaws.lay(shaft, 0.15 + 0.85 * np.exp(-(((away / radius - 0.2) / 0.45) ** 2)))
    ball = np.clip(head - np.hypot(along, away) + 0.5, 0, 1)
    from_shine = np.hypot(along + 0.35 * head, away - 0.35 * head) / head
    flaws.lay(ball, 0.12 + 0.88 * np.exp(-((from_shine / 0.6) ** 2)))


FLAWS = {"cut": _cut, "rough": _roughen, "pin": _pin}
