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
from sadefect.metrics import auroc

from ._measure import report

PATCHES, SIDE = 8_000, 64  # The budget of each network, and the side of its patches.
UNSEEN = {1: 200, 2: 100, 4: 60}  # Good images never seen, by how many times the calibrated side.
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
    train = good_images(name, (20,), 33 if kind == "one patch" else 60)
    good = [(image, np.zeros(image.shape, bool)) for image in good_images(name, (21,), 24)]
    bad = [(sample.image, sample.mask) for sample in load_dataset(name, seed=20).test[:24]]

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


def fitted(data, method, **settings):
    """Return a detector that was fitted to a set, and the seconds that took."""
    start = time.perf_counter()
    detector = Detector(method, patch_size=SIDE, patches=PATCHES, **settings).fit(data)
    return detector, time.perf_counter() - start


def against_yardsticks():
    """Networks and yardsticks on the hard sets, and what was said before a mask was read."""
    rows, said = [], []
    for kind, settings in SETS.items():
        data = hard_set(kind)
        for also in settings:
            name = kind + "".join(f", {key} {value}" for key, value in also.items())
            detector, seconds = fitted(data, "ssim", **also)
            metrics, row = verdict_row(name, "network", detector, data, seconds)
            rows.append(row)
            for yardstick, values in metrics["yardsticks"].items():
                rows.append((name, yardstick.replace("_", " "), values["auroc"], values["aupro"],
                             "", "", "", ""))  # fmt: skip
            bank, seconds = fitted(data, "filter_bank", **also)
            rows.append(verdict_row(name, "method filter_bank", bank, data, seconds)[1])
            said += [(name, text) for text in detector.notes()]
            print(*rows[-5:], *said[-3:], sep="\n", flush=True)
    columns = ("set", "method", "AUROC", "AUPRO", "image AUROC", "defects judged", "good judged",
               "seconds to fit")  # fmt: skip
    report("own_images", columns, rows, f"SSIM, d = 100, patches of {SIDE} pixels, at most "
           f"{PATCHES:,} of them, one thread; judged at fpr 0.01, image_fpr 0.05.")  # fmt: skip
    report("own_images-said", ("set", "what `sadefect train` said"), said)


def scores_of_images():
    """Area and mass as an image's score, with the cheap method."""
    rows = []
    for kind in ("synthetic/weave", "synthetic/twill", *SETS):
        data = hard_set(kind) if kind in SETS else load_dataset(kind)
        extra = [] if kind in SETS else good_images(kind, (22,), 50)
        for score in ("area", "mass", "auto"):
            detector, seconds = fitted(data, "filter_bank", image_score=score)
            findings = [(s.kind != "good", detector.look(s.image)) for s in data.test]
            findings += [(False, detector.look(image)) for image in extra]
            true = np.array([one for one, _ in findings])
            values = np.array([finding.score for _, finding in findings], "float32")
            judged = np.array([finding.defect for _, finding in findings])
            chosen = f", {detector.image_score_}" if score == "auto" else ""
            rows.append((kind, score + chosen, auroc([true[None]], [values[None]]),
                         f"{judged[true].sum()}/{true.sum()}",
                         f"{judged[~true].sum()}/{(~true).sum()}", seconds))  # fmt: skip
    columns = ("set", "score", "image AUROC", "defects judged", "good judged", "seconds to fit")
    report("own_images-scores", columns, rows, "method filter_bank.")


def false_alarms():
    """The rate of good images judged defective, at the calibrated side and at larger ones."""
    generator, rows = np.random.default_rng(1), []

    def cropped(images, side):
        whole = np.zeros(images[0].shape, bool)
        return [cut_out(image, whole, side, generator)[0] for image in images]

    for name in ("synthetic/weave", "synthetic/twill"):
        for score in ("area", "mass"):
            start = time.perf_counter()
            detector = Detector("filter_bank", patch_size=SIDE, image_score=score)
            detector.fit(cropped(good_images(name, (30,), 40), SIDE))
            detector.calibrate(cropped(good_images(name, (31,), 99), SIDE))
            maps = {
                factor: [(detector.anomaly_map(image), image) for image in
                         cropped(good_images(name, (32, 33), number // 2), factor * SIDE)]
                for factor, number in UNSEEN.items()
            }  # fmt: skip
            seconds = time.perf_counter() - start
            for promised in PROMISED:
                rates = [
                    float(np.mean([
                        detector.judge(image, map, image_fpr=promised).defect for map, image in of
                    ]))
                    for of in maps.values()
                ]  # fmt: skip
                rows.append((name, score, promised, *rates, seconds))
    columns = ("set", "score", "promised", *(f"{factor}x side" for factor in UNSEEN), "seconds")
    counts = ", ".join(map(str, UNSEEN.values()))
    report("own_images-rates", columns, rows,
           f"method filter_bank, thresholds by 99 good images of {SIDE} pixels; the share of "
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
    rounded = images[0] * np.float32((1 + 1e-7) / images[0].max())
    tried = {
        "a palette image, as an array of Pillow and as a file": lambda: (
            bank.look(palette).score,
            bank.look(saved("palette.png", palette)).score,
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
        "a text file as an image": lambda: read_image(__file__),
    }
    rows = []
    for fault, call in tried.items():
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                value = call()
                text = f"taken: {value}" if isinstance(value, tuple) else "taken"
            except Exception as error:
                text = f"{type(error).__name__}: {error}"
        text = "; ".join([*(f"warned: {w.message}" for w in warned), text])
        rows.append((fault, " ".join(text.replace(str(folder), "...").split())))
    report("own_images-faults", ("fault", "what came out"), rows)


SETS = {"one patch": [{}], "margin": [{}, {"border": 20}], "mixed sizes": [{}]}

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as store:
        os.environ["SADEFECT_CACHE"] = store
        for part in (faults, scores_of_images, false_alarms, against_yardsticks):
            part()
