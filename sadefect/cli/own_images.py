"""The verbs of the shell for your own images; `sadefect.cli.main` lists them."""

import errno
import hashlib
import json
import os
import sys
import tempfile
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from sadefect.cli.printing import show_table
from sadefect.detector.defaults import FPR, IMAGE_FPR, PATCHES
from sadefect.errors import DataError
from sadefect.progress import progress

MaskValues = Annotated[
    str | None,
    typer.Option(help='Values that mean a defect: "1,2", "128-255", "#ff0000", or half.'),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, for scripts.")]
Model = Annotated[
    Path, typer.Argument(help="A detector that `sadefect train` saved, or preset:NAME.")
]
Fpr = Annotated[float, typer.Option(help="Share of good pixels that may be flagged.")]
ImageFpr = Annotated[float, typer.Option(help="Share of good images that may be judged defective.")]
STOPPED = 130  # As shells say it of Ctrl-C.
LEVEL_COLOURS = {"error": "red", "warning": "yellow", "note": "blue"}
BRIGHTEST = 1.2  # Of a heat map, times the largest held-out value.


@contextmanager
def resumable(again=True):
    """Take Ctrl-C for a pause, or for an end where there is nothing to go on from."""
    try:
        yield
    except KeyboardInterrupt:
        then = "the same command goes on from here" if again else "nothing was written"
        print(f"\nsadefect: stopped; {then}", file=sys.stderr)
        raise typer.Exit(STOPPED) from None


def load_framework():
    """Import Keras without the notes that its backend writes before anybody can ask it not to.

    They are not for users of a verb. If the import fails, everything is shown.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as notes:
        stream = os.dup(2)
        os.dup2(notes.fileno(), 2)
        try:
            import keras  # noqa: F401
        except BaseException:
            notes.seek(0)
            os.write(stream, notes.read())
            raise
        finally:
            os.dup2(stream, 2)
            os.close(stream)


@contextmanager
def usage(option):
    """Turn a `ValueError` into one of usage that names an option, exit code 2."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def train(
    folder: Annotated[Path, typer.Argument(help="Good images, or a folder like MVTec AD's.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where to save the detector.")],
    method: Annotated[
        str,
        typer.Option(
            help="ssim, l2, vae, feature_matching, ms_ssim, l1_ssim; filter_bank, in seconds."
        ),
    ] = "ssim",
    patches: Annotated[
        int, typer.Option(help="Patches to see at most; it stops when more makes it worse.")
    ] = PATCHES,
    seed: Annotated[int, typer.Option(help="Of weights and patches.")] = 0,
    latent_dim: Annotated[str, typer.Option(help='d, or "auto" for 100.')] = "auto",
    patch_size: Annotated[int, typer.Option(help="32, 64 or 128 pixels.")] = 128,
    window_size: Annotated[int, typer.Option(help="Of SSIM, in pixels, odd.")] = 11,
    shrink: Annotated[int, typer.Option(help="Average blocks of so many pixels first.")] = 1,
    symmetries: Annotated[
        str, typer.Option(help="Of the texture: auto, none, half_turns, mirrors, turns, all.")
    ] = "auto",
    colour: Annotated[
        str, typer.Option(help="What colour images are judged by: auto, luminance, channels.")
    ] = "auto",
    border: Annotated[int, typer.Option(help="Pixels along the border that are ignored.")] = 0,
    ignore: Annotated[
        Path | None, typer.Option(help="A mask for all images, white where they are ignored.")
    ] = None,
    as_json: Json = False,
):
    """Learn from good images and save a detector; stopped, it goes on the next time.

    On two cores 65 patches a second or so: 1,000 to try it out, 100,000 for half an hour.
    """
    load_framework()
    from sadefect.detector.detector import Detector
    from sadefect.detector.export import thresholds
    from sadefect.files import explained

    with usage("settings"):
        detector = Detector(
            method, latent_dim=int(latent_dim) if latent_dim.isdecimal() else latent_dim,
            patch_size=patch_size, window_size=window_size, shrink=shrink, patches=patches,
            seed=seed, symmetries=symmetries, colour=colour, border=border,
        )  # fmt: skip
    with explained(output):  # Not after hours of training.
        if output.is_dir():
            raise OSError(errno.EISDIR, "is a folder")
        output.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=output.parent).close()
    with resumable():
        try:
            detector.fit(folder, ignore).save(output)
        except DataError as error:
            hint = f"`sadefect check {folder}` tells all at once that is to be mended"
            raise DataError(f"{error}\n{hint}" if folder.is_dir() else str(error)) from error
    limit, images = detector.image_threshold(), detector.provenance_["images"]
    if as_json:
        settings = {"output": str(output), "settings": detector.get_params()}
        print(json.dumps(settings | thresholds(detector) | detector.provenance_))
        return
    record = detector.provenance_["training"]
    seen = f"{record['trained']:,} patches of " if record else ""
    print(f"saved {output}: {seen}{images['trained on']} images")
    if record and patches < PATCHES:
        print(f"That is a short training; with --patches {PATCHES} it goes on from here.")
    for note in detector.notes():
        print(f"{note}.")
    print(
        f"An image will be judged defective from a score of {limit.value} "
        f"{detector.calibration_.unit} on; {limit.sentence()}."
    )


