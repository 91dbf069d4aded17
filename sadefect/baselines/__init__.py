"""The methods without an autoencoder that the paper is compared with, each run here.

Each is a class with ``fit(images)`` and ``anomaly_map(image)``, deterministic by its seed. Only the
idea of some is known here, and they say so: "in the spirit of". Methods on pretrained features need
weights, which nothing downloads but `sadefect weights fetch`.

Examples
--------
>>> import numpy as np
>>> noise = np.random.default_rng(0).random((2, 64, 64)).astype("float32")
>>> build_baseline("level", window=9).fit(noise).anomaly_map(noise[0]).shape
(64, 64)
"""

from dataclasses import fields
from importlib import import_module
from typing import NamedTuple

from sadefect.errors import require_choice

__all__ = ["BASELINES", "FILTERS", "VERSION", "Row", "build_baseline", "candidates"]

VERSION = 1  # Raised when the same settings would give other maps.

NORMALS = "defect-free images"
IMAGENET = "defect-free images and ImageNet"
PUBLISHED, SPIRIT, SIMPLE = "as published", "in the spirit of", "none published"


class Row(NamedTuple):
    """Hold what is known of a baseline.

    ``given`` says what it learned from; ``faithful`` whether it is built "as published", or "in the
    spirit of" a publication of which only the idea is known or parts were exchanged, or stands for
    "none published"; ``choices`` are settings to choose among without masks.
    """

    where: str  # Module and class.
    label: str
    citation: str
    doi: str
    given: str
    faithful: str
    choices: tuple[dict, ...]


def _windows(*sizes, **settings):
    return tuple({"window": size} | settings for size in sizes)


SIDED = tuple(row for side in ("both", "above", "below") for row in _windows(11, 21, 45, side=side))
LATE = ("conv3_3", "conv4_3", "conv5_3")
SMOOTHED = (0.0, 6.0, 12.0)
LAYERED = tuple({"layers": (name,), "smoothing": sigma} for name in LATE for sigma in SMOOTHED)
ENTRIES = 10, 100  # Of a dictionary; the publication tries 500 and 1,000 too.

BASELINES = {
    "level": Row(
        "filters.Level", "mean over a window", "", "", NORMALS, SIMPLE, SIDED,
    ),
    "local_contrast": Row(
        "filters.LocalContrast", "local standard deviation", "", "", NORMALS, SIMPLE, SIDED,
    ),
    "gradient_energy": Row(
        "filters.GradientEnergy", "gradient energy", "", "", NORMALS, SIMPLE, SIDED,
    ),
    "filter_bank": Row(
        "filters.FilterBank", "filter bank, Mahalanobis", "", "", NORMALS, SIMPLE,
        _windows(15, 25, 35, 45),
    ),
    "sparse_coding": Row(
        "sparse.SparseCoding", "sparse codes, density",
        "G. Boracchi, D. Carrera and B. Wohlberg, Novelty Detection in Images by Sparse "
        "Representations, 2014", "10.1109/INTELES.2014.7008985", NORMALS, SPIRIT,
        ({"penalty": 0.05}, {"penalty": 0.18}, {"penalty": 0.4}),
    ),
    "confidence_region": Row(
        "sparse.ConfidenceRegion", "sparse codes, confidence region",
        "D. Carrera, F. Manganini, G. Boracchi and E. Lanzarone, Defect Detection in SEM Images of "
        "Nanofibrous Materials, 2017", "10.1109/TII.2016.2641472", NORMALS, SPIRIT, ({},),
    ),
    "multiscale_sparse": Row(
        "sparse.MultiscaleSparse", "multiscale sparse codes",
        "D. Carrera, G. Boracchi, A. Foi and B. Wohlberg, Scale-invariant Anomaly Detection With "
        "Multiscale Group-sparse Models, 2016", "10.1109/ICIP.2016.7533089", NORMALS, SPIRIT,
        ({"group_penalty": 0.02}, {"group_penalty": 0.1}),
    ),
    "convolutional_sparse": Row(
        "convolutional.ConvolutionalSparse", "convolutional sparse codes",
        "D. Carrera, G. Boracchi, A. Foi and B. Wohlberg, Detecting Anomalous Structures by "
        "Convolutional Sparse Models, 2015", "10.1109/IJCNN.2015.7280790", NORMALS, SPIRIT,
        _windows(15, 25, 45),
    ),
    "feature_dictionary": Row(
        "deep.FeatureDictionary", "CNN feature dictionary",
        "P. Napoletano, F. Piccoli and R. Schettini, Anomaly Detection in Nanofibrous Materials by "
        "CNN-Based Self-Similarity, 2018", "10.3390/s18010209", IMAGENET, SPIRIT,
        tuple({"entries": count} | row for count in ENTRIES for row in LAYERED),
    ),
    "memory_bank": Row(
        "deep.MemoryBank", "memory bank of features",
        "K. Roth et al., Towards Total Recall in Industrial Anomaly Detection, 2022",
        "10.1109/CVPR52688.2022.01392", IMAGENET, SPIRIT, LAYERED,
    ),
    "padim": Row(
        "deep.FeatureGaussians", "a Gaussian at each position",
        "T. Defard, A. Setkov, A. Loesch and R. Audigier, PaDiM, 2021",
        "10.1007/978-3-030-68799-1_35", IMAGENET, SPIRIT, ({"positions": "each"},),
    ),
    "feature_gaussian": Row(
        "deep.FeatureGaussians", "one Gaussian of features", "", "", IMAGENET, SIMPLE,
        LAYERED,
    ),
}  # fmt: skip
DEFAULTS = {"padim": {"positions": "each"}}
# Those that need no network at all, and nothing but a filter or eight.
FILTERS = tuple(name for name, about in BASELINES.items() if about.where.startswith("filters."))


def build_baseline(name, seed=0, **settings):
    """Return a baseline that is not fitted yet.

    Parameters
    ----------
    name : str
        Of `BASELINES`.
    seed : int
    **settings
        Fields of its class.

    Raises
    ------
    ValueError
        If the name, a setting or its value is not known.
    """
    require_choice("name", name, BASELINES)
    module, kind = BASELINES[name].where.split(".")
    kind = getattr(import_module(f"sadefect.baselines.{module}"), kind)
    known = [field.name for field in fields(kind)]
    for setting in settings:
        require_choice(f"settings of {name}", setting, known)
    return kind(seed=seed, **DEFAULTS.get(name, {}) | settings)


def candidates(name):
    """Return the settings to choose among, a list of dicts for `build_baseline`; see `Row`."""
    require_choice("name", name, BASELINES)
    return [dict(choice) for choice in BASELINES[name].choices]
