"""What the paper claims, the rule that decides each claim, and what the results say.

Rules are ours, and so are their thresholds. They were fixed when first results on nanofibres, after
little training, had been seen.

A claim has a rule on results, taken at the largest budget that all compared runs have; or a rule on
SSIM or the network, checked when it is asked for; or a reason why nothing here can test it.
Stand-ins for the paper's images or features are mentioned beside a claim, and decide none.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from . import paper
from . import results as stored
from .experiments import Experiment
from .paper import QUOTED, RECALLED, SEED

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
NOT_TESTABLE = "not testable here"
VERDICTS = (REPRODUCED, NOT_REPRODUCED, NOT_TESTABLE)

LEAP = 0.2  # Of AUROC, where both numbers of the paper are known.
CLEAR = 0.1  # Of AUROC, where they are not.
SAME = 0.02  # Of AUROC: less is not a difference; the paper has single runs, without a spread.
FABRICS = ("fabric1", "fabric2")
STANDINS = ("synthetic/weave", "synthetic/twill", "mvtec_ad/grid")  # For the fabrics.
LABELS = {"ssim": "SSIM", "vae": "VAE", "feature_matching": "feature matching"}
SETTINGS = {"latent_dim": "d={}", "window_size": "K={}", "patch_size": "patches of {} pixels"}


@dataclass(frozen=True)
class Claim:
    """A claim of the paper and the rule that decides it.

    Attributes
    ----------
    key : str
    text : str
        The claim in our words.
    where : str
        Section, table or figure.
    source : str
        How it is known: `paper.SEED`, `QUOTED` or `RECALLED`.
    page : str
        The notebook that shows it.
    rule : str
        What has to come out, in a sentence.
    needs : tuple of Experiment
        What has to have a result; budget, schedule and seed are those of the results.
    decide : callable, optional
        With ``needs``, it takes one number for each and says whether the claim holds. Without, it
        takes nothing, checks, and says the same and its evidence. None where nothing here can tell.
    measure : str
        Which number it takes, a key of `MEASURES`.
    reason : str
        Why nothing here can tell.
    """

    key: str
    text: str
    where: str
    source: str
    page: str
    rule: str
    needs: tuple = ()
    decide: Callable | None = None
    measure: str = "AUROC"
    reason: str = ""


@dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Attributes
    ----------
    claim : Claim
    verdict : str
        One of `VERDICTS`.
    evidence : str
        The numbers that it rests on, and their budget; or what is missing.
    used : tuple of Result
        That the evidence mentions.
    """

    claim: Claim
    verdict: str
    evidence: str
    used: tuple = ()


# Numbers of results


def _overlap(result):
    quantiles = result.metrics["overlap"].get(f"{paper.OVERLAP_FPR.value:g}", {})
    return quantiles.get("median")


def _seconds(result):
    """Seconds of scoring for each image; at most, because the metrics took some of them."""
    images = len(np.unique(result.curves.get("region_images", ())))
    seconds = result.provenance["seconds"].get("evaluation")
    return seconds / (images + result.metrics["threshold_images"]) if images and seconds else None


AT = f"at a false positive rate of {100 * paper.OVERLAP_FPR.value:g} %"
MEASURES = {
    "AUROC": lambda result: result.metrics["auroc"],
    f"median overlap {AT}": _overlap,
    "seconds for an image": _seconds,
}
AUROC, OVERLAP, SECONDS = MEASURES


# Checks that need no result


def _eq_5_to_8(p, q, c1, c2):
    """Luminance, contrast, structure and SSIM of patches ``(N, K, K)``, in float64, unclipped."""
    p, q = (patches.reshape(len(patches), -1).astype("float64") for patches in (p, q))
    mean_p, mean_q, std_p, std_q = p.mean(1), q.mean(1), p.std(1), q.std(1)
    covariance = (p * q).mean(1) - mean_p * mean_q
    luminance = (2 * mean_p * mean_q + c1) / (mean_p**2 + mean_q**2 + c1)
    contrast = (2 * std_p * std_q + c2) / (std_p**2 + std_q**2 + c2)
    structure = (2 * covariance + c2) / (2 * std_p * std_q + c2)
    whole = (2 * mean_p * mean_q + c1) * (2 * covariance + c2)
    whole /= (mean_p**2 + mean_q**2 + c1) * (std_p**2 + std_q**2 + c2)
    return luminance, contrast, structure, whole


