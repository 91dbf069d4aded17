"""What the paper claims, and the rule that decides each claim.

Rules are ours, and so are their thresholds. They were fixed when first results on nanofibres, after
little training, had been seen.

A claim has a rule on results, taken at the largest budget that all compared runs have; or a rule on
the settled headline and baselines; or a rule on SSIM or the network, checked when it is asked for;
or a reason why nothing here can test it. After little training, or within the spread of seeds, a
rule on results leaves a claim undecided.
Stand-ins for the paper's images are mentioned beside a claim, and decide none.
"""

from typing import NamedTuple

import numpy as np

from sadefect.paper import claim_checks as checks
from sadefect.paper import numbers as paper
from sadefect.paper import rules
from sadefect.paper.claim_checks import CLEAR
from sadefect.paper.comparisons import table_2_cells
from sadefect.paper.experiment import Experiment
from sadefect.paper.numbers import LAST_PAGE, QUOTED, RECALLED

LEAP = 0.2  # Of AUROC, where both numbers of the paper are known.
SAME = 0.02  # Of AUROC: less is not a difference; the paper has single runs, without a spread.


def _seconds(result):
    """Return seconds of scoring for each image; at most, because the metrics took some of them."""
    images = len(np.unique(result.curves.get("region_images", ())))
    seconds = result.provenance["seconds"].get("evaluation")
    return seconds / (images + result.metrics["threshold_images"]) if images and seconds else None


RATE = paper.OVERLAP_FPR.value
ROC_AREA = rules.Measure("AUROC", lambda result: result.metrics["auroc"])
OVERLAP = rules.Measure(
    "median overlap",
    lambda result: result.metrics["overlap"].get(f"{RATE:g}", {}).get("median"),
    f" at a false positive rate of {100 * RATE:g} %",
)
SECONDS = rules.Measure("scoring time per image in seconds", _seconds)


# What claims rest on; those that nothing here can test are all on networks and their data.
NETWORKS, FORMULAS = KINDS = ("trained networks and data", "formulas and tables")


class Place(NamedTuple):
    """Where a claim is made, how that is known, and the notebook that shows it.

    ``where`` is a section, table or figure, ``source`` `paper.LAST_PAGE`, `QUOTED` or `RECALLED`.
    """

    where: str
    source: str
    page: str


class Claim(NamedTuple):
    """A claim of the paper, in our words, and the rule that decides it.

    ``needs`` are what a `Rule` compares, by its ``measure``; their budget, schedule and seed are
    those of the results.
    """

    text: str
    place: Place
    rule: rules.Rule | rules.OnPar | rules.Check | rules.NotTestable
    needs: tuple[Experiment, ...] = ()
    measure: rules.Measure = ROC_AREA

    @property
    def kind(self):
        """Return what the claim rests on, one of `KINDS`."""
        return FORMULAS if isinstance(self.rule, rules.Check) else NETWORKS

    @property
    def sentence(self):
        """Say the rule in a sentence."""
        return self.rule.sentence(self.needs, self.measure)


def _methods(*methods, datasets=("nanotwice",), **settings):
    return tuple(
        Experiment(dataset=dataset, method=method, **settings)
        for dataset in datasets
        for method in methods
    )


def _column(name, *values):
    return tuple(table_2_cells(columns={name: values}).values())


UNMARKED = (
    "the image is one of the real fabrics, and no result says which defects are {}; the page shows "
    "synthetic cloth, which decides nothing"
)
SSIM_AREA, L2_AREA = (paper.AUROC["nanotwice", method].value for method in ("ssim", "l2"))
CELLS = tuple(dict.fromkeys(table_2_cells().values()))
CENTRE = Experiment(dataset="nanotwice")
ON_FABRICS = {"datasets": rules.FABRICS, "latent_dim": 100}
REPORTED = [cell.value for column in paper.TABLE_2.values() for cell in column.values()]