def calibrate(
    model: Model,
    folder: Annotated[Path, typer.Argument(help="Good images, none of them trained on.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Where to save it; in place by default.")
    ] = None,
    image_fpr: ImageFpr = IMAGE_FPR,
    as_json: Json = False,
):
    """Set thresholds anew from good images, such as false alarms, without training.

    The old thresholds stay noted in the file.
    """
    if output is None and str(model).startswith("preset:"):
        raise DataError("expected -o FILE, where to save it; a preset stays as it is")
    detector, _, _ = _load(model, FPR, image_fpr)
    before = detector.image_threshold(image_fpr).value
    detector.calibrate(folder).save(output or model)
    limit = detector.image_threshold(image_fpr)
    if as_json:
        pixels = {"pixels": detector.threshold()._asdict(), "images": limit.as_dict()}
        print(json.dumps({"output": str(output or model)} | pixels))
        return
    print(
        f"saved {output or model}: an image will be judged defective from a score of "
        f"{limit.value} {detector.calibration_.unit} on, {before} before; "
        f"{limit.sentence()}."
    )
    for text in detector.calibration_.crowded:
        print(f"{text}.")


def segment(
    model: Model,
    images: Annotated[list[Path], typer.Argument(help="Images, or folders of them.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")],
    fpr: Fpr = FPR,
    image_fpr: ImageFpr = IMAGE_FPR,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 3 if any image is defective.")
    ] = False,
    as_json: Json = False,
):
    """Heat map, mask and overlay of each image, results.csv and report.html.

    An image is judged defective if it has a region of flagged pixels larger than good images have.
    Its mask has such regions only. In Python, Detector.segment gives all flagged pixels, and with
    confirmed=True this mask.
    """
    from sadefect.detector.inputs import named_images
    from sadefect.detector.outputs import Output
    from sadefect.detector.report import write_report

    _preset(model)
    files, errors = [], {}  # Looked for first: loading a detector takes seconds.
    for given in images:
        try:
            files += [image for _, image in named_images(given, "judge")]
        except DataError as error:
            files.append(given)
            errors[given] = error
    if len(errors) == len(files):  # Nothing can be judged: the first error says it all.
        raise next(iter(errors.values()))
    detector, top, key = _load(model, fpr, image_fpr)
    out = Output(output, key)
    limit = detector.image_threshold(image_fpr, fpr)
    with resumable(), out.open():
        with progress("segmenting", len(files), "images") as report_progress:
            for done, path in enumerate(files, 1):
                stem, identity = out.stem(path.name), _identity(path)
                try:
                    if path in errors:
                        raise errors[path]
                    if not out.recall(stem, identity):
                        finding = detector.look(path, fpr, image_fpr=image_fpr)
                        out.add(stem, identity, finding, top)
                except DataError as error:
                    print(f"sadefect: {error}", file=sys.stderr)
                    out.fail(path, error)
                report_progress(done)
        title = f"{model.name} on {len(files)} image{'s' * (len(files) > 1)}"
        page = write_report(out, detector, fpr, image_fpr, title=title)
    defective = sum(row["verdict"] == "defect" for row in out.rows)
    unread = sum("error" in row for row in out.rows)
    if as_json:
        print(json.dumps(out.rows))
    else:
        print(f"{defective} of {len(files) - unread} images judged defective; see {page}")
        if not limit.enough:
            print(f"The threshold of images is uncertain: {limit.sentence()}.")
    if unread:
        print(f"sadefect: {unread} of {len(files)} images could not be used", file=sys.stderr)
        raise typer.Exit(1)
    raise typer.Exit(3 if exit_code and defective else 0)


