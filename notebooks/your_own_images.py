# %% [markdown]
# # Your own images
#
# From a folder of good parts to a map of defects, in the few calls that you would make on your own material.
# Settings are chosen by good images and one example of a defect: whoever has masks of all defects needs no
# such method. Each step names the command of the shell that does the same.
#
# - **Minutes**: smoke 0.5, quick 4, paper 150

# %% tags=["parameters"]
dataset: str = "synthetic/weave"  # What the images of this page are taken from.
good: int = 40  # Good images in the folder.
patches: int = 8_000  # Training budget of each detector; take 100,000 and more for your own.
patch_size: int = 64  # Side of a patch in pixels: 32, 64 or 128 as in the paper.
latent_dims: list = [2, 20, 100]  # Lengths of the latent vector to compare.
window_sizes: list = [5, 11, 21]  # Windows of SSIM to compare, in pixels.
fpr: float = 0.01  # Share of good pixels that may be flagged.
image_fpr: float = 0.05  # Share of good images that may be judged defective.
tolerance: float = 0.05  # How much higher a map of good images may be than the best detector's.
shown: int = 1  # Which of the test images with a defect is shown at the end.

# %%
import tempfile
from pathlib import Path

import numpy as np
from IPython.display import Markdown
from PIL import Image

from sadefect import Detector, load_dataset
from sadefect.detector.calibration import images_needed, largest_region
from sadefect.detector.folder_check import check_folder
from sadefect.figures.explorers.slider import live
from sadefect.figures.origins import origin
from sadefect.figures.panels import Panel, show_panels
from sadefect.figures.tables import table
from sadefect.structural_similarity import ssim_residual

source = load_dataset(dataset)
spare = min(4, len(source.train) - 2)  # Good images that are not trained on.
*tested, last = source.test[:13]
example = last.image  # Not in the folder.
pictures = {}
for number, sample in enumerate(source.train[:-spare][:good]):
    pictures[f"train/good/{number:03d}"] = sample.image
for number, sample in enumerate(source.train[-spare:]):
    pictures[f"test/good/{number:03d}"] = sample.image
for number, sample in enumerate(tested):
    pictures[f"test/{sample.kind}/{number:03d}"] = sample.image
    pictures[f"ground_truth/{sample.kind}/{number:03d}_mask"] = sample.mask

folder = Path(tempfile.mkdtemp()) / "fabric"
for name, picture in pictures.items():
    path = folder / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.uint8(np.round(picture * 255))).save(path)

# %%
data = load_dataset("folder", folder)
_, held_out = data.split()  # Good images that no detector is trained on: thresholds need them.
good_one = held_out[0].image

window_size = 11 if patch_size > 32 else 7
settings = {"patch_size": patch_size, "window_size": window_size, "patches": patches}
detectors = {d: Detector(latent_dim=d, **settings).fit(folder) for d in latent_dims}

# The shortest latent vector whose maps of good images are about as low as the lowest.
levels = {
    d: float(np.mean([one.anomaly_map(sample.image).mean() for sample in held_out]))
    for d, one in detectors.items()
}
chosen = min(d for d, level in levels.items() if level <= (1 + tolerance) * min(levels.values()))
detector = detectors[chosen]
findings = {
    kind: detector.look(image, fpr, image_fpr=image_fpr)
    for kind, image in (("with a defect", example), ("good", good_one))
}
verdicts = ["defective" if finding.defect else "good" for finding in findings.values()]
Markdown(
    f"Trained on {len(data.train) - len(held_out)} good images for {patches:,} patches, the detector judges "
    f"an image with a defect to be {verdicts[0]}, and a good image to be {verdicts[1]}."
)


# %%
# | figure: fig-own-found
# | caption: >
# |   The example of a defect, and a good image that was held out: the anomaly map, all pixels at or above
# |   their threshold, and the regions that are judged defects, in pink.
# | alt: "Two rows of three panels: anomaly map, flagged pixels, regions that are left."
def finding_row(finding, kind, mask=None):
    """Return a row: map, flagged pixels and verdict, true defects outlined where they are known."""
    verdict = f"{'defect' if finding.defect else 'good'}: largest has {finding.score:,} pixels"
    top, threshold = 1.2 * detector.threshold(0).value, detector.threshold(fpr).value
    return [
        Panel(finding.map, f"map, {kind}", "1 − SSIM, opened", (0, top), outline=mask),
        Panel(finding.image, "flagged pixels", outline=mask, found=finding.map >= threshold),
        Panel(finding.image, verdict, outline=mask, found=finding.mask),
    ]


