"""Presets: trained detectors in folders of KerasHub's layout, some of which come with the package.

A folder has ``config.json`` and ``model.weights.h5``, the network as Keras reads it without this
package; ``metadata.json``; ``README.md``, its card; and ``assets/detector.sadefect``: settings,
thresholds and yardsticks, in the format of saved detectors. Nothing in it is code. Those that there
are can be listed without a framework, which is imported to read or write one.
"""

import hashlib
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sadefect.errors import StoreError
from sadefect.files import explained, load_json, save_json, store_folder
from sadefect.provenance import versions

PACKAGED = Path(__file__).with_name("preset_files")
SCHEME = "preset:"  # In the shell, in place of a detector's file.
CONFIG, METADATA, WEIGHTS, CARD = "config.json", "metadata.json", "model.weights.h5", "README.md"
ASSET = Path("assets", "detector.sadefect")


class Offer(NamedTuple):
    """Say how a preset is made, by ``sadefect preset make``."""

    title: str
    dataset: str
    settings: dict  # Of a `Detector`.
    licence: str = "mit"  # As model hubs name it.
    terms: str = "MIT"  # In words.
    recorded: bool = False  # Whether its network is one of recorded/, and its images are real.
    whole: bool = False  # Whether it takes images as they are, and scales as `load_dataset` would.


TEXTURE = {"latent_dim": 100, "symmetries": "none", "colour": "luminance"}
RESEARCH = "research and non-commercial use only"
OFFERED = {
    "weave": Offer(
        "Synthetic plain weave", "synthetic/weave",
        TEXTURE | {"patch_size": 64, "patches": 23_000},
    ),
    "twill": Offer("Synthetic twill", "synthetic/twill", TEXTURE | {"patches": 11_000}),
    "nanofibres": Offer(
        "Nanofibres under an electron microscope, NanoTWICE", "nanotwice", {},
        "other", f"none is stated with NanoTWICE; {RESEARCH}", recorded=True,
    ),
    "grid": Offer(
        "Metal grid of MVTec AD", "mvtec_ad/grid", {},
        "cc-by-nc-sa-4.0", f"CC BY-NC-SA 4.0, that of MVTec AD; {RESEARCH}", recorded=True,
        whole=True,
    ),
}  # fmt: skip


def preset_names():
    """List the presets that can be loaded: those of the package, then those made here.

    Examples
    --------
    >>> preset_names()[:2]
    ['twill', 'weave']
    """
    return list(dict.fromkeys(path.parent.name for path in _configs()))


def _configs():
    for home in (PACKAGED, store_folder() / "presets"):
        yield from sorted(home.glob(f"*/{CONFIG}"))


def preset_folder(name):
    """Return the folder of a preset, by its name or its path.

    Raises
    ------
    StoreError
        If there is none; the message lists those that there are, and says how others are made.
    """
    folders = {path.parent.name: path.parent for path in reversed(list(_configs()))}
    if str(name) in folders:
        return folders[str(name)]
    if (Path(name) / CONFIG).is_file():
        return Path(name)
    text = f"expected a preset among {', '.join(preset_names())}, or a preset's folder; got {name}"
    if str(name) in OFFERED:
        text += f"; `sadefect preset make {name}` makes it"
        text += ", in a checkout, with SADEFECT_DATA" if OFFERED[str(name)].recorded else ""
    raise StoreError(text)


def save_to_preset(detector, folder, card=None):
    """Write a detector as a preset; see `Detector.save_to_preset`."""
    import keras

    from sadefect.detector.saving import saved_parts, write_file

    folder = Path(folder)
    header, arrays = saved_parts(detector)
    if not detector._network:
        raise StoreError("expected a network; method filter_bank has none; use save(path)")
    arrays = {name: array for name, array in arrays.items() if not name.startswith("weights.")}
    arrays |= detector.calibration_.thinned().state()
    model, parts = detector.model_, folder / ASSET
    with explained(folder):
        parts.parent.mkdir(parents=True, exist_ok=True)
        save_json(folder / CONFIG, keras.saving.serialize_keras_object(model))
        save_json(folder / METADATA, {
            "keras_version": keras.__version__,
            "sadefect_version": versions()["sadefect"],
            "parameter_count": model.count_params(),
            "date_saved": time.strftime("%Y-%m-%d@%H:%M:%S"),
        })  # fmt: skip
        model.save_weights(folder / WEIGHTS)
        if all(np.array_equal(weights, _half(weights)) for weights in model.get_weights()):
            _store_as_half(folder / WEIGHTS)
        (folder / CARD).write_text(card or _plain_card(folder.name, detector), encoding="utf-8")
    write_file(parts, header, arrays)
    return folder


