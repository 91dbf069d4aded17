# %% [markdown]
# # Figure 3: strokes and dots on a checkerboard
#
# An autoencoder that has only ever seen clean checkerboards cannot draw gray strokes and dots. The
# defects are therefore in the difference between a picture and its reconstruction; but so is every
# edge that the reconstruction puts half a pixel off. What is bright depends on how the difference
# is measured: pixel by pixel, or by the luminance, contrast and structure of a neighbourhood.
#
# - **The paper shows**: a checkerboard with gray strokes and dots, its reconstruction by an ℓ²
#   autoencoder, the ℓ² residual, and the residuals of luminance, contrast, structure and SSIM.
# - **What to expect**: the same panels from a network that is trained while this page is built, and
#   how well each residual separates defects from the rest, over many such pictures.
# - **Minutes**: smoke 0.5, quick 1.5, paper 100

# %% tags=["parameters"]
patches_seen: int = 15_000  # Training budget; this page trains its own network.
patch_size: int = 64  # Side of the network's patches in pixels: 32, 64 or 128 as in the paper.
latent_dim: int = 100  # Length d of the latent vector.
window_size: int = 11  # Side K of the neighbourhoods, in pixels.
c1: float = 0.01  # Constants of eq. 5 to 8, for gray values in [0, 1]: here as the paper
c2: float = 0.03  # writes them; everywhere else in this book they are squared, 1e-4 and 9e-4.
stride: int = 30  # Pixels from one patch of a picture to the next.
shown: int = 0  # Which of the test pictures is shown.

# %% [markdown]
# ## The toy
#
# The generator, `sadefect.datasets.synthetic.checkerboard`, draws black and white squares of any size
# within a range, at any orientation and position. Test pictures get three strokes and three dots, halfway between
# black and white. Where they are is known for each pixel.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "What the network is trained on, four of its clean checkerboards, and what it is tested on. Defects are outlined in blue.", "name": "fig-checkerboards"}, "image": {"alt": "Two rows of four checkerboards of different scale and orientation. Those of the second row have gray strokes and dots with a blue outline."}}
import numpy as np

from sadefect import Experiment, anomaly_map, load_dataset
from sadefect.datasets.synthetic import checkerboard
from sadefect.figures.origins import origin
from sadefect.figures.panels import Panel, show_panels
from sadefect.figures.tables import table
from sadefect.metrics import auroc
from sadefect.paper import numbers
from sadefect.paper.claim_checks import against_edges
from sadefect.paper.claims import CLEAR
from sadefect.paper.rules import exceeds
from sadefect.paper.run import train_experiment, trained_model
from sadefect.structural_similarity import ssim_components, ssim_residual

data = load_dataset("synthetic/checkerboard")
show_panels(
    [
        [Panel(sample.image, sample.name) for sample in data.train[:4]],
        [Panel(sample.image, sample.name, outline=sample.mask) for sample in data.test[:4]],
    ]
)

# %% [markdown]
# ## Training
#
# The network of [table 1](tab01_architecture.ipynb), trained to minimise the mean squared difference. A
# second build finds it in the store.

# %% tags=["hide-input"]
experiment = Experiment(
    dataset="synthetic/checkerboard",
    method="l2",
    latent_dim=latent_dim,
    patch_size=patch_size,
    patches_seen=patches_seen,
)
train_experiment(experiment)
model, _ = trained_model(experiment)

# %% [markdown]
# ## Five ways to look at a difference
#
# Each residual is 0 where input and reconstruction agree. The maps of figure 3 are one minus
# luminance (eq. 5), contrast (eq. 6), structure (eq. 7) and their product SSIM (eq. 8).

# %% tags=["hide-input"] mystnb={"figure": {"caption": "(a) a checkerboard with gray strokes and dots; (b) its reconstruction by an autoencoder trained on clean checkerboards with the ℓ² loss; (c) the squared difference of each pixel; (d) one minus luminance, contrast, structure and SSIM. Brighter is less similar.", "name": "fig-residuals"}, "image": {"alt": "Eight panels. The reconstruction lacks the strokes and dots. The ℓ² residual shows thin bright lines along the edges of the squares besides the defects; the SSIM residual is bright mainly around the defects."}}
NAMES = {
    "l2": "(c) ℓ²",
    "luminance": "(d) luminance",
    "contrast": "(d) contrast",
    "structure": "(d) structure",
    "ssim": "(d) SSIM",
}


def residuals(image, reconstruction, **constants):
    """The ℓ² residual, those of the three terms of SSIM, and that of SSIM itself."""
    options = {"window_size": window_size} | constants
    terms = ssim_components(image, reconstruction, data_range=1.0, **options)
    return {
        "l2": (image - reconstruction) ** 2,
        **{name: 1 - np.asarray(term) for name, term in zip(list(NAMES)[1:4], terms, strict=True)},
        "ssim": ssim_residual(image, reconstruction, **options),
    }


