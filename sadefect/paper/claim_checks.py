"""Checks of claims that need no training: of SSIM, of the network, of edges on the checkerboard.

Each takes the limits of its rule, and returns whether the claim holds and the numbers that say so.
Frameworks are imported by the checks that need them.
"""

import numpy as np

from sadefect.paper import numbers as paper
from sadefect.paper.rules import checked, exceeds

CLEAR = 0.1  # Of AUROC: a clear lead, where the paper gives no numbers.
TERM, OTHERS = 0.1, 0.9  # The term meant is below the one, the other two are above the other.


def _eq_8(p, q, c1, c2):
    """Compute SSIM of patches ``(N, K, K)`` in float64, unclipped."""
    p, q = (patches.reshape(len(patches), -1).astype("float64") for patches in (p, q))
    mean_p, mean_q = p.mean(1), q.mean(1)
    covariance = (p * q).mean(1) - mean_p * mean_q
    product = (2 * mean_p * mean_q + c1) * (2 * covariance + c2)
    return product / ((mean_p**2 + mean_q**2 + c1) * (p.var(1) + q.var(1) + c2))


def _pairs(count):
    """Make patches of 11 pixels, and a different one for each: noise, brightness, contrast."""
    generator = np.random.default_rng(0)
    p = generator.random((count, 11, 11), dtype="float32")
    noise = np.zeros_like(p)
    noise[::4] = generator.random(p[::4].shape, dtype="float32")
    changed = (noise, 0.8 * p + 0.2, 0.5 + 0.5 * (p - 0.5), 1 - p)
    return p, np.choose(np.arange(count)[:, None, None] % len(changed), changed)


def _whole_patch(function, p, q):
    """Apply a function of `sadefect.structural_similarity` to whole patches: a number per pair."""
    values = function(p[..., None], q[..., None], data_range=1.0, padding="valid")
    maps = values if isinstance(values, tuple) else (values,)
    return np.stack([np.asarray(values).reshape(-1) for values in maps])


@checked(
    "For {pairs} pairs of patches our SSIM equals eq. 8 and lies between -1 and 1; it is 1 where "
    "patches are equal and below {different_below:g} where they differ.",
    pairs=100,
    different_below=0.999,
)
def ssim_is_bounded(pairs, different_below):
    """Compare SSIM with eq. 8 in float64, for equal and for different patches."""
    from sadefect.structural_similarity import SSIMOptions, ssim_map

    p, q = _pairs(pairs)
    exact = _eq_8(p, q, *SSIMOptions(data_range=1.0).constants)
    equal, different = _whole_patch(ssim_map, p, p)[0], _whole_patch(ssim_map, p, q)[0]
    off = abs(different - exact).max()
    holds = off < 1e-4 and abs(exact).max() <= 1 and equal.min() > 1 - 1e-6
    return (
        bool(holds and different.max() < different_below),
        f"{len(p)} pairs of different patches: {different.min():.3f} to {different.max():.3f}, at "
        f"most {off:.0e} from eq. 8 in 64 bits; {len(p)} pairs of equal ones: at least "
        f"{equal.min():.6f}",
    )


@checked(
    "For {pairs} pairs of patches the product and eq. 8 differ by less than {apart:g}.",
    pairs=100,
    apart=1e-4,
)
def ssim_is_a_product(pairs, apart):
    """Compare SSIM with the product of its three terms."""
    from sadefect.structural_similarity import ssim_components, ssim_map

    p, q = _pairs(pairs)
    off = abs(_whole_patch(ssim_components, p, q).prod(0) - _whole_patch(ssim_map, p, q)[0]).max()
    return bool(off < apart), f"{len(p)} pairs of patches: at most {off:.0e} apart"


def answers_alone(terms, number, own=TERM, others=OTHERS):
    """Return whether one of a pair's three terms is below a limit, and the others above one."""
    beside = [term for at, term in enumerate(terms) if at != number]
    return bool(terms[number] < own and min(beside) > others)


