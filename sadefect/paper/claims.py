"""What the paper claims, and the rule that decides each claim.

Rules are ours, and so are their thresholds. They were fixed when first results on nanofibres, after
little training, had been seen.

A claim has a rule on results, taken at the largest budget that all compared runs have; or a rule on
SSIM or the network, checked when it is asked for; or a reason why nothing here can test it.
Stand-ins for the paper's images or features are mentioned beside a claim, and decide none.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from sadefect.methods import METHODS
from sadefect.paper import claim_checks as checks
from sadefect.paper import numbers as paper
from sadefect.paper.experiment import Experiment
from sadefect.paper.numbers import QUOTED, RECALLED, SEED

LEAP = 0.2  # Of AUROC, where both numbers of the paper are known.
CLEAR = checks.CLEAR  # Of AUROC, where they are not.
SAME = 0.02  # Of AUROC: less is not a difference; the paper has single runs, without a spread.
FABRICS = ("fabric1", "fabric2")
STANDINS = ("synthetic/weave", "synthetic/twill", "mvtec_ad/grid")  # For the fabrics.
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


def spread(values):
    """How far the largest value is above the smallest."""
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


REPORTED_SPREAD = spread([one.value for row in paper.TABLE_2.values() for one in row.values()])
_WITHIN = "AUROC of {} on nanofibres is within {:g} of the paper's {:g}."


def _near(method):
    reported = paper.AUROC["nanotwice", method].value
    return {
        "rule": _WITHIN.format(METHODS[method].label, SAME, reported),
        "needs": (_fibres(method),),
        "decide": lambda values: round(abs(values[0] - reported), 6) <= SAME,
    }


CLAIMS = (
    # Section 5, the conclusion.
    Claim(
        "ssim_beats_l2",
        "Replacing ℓ² by SSIM improves the segmentation of nanofibres significantly.",
        "section 5, figure 6",
        SEED,
        "fig06_roc",
        f"AUROC of SSIM exceeds that of ℓ² by at least {LEAP:g} on nanofibres.",
        (_fibres("ssim"), _fibres("l2")),
        lambda values: _lead(values) >= LEAP,
    ),
    Claim(
        "ssim_beats_l2_on_fabrics",
        "It does so on two woven fabrics too.",
        "section 5, figure 6",
        SEED,
        "fig05_textures",
        f"AUROC of SSIM exceeds that of ℓ² by at least {CLEAR:g} on each of the two fabrics.",
        _fabrics("ssim", "l2"),
        lambda values: min(_lead(values[:2]), _lead(values[2:])) >= CLEAR,
    ),
    Claim(
        "l2_almost_unusable",
        "Comparing pixel by pixel is almost useless where defects keep the material's gray values.",
        "section 5",
        SEED,
        "fig06_roc",
        "AUROC of ℓ² on nanofibres is below 0.75, halfway between guessing and perfect.",
        (_fibres("l2"),),
        lambda values: values[0] < 0.75,
    ),
    Claim(
        "vae_no_gain",
        "The probabilistic comparison of a VAE does not improve on ℓ².",
        "section 5",
        SEED,
        "fig06_roc",
        f"AUROC of VAE exceeds that of ℓ² by at most {SAME:g} on nanofibres.",
        (_fibres("vae"), _fibres("l2")),
        lambda values: _lead(values) <= SAME,
    ),
    Claim(
        "feature_matching_no_gain",
        "Sharper reconstructions by feature matching do not improve on ℓ².",
        "section 5",
        SEED,
        "fig06_roc",
        f"AUROC of feature matching exceeds that of ℓ² by at most {SAME:g} on nanofibres.",
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
        f"defects against edges is higher for SSIM than for ℓ² by at least {CLEAR:g}.",
        decide=checks.edges_mislead_less,
    ),
    Claim(
        "three_measures",
        "SSIM takes luminance, contrast and structure into account, which ℓ² cannot tell apart.",
        "section 5, figure 2",
        SEED,
        "fig02_three_terms",
        "Three pairs of patches with one squared difference in all pixels, each changed in one "
        f"respect: its term is below {checks.TERM:g}, and the other two above {checks.OTHERS:g}.",
        decide=checks.each_term_sees_one_thing,
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
        "The area under the ROC curve of ℓ² on nanofibres.",
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
        f"AUROC of SSIM exceeds those of ℓ², VAE and feature matching by at least {CLEAR:g} on "
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
        f"AUROC of feature matching exceeds that of ℓ² by more than {SAME:g} on nanofibres.",
        (_fibres("feature_matching"), _fibres("l2")),
        lambda values: _lead(values) > SAME,
    ),
    Claim(
        "feature_matching_not_on_fabrics",
        "Feature matching does not help on the fabrics.",
        "section 4.3",
        RECALLED,
        "fig06_roc",
        f"AUROC of feature matching exceeds that of ℓ² by at most {SAME:g} on each fabric.",
        _fabrics("feature_matching", "l2"),
        lambda values: max(_lead(values[:2]), _lead(values[2:])) <= SAME,
    ),
    Claim(
        "l2_misses_regions",
        "On nanofibres ℓ² misses the defects that SSIM outlines.",
        "figure 1",
        QUOTED,
        "fig01_nanofibres",
        f"The median overlap of ℓ² with the defects is below half that of SSIM, {AT}.",
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
        "Metal pins on a fabric are found by ℓ² and by SSIM, though ℓ² fires on edges as well.",
        "section 4.3, figure 8",
        SEED,
        "fig08_pins_and_cuts",
        "On the fabric's image with pins, both find the pins, and ℓ² flags more beside them.",
        reason="the image is one of the real fabrics, and no result says which defects are pins; "
        "the page shows synthetic cloth, which decides nothing",
    ),
    Claim(
        "cut",
        "A cut in a fabric, low in contrast, is found by SSIM and missed by ℓ².",
        "section 4.3, figure 8",
        SEED,
        "fig08_pins_and_cuts",
        "On the fabric's image with a cut, SSIM finds the cut and ℓ² does not.",
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
        lambda values: spread(values) <= REPORTED_SPREAD,
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
        lambda values: spread(values) <= SAME,
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
        lambda values: spread(values) <= SAME,
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
        lambda values: spread(values) <= SAME,
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
        decide=checks.ssim_is_bounded,
    ),
    Claim(
        "ssim_is_a_product",
        "SSIM is luminance times contrast times structure.",
        "section 3.1.4, eq. 4 to 8",
        QUOTED,
        "fig02_three_terms",
        "For 100 pairs of patches the product and eq. 8 differ by less than 0.0001.",
        decide=checks.ssim_is_a_product,
    ),
    Claim(
        "encoder_is_table_1",
        "The encoder has the layers of table 1.",
        "table 1",
        QUOTED,
        "tab01_architecture",
        "Output size, kernel, stride and padding of all nine layers of our encoder are equal.",
        decide=checks.encoder_is_table_1,
    ),
    Claim(
        "decoder_is_a_mirror",
        "The decoder is the encoder reversed.",
        "section 4.2",
        QUOTED,
        "tab01_architecture",
        "Each layer of our encoder is undone by one of the same kernel, stride and padding.",
        decide=checks.decoder_is_a_mirror,
    ),
)
