"""The methods: one row for each; a `Recipe` for training with one, a `Scoring` for its maps.

Neither knows of data: an experiment of the paper and a detector for your own images have one of
each. A new method is a row of `METHODS`, its loss or network, and its test. Nothing here imports a
framework until a network or a loss is built.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from sadefect.errors import require_choice
from sadefect.patches import CROPS, STRIDE, SYMMETRIES
from sadefect.segmentation import DIAMETER


class Schedule(NamedTuple):
    """Say how the loss is minimised; section 4.2 gives Adam's rate and decay, but no batch size."""

    batch_size: int
    learning_rate: float
    weight_decay: float = 1e-5
    # Or "l2", a penalty in the loss as PyTorch's Adam has with weight_decay, but of kernels only:
    # PyTorch's takes biases too.
    decay: str = "decoupled"


SCHEDULES = {
    # The paper's optimiser; 128 is the batch size of most public code.
    "paper": Schedule(batch_size=128, learning_rate=2e-4),
    # On a CPU steps count, not patches: chosen by the training loss alone.
    "cpu": Schedule(batch_size=16, learning_rate=5e-4),
    # Learns sooner, and is not ahead for long: the page on performance compares the three.
    "small": Schedule(batch_size=8, learning_rate=5e-4),
}
PRECISIONS = ("float32", "mixed_bfloat16")
SAMPLES = 6  # Latent vectors for each window of a VAE, section 4.2.
SSIM_SETTINGS = ("window_size", "window", "c1", "c2")


class Residual(NamedTuple):
    """Describe a residual: what its map measures, and the settings of `Scoring` that it alone has.

    Its function is ``NAME_residual`` of `sadefect.losses` or `sadefect.structural_similarity`,
    called in `sadefect.anomaly_maps.residual_map`.
    """

    unit: str
    settings: tuple[str, ...] = ()


RESIDUALS = {
    "ssim": Residual("1 − SSIM", tuple(f"residual_{name}" for name in SSIM_SETTINGS)),
    "l2": Residual("squared difference"),
    "vae": Residual("− log probability", ("samples",)),
}


class Method(NamedTuple):
    """Describe a method of the paper, or one that came after it."""

    label: str  # Its name in figures, tables and sentences.
    about: str  # What it compares, for the help of the shell.
    residual: str  # A key of `RESIDUALS`: what it is scored with by default.
    loss: Callable  # Takes a `Recipe`, returns a `keras.losses.Loss`.
    settings: tuple[str, ...] = ()  # Of a `Recipe`, on which this method alone depends.
    variational: bool = False  # Whether its network is `build_vae`, which the residual "vae" needs.
    colour: str = "#222222"  # Of Okabe and Ito's palette, which colour-blind readers tell apart.
    # Of its line, as matplotlib has them, for readers who cannot tell colours apart.
    dashes: str | tuple = "-"


def _ssim_loss(name):
    def build(recipe):
        from sadefect import losses

        return getattr(losses, name)(data_range=1.0, **recipe.ssim_options)

    return build


def _l2_loss(recipe):
    from keras.losses import MeanSquaredError

    return MeanSquaredError()


def _vae_loss(recipe):
    from sadefect.losses import GaussianLoss

    return GaussianLoss() if recipe.variance == "learned" else _l2_loss(recipe)


def _feature_matching_loss(recipe):
    from sadefect.losses import FeatureMatchingLoss

    return FeatureMatchingLoss(source=recipe.features, weight=recipe.feature_weight)


METHODS = {
    "ssim": Method(
        label="SSIM",
        about="structural similarity, the paper's proposal",
        residual="ssim",
        loss=_ssim_loss("SSIMLoss"),
        settings=SSIM_SETTINGS,
        colour="#D55E00",
    ),
    "l2": Method(
        label="ℓ²",
        about="squared differences of pixels",
        residual="l2",
        loss=_l2_loss,
        colour="#0072B2",
        dashes="--",
    ),
    "vae": Method(
        label="VAE",
        about="reconstruction probability of a variational autoencoder",
        residual="vae",
        loss=_vae_loss,
        settings=("variance", "kl_weight"),
        variational=True,
        colour="#E69F00",
        dashes="-.",
    ),
    "feature_matching": Method(
        label="feature matching",
        about="squared differences of pixels and of AlexNet's features",
        residual="l2",
        loss=_feature_matching_loss,
        settings=("features", "feature_weight"),
        colour="#009E73",
        dashes=":",
    ),
    "ms_ssim": Method(
        label="MS-SSIM",
        about="structural similarity at several scales, after the paper",
        residual="ssim",
        loss=_ssim_loss("MultiScaleSSIMLoss"),
        settings=SSIM_SETTINGS,
        dashes=(0, (5, 1)),
    ),
    "l1_ssim": Method(
        label="ℓ¹ + SSIM",
        about="absolute differences and structural similarity, after the paper",
        residual="ssim",
        loss=_ssim_loss("L1SSIMLoss"),
        settings=SSIM_SETTINGS,
        dashes=(0, (3, 1, 1, 1)),
    ),
}