def _pairs(count=100):
    """Patches of 11 pixels, and for each one that is different: noise, brightness, contrast."""
    generator = np.random.default_rng(0)
    p = generator.random((count, 11, 11), dtype="float32")
    kinds = (
        lambda one: generator.random(one.shape, dtype="float32"),
        lambda one: 0.8 * one + 0.2,
        lambda one: 0.5 + 0.5 * (one - 0.5),
        lambda one: 1 - one,
    )
    return p, np.stack([kinds[number % len(kinds)](one) for number, one in enumerate(p)])


def _whole_patch(function, p, q):
    """A function of `sadefect.ssim` of whole patches, one number for each pair."""
    values = function(p[..., None], q[..., None], data_range=1.0, padding="valid")
    each = values if isinstance(values, tuple) else (values,)
    return np.stack([np.asarray(one).reshape(-1) for one in each])


def _ssim_is_bounded():
    from .ssim import SSIMOptions, ssim_map

    p, q = _pairs()
    exact = _eq_5_to_8(p, q, *SSIMOptions(data_range=1.0).constants)[-1]
    equal, different = _whole_patch(ssim_map, p, p)[0], _whole_patch(ssim_map, p, q)[0]
    off = abs(different - exact).max()
    holds = off < 1e-4 and abs(exact).max() <= 1 and equal.min() > 1 - 1e-6
    return (
        bool(holds and different.max() < 0.999),
        f"{len(p)} pairs of different patches: {different.min():.3f} to {different.max():.3f}, at "
        f"most {off:.0e} from eq. 8 in 64 bits; {len(p)} pairs of equal ones: at least "
        f"{equal.min():.6f}",
    )


def _ssim_is_a_product():
    from .ssim import ssim_components, ssim_map

    p, q = _pairs()
    off = abs(_whole_patch(ssim_components, p, q).prod(0) - _whole_patch(ssim_map, p, q)[0]).max()
    return bool(off < 1e-4), f"{len(p)} pairs of patches: at most {off:.0e} apart"


def _each_term_sees_one_thing():
    from .ssim import ssim_components

    flat = np.zeros((11, 11), "float32")
    board = np.indices(flat.shape).sum(0).astype("float32") % 2  # Zeros and ones.
    half = (board + 0.5) / 2
    pairs = ((flat, flat + 0.5), (flat + 0.5, board), (half, 1 - half))
    p, q = (np.stack(each) for each in zip(*pairs, strict=True))
    squared = (p - q) ** 2
    terms = _whole_patch(ssim_components, p, q)  # Rows l, c, s.
    holds = np.ptp(squared) < 1e-6 and terms.diagonal().max() < 0.1
    own = ", ".join(f"{name} {one:.3f}" for name, one in zip("lcs", terms.diagonal(), strict=True))
    others = terms[~np.eye(3, dtype=bool)].min()
    return (
        bool(holds and others > 0.9),
        f"squared difference {squared.min():.2f} to {squared.max():.2f} in every pixel; the term "
        f"meant: {own}; the other two: at least {others:.3f}",
    )


def _edges_mislead_less():
    from scipy import ndimage

    from .anomaly_maps import ssim_residual
    from .datasets import checkerboard, load_dataset
    from .metrics import auroc

    masks, l2, ssim = [], [], []
    for number, sample in enumerate(load_dataset(checkerboard.NAME).test):
        board = checkerboard.beneath(number)
        moved = np.roll(board, 1, axis=1)
        kept = sample.mask | ndimage.binary_dilation(abs(board - 0.5) < 0.39, iterations=3)
        kept[:, :8] = kept[:, -8:] = False  # What was rolled in from the other side, and around.
        masks.append(sample.mask[kept][None])
        l2.append(((sample.image - moved) ** 2)[kept][None])
        ssim.append(np.asarray(ssim_residual(sample.image, moved))[kept][None])
    ours, theirs = auroc(masks, ssim), auroc(masks, l2)
    return (
        bool(ours - theirs >= CLEAR),
        f"AUROC of defects against edges, {len(masks)} images: SSIM {ours:.3f}, l2 {theirs:.3f}, "
        f"difference {ours - theirs:.3f}",
    )


