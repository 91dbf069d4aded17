"""The verbs of trained detectors that are at hand: list, try, make."""

from pathlib import Path
from typing import Annotated

import typer

from sadefect.cli.own_images import Json, load_framework
from sadefect.cli.printing import show_table

app = typer.Typer(help="Detectors that are trained already: list, images, make.",
                  no_args_is_help=True)  # fmt: skip
TRAINED_ON, THRESHOLDS = (1, 2), (3,)  # Seeds of the painted images; tests have seed 0.
PAINTED = 4  # Good images, and twice as many with defects.


@app.command("list")
def list_presets(as_json: Json = False):
    """The presets that `preset:NAME` takes in place of a model, and those that can be made."""
    from sadefect.detector.presets import OFFERED, preset_names

    here = preset_names()
    rows = []
    for name in dict.fromkeys([*OFFERED, *here]):
        offer = OFFERED.get(name)
        made = f"sadefect preset make {name}"
        made += ", with SADEFECT_DATA" if offer and offer.recorded else ""
        rows.append({
            "name": name,
            "texture": offer.title if offer else "made here",
            "use": offer.terms if offer else "",
            "state": "here" if name in here else made,
        })  # fmt: skip
    show_table("Presets", ("name", "texture", "use", "state"), rows, as_json)


@app.command("images")
def paint_images(name: str, folder: Path):
    """Paint a few images for a preset of a synthetic texture, good ones and defects with masks."""
    from sadefect.datasets import load_dataset
    from sadefect.datasets.folder import write_test_images
    from sadefect.detector.presets import OFFERED
    from sadefect.errors import DataError

    painted = [known for known, offer in OFFERED.items() if not offer.recorded]
    if name not in painted:
        raise DataError(f"expected a preset of a synthetic texture, {' or '.join(painted)}; got "
                        f"{name}: real images are not included")  # fmt: skip
    data = load_dataset(OFFERED[name].dataset)
    samples = [*data.train[:PAINTED], *data.test[: 2 * PAINTED]]
    write_test_images(folder, samples)
    kinds = sorted({sample.kind for sample in samples})
    print(f"{len(samples)} images in {folder / 'test'}: {', '.join(kinds)}")


@app.command("make")
def make_presets(
    names: Annotated[list[str], typer.Argument(help="weave, twill, nanofibres or grid.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder to put them in; the cache's.")
    ] = None,
):
    """Train or collect presets: nanofibres and grid are made of recorded/, with SADEFECT_DATA."""
    from sadefect.detector.presets import OFFERED
    from sadefect.errors import DataError
    from sadefect.files import store_folder

    if unknown := [name for name in names if name not in OFFERED]:
        raise DataError(f"expected presets among {', '.join(OFFERED)}; got {', '.join(unknown)}")
    load_framework()
    for name in names:
        print(_make(name, OFFERED[name], (output or store_folder() / "presets") / name))


def _make(name, offer, folder):
    from sadefect.detector.presets import card, save_to_preset

    detector, data = (_recorded if offer.recorded else _trained)(offer)
    metrics, _ = detector.evaluate(data)
    measured = {f"AUROC of pixels, {len(data.test)} test images": f"{metrics['auroc']:.3f}"}
    for yardstick, values in metrics["yardsticks"].items():
        text = f"the same without training, {yardstick.replace('_', ' ')}"
        measured[text] = f"{values['auroc']:.3f}"
    for kind, counts in metrics["verdicts"].items():
        measured[f"{kind}: judged defective"] = f"{counts['defect']} of {counts['images']}"
    if not offer.recorded:
        good = [detector.look(sample.image).defect for sample in data.train]
        measured["other good images: judged defective"] = f"{sum(good)} of {len(good)}"
    return save_to_preset(detector, folder, card(name, detector, offer, measured.items()))


def _trained(offer):
    """Train a detector on painted images; return it and the data set to test it on."""
    from sadefect.datasets import load_dataset
    from sadefect.detector.detector import Detector
    from sadefect.detector.presets import round_to_half

    def good(seeds):
        sets = (load_dataset(offer.dataset, seed=seed) for seed in seeds)
        return [sample for data in sets for sample in data.train]

    detector = Detector(**offer.settings).fit(good(TRAINED_ON))
    round_to_half(detector)
    return detector.calibrate(good(THRESHOLDS)), load_dataset(offer.dataset)


def _recorded(offer):
    """Make a detector of a network in recorded/; return it and the data set to test it on."""
    from sadefect.datasets import load_dataset
    from sadefect.datasets.folder import TEXTURE_SIZE
    from sadefect.detector.detector import Detector
    from sadefect.detector.presets import detector_of
    from sadefect.errors import StoreError
    from sadefect.paper.headline import headline_experiment
    from sadefect.paper.run import trained_model
    from sadefect.paper.store import stored_results, weights

    data = load_dataset(offer.dataset, **({"size": None} if offer.whole else {}))
    runs = [run.experiment for run in stored_results(["recorded"])]
    runs = [run for run in runs if (run.dataset, run.method) == (offer.dataset, "ssim")]
    runs = [run for run in runs if weights(run)]
    settled = headline_experiment(offer.dataset, "ssim")
    if not settled and not runs:
        raise StoreError(
            f"expected weights of {offer.dataset} in recorded/, which is in a checkout; got none; "
            "run this in one, or train a detector on your images"
        )
    experiment = settled or max(runs, key=lambda run: run.patches_seen)
    network, _ = trained_model(experiment)
    settings = dict(offer.settings)
    if offer.whole:  # Networks of textures saw images at `TEXTURE_SIZE`, whatever their own.
        settings["shrink"] = max(1, round(min(data.train[0].image.shape) / TEXTURE_SIZE))
    return detector_of(Detector, network, experiment, data.split(), settings), data
