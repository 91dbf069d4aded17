# %% [markdown]
# # Your own images
#
# From a folder of good parts to a map of defects, with the same few calls that you would use on your
# own material. Settings are chosen by good images, with a look at one example of a defect: whoever has
# masks of all defects needs no such method. The shell does the same; its commands stand beside each step.
#
# - **The paper shows**: nothing of this; it has two kinds of material, and tells how its settings were
#   varied in table 2.
# - **What to expect**: a folder of woven fabric, looked over, learnt, segmented; which latent
#   dimension, window, patch and scale to take; what the method cannot do, and where to go then.
# - **Minutes**: smoke 0.5, quick 4, paper 150

# %% tags=["parameters"]
dataset: str = "synthetic/weave"  # What the images of this page are drawn from.
good: int = 40  # Good images in the folder.
patches: int = 8_000  # Training budget of each detector; take 100,000 and more for your own.
patch_size: int = 64  # Side of a patch in pixels: 32, 64 or 128 as in the paper.
latent_dims: list = [2, 20, 100]  # Lengths of the latent vector to compare.
window_sizes: list = [5, 11, 21]  # Windows of SSIM to compare, in pixels.
fpr: float = 0.01  # Share of good pixels that may be flagged.
image_fpr: float = 0.05  # Share of good images that may be judged defective.
tolerance: float = 0.05  # How much higher a map of good images may be than the best detector's.
shown: int = 1  # Which of the test images with a defect is shown at the end.

# %% [markdown]
# ## A folder of images
#
# Good images are enough: one folder of them will do. Test images with masks may lie beside them, in
# the layout of MVTec AD, to measure what came out; no step before that looks at them, but for the check
# that they can be used. What is looked at before is one example of a defect, without a mask, that is
# not among them. This page makes such a folder. To try it on yours, set `folder` to it and `example` to
# what `read_image` gives of a file, and go on from the figure.

# %% tags=["hide-input"]
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

folder = Path(tempfile.mkdtemp()) / "fabric"
source = load_dataset(dataset)


def write(name, image):
    path = folder / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.uint8(np.round(image * 255))).save(path)


spare = min(4, len(source.train) - 2)  # Good images that are not trained on.
learnt, kept = source.train[: -spare or None][:good], source.train[-spare:]
for number, sample in enumerate(learnt):
    write(f"train/good/{number:03d}", sample.image)
for number, sample in enumerate(kept):
    write(f"test/good/{number:03d}", sample.image)
*tested, last = source.test[:13]
for number, sample in enumerate(tested):
    write(f"test/{sample.kind}/{number:03d}", sample.image)
    write(f"ground_truth/{sample.kind}/{number:03d}_mask", sample.mask)
example = last.image  # Not in the folder.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Good images of the folder, and the example of a defect that lies beside it.", "name": "fig-own-folder"}, "image": {"alt": "Square pictures of one texture, the last one with a defect."}}
data = load_dataset("folder", folder)
_, held_out = data.split()  # Good images that no detector is trained on: thresholds need them.
good_one = held_out[0].image
show_panels(
    [
        [
            *(Panel(sample.image, f"good, {sample.name}") for sample in data.train[:3]),
            Panel(example, "with a defect"),
        ]
    ]
)

# %% [markdown]
# ## Look it over first
#
# `sadefect check fabric --patch-size 64`
#
# Sizes that differ, images that cannot be read, test images that are trained on, masks without
# images, light that drifts: better known before the training than after it. The scale is judged too,
# by the texture's middle wavelength: half of the image's power is in shorter waves. A patch should
# see several of them, and SSIM's window about one; `shrink=2` halves them.

# %%
remarks = check_folder(folder, patch_size=patch_size)
table(("level", "what", "what to do"), remarks)

# %% [markdown]
# ## The latent dimension, by looking at reconstructions
#
# `sadefect train fabric -o fabric.sadefect --patch-size 64 --latent-dim 100`
#
# The one setting that has to fit the material. With too short a latent vector the network cannot
# reconstruct the good texture, and every thread is an anomaly; with too long a one it could learn to
# reconstruct the defects too. Take the shortest with which good images come out sharp. Train two or three
# of them, and look, at good images that were held out of the training. Where even these come out as bare
# stripes, as they may after the few minutes that the quick build gives it, the training is too short for
# a choice: a larger `patches` continues it.

# %% tags=["hide-input"]
settings = {"patch_size": patch_size, "window_size": 11, "patches": patches}
if patch_size == 32:
    settings["window_size"] = 7