def _filtering(layer):
    """Output size; kernel, stride and padding of a convolution, as table 1 writes them."""
    kernel, stride = layer.kernel_size[0], layer.strides[0]
    coarse, fine = sorted((layer.input.shape[1], layer.output.shape[1]))
    padding = ((coarse - 1) * stride + kernel - fine) // 2
    size = "x".join(map(str, layer.output.shape[1:]))
    return size, f"{kernel}x{layer.kernel_size[1]}, {stride}, {padding}"


def _encoder_is_table_1():
    from .models import build_encoder

    d = 100
    encoder = build_encoder(latent_dim=d)
    names = [layer.name for layer in encoder.layers if hasattr(layer, "kernel_size")]
    reported = {
        name: (size.replace("d", str(d)), filtering)
        for name, (size, filtering) in paper.TABLE_1.items()
    }
    equal = sum(
        name in names and _filtering(encoder.get_layer(name)) == row
        for name, row in reported.items()
    )
    return (
        equal == len(reported) == len(names),
        f"{equal} of {len(reported)} layers equal in size, kernel, stride and padding; the encoder "
        f"has {len(names)} convolutions",
    )


def _decoder_is_a_mirror():
    from .models import build_decoder, build_encoder

    encoder, decoder = build_encoder(), build_decoder()
    there = [layer for layer in encoder.layers if hasattr(layer, "kernel_size")]
    back = [layer for layer in decoder.layers if hasattr(layer, "kernel_size")][::-1]
    equal = sum(
        tuple(one.input.shape[1:]) == tuple(other.output.shape[1:])
        and tuple(one.output.shape[1:]) == tuple(other.input.shape[1:])
        and _filtering(one)[1] == _filtering(other)[1]
        for one, other in zip(there, back, strict=False)
    )
    return (
        equal == len(there) == len(back),
        f"{equal} of {len(there)} layers undone by one of the same kernel, stride and padding",
    )


# The claims


def _spread(values):
    return round(max(values) - min(values), 6)  # So that rounding decides nothing.


def _lead(values):
    """How far the first value is above the largest of the others."""
    return round(values[0] - max(values[1:]), 6)


def _fibres(method="ssim", **settings):
    if method == "feature_matching":
        settings |= {"features": "imagenet"}  # The paper's; the stand-in's decide nothing.
    return Experiment(dataset="nanotwice", method=method, **settings)


def _fabrics(*methods):
    return tuple(
        replace(_fibres(method), dataset=dataset, latent_dim=100)
        for dataset in FABRICS
        for method in methods
    )


def _column(name, values=None):
    return tuple(_fibres(**{name: value}) for value in values or paper.TABLE_2[name])


def _cells():
    return tuple(dict.fromkeys(cell for name in paper.TABLE_2 for cell in _column(name)))


REPORTED_SPREAD = _spread([one.value for row in paper.TABLE_2.values() for one in row.values()])
_WITHIN = "AUROC of {} on nanofibres is within {:g} of the paper's {:g}."


def _near(method):
    reported = paper.AUROC["nanotwice", method].value
    return {
        "rule": _WITHIN.format(LABELS.get(method, method), SAME, reported),
        "needs": (_fibres(method),),
        "decide": lambda values: round(abs(values[0] - reported), 6) <= SAME,
    }