def fill_in(settings, **values):
    """Set fields of a frozen dataclass that were left to be worked out, in its __post_init__."""
    for name, value in values.items():
        object.__setattr__(settings, name, value)


def make_plain(settings):
    """Turn NumPy's numbers among the fields of a dataclass into Python's, which JSON can hold."""
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    fill_in(settings, **{k: v.item() for k, v in values.items() if isinstance(v, np.generic)})


def own_settings(settings, names, rows, which):
    """Return the named settings that all rows share, and those that one of them has.

    ``settings`` has them as attributes; ``rows`` is `METHODS` or `RESIDUALS`, ``which`` its key.
    """
    special = {name for row in rows.values() for name in row.settings}
    kept = [name for name in names if name not in special or name in rows[which].settings]
    return {name: getattr(settings, name) for name in kept}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Hold a method's settings without the data: all that a training depends on but its images.

    Parameters
    ----------
    method : {"ssim", "l2", "vae", "feature_matching", "ms_ssim", "l1_ssim"}
        What the autoencoder is trained with; the last two came after the paper.
    latent_dim : int
        d; the paper's for textures is 100.
    patch_size, output_activation
        As in `build_autoencoder`.
    window_size, window, c1, c2
        Of a loss with SSIM, as in `ssim_map`; without effect on other methods.
    variance, kl_weight
        Of a VAE, as in `build_vae`.
    features : {"imagenet"}
        What extractor feature matching uses, as in `load_extractor`.
    feature_weight : float
        lambda of eq. 3.
    schedule : {"cpu", "small", "paper"}
        A name of `SCHEDULES`.
    decay : {"decoupled", "l2"}
        How the weight decay enters Adam.
    n_patches : int
        How many different patches are drawn.
    crops : {"fixed", "fresh"}
        Whether patches are of a fixed set of ``n_patches``, as printed, or at new positions.
    symmetries : {"none", "half_turns", "mirrors", "turns", "all"}
        Of the square, in which patches are shown; as in `RandomPatches`.
    precision : {"float32", "mixed_bfloat16"}
        Of the layers in training, the last one aside; scores are always computed in float32.
    averaging : float
        Momentum of an average of the weights, which is scored in their place; 0 for none.
    seed : int
        Of weights, positions and orders.

    Examples
    --------
    >>> Recipe(method="l2", latent_dim=4, patch_size=32).build_model().count_params()
    639877
    """

    method: str = "ssim"
    latent_dim: int = 100
    patch_size: int = 128
    output_activation: str = "linear"
    window_size: int = 11
    window: str = "uniform"
    c1: float | None = None
    c2: float | None = None
    variance: str = "fixed"
    kl_weight: float = 1.0
    features: str = "imagenet"
    feature_weight: float = 1.0
    schedule: str = "cpu"
    decay: str = "decoupled"
    n_patches: int = 10_000
    crops: str = "fixed"
    symmetries: str = "none"
    precision: str = "float32"
    averaging: float = 0.0
    seed: int = 0

    def __post_init__(self):
        make_plain(self)
        choices = {
            "method": METHODS,
            "variance": ("fixed", "learned"),
            "features": ("imagenet",),
            "schedule": SCHEDULES,
            "decay": ("decoupled", "l2"),
            "crops": CROPS,
            "symmetries": SYMMETRIES,
            "precision": PRECISIONS,
        }
        for name, allowed in choices.items():
            require_choice(name, getattr(self, name), allowed)
        if not 0 <= self.averaging < 1:
            raise ValueError(f"averaging must lie in [0, 1); received {self.averaging!r}")

    @property
    def ssim_options(self):
        """Return keyword arguments of a loss with SSIM, the data range aside."""
        return {name: getattr(self, name) for name in SSIM_SETTINGS}

    @property
    def optimisation(self):
        """Return how the loss is minimised, a `Schedule`."""
        return SCHEDULES[self.schedule]._replace(decay=self.decay)

    def recipe_settings(self):
        """Return what a trajectory depends on besides its images, as plain JSON values."""
        names = [field.name for field in fields(Recipe) if field.name not in ("schedule", "decay")]
        settings = own_settings(self, names, METHODS, self.method) | self.optimisation._asdict()
        for name in ("crops", "symmetries", "precision", "averaging"):
            if settings[name] == getattr(Recipe, name):
                del settings[name]  # Results from before they could be set keep their names.
        if self.crops == "fresh":
            del settings["n_patches"]
        if "features" in settings:
            from sadefect.features import extractor_name

            settings["extractor"] = extractor_name()
        return settings

    def build_loss(self):
        """Build the loss that the network is trained with; its options are checked here."""
        return METHODS[self.method].loss(self)

    def build_model(self):
        """Build the network with the weights that its trajectory starts from, float32."""
        import keras

        from sadefect.models import build_autoencoder, build_vae

        schedule = self.optimisation
        l2 = schedule.weight_decay / 2 if schedule.decay == "l2" else 0
        options = {"kernel_regularizer": keras.regularizers.L2(l2) if l2 else None}
        network = (self.patch_size, self.latent_dim, self.output_activation)
        keras.utils.set_random_seed(self.seed)
        if METHODS[self.method].variational:
            own = {name: getattr(self, name) for name in ("variance", "kl_weight", "seed")}
            return build_vae(*network, **own, **options)
        return build_autoencoder(*network, **options)


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """Hold how a trained network's maps are made, as `sadefect.anomaly_maps.scored_map` does.

    Parameters
    ----------
    residual : {"ssim", "l2", "vae"}
    residual_window_size, residual_window, residual_c1, residual_c2
        Of an SSIM residual, as in `ssim_map`.
    stride, average, frame, samples
        As in `anomaly_map`.
    smoothing : float
        Standard deviation in pixels of a Gaussian that smooths the residual map before the opening;
        0 for none, which is the paper's.
    opening : int
        Diameter in pixels of the disc that opens the residual map before the ROC, 0 for none.
    """

    residual: str = "ssim"
    residual_window_size: int = 11
    residual_window: str = "uniform"
    residual_c1: float | None = None
    residual_c2: float | None = None
    stride: int = STRIDE
    average: str = "reconstructions"
    frame: int = 0
    samples: int = SAMPLES
    smoothing: float = 0.0
    opening: int = DIAMETER

    def __post_init__(self):
        make_plain(self)
        require_choice("residual", self.residual, RESIDUALS)
        require_choice("average", self.average, ("reconstructions", "maps"))
        if not self.smoothing >= 0:
            raise ValueError(f"smoothing must be pixels, at least 0; received {self.smoothing!r}")
        if not self.frame >= 0:
            raise ValueError(f"frame must be pixels, at least 0; received {self.frame!r}")

    def scoring_settings(self):
        """Return what a map depends on besides the network, as plain JSON values."""
        names = [field.name for field in fields(Scoring)]
        settings = own_settings(self, names, RESIDUALS, self.residual)
        # Results from before these could be set keep their names.
        return {k: v for k, v in settings.items() if v or k not in ("smoothing", "frame")}

    def residual_options(self, seed=0):
        """Return keyword arguments of the residual; the seed is that of a VAE's draws."""
        own = {name: getattr(self, name) for name in RESIDUALS[self.residual].settings}
        options = {name.removeprefix("residual_"): value for name, value in own.items()}
        return options | ({"seed": seed} if "samples" in options else {})


def settings_digest(settings):
    """Return twelve hexadecimal digits that name settings, plain JSON values in any order."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def load_model(path):
    """Read a saved Keras model with any network and loss of this package, in a fresh process too.

    `keras.saving.load_model` finds classes whose modules were imported; this imports them first,
    and refuses files that would run code.

    Parameters
    ----------
    path : path
        A ``.keras`` file.

    Returns
    -------
    keras.Model
    """
    import keras

    from sadefect import losses, models  # noqa: F401 - registers the classes.

    return keras.saving.load_model(path, safe_mode=True)