def evaluate(
    model: Model,
    folder: Annotated[Path, typer.Argument(help="A folder like MVTec AD's, with masks.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for pictures and a report.")
    ] = None,
    fpr: Fpr = FPR,
    image_fpr: ImageFpr = IMAGE_FPR,
    mask_values: MaskValues = None,
    as_json: Json = False,
):
    """AUROC, AUPRO and verdicts on test images with masks.

    With an output folder, one that was stopped goes on the next time.
    """
    from sadefect.datasets import load_dataset
    from sadefect.datasets.masks import check_mask_values
    from sadefect.detector.evaluation import with_masks
    from sadefect.detector.outputs import Output
    from sadefect.detector.report import write_report

    with usage("--mask-values"):
        check_mask_values(mask_values)
    load = partial(load_dataset, "folder", folder, mask_values=mask_values)
    data, truth = with_masks(load()), {}
    detector, top, key = _load(model, fpr, image_fpr)
    shares = {"fpr": fpr, "image_fpr": image_fpr}
    out = Output(output, key | {"data": data.fingerprint}) if output else None

    def show(finding, sample):
        stem, mask = out.stem(sample.name), sample.mask
        truth[sample.name] = bool(mask.any())
        if not out.recall(stem, sample.name):
            finding = finding or detector.look(sample.image, name=sample.name, **shares)
            out.add(stem, sample.name, finding, top, mask)

    with resumable(again=bool(out)), out.open() if out else nullcontext():
        pictures = {"show": show, "resume": out.counts} if out else {}
        metrics, curves = detector.evaluate(data, **shares, **pictures)
        if load().fingerprint != data.fingerprint:
            raise DataError(
                f"expected the images in {folder} not to change while they are evaluated; some "
                "did, so that the numbers would be of no one set; run again when they are all there"
            )
        if out:
            write_report(
                out, detector, fpr, image_fpr, title=f"{model.name} on {folder.name}",
                truth=truth, metrics=metrics, curves=curves,
            )  # fmt: skip
    if as_json:
        print(json.dumps(metrics))
        return
    image = metrics["image_auroc"]
    measured = {
        "AUROC of pixels": metrics["auroc"],
        "AUPRO up to a false positive rate of 0.3": metrics["aupro"],
        "AUROC of images": "no good test images" if image is None else image,
    }
    for name, values in metrics["yardsticks"].items():
        text = f"AUROC of pixels {values['auroc']:.3f}, AUPRO {values['aupro']:.3f}"
        measured[f"without training: {name.replace('_', ' ')}"] = text
    for kind, counts in metrics["verdicts"].items():
        measured[f"{kind}: judged defective"] = f"{counts['defect']} of {counts['images']}"
    rows = [{"measured": name, "came out": value} for name, value in measured.items()]
    show_table(f"{model.name} on {folder}", ("measured", "came out"), rows)
    if output:
        print(f"see {output / 'report.html'}")


def export(
    model: Model,
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write.")],
    format: Annotated[str, typer.Option(help="onnx or openvino.")] = "onnx",
):
    r"""Write the network for another runtime: patches in, reconstructions out.

    It needs more packages: pip install "sadefect\[export,engine]".
    """
    load_framework()

    with usage("--format or --output"):
        print(_detector(model)[0].export(output, format))


def check(
    folder: Annotated[Path, typer.Argument(help="The folder that you want to train on.")],
    strict: Annotated[bool, typer.Option("--strict", help="Warnings exit with 1 too.")] = False,
    patch_size: Annotated[int, typer.Option(min=1, help="As for train.")] = 128,
    window_size: Annotated[int, typer.Option(min=1, help="As for train.")] = 11,
    shrink: Annotated[int, typer.Option(min=1, help="As for train.")] = 1,
    mask_values: MaskValues = None,
    as_json: Json = False,
):
    """Look over your images before hours are spent on them."""
    from sadefect.datasets.masks import check_mask_values
    from sadefect.detector.folder_check import check_folder

    with usage("--mask-values"):
        check_mask_values(mask_values)
    remarks = check_folder(folder, patch_size, window_size, shrink, mask_values)
    if as_json:
        print(json.dumps([remark._asdict() for remark in remarks]))
    else:
        for level, text, fix in remarks:
            typer.secho(f"{level:>7}", fg=LEVEL_COLOURS[level], bold=True, nl=False)
            print(f"  {text}" + (f"\n         {fix}" if fix else ""))
    levels = {remark.level for remark in remarks}
    raise typer.Exit(1 if "error" in levels or (strict and "warning" in levels) else 0)


def _load(model, fpr, image_fpr):
    """Load a detector; return it, the brightest value of heat maps, and the key of its results."""
    from sadefect.segmentation import check_share

    for option, share in (("--fpr", fpr), ("--image-fpr", image_fpr)):
        with usage(option):
            check_share(share, option)
    load_framework()
    from sadefect.provenance import describe_engine

    detector, digest = _detector(model)
    if detector._network:
        print(f"{describe_engine()} runs the network.", file=sys.stderr)
    key = {"model": digest}
    top = BRIGHTEST * detector.threshold(0).value  # The same for all images.
    return detector, top, key | {"fpr": fpr, "image_fpr": image_fpr}


def _preset(model):
    """Return the folder of a preset that is named so; None for a file."""
    from sadefect.detector.presets import SCHEME, preset_folder

    name = str(model)
    return preset_folder(name.removeprefix(SCHEME)) if name.startswith(SCHEME) else None


def _detector(model):
    """Load a file or a preset; return the detector, and a digest of what it was read from."""
    from sadefect.detector.detector import Detector

    if (folder := _preset(model)) is None:
        return Detector.load(model), hashlib.sha256(model.read_bytes()).hexdigest()
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.read_bytes())
    return Detector.from_preset(folder), digest.hexdigest()


def _identity(path):
    try:
        stat = path.stat()
    except OSError:
        return str(path)
    return f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"