CLAIMS = (
    # Section 5, the conclusion.
    Claim(
        "ssim_beats_l2",
        "Replacing l2 by SSIM improves the segmentation of nanofibres significantly.",
        "section 5, figure 6",
        SEED,
        "fig06_roc",
        f"AUROC of SSIM exceeds that of l2 by at least {LEAP:g} on nanofibres.",
        (_fibres("ssim"), _fibres("l2")),
        lambda values: _lead(values) >= LEAP,
    ),
    Claim(
        "ssim_beats_l2_on_fabrics",
        "It does so on two woven fabrics too.",
        "section 5, figure 6",
        SEED,
        "fig05_textures",
        f"AUROC of SSIM exceeds that of l2 by at least {CLEAR:g} on each of the two fabrics.",
        _fabrics("ssim", "l2"),
        lambda values: min(_lead(values[:2]), _lead(values[2:])) >= CLEAR,
    ),
    Claim(
        "l2_almost_unusable",
        "Comparing pixel by pixel is almost useless where defects keep the material's gray values.",
        "section 5",
        SEED,
        "fig06_roc",
        "AUROC of l2 on nanofibres is below 0.75, halfway between guessing and perfect.",
        (_fibres("l2"),),
        lambda values: values[0] < 0.75,
    ),
    Claim(
        "vae_no_gain",
        "The probabilistic comparison of a VAE does not improve on l2.",
        "section 5",
        SEED,
        "fig06_roc",
        f"AUROC of VAE exceeds that of l2 by at most {SAME:g} on nanofibres.",
        (_fibres("vae"), _fibres("l2")),
        lambda values: _lead(values) <= SAME,
    ),
    Claim(
        "feature_matching_no_gain",
        "Sharper reconstructions by feature matching do not improve on l2.",
        "section 5",
        SEED,
        "fig06_roc",
        f"AUROC of feature matching exceeds that of l2 by at most {SAME:g} on nanofibres.",
        (_fibres("feature_matching"), _fibres("l2")),
        lambda values: _lead(values) <= SAME,
    ),
    Claim(
        "ssim_on_par",
        "SSIM is on par with a method that relies on pretrained networks.",
        "section 5",
        SEED,
        "fig06_roc",
        f"AUROC of SSIM on nanofibres is at most {SAME:g} below that of the feature-based method, "
        f"{paper.AUROC_NAPOLETANO.value:g}, a number that we recall.",
        (_fibres(),),
        lambda values: round(paper.AUROC_NAPOLETANO.value - values[0], 6) <= SAME,
    ),
    Claim(
        "edges_mislead_less",
        "SSIM is less sensitive to edges that a reconstruction puts a little off.",
        "section 5, figure 3",
        SEED,
        "fig03_checkerboard",
        "A checkerboard with defects is compared with the clean one moved by a pixel: AUROC of "
        f"defects against edges is higher for SSIM than for l2 by at least {CLEAR:g}.",
        decide=_edges_mislead_less,
    ),
    Claim(
        "three_measures",
        "SSIM takes luminance, contrast and structure into account, which l2 cannot tell apart.",
        "section 5, figure 2",
        SEED,
        "fig02_three_terms",
        "Three pairs of patches with one squared difference in all pixels, each changed in one "
        "respect: its term is below 0.1, and the other two above 0.9.",
        decide=_each_term_sees_one_thing,
    ),
    Claim(
        "fabrics_are_public",
        "The two woven fabrics are available to everybody.",
        "section 5",
        SEED,
        "fig04_textures",
        "The images can be fetched from where the authors put them.",
        reason="no result says so; the images could not be obtained for this book",
    ),
    # Section 4.3, beside the seed page's figures 7 and 8.
    Claim(
        "ssim_auroc",
        "The area under the ROC curve of SSIM on nanofibres.",
        "table 2",
        SEED,
        "fig06_roc",
        **_near("ssim"),
    ),
    Claim(
        "l2_auroc",
        "The area under the ROC curve of l2 on nanofibres.",
        "section 4.3",
        QUOTED,
        "fig06_roc",
        **_near("l2"),
    ),
    Claim(
        "ssim_best",
        "SSIM is far above all three methods that compare pixel by pixel.",
        "section 4.3, figure 6",
        RECALLED,
        "fig06_roc",
        f"AUROC of SSIM exceeds those of l2, VAE and feature matching by at least {CLEAR:g} on "
        "nanofibres.",
        tuple(map(_fibres, ("ssim", "l2", "vae", "feature_matching"))),
        lambda values: _lead(values) >= CLEAR,
    ),
    Claim(
        "feature_matching_helps_fibres",
        "Feature matching helps on nanofibres only, which qualifies the conclusion.",
        "section 4.3",
        RECALLED,
        "fig06_roc",
        f"AUROC of feature matching exceeds that of l2 by more than {SAME:g} on nanofibres.",
        (_fibres("feature_matching"), _fibres("l2")),
        lambda values: _lead(values) > SAME,
    ),
    Claim(
        "feature_matching_not_on_fabrics",
        "Feature matching does not help on the fabrics.",
        "section 4.3",
        RECALLED,
        "fig06_roc",
        f"AUROC of feature matching exceeds that of l2 by at most {SAME:g} on each fabric.",
        _fabrics("feature_matching", "l2"),
        lambda values: max(_lead(values[:2]), _lead(values[2:])) <= SAME,
    ),
    Claim(
        "l2_misses_regions",
        "On nanofibres l2 misses the defects that SSIM outlines.",
        "figure 1",
        QUOTED,
        "fig01_nanofibres",
        f"The median overlap of l2 with the defects is below half that of SSIM, {AT}.",
        (_fibres("ssim"), _fibres("l2")),
        lambda values: values[1] < values[0] / 2,
        OVERLAP,
    ),
    Claim(
        "overlap",
        "More than half of the defects are covered by more than "
        f"{100 * paper.OVERLAP_MEDIAN.value:g} %.",
        "section 4.3, figure 7",
        RECALLED,
        "fig07_region_overlap",
        f"The median overlap of SSIM on nanofibres exceeds {paper.OVERLAP_MEDIAN.value:g} {AT}.",
        (_fibres(),),
        lambda values: values[0] > paper.OVERLAP_MEDIAN.value,
        OVERLAP,
    ),
    Claim(
        "overlap_beats_features",
        "That is more than the feature-based method covers.",
        "section 4.3",
        RECALLED,
        "fig07_region_overlap",
        f"The median overlap of SSIM on nanofibres exceeds {paper.OVERLAP_NAPOLETANO.value:g} "
        f"{AT}.",
        (_fibres(),),
        lambda values: values[0] > paper.OVERLAP_NAPOLETANO.value,
        OVERLAP,
    ),
    Claim(
        "faster_than_features",
        "An image takes seconds, and 15 or 55 of them with the feature-based method.",
        "section 4.3",
        SEED,
        "runtime",
        f"Scoring a nanofibre image with SSIM takes less than "
        f"{paper.SECONDS_FEATURE_BASED[0].value:g} s on the machine of the result.",
        (_fibres(),),
        lambda values: values[0] < paper.SECONDS_FEATURE_BASED[0].value,
        SECONDS,
    ),
    Claim(
        "gpu_time",
        f"A patch takes {1000 * paper.SECONDS_PER_PATCH.value:g} ms and an image "
        f"{paper.SECONDS_PER_IMAGE.value:g} s on a Tesla V100.",
        "section 4.3",
        RECALLED,
        "runtime",
        "The same times come out on the same GPU.",
        reason="no result is from a Tesla V100; the page has the times of this machine",
    ),
    Claim(
        "pins",
        "Metal pins on a fabric are found by l2 and by SSIM, though l2 fires on edges as well.",
        "section 4.3, figure 8",
        SEED,
        "fig08_pins_and_cuts",
        "On the fabric's image with pins, both find the pins, and l2 flags more beside them.",
        reason="the image is one of the real fabrics, and no result says which defects are pins; "
        "the page shows synthetic cloth, which decides nothing",
    ),
    Claim(
        "cut",
        "A cut in a fabric, low in contrast, is found by SSIM and missed by l2.",
        "section 4.3, figure 8",
        SEED,
        "fig08_pins_and_cuts",
        "On the fabric's image with a cut, SSIM finds the cut and l2 does not.",
        reason="the image is one of the real fabrics, and no result says which defects are cuts; "
        "the page shows synthetic cloth, which decides nothing",
    ),
    # Table 2.
    Claim(
        "settings_hardly_matter",
        "Other settings do not change the result significantly.",
        "table 2, caption",
        SEED,
        "tab02_sensitivity",
        f"AUROC of the best and of the worst cell differ by at most {REPORTED_SPREAD:g}, as in the "
        "paper's own table.",
        _cells(),
        lambda values: _spread(values) <= REPORTED_SPREAD,
    ),
    Claim(
        "default_is_best",
        "The best setting is d=500, windows of 11 and patches of 128 pixels.",
        "table 2",
        SEED,
        "tab02_sensitivity",
        "That cell has the highest AUROC of all.",
        (_fibres(), *(cell for cell in _cells() if cell != _fibres())),
        lambda values: _lead(values) > 0,
    ),
    Claim(
        "small_latent_dim_is_worse",
        "A latent space of 50 dimensions is too small.",
        "table 2",
        SEED,
        "tab02_sensitivity",
        f"AUROC with d=500 exceeds that with d=50 by more than {SAME:g}.",
        _column("latent_dim", (500, 50)),
        lambda values: _lead(values) > SAME,
    ),
    Claim(
        "large_latent_dims_are_alike",
        "From 200 dimensions on, their number makes no significant difference.",
        "section 4.3, table 2",
        RECALLED,
        "tab02_sensitivity",
        f"AUROC with d=200, 500 and 1000 differs by at most {SAME:g}.",
        _column("latent_dim", (200, 500, 1000)),
        lambda values: _spread(values) <= SAME,
    ),
    Claim(
        "window_3_is_worst",
        "A window of 3 pixels is the worst.",
        "table 2",
        SEED,
        "tab02_sensitivity",
        "AUROC with K=3 is below that with any other K of the table.",
        _column("window_size", (3, 7, 11, 15, 19)),
        lambda values: values[0] < min(values[1:]),
    ),
    Claim(
        "larger_windows_are_alike",
        "Windows of 7 to 19 pixels differ little.",
        "table 2",
        SEED,
        "tab02_sensitivity",
        f"AUROC with K=7, 11, 15 and 19 differs by at most {SAME:g}.",
        _column("window_size", (7, 11, 15, 19)),
        lambda values: _spread(values) <= SAME,
    ),
    Claim(
        "larger_patches_are_better",
        "The larger the patch, the better.",
        "table 2",
        SEED,
        "tab02_sensitivity",
        "AUROC rises from patches of 32 to 64, and from 64 to 128 pixels.",
        _column("patch_size", (32, 64, 128)),
        lambda values: values[0] < values[1] < values[2],
    ),
    Claim(
        "patch_sizes_are_alike",
        "But patches of 32 to 128 pixels differ little.",
        "table 2",
        SEED,
        "tab02_sensitivity",
        f"AUROC with patches of 32, 64 and 128 pixels differs by at most {SAME:g}.",
        _column("patch_size", (32, 64, 128)),
        lambda values: _spread(values) <= SAME,
    ),
    # The method.
    Claim(
        "ssim_is_bounded",
        "SSIM is between -1 and 1, and 1 for equal patches only.",
        "section 3.1.4, eq. 8",
        QUOTED,
        "fig02_three_terms",
        "For 100 pairs of patches our SSIM is eq. 8, which stays within -1 and 1; it is 1 where "
        "patches are equal and below 0.999 where they differ.",
        decide=_ssim_is_bounded,
    ),
    Claim(
        "ssim_is_a_product",
        "SSIM is luminance times contrast times structure.",
        "section 3.1.4, eq. 4 to 8",
        QUOTED,
        "fig02_three_terms",
        "For 100 pairs of patches the product and eq. 8 differ by less than 0.0001.",
        decide=_ssim_is_a_product,
    ),
    Claim(
        "encoder_is_table_1",
        "The encoder has the layers of table 1.",
        "table 1",
        QUOTED,
        "tab01_architecture",
        "Output size, kernel, stride and padding of all nine layers of our encoder are equal.",
        decide=_encoder_is_table_1,
    ),
    Claim(
        "decoder_is_a_mirror",
        "The decoder is the encoder reversed.",
        "section 4.2",
        QUOTED,
        "tab01_architecture",
        "Each layer of our encoder is undone by one of the same kernel, stride and padding.",
        decide=_decoder_is_a_mirror,
    ),
)


