"""A check of a folder of images before hours are spent on it: what is wrong, and what to do."""

import hashlib
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import stats

from sadefect.datasets.folder import folders_of, mask_beside, require_mask
from sadefect.datasets.images import (
    SUFFIXES,
    as_gray,
    ignored_files,
    image_files,
    name_some,
    orientation_of,
    read_pixels,
    subfolders,
)
from sadefect.datasets.masks import paired_mask
from sadefect.detector.conformal import (
    expected_fpr,
    good_images_needed,
    held_out_count,
    images_needed,
)
from sadefect.errors import DataError

DRIFT, DRIFT_CHANCE = 0.02, 0.001  # Of the mean gray value, by how much and how surely.
OUTLIER = 6.0  # Robust standard deviations of a mean gray value.
LEAST_CONTRAST = 0.02  # Standard deviation of gray values of an image that has any texture.
FEW_PATCHES = 100  # Distinct ones, of which a training overfits within minutes.
LEVELS_OF_REMARKS = ("error", "warning", "note")


class Remark(NamedTuple):
    """``level`` is "error", "warning" or "note"; ``fix`` says what to do, or is empty."""

    level: str
    text: str
    fix: str = ""


class Measured(NamedTuple):
    """Measurements of an image; ``period`` is that of `period`, after downscaling."""

    path: Path
    digest: str
    shape: tuple
    kind: str
    mean: float
    deviation: float
    period: float
    orientation: int