show_panels([finding_row(finding, kind) for kind, finding in findings.items()])

# %% [markdown]
# ## Beside the paper
#
# - **The paper shows**: results on two kinds of material, and in table 2 how they depend on settings; it does
#   not say how to choose these for another.
#
# ## A folder of images
#
# One folder of good images is enough. Test images with masks may lie beside them, in the layout of MVTec AD,
# to measure the result; no earlier step uses them, except for the check that they are usable. What is used
# is one example of a defect, without a mask, that is not among them. The first
# cell makes such a folder. For your own, set `folder` to it and `example` to what `read_image` returns of a
# file.

# %%
# | figure: fig-own-folder
# | caption: Good images of the folder, and the example of a defect that lies beside it.
# | alt: Square pictures of one texture, the last one with a defect.
good_panels = [Panel(sample.image, f"good, {sample.name}") for sample in data.train[:3]]
show_panels([[*good_panels, Panel(example, "with a defect")]])

# %% [markdown]
# ## Check it first
#
# `sadefect check fabric --patch-size 64`
#
# Sizes that differ, images that cannot be read, test images that are trained on, masks without
# images, light that drifts: better known before the training than after it. The scale is judged too,
# by the texture's middle wavelength: half of the image's power is in shorter waves. A patch should
# see several of them, and SSIM's window about one; `shrink=2` halves them.

# %%
table(("level", "what", "what to do"), check_folder(folder, patch_size=patch_size))

# %% [markdown]
# ## The latent dimension, chosen by reconstructions
#
# `sadefect train fabric -o fabric.sadefect --patch-size 64 --latent-dim 100`
#
# This is the one setting that has to fit the material. With too short a latent vector the network cannot
# reconstruct the good texture, and every thread is an anomaly; with too long a one it could learn to
# reconstruct the defects too. Take the shortest with which good images come out sharp: train two or three,
# and compare reconstructions of good images that were held out of the training. If even these come out as
# bare stripes, as they may after the few minutes of the quick build, the training is too short for a
# choice: a larger `patches` continues it.

# %%
# | figure: fig-own-latent
# | caption: >
# |   A good image that was held out, and its reconstructions by networks with latent vectors of different
# |   length; below, the example of a defect.
# | alt: Two rows. The input on the left, then a reconstruction for each latent dimension.
show_panels(
    [
        [
            Panel(image, f"input, {kind}"),
            *(Panel(one.reconstruct(image), f"d = {d}") for d, one in detectors.items()),
        ]
        for image, kind in ((good_one, "good"), (example, "with a defect"))
    ]
)

# %% [markdown]
# The same in numbers, all from good images: the loss at the end, and the mean of the map of the images
# that were held out. Where a longer vector hardly lowers it, the shorter one suffices: this page takes the
# shortest whose map is higher than the lowest by no more than the share `tolerance`.

# %%
table(
    ("d", "SSIM loss at the end", "mean of the map, held-out good images", "taken"),
    [
        (
            d,
            float(one.history_[-1, 1]) if len(one.history_) else "too few patches",
            levels[d],
            "yes" if d == chosen else "",
        )
        for d, one in detectors.items()
    ],
)

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
# |   good image that was held out.
# | alt: "Two rows of anomaly maps, one for each window: of an image with a defect, and of a good one."
pairs = {
    kind: (image, detector.reconstruct(image))
    for kind, image in (("with a defect", example), ("good", good_one))
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
# Training held out a tenth of the good images. The threshold of pixels, `fpr`, flags the share of
# their pixels that you allow. These lie in specks all over a good image, and some of them are as
# anomalous as a defect. What a good image does not have is a large region of them: an image is judged
# defective if its largest region has more pixels than those of held-out images, a share `image_fpr` of them
# left out. A defect that is smaller than the specks of good images is flagged, but not judged: that
# takes a better network, or another scale.
#
# Pixels are many, images few. With N held-out images and none of them judged defective, one new good
# image in N + 1 will be, on average; more certainty takes more images. The table says how certain it is
# here, and how many held-out images the share that you allow takes.

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
            "images", f"{size.value} pixels in a region", size.fpr, f"{size.images} images",
            images_needed(image_fpr), size.expected, size.bound,
        ),
    ],
)  # fmt: skip

# %% [markdown]
# `sadefect segment fabric.sadefect new_images -o found` writes a heat map, a mask and an overlay of
# each image, `results.csv`, and `report.html`, which needs no network. In Python, `Detector.look` gives the
# same, as at the top of this page. In a live kernel, move the threshold and the window of the example:

