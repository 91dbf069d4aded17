"""A detector for your own images: defect-free ones in; maps, scores and segmentations out."""

import os
from dataclasses import KW_ONLY, asdict, dataclass, fields

import numpy as np

from sadefect.datasets.base import held_out
from sadefect.detector.calibration import Calibration, label_regions
from sadefect.detector.defaults import FPR, IMAGE_FPR, PATCHES
from sadefect.detector.evaluation import Evaluation, with_masks
from sadefect.detector.export import export_network
from sadefect.detector.finding import Finding
from sadefect.detector.inputs import Downscaled, name_of, named_images
from sadefect.detector.saving import fitting_together, read_file, restored_model, write_file
from sadefect.detector.stack import stacked
from sadefect.detector.tiles import map_in_tiles
from sadefect.errors import DataError, StoreError, out_of_memory, require_choice
from sadefect.files import store_folder
from sadefect.methods import METHODS, Recipe, Scoring, make_plain, settings_digest
from sadefect.metrics import FPRS
from sadefect.models import PATCH_SIZES
from sadefect.patches import STRIDE
from sadefect.progress import progress
from sadefect.provenance import NUMERICS, commit, processor, versions
from sadefect.segmentation import DIAMETER, segment
from sadefect.structural_similarity import SSIMOptions
from sadefect.training.loop import load_weights
from sadefect.training.resume import Training, loss_history


