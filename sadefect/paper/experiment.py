"""An experiment is a value: everything that a number in the book depends on.

Two keys name what is stored: the training key names a trajectory that a larger budget continues,
the evaluation key names one way of scoring one point of it. `store` keeps what came out.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property

from sadefect.datasets import dataset_fingerprint
from sadefect.patches import CROPS, SYMMETRIES

# Raised when the same settings would give other numbers; tests/test_numerics.py watches.
NUMERICS = {"training": 1, "scoring": 1}
# What each method is scored with, and the settings that it alone depends on.
RESIDUAL_OF = {
    "ssim": "ssim",
    "l2": "l2",
    "vae": "vae",
    "feature_matching": "l2",
    "ms_ssim": "ssim",
    "l1_ssim": "ssim",
}
METHODS = tuple(RESIDUAL_OF)
LOSS_FIELDS = ("window_size", "window", "c1", "c2")
OWN_FIELDS = {
    "ssim": LOSS_FIELDS,
    "ms_ssim": LOSS_FIELDS,
    "l1_ssim": LOSS_FIELDS,
    "vae": ("variance", "kl_weight"),
    "feature_matching": ("features", "feature_weight"),
}
OWN_SCORING = {"ssim": tuple(f"residual_{name}" for name in LOSS_FIELDS), "vae": ("samples",)}
LATER_FIELDS = ("crops", "symmetries", "precision", "decay_from", "averaging")
SCORING_FIELDS = (
    "patches_seen",
    "residual",
    "residual_window_size",
    "residual_window",
    "residual_c1",
    "residual_c2",
    "stride",
    "average",
    "samples",
    "smoothing",
    "opening",
)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Everything that a number in the book depends on.

    Parameters
    ----------
    dataset : str
        A name of `load_dataset`.
    method : {"ssim", "l2", "vae", "feature_matching", "ms_ssim", "l1_ssim"}
        What the autoencoder is trained with; the last two came after the paper.
    patches_seen : int
        The budget. The paper's is 10,000 patches times 200 epochs, 2,000,000.
    latent_dim : int, optional
        d; by default the paper's, 500 for nanofibres and 100 for everything else.
    patch_size, output_activation
        As in `build_autoencoder`.
    window_size, window, c1, c2
        Of a loss with SSIM, as in `ssim_map`; without effect on other methods.
    variance, kl_weight
        Of a VAE, as in `build_vae`.
    features : {"standin", "imagenet"}
        What extractor feature matching uses, as in `load_extractor`; other methods forget it.
    feature_weight : float
        lambda of eq. 3.
    schedule : {"cpu", "small", "paper"}
        A name of `sadefect.training.SCHEDULES`.
    decay : {"decoupled", "l2"}
        How the weight decay enters Adam.
    n_patches : int
        How many different patches are drawn.
    train : {"split", "all"}
        Whether the held-out defect-free images are trained on as well.
    crops : {"fixed", "fresh"}
        Whether patches are of a fixed set of ``n_patches``, as printed, or at new positions.
    symmetries : {"none", "half_turns", "mirrors", "turns", "all"}
        Of the square, in which patches are shown; as in `RandomPatches`.
    precision : {"float32", "mixed_bfloat16"}
        Of the layers in training, the last one aside; scores are always computed in float32.
    decay_from : int
        A number of patches seen from which the learning rate falls to a hundredth, up to the
        budget; 0 for a constant rate, which is the paper's. It branches off the trajectory with a
        constant rate, which must keep its state there: `sadefect.training.keeps_state`.
    averaging : float
        Momentum of an average of the weights, which is scored in their place; 0 for none.
    seed : int
        Of weights, positions and orders.
    residual : {"ssim", "l2", "vae"}, optional
        By default the method's own.
    residual_window_size, residual_window, residual_c1, residual_c2
        Of an SSIM residual; by default the loss's.
    stride, average, samples
        As in `anomaly_map`.
    smoothing : float
        Standard deviation in pixels of a Gaussian that smooths the residual map before the opening;
        0 for none, which is the paper's.
    opening : int
        Diameter in pixels of the disc that opens the residual map before the ROC, 0 for none.

    Examples
    --------
    >>> one = Experiment(dataset="synthetic/fibres", patches_seen=10_000)
    >>> more = Experiment(dataset="synthetic/fibres", patches_seen=20_000)
    >>> one.training_key == more.training_key, one.evaluation_key == more.evaluation_key
    (True, False)
    """

    dataset: str
    method: str = "ssim"
    patches_seen: int = 2_000_000
    latent_dim: int | None = None
    patch_size: int = 128
    output_activation: str = "linear"
    window_size: int = 11
    window: str = "uniform"
    c1: float | None = None
    c2: float | None = None
    variance: str = "fixed"
    kl_weight: float = 1.0
    features: str = "standin"
    feature_weight: float = 1.0
    schedule: str = "cpu"
    decay: str = "decoupled"
    n_patches: int = 10_000
    train: str = "split"
    crops: str = "fixed"
    symmetries: str = "none"
    precision: str = "float32"
    decay_from: int = 0
    averaging: float = 0.0
    seed: int = 0
    residual: str | None = None
    residual_window_size: int | None = None
    residual_window: str | None = None
    residual_c1: float | None = None
    residual_c2: float | None = None
    stride: int = 30
    average: str = "reconstructions"
    samples: int = 6
    smoothing: float = 0.0
    opening: int = 4

    def __post_init__(self):
        if self.latent_dim is None:
            fibres = self.dataset == "nanotwice" or self.dataset.startswith("synthetic/fibres")
            object.__setattr__(self, "latent_dim", 500 if fibres else 100)
        if self.residual is None:
            object.__setattr__(self, "residual", RESIDUAL_OF.get(self.method, self.method))
        if self.method != "feature_matching":
            object.__setattr__(self, "features", Experiment.features)
        for name in LOSS_FIELDS:
            if getattr(self, f"residual_{name}") is None:
                object.__setattr__(self, f"residual_{name}", getattr(self, name))
        allowed = {
            "method": METHODS,
            "residual": ("ssim", "l2", "vae") if self.method == "vae" else ("ssim", "l2"),
            "variance": ("fixed", "learned"),
            "features": ("standin", "imagenet"),
            "schedule": ("cpu", "small", "paper"),
            "decay": ("decoupled", "l2"),
            "train": ("split", "all"),
            "crops": CROPS,
            "symmetries": tuple(SYMMETRIES),
            "precision": ("float32", "mixed_bfloat16"),
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise ValueError(
                    f"{name} must be one of {values}; received {getattr(self, name)!r}"
                )
        if self.patches_seen < 1:
            raise ValueError(f"patches_seen must be positive; received {self.patches_seen!r}")
        if not 0 <= self.decay_from < self.patches_seen:
            raise ValueError(
                f"decay_from must be patches, fewer than patches_seen={self.patches_seen}; "
                f"received {self.decay_from!r}"
            )
        if not 0 <= self.averaging < 1:
            raise ValueError(f"averaging must lie in [0, 1); received {self.averaging!r}")
        if not self.smoothing >= 0:
            raise ValueError(f"smoothing must be pixels, at least 0; received {self.smoothing!r}")

    def _settings(self, names, own, which):
        """Those of the named fields that all have, and those of ``own`` that this one has."""
        special = {name for group in own.values() for name in group}
        used = [name for name in names if name not in special or name in own.get(which, ())]
        return {name: getattr(self, name) for name in used}

    @cached_property
    def training_settings(self):
        """What the trajectory depends on, as plain JSON values."""
        names = [field.name for field in fields(self) if field.name not in SCORING_FIELDS]
        settings = self._settings(names, OWN_FIELDS, self.method)
        del settings["schedule"], settings["decay"]
        settings |= asdict(self.optimisation())
        for name in LATER_FIELDS:  # Results from before they could be set keep their names.
            if settings[name] == getattr(Experiment, name):
                del settings[name]
        if self.crops == "fresh":
            del settings["n_patches"]
        if self.decay_from:
            settings["decay_over"] = self.patches_seen - self.decay_from
        if self.method == "feature_matching":
            from sadefect.features import load_extractor

            settings["extractor"] = load_extractor(self.features)[1]
        return settings | {
            "data": dataset_fingerprint(self.dataset),
            "numerics": NUMERICS["training"],
        }

    @cached_property
    def scoring_settings(self):
        """What the metrics depend on besides the trajectory, as plain JSON values."""
        used = self._settings(SCORING_FIELDS, OWN_SCORING, self.residual)
        if not self.smoothing:  # Results from before it could be set keep their names.
            del used["smoothing"]
        return used | {"numerics": NUMERICS["scoring"]}

    @cached_property
    def training_key(self):
        """Names the trajectory: equal for experiments that differ in budget or scoring only."""
        return self._name() + settings_digest(self.training_settings)

    @cached_property
    def evaluation_key(self):
        """Names the metrics."""
        return self._name() + settings_digest([self.training_settings, self.scoring_settings])

    def _name(self):
        return f"{self.dataset.replace('/', '-')}_{self.method}_d{self.latent_dim}_"

    @property
    def variant(self):
        """What differs from the defaults, besides the columns every table has."""
        plain = Experiment(
            **{
                name: getattr(self, name)
                for name in ("dataset", "method", "patches_seen", "latent_dim", "window_size")
            },
            patch_size=self.patch_size,
            schedule=self.schedule,
            seed=self.seed,
        )
        changed = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != getattr(plain, field.name)
        }
        return ", ".join(f"{name}={value}" for name, value in changed.items()) or "default"

    def equals(self, other, but):
        """Whether two experiments differ in the named settings only, or not at all.

        Examples
        --------
        >>> first = Experiment(dataset="nanotwice")
        >>> first.equals(replace(first, seed=3), but=["seed"])
        True
        """
        return replace(self, **{name: getattr(other, name) for name in but}) == other

    @property
    def trunk(self):
        """The experiment whose trajectory a decay of the rate branches off; None without one."""
        if not self.decay_from:
            return None
        return replace(self, decay_from=0, patches_seen=self.decay_from)

    def optimisation(self):
        """How the loss is minimised, a `sadefect.training.Schedule`."""
        from sadefect.training import SCHEDULES

        return replace(SCHEDULES[self.schedule], decay=self.decay)

    def residual_options(self):
        """Keyword arguments of the residual."""
        if self.residual == "vae":
            return {"samples": self.samples, "seed": self.seed}
        if self.residual != "ssim":
            return {}
        return {name: getattr(self, f"residual_{name}") for name in LOSS_FIELDS}


def settings_digest(settings):
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
