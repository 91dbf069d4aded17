"""What is computed changes only together with its version, or recorded results would lie.

``tests/numerics.json`` holds, for each version, values that the code computed, and a hash of the
sources without comments and docstrings. After a change of the sources that computes the same,
``make numerics`` renews the hashes; it refuses when values changed and the version did not.
"""

import ast
import hashlib
import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import sadefect
from sadefect import (
    L1SSIMLoss,
    MultiScaleSSIMLoss,
    PixelMetrics,
    RandomPatches,
    SSIMLoss,
    anomaly_map,
    build_autoencoder,
    build_extractor,
    build_vae,
    opening,
)
from sadefect.inference.forward import BATCH
from sadefect.losses import FeatureMatchingLoss, GaussianLoss
from sadefect.methods import SCHEDULES, Schedule
from sadefect.patches import SYMMETRIES
from sadefect.provenance import NUMERICS
from sadefect.training.loop import train
from sadefect.training.trajectory import decayed_rate

PACKAGE = Path(sadefect.__file__).parent
STORED = Path(__file__).with_name("numerics.json")
SOURCES = {
    "training": (
        "structural_similarity",
        "losses",
        "features",
        "models",
        "methods",
        "patches",
        "training/trajectory",
        "training/loop",
        "training/resume",
    ),
    "scoring": (
        "structural_similarity",
        "losses",
        "methods",
        "patches",
        "inference/forward",
        "inference/openvino",
        "anomaly_maps",
        "metrics",
        "segmentation",
    ),
}