# Judging


def recorded():
    """What was recorded for everybody, whatever this user's store holds."""
    folder = stored.RECORDED / "evaluations"
    return [stored._read(p.parent, "recorded") for p in sorted(folder.glob("*/result.json"))]


def judge(results):
    """Decide every claim.

    Parameters
    ----------
    results : list of Result
        As of `sadefect.results.results`; those of an earlier version of the numerics are left out.

    Returns
    -------
    list of Verdict
        In the order of `CLAIMS`.

    Examples
    --------
    >>> by_key = {one.claim.key: one for one in judge([])}
    >>> by_key["ssim_beats_l2"].verdict
    'not testable here'
    >>> by_key["ssim_beats_l2"].evidence
    'Missing: SSIM on nanotwice; l2 on nanotwice.'
    """
    current = [result for result in results if not result.outdated]
    return [_judge(claim, current) for claim in CLAIMS]


def _judge(claim, results):
    if claim.decide is None:
        return Verdict(claim, NOT_TESTABLE, f"Not tested: {claim.reason}.")
    if not claim.needs:
        holds, evidence = claim.decide()
        return Verdict(claim, REPRODUCED if holds else NOT_REPRODUCED, f"{evidence}.")
    groups, missing = _comparable(results, claim.needs, claim.measure)
    if missing:
        beside, used = _beside(claim, results)
        return Verdict(claim, NOT_TESTABLE, missing + beside, used)
    values = _values(groups, claim.measure)
    return Verdict(
        claim,
        REPRODUCED if claim.decide(values) else NOT_REPRODUCED,
        _evidence(claim.needs, groups, claim.measure),
        tuple(result for group in groups for result in group),
    )


