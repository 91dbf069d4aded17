"""What the paper claims, and the rule that decides each claim.

Rules are ours, and so are their thresholds. They were fixed when first results on nanofibres, after
little training, had been seen.

A claim has a rule on results, taken at the largest budget that all compared runs have; or a rule on
SSIM or the network, checked when it is asked for; or a reason why nothing here can test it.
Stand-ins for the paper's images are mentioned beside a claim, and decide none.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from sadefect.paper import claim_checks as checks
from sadefect.paper import numbers as paper
from sadefect.paper import rules
from sadefect.paper.experiment import Experiment
from sadefect.paper.numbers import LAST_PAGE, QUOTED, RECALLED

LEAP = 0.2  # Of AUROC, where both numbers of the paper are known.
CLEAR = checks.CLEAR  # Of AUROC, where they are not.
SAME = 0.02  # Of AUROC: less is not a difference; the paper has single runs, without a spread.


def _overlap(result):
    quantiles = result.metrics["overlap"].get(f"{paper.OVERLAP_FPR.value:g}", {})
    return quantiles.get("median")


def _seconds(result):
    """Seconds of scoring for each image; at most, because the metrics took some of them."""
    images = len(np.unique(result.curves.get("region_images", ())))
    seconds = result.provenance["seconds"].get("evaluation")
    return seconds / (images + result.metrics["threshold_images"]) if images and seconds else None


AT = f"at a false positive rate of {100 * paper.OVERLAP_FPR.value:g} %"
ROC_AREA = rules.Measure("AUROC", lambda result: result.metrics["auroc"], "AUROC")
OVERLAP = rules.Measure(f"median overlap {AT}", _overlap, "The median overlap", AT)
SECONDS = rules.Measure("seconds for an image", _seconds, "Scoring")


class Place(NamedTuple):
    """Where a claim is made, how that is known, and the notebook that shows it."""

    where: str
    source: str
    page: str


@dataclass(frozen=True)
class Claim:
    """A claim of the paper and the rule that decides it.

    Attributes
    ----------
    key : str
    text : str
        The claim in our words.
    place : Place
        Section, table or figure; `paper.LAST_PAGE`, `QUOTED` or `RECALLED`; the notebook.
    rule : Rule, Check or NotTestable
        What has to come out.
    needs : tuple of Experiment
        What a `Rule` compares; budget, schedule and seed are those of the results.
    measure : Measure
        Which number it takes.
    """

    key: str
    text: str
    place: Place
    rule: rules.Rule | rules.Check | rules.NotTestable
    needs: tuple = ()
    measure: rules.Measure = ROC_AREA

    @property
    def sentence(self):
        """The rule in a sentence."""
        return self.rule.sentence(self.needs, self.measure)


def _fibres(method="ssim", **settings):
    return Experiment(dataset="nanotwice", method=method, **settings)


def _methods(*methods):
    return tuple(map(_fibres, methods))


def _fabrics(*methods):
    return tuple(
        replace(_fibres(method), dataset=dataset, latent_dim=100)
        for dataset in rules.FABRICS
        for method in methods
    )


def _column(name, values=None):
    return tuple(_fibres(**{name: value}) for value in values or paper.TABLE_2[name])


UNMARKED = (
    "the image is one of the real fabrics, and no result says which defects are {}; the page shows "
    "synthetic cloth, which decides nothing"
)
CELLS = tuple(dict.fromkeys(cell for name in paper.TABLE_2 for cell in _column(name)))
REPORTED_SPREAD = rules.spread(
    [reported.value for column in paper.TABLE_2.values() for reported in column.values()]
)

CLAIMS = (
    # Section 5, the conclusion.
    Claim(
        "ssim_beats_l2",
        "Replacing ℓ² by SSIM improves the segmentation of nanofibres significantly.",
        Place("section 5, figure 6", LAST_PAGE, "fig06_roc"),
        rules.Exceeds(LEAP),
        _methods("ssim", "l2"),
    ),
    Claim(
        "ssim_beats_l2_on_fabrics",
        "It does so on two woven fabrics too.",
        Place("section 5, figure 6", LAST_PAGE, "fig05_textures"),
        rules.OnEachFabric(rules.Exceeds(CLEAR)),
        _fabrics("ssim", "l2"),
    ),
    Claim(
        "l2_almost_unusable",
        "Comparing pixel by pixel is almost useless where defects keep the material's gray values.",
        Place("section 5", LAST_PAGE, "fig06_roc"),
        rules.Bound("is below", 0.75, remark="halfway between guessing and perfect"),
        _methods("l2"),
    ),
    Claim(
        "vae_no_gain",
        "The probabilistic comparison of a VAE does not improve on ℓ².",
        Place("section 5", LAST_PAGE, "fig06_roc"),
        rules.Exceeds(SAME, "at most"),
        _methods("vae", "l2"),
    ),
    Claim(
        "feature_matching_no_gain",
        "Sharper reconstructions by feature matching do not improve on ℓ².",
        Place("section 5", LAST_PAGE, "fig06_roc"),
        rules.Exceeds(SAME, "at most"),
        _methods("feature_matching", "l2"),
    ),
    Claim(
        "ssim_on_par",
        "SSIM is on par with a method that relies on pretrained networks.",
        Place("section 5", LAST_PAGE, "fig06_roc"),
        rules.AtMostBelow(
            SAME,
            paper.AUROC_NAPOLETANO.value,
            "the feature-based method",
            remark="a number that we recall",
        ),
        _methods("ssim"),
    ),
    Claim(
        "edges_mislead_less",
        "SSIM is less sensitive to edges that a reconstruction puts a little off.",
        Place("section 5, figure 3", LAST_PAGE, "fig03_checkerboard"),
        checks.edges_mislead_less,
    ),
    Claim(
        "three_measures",
        "SSIM takes luminance, contrast and structure into account, which ℓ² cannot tell apart.",
        Place("section 5, figure 2", LAST_PAGE, "fig02_three_terms"),
        checks.each_term_sees_one_thing,
    ),
    Claim(
        "fabrics_are_public",
        "The two woven fabrics are available to everybody.",
        Place("section 5", LAST_PAGE, "fig04_textures"),
        rules.NotTestable(
            "The images can be fetched from where the authors put them.",
            "no result says so; the images could not be obtained for this book",
        ),
    ),
    # Section 4.3, beside the seed page's figures 7 and 8.
    Claim(
        "ssim_auroc",
        "The area under the ROC curve of SSIM on nanofibres.",
        Place("table 2", LAST_PAGE, "fig06_roc"),
        rules.Within(SAME, paper.AUROC["nanotwice", "ssim"].value),
        _methods("ssim"),
    ),
    Claim(
        "l2_auroc",
        "The area under the ROC curve of ℓ² on nanofibres.",
        Place("section 4.3", QUOTED, "fig06_roc"),
        rules.Within(SAME, paper.AUROC["nanotwice", "l2"].value),
        _methods("l2"),
    ),
    Claim(
        "ssim_best",
        "SSIM is far above all three methods that compare pixel by pixel.",
        Place("section 4.3, figure 6", RECALLED, "fig06_roc"),
        rules.Exceeds(CLEAR),
        _methods("ssim", "l2", "vae", "feature_matching"),
    ),
    Claim(
        "feature_matching_helps_fibres",
        "Feature matching helps on nanofibres only, which qualifies the conclusion.",
        Place("section 4.3", RECALLED, "fig06_roc"),
        rules.Exceeds(SAME, "more than"),
        _methods("feature_matching", "l2"),
    ),
    Claim(
        "feature_matching_not_on_fabrics",
        "Feature matching does not help on the fabrics.",
        Place("section 4.3", RECALLED, "fig06_roc"),
        rules.OnEachFabric(rules.Exceeds(SAME, "at most")),
        _fabrics("feature_matching", "l2"),
    ),
    Claim(
        "l2_misses_regions",
        "On nanofibres ℓ² misses the defects that SSIM outlines.",
        Place("figure 1", QUOTED, "fig01_nanofibres"),
        rules.SecondBelowHalf(),
        _methods("ssim", "l2"),
        OVERLAP,
    ),
    Claim(
        "overlap",
        "More than half of the defects are covered by more than "
        f"{100 * paper.OVERLAP_MEDIAN.value:g} %.",
        Place("section 4.3, figure 7", RECALLED, "fig07_region_overlap"),
        rules.Bound("exceeds", paper.OVERLAP_MEDIAN.value),
        _methods("ssim"),
        OVERLAP,
    ),
    Claim(
        "overlap_beats_features",
        "That is more than the feature-based method covers.",
        Place("section 4.3", RECALLED, "fig07_region_overlap"),
        rules.Bound("exceeds", paper.OVERLAP_NAPOLETANO.value),
        _methods("ssim"),
        OVERLAP,
    ),
    Claim(
        "faster_than_features",
        "An image takes seconds, and 15 or 55 of them with the feature-based method.",
        Place("section 4.3", LAST_PAGE, "runtime"),
        rules.Faster(paper.SECONDS_FEATURE_BASED[0].value),
        _methods("ssim"),
        SECONDS,
    ),
    Claim(
        "gpu_time",
        f"A patch takes {1000 * paper.SECONDS_PER_PATCH.value:g} ms and an image "
        f"{paper.SECONDS_PER_IMAGE.value:g} s on a Tesla V100.",
        Place("section 4.3", RECALLED, "runtime"),
        rules.NotTestable(
            "The same times come out on the same GPU.",
            "no result is from a Tesla V100; the page has the times of this machine",
        ),
    ),
    Claim(
        "pins",
        "Metal pins on a fabric are found by ℓ² and by SSIM, though ℓ² fires on edges as well.",
        Place("section 4.3, figure 8", LAST_PAGE, "fig08_pins_and_cuts"),
        rules.NotTestable(
            "On the fabric's image with pins, both find the pins, and ℓ² flags more beside them.",
            UNMARKED.format("pins"),
        ),
    ),
    Claim(
        "cut",
        "A cut in a fabric, low in contrast, is found by SSIM and missed by ℓ².",
        Place("section 4.3, figure 8", LAST_PAGE, "fig08_pins_and_cuts"),
        rules.NotTestable(
            "On the fabric's image with a cut, SSIM finds the cut and ℓ² does not.",
            UNMARKED.format("cuts"),
        ),
    ),
    # Table 2.
    Claim(
        "settings_hardly_matter",
        "Other settings do not change the result significantly.",
        Place("table 2, caption", LAST_PAGE, "tab02_sensitivity"),
        rules.Spread(REPORTED_SPREAD, remark="as in the paper's own table"),
        CELLS,
    ),
    Claim(
        "default_is_best",
        "The best setting is d=500, windows of 11 and patches of 128 pixels.",
        Place("table 2", LAST_PAGE, "tab02_sensitivity"),
        rules.Highest(),
        (_fibres(), *(cell for cell in CELLS if cell != _fibres())),
    ),
    Claim(
        "small_latent_dim_is_worse",
        "A latent space of 50 dimensions is too small.",
        Place("table 2", LAST_PAGE, "tab02_sensitivity"),
        rules.Exceeds(SAME, "more than"),
        _column("latent_dim", (500, 50)),
    ),
    Claim(
        "large_latent_dims_are_alike",
        "From 200 dimensions on, their number makes no significant difference.",
        Place("section 4.3, table 2", RECALLED, "tab02_sensitivity"),
        rules.Spread(SAME),
        _column("latent_dim", (200, 500, 1000)),
    ),
    Claim(
        "window_3_is_worst",
        "A window of 3 pixels is the worst.",
        Place("table 2", LAST_PAGE, "tab02_sensitivity"),
        rules.Lowest("any other K of the table"),
        _column("window_size", (3, 7, 11, 15, 19)),
    ),
    Claim(
        "larger_windows_are_alike",
        "Windows of 7 to 19 pixels differ little.",
        Place("table 2", LAST_PAGE, "tab02_sensitivity"),
        rules.Spread(SAME),
        _column("window_size", (7, 11, 15, 19)),
    ),
    Claim(
        "larger_patches_are_better",
        "The larger the patch, the better.",
        Place("table 2", LAST_PAGE, "tab02_sensitivity"),
        rules.Rising(),
        _column("patch_size", (32, 64, 128)),
    ),
    Claim(
        "patch_sizes_are_alike",
        "But patches of 32 to 128 pixels differ little.",
        Place("table 2", LAST_PAGE, "tab02_sensitivity"),
        rules.Spread(SAME),
        _column("patch_size", (32, 64, 128)),
    ),
    # The method.
    Claim(
        "ssim_is_bounded",
        "SSIM is between -1 and 1, and 1 for equal patches only.",
        Place("section 3.1.4, eq. 8", QUOTED, "fig02_three_terms"),
        checks.ssim_is_bounded,
    ),
    Claim(
        "ssim_is_a_product",
        "SSIM is luminance times contrast times structure.",
        Place("section 3.1.4, eq. 4 to 8", QUOTED, "fig02_three_terms"),
        checks.ssim_is_a_product,
    ),
    Claim(
        "encoder_is_table_1",
        "The encoder has the layers of table 1.",
        Place("table 1", QUOTED, "tab01_architecture"),
        checks.encoder_is_table_1,
    ),
    Claim(
        "decoder_is_a_mirror",
        "The decoder is the encoder reversed.",
        Place("section 4.2", QUOTED, "tab01_architecture"),
        checks.decoder_is_a_mirror,
    ),
)