CLAIMS = {
    # Section 5, the conclusion.
    "ssim_beats_l2": Claim(
        "Replacing ℓ² by SSIM improves the segmentation of nanofibres significantly.",
        Place("section 5, figure 6", LAST_PAGE, "fig06_roc"),
        rules.exceeds(LEAP),
        _methods("ssim", "l2"),
    ),
    "ssim_beats_l2_on_fabrics": Claim(
        "SSIM also beats ℓ² on two woven fabrics.",
        Place("section 5, figure 6", LAST_PAGE, "fig05_textures"),
        rules.exceeds(CLEAR, on_each_fabric=True),
        _methods("ssim", "l2", **ON_FABRICS),
    ),
    "l2_almost_unusable": Claim(
        "Comparing pixels is almost useless where defects share the gray values of the material.",
        Place("section 5", LAST_PAGE, "fig06_roc"),
        rules.bounded("below", 0.75, ", halfway between guessing and perfect"),
        _methods("l2"),
    ),
    "vae_no_gain": Claim(
        "The probabilistic comparison of a VAE does not improve on ℓ².",
        Place("section 5", LAST_PAGE, "fig06_roc"),
        rules.exceeds(SAME, "at most"),
        _methods("vae", "l2"),
    ),
    "feature_matching_no_gain": Claim(
        "Sharper reconstructions by feature matching do not improve on ℓ².",
        Place("section 5", LAST_PAGE, "fig06_roc"),
        rules.exceeds(SAME, "at most"),
        _methods("feature_matching", "l2"),
    ),
    "ssim_on_par": Claim(
        "SSIM is on par with a method that relies on pretrained networks.",
        Place("section 5", LAST_PAGE, "compared"),
        rules.OnPar(SAME, ("feature_dictionary", "feature_gaussian")),
    ),
    "edges_mislead_less": Claim(
        "SSIM is less sensitive to edges that a reconstruction slightly misplaces.",
        Place("section 5, figure 3", LAST_PAGE, "fig03_checkerboard"),
        checks.edges_mislead_less,
    ),
    "three_measures": Claim(
        "SSIM takes luminance, contrast and structure into account, which ℓ² cannot tell apart.",
        Place("section 5, figure 2", LAST_PAGE, "fig02_three_terms"),
        checks.each_term_sees_one_thing,
    ),
    "fabrics_are_public": Claim(
        "The images of the two woven fabrics are publicly available.",
        Place("section 5", LAST_PAGE, "fig04_textures"),
        rules.NotTestable(
            "The images can be downloaded from where the authors published them.",
            "no result says so; the images could not be obtained for this book",
        ),
    ),
    # Section 4.3, beside the seed page's figures 7 and 8.
    "ssim_auroc": Claim(
        f"SSIM reaches an area under the ROC curve of {SSIM_AREA:g} on nanofibres.",
        Place("table 2", LAST_PAGE, "fig06_roc"),
        rules.within(SAME, SSIM_AREA),
        _methods("ssim"),
    ),
    "l2_auroc": Claim(
        f"ℓ² reaches an area under the ROC curve of {L2_AREA:g} on nanofibres.",
        Place("section 4.3", QUOTED, "fig06_roc"),
        rules.within(SAME, L2_AREA),
        _methods("l2"),
    ),
    "ssim_best": Claim(
        "SSIM is far above all three methods that compare pixel by pixel.",
        Place("section 4.3, figure 6", RECALLED, "fig06_roc"),
        rules.exceeds(CLEAR),
        _methods("ssim", "l2", "vae", "feature_matching"),
    ),
    "feature_matching_helps_fibres": Claim(
        "Feature matching helps on nanofibres only, which qualifies the conclusion.",
        Place("section 4.3", RECALLED, "fig06_roc"),
        rules.exceeds(SAME, "more than"),
        _methods("feature_matching", "l2"),
    ),
    "feature_matching_not_on_fabrics": Claim(
        "Feature matching does not help on the fabrics.",
        Place("section 4.3", RECALLED, "fig06_roc"),
        rules.exceeds(SAME, "at most", on_each_fabric=True),
        _methods("feature_matching", "l2", **ON_FABRICS),
    ),
    "l2_misses_regions": Claim(
        "On nanofibres ℓ² misses the defects that SSIM outlines.",
        Place("figure 1", QUOTED, "fig01_nanofibres"),
        rules.second_below_half(),
        _methods("ssim", "l2"),
        OVERLAP,
    ),
    "overlap": Claim(
        "More than half of the defects are covered by more than "
        f"{100 * paper.OVERLAP_MEDIAN.value:g} %.",
        Place("section 4.3, figure 7", RECALLED, "fig07_region_overlap"),
        rules.bounded("more than", paper.OVERLAP_MEDIAN.value),
        _methods("ssim"),
        OVERLAP,
    ),
    "overlap_beats_features": Claim(
        "SSIM covers more of the median defect than the feature-based method.",
        Place("section 4.3", RECALLED, "fig07_region_overlap"),
        rules.bounded("more than", paper.OVERLAP_NAPOLETANO.value),
        _methods("ssim"),
        OVERLAP,
    ),
    "faster_than_features": Claim(
        "An image takes a few seconds, against 15 or 55 with the feature-based method.",
        Place("section 4.3", LAST_PAGE, "runtime"),
        rules.whatever_the_budget(
            rules.bounded(
                "below", paper.SECONDS_FEATURE_BASED[0].value, " on the machine of the result"
            )
        ),
        _methods("ssim"),
        SECONDS,
    ),
    "gpu_time": Claim(
        f"A patch takes {1000 * paper.SECONDS_PER_PATCH.value:g} ms and an image "
        f"{paper.SECONDS_PER_IMAGE.value:g} s on a Tesla V100.",
        Place("section 4.3", RECALLED, "runtime"),
        rules.NotTestable(
            "The same GPU takes the same times.",
            "no result is from a Tesla V100; the page has the times of this machine",
        ),
    ),
    "pins": Claim(
        "Both ℓ² and SSIM find metal pins on a fabric, though ℓ² fires on edges as well.",
        Place("section 4.3, figure 8", LAST_PAGE, "fig08_pins_and_cuts"),
        rules.NotTestable(
            "On the fabric's image with pins, both find the pins, and ℓ² flags more beside them.",
            UNMARKED.format("pins"),
        ),
    ),
    "cut": Claim(
        "SSIM finds a low-contrast cut in a fabric that ℓ² misses.",
        Place("section 4.3, figure 8", LAST_PAGE, "fig08_pins_and_cuts"),
        rules.NotTestable(
            "On the fabric's image with a cut, SSIM finds the cut and ℓ² does not.",
            UNMARKED.format("cuts"),
        ),
    ),
    # Table 2.
    "settings_hardly_matter": Claim(
        "Other settings do not change the result significantly.",
        Place("table 2, caption", LAST_PAGE, "tab02_sensitivity"),
        rules.of_table_2(
            rules.alike(
                round(rules.spread(REPORTED), 3),
                "varies by {limit} across the table",
                ", as the paper's own numbers do",
            )
        ),
        CELLS,
    ),
    "default_is_best": Claim(
        "The best setting is d=500, windows of 11 and patches of 128 pixels.",
        Place("table 2", LAST_PAGE, "tab02_sensitivity"),
        rules.of_table_2(rules.highest()),
        (CENTRE, *(cell for cell in CELLS if cell != CENTRE)),
    ),
    "small_latent_dim_is_worse": Claim(
        "A latent space of 50 dimensions is too small.",
        Place("table 2", LAST_PAGE, "tab02_sensitivity"),
        rules.of_table_2(rules.exceeds(SAME, "more than")),
        _column("latent_dim", 500, 50),
    ),
    "large_latent_dims_are_alike": Claim(
        "From 200 latent dimensions on, more of them make no significant difference.",
        Place("section 4.3, table 2", RECALLED, "tab02_sensitivity"),
        rules.of_table_2(rules.alike(SAME)),
        _column("latent_dim", 200, 500, 1000),
    ),
    "window_3_is_worst": Claim(
        "A window of 3 pixels is the worst.",
        Place("table 2", LAST_PAGE, "tab02_sensitivity"),
        rules.of_table_2(rules.lowest()),
        _column("window_size", 3, 7, 11, 15, 19),
    ),
    "larger_windows_are_alike": Claim(
        "Windows of 7 to 19 pixels differ little.",
        Place("table 2", LAST_PAGE, "tab02_sensitivity"),
        rules.of_table_2(rules.alike(SAME)),
        _column("window_size", 7, 11, 15, 19),
    ),
    "larger_patches_are_better": Claim(
        "The larger the patch, the better.",
        Place("table 2", LAST_PAGE, "tab02_sensitivity"),
        rules.of_table_2(rules.rising()),
        _column("patch_size", 32, 64, 128),
    ),
    "patch_sizes_are_alike": Claim(
        "Results for patches of 32 to 128 pixels differ little.",
        Place("table 2", LAST_PAGE, "tab02_sensitivity"),
        rules.of_table_2(rules.alike(SAME)),
        _column("patch_size", 32, 64, 128),
    ),
    # The method.
    "ssim_is_bounded": Claim(
        "SSIM is between -1 and 1, and 1 for equal patches only.",
        Place("section 3.1.4, eq. 8", QUOTED, "fig02_three_terms"),
        checks.ssim_is_bounded,
    ),
    "ssim_is_a_product": Claim(
        "SSIM is luminance times contrast times structure.",
        Place("section 3.1.4, eq. 4 to 8", QUOTED, "fig02_three_terms"),
        checks.ssim_is_a_product,
    ),
    "encoder_is_table_1": Claim(
        "The encoder has the layers of table 1.",
        Place("table 1", QUOTED, "tab01_architecture"),
        checks.encoder_is_table_1,
    ),
    "decoder_is_a_mirror": Claim(
        "The decoder is the encoder reversed.",
        Place("section 4.2", QUOTED, "tab01_architecture"),
        checks.decoder_is_a_mirror,
    ),
}