def check_folder(folder, patch_size=128, window_size=11, shrink=1, mask_values=None):
    """Read each image once, and say what would go wrong or come out badly.

    The folder has good images, or is laid out like MVTec AD; the numbers are those that a detector
    would be trained with; ``mask_values`` mean a defect, as in `read_mask`. Returns a list of
    `Remark`, errors first: those are what training or evaluation would stop at.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        return [Remark("error", f"there is no folder {folder}", "make it, or correct the path")]
    laid_out = (folder / "train" / "good").is_dir()
    good = folder / "train" / "good" if laid_out else folder
    test, remarks = [], []
    train = _measure_all(good, shrink, remarks)
    for kind in subfolders(folder / "test") if laid_out else ():
        test += _measure_all(kind, shrink, remarks)
        if kind.name != "good":
            for path in image_files(kind):
                remarks += _check_mask(path, folder / "ground_truth" / kind.name, mask_values)
    remarks += _check_ignored(folder, laid_out)
    remarks += _check_counts(good, train, test, laid_out)
    remarks += _check_sizes(train + test, patch_size * shrink)
    remarks += _check_patches(train, patch_size * shrink)
    remarks += _check_orientations(train + test)
    remarks += _check_duplicates(train, test)
    if laid_out:
        remarks += _check_lonely_masks(folder)
    remarks += _check_brightness(train)
    remarks += _check_texture(train, patch_size, window_size, shrink)
    return sorted(remarks, key=lambda remark: LEVELS_OF_REMARKS.index(remark.level))


def _measure_all(folder, shrink, remarks):
    """Measure the images of a folder, and add remarks on those that cannot be read."""
    measured = []
    for path in image_files(folder):
        try:
            measured.append(_measure(path, shrink))
        except DataError as error:
            remarks.append(Remark("error", str(error)))
    return measured


def _measure(path, shrink):
    pixels = read_pixels(path)
    gray = as_gray(pixels, path)
    colour = pixels.ndim == 3 and pixels.shape[-1] >= 3
    side = max(1, min(256 * shrink, *gray.shape))
    top, left = ((length - side) // 2 for length in gray.shape)
    return Measured(
        path,
        digest=hashlib.sha256(np.ascontiguousarray(gray)).hexdigest(),
        shape=gray.shape,
        kind=f"{'colour' if colour else 'gray'}, {pixels.dtype}",
        mean=float(gray.mean()),
        deviation=float(gray.std()),
        period=period(gray[top : top + side, left : left + side]) / shrink,
        orientation=orientation_of(path),
    )


def period(image):
    """Return the wavelength in pixels that holds the middle of the power of an image's texture.

    Half of the power lies in longer waves, half in shorter ones. NaN for a constant image.

    Examples
    --------
    >>> stripes = np.sin(np.arange(64) * 2 * np.pi / 16) * np.ones((64, 1))
    >>> round(period(stripes))
    16
    """
    window = np.outer(*(np.hanning(length + 2)[1:-1] for length in image.shape))
    power = np.abs(np.fft.rfft2((image - image.mean()) * window)) ** 2
    rows, columns = np.fft.fftfreq(image.shape[0]), np.fft.rfftfreq(image.shape[1])
    frequency = np.hypot(rows[:, None], columns).ravel()
    order = np.argsort(frequency)
    total = np.cumsum(power.ravel()[order])
    if not total[-1] > 1e-9:
        return float("nan")
    return float(1 / max(frequency[order][np.searchsorted(total, total[-1] / 2)], 1e-6))


def _check_mask(path, masks, mask_values):
    mask_path = mask_beside(masks, path)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            require_mask(path, mask_path)
            if not paired_mask(path, mask_path, mask_values=mask_values).any():
                fix = "draw the defect, or move the image to test/good"
                yield Remark("warning", f"{mask_path} marks no pixel as defect", fix)
        except DataError as error:
            yield Remark("error", str(error))
    yield from (Remark("warning", str(warning.message)) for warning in warned)


def _check_ignored(folder, laid_out):
    for place, known in folders_of(folder) if laid_out else [(folder, None)]:
        if place.is_dir() and (said := ignored_files(place, known)):
            suffixes = ", ".join(sorted(SUFFIXES))
            fix = f"{suffixes} are read, and not from folders deeper than these"
            yield Remark("warning", said, fix)


def _check_counts(good, train, test, laid_out):
    text = f"good images to train on: {len(train)}"
    yield Remark("note", text + (f"; images to test: {len(test)}" if laid_out else ""))
    if len(train) < 2:
        text = f"expected at least 2 good images in {good}; got {len(train)}"
        yield Remark("error", text, "add images, or cut one into parts")
    else:
        count, needed = held_out_count(len(train)), images_needed()
        text = f"{count} of them will be held out for thresholds: with these, about one good image "
        text += f"in {round(1 / expected_fpr(count))} is judged defective"
        fix = f"add good images; {good_images_needed()}, of which {needed} are held out, make that "
        fix += f"one in {needed + 1}"
        yield Remark("warning", text, fix) if count < needed else Remark("note", text)
    if laid_out and test and not any(image.path.parent.name == "good" for image in test):
        fix = "add good images that are not trained on, to learn how often they are flagged"
        yield Remark("warning", "no good images in test/good", fix)
    if not laid_out:
        yield Remark("note", "a flat folder: every image is taken for a good one")


def _grouped(images, key):
    """Group the paths of images by a key of theirs, in the order in which it first appears."""
    groups = {}
    for image in images:
        groups.setdefault(key(image), []).append(image.path)
    return groups


def _counted(groups):
    return name_some(f"{value} ({len(paths)})" for value, paths in groups.items())


def _check_sizes(images, least):
    small = [image.path.name for image in images if min(image.shape) < least]
    text = f"smaller than one patch of {least}x{least} pixels"
    fix = "use a smaller `--patch-size` or `--shrink`, or larger images"
    yield from _on_those("error", text, small, fix)
    for what, key in (
        ("sizes", lambda image: "x".join(map(str, image.shape))),
        ("kinds of pixels", lambda image: image.kind),
    ):
        groups = _grouped(images, key)
        text = f"{what}: {_counted(groups)}"
        if len(groups) > 1:
            yield Remark("warning", text, "take all images with one camera and one setting")
        elif groups:
            yield Remark("note", text)
    if any(image.kind.startswith("colour") for image in images):
        fix = "a defect of the same luminance cannot be seen; convert to the channel that shows it"
        yield Remark("note", "colour becomes luminance", fix)


def _check_patches(train, side):
    """Count the patches that lie side by side in distinct images: what there is to learn from."""
    shapes = {image.digest: image.shape for image in train}.values()
    count = sum((height // side) * (width // side) for height, width in shapes)
    text = f"distinct patches of {side}x{side} pixels, side by side: {count:,}"
    if not count:
        return  # Of images that are too small, which is an error of its own.
    if count < FEW_PATCHES:
        fix = "add images, or use a smaller `--patch-size`; training will stop early"
        yield Remark("warning", f"{text}; a network soon knows them by heart", fix)
    else:
        yield Remark("note", text)


def _check_orientations(images):
    groups = _grouped(images, lambda image: image.orientation)
    text = _counted(groups)
    if len(groups) > 1:
        fix = "images are turned as it says; see that they show the texture in one direction"
        yield Remark("warning", f"EXIF orientations: {text}", fix)
    elif groups and 1 not in groups:
        yield Remark("note", f"all images are turned as their EXIF orientation says: {text}")


def _check_duplicates(train, test):
    """Look for equal images, and for different ones of one name."""
    trained_on = _grouped(train, lambda image: image.digest)
    copies = [name_some([p.name for p in paths]) for paths in trained_on.values() if len(paths) > 1]
    yield from _on_those("warning", "the same image more than once", copies, "keep one of them")
    leaked = [image.path.name for image in test if image.digest in trained_on]
    text = "images of the test set that are trained on"
    yield from _on_those("error", text, leaked, "remove them from one of the two")
    named = _grouped(train + test, lambda image: image.path.with_suffix(""))
    same = [" and ".join(p.name for p in paths) for paths in named.values() if len(paths) > 1]
    yield from _on_those("error", "images of one name", same, "rename one")


def _check_lonely_masks(folder):
    for masks in subfolders(folder / "ground_truth"):
        images = folder / "test" / masks.name
        stems = {path.stem for path in image_files(images)} if images.is_dir() else set()
        lonely = [
            path.name
            for path in image_files(masks)
            if stems.isdisjoint((path.stem, path.stem.removesuffix("_mask")))
        ]
        text = f"masks in {masks} without an image in {images}"
        yield from _on_those("warning", text, lonely, "add the images, or remove the masks")


def _check_brightness(train):
    if not train:
        return
    means = np.array([image.mean for image in train])
    if len(means) >= 6:
        trend = stats.linregress(np.linspace(0, 1, len(means)), means)
        if trend.pvalue < DRIFT_CHANCE and abs(trend.slope) > DRIFT:
            text = f"brightness drifts by name, from a mean gray value of {trend.intercept:.3f} to "
            text += f"{trend.intercept + trend.slope:.3f}"
            fix = "thresholds come from the last images; fix the lighting, or shuffle the names"
            yield Remark("warning", text, fix)
    distance = np.abs(means - np.median(means))
    limit = max(OUTLIER * 1.4826 * np.median(distance), 0.05)
    odd = [train[number].path.name for number in np.flatnonzero(distance > limit)]
    fix = "look at them: a good image has to look like the others"
    yield from _on_those("warning", "much brighter or darker than the rest", odd, fix)
    flat = [image.path.name for image in train if image.deviation < LEAST_CONTRAST]
    text = f"hardly any texture (gray values spread by less than {LEAST_CONTRAST})"
    yield from _on_those("warning", text, flat, "raise the contrast; check the exposure")


def _check_texture(train, patch_size, window_size, shrink):
    periods = [image.period for image in train if np.isfinite(image.period)]
    if not periods:
        return
    wave = float(np.median(periods))
    after = f" after shrinking by {shrink}" if shrink > 1 else ""
    text = f"the texture's middle wavelength is {wave:.1f} pixels{after}"
    if wave > patch_size / 2:
        fix = "use a larger `--shrink`, so that a patch sees the pattern repeat"
        yield Remark("warning", f"{text}: less than two in a patch of {patch_size}", fix)
    elif wave < 4:
        fix = "use a smaller `--shrink`; the network hardly reconstructs waves as short as that"
        yield Remark("warning", text, fix if shrink > 1 else "take images from nearer")
    elif not wave / 4 <= window_size <= 4 * wave:
        fix = f"try `--window-size {2 * round(np.clip(wave, 5, 21) // 2) + 1}`"
        yield Remark("warning", f"{text}, the SSIM window {window_size}", fix)
    else:
        yield Remark("note", text)


def _on_those(level, text, names, fix):
    if names:
        yield Remark(level, f"{text}: {name_some(names)}", fix)