detectors = {d: Detector(latent_dim=d, **settings).fit(folder) for d in latent_dims}

# %% tags=["hide-input"] mystnb={"figure": {"caption": "A good image that was held out, and how networks with a latent vector of different length reconstruct it; below, the example of a defect.", "name": "fig-own-latent"}, "image": {"alt": "Two rows. The input on the left, then a reconstruction for each latent dimension."}}
show_panels(
    [
        [Panel(image, f"input, {kind}")]
        + [Panel(fitted.reconstruct(image), f"d = {d}") for d, fitted in detectors.items()]
        for image, kind in ((good_one, "good"), (example, "with a defect"))
    ]
)

# %% [markdown]
# The same in numbers, all from good images: the loss at the end, and the mean of the map of the images
# that were held out. Where a longer vector hardly lowers it, the shorter one suffices: taken is the
# shortest whose map is higher than the lowest by no more than the share `tolerance`.

# %% tags=["hide-input"]
levels = {
    d: float(np.mean([fitted.anomaly_map(sample.image).mean() for sample in held_out]))
    for d, fitted in detectors.items()
}
chosen = min(d for d, level in levels.items() if level <= (1 + tolerance) * min(levels.values()))
detector = detectors[chosen]
table(
    ("d", "SSIM loss at the end", "mean of the map, held-out good images", "taken"),
    [(d, float(fitted.history_[-1, 1]) if len(fitted.history_) else "too few patches", levels[d],
      "yes" if d == chosen else "") for d, fitted in detectors.items()],
)  # fmt: skip

# %% [markdown]
# ## The window, the patch, the scale
#
# The window decides what counts as one place: a small one shows thin defects sharply and is restless,
# a large one is calm and rounds them off. It can be changed without training again for a look, here at
# the example of a defect and at a good image; train with the one that you keep. If neither suits, change
# the scale, as the paper does with its fabrics: it halves them, and keeps patches of 128 pixels.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Anomaly maps with different windows of SSIM, of one reconstruction each: the example of a defect, and a good image that was held out.", "name": "fig-own-window"}, "image": {"alt": "Two rows of anomaly maps, one for each window: of an image with a defect, and of a good one."}}
reconstruction = detector.reconstruct(example)
pairs = {
    "with a defect": (example, reconstruction),
    "good": (good_one, detector.reconstruct(good_one)),
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
# defective if its largest region has more pixels than those of held-out images, `image_fpr` of them
# left out. A defect that is smaller than the specks of good images is flagged, but not judged: that
# takes a better network, or another scale.
#
# Pixels are many, images few. With N held-out images and none of them judged defective, one new good
# image in N + 1 will be, on average, and nobody knows it better before there are more of them. The
# table says how well it is known here, and how many held-out images the share that you allow takes.

# %% tags=["hide-input"]
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
# each image, `results.csv`, and `report.html`, which needs no network. Here with `Detector.look`; what
# is left are regions as large as the threshold of images.


# %% tags=["hide-input"] mystnb={"figure": {"caption": "The example of a defect, and a good image that was held out: the anomaly map, all pixels from their threshold on, and the regions that are judged defects, in orange.", "name": "fig-own-found"}, "image": {"alt": "Two rows of three panels: anomaly map, flagged pixels, regions that are left."}}
def looked_at(image, kind, mask=None):
    """A row: map, flagged pixels and verdict; with the mask where it is given."""
    finding = detector.look(image, fpr, image_fpr=image_fpr)
    flagged = detector.segment(image, fpr)
    verdict = f"{'defect' if finding.defect else 'good'}: largest has {finding.score:,} pixels"
    top = 1.2 * detector.threshold(0).value
    return [
        Panel(finding.map, f"map, {kind}", "1 − SSIM, opened", (0, top), outline=mask),
        Panel(image, "flagged pixels", outline=mask, found=flagged),
        Panel(image, verdict, outline=mask, found=finding.mask),
    ]


show_panels([looked_at(example, "with a defect"), looked_at(good_one, "good")])

# %% [markdown]
# In a live kernel, move the threshold and the window, and look at the example again:

# %% tags=["hide-input"]
if live():
    from ipywidgets import FloatLogSlider, SelectionSlider, interact

    good_pairs = [(sample.image, detector.reconstruct(sample.image)) for sample in held_out]

    @interact(
        share=FloatLogSlider(value=fpr, min=-4, max=-0.5, description="share"),
        window=SelectionSlider(options=range(3, 32, 2), value=settings["window_size"]),
    )
    def look(share, window):
        """Flagged pixels for a share of good pixels and a window, and the largest regions."""
        good_maps = [ssim_residual(*pair, window_size=window) for pair in good_pairs]
        threshold = np.quantile(
            np.concatenate([good_map.ravel() for good_map in good_maps]), 1 - share
        )
        map = ssim_residual(example, reconstruction, window_size=window)
        largest = largest_region(map >= threshold)
        allowed = max(largest_region(good_map >= threshold) for good_map in good_maps)
        return show_panels(
            [
                [
                    Panel(map, f"window {window}", "1 − SSIM"),
                    Panel(
                        example,
                        f"largest: {largest:,} pixels, good {allowed:,}",
                        found=map >= threshold,
                    ),
                ]
            ],
            width=6,
        )


# %% [markdown]
# ## What came out, against masks
#
# `sadefect evaluate fabric.sadefect fabric -o report`
#
# The first look at test images and masks, after every choice was made. A choice that is made by these
# numbers is tuned to this very test set; keep a second one to find out.

# %% tags=["hide-input"]
metrics, _ = detector.evaluate(data, fpr, image_fpr=image_fpr)
table(
    ("measured", "came out"),
    [
        ("AUROC of pixels", metrics["auroc"]),
        ("AUPRO up to a false positive rate of 0.3", metrics["aupro"]),
        ("AUROC of images", metrics["image_auroc"]),
        *(
            (f"{kind} images judged defective", f"{counts['defect']} of {counts['images']}")
            for kind, counts in metrics["verdicts"].items()
        ),
    ],
)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "One of the test images with its true defect, outlined in blue: the anomaly map, all flagged pixels, and the regions that are judged defects. Found pixels are yellow within the outline and pink outside.", "name": "fig-own-test"}, "image": {"alt": "Three panels with the outline of a defect: anomaly map, flagged pixels, regions that are left."}}
defective = [sample for sample in data.test if sample.kind != "good"]
sample = defective[min(shown, len(defective) - 1)]
show_panels([looked_at(sample.image, sample.kind, sample.mask)])

