"""The verbs for one's own images, from a folder to a report, and what may go wrong on the way."""

import csv
import errno
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from test_detector import broken, texture, write_set

from sadefect import Detector, files
from sadefect.cli.main import main
from sadefect.detector import detector as detector_module
from sadefect.detector import inputs as given
from sadefect.detector import mapping, outputs
from sadefect.detector.conformal import ImageThreshold
from sadefect.detector.folder_check import check_folder
from sadefect.provenance import describe_engine

QUICK = ("--patch-size", "32", "--latent-dim", "8", "--window-size", "7", "--patches", "640")

pytestmark = pytest.mark.usefixtures("small_networks")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A saved detector and a folder with the images that it was trained on."""
    folder = tmp_path_factory.mktemp("own")
    write_set(folder / "set")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SADEFECT_CACHE", str(folder / "store"))
        patch.setattr(sys, "argv", ["sadefect", "train", str(folder / "set"), "-o",
                                    str(folder / "one.sadefect"), *QUICK])  # fmt: skip
        with pytest.raises(SystemExit) as end:
            main()
    assert not end.value.code
    return folder / "one.sadefect"


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "new images"
    folder.mkdir()
    for name, image in {"a": texture(70), "b": broken(71), "<b onload=x>": texture(72)}.items():
        Image.fromarray(np.uint8(image * 255)).save(folder / f"{name}.png")
    return folder


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_segment_writes_pictures_a_table_and_a_report(shell, model, images, tmp_path):
    out = tmp_path / "out"
    code, said, _ = shell("segment", model, images, "-o", out)
    assert code == 0 and "of 3 images judged defective" in said
    with open(out / "results.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = Detector.load(model)
    for row, path in zip(rows, sorted(images.iterdir()), strict=True):
        assert row["image"] == str(path)
        assert float(row["score"]) == pytest.approx(found.score(path))
        assert row["verdict"] == ("defect" if found.look(path).defect else "good")
    for kind in ("map", "mask", "overlay"):
        with Image.open(out / "pictures" / f"b_{kind}.png") as picture:
            assert picture.size == (90, 70)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "&lt;b onload" in page and "<b onload" not in page
    assert not re.search(r"https?:|<script|<link|url\(", page) and page.count("data:image") == 6
    assert {path.name for path in out.iterdir()} == {
        "pictures", "results.csv", "results.json", "report.html",
    }  # fmt: skip


def test_a_stopped_segment_goes_on_and_gives_the_same(shell, model, images, tmp_path, monkeypatch):
    shell("segment", model, images, "-o", tmp_path / "straight")
    looked, look = [], Detector.look

    def stops(self, image, *rest, **shares):
        looked.append(image.name)
        if len(looked) == 2:
            raise KeyboardInterrupt
        return look(self, image, *rest, **shares)

    monkeypatch.setattr(Detector, "look", stops)
    code, _, error = shell("segment", model, images, "-o", tmp_path / "parts")
    assert code == 130 and "goes on" in error and not (tmp_path / "parts/results.csv").exists()
    assert shell("segment", model, images, "-o", tmp_path / "parts")[0] == 0
    assert len(looked) == 4 and len(set(looked)) == 3
    assert contents(tmp_path / "parts") == contents(tmp_path / "straight")


class ResourceExhaustedError(Exception):
    """As TensorFlow raises it."""

    __module__ = "tensorflow.python.framework.errors_impl"


@pytest.mark.parametrize(
    "error", [MemoryError(), ResourceExhaustedError("OOM when allocating tensor\nwith shape")]
)
def test_out_of_memory_names_the_image_and_loses_nothing(
    shell, model, images, tmp_path, monkeypatch, error
):
    shell("segment", model, images, "-o", tmp_path / "straight")
    of_tiles, calls = mapping.map_in_tiles, []

    def fails(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise error
        return of_tiles(*arguments)

    monkeypatch.setattr(mapping, "map_in_tiles", fails)
    code, said, text = shell("segment", model, images, "-o", tmp_path / "parts")
    second = sorted(images.iterdir())[1]
    assert code == 1 and f"out of memory (while looking at {second}, 70x90 pixels)" in text
    assert "--shrink" in text and "run again" in text and "Traceback" not in text and not said
    assert not (tmp_path / "parts/results.csv").exists()
    assert shell("segment", model, images, "-o", tmp_path / "parts")[0] == 0
    assert len(calls) == 4  # The first image is not looked at again.
    assert contents(tmp_path / "parts") == contents(tmp_path / "straight")


def test_out_of_memory_in_training_is_one_message(shell, images, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise ResourceExhaustedError("OOM when allocating tensor\nwith shape")

    monkeypatch.setattr("sadefect.training.resume.train", fails)
    code, _, text = shell("train", images, "-o", tmp_path / "x", *QUICK)
    assert code == 1 and "out of memory (OOM when allocating tensor);" in text
    assert not (tmp_path / "x").exists()
    monkeypatch.setattr("sadefect.training.resume.train", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # What is none of it is not taken for it.
        shell("train", images, "-o", tmp_path / "x", *QUICK)


# Images that change while they are looked at


def test_segment_says_one_thing_of_an_image_that_changes(shell, model, images, tmp_path):
    """Each image is read once: verdict, map and overlay are of the same picture; harmless."""
    read = given.read_pixels

    def changes(path):
        pixels = read(path)
        if path.name == "a.png":  # Right after it was read; and another one before it is.
            Image.fromarray(np.uint8(broken(99) * 255)).save(path)
            (images / "b.png").unlink()
        return pixels

    shell("segment", model, images, "-o", tmp_path / "straight")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(given, "read_pixels", changes)
        code, _, error = shell("segment", model, images, "-o", tmp_path / "out")
    assert code == 1 and "b.png; there is nothing" in error and "Traceback" not in error
    before, after = (contents(tmp_path / name) for name in ("straight", "out"))
    assert {name for name in after if after[name] != before[name]} == {
        "results.csv", "results.json", "report.html",  # For b.png, which is gone.
    }  # fmt: skip
    assert not [name for name in after if "b_" in name and "onload" not in name]


def test_what_is_done_stays_done_however_often_a_run_is_stopped(
    shell, model, images, tmp_path, monkeypatch
):
    """Even before it came as far as the run before it; of a file cut short the image is redone."""
    look, add, looked = Detector.look, outputs.Output.add, []

    def noted():
        return {path: path.read_text() for path in tmp_path.glob("parts/.partial/*/*.json")}

    def looks(self, image, *rest, **shares):
        if len(looked) == 2:
            raise KeyboardInterrupt
        looked.append(image.name)
        return look(self, image, *rest, **shares)

    def stops(self, *_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Detector, "look", looks)
    assert shell("segment", model, images, "-o", tmp_path / "parts")[0] == 130
    before = noted()
    assert len(before) == 2
    monkeypatch.setattr(outputs.Output, "add", stops)
    assert shell("segment", model, images, "-o", tmp_path / "parts")[0] == 130
    assert noted() == before
    last = max(before, key=lambda path: path.stat().st_mtime_ns)
    last.write_text(before[last][:-10])
    assert shell("segment", model, images, "-o", tmp_path / "parts")[0] == 130
    monkeypatch.setattr(outputs.Output, "add", add)
    second = looked.pop()
    looked.clear()
    assert shell("segment", model, images, "-o", tmp_path / "parts")[0] == 0
    assert looked[0] == second and len(looked) == 2
    monkeypatch.undo()
    shell("segment", model, images, "-o", tmp_path / "straight")
    assert contents(tmp_path / "parts") == contents(tmp_path / "straight")


def test_segment_looks_again_at_an_image_that_changed_since_it_was_stopped(
    shell, model, images, tmp_path, monkeypatch
):
    look = Detector.look

    def stops(self, image, *rest, **shares):
        if image.name == "b.png":
            raise KeyboardInterrupt
        return look(self, image, *rest, **shares)

    monkeypatch.setattr(Detector, "look", stops)
    assert shell("segment", model, images, "-o", tmp_path / "parts")[0] == 130
    monkeypatch.undo()
    Image.fromarray(np.uint8(broken(99) * 255)).save(images / "a.png")
    shell("segment", model, images, "-o", tmp_path / "parts")
    shell("segment", model, images, "-o", tmp_path / "straight")
    assert contents(tmp_path / "parts") == contents(tmp_path / "straight")


@pytest.mark.parametrize(
    "place", ["test/cut/0.png", "ground_truth/cut/0_mask.png", "test/good/7.png"]
)
@pytest.mark.parametrize("pictures", [False, True])
def test_evaluate_refuses_images_that_change(shell, model, tmp_path, monkeypatch, place, pictures):
    """A test image, a mask, or one that comes: numbers would be of no one set."""
    data, look, out = write_set(tmp_path / "set"), Detector.look, tmp_path / "out"

    def changes(self, *arguments, **shares):
        found = look(self, *arguments, **shares)
        Image.fromarray(np.uint8(np.eye(70, 90) * 255)).save(data / place)
        return found

    monkeypatch.setattr(Detector, "look", changes)
    code, said, error = shell("evaluate", model, data, *(("-o", out) if pictures else ()))
    assert code == 1 and "not to change" in error and "run again" in error and not said
    assert not (out / "results.csv").exists()


def test_training_is_of_the_images_as_they_were_read(shell, model, tmp_path, monkeypatch):
    """Harmless: all are read before the training begins, and not again."""
    found, data, write = [], write_set(tmp_path / "set"), detector_module.stacked

    def changes(*arguments):
        images = write(*arguments)
        for path in (data / "train/good").iterdir():
            path.write_bytes(b"gone")
        return images

    for number in range(2):
        monkeypatch.setenv("SADEFECT_CACHE", str(tmp_path / f"store{number}"))
        code, _, error = shell("train", data, "-o", tmp_path / f"{number}.sadefect", *QUICK)
        assert code == 0, error
        found.append(Detector.load(tmp_path / f"{number}.sadefect"))
        monkeypatch.setattr(detector_module, "stacked", changes)
    for one, other in zip(*(each.model_.get_weights() for each in found), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(*(each.calibration_.areas for each in found))


def test_one_bad_image_does_not_stop_the_others(shell, model, images, tmp_path):
    (images / "c.png").write_bytes(b"no image")
    code, _, error = shell("segment", model, images, "-o", tmp_path / "out")
    assert code == 1 and "1 of 4 images could not be used" in error and "Traceback" not in error
    rows = json.loads((tmp_path / "out/results.json").read_text())
    assert [row["verdict"] == "unreadable" for row in rows] == [False, False, False, True]


def test_exit_codes(shell, model, images, tmp_path, monkeypatch):
    out = ("-o", tmp_path / "out")
    assert shell("segment", model, images, *out, "--fpr", "2")[0] == 2
    code, _, error = shell("segment", model, images, *out, "--image-fpr", "-1")
    assert code == 2 and "--image-fpr" in error
    assert shell("segment", tmp_path / "none.sadefect", images, *out)[0] == 1
    assert shell("segment", images / "a.png", images, *out)[0] == 1
    assert shell("train", images, "-o", tmp_path / "x", "--window-size", "4")[0] == 2
    assert shell("train", tmp_path / "nowhere", "-o", tmp_path / "x")[0] == 1
    always = ImageThreshold(0, 1.0, 1, 1)
    monkeypatch.setattr(Detector, "image_threshold", lambda *_: always)
    assert shell("segment", model, images, *out, "--exit-code")[0] == 3


def test_two_runs_do_not_write_to_one_folder(shell, model, images, tmp_path):
    with outputs.Output(tmp_path / "out", {}).open():
        code, _, error = shell("segment", model, images, "-o", tmp_path / "out")
    assert code == 1 and "another one does" in error


def test_names_that_meet_or_lead_out(tmp_path):
    out = outputs.Output(tmp_path, {})
    given = ["a.png", "a.tif", "A.png", "../../b.png", "/etc/passwd", "..", "bent/000", "x" * 300]
    stems = [out.stem(name) for name in given]
    assert len({stem.lower() for stem in stems}) == len(given)
    for stem in stems:
        path = out.picture(stem, "map")
        assert path.parent == tmp_path / "pictures" and path.resolve().parent == path.parent


def test_a_link_in_the_output_is_replaced_and_not_followed(shell, model, images, tmp_path):
    victim = tmp_path / "victim.txt"
    victim.write_text("mine")
    (tmp_path / "out/pictures").mkdir(parents=True)
    for name in ("results.csv", "report.html", "pictures/a_map.png"):
        (tmp_path / "out" / name).symlink_to(victim)
    assert shell("segment", model, images, "-o", tmp_path / "out")[0] == 0
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EFBIG, errno.EACCES])
def test_what_cannot_be_written_is_one_message(shell, model, images, tmp_path, monkeypatch, number):
    def fails(*_, **__):
        raise OSError(number, "no")

    monkeypatch.setattr(files.tempfile, "mkdtemp", fails)
    code, _, error = shell("segment", model, images, "-o", tmp_path / "out")
    assert code == 1 and "could not write" in error and files.REASONS[number] in error
    monkeypatch.undo()


def test_evaluate(shell, model, tmp_path):
    data = model.parent / "set"
    code, said, _ = shell("evaluate", model, data, "-o", tmp_path / "out", "--json")
    metrics = json.loads(said)
    assert code == 0 and metrics["regions"] == 1 and set(metrics["verdicts"]) == {"good", "cut"}
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "AUROC of pixels" in page and "<polyline" in page
    code, said, _ = shell("evaluate", model, data)
    assert code == 0 and f"{metrics['auroc']:.3f}" in said
    assert shell("evaluate", model, data / "train/good")[0] == 1


def test_a_stopped_evaluate_goes_on_and_gives_the_same(shell, model, tmp_path, monkeypatch):
    data = model.parent / "set"
    shell("evaluate", model, data, "-o", tmp_path / "straight")
    looked, look = [], Detector.look

    def stops(self, image, fpr, name, **shares):
        looked.append(name)
        if len(looked) == 2:
            raise KeyboardInterrupt
        return look(self, image, fpr, name, **shares)

    monkeypatch.setattr(Detector, "look", stops)
    code, _, error = shell("evaluate", model, data, "-o", tmp_path / "parts")
    assert code == 130 and "goes on" in error and not (tmp_path / "parts/results.csv").exists()
    assert shell("evaluate", model, data, "-o", tmp_path / "parts")[0] == 0
    assert looked == ["cut/0", "good/0", "good/0"]
    assert contents(tmp_path / "parts") == contents(tmp_path / "straight")
    looked.clear()
    shell("evaluate", model, data, "-o", tmp_path / "parts")
    code, _, error = shell("evaluate", model, data, "-o", tmp_path / "parts", "--fpr", "0.1")
    assert looked == ["cut/0", "good/0", "cut/0", "good/0"]  # Other shares: all again.


def test_train_goes_on_with_a_larger_number(shell, model, tmp_path, monkeypatch):
    monkeypatch.setenv("SADEFECT_CACHE", str(model.parent / "store"))
    data = model.parent / "set"
    options = (*QUICK[:-1], "960", "--json")
    code, said, _ = shell("train", data, "-o", tmp_path / "more.sadefect", *options)
    assert code == 0 and json.loads(said)["settings"]["patches"] == 960
    assert len(list((model.parent / "store/detectors").glob("*/checkpoints"))) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("train {images} -o {images} --patches 16", 1, "a folder stands where a file should be"),
        ("train {images}/nothing.png -o x", 1, "an image, or a folder of images, at"),
        ("train {images} -o x --latent-dim many", 2, "latent_dim must be"),
        ("train {images} -o x --patch-size 128", 1, "tells all at once"),
        ("segment {images} {model} -o x", 1, "it is a folder; name the detector's file first"),
        ("segment {model} {images}/nothing.png -o x", 1, "an image, or a folder of images, at"),
        ("evaluate {model} {images} -o x", 1, "test images with masks"),
        ("check {images} --shrink 0", 2, "--shrink"),
        ("data check nonsense", 1, "sadefect data list"),
        ("data fetch nonsense", 1, "sadefect data list"),
        ("data check {images}", 1, "for your own"),
    ],
)
def test_what_a_new_user_may_do_wrong(
    shell, model, images, tmp_path, monkeypatch, arguments, code, message
):
    monkeypatch.chdir(tmp_path)
    (images.parent / "few").symlink_to(images)  # Without a space.
    given = arguments.format(images=images.parent / "few", model=model).split()
    found, said, error = shell(*given)
    text = re.sub(r"[\s│]+", " ", error)  # Boxes of a fixed width.
    assert (found, message in text, said) == (code, True, ""), error
    assert "Traceback" not in error and not (tmp_path / "x").exists()


def test_versions(shell):
    code, said, _ = shell("--version")
    assert code == 0 and said.startswith("sadefect ")


@pytest.mark.slow
def test_the_shell_says_nothing_that_is_not_for_its_user(model, images, tmp_path):
    """Of a process of its own, whose framework has notes to write."""
    arguments = ("segment", model, images / "a.png", "-o", tmp_path / "out", "--json")
    ended = subprocess.run(
        [sys.executable, "-m", "sadefect", *map(str, arguments)], capture_output=True, text=True
    )
    assert ended.returncode == 0 and len(json.loads(ended.stdout)) == 1
    assert ended.stderr == f"{describe_engine()} runs the network.\n"


# check


def levels(folder, **options):
    return {one.text: one.level for one in check_folder(folder, 32, 7, **options)}


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.uint8(np.asarray(image) * 255)).save(path)


def no_mask(folder):
    (folder / "ground_truth/cut/0_mask.png").unlink()


def other_size(folder):
    write(folder / "ground_truth/cut/0_mask.png", np.ones((20, 20)))


def empty_mask(folder):
    write(folder / "ground_truth/cut/0_mask.png", np.zeros((70, 90)))


def lonely(folder):
    write(folder / "ground_truth/cut/7_mask.png", np.ones((70, 90)))


def leak(folder):
    write(folder / "test/good/9.png", texture(0))


def twice(folder):
    write(folder / "train/good/9.png", texture(0))


def damaged(folder):
    (folder / "train/good/9.png").write_bytes(b"no image")


def small(folder):
    write(folder / "train/good/9.png", texture(9, (20, 90)))


def same_name(folder):
    write(folder / "train/good/0.bmp", texture(9))


def odd(folder):
    for number in range(10, 22):
        dark = texture(number) * (0.5 if number == 21 else 1)
        write(folder / f"train/good/{number}.png", dark)


def drift(folder):
    for number in range(10, 30):
        write(folder / f"train/good/{number}.png", texture(number) * (1 - 0.02 * (number - 9)))


def flat(folder):
    write(folder / "train/good/9.png", np.full((70, 90), 0.5))


@pytest.mark.parametrize(
    ("change", "level", "text"),
    [
        (no_mask, "error", "expected a mask for .*cut/0.png at .*there is none; add it"),
        (other_size, "error", "a mask of 70x90 pixels .*got 20x20: .*draw it on the image itself"),
        (empty_mask, "warning", "marks no pixel"),
        (lonely, "warning", "7_mask.png"),
        (leak, "error", "that are trained on: 9.png"),
        (twice, "warning", "more than once"),
        (damaged, "error", "damaged"),
        (small, "error", "smaller than one patch of 32x32 pixels: 9.png"),
        (small, "warning", r"sizes: 70x90 \(5\), 20x90"),
        (same_name, "error", "0.png and 0.bmp|0.bmp and 0.png"),
        (odd, "warning", "than the rest: 21.png"),
        (drift, "warning", "brightness drifts"),
        (flat, "warning", "hardly any texture .*9.png"),
    ],
)
def test_check_finds(tmp_path, change, level, text):
    write_set(tmp_path)
    before = levels(tmp_path)
    assert not any(re.search(text, said) for said in before)
    assert set(before.values()) == {"warning", "note"}  # Only few images.
    change(tmp_path)
    found = [level for said, level in levels(tmp_path).items() if re.search(text, said)]
    assert found == [level]


def test_check_says_what_suits_the_texture(tmp_path):
    waves = np.sin(np.mgrid[:200, :200][0] * 2 * np.pi / 100) / 2 + 0.5
    for number in range(3):
        write(tmp_path / f"{number}.png", np.roll(waves, number, 1))
    assert any("less than two in a patch" in text for text in levels(tmp_path))
    assert not any("less than two in a patch" in text for text in levels(tmp_path, shrink=8))


def test_exit_codes_of_check(shell, tmp_path):
    write_set(tmp_path)
    assert shell("check", tmp_path, "--patch-size", "32")[0] == 0
    assert shell("check", tmp_path, "--patch-size", "32", "--strict")[0] == 1
    code, said, _ = shell("check", tmp_path, "--json")
    assert code == 1 and {one["level"] for one in json.loads(said)} == {"error", "warning", "note"}
    assert shell("check", tmp_path / "nowhere")[0] == 1


def test_check_of_a_data_set(shell):
    code, said, _ = shell("data", "check", "synthetic/weave-tiny")
    assert code == 0 and "all can be read" in said


def test_reproduce_names_the_pages(shell):
    code, _, error = shell("reproduce", "--only", "fig99")
    assert code == 1 and "fig07_region_overlap" in error
