"""sadefect: SSIM autoencoders for unsupervised defect segmentation, reproduced.

A companion to Bergmann et al., "Improving Unsupervised Defect Segmentation by Applying Structural
Similarity to Autoencoders", VISAPP 2019, doi:10.5220/0007364503720380.

Public names are imported when they are first used, so that ``import sadefect`` loads no framework.
"""

import os
from importlib import import_module

# TensorFlow reads this when it is first imported. oneDNN is on by default for newer Intel only; on
# an AMD EPYC (AVX2) a training step takes 0.58 of its time with it.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# JAX too: float32 on a card is not to be TF32, whose 10 bits of fraction SSIM's variances lose.
os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "float32")

_HOMES = {
    "structural_similarity": ("ssim", "ssim_components", "ssim_map"),
    "features": ("build_extractor", "load_extractor"),
    "losses": ("FeatureMatchingLoss", "L1SSIMLoss", "MultiScaleSSIMLoss", "SSIMLoss"),
    "models": ("build_autoencoder", "build_decoder", "build_encoder", "build_vae"),
    "patches": ("OverlapAverage", "RandomPatches", "window_starts", "windows"),
    "anomaly_maps": ("AnomalyMap", "anomaly_map"),
    "segmentation": ("disc", "opening", "regions", "segment", "threshold_for_fpr"),
    "metrics": ("PixelMetrics", "aupro", "auroc", "per_region_overlap", "roc_curve"),
    "datasets": ("dataset_fingerprint", "dataset_names", "load_dataset", "read_image", "read_mask"),
    "detector.detector": ("Detector",),
    "methods": ("load_model",),
    "paper.experiment": ("Experiment",),
    "paper.store": ("Result",),
    "paper.run": ("run",),
    "paper.comparisons": ("learning_curve",),
    "errors": ("DataError", "DatasetNotFound", "StoreError", "TrainingDiverged"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'sadefect' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
