# %% [markdown]
# # Your own images
#
# From pictures of cloth to a map of its defects, with a detector that is trained already; then what it
# misses and why, and the few calls that train one on your own material. Each step gives the equivalent shell
# command.
#
# - **Minutes**: smoke 0.4, quick 0.6, paper 0.6

# %% tags=["parameters"]
dataset: str = "synthetic/twill"  # What the images of this page are taken from.
preset: str = "twill"  # A detector that was trained on such images: `sadefect preset list`.
good: int = 24  # Good images in the folder.
window_sizes: list = [5, 11, 21]  # Windows of SSIM to compare, in pixels.
fpr: float = 0.01  # Share of good pixels that may be flagged.
image_fpr: float = 0.05  # Share of good images that may be judged defective.
shown: str = "cut"  # The kind of defect of which the first is shown.
dimmed: float = 0.85  # Light in the middle of a shadow, of what it is elsewhere.

# %%
import tempfile
import time
from pathlib import Path

import numpy as np
from IPython.display import Markdown
from PIL import Image

from sadefect import Detector, load_dataset, ssim_components
from sadefect.datasets.folder import write_test_images
from sadefect.detector.conformal import images_needed
from sadefect.detector.folder_check import check_folder
from sadefect.figures.explorers.slider import live
from sadefect.figures.origins import origin
from sadefect.figures.panels import Panel, show_panels
from sadefect.figures.tables import table
from sadefect.metrics import auroc
from sadefect.structural_similarity import ssim_residual

source = load_dataset(dataset)
spare = min(4, len(source.train) - 2)  # Good images that are for the test.
folder = Path(tempfile.mkdtemp()) / "cloth"
write_test_images(folder, [*source.train[-spare:], *source.test[:12]])
(folder / "train/good").mkdir(parents=True)
for number, sample in enumerate(source.train[:-spare][:good]):
    image = Image.fromarray(np.uint8(np.round(sample.image * 255)))
    image.save(folder / "train/good" / f"{number:03d}.png")
data = load_dataset("folder", folder)

# %%
detector = Detector.from_preset(preset)
example = next(sample for sample in data.test if sample.kind == shown)
good_one = next(sample for sample in data.test if sample.kind == "good")

# A wide soft shadow on a good image: a defect for who looks at it, and of no other structure.
height, width = good_one.image.shape
rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
depth = (1 - dimmed) * np.exp(-4 * (rows**2 + columns**2))
shadow = np.float32(good_one.image * (1 - depth))
in_shadow = depth > (1 - dimmed) / 2

inputs = {shown: example.image, "good": good_one.image, "shadow": shadow}
findings = {kind: detector.look(image, fpr, image_fpr=image_fpr) for kind, image in inputs.items()}
judged = {kind: "defective" if finding.defect else "good" for kind, finding in findings.items()}
hit = float(findings[shown].mask[example.mask].mean())
Markdown(
    f"The detector, which never saw these images, judges the one with a defect to be {judged[shown]}, with "
    f"{hit:.0%} of the defect marked, and a good one to be {judged['good']}. The same good image with a "
    f"shadow on it is judged {judged['shadow']}: SSIM hardly responds to brightness, as is shown below."
)


# %%
# | figure: fig-own-found
# | caption: >
# |   An image with a defect, a good one, and the good one with a shadow: the anomaly map, all pixels at or
# |   above their threshold, and the regions that are judged defects. Blue outlines the defect and the shadow.
# |   Yellow: found. Pink, or orange where nothing is outlined: false alarm.
# | alt: "Three rows of three panels: anomaly map, flagged pixels, regions that are left."
def finding_row(finding, kind, mask=None):
    """Return a row: map, flagged pixels and verdict, true defects outlined where they are known."""
    verdict = f"{'defect' if finding.defect else 'good'}: score {finding.score:,}"
    top, threshold = 1.2 * detector.threshold(0).value, detector.threshold(fpr).value
    return [
        Panel(finding.map, f"map, {kind}", "1 − SSIM", (0, top), outline=mask),
        Panel(finding.image, "flagged pixels", outline=mask, found=finding.map >= threshold),
        Panel(finding.image, verdict, outline=mask, found=finding.mask),
    ]


