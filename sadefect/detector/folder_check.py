"""A look over a folder of images before hours are spent on it: what is wrong, and what to do."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import stats

from sadefect.datasets.base import HELD_OUT, held_out
from sadefect.datasets.folder import mask_beside
from sadefect.datasets.images import as_gray, is_image, read_mask, read_pixels
from sadefect.detector.calibration import images_needed
from sadefect.errors import DataError

FEW = 2 * HELD_OUT  # Training images under which thresholds rest on a single one.
DRIFT, CHANCE = 0.02, 0.001  # Of the mean gray value, by how much and how surely.
OUTLIER = 6.0  # Robust standard deviations of a mean gray value.
FLAT = 0.02  # Standard deviation of gray values under which an image has no texture to speak of.
NAMED = 3  # Files that a line names.


class Remark(NamedTuple):
    """``level`` is "error", "warning" or "note"; ``fix`` says what to do, or is empty."""

    level: str
    text: str
    fix: str = ""


class Look(NamedTuple):
    """What is remembered of an image."""

    path: Path
    digest: str
    shape: tuple
    kind: str
    mean: float
    deviation: float
    period: float


def check_folder(folder, patch_size=128, window_size=11, shrink=1):
    """Look at each image once, and say what would go wrong or come out badly.

    Parameters
    ----------
    folder : path
        Good images, or a folder laid out like MVTec AD.
    patch_size, window_size, shrink : int
        That a detector would be trained with.

    Returns
    -------
    list of Remark
        Errors first; errors are what training or evaluation would stop at.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        return [Remark("error", f"there is no folder {folder}", "make it, or correct the path")]
    laid_out = (folder / "train" / "good").is_dir()
    good = folder / "train" / "good" if laid_out else folder
    remarks, train, test = [], [], []
    for path in _images(good):
        _look(path, train, remarks, shrink)
    kinds = sorted(path for path in (folder / "test").glob("[!.]*") if path.is_dir())
    for kind in kinds if laid_out else ():
        for path in _images(kind):
            _look(path, test, remarks, shrink)
            if kind.name != "good":
                remarks += _mask(path, folder / "ground_truth" / kind.name)
    remarks += _counts(good, train, test, laid_out)
    remarks += _sizes(train + test, patch_size * shrink)
    remarks += _duplicates(train, test)
    remarks += _names(train, test)
    if laid_out:
        remarks += _lonely_masks(folder)
    if train:
        remarks += _brightness(train)
        remarks += _texture(train, patch_size, window_size, shrink)
    order = ("error", "warning", "note")
    return sorted(remarks, key=lambda one: order.index(one.level))


def _images(folder):
    return sorted(path for path in folder.iterdir() if is_image(path))