# %% [markdown]
# ## Into production
#
# ```python
# detector.save("fabric.sadefect")  # One file: numbers and JSON, no code.
# Detector.load("fabric.sadefect").segment("new.png", fpr=0.01)
# detector.export("fabric.onnx")  # The network alone, for another runtime.
# ```
#
# The exported network takes patches and gives reconstructions; cutting, averaging, SSIM and thresholds
# remain to be done around it, as `sadefect.anomaly_maps` does.

# %% [markdown]
# ## What this method cannot do
#
# - **Objects.** It assumes that any patch looks like any other. Screws, bottles or circuit boards have
#   parts that belong in one place; there it finds edges, and overlooks what is missing.
# - **Colour.** Images become luminance: a stain of the same luminance is invisible. Convert to the
#   channel that shows it before.
# - **Smooth defects.** SSIM compares structure. A faint, wide shadow has none; try `method="l2"`.
# - **Defects that look like the texture.** What the network can reconstruct, it does not find.
# - **A small number of images with much variety.** The network has to have seen what is good.
# - **The border.** Pixels along it are seen at the edge of a patch alone, where the network is
#   worst, so that good images are flagged there more than elsewhere. Take the picture with a margin.
#
# Where one of these is your case, go on to methods that compare features of a large pretrained network:
# PatchCore {cite:p}`roth2022patchcore` and EfficientAD {cite:p}`batzner2024efficientad`, both in
# [anomalib](https://github.com/open-edge-platform/anomalib). On MVTec AD they are reported to be far
# ahead of the autoencoders of this book, on textures as well; they need pretrained weights, and
# PatchCore a memory of features. What speaks for this method is that it is small, is trained from
# nothing on your images alone, and shows what it expected to see.

# %% tags=["hide-input"]
frame = 8
ratios = []
for sample in held_out:
    map = detector.anomaly_map(sample.image)
    inside = np.zeros(map.shape, bool)
    inside[frame:-frame, frame:-frame] = True
    ratios.append(map[~inside].mean() / map[inside].mean())
Markdown(
    f"Of the border, measured here: in the outermost {frame} pixels of good images that were held out, "
    f"the map is {np.mean(ratios):.2f} times as high as further in."
)

# %% tags=["hide-input"]
origin()