masks = {shown: example.mask, "good": None, "shadow": in_shadow}
show_panels([finding_row(findings[kind], kind, masks[kind]) for kind in inputs])

# %% [markdown]
# ## Beside the paper
#
# - **The paper shows**: results on two kinds of material, and in table 2 how they depend on settings; it does
#   not say how to choose these for another.
#
# ## The same from the shell
#
# ```bash
# sadefect preset images twill cloth                      # Paints a few images, in folders.
# sadefect segment preset:twill cloth/test/cut -o found   # Masks, heat maps, results.csv, report.html.
# ```
#
# `sadefect preset list` names what is trained already. A preset knows one material at one scale: on any
# other it judges everything defective. That takes a detector of your own, trained on good images alone.
#
# ## What it misses, and why
#
# SSIM is the product of three terms, eq. 5 to 7 of the paper: luminance, contrast and structure. A shadow
# changes the first alone, and hardly lowers it. What sees it is the mean brightness of a place; such
# yardsticks, which need no training, are fitted along with every detector, and `sadefect train` says where
# they are better than the network that it trained.

# %%
yardsticks = detector.yardstick_maps(shadow)
terms = zip(
    ("luminance", "contrast", "structure"),
    ssim_components(shadow, detector.reconstruct(shadow), data_range=1.0),
    strict=True,
)
table(
    ("in the shadow", "mean there", "mean elsewhere"),
    [
        (
            name,
            float(np.asarray(term)[in_shadow].mean()),
            float(np.asarray(term)[~in_shadow].mean()),
        )
        for name, term in terms
    ],
)

# %%
separated = {
    name: auroc([in_shadow], [map])
    for name, map in {"network, 1 − SSIM": findings["shadow"].map, **yardsticks}.items()
}
table(
    ("how well the shadow's pixels are separated from the rest", "AUROC"),
    [(name.replace("_", " "), float(value)) for name, value in separated.items()],
)

# %% [markdown]
# ## A folder of your own
#
# One folder of good images is enough. Test images with masks may lie beside them, in the layout of MVTec AD,
# to measure the result; no earlier step uses them, except for the check that they are usable. The first
# cell makes such a folder.

# %%
# | figure: fig-own-folder
# | caption: Good images of the folder, and one with a defect.
# | alt: Square pictures of one texture, the last one with a defect.
good_panels = [Panel(sample.image, f"good, {sample.name}") for sample in data.train[:3]]
show_panels([[*good_panels, Panel(example.image, f"defect: {shown}")]])

# %% [markdown]
# ## Check it first
#
# `sadefect check cloth`
#
# Sizes that differ, images that cannot be read, test images that are trained on, masks without
# images, light that drifts: better known before the training than after it. The scale is judged too,
# by the texture's middle wavelength: half of the image's power is in shorter waves. A patch should
# see several of them, and SSIM's window about one; `shrink=2` halves them. A mask with more than
# two values is refused; `--mask-values 1,2` or `--mask-values "#ff0000"` says which of them mean a
# defect.

# %%
table(("level", "what", "what to do"), check_folder(folder, patch_size=detector.patch_size))

# %% [markdown]
# ## Train it
#
# ```bash
# sadefect train cloth -o cloth.sadefect                          # 100,000 patches: half an hour.
# sadefect train cloth -o cloth.sadefect --method filter_bank     # Without a network: seconds.
# ```
#
# The last of the good images, up to a third, are held out. Their loss decides which state of the network is
# kept and when training stops, in which symmetries patches are shown and whether colour images are judged by
# channel; synthetic defects in them decide how maps are made. What was chosen is said at the end, and noted in the
# file. The latent dimension is the one setting that has to fit the material: too short a vector cannot hold
# the texture, and every thread is an anomaly; {doc}`tab02_sensitivity` shows what that does. If
# good images are not reconstructed sharply, `--latent-dim 200` or a larger `--patches` helps.

