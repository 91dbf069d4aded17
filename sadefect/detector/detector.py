"""A detector for your own images: defect-free ones in; maps, scores and segmentations out."""

import os
from dataclasses import KW_ONLY, asdict, dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from sadefect.datasets import Dataset, load_dataset
from sadefect.datasets.base import held_out
from sadefect.datasets.images import as_gray
from sadefect.detector import saving as detector_files
from sadefect.detector.calibration import EIGHT, Calibration, sizes
from sadefect.detector.defaults import FPR, IMAGE_FPR, PATCHES
from sadefect.detector.evaluation import Tally
from sadefect.detector.inputs import check_masks, name_of, named_images, read
from sadefect.detector.stack import Stack
from sadefect.detector.tiles import TILE, tiles
from sadefect.errors import DataError, StoreError, out_of_memory
from sadefect.files import store
from sadefect.methods import METHODS, Recipe, Scoring, settings_digest
from sadefect.metrics import FPRS
from sadefect.patches import STRIDE
from sadefect.provenance import NUMERICS
from sadefect.segmentation import DIAMETER, regions, segment

NOTHING_LEARNT = "this detector has learnt nothing yet; call fit, or Detector.load"


class Finding(NamedTuple):
    """What a detector says of one image.

    ``image`` is as it was given or read; ``map`` float32 ``(H, W)``, opened; ``mask`` bool, what is
    taken for defects; ``score`` the area of the largest flagged region in pixels; ``defect`` the
    verdict, true where the mask holds anything.
    """

    name: str
    image: np.ndarray
    map: np.ndarray
    mask: np.ndarray
    score: int
    defect: bool

    def row(self):
        """The verdict and where the defects are, as plain values; boxes end before their ends."""
        found = [one._asdict() for one in regions(self.mask)]
        return {
            "image": self.name,
            "score": self.score,
            "peak": float(self.map.max()),
            "verdict": "defect" if self.defect else "good",
            "area": float(self.mask.mean()),
            "regions": [{name: one[name] for name in ("area", "box", "centroid")} for one in found],
        }


