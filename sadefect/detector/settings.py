"""The settings of a detector: what is given, what is worked out, and what is refused."""

from dataclasses import KW_ONLY, asdict, dataclass, fields

from sadefect.detector.defaults import IMAGE_SCORES, LEAST_TRIAL, PATCHES, TRIAL
from sadefect.errors import require_choice
from sadefect.methods import METHODS, Recipe, Scoring, make_plain
from sadefect.models import PATCH_SIZES
from sadefect.patches import CROPS, STRIDE, SYMMETRIES
from sadefect.segmentation import DIAMETER
from sadefect.structural_similarity import SSIMOptions

AUTO = ("average", "frame", "smoothing", "opening")  # Of a scoring, where it may be chosen.


@dataclass(eq=False)
class Settings:
    """Hold the settings of a `Detector`, which describes them; `ValueError` says what is wrong."""

    method: str = "ssim"
    _: KW_ONLY
    latent_dim: int | str = "auto"
    patch_size: int = 128
    window_size: int = 11
    shrink: int = 1
    stride: int = STRIDE
    average: str = "auto"
    frame: int | str = "auto"
    smoothing: float | str = "auto"
    opening: int | str = "auto"
    margin: int | str = 0
    border: int = 0
    level_border: bool = True
    crops: str = "fresh"
    symmetries: str = "auto"
    colour: str = "auto"
    image_score: str = "auto"
    patches: int = PATCHES
    schedule: str = "cpu"
    seed: int = 0

    def __post_init__(self):
        make_plain(self)  # NumPy's numbers, which JSON does not know.
        least = {"shrink": 1, "stride": 1, "border": 0, "patches": 1, "seed": 0, "window_size": 1}
        may_be_auto = {"latent_dim": 1, "opening": 0, "frame": 0, "margin": 0}
        least |= {name: n for name, n in may_be_auto.items() if getattr(self, name) != "auto"}
        for name, smallest in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
                raise ValueError(
                    f"{name} must be a whole number of at least {smallest}; received {value!r}"
                )
        require_choice("patch_size", self.patch_size, PATCH_SIZES)
        require_choice("average", self.average, ("auto", "reconstructions", "maps"))
        require_choice("level_border", self.level_border, (True, False))
        require_choice("crops", self.crops, CROPS)
        require_choice("symmetries", self.symmetries, ("auto", *SYMMETRIES))
        require_choice("colour", self.colour, ("auto", "luminance", "channels"))
        require_choice("image_score", self.image_score, ("auto", *IMAGE_SCORES))
        require_choice("method", self.method, (*METHODS, "filter_bank"))
        if self.smoothing != "auto" and not isinstance(self.smoothing, int | float):
            raise ValueError(f"smoothing must be pixels or 'auto'; received {self.smoothing!r}")
        if self.margin != "auto" and self.margin >= self.patch_size:
            raise ValueError(f"margin must be less than a patch; received {self.margin!r}")
        if self.stride > self.patch_size:
            raise ValueError(
                f"stride must be at most patch_size={self.patch_size}, or pixels are left out; "
                f"received {self.stride!r}"
            )
        self._scoring()  # Which checks what is not "auto".
        if self._network and "window_size" in METHODS[self.method].settings:
            SSIMOptions(data_range=1.0, **self.recipe.ssim_options)

    @property
    def recipe(self):
        """Return the settings of the training, a `Recipe`."""
        names = {field.name for field in fields(Recipe)}
        settings = {name: value for name, value in self.get_params().items() if name in names}
        if self.latent_dim == "auto":
            del settings["latent_dim"]
        settings["symmetries"] = getattr(self, "symmetries_", self.symmetries)
        if settings["symmetries"] == "auto":
            del settings["symmetries"]
        return Recipe(**settings)

    @property
    def _network(self):
        return self.method in METHODS

    @property
    def _colours(self):
        """List what images are stacked as: both, where it is tried out which is better."""
        tried = self._network and self.patches // TRIAL >= LEAST_TRIAL
        if self.colour == "auto":
            return ["luminance", "channels"] if tried else ["luminance"]
        return [self.colour]

    @property
    def _by_channel(self):
        return getattr(self, "colour_", self.colour) == "channels"

    @property
    def _margin(self):
        margin = self.patch_size // 8 if self.margin == "auto" else self.margin
        return margin if self._network else 0

    @property
    def scoring(self):
        """Return the settings of the maps, a `Scoring`: as given, or as chosen in `fit`."""
        return getattr(self, "scoring_", None) or self._scoring()

    def _scoring(self):
        """Return the settings of the maps before anything is chosen."""
        default = {"opening": DIAMETER if self._network else 0}
        given = {name: getattr(self, name) for name in AUTO}
        return Scoring(
            residual=METHODS[self.method].residual if self._network else "l2",
            residual_window_size=self.window_size,
            stride=self.stride,
            **default | {name: value for name, value in given.items() if value != "auto"},
        )

    def get_params(self, deep=True):
        """Return the settings, as a dict; ``deep`` is there for scikit-learn's ``clone``."""
        return asdict(self)