def detector_of(cls, network, recipe, split, settings):
    """Return a detector with a trained network, whose thresholds are set by images.

    Parameters
    ----------
    network : keras.Model
    recipe : sadefect.methods.Recipe
        That it was trained with; its other settings, such as a budget, are taken if it has them.
    split : (list of Sample, list of Sample)
        The defect-free images that it was trained on, and others that are held out.
    settings : dict
        Of the `Detector`, besides those of the recipe.

    Returns
    -------
    Detector
    """
    names = ("method", "latent_dim", "patch_size", "window_size", "crops", "symmetries", "schedule",
             "seed")  # fmt: skip
    known = {name: getattr(recipe, name) for name in names}
    budget = {"patches": getattr(recipe, "patches_seen", cls.patches), "colour": "luminance"}
    detector = cls(**known | budget | settings)
    detector.model_, detector.history_, detector.ignored_ = network, np.zeros((0, 2)), None
    trained_on, kept = ([[detector._prepared(s)[:, :]] for s in samples] for samples in split)
    data = hashlib.sha256(b"".join(plane.tobytes() for (plane,) in [*trained_on, *kept]))
    about = {"data": data.hexdigest()[:16], "training": None, "seconds": None}
    return detector._finish(trained_on, kept, about)


def _half(weights):
    return weights.astype("float16").astype("float32")


def round_to_half(detector):
    """Round a network's weights to float16; they stay float32 in memory.

    Its thresholds have to be set after this, not before.
    """
    detector.model_.set_weights([_half(weights) for weights in detector.model_.get_weights()])


def _store_as_half(path):
    import h5py

    whole = path.with_name("whole.weights.h5")
    path.rename(whole)
    with h5py.File(whole) as source, h5py.File(path, "w") as target:

        def copied(name, item):
            if isinstance(item, h5py.Dataset):
                target.create_dataset(name, data=item[...].astype("float16"))
            else:
                target.require_group(name).attrs.update(item.attrs)

        source.visititems(copied)
    whole.unlink()


def from_preset(cls, name):
    """Return the detector of a class that a preset holds; see `Detector.from_preset`."""
    import keras

    from sadefect.detector.saving import fitting_together, read_file, restored

    folder = preset_folder(name)
    header, arrays = read_file(folder / ASSET)
    with fitting_together(folder, header):
        try:
            network = keras.saving.deserialize_keras_object(load_json(folder / CONFIG))
            network.load_weights(folder / WEIGHTS)
        except OSError as error:
            raise StoreError(
                f"expected a whole preset in {folder}; its network cannot be read ({error}); copy "
                "or make it again"
            ) from error
        weights = {f"weights.{n:03d}": array for n, array in enumerate(network.get_weights())}
        return restored(cls, header, arrays | weights)


def _plain_card(name, detector):
    offer = Offer(name, "images of its maker", {}, "other", "none stated")
    return card(name, detector, offer)


def card(name, detector, offer, measured=()):
    """Write a preset's card, Markdown: what it is for, what it was made of, what it reached.

    ``measured`` has pairs of words and values.
    """
    known, limit = detector._learnt("provenance_"), detector.image_threshold()
    training = known["training"] or {}
    rows = {
        "data": f"{offer.dataset}, fingerprint {known['data']}",
        "licence of the data, and so of this": offer.terms,
        "trained on": f"{known['images']['trained on']} defect-free images",
        "patches seen": f"{training.get('best', detector.patches):,}",
        "method": f"{detector.method}, d = {detector.recipe.latent_dim}, patches of "
        f"{detector.patch_size} pixels",
        "verdicts": limit.sentence(),
        **dict(measured),
    }
    table = "\n".join(f"| {what} | {value} |" for what, value in rows.items())
    limits = f"**For {RESEARCH}**, as its data are. " if RESEARCH in offer.terms else ""
    return f"""---
library_name: keras
license: {offer.licence}
tags: [anomaly-detection, sadefect]
---

# {offer.title}

{limits}A detector of what does not look like the good images that it was trained on. On another
texture, or at another scale, it judges everything defective: train one of your own for those.

```bash
sadefect segment {SCHEME}{name} images -o found
```

```python
sadefect.Detector.from_preset("{name}").look("image.png")
```

| | |
|---|---|
{table}
"""