@dataclass(eq=False)
class Detector:
    """Learns what defect-free images look like, and finds what does not look like them.

    Parameters
    ----------
    method : {"ssim", "l2", "vae", "feature_matching", "ms_ssim", "l1_ssim"}
        What the autoencoder is trained with, a key of `METHODS`. Maps of a VAE hold random draws.
    latent_dim : int or "auto"
        d; "auto" is 100, the paper's for textures.
    patch_size : {128, 64, 32}
        Side of the patches in pixels, after downscaling.
    window_size : int
        Side of the SSIM window in pixels, after downscaling; odd.
    shrink : int
        Images are downscaled first: blocks of so many pixels on a side are averaged, which gives a
        patch more context. Maps come in the image's own size all the same.
    stride, opening : int
        Pixels between windows; diameter in pixels of the disc that opens the map, 0 for none.
    average : {"reconstructions", "maps"}
        What is averaged where windows overlap, as in `anomaly_map`.
    patches : int
        How many are seen in training, 65 a second on two cores; the paper's number is 2,000,000.
    schedule, seed : {"cpu", "small", "paper"}, int
        Batch size and learning rate, a key of `SCHEDULES`; of weights and patches.

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
    An image is an array, a file or Pillow's, gray or colour (which becomes luminance), of 8 or 16
    bit, or of floats in [0, 1]; at least a patch large. Memory beyond the image and its map does
    not grow with the image: maps are computed in tiles.

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
        make_plain(self)
        least = {"shrink": 1, "stride": 1, "opening": 0, "patches": 1, "seed": 0, "window_size": 1}
        if self.latent_dim != "auto":
            least["latent_dim"] = 1
        for name, smallest in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
                raise ValueError(
                    f"{name} must be a whole number of at least {smallest}; received {value!r}"
                )
        require_choice("patch_size", self.patch_size, PATCH_SIZES)
        require_choice("average", self.average, ("reconstructions", "maps"))
        if self.stride > self.patch_size:
            raise ValueError(
                f"stride must be at most patch_size={self.patch_size}, or pixels are left out; "
                f"received {self.stride!r}"
            )
        recipe = self.recipe  # Which checks the method; its window is checked here.
        if "window_size" in METHODS[self.method].settings:
            SSIMOptions(data_range=1.0, **recipe.ssim_options)

    @property
    def recipe(self):
        """Return the settings of the training, a `Recipe`."""
        names = {field.name for field in fields(Recipe)}
        settings = {name: value for name, value in self.get_params().items() if name in names}
        if self.latent_dim == "auto":
            del settings["latent_dim"]
        return Recipe(**settings)

    @property
    def scoring(self):
        """Return the settings of the maps, a `Scoring`."""
        return Scoring(
            residual=METHODS[self.method].residual,
            residual_window_size=self.window_size,
            stride=self.stride,
            average=self.average,
            opening=self.opening,
        )

    def get_params(self, deep=True):
        """Return the settings, as a dict; ``deep`` is for scikit-learn's `clone`, and ignored."""
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

        Raises
        ------
        DataError
            If there are fewer than two images, or one cannot be used.
        TrainingDiverged
            If going on would be a waste.
        """
        place, recipe = store_folder() / "detectors", self.recipe
        downscaled = (self._prepared(image, name)[:, :] for name, image in named_images(images))
        images, fingerprint = stacked(place, downscaled)
        if len(images) < 2:
            raise DataError(
                f"expected at least 2 defect-free images, one to hold out for thresholds; got "
                f"{len(images)}; add images, or cut the one into two"
            )
        count = held_out(len(images))
        trained_on, kept = images[:-count], images[-count:]
        settings = self._training_settings(fingerprint)
        folder = place / settings_digest(settings)
        training = Training(folder, recipe, lambda: (trained_on, kept), lambda: settings)
        self.model_ = load_weights(recipe.build_model(), training.checkpoint(self.patches))
        curve, seconds = loss_history(folder / "state.npz", self.patches)
        self.history_ = np.stack([curve["history_patches"], curve["history_loss"]], axis=-1)
        maps, _ = stacked(place, self._residuals(kept))
        self.calibration_ = Calibration.of(maps, self.shrink)
        self.provenance_ = {
            "data": fingerprint,
            "images": {"trained on": len(trained_on), "held out": count},
            "seconds": seconds,
            "commit": commit(),
            "versions": versions(),
            "machine": {"processor": processor(), "cores": os.cpu_count()},
        }
        return self

    def _training_settings(self, data):
        """Return what the trajectory depends on: the recipe's settings and the images."""
        known = {"dataset": "folder", "train": "split", "numerics": NUMERICS["training"]}
        return self.recipe.recipe_settings() | known | {"data": data, "shrink": self.shrink}

    def _residuals(self, images):
        """Yield the maps of downscaled images, of good ones that were not trained on."""
        with progress("setting thresholds", len(images), "images") as report:
            for done, image in enumerate(images, 1):
                yield map_in_tiles(self.model_, image, self.scoring, self.seed, "residual")
                report(done)

    def _prepared(self, image, name=None):
        return Downscaled(image, self.shrink, self.patch_size, name)

    def _map(self, prepared, part):
        """Compute a part of the `AnomalyMap` of a prepared image, at the image's own size."""
        try:
            map = map_in_tiles(self._learnt("model_"), prepared, self.scoring, self.seed, part)
        except Exception as error:
            if out_of_memory(error):
                height, width = prepared.full_shape
                error.add_note(f"while looking at {prepared.name}, {height}x{width} pixels")
            raise
        return prepared.enlarged(map)

    def _learnt(self, name):
        if not hasattr(self, name):
            raise StoreError("this detector has learnt nothing yet; call fit, or Detector.load")
        return getattr(self, name)

    def anomaly_map(self, image):
        """Compute the opened residual map of an image: larger where it is more anomalous.

        Returns
        -------
        float32 array (H, W)

        Raises
        ------
        DataError
            If the image, an array or a path, cannot be used; the message says why.
        """
        return self._map(self._prepared(image), "residual")

    def reconstruct(self, image):
        """Reconstruct an image, float32 ``(H, W)``, which shows whether settings suit it."""
        return self._map(self._prepared(image), "reconstruction")

    def score(self, image, fpr=FPR):
        """Return the area in pixels of the largest region at or above ``threshold(fpr)``."""
        return self.look(image, fpr).score

    def threshold(self, fpr=FPR):
        """Return the threshold of pixels that flags a share ``fpr`` of those of held-out images.

        Returns
        -------
        Threshold
            With the numbers of images and pixels that it rests on.
        """
        return self._learnt("calibration_").pixels.threshold(fpr)

    def image_threshold(self, image_fpr=IMAGE_FPR, fpr=FPR):
        """Return the score from which an image is judged defective, by split conformal prediction.

        At most a share ``image_fpr`` of new good images is expected to be, if there are at least
        ``1 / image_fpr - 1`` held-out images; see `Calibration.image_threshold`.

        Returns
        -------
        ImageThreshold
            With what it rests on, and how uncertain that makes it.
        """
        return self._learnt("calibration_").image_threshold(image_fpr, fpr)

    def segment(self, image, fpr=FPR, *, confirmed=False, image_fpr=IMAGE_FPR):
        """Return the pixels of an image that are flagged, bool ``(H, W)``, as the paper segments.

        Specks of good images are among them. `look` and the shell's verb ``segment`` keep only what
        is judged a defect, as ``confirmed=True`` does.

        Parameters
        ----------
        image : array or path
        fpr, image_fpr : float
            As in `look`.
        confirmed : bool
            Keep only regions as large as `image_threshold`, so that a good image's mask is empty.
        """
        if confirmed:
            return self.look(image, fpr, image_fpr=image_fpr).mask
        return segment(self.anomaly_map(image), self.threshold(fpr), 0)

    def predict(self, images, fpr=FPR, *, image_fpr=IMAGE_FPR):
        """Yield the `Finding` of each image, one in memory at a time; shares are as in `look`.

        ``images`` are a folder, one path, or an iterable of arrays or paths.
        """
        for name, image in named_images(images, "judge"):
            yield self.look(image, fpr, name, image_fpr=image_fpr)

    def look(self, image, fpr=FPR, name=None, *, image_fpr=IMAGE_FPR):
        """Return the `Finding` of one image.

        Parameters
        ----------
        image : array or path
        fpr, image_fpr : float
            The shares, in [0, 1], of good pixels that may be flagged, and of good images that may
            be judged defective.
        name : str, optional
        """
        prepared = self._prepared(image, name)
        map = self._map(prepared, "residual")
        return self.judge(prepared.pixels, map, fpr, prepared.name, image_fpr=image_fpr)

    def judge(self, image, map, fpr=FPR, name=None, *, image_fpr=IMAGE_FPR):
        """Return the `Finding` of an image whose map is known; its verdict and its mask agree."""
        flagged = segment(map, self.threshold(fpr), 0)
        labels, areas = label_regions(flagged, self.shrink)
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
        test = with_masks(dataset).test
        evaluation = Evaluation.load(resume) if resume else Evaluation()
        with progress("evaluating", len(test), "images") as report:
            for done, sample in enumerate(test, 1):
                finding = None
                if done > len(evaluation.images):
                    finding = self.look(sample.image, fpr, sample.name, image_fpr=image_fpr)
                    evaluation.update(finding, sample.mask, sample.kind)
                if show:
                    show(finding, sample)
                if resume and finding:
                    evaluation.save(resume)
                report(done)
        return evaluation.metrics([self.threshold(share) for share in FPRS])

    def save(self, path):
        """Write this detector to one file, numbers and JSON, no code, and return its path."""
        arrays = self._learnt("calibration_").state() | {"history": self.history_}
        for number, weights in enumerate(self.model_.get_weights()):
            arrays[f"weights.{number:03d}"] = weights
        header = {"settings": self.get_params(), "provenance": self.provenance_}
        return write_file(path, {"version": versions()["sadefect"]} | header, arrays)

    @classmethod
    def load(cls, path):
        """Read the detector that a file holds.

        Raises
        ------
        StoreError
            If the file is damaged, something else, or of a later version.
        """
        header, arrays = read_file(path)
        with fitting_together(path, header):
            detector = cls(**header["settings"])
            detector.model_ = restored_model(detector.recipe, arrays)
            detector.calibration_ = Calibration.from_state(arrays)
            detector.history_ = arrays["history"]
            detector.provenance_ = dict(header["provenance"])
        return detector

    export = export_network