# %%
start = time.perf_counter()
bank = Detector("filter_bank", patch_size=detector.patch_size).fit(folder)
Markdown(f"The filter bank of this page was fitted in {time.perf_counter() - start:.0f} seconds.")

# %% [markdown]
# ## The window, the patch, the scale
#
# The window decides what counts as one place: a small one shows thin defects sharply and is noisy, a large
# one is smooth and rounds them off. It can be tried without training again, here on the example of a
# defect and on a good image; then train with the one that you keep. If neither suits, change the scale, as
# the paper does with its fabrics: it halves them, and keeps patches of 128 pixels.

# %%
# | figure: fig-own-window
# | caption: >
# |   Anomaly maps with different windows of SSIM, of one reconstruction each: the example of a defect, and a
# |   good image.
# | alt: "Two rows of anomaly maps, one for each window: of an image with a defect, and of a good one."
pairs = {
    kind: (image, detector.reconstruct(image))
    for kind, image in (("with a defect", example.image), ("good", good_one.image))
}
show_panels(
    [
        [
            Panel(ssim_residual(*pair, window_size=size), f"window {size}, {kind}", "1 − SSIM")
            for size in window_sizes
        ]
        for kind, pair in pairs.items()
    ]
)

# %% [markdown]
# ## Thresholds, from good images
#
# The pixel threshold flags a share `fpr` of the pixels of held-out images. These lie in specks all over a good
# image, and some of them are as anomalous as a defect. What a good image does not have is a large region of
# them, or one that is high as a whole. An image is scored by its largest flagged region (area or mass) or by
# the peak of the smoothed map, whichever separates synthetic defects from good images. It is defective if its
# score exceeds that of all but a share `image_fpr` of held-out images. A defect no larger than the specks of
# good images is flagged, but not judged: that takes a better network, or another scale.
#
# Near the border of an image networks reconstruct worse, and its pixels would decide all thresholds. How much
# worse is measured on held-out good images, and the map is lowered there by as much.
#
# Pixels are many, images few. With N held-out images and none of them judged defective, one new good
# image in N + 1 will be, on average; more certainty takes more images. The table says how certain it is
# here, and how many held-out images the share that you allow takes. After false alarms,
# `sadefect calibrate cloth.sadefect good_ones` sets thresholds anew, without training.

# %%
pixels, size = detector.threshold(fpr), detector.image_threshold(image_fpr, fpr)
table(
    (
        "threshold of", "value", "share allowed", "rests on", "held-out images that this takes",
        "share to expect", "95 % sure it is below",
    ),
    [
        (
            "pixels", pixels.value, pixels.fpr,
            f"{pixels.pixels:,} pixels of {pixels.images} images", "", pixels.fpr, "",
        ),
        (
            "images", f"a score of {size.value:,}, {detector.calibration_.unit}", size.fpr,
            f"{size.images} images", images_needed(image_fpr), size.expected, size.bound,
        ),
    ],
)  # fmt: skip

# %% [markdown]
# `sadefect segment cloth.sadefect new_images -o found` writes a heat map, a mask and an overlay of
# each image, `results.csv`, and `report.html`, which needs no network. In Python, `Detector.look` gives the
# same, as at the top of this page. In a live kernel, move the threshold and the window of the example:

# %% tags=["hide-input"]
if live():
    from ipywidgets import FloatLogSlider, SelectionSlider, interact

    from sadefect.detector.calibration import largest_region

    held_out = [sample.image for sample in data.test if sample.kind == "good"]
    good_pairs = [(image, detector.reconstruct(image)) for image in held_out]

    @interact(
        share=FloatLogSlider(value=fpr, min=-4, max=-0.5, description="share"),
        window=SelectionSlider(options=range(3, 32, 2), value=detector.window_size),
    )
    def flag(share, window):
        """Flag pixels for a share of good pixels and a window, and name the largest regions."""
        maps = [ssim_residual(*pair, window_size=window) for pair in good_pairs]
        threshold = np.quantile(np.concatenate([map.ravel() for map in maps]), 1 - share)
        residual = ssim_residual(*pairs["with a defect"], window_size=window)
        flagged = residual >= threshold
        allowed = max(largest_region(map >= threshold) for map in maps)
        title = f"largest: {largest_region(flagged):,} pixels, good {allowed:,}"
        panels = [
            Panel(residual, f"window {window}", "1 − SSIM"),
            Panel(example.image, title, found=flagged),
        ]
        return show_panels([panels], width=6)

