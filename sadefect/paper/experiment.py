"""An experiment is a value: everything that a number in the book depends on.

Two keys name what is stored: the training key names a trajectory that a larger budget continues,
the evaluation key names one way of scoring one point of it. `store` keeps what came out.
"""

from dataclasses import dataclass, fields, replace
from functools import cached_property

from sadefect.datasets import dataset_fingerprint
from sadefect.errors import require_choice
from sadefect.methods import METHODS, SSIM_SETTINGS, Recipe, Scoring, fill_in, settings_digest
from sadefect.provenance import NUMERICS

# Settings that every table of results has a column for.
COLUMNS = ("dataset", "method", "latent_dim", "window_size", "patch_size", "seed", "patches_seen")


# Patches as the same group's next paper drew them; what is printed is the default.
AUGMENTED = {"crops": "fresh", "symmetries": "all"}
# From the paper's patches to these, one thing changed at a time.
AUGMENTATIONS = {
    "a fixed set of crops": {},
    "fresh crops": {"crops": "fresh"},
    "fresh crops in the eight symmetries of the square": AUGMENTED,
}


@dataclass(frozen=True, kw_only=True)
class Experiment(Scoring, Recipe):
    """A recipe and a scoring on a data set: everything that a number in the book depends on.

    Parameters
    ----------
    dataset : str
        A name of `load_dataset`.
    patches_seen : int
        The budget. The paper's is 10,000 patches times 200 epochs, 2,000,000.
    latent_dim : int, optional
        d; by default the paper's, 500 for nanofibres and 100 for everything else.
    train : {"split", "all"}
        Whether the held-out defect-free images are trained on as well.
    decay_from : int
        A number of patches seen from which the learning rate falls to a hundredth, up to the
        budget; 0 for a constant rate, which is the paper's. It branches off the trajectory with a
        constant rate, which must keep its state there: `sadefect.training.trajectory.keeps_state`.
    residual, residual_window_size, residual_window, residual_c1, residual_c2 : optional
        By default the method's own, and those of the loss.
    **settings
        All others of `Recipe` and of `Scoring`.

    Examples
    --------
    >>> short = Experiment(dataset="synthetic/fibres", patches_seen=10_000)
    >>> long = Experiment(dataset="synthetic/fibres", patches_seen=20_000)
    >>> short.training_key == long.training_key, short.evaluation_key == long.evaluation_key
    (True, False)
    """

    dataset: str
    patches_seen: int = 2_000_000
    latent_dim: int | None = None
    train: str = "split"
    decay_from: int = 0
    residual: str | None = None
    residual_window_size: int | None = None
    residual_window: str | None = None

    def __post_init__(self):
        Recipe.__post_init__(self)
        fibres = self.dataset.startswith(("nanotwice", "synthetic/fibres"))
        defaults = {
            "latent_dim": 500 if fibres else 100,
            "residual": METHODS[self.method].residual,
            **{f"residual_{name}": getattr(self, name) for name in SSIM_SETTINGS},
        }
        fill_in(self, **{key: v for key, v in defaults.items() if getattr(self, key) is None})
        Scoring.__post_init__(self)
        if self.residual == "vae":
            require_choice(
                "method", self.method, [m for m, row in METHODS.items() if row.variational]
            )
        require_choice("train", self.train, ("split", "all"))
        if self.patches_seen < 1:
            raise ValueError(f"patches_seen must be positive; received {self.patches_seen!r}")
        if not 0 <= self.decay_from < self.patches_seen:
            raise ValueError(
                f"decay_from must be patches, fewer than patches_seen={self.patches_seen}; "
                f"received {self.decay_from!r}"
            )

    @cached_property
    def training_settings(self):
        """Return what the trajectory depends on, as plain JSON values."""
        settings = self.recipe_settings() | {
            "dataset": self.dataset,
            "train": self.train,
            "data": dataset_fingerprint(self.dataset),
            "numerics": NUMERICS["training"],
        }
        if self.decay_from:
            settings["decay_from"] = self.decay_from
            settings["decay_over"] = self.patches_seen - self.decay_from
        return settings

    @cached_property
    def evaluation_settings(self):
        """Return what the metrics depend on besides the trajectory, as plain JSON values."""
        scored_at = {"patches_seen": self.patches_seen, "numerics": NUMERICS["scoring"]}
        return self.scoring_settings() | scored_at

    @cached_property
    def training_key(self):
        """Names the trajectory: equal for experiments that differ in budget or scoring only."""
        return self._key(self.training_settings)

    @cached_property
    def evaluation_key(self):
        """Names the metrics."""
        return self._key([self.training_settings, self.evaluation_settings])

    def _key(self, settings):
        name = f"{self.dataset.replace('/', '-')}_{self.method}_d{self.latent_dim}"
        return f"{name}_{settings_digest(settings)}"

    @property
    def variant(self):
        """Say what differs from the defaults, besides the columns every table has."""
        plain = Experiment(**{name: getattr(self, name) for name in (*COLUMNS, "schedule")})
        changed = [
            f"{field.name}={getattr(self, field.name)}"
            for field in fields(self)
            if getattr(self, field.name) != getattr(plain, field.name)
        ]
        return ", ".join(changed) or "default"

    def equals(self, other, but):
        """Return whether two experiments differ in the named settings only, or not at all.

        Examples
        --------
        >>> first = Experiment(dataset="nanotwice")
        >>> first.equals(replace(first, seed=3), but=["seed"])
        True
        """
        names = [field.name for field in fields(self) if field.name not in but]
        return all(getattr(self, name) == getattr(other, name) for name in names)

    @property
    def trunk(self):
        """Return the experiment whose trajectory a decay of the rate branches off, if any."""
        if not self.decay_from:
            return None
        return replace(self, decay_from=0, patches_seen=self.decay_from)

    @property
    def branch(self):
        """Return the experiment whose rate decays from here on, for a quarter of the budget."""
        seen = self.patches_seen
        return replace(self, decay_from=seen, patches_seen=seen + seen // 4)