# %% tags=["hide-input"]
if live():
    from ipywidgets import FloatLogSlider, SelectionSlider, interact

    good_pairs = [(sample.image, detector.reconstruct(sample.image)) for sample in held_out]

    @interact(
        share=FloatLogSlider(value=fpr, min=-4, max=-0.5, description="share"),
        window=SelectionSlider(options=range(3, 32, 2), value=window_size),
    )
    def flag(share, window):
        """Flag pixels for a share of good pixels and a window, and name the largest regions."""
        maps = [ssim_residual(*pair, window_size=window) for pair in good_pairs]
        threshold = np.quantile(np.concatenate([one.ravel() for one in maps]), 1 - share)
        residual = ssim_residual(*pairs["with a defect"], window_size=window)
        flagged = residual >= threshold
        allowed = max(largest_region(one >= threshold) for one in maps)
        title = f"largest: {largest_region(flagged):,} pixels, good {allowed:,}"
        shown = [
            Panel(residual, f"window {window}", "1 − SSIM"),
            Panel(example, title, found=flagged),
        ]
        return show_panels([shown], width=6)

# %% [markdown]
# ## The result, against masks
#
# `sadefect evaluate fabric.sadefect fabric -o report`
#
# The first use of test images and masks, after every choice was made. A choice that is made by these
# numbers is tuned to this very test set; keep a second one to measure it.

# %%
metrics, _ = detector.evaluate(data, fpr, image_fpr=image_fpr)
table(
    ("measured", "result"),
    [
        ("AUROC of pixels", metrics["auroc"]),
        ("AUPRO up to a false positive rate of 0.3", metrics["aupro"]),
        ("AUROC of images", metrics["image_auroc"]),
        *(
            (f"{kind} images judged defective", f"{one['defect']} of {one['images']}")
            for kind, one in metrics["verdicts"].items()
        ),
    ],
)

# %%
# | figure: fig-own-test
# | caption: >
# |   One of the test images with its true defect, outlined in blue: the anomaly map, all flagged pixels, and
# |   the regions that are judged defects. Yellow pixels are found, pink ones are false alarms.
# | alt: "Three panels with the outline of a defect: anomaly map, flagged pixels, regions that are left."
defective = [sample for sample in data.test if sample.kind != "good"]
sample = defective[min(shown, len(defective) - 1)]
finding = detector.look(sample.image, fpr, image_fpr=image_fpr)
show_panels([finding_row(finding, sample.kind, sample.mask)])

# %% [markdown]
# ## Into production
#
# ```python
# detector.save("fabric.sadefect")  # One file: numbers and JSON, no code.
# Detector.load("fabric.sadefect").segment("new.png", fpr=0.01)
# detector.export("fabric.onnx")  # The network alone, for another runtime.
# ```
#
# The exported network takes patches and returns reconstructions; cutting, averaging, SSIM and thresholds
# remain to be done around it, as `sadefect.anomaly_maps` does.
#
# ## What this method cannot do
#
# - **Objects.** It assumes that any patch looks like any other. Screws, bottles or circuit boards have
#   parts that belong in one place; there it finds edges, and overlooks what is missing.
# - **Colour.** Images become luminance: a stain of the same luminance is invisible. Convert to the
#   channel that shows it first.
# - **Smooth defects.** SSIM compares structure. A faint, wide shadow has none; try `method="l2"`.
# - **Defects that look like the texture.** What the network can reconstruct, it does not find.
# - **Few images with much variety.** The network has to have seen what is good.
# - **The border.** Pixels along it are at the edge of every patch that has them, where reconstructions are
#   worst, so that good images are flagged there more than elsewhere. Take the picture with a margin.
#
# If one of these is your case, try methods that compare features of a large pretrained network:
# PatchCore {cite:p}`roth2022patchcore` and EfficientAD {cite:p}`batzner2024efficientad`, both in
# [anomalib](https://github.com/open-edge-platform/anomalib). On MVTec AD they are reported to be far
# ahead of the autoencoders of this book, on textures as well; they need pretrained weights, and
# PatchCore a memory of features. This method is small, is trained from scratch on your images alone, and
# shows what it expected to see.

# %%
frame, ratios = 8, []
for sample in held_out:
    residual = detector.anomaly_map(sample.image)
    inside = np.zeros(residual.shape, bool)
    inside[frame:-frame, frame:-frame] = True
    ratios.append(residual[~inside].mean() / residual[inside].mean())
Markdown(
    f"Of the border, measured here: in the outermost {frame} pixels of good images that were held out, "
    f"the map is {np.mean(ratios):.2f} times as high as further in."
)

# %% tags=["hide-input"]
origin()