def _comparable(results, needs, measure):
    """Results of each need at the largest budget of all, one for each seed that all have.

    Returns them and an empty string; or nothing, and what is missing.
    """
    runs = []
    for need in needs:
        found = {}
        for result in results:
            one = result.experiment
            key = (one.patches_seen, one.schedule, one.seed)
            varied = dict(zip(("patches_seen", "schedule", "seed"), key, strict=True))
            if replace(need, **varied) == one and MEASURES[measure](result) is not None:
                found[key] = result
        runs.append(found)
    if missing := [need for need, found in zip(needs, runs, strict=True) if not found]:
        return [], f"Missing: {_missing(missing, needs)}."
    shared = set.intersection(*map(set, runs))
    if not shared:
        reached = ", ".join(
            f"{_name(need, needs)} {max(found)[0]:,}"
            for need, found in zip(needs, runs, strict=True)
        )
        return [], f"Missing: a number of patches that all have results for; largest are {reached}."
    best = max(key[:2] for key in shared)  # Of two schedules at one budget: "paper" before "cpu".
    seeds = sorted(key for key in shared if key[:2] == best)
    return [[found[key] for key in seeds] for found in runs], ""


def _values(groups, measure):
    """The mean over seeds for each need."""
    return [float(np.mean([MEASURES[measure](result) for result in group])) for group in groups]