def _look(path, looks, remarks, shrink):
    try:
        pixels = read_pixels(path)
        gray = as_gray(pixels, path)
    except DataError as error:
        remarks.append(Remark("error", str(error)))
        return
    channels = 1 if pixels.ndim == 2 else pixels.shape[-1]
    side = max(1, min(256 * shrink, *gray.shape))
    top, left = ((length - side) // 2 for length in gray.shape)
    looks.append(
        Look(
            path, hashlib.sha256(np.ascontiguousarray(gray)).hexdigest(), gray.shape,
            f"{'gray' if channels < 3 else 'colour'}, {pixels.dtype}",
            float(gray.mean()), float(gray.std()),
            period(gray[top : top + side, left : left + side]) / shrink,
        )
    )  # fmt: skip


def period(image):
    """The wavelength in pixels that holds the middle of the power of an image's texture.

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


def _mask(path, masks):
    found = mask_beside(masks, path)
    if not found.is_file():
        return [
            Remark(
                "error",
                f"{path} has no mask",
                f"draw one as {found}, or move the image out of test",
            )
        ]
    try:
        mask, shape = read_mask(found), as_gray(read_pixels(path), path).shape
    except DataError as error:
        return [Remark("error", str(error))]
    if mask.shape != shape:
        text = f"{found} is {mask.shape[0]}x{mask.shape[1]} pixels, its image {shape[0]}x{shape[1]}"
        return [Remark("error", text, "draw it on the image itself")]
    if not mask.any():
        fix = "draw the defect, or move the image to test/good"
        return [Remark("warning", f"{found} marks no pixel as defect", fix)]
    return []


def _counts(good, train, test, laid_out):
    text = f"good images to train on: {len(train)}"
    text += f"; images to test: {len(test)}" if laid_out else ""
    remarks = [Remark("note", text)]
    if len(train) < 2:
        text = f"expected at least 2 good images in {good}; got {len(train)}"
        remarks.append(Remark("error", text, "add images, or cut one into parts"))
    elif len(train) < FEW:
        text = f"with {len(train)} good images thresholds rest on one held-out image: half of all "
        needed = images_needed()
        fix = f"add good images; {HELD_OUT * needed}, of which {needed} are held out, make that "
        fix += f"one in {needed + 1}"
        remarks.append(Remark("warning", f"{text}good images may be judged defective", fix))
    else:
        count = held_out(len(train))
        text = f"{count} of them will be held out for thresholds: with these, about one good "
        remarks.append(Remark("note", f"{text}image in {count + 1} is judged defective"))
    if laid_out and test and not any(one.path.parent.name == "good" for one in test):
        fix = "add good images that are not trained on, to learn how often they are flagged"
        remarks.append(Remark("warning", "no good images in test/good", fix))
    if not laid_out:
        remarks.append(Remark("note", "a flat folder: every image is taken for a good one"))
    return remarks


def _sizes(looks, least):
    remarks = []
    small = [one.path.name for one in looks if min(one.shape) < least]
    if small:
        fix = "use a smaller --patch-size or --shrink, or larger images"
        text = f"smaller than one patch of {least}x{least} pixels: {_few(small)}"
        remarks.append(Remark("error", text, fix))
    for what, name in (("sizes", "shape"), ("kinds of pixels", "kind")):
        values = {}
        for one in looks:
            values.setdefault(getattr(one, name), []).append(one.path.name)
        said = [
            f"{'x'.join(map(str, value)) if name == 'shape' else value} ({len(names)})"
            for value, names in values.items()
        ]
        level = "warning" if len(values) > 1 else "note"
        fix = "take all images with one camera and one setting" if len(values) > 1 else ""
        if values:
            remarks.append(Remark(level, f"{what}: {_few(said)}", fix))
    if any(one.kind.startswith("colour") for one in looks):
        fix = "a defect of the same luminance cannot be seen; convert to the channel that shows it"
        remarks.append(Remark("note", "colour becomes luminance", fix))
    return remarks


def _duplicates(train, test):
    remarks, known = [], {}
    for one in train:
        known.setdefault(one.digest, []).append(one.path)
    twice = [_few([path.name for path in paths]) for paths in known.values() if len(paths) > 1]
    if twice:
        remarks.append(
            Remark("warning", f"the same image more than once: {_few(twice)}", "keep one of them")
        )
    leaked = [one.path for one in test if one.digest in known]
    if leaked:
        text = f"images of the test set that are trained on: {_few([p.name for p in leaked])}"
        remarks.append(Remark("error", text, "remove them from one of the two"))
    return remarks


def _names(train, test):
    remarks, seen = [], {}
    for one in train + test:
        seen.setdefault(one.path.with_suffix(""), []).append(one.path.name)
    same = [" and ".join(names) for names in seen.values() if len(names) > 1]
    if same:
        remarks.append(Remark("error", f"images of one name: {_few(same)}", "rename one"))
    return remarks


def _lonely_masks(folder):
    """Masks for which there is no image."""
    remarks = []
    for masks in sorted(path for path in (folder / "ground_truth").glob("[!.]*") if path.is_dir()):
        images = folder / "test" / masks.name
        stems = {path.stem for path in _images(images)} if images.is_dir() else set()
        lonely = [p.name for p in _images(masks) if p.stem.removesuffix("_mask") not in stems
                  and p.stem not in stems]  # fmt: skip
        if lonely:
            text = f"masks in {masks} without an image in {images}: {_few(lonely)}"
            remarks.append(Remark("warning", text, "add the images, or remove the masks"))
    return remarks


def _brightness(train):
    means = np.array([one.mean for one in train])
    remarks = []
    if len(means) >= 6:
        trend = stats.linregress(np.linspace(0, 1, len(means)), means)
        if trend.pvalue < CHANCE and abs(trend.slope) > DRIFT:
            text = f"brightness drifts by name, from a mean gray value of {trend.intercept:.3f} to "
            text += f"{trend.intercept + trend.slope:.3f}"
            fix = "thresholds come from the last tenth; fix the lighting, or shuffle the names"
            remarks.append(Remark("warning", text, fix))
    spread = 1.4826 * np.median(np.abs(means - np.median(means)))
    odd = np.abs(means - np.median(means)) > max(OUTLIER * spread, 0.05)
    if odd.any():
        names = _few([one.path.name for one, is_odd in zip(train, odd, strict=True) if is_odd])
        fix = "look at them: a good image has to look like the others"
        remarks.append(Remark("warning", f"much brighter or darker than the rest: {names}", fix))
    flat = [one.path.name for one in train if one.deviation < FLAT]
    if flat:
        text = f"hardly any texture (gray values spread by less than {FLAT}): {_few(flat)}"
        remarks.append(Remark("warning", text, "raise the contrast; check the exposure"))
    return remarks


def _texture(train, patch_size, window_size, shrink):
    periods = [one.period for one in train if np.isfinite(one.period)]
    if not periods:
        return []
    wave = float(np.median(periods))
    after = f" after shrinking by {shrink}" if shrink > 1 else ""
    text = f"the texture's middle wavelength is {wave:.1f} pixels{after}"
    if wave > patch_size / 2:
        fix = "use a larger --shrink, so that a patch sees the pattern repeat"
        return [Remark("warning", f"{text}: less than two in a patch of {patch_size}", fix)]
    if wave < 4:
        fix = "use a smaller --shrink; the network can hardly draw waves as short as that"
        return [Remark("warning", text, fix if shrink > 1 else "take images from nearer")]
    if not wave / 4 <= window_size <= 4 * wave:
        fix = f"try --window-size {2 * round(np.clip(wave, 5, 21) // 2) + 1}"
        return [Remark("warning", f"{text}, the SSIM window {window_size}", fix)]
    return [Remark("note", text)]


def _few(names):
    more = len(names) - NAMED
    return ", ".join(map(str, names[:NAMED])) + (f" and {more} more" if more > 0 else "")
