"""Lists every number that the paper reports and this companion shows, with its source.

Those that others published on the same images stand at the end. Nothing else in the book is typed
in. The paper's full text was not at hand when this was written, only one page of it; so each number
says how it is known.
"""

from dataclasses import dataclass

# How a number is known.
LAST_PAGE = "seen on the paper's last page"
QUOTED = "quoted by others who read the paper"
RECALLED = "recalled, not checked against the text"
CODE = "seen in its authors' repository"


@dataclass(frozen=True)
class Reported:
    """Hold a number of the paper, or of another publication.

    Examples
    --------
    >>> AUROC["nanotwice", "ssim"]
    0.966 (table 2; seen on the paper's last page)
    """

    value: float
    source: str  # `LAST_PAGE`, `QUOTED`, `RECALLED` or `CODE`.
    where: str  # Section, table or figure.
    publication: str = "The paper"  # Which says it.

    def __repr__(self):
        return f"{self.value:g} ({self.where}; {self.source})"


# Area under the ROC curve by data set and method; the others' values are not known to us.
AUROC = {
    ("nanotwice", "ssim"): Reported(0.966, LAST_PAGE, "table 2"),
    ("nanotwice", "l2"): Reported(0.688, QUOTED, "section 4.3"),
}

# Table 2: NanoTWICE, SSIM, one setting changed at a time from d=500, K=11, patches of 128.
TABLE_2 = {
    field: {setting: Reported(value, LAST_PAGE, "table 2") for setting, value in column.items()}
    for field, column in {
        "latent_dim": {50: 0.848, 100: 0.935, 200: 0.961, 500: 0.966, 1000: 0.962},
        "window_size": {3: 0.889, 7: 0.965, 11: 0.966, 15: 0.960, 19: 0.952},
        "patch_size": {32: 0.949, 64: 0.959, 128: 0.966},
    }.items()
}

# Table 1, the encoder: output size; kernel, stride and padding. The last size is 1x1xd.
REPORTED_ENCODER = {
    "conv1": ("64x64x32", "4x4, 2, 1"),
    "conv2": ("32x32x32", "4x4, 2, 1"),
    "conv3": ("32x32x32", "3x3, 1, 1"),
    "conv4": ("16x16x64", "4x4, 2, 1"),
    "conv5": ("16x16x64", "3x3, 1, 1"),
    "conv6": ("8x8x128", "4x4, 2, 1"),
    "conv7": ("8x8x64", "3x3, 1, 1"),
    "conv8": ("8x8x32", "3x3, 1, 1"),
    "conv9": ("1x1xd", "8x8, 1, 0"),
}

# The side of the patches in pixels; the input of table 1.
PATCH_SIZE = Reported(128, LAST_PAGE, "table 2")

# Figure 2: the squared difference of every pixel of its patches.
PATCH_L2 = Reported(0.25, RECALLED, "figure 2")

# Figure 7: at this false positive rate more than half of the defects are covered by more than ...
OVERLAP_FPR = Reported(0.05, RECALLED, "section 4.3")
OVERLAP_MEDIAN = Reported(0.91, RECALLED, "section 4.3")
OVERLAP_NAPOLETANO = Reported(0.85, RECALLED, "section 4.3, of the feature-based method")

# Seconds on the authors' machine, d=500, K=11, patches of 128 pixels.
SECONDS_PER_PATCH = Reported(0.00223, RECALLED, "section 4.3, a forward pass on a Tesla V100")
SECONDS_PER_IMAGE = Reported(3.61, RECALLED, "section 4.3, a NanoTWICE image patch by patch")
SECONDS_FEATURE_BASED = (
    Reported(15, LAST_PAGE, "section 4.3, the feature-based method"),
    Reported(55, LAST_PAGE, "section 4.3, the feature-based method"),
)

N_PATCHES = Reported(10_000, QUOTED, "section 4.2")
EPOCHS = Reported(200, QUOTED, "section 4.2")
BUDGET = int(N_PATCHES.value * EPOCHS.value)  # Patches seen in one training.

# What the paper compares SSIM's area under the ROC curve on nanofibres with.
AUROC_NAPOLETANO = Reported(0.974, RECALLED, "section 4.3, of the feature-based method")

# Areas that others published on the same images, by baseline of ours; and of what is not built.
AUROC_ELSEWHERE = {
    ("nanotwice", "feature_dictionary"): AUROC_NAPOLETANO,
    ("nanotwice", "confidence_region"): Reported(
        0.926, RECALLED, "as quoted by others", "Carrera et al. 2017"
    ),
}
GCPF = Reported(
    0.976,
    CODE,
    "ten Gaussians a layer of WideResNet-50, on a centre crop of 512 pixels",
    "Q. Wan, L. Gao, X. Li and L. Wen, Industrial Image Anomaly Localization Based on Gaussian "
    "Clustering of Pretrained Feature, IEEE Transactions on Industrial Electronics 69(6), 2022",
)
NOT_BUILT = {"nanotwice": {"Gaussian clusters of features (GCPF)": GCPF}}