@dataclass(eq=False)
class Detector:
    """Learns what defect-free images look like, and finds what does not look like them.

    Parameters
    ----------
    method : {"ssim", "l2", "vae", "feature_matching", "ms_ssim", "l1_ssim"}
        As in `Experiment`. Maps of a VAE hold random draws.
    latent_dim : int or "auto"
        d; "auto" is 100, the paper's for textures.
    patch_size : {128, 64, 32}
        Side of the patches in pixels, after shrinking.
    window_size : int
        Side of the SSIM window in pixels, after shrinking; odd.
    shrink : int
        Blocks of so many pixels on a side are averaged first, which gives a patch more context.
        Maps come in the image's own size all the same.
    stride, average, opening
        As in `Experiment`.
    patches : int
        How many are seen in training, 65 a second on two cores; the paper's number is 2,000,000.
    schedule : {"cpu", "small", "paper"}
        As in `Experiment`.
    seed : int
        Of weights and patches.

    Attributes
    ----------
    model_ : keras.Model
    calibration_ : Calibration
        What the maps of the held-out defect-free images say; all thresholds come from it.
    history_ : array (N, 2)
        Patches seen and mean loss.
    provenance_ : dict
        Data, commit, versions, machine, seconds.

    Notes
    -----
    An image is an array or a file, gray or colour (which becomes luminance), of 8 or 16 bit, or of
    floats in [0, 1]; at least a patch large. Memory beyond the image and its map does not grow
    with the image: it is looked at in tiles.

    Examples
    --------
    >>> Detector("l2", patch_size=32).get_params()["patches"]
    100000
    """

    method: str = "ssim"
    _: KW_ONLY
    latent_dim: int | str = "auto"
    patch_size: int = 128
    window_size: int = 11
    shrink: int = 1
    stride: int = STRIDE
    average: str = "reconstructions"
    opening: int = DIAMETER
    patches: int = PATCHES
    schedule: str = "cpu"
    seed: int = 0

    def __post_init__(self):
        from sadefect.models import PATCH_SIZES

        least = {"shrink": 1, "stride": 1, "opening": 0, "patches": 1, "seed": 0, "window_size": 1}
        if self.latent_dim != "auto":
            least["latent_dim"] = 1
        for name, smallest in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
                raise ValueError(
                    f"{name} must be a whole number of at least {smallest}; received {value!r}"
                )
        choices = {"patch_size": PATCH_SIZES, "average": ("reconstructions", "maps")}
        for name, allowed in choices.items():
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(f"{name} must be one of {allowed}; received {value!r}")
        if self.stride > self.patch_size:
            raise ValueError(
                f"stride must be at most patch_size={self.patch_size}, or pixels are left out; "
                f"received {self.stride!r}"
            )
        self.recipe.build_loss()  # Checks the method and its window.

    @property
    def recipe(self):
        """The settings of the training, a `Recipe`."""
        settings = self.get_params()
        if settings["latent_dim"] == "auto":
            del settings["latent_dim"]
        names = {field.name for field in fields(Recipe)} & settings.keys()
        return Recipe(**{name: settings[name] for name in names})

    @property
    def scoring(self):
        """The settings of the maps, a `Scoring`."""
        names = ("stride", "average", "opening")
        return Scoring(
            residual=METHODS[self.method].residual,
            residual_window_size=self.window_size,
            **{name: getattr(self, name) for name in names},
        )

    def get_params(self):
        """The settings, as a dict."""
        return asdict(self)

    def fit(self, images):
        """Learn from defect-free images; the last tenth of them, at least one, is held out.

        A training that was stopped goes on where it was, and a larger ``patches`` continues a
        smaller one: the store knows them by settings and images.

        Parameters
        ----------
        images : path, Dataset, or iterable of arrays or paths
            A folder of defect-free images, or one laid out like MVTec AD; a generator is taken
            once. Images need not fit into memory.

        Returns
        -------
        Detector
            This one.

        Raises
        ------
        DataError
            If there are fewer than two images, or one cannot be used.
        TrainingDiverged
            If going on would be a waste.
        """
        from sadefect.provenance import commit, processor, versions
        from sadefect.training.loop import load_weights
        from sadefect.training.resume import Training, loss_history

        place, recipe = store() / "detectors", self.recipe
        stack = Stack(place)
        for name, image in named_images(images):
            pixels = read(image)
            self._check_size(pixels.shape, name)
            whole = (slice(0, size // self.shrink) for size in pixels.shape[:2])
            stack.append(self._gray(pixels, name, *whole))
        stack.seal()
        if len(stack) < 2:
            raise DataError(
                f"expected at least 2 defect-free images, one to hold out for thresholds; got "
                f"{len(stack)}; add images, or cut the one into two"
            )
        count = held_out(len(stack))
        images = [stack[number] for number in range(len(stack))]
        settings = self._training_settings(stack.fingerprint)
        training = Training(
            place / settings_digest(settings),
            recipe,
            lambda: (images[:-count], images[-count:]),
            lambda: settings,
        )
        self.model_ = load_weights(recipe.build_model(), training.checkpoint(self.patches))
        curve, seconds = loss_history(training.folder / "state.npz", self.patches)
        self.history_ = np.stack([curve["history_patches"], curve["history_loss"]], axis=-1)
        self._calibrate(images[-count:])
        self.provenance_ = {
            "data": stack.fingerprint,
            "images": {"trained on": len(stack) - count, "held out": count},
            "seconds": seconds,
            "commit": commit(),
            "versions": versions(),
            "machine": {"processor": processor(), "cores": os.cpu_count()},
        }
        return self

    def _training_settings(self, data):
        """What the trajectory depends on: the recipe's settings and these images."""
        known = {"dataset": "folder", "train": "split", "numerics": NUMERICS["training"]}
        return self.recipe.recipe_settings() | known | {"data": data, "shrink": self.shrink}

    def _calibrate(self, images):
        """Keep what the maps of shrunk defect-free images say that were not trained on."""
        from sadefect.progress import progress

        maps = Stack(store() / "detectors")
        with progress("setting thresholds", len(images), "images") as report:
            for done, image in enumerate(images, 1):
                maps.append(self._over_tiles(image.shape, lambda *where, image=image: image[where]))
                report(done)
        maps.seal()
        self.calibration_ = Calibration.of(maps, self.shrink)

    def _check_size(self, shape, name):
        if len(shape) not in (2, 3):
            raise DataError(f"expected an image, (H, W) or (H, W, 3); got shape {shape}: {name}")
        least = self.patch_size * self.shrink
        if min(shape[:2]) < least:
            raise DataError(
                f"expected an image of at least {least}x{least} pixels, one patch"
                f"{f' shrunk by {self.shrink}' if self.shrink > 1 else ''}; got "
                f"{shape[0]}x{shape[1]}: {name}; use a smaller patch_size, or larger images"
            )

    def _gray(self, pixels, name, rows, columns):
        """A part of an image in shrunk coordinates: gray, blocks averaged."""
        side = self.shrink
        part = pixels[
            rows.start * side : rows.stop * side, columns.start * side : columns.stop * side
        ]
        gray = as_gray(part, name)
        if side == 1:
            return gray
        blocks = (rows.stop - rows.start, side, columns.stop - columns.start, side)
        return gray.reshape(blocks).mean(axis=(1, 3))

    def _over_tiles(self, shape, read_part, wanted="residual", tile=TILE):
        """Residual map or reconstruction of a shrunk image that is read part by part."""
        from sadefect.anomaly_maps import scored_map

        if not hasattr(self, "model_"):
            raise StoreError(NOTHING_LEARNT)
        scoring, result = self.scoring, np.empty(shape, "float32")
        margin = self.window_size + 2 * self.opening
        for read_here, keep, place in tiles(shape, self.patch_size, self.stride, margin, tile):
            found = scored_map(self.model_, read_part(*read_here), scoring, self.seed)
            result[place] = getattr(found, wanted)[keep]
        return result

    def _of_image(self, image, name, wanted="residual", tile=TILE):
        pixels = read(image)
        self._check_size(pixels.shape, name)
        height, width = pixels.shape[:2]
        side = self.shrink
        try:
            found = self._over_tiles(
                (height // side, width // side),
                lambda *where: self._gray(pixels, name, *where),
                wanted,
                tile,
            )
        except Exception as error:
            if out_of_memory(error):
                error.add_note(f"while looking at {name}, {height}x{width} pixels")
            raise
        if side == 1:
            return found
        # Each pixel stands for its block, the last row and column for what is left at the border.
        rows, columns = (
            np.minimum(np.arange(length) // side, length // side - 1) for length in (height, width)
        )
        return found[np.ix_(rows, columns)]

    # What it says of images

    def anomaly_map(self, image):
        """The residual map of an image, opened; float32 ``(H, W)``, larger where more anomalous.

        Parameters
        ----------
        image : array or path

        Raises
        ------
        DataError
            If the image cannot be used; the message says why.
        """
        return self._of_image(image, name_of(image))

    def reconstruct(self, image):
        """What the network makes of an image, float32 ``(H, W)``: look at it to choose settings."""
        return self._of_image(image, name_of(image), "reconstruction")

    def score(self, image, fpr=FPR):
        """The area of the largest region of pixels at or above ``threshold(fpr)``, in pixels."""
        return self.look(image, fpr).score

    def threshold(self, fpr=FPR):
        """The threshold of pixels that flags a share ``fpr`` of those of held-out images.

        Returns
        -------
        Threshold
            With the numbers of images and pixels that it rests on.
        """
        return self._calibrated().threshold(fpr)

    def image_threshold(self, image_fpr=IMAGE_FPR, fpr=FPR):
        """The score from which an image is judged defective.

        Chosen so that at most a share ``image_fpr`` of new good images is expected to be, if there
        are at least ``1 / image_fpr - 1`` held-out images; see `Calibration.image_threshold`.

        Returns
        -------
        ImageThreshold
            With what it rests on, and how uncertain that makes it.
        """
        return self._calibrated().image_threshold(image_fpr, fpr)

    def _calibrated(self):
        if not hasattr(self, "calibration_"):
            raise StoreError(NOTHING_LEARNT)
        return self.calibration_

    def segment(self, image, fpr=FPR, *, confirmed=False, image_fpr=IMAGE_FPR):
        """The pixels of an image that are taken for defects, bool ``(H, W)``.

        Parameters
        ----------
        image : array or path
        fpr : float
            The share of defect-free pixels that may be flagged.
        confirmed : bool
            Keep only regions as large as `image_threshold`, so that a good image's mask is empty.
        image_fpr : float
            The share of good images in which a region may be kept.
        """
        map = self.anomaly_map(image)
        if not confirmed:
            return segment(map, self.threshold(fpr), 0)
        return self.judge(image, map, fpr, image_fpr=image_fpr).mask

    def predict(self, images, fpr=FPR, *, image_fpr=IMAGE_FPR):
        """Yields the `Finding` of each image, one in memory at a time.

        Parameters
        ----------
        images : path, or iterable of arrays or paths
            A path is a folder, or one image.
        fpr, image_fpr : float
            As in `look`.
        """
        for name, image in named_images(images):
            yield self.look(image, fpr, name, image_fpr=image_fpr)

    def look(self, image, fpr=FPR, name=None, *, image_fpr=IMAGE_FPR):
        """The `Finding` of one image.

        Parameters
        ----------
        image : array or path
        fpr : float
            The share of good pixels that may be flagged.
        name : str, optional
        image_fpr : float
            The share of good images that may be judged defective.
        """
        pixels, name = read(image), name or name_of(image)
        map = self._of_image(pixels, name)
        return self.judge(pixels, map, fpr, name, image_fpr=image_fpr)

    def judge(self, image, map, fpr=FPR, name=None, *, image_fpr=IMAGE_FPR):
        """The `Finding` of an image whose map is known; its verdict and its mask agree."""
        flagged = segment(map, self.threshold(fpr), 0)
        labels, _ = ndimage.label(flagged, EIGHT)
        areas = sizes(labels, self.shrink)
        areas[0] = 0  # Of the background.
        score, limit = int(areas.max()), self.image_threshold(image_fpr, fpr).value
        mask = flagged & (areas >= limit)[labels]
        return Finding(name or name_of(image), image, map, mask, score, score >= limit)

    def evaluate(self, dataset, fpr=FPR, *, image_fpr=IMAGE_FPR, show=None, resume=None):
        """Compare maps with masks.

        Parameters
        ----------
        dataset : path or Dataset
            Laid out like MVTec AD; its test images are looked at, at their own size.
        fpr, image_fpr : float
            For the verdicts, as in `look`.
        show : callable, optional
            Gets each `Finding` and its `Sample`; None for a finding that ``resume`` remembers.
        resume : path, optional
            A file that remembers what is counted, for a run of the same to go on from.

        Returns
        -------
        metrics : dict
            Of pixels as in `Result`; ``image_auroc``, None without defect-free test images;
            ``verdicts``, counts by kind of image.
        curves : dict of arrays
            As in `Result`.

        Raises
        ------
        DataError
            If there are no test images with masks.
        """
        from sadefect.progress import progress

        if not isinstance(dataset, Dataset):
            dataset = load_dataset("folder", dataset)
        check_masks(dataset)
        tally = Tally.load(resume) if resume else Tally()
        with progress("evaluating", len(dataset.test), "images") as report:
            for done, sample in enumerate(dataset.test, 1):
                found = None
                if done > len(tally.images):
                    found = self.look(sample.image, fpr, sample.name, image_fpr=image_fpr)
                    tally.update(found, sample.mask, sample.kind)
                if show:
                    show(found, sample)
                if resume and found:
                    tally.save(resume)
                report(done)
        return tally.metrics([self.threshold(one) for one in FPRS])

    # Files

    def save(self, path):
        """Write this detector to one file: numbers and JSON, no code.

        Returns
        -------
        Path
        """
        from keras import ops

        from sadefect.provenance import versions

        header = {
            "version": versions()["sadefect"],
            "settings": self.get_params(),
            "provenance": self.provenance_,
        }
        arrays = {"history": self.history_} | self.calibration_.state()
        for number, variable in enumerate(self.model_.weights):
            arrays[f"weights.{number:03d}"] = ops.convert_to_numpy(variable)
        detector_files.write(path, header, arrays)
        return Path(path)

    @classmethod
    def load(cls, path):
        """The detector that a file holds.

        Raises
        ------
        StoreError
            If the file is damaged, something else, or of a later version.
        """
        header, arrays = detector_files.read(path)
        try:
            return cls._of(header, arrays)
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
            raise StoreError(
                f"expected a detector as sadefect saves it; {path} does not fit together "
                f"({error}); it was changed, or is of another version "
                f"({str(header.get('version'))[:20]}); train it again"
            ) from error

    @classmethod
    def _of(cls, header, arrays):
        settings = header["settings"]
        unknown = set(settings) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"unknown settings {sorted(unknown)}")
        detector = cls(**settings)
        weights = [arrays[name] for name in sorted(arrays) if name.startswith("weights.")]
        # Before a network is built: a wrong number must not ask for more memory than the file has.
        if not any(detector.recipe.latent_dim in one.shape for one in weights):
            raise ValueError(f"no weights of latent_dim {detector.recipe.latent_dim}")
        for name, array in arrays.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ValueError(f"{name} holds NaN or infinity")
        detector.model_ = detector.recipe.build_model()
        detector.model_.set_weights(weights)
        detector.calibration_ = Calibration.from_state(arrays)
        detector.history_ = arrays["history"]
        detector.provenance_ = dict(header["provenance"])
        return detector

    def export(self, path, format="onnx"):
        """Write the network, patches to reconstructions, for another runtime.

        Parameters
        ----------
        path : path
        format : {"onnx", "openvino"}
            Needs the extra ``sadefect[export]``.

        Returns
        -------
        Path
        """
        from sadefect.detector.export import export

        return export(self, path, format)