def source_hash(name):
    """Hash of a module without its comments, docstrings and layout."""
    tree = ast.parse((PACKAGE / f"{name}.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        text = first.value if isinstance(first, ast.Expr) else None
        if isinstance(text, ast.Constant) and isinstance(text.value, str):
            node.body = body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:16]


def image():
    rows, columns = np.mgrid[:90, :110] / 4
    noise = np.random.default_rng(0).normal(0, 0.05, rows.shape)
    return np.clip(0.5 + 0.4 * np.sin(rows) * np.cos(columns) + noise, 0, 1).astype("float32")


def model(build=build_autoencoder, **options):
    """A network whose weights depend on no backend's random numbers."""
    built = build(32, 6, **options)
    rng = np.random.default_rng(1)
    for weight in built.trainable_variables:
        weight.assign(rng.normal(0, 0.08, weight.shape))
    return built


def made_up_extractor():
    """AlexNet's layers with weights that depend on no backend's random numbers."""
    extractor = build_extractor()
    rng = np.random.default_rng(2)
    for weight in extractor.weights:
        spread = 1 / np.sqrt(np.prod(weight.shape[:-1]))
        weight.assign(rng.normal(0, spread, weight.shape))
    return extractor


def training_values(folder):
    patches = RandomPatches([image()], 32, count=64, seed=5)
    values = {
        "patches": float(patches.batch(50, 30).sum()),
        "schedules": [list(SCHEDULES[name]) for name in sorted(SCHEDULES)],
    }
    for symmetries in SYMMETRIES:
        fresh = RandomPatches([image()], 32, seed=5, crops="fresh", symmetries=symmetries)
        ramp = np.arange(32 * 32).reshape(32, 32, 1)
        values[f"fresh patches, {symmetries}"] = float((fresh.batch(1000, 60) * ramp).mean())
    values["decayed rates"] = [decayed_rate(5e-4, seen, (100, 40)) for seen in (90, 110, 140)]
    for name, loss in {
        "ssim": SSIMLoss(data_range=1.0, window_size=7),
        "literal": SSIMLoss(data_range=1.0, window="gaussian", c1=0.01, c2=0.03),
        "l2": keras.losses.MeanSquaredError(),
        "ms_ssim": MultiScaleSSIMLoss(data_range=1.0, window_size=7),
        "l1_ssim": L1SSIMLoss(data_range=1.0, window_size=7),
    }.items():
        budget = Schedule(batch_size=20, learning_rate=1e-3)
        curve = train(
            model(), loss, patches, budget, 1000, folder / name, keep=lambda budget: [budget]
        )
        values[name] = curve["loss"].tolist()
        begun = model()
        begun.compile(keras.optimizers.Adam(1e-3), loss)
        batches = [patches.batch(20 * step, 20) for step in range(3)]
        values[f"{name}, steps"] = [float(begun.train_on_batch(b, b)) for b in batches]
    batch = patches.batch(0, 20)  # The draws of training differ between backends: none here.
    for variance, loss in {
        "fixed": keras.losses.MeanSquaredError(),
        "learned": GaussianLoss(),
    }.items():
        vae = model(build_vae, variance=variance)
        vae.compile(loss=loss)
        values[f"vae, {variance}"] = float(vae.test_on_batch(batch, batch))
    matching = FeatureMatchingLoss(made_up_extractor())
    values["feature matching, made-up weights"] = float(matching(batch, batch[:, ::-1]))
    return values


def scoring_values(_):
    trained = model()
    mask = np.zeros((90, 110), bool)
    mask[20:40, 30:50] = mask[70:75, 80:90] = True
    values = {"batch": BATCH}
    for method in ("ssim", "l2"):
        for average in ("reconstructions", "maps"):
            residual = anomaly_map(trained, image(), method, average=average).residual
            pixels = PixelMetrics()
            pixels.update(mask, opening(residual))
            overlap = pixels.per_region_overlap([0.05, 0.3]).overlaps
            values[f"{method}, {average}"] = [
                float(residual.mean()), pixels.auroc(), pixels.aupro(), float(np.mean(overlap)),
            ]  # fmt: skip
    for variance in ("fixed", "learned"):
        vae = model(build_vae, variance=variance)
        values[f"vae, {variance}"] = float(anomaly_map(vae, image(), "vae").residual.mean())
    return values


VALUES = {"training": training_values, "scoring": scoring_values}


# Fifty steps of training multiply what the last bits of a processor's sums differ by; by how much,
# the number of threads decides too. First steps are compared as closely as all else.
TRAINED = ("ssim", "literal", "l2", "ms_ssim", "l1_ssim")


def different(found, stored, relative=1e-3):
    if isinstance(stored, dict):
        return found.keys() != stored.keys() or any(
            different(found[name], stored[name], 4e-2 if name in TRAINED else relative)
            for name in stored
        )
    if isinstance(stored, list):
        return len(found) != len(stored) or any(
            different(one, other, relative) for one, other in zip(found, stored, strict=True)
        )
    if isinstance(stored, str) or stored is None:
        return found != stored
    return found != pytest.approx(stored, rel=relative, abs=1e-5)


@pytest.mark.parametrize("part", VALUES)
def test_values_change_with_their_version_only(part, tmp_path):
    stored = json.loads(STORED.read_text())[part]
    assert stored["version"] == NUMERICS[part], "run `make numerics` after raising a version"
    found = VALUES[part](tmp_path)
    assert not different(found, stored["values"]), (
        f"the sources compute something else ({found}); if that is meant, raise "
        f"NUMERICS[{part!r}] in sadefect/provenance.py, run `make numerics`, and record again"
    )


@pytest.mark.parametrize("part", SOURCES)
def test_sources_were_looked_at(part):
    stored = json.loads(STORED.read_text())[part]
    changed = [name for name in SOURCES[part] if source_hash(name) != stored["sources"].get(name)]
    assert not changed, (
        f"sadefect/{', '.join(changed)} changed; if recorded results would still come out the "
        f"same, run `make numerics`; if not, raise NUMERICS[{part!r}] first"
    )


def renew(folder):
    """Write the values and hashes of today, unless values changed under the same version."""
    old = json.loads(STORED.read_text()) if STORED.exists() else {}
    new = {}
    for part, compute in VALUES.items():
        values, before = compute(folder), old.get(part)
        if before and before["version"] == NUMERICS[part]:
            # What is new has nothing to differ from.
            if different({name: values.get(name) for name in before["values"]}, before["values"]):
                sys.exit(f"values of {part} changed: raise NUMERICS[{part!r}] first\n{values}")
            values |= before["values"]
        new[part] = {
            "version": NUMERICS[part],
            "values": values,
            "sources": {name: source_hash(name) for name in SOURCES[part]},
        }
    STORED.write_text(json.dumps(new, indent=2) + "\n")


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as temporary:
        renew(Path(temporary))
