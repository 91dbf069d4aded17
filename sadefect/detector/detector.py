"""A detector for your own images: defect-free ones in; maps, scores and segmentations out."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from sadefect.datasets.synthetic.planted import planted_samples
from sadefect.detector import presets, yardsticks
from sadefect.detector.border import PART, Levelled, border_levels
from sadefect.detector.calibration import Calibration, choose_calibration, planted_sentence
from sadefect.detector.colour import all_planes, choose_colour, colour_sentence, stacked_planes
from sadefect.detector.conformal import held_out_count
from sadefect.detector.defaults import FPR, IMAGE_FPR
from sadefect.detector.evaluation import evaluate_detector
from sadefect.detector.export import export_network, thresholds
from sadefect.detector.finding import Finding
from sadefect.detector.inputs import name_of, named_images
from sadefect.detector.learning import Learning, sentence
from sadefect.detector.mapping import Mapping
from sadefect.detector.region import cropped, read_ignored
from sadefect.detector.saving import fitting_together, read_file, restored, saved_parts, write_file
from sadefect.detector.stack import stacked
from sadefect.errors import DataError
from sadefect.files import store_folder
from sadefect.provenance import NUMERICS, made_by
from sadefect.segmentation import segment


@dataclass(eq=False)
class Detector(Mapping):
    """Learns what defect-free images look like, and finds what does not look like them.

    Parameters
    ----------
    method : {"ssim", "l2", "vae", "feature_matching", "ms_ssim", "l1_ssim", "filter_bank"}
        What the autoencoder is trained with, a key of `METHODS`; maps of a VAE hold random draws.
        "filter_bank" has no network and is learnt in seconds: eight filters, and the Mahalanobis
        distance from what good images give.
    latent_dim : int or "auto"
        d; "auto" is 100, the paper's for textures.
    patch_size : {128, 64, 32}
        Side of the patches in pixels, after downscaling.
    window_size : int
        Side of the SSIM window in pixels, after downscaling; odd.
    shrink : int
        Images are downscaled first: blocks of so many pixels on a side are averaged, which gives a
        patch more context. Maps come in the image's own size all the same.
    stride : int
        Pixels between windows.
    average, frame, smoothing, opening : as in `Scoring`, or "auto"
        How a map is made. What is "auto" is chosen after training by synthetic defects in held-out
        good images.
    margin : int or "auto"
        Pixels by which images go on beyond their border, reflected, in training and scoring;
        "auto" is an eighth of a patch, 0 leaves images as they are.
    border : int
        Pixels along the border of an image, of its own, that are ignored; see ``ignore`` of `fit`.
    crops : {"fresh", "fixed"}
        Whether each patch is at a new position, or one of 10,000, as in the paper.
    colour : {"auto", "luminance", "channels"}
        What colour images are judged by: their luminance, or each channel for itself. "auto" tries
        both where ``patches`` are 20,000 or more, and is luminance otherwise.
    level_border : bool
        Whether maps are lowered near the border of images by as much as those of held-out good
        images are higher there than inside.
    image_score : {"auto", "height", "mass", "area"}
        What an image is judged by: the height of its highest flagged region in the smoothed map, or
        of its largest the area or the mass, where pixels count from a half to 2.5 times, by how far
        they are above the threshold. "auto" is the first of them that tells synthetic defects in
        held-out good images from these about as well as the best.
    symmetries : {"auto", "none", "half_turns", "mirrors", "turns", "all"}
        In which patches are shown. "auto" tries them out where ``patches`` are 20,000 or more, each
        with a tenth of them, and takes those that held-out images agree with.
    patches : int
        How many are seen in training at most, 65 a second on two cores; the paper's number is
        2,000,000. It ends when the loss on held-out images rises, and the best state is kept.
    schedule, seed : {"cpu", "small", "paper"}, int
        Batch size and learning rate, a key of `SCHEDULES`; of weights and patches.

    Attributes
    ----------
    model_ : keras.Model
    calibration_ : Calibration
        What the maps of the held-out defect-free images say; all thresholds come from it.
    history_, provenance_ : array (N, 2), dict
        Patches seen and mean loss; data, versions, machine, how training went, what was chosen.

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

    def fit(self, images, ignore=None):
        """Learn from defect-free images; the last of them, a tenth to a third, are held out.

        A training that was stopped goes on where it was, and a larger ``patches`` continues a
        smaller one: the store knows them by settings and images.

        Parameters
        ----------
        images : path, Dataset, or iterable of arrays or paths
            A folder of defect-free images, or one laid out like MVTec AD; a generator is taken
            once. Images need not fit into memory.
        ignore : path or bool array (H, W), optional
            A mask for all images, white or true where they are ignored in thresholds, verdicts and
            metrics: holders, marks, saturated margins.

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
        place, margin = store_folder() / "detectors", self._margin
        self.ignored_ = read_ignored(ignore)
        prepared = (self._prepared(image, name) for name, image in named_images(images))
        wide, fingerprint = stacked_planes(place, prepared, self._colours, margin)
        count = len(next(iter(wide.values())))
        if count < 2:
            raise DataError(
                f"expected at least 2 defect-free images, one to hold out for thresholds; got "
                f"{count}; add images, or cut the one into two"
            )
        last, record = held_out_count(count), None
        self.history_, seconds, self.colour_ = np.zeros((0, 2)), None, next(iter(wide))
        if self._network:
            learnings = {
                colour: Learning(
                    place, self.recipe, partial(self._training_settings, fingerprint, colour),
                    all_planes(planes[:-last]), all_planes(planes[-last:]),
                )
                for colour, planes in wide.items()
                if colour == "luminance" or len(wide) == 1 or max(map(len, planes)) > 1
            }  # fmt: skip
            self.colour_, tried = choose_colour(learnings, self.patches)
            self.model_, self.history_, seconds, record = learnings[self.colour_].learn(
                self.patches, self.symmetries
            )
            self.symmetries_ = record["symmetries"]
            record |= {"colour": self.colour_, "colour trials": tried} if tried else {}
        images = [[cropped(plane, margin) for plane in planes] for planes in wide[self.colour_]]
        about = {"data": fingerprint, "training": record, "seconds": seconds}
        return self._finish(images[:-last], images[-last:], about)

    def _finish(self, trained_on, kept, about):
        """Choose how maps are made, and set thresholds, both with images that were held out.

        Images are lists of planes; ``about`` has the data, the training and its seconds.
        """
        scorings = yardsticks.allowed_scorings(self._scoring(), self.patch_size, self.get_params())
        model = self.model_ if self._network else None
        chosen = yardsticks.Ranking(
            all_planes(trained_on), all_planes(kept), scorings, model, self._margin, self.seed
        )
        self.yardsticks_, self.scoring_ = chosen.yardsticks, chosen.scoring or self._scoring()
        if not self._network:
            self.model_ = self.yardsticks_["filter_bank"]
        self.calibrations_ = []
        self.provenance_ = about | {
            "images": {"trained on": len(trained_on), "held out": len(kept)},
            "scoring": chosen.compared,
            "synthetic defects": chosen.aurocs,
            **made_by(),
        }
        self.image_score_ = self.image_score
        self.provenance_ |= self._calibrate(kept)
        return self

    def calibrate(self, images):
        """Set thresholds anew from other good images, without training; return the detector.

        The old ones are noted; how many synthetic defects they judged is not said any more.

        Parameters
        ----------
        images : path, Dataset, or iterable of arrays or paths
            Good images, none of them trained on, such as those that caused false alarms; all of
            them are held out.
        """
        place, old = store_folder() / "detectors", thresholds(self)
        prepared = (self._prepared(image, name) for name, image in named_images(images))
        colour = "channels" if self._by_channel else "luminance"
        planes, fingerprint = stacked_planes(place, prepared, [colour])
        if not planes[colour]:
            raise DataError("expected at least one good image to set thresholds with; got none")
        self._calibrate(planes[colour])
        self.provenance_.pop("planted", None)
        self.calibrations_.append(old | {"followed by": fingerprint})
        return self

    def _calibrate(self, images):
        """Set thresholds by good images; return what is known of them by synthetic defects."""
        counted = [self._counted(planes[0].shape, self.shrink) for planes in images]
        self.levels_ = None
        maps, _ = stacked(store_folder() / "detectors", self._residuals(images))
        if self.level_border:
            self.levels_ = border_levels(maps, counted, self.patch_size // PART)
            maps = Levelled(maps, self.levels_)
        score = getattr(self, "image_score_", self.image_score)
        if score == "auto":
            planted = planted_samples(all_planes(images), self.seed)
            border = -(-self.border // self.shrink)
            bad = [cropped(self._map_of([sample.image], "residual"), border) for sample in planted]
            self.calibration_, reached = choose_calibration(maps, self.shrink, counted, bad)
            self.image_score_ = self.calibration_.image_score
            judged = self.calibration_.count_defective(bad, self.shrink)
            return {"image scores": reached, "planted": {"judged": judged, "images": len(bad)}}
        self.calibration_ = Calibration.of(maps, self.shrink, counted, score)
        return {}

    def notes(self):
        """Return what a user should know of this training, a list of sentences."""
        known = self._learnt("provenance_")
        record, aurocs = known.get("training"), known.get("synthetic defects", {})
        told = [colour_sentence(record), sentence(record, self.patches)] if record else []
        told += [yardsticks.verdict(aurocs)] if "network" in aurocs else []
        told += [planted_sentence(**known["planted"])] if "planted" in known else []
        return [text for text in [*told, *self.calibration_.crowded] if text]

    def _training_settings(self, data, colour="luminance", recipe=None):
        """Return what the trajectory depends on: the recipe's settings and the images."""
        known = {"dataset": "folder", "train": "own split", "numerics": NUMERICS["training"]}
        known |= {"data": data, "shrink": self.shrink}
        known |= {"margin": self._margin} if self._margin else {}
        known |= {"colour": colour} if colour == "channels" else {}
        return (recipe or self.recipe).recipe_settings() | known

    def score(self, image, fpr=FPR):
        """Return the score of the regions at or above ``threshold(fpr)``; see `Finding`."""
        return self.look(image, fpr).score

    def threshold(self, fpr=FPR):
        """Return the threshold of pixels that flags a share ``fpr`` of those of held-out images.

        Returns
        -------
        Threshold
            With the numbers of images and pixels that it rests on.
        """
        return self._learnt("calibration_").pixels.threshold(fpr)

    def image_threshold(self, image_fpr=IMAGE_FPR, fpr=FPR, size=None):
        """Return the score from which an image is judged defective, by split conformal prediction.

        At most a share ``image_fpr`` of new good images is expected to be, if there are at least
        ``1 / image_fpr - 1`` held-out images; see `Calibration.image_threshold`.
        Of an image of ``size`` pixels, more than the held-out ones have, it is larger.

        Returns
        -------
        ImageThreshold
            With what it rests on, and how uncertain that makes it.
        """
        return self._learnt("calibration_").image_threshold(image_fpr, fpr, size)

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
        return self._flagged(self.anomaly_map(image), fpr)[0]

    def _flagged(self, map, fpr):
        """Return the flagged pixels of a map, and how many pixels count."""
        flagged, counted = segment(map, self.threshold(fpr), 0), self._counted(map.shape)
        return (flagged, map.size) if counted is None else (flagged & counted, int(counted.sum()))

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
        flagged, size = self._flagged(map, fpr)
        labels, scores = self.calibration_.score_regions(
            map, flagged, fpr, self.shrink, self._counted(map.shape)
        )
        score, limit = int(scores.max()), self.image_threshold(image_fpr, fpr, size).value
        mask = flagged & (scores >= limit)[labels]
        return Finding(name or name_of(image), image, map, mask, score, score >= limit, limit)

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
            ``verdicts``, counts by kind of image; ``yardsticks``, the AUROC and AUPRO of methods
            that need no training, by name, of those that the detector has.
        curves : dict of arrays
            As in `Result`.

        Raises
        ------
        DataError
            If there are no test images with masks.
        """
        return evaluate_detector(self, dataset, show, resume, fpr=fpr, image_fpr=image_fpr)

    def save(self, path):
        """Write this detector to one file, numbers and JSON, no code, and return its path."""
        return write_file(path, *saved_parts(self))

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
            return restored(cls, header, arrays)

    def save_to_preset(self, folder):
        """Write this detector as a preset, in KerasHub's layout, and return the folder.

        Weights are float16 if that loses nothing; some thresholds may come back a little lower.
        """
        return presets.save_to_preset(self, folder)

    @classmethod
    def from_preset(cls, name):
        """Return a trained detector: "weave" or "twill", of synthetic textures, or one made here.

        Parameters
        ----------
        name : str or path
            One that ``sadefect preset list`` names, or the folder of a preset.

        Raises
        ------
        StoreError
            If there is none of that name; the message lists those that there are.

        Examples
        --------
        >>> Detector.from_preset("weave").method
        'ssim'
        """
        return presets.from_preset(cls, name)

    export = export_network