def _method(need):
    label = LABELS.get(need.method, need.method)
    return f"{label} ({need.features} features)" if need.method == "feature_matching" else label


def _settings(need, needs):
    """In which settings a run differs from others; of several, those that are not the default."""
    differ = [name for name in SETTINGS if len({getattr(one, name) for one in needs}) > 1]
    default = Experiment(dataset=need.dataset, method=need.method)
    parts = [
        text.format(getattr(need, name))
        for name, text in SETTINGS.items()
        if name in differ and (len(differ) == 1 or getattr(need, name) != getattr(default, name))
    ]
    return ", ".join(parts) or ("default settings" if differ else "")


def _name(need, needs):
    """What a run is called beside those that it is compared with."""
    settings = _settings(need, needs)
    methods, datasets = ({getattr(one, name) for one in needs} for name in ("method", "dataset"))
    method = _method(need) if len(methods) > 1 or not settings else ""
    dataset = f"on {need.dataset}" if len(datasets) > 1 else ""
    return " ".join(filter(None, (method, dataset, settings)))


def _missing(missing, needs):
    """Runs without a result, those of one method and data set together."""
    groups = {}
    for need in missing:
        settings = groups.setdefault(f"{_method(need)} on {need.dataset}", [])
        settings.append(_settings(need, needs))
    return "; ".join(
        f"{name} with {', '.join(settings)}" if any(settings) else name
        for name, settings in groups.items()
    )


def _evidence(needs, groups, measure):
    values = _values(groups, measure)
    parts = [f"{_name(need, needs)} {value:.3f}" for need, value in zip(needs, values, strict=True)]
    if len(values) == 2:
        parts.append(f"difference {values[0] - values[1]:+.3f}")
    elif len(values) > 2:
        parts.append(f"spread {_spread(values):.3f}")
    one = groups[0][0]
    patches = one.experiment.patches_seen
    seeds = f"; means over {len(groups[0])} seeds" if len(groups[0]) > 1 else ""
    machine = f" on {one.provenance['machine']['processor']}" if measure == SECONDS else ""
    return (
        f"{measure}{machine}: {', '.join(parts)}{seeds}; after {patches:,} patches, "
        f"{100 * patches / paper.BUDGET:.3g} % of the paper's budget."
    )


def _beside(claim, results):
    """What stand-ins for images or features of the paper give, where there is one."""
    features = [
        replace(need, features="standin") if need.features == "imagenet" else need
        for need in claim.needs
    ]
    tried = [("stand-in features", features)]
    if claim.needs[0].dataset in FABRICS:
        first = [need for need in features if need.dataset == claim.needs[0].dataset]
        tried = [(name, [replace(need, dataset=name) for need in first]) for name in STANDINS]
    parts, used = [], []
    for name, needs in tried:
        if tuple(needs) != claim.needs:
            groups, missing = _comparable(results, needs, claim.measure)
            if not missing:
                parts.append(f" Beside it, deciding nothing, {name}: ")
                parts.append(_evidence(needs, groups, claim.measure))
                used += [result for group in groups for result in group]
    return "".join(parts), tuple(used)