images = [sample.image for sample in data.test]
masks = [sample.mask for sample in data.test]
reconstructions = [
    anomaly_map(model, image, "l2", stride=stride).reconstruction for image in images
]
maps = [
    residuals(image, reconstruction, c1=c1, c2=c2)
    for image, reconstruction in zip(images, reconstructions, strict=True)
]
show_panels(
    [
        [
            Panel(images[shown], "(a) input"),
            Panel(masks[shown], "where the defects are"),
            Panel(reconstructions[shown], "(b) reconstruction"),
            Panel(maps[shown]["l2"], NAMES["l2"], "squared difference", (0, 0.32)),
        ],
        [
            Panel(maps[shown][name], NAMES[name], f"1 − {text}")
            for name, text in zip(list(NAMES)[1:], ("$l$", "$c$", "$s$", "SSIM"), strict=True)
        ],
    ]
)

# %% [markdown]
# ## How well each separates defects from the rest
#
# One picture may be a lucky one. Over all test pictures, the area under the ROC curve is the
# chance that a pixel of a defect is brighter than one without: 0.5 is guessing, 1 is perfect. The
# paper's statement is about edges, so they are looked at alone as well: pixels within three of an
# edge between squares. How strongly a residual reacts is its mean on defects, to be held against its
# mean elsewhere. The last column has the constants squared, $c_1 = 10^{-4}$ and $c_2 = 9 \cdot 10^{-4}$,
# as in all SSIM libraries.


# %% tags=["hide-input"]
def means(name):
    """Mean residual on defects, and elsewhere."""
    values = np.stack([each[name] for each in maps])
    return float(values[np.stack(masks)].mean()), float(values[~np.stack(masks)].mean())


squared = [residuals(*pair) for pair in zip(images, reconstructions, strict=True)]
scores = {name: auroc(masks, [each[name] for each in maps]) for name in NAMES}
edge_scores = {name: against_edges([each[name] for each in maps]) for name in NAMES}
reactions = {name: means(name) for name in NAMES}
table(
    (
        "residual",
        "AUROC",
        "AUROC against edges",
        "mean on defects",
        "mean elsewhere",
        "AUROC, constants squared",
    ),
    [
        (
            NAMES[name],
            scores[name],
            edge_scores[name],
            *reactions[name],
            auroc(masks, [each[name] for each in squared]),
        )
        for name in NAMES
    ],
)

# %% [markdown]
# ## What the paper says, and what came out
#
# The paper's caption, in our words: unlike the ℓ² residual, SSIM gives more weight to the defects
# that the eye sees than to slight errors along reconstructed edges. It gives no numbers. That
# contrast reacts most of the three terms is how we recall its text, which was not at hand.

# %% tags=["hide-input"]
terms = list(NAMES)[1:4]
strongest, best = max(terms, key=reactions.get), max(terms, key=scores.get)
table(
    ("the paper says", "measured as", "came out", "agrees"),
    [
        (
            "edges mislead ℓ² more than SSIM",
            f"AUROC against edges, a lead of {CLEAR:g}",
            f"SSIM {edge_scores['ssim']:.3f}, ℓ² {edge_scores['l2']:.3f}",
            "yes" if exceeds(CLEAR).holds((edge_scores["ssim"], edge_scores["l2"])) else "no",
        ),
        (
            "contrast reacts most to the defects (recalled)",
            "mean on defects of the three terms",
            f"{strongest} reacts most, {best} separates best",
            "yes" if strongest == "contrast" else "no",
        ),
    ],
)

# %% [markdown]
# ## Where it differs, and why
#
# As far as we know the paper's figure:
#
# - In the quick build the network sees smaller patches than the paper's, because one for the paper's
#   draws almost uniform gray after a minute of training. The `paper` profile trains that one, longer.
# - The paper's range of squares is not known. Our black is not quite black, so that luminance, a
#   ratio, is not decided by its last digit; the table has both.
# - The constants are the ones that the paper writes, and here they matter: inside a square the
#   variance is 0, and with squared constants contrast and structure take the faintest ripple of the
#   reconstruction for a defect. The last column of the first table shows what that costs.

# %% tags=["hide-input"]
table(
    ("what", "paper", "ours"),
    [
        ("patch size in pixels", numbers.PATCH_SIZE, patch_size),
        ("sides of squares in pixels", "not known", "{:g} to {:g}".format(*checkerboard.SQUARES)),
        ("black and white", "not known", f"{checkerboard.BLACK:g}, {checkerboard.WHITE:g}"),
        (
            "clean pictures, pictures with defects",
            "not known",
            f"{len(data.train):,}, {len(data.test)}",
        ),
        ("patches seen in training", "not known", patches_seen),
    ],
)

# %% tags=["hide-input"]
origin(experiment)