# %% [markdown]
# ## The result, against masks
#
# `sadefect evaluate cloth.sadefect cloth -o report`
#
# The first use of test images and masks, after every choice was made. A choice that is made by these
# numbers is tuned to this very test set; keep a second one to measure it.

# %%
compared = {"preset, a network": detector, "filter bank": bank}
measured = {name: one.evaluate(data, fpr, image_fpr=image_fpr)[0] for name, one in compared.items()}
kinds = list(measured["filter bank"]["verdicts"])
table(
    ("measured", *compared),
    [
        ("AUROC of pixels", *(metrics["auroc"] for metrics in measured.values())),
        ("AUPRO up to a false positive rate of 0.3", *(one["aupro"] for one in measured.values())),
        ("AUROC of images", *(metrics["image_auroc"] for metrics in measured.values())),
        *(
            (
                f"{kind} images judged defective",
                *(
                    f"{metrics['verdicts'][kind]['defect']} of {metrics['verdicts'][kind]['images']}"
                    for metrics in measured.values()
                ),
            )
            for kind in kinds
        ),
    ],
)

# %% [markdown]
# Defects that are flagged and yet not judged are no larger than what is flagged in good images: an image is
# judged by one region. Where flagged pixels of good images crowd, calibration says so; a `border` in training
# leaves that margin out. On synthetic defects the ranking of network and yardsticks may be another one than on
# the defects above; notes say so.

# %%
Markdown("\n".join(f"- {note}." for note in detector.notes()))

# %% [markdown]
# ## Into production
#
# ```python
# detector.save("cloth.sadefect")  # One file: numbers and JSON, no code.
# Detector.load("cloth.sadefect").segment("new.png", fpr=0.01)
# detector.save_to_preset("cloth")  # A folder that Keras reads as well, with a card.
# detector.export("cloth.onnx")  # The network alone, for another runtime.
# ```
#
# The exported network takes patches and returns reconstructions; cutting, averaging, SSIM and thresholds
# remain to be done around it, as `sadefect.anomaly_maps` does.
#
# ## What this method cannot do
#
# - **Objects.** It assumes that any patch looks like any other. Screws, bottles or circuit boards have
#   parts that belong in one place; there it finds edges, and overlooks what is missing.
# - **Colour.** Images become luminance, where a stain of the same luminance is invisible, unless training
#   finds that channels can be judged one by one; `colour="channels"` insists.
# - **Smooth defects.** The shadow above; try `method="l2"`, or the filter bank.
# - **Defects that look like the texture.** What the network can reconstruct, it does not find.
# - **Few images with much variety.** The network has to have seen what is good.
# - **The border.** Pixels along it are at the edge of every patch that has them, where reconstructions are
#   worst. Maps are lowered there, and a faint defect is found less easily than inside: take the picture with a
#   margin. That is not a fault of table 1's padding, which is even (`python -m benchmarks frame`).
#
# If one of these is your case, try methods that compare features of a large pretrained network:
# PatchCore {cite:p}`roth2022patchcore` and EfficientAD {cite:p}`batzner2024efficientad`, both in
# [anomalib](https://github.com/open-edge-platform/anomalib). On MVTec AD they are reported to be far
# ahead of the autoencoders of this book, on textures as well; they need pretrained weights, and
# PatchCore a memory of features. This method is small, is trained from scratch on your images alone, and
# shows what it expected to see.

# %%
border = "Maps of this detector are not lowered near the border."
if detector.levels_ is not None:
    lowered = detector.levels_[:, 0]
    border = (
        "Of the border, measured here: the map of the outermost pixels is multiplied by "
        f"{lowered.min():.2f} to {lowered.max():.2f}, depending on the side."
    )
Markdown(border)

# %% tags=["hide-input"]
origin()
