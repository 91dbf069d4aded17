"""An experiment is a value: everything that a number in the book depends on.

Two keys name what is stored: the training key names a trajectory that a larger budget continues,
the evaluation key names one way of scoring one point of it. `sadefect.results` keeps what came out.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property

from .datasets import dataset_fingerprint

# Raised when the same settings would give other numbers; tests/test_numerics.py watches.
NUMERICS = {"training": 1, "scoring": 1}
METHODS = ("ssim", "l2")
LOSS_FIELDS = ("window_size", "window", "c1", "c2")
SCORING_FIELDS = (
    "patches_seen",
    "residual",
    "residual_window_size",
    "residual_window",
    "residual_c1",
    "residual_c2",
    "stride",
    "average",
    "opening",
)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Everything that a number in the book depends on.

    Parameters
    ----------
    dataset : str
        A name of `load_dataset`.
    method : {"ssim", "l2"}
        What the autoencoder is trained with.
    patches_seen : int
        The budget. The paper's is 10,000 patches times 200 epochs, 2,000,000.
    latent_dim : int, optional
        d; by default the paper's, 500 for nanofibres and 100 for everything else.
    patch_size, output_activation
        As in `build_autoencoder`.
    window_size, window, c1, c2
        Of the SSIM loss, as in `ssim_map`; without effect on other methods.
    schedule : {"cpu", "paper"}
        A name of `sadefect.training.SCHEDULES`.
    decay : {"decoupled", "l2"}
        How the weight decay enters Adam.
    n_patches : int
        How many different patches are drawn.
    train : {"split", "all"}
        Whether the held-out defect-free images are trained on as well.
    seed : int
        Of weights, positions and orders.
    residual : {"ssim", "l2"}, optional
        By default the method's own.
    residual_window_size, residual_window, residual_c1, residual_c2
        Of an SSIM residual; by default the loss's.
    stride, average
        As in `anomaly_map`.
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
    schedule: str = "cpu"
    decay: str = "decoupled"
    n_patches: int = 10_000
    train: str = "split"
    seed: int = 0
    residual: str | None = None
    residual_window_size: int | None = None
    residual_window: str | None = None
    residual_c1: float | None = None
    residual_c2: float | None = None
    stride: int = 30
    average: str = "reconstructions"
    opening: int = 4

    def __post_init__(self):
        if self.latent_dim is None:
            fibres = self.dataset == "nanotwice" or self.dataset.startswith("synthetic/fibres")
            object.__setattr__(self, "latent_dim", 500 if fibres else 100)
        if self.residual is None:
            object.__setattr__(self, "residual", self.method)
        for name in LOSS_FIELDS:
            if getattr(self, f"residual_{name}") is None:
                object.__setattr__(self, f"residual_{name}", getattr(self, name))
        allowed = {
            "method": METHODS,
            "residual": METHODS,
            "schedule": ("cpu", "paper"),
            "decay": ("decoupled", "l2"),
            "train": ("split", "all"),
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise ValueError(
                    f"{name} must be one of {values}; received {getattr(self, name)!r}"
                )
        if self.patches_seen < 1:
            raise ValueError(f"patches_seen must be positive; received {self.patches_seen!r}")

    def _settings(self, names, method):
        used = [name for name in names if method == "ssim" or not name.endswith(LOSS_FIELDS)]
        return {name: getattr(self, name) for name in used}

    @cached_property
    def training_settings(self):
        """What the trajectory depends on, as plain JSON values."""
        from .training import SCHEDULES

        names = [field.name for field in fields(self) if field.name not in SCORING_FIELDS]
        settings = self._settings(names, self.method)
        settings |= asdict(
            replace(SCHEDULES[settings.pop("schedule")], decay=settings.pop("decay"))
        )
        return settings | {
            "data": dataset_fingerprint(self.dataset),
            "numerics": NUMERICS["training"],
        }

    @cached_property
    def scoring_settings(self):
        """What the metrics depend on besides the trajectory, as plain JSON values."""
        return self._settings(SCORING_FIELDS, self.residual) | {"numerics": NUMERICS["scoring"]}

    @cached_property
    def training_key(self):
        """Names the trajectory: equal for experiments that differ in budget or scoring only."""
        return self._name() + _digest(self.training_settings)

    @cached_property
    def evaluation_key(self):
        """Names the metrics."""
        return self._name() + _digest([self.training_settings, self.scoring_settings])

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

    def residual_options(self):
        """Keyword arguments of the residual."""
        if self.residual != "ssim":
            return {}
        return {name: getattr(self, f"residual_{name}") for name in LOSS_FIELDS}


def _digest(settings):
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