@checked(
    "In three pairs of patches, changed in one respect each and by the same squared difference in "
    "every pixel, the term for it is below {own:g} and the other two are above {others:g}.",
    own=TERM,
    others=OTHERS,
)
def each_term_sees_one_thing(own, others):
    """Compare patches that differ in luminance, contrast or structure alone."""
    from sadefect.structural_similarity import ssim_components

    flat = np.zeros((11, 11), "float32")
    board = np.indices(flat.shape).sum(0).astype("float32") % 2  # Zeros and ones.
    half = (board + 0.5) / 2
    pairs = ((flat, flat + 0.5), (flat + 0.5, board), (half, 1 - half))
    p, q = map(np.stack, zip(*pairs, strict=True))
    squared = (p - q) ** 2
    terms = _whole_patch(ssim_components, p, q)  # Rows l, c, s.
    alone = [answers_alone(pair, number, own, others) for number, pair in enumerate(terms.T)]
    meant = zip("lcs", terms.diagonal(), strict=True)
    return (
        bool(np.ptp(squared) < 1e-6 and all(alone)),
        f"on other patches than the figure's, squared difference {squared.min():.2f} to "
        f"{squared.max():.2f} in every pixel; the term meant: "
        f"{', '.join(f'{name} {term:.3f}' for name, term in meant)}; the other two: at least "
        f"{terms[~np.eye(3, dtype=bool)].min():.3f}",
    )


def against_edges(maps, border=0):
    """Compute the AUROC of defects against edges of the checkerboard, and of no other pixels.

    ``maps`` are the residual maps ``(H, W)`` of the test images, in their order; ``border`` columns
    are left out on both sides.
    """
    from sadefect.datasets import load_dataset
    from sadefect.datasets.synthetic import checkerboard
    from sadefect.metrics import auroc

    masks, values = [], []
    samples = load_dataset(checkerboard.NAME).test
    for number, (sample, residual) in enumerate(zip(samples, maps, strict=True)):
        kept = sample.mask | checkerboard.edges(number)
        kept[:, :border] = kept[:, kept.shape[1] - border :] = False
        masks.append(sample.mask[kept][None])
        values.append(np.asarray(residual)[kept][None])
    return auroc(masks, values)


@checked(
    "Where checkerboards with defects are compared with clean ones shifted by a pixel, the AUROC "
    "of defects against edges is higher for SSIM than for ℓ² by at least {lead:g}.",
    lead=CLEAR,
)
def edges_mislead_less(lead):
    """Compare SSIM and squared differences where a reconstruction is off by a pixel."""
    from sadefect.datasets import load_dataset
    from sadefect.datasets.synthetic import checkerboard
    from sadefect.structural_similarity import ssim_residual

    l2, ssim = [], []
    for number, sample in enumerate(load_dataset(checkerboard.NAME).test):
        moved = np.roll(checkerboard.beneath(number), 1, axis=1)
        l2.append((sample.image - moved) ** 2)
        ssim.append(ssim_residual(sample.image, moved))
    # Without what was rolled in from the other side, and around.
    ours, theirs = (against_edges(maps, border=8) for maps in (ssim, l2))
    return (
        exceeds(lead).holds((ours, theirs)),
        f"AUROC of defects against edges, {len(ssim)} images, without a network: SSIM {ours:.3f}, "
        f"ℓ² {theirs:.3f}, difference {ours - theirs:.3f}",
    )


@checked(
    "All nine layers of our encoder have the output size, kernel, stride and padding of table 1."
)
def encoder_is_table_1():
    """Compare the encoder with table 1, layer by layer."""
    from sadefect.models import build_encoder, table_1_row

    d = 100
    layers = {layer.name: layer for layer in _convolutions(build_encoder(latent_dim=d))}
    reported = paper.REPORTED_ENCODER
    equal = sum(
        name in layers and table_1_row(layers[name]) == (size.replace("d", str(d)), filtering)
        for name, (size, filtering) in reported.items()
    )
    return (
        equal == len(reported) == len(layers),
        f"{equal} of {len(reported)} layers equal in size, kernel, stride and padding; the encoder "
        f"has {len(layers)} convolutions",
    )


@checked("Each layer of our encoder is mirrored by one of the same kernel, stride and padding.")
def decoder_is_a_mirror():
    """Compare the decoder with the encoder, the last layer with the first."""
    from sadefect.models import build_decoder, build_encoder, table_1_row

    down, up = _convolutions(build_encoder()), _convolutions(build_decoder())[::-1]
    equal = sum(
        tuple(layer.input.shape[1:]) == tuple(mirrored.output.shape[1:])
        and tuple(layer.output.shape[1:]) == tuple(mirrored.input.shape[1:])
        and table_1_row(layer)[1] == table_1_row(mirrored)[1]
        for layer, mirrored in zip(down, up, strict=False)
    )
    return (
        equal == len(down) == len(up),
        f"{equal} of {len(down)} layers mirrored by one of the same kernel, stride and padding",
    )


def _convolutions(network):
    return [layer for layer in network.layers if hasattr(layer, "kernel_size")]
