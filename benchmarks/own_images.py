"""Detectors on hard sets, beside what needs no training; false alarms at other sizes; faults.

Images are painted, and none was looked at when a default was chosen. ``python -m benchmarks
own_images`` trains three networks, at most `PATCHES` patches each, on one thread.
"""

import os
import tempfile
import time
import warnings
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import numpy as np
from PIL import Image

from sadefect import Detector, load_dataset
from sadefect.datasets.base import Dataset, Sample
from sadefect.detector.conformal import held_out_count
from sadefect.detector.defaults import IMAGE_SCORES

from ._measure import report

PATCHES, SIDE = 6_000, 64  # The budget of each network, and the side of its patches.
TESTED, DEFECTIVE = 48, 16  # Test images of each set, good ones and such with defects.
UNSEEN = {1: 4, 2: 4, 4: 1}  # Crops of each unseen good image, by times the calibrated side.
PROMISED = (0.05, 0.1)


def good_images(name, seeds, number):
    """Paint good images of a synthetic set that no other call with other seeds has."""
    return [s.image for seed in seeds for s in load_dataset(name, seed=seed).train[:number]]


def cut_out(image, mask, side, generator):
    """Cut a square out of an image, about its defect if it has one."""
    height, width = image.shape
    if mask.any():
        row, column = np.argwhere(mask)[generator.integers(mask.sum())]
    else:
        row, column = generator.integers(height), generator.integers(width)
    top, left = (
        int(np.clip(place - side // 2, 0, length - side))
        for place, length in ((row, height), (column, width))
    )
    part = np.s_[top : top + side, left : left + side]
    return image[part], mask[part]


def with_margin(image, generator):
    """Saturate a margin on the left, whose width varies."""
    image = image.copy()
    image[:, : generator.integers(8, 17)] = 1.0
    return image


def hard_set(kind):
    """Return a `Dataset` of one of `SETS`: good images to train on, and test images with masks."""
    generator = np.random.default_rng(0)
    name = "synthetic/twill" if kind == "mixed sizes" else "synthetic/weave"
    train = good_images(name, (20,), 40)
    good = [(image, np.zeros(image.shape, bool)) for image in good_images(name, (21,), TESTED)]
    bad = [(sample.image, sample.mask) for sample in load_dataset(name, seed=20).test[:DEFECTIVE]]

    def hardened(image, mask):
        if kind == "margin":
            return with_margin(image, generator), mask
        side = SIDE if kind == "one patch" else int(generator.choice([96, 160, 256]))
        return cut_out(image, mask, side, generator)

    def sample(name, image, mask):
        return Sample(name, name, lambda: image, (lambda: mask) if mask.any() else None)

    def samples(pairs, name):
        return tuple(sample(name, *hardened(*pair)) for pair in pairs)

    trained = samples([(image, np.zeros(image.shape, bool)) for image in train], "good")
    test = (*samples(good, "good"), *samples(bad, "defective"))
    return Dataset(kind, trained, test, kind, "painted", "MIT")


def verdict_row(name, what, detector, data, seconds):
    """Return what a detector reached on a set, and how many images of each kind it judged."""
    metrics, _ = detector.evaluate(data)
    verdicts = {
        kind: f"{counts['defect']}/{counts['images']}"
        for kind, counts in metrics["verdicts"].items()
    }
    return metrics, (
        name, what, metrics["auroc"], metrics["aupro"], metrics["image_auroc"],
        verdicts["defective"], verdicts["good"], seconds,
    )  # fmt: skip


def fitted(data, method):
    """Return a detector that was fitted to a set, and the seconds that took."""
    start = time.perf_counter()
    detector = Detector(method, patch_size=SIDE, patches=PATCHES).fit(data)
    return detector, time.perf_counter() - start


def by_each_score(name, what, detector, data, seconds):
    """Yield the rows of a detector with each image score, the chosen one marked."""
    kept = [sample.image for sample in data.train[-held_out_count(len(data.train)) :]]
    chosen = detector.image_score_
    for score in IMAGE_SCORES:
        detector.image_score_ = score
        detector.calibrate(kept)
        label = f"{what}, by {score}" + (", chosen" if score == chosen else "")
        yield verdict_row(name, label, detector, data, seconds)


def against_yardsticks(name):
    """Compare a network and yardsticks on a hard set; return rows, and what training said.

    It says that before a mask is read.
    """
    rows, said, data = [], [], hard_set(name)
    for method in ("ssim", "filter_bank"):
        detector, seconds = fitted(data, method)
        said += [(name, f"{method}: {text}") for text in detector.notes()]
        label = "network" if method == "ssim" else "method filter_bank"
        reached = list(by_each_score(name, label, detector, data, seconds))
        rows += [row for _, row in reached]
        if method == "ssim":
            rows += [
                (name, f"yardstick {yardstick}", values["auroc"], values["aupro"], *4 * "-")
                for yardstick, values in reached[0][0]["yardsticks"].items()
            ]
    return rows, said


def hard_sets(results=None):
    """Report `against_yardsticks` of all sets, or what it gave before."""
    results = results or [against_yardsticks(name) for name in SETS]
    columns = ("set", "method", "AUROC", "AUPRO", "image AUROC", "defects judged", "good judged",
               "seconds to fit")  # fmt: skip
    report("own_images", columns, [row for rows, _ in results for row in rows],
           f"SSIM, d = 100, patches of {SIDE} pixels, at most {PATCHES:,} of them, one thread, "
           "judged at fpr 0.01, image_fpr 0.05.")  # fmt: skip
    said = [row for _, rows in results for row in rows]
    report("own_images-said", ("set", "what training said"), said)


def false_alarms():
    """The rate of good images judged defective, at the calibrated side and at larger ones."""
    generator, rows = np.random.default_rng(1), []

    def cropped(images, side, number):
        whole = np.zeros(images[0].shape, bool)
        return [cut_out(one, whole, side, generator)[0] for one in images for _ in range(number)]

    name = "synthetic/weave"
    bank = Detector("filter_bank", patch_size=SIDE, image_score="area")
    bank.fit(cropped(good_images(name, (30,), 20), SIDE, 2))
    kept, unseen = good_images(name, (31,), 33), good_images(name, (32,), 40)
    kept = cropped(kept, SIDE, 3)
    unseen = [cropped(unseen, factor * SIDE, number) for factor, number in UNSEEN.items()]
    detectors = {"filter_bank": bank, "network, preset:weave": Detector.from_preset("weave")}
    for method, detector in detectors.items():
        start = time.perf_counter()
        detector.calibrate(kept)  # Maps depend on it, and not on the score.
        maps = [[(image, detector.anomaly_map(image)) for image in of] for of in unseen]
        for score in IMAGE_SCORES:
            detector.image_score_ = score
            detector.calibrate(kept)
            for promised in PROMISED:
                rates = [
                    float(np.mean([detector.judge(*p, image_fpr=promised).defect for p in pairs]))
                    for pairs in maps
                ]
                rows.append((method, score, promised, *rates, time.perf_counter() - start))
    columns = ("method", "score", "promised", *(f"{factor}x side" for factor in UNSEEN), "seconds")
    counts = ", ".join(str(len(of)) for of in unseen)
    report("own_images-rates", columns, rows,
           f"{name}, thresholds by {len(kept)} good images of {SIDE} pixels; the share of "
           f"{counts} unseen good images judged defective.")  # fmt: skip


def faults():
    """Faults in files, and what came out."""
    from sadefect.datasets import read_image, read_mask
    from sadefect.losses import SSIMLoss

    gray = np.uint8(255 * good_images("synthetic/weave-tiny", (0,), 1)[0])
    images = good_images("synthetic/weave-tiny", (1, 2), 4)
    bank = Detector("filter_bank", patch_size=32).fit(images)
    folder = Path(tempfile.mkdtemp())

    def saved(name, picture, **options):
        picture.save(folder / name, **options)
        return folder / name

    def cut_short():
        path = saved("whole.png", Image.fromarray(gray))
        path.write_bytes(path.read_bytes()[:2000])
        return bank.look(path)

    def two_colours():
        mask = np.zeros((32, 32, 3), "uint8")
        mask[:8, :8, 0], mask[20:, 20:, 1] = 255, 255
        return read_mask(saved("two.png", Image.fromarray(mask)))

    def inverted():
        mask = np.full((32, 32), 255, "uint8")
        mask[:4] = 0
        return read_mask(saved("inverted.png", Image.fromarray(mask)))

    def other_threshold():
        small = folder / "small.sadefect"
        return Detector.load(bank.save(small).rename(folder / "renamed.sadefect"))

    palette = Image.fromarray(gray).convert("P", palette=Image.Palette.ADAPTIVE)
    text_file = folder / "notes.png"
    text_file.write_text("no image")
    rounded = images[0] * np.float32((1 + 1e-7) / images[0].max())
    tried = {
        "a palette image, of Pillow and as a file": lambda: (
            f"scores {bank.look(palette).score} and "
            f"{bank.look(saved('palette.png', palette)).score}"
        ),
        "a file that is cut short": cut_short,
        "WebP": lambda: bank.look(saved("x.webp", Image.fromarray(gray), lossless=True)),
        "floats up to 1 + 1e-7": lambda: bank.look(rounded),
        "floats up to 255": lambda: bank.look(255 * images[0]),
        "NaN in a pixel": lambda: bank.look(np.where(np.eye(160) > 0, np.nan, images[0])),
        "smaller than a patch": lambda: bank.look(images[0][:20]),
        "an inverted mask": inverted,
        "a mask in red and green": two_colours,
        "integers to SSIMLoss(data_range=1.0)": lambda: SSIMLoss(data_range=1.0)(
            np.ones((1, 16, 16, 1), "uint8"), np.ones((1, 16, 16, 1), "uint8")
        ),
        "one image to train on": lambda: Detector("filter_bank", patch_size=32).fit(images[:1]),
        "a folder without images": lambda: Detector("filter_bank").fit(folder.parent / "nothing"),
        "a preset that there is not": lambda: Detector.from_preset("wool"),
        "a detector's file that was renamed": other_threshold,
        "a text file as an image": lambda: read_image(text_file),
    }
    rows = []
    for fault, call in tried.items():
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                value = call()
                text = f"taken, {value}" if isinstance(value, str) else "taken"
            except Exception as error:
                text = f"{type(error).__name__}: {error}"
        said = [w.message for w in warned if issubclass(w.category, UserWarning)]
        text = "; ".join([*(f"warned: {message}" for message in said), text])
        rows.append((fault, " ".join(text.replace(str(folder), "...").split())))
    report("own_images-faults", ("fault", "what came out"), rows)


SETS = ("one patch", "margin", "mixed sizes")

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as store:
        os.environ["SADEFECT_CACHE"] = store
        for part in (faults, false_alarms, hard_sets):
            part()
