"""One check behind every door: arrays, files, folders, Pillow's images, tf.data and the shell."""

import csv
import json
import os
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image
from skimage import io as skio
from test_detector import SMALL, broken, texture, write_set

from sadefect import (
    DataError,
    Detector,
    L1SSIMLoss,
    MultiScaleSSIMLoss,
    SSIMLoss,
    anomaly_map,
    build_autoencoder,
    build_extractor,
    build_vae,
    load_dataset,
    read_image,
    read_mask,
    ssim,
    ssim_map,
)
from sadefect.datasets.images import SUFFIXES, as_gray, pillow_pixels
from sadefect.detector.folder_check import check_folder
from sadefect.detector.inputs import Downscaled, named_images
from sadefect.errors import InputWarning
from sadefect.methods import Recipe

LOSSES = [SSIMLoss, MultiScaleSSIMLoss, L1SSIMLoss]
GRAY = np.uint8(np.random.default_rng(0).integers(0, 256, (6, 5)).repeat(8, 0).repeat(8, 1))


def saved(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    (array if isinstance(array, Image.Image) else Image.fromarray(array)).save(path, **options)
    return path


@pytest.fixture(scope="module")
def detector(store):
    return Detector(**SMALL | {"patches": 320}).fit([texture(seed) for seed in range(3)])


@pytest.fixture(scope="module")
def model(detector, tmp_path_factory):
    return detector.save(tmp_path_factory.mktemp("saved") / "one.sadefect")


# The range of gray values


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int64"])
def test_losses_refuse_integers_before_keras_casts_them(kind, dtype):
    images = np.zeros((2, 32, 32, 1), dtype)
    images[0] = 200
    for y_true in (images, ops.convert_to_tensor(images)):
        with pytest.raises(ValueError, match=r"data_range=1; pass data_range=(255|65535)"):
            kind(data_range=1.0)(y_true, ops.cast(images, "float32"))
    assert np.isfinite(float(kind(data_range=65535)(images, images)))


@pytest.mark.parametrize("kind", LOSSES)
def test_losses_refuse_floats_beyond_the_range(kind):
    images = np.random.default_rng(0).random((2, 32, 32, 1), "float32")
    loss = kind(data_range=1.0)
    with pytest.raises(ValueError, match=r"y_true span 2\.9.* more than data_range=1"):
        loss(3 * images, images)
    with pytest.raises(ValueError, match="data_range"):
        loss(ops.convert_to_tensor(3 * images), images)
    with pytest.raises(ValueError, match="span nan"):
        loss(np.full_like(images, np.nan), images)
    assert float(loss(images - 0.5, images)) > 0  # Where zero is does not matter.
    assert np.isfinite(float(loss(images, 3 * images)))  # What networks give may be anything.


def data_of(images, door):
    if door == "arrays":
        return {"x": images, "y": images, "batch_size": 4}
    tf = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("its tensors are of another backend")
    return {"x": tf.data.Dataset.from_tensor_slices((images, images)).batch(4)}


@pytest.mark.parametrize("door", ["arrays", "tf.data"])
@pytest.mark.parametrize("eagerly", [True, False])
@pytest.mark.parametrize("scale", ["uint8", 255.0])
def test_fit_stops_at_its_first_batch(door, eagerly, scale):
    images = np.random.default_rng(0).random((8, 32, 32, 1), "float32")
    wrong = np.uint8(images * 255) if scale == "uint8" else images * scale
    network = keras.Sequential([keras.Input((32, 32, 1)), keras.layers.Conv2D(1, 1)])
    network.compile("sgd", SSIMLoss(data_range=1.0), run_eagerly=eagerly)
    before = network.get_weights()
    with pytest.raises(Exception, match="data_range"):
        network.fit(**data_of(wrong, door), verbose=0)
    np.testing.assert_array_equal(network.get_weights()[0], before[0])
    assert network.fit(**data_of(images, door), verbose=0).history["loss"][0] > 0


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="needs XLA of TensorFlow")
def test_a_step_that_cannot_raise_is_not_a_number():
    images = np.random.default_rng(0).random((2, 32, 32, 1), "float32")
    network = keras.Sequential([keras.Input((32, 32, 1)), keras.layers.Conv2D(1, 1)])
    network.compile("sgd", SSIMLoss(data_range=1.0), jit_compile=True)
    assert np.isnan(network.test_on_batch(255 * images, 255 * images))
    assert network.test_on_batch(images, images) > 0


def test_several_channels_are_the_mean_of_each(monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 2, 64, 48, 3), "float32")
    maps = ops.convert_to_numpy(ssim_map(x, y, data_range=1.0))
    for channel in range(3):
        part = np.s_[..., channel : channel + 1]
        expected = ssim_map(x[part], y[part], data_range=1.0)
        np.testing.assert_allclose(maps[part], ops.convert_to_numpy(expected), atol=1e-6)
    np.testing.assert_allclose(ssim(x, y, data_range=1.0), maps.mean((1, 2, 3)), atol=1e-5)
    for kind in LOSSES:
        loss = kind(data_range=1.0, reduction=None)
        parts = [ops.convert_to_numpy(loss(x[..., c : c + 1], y[..., c : c + 1])) for c in range(3)]
        np.testing.assert_allclose(
            ops.convert_to_numpy(loss(x, y)), np.mean(parts, axis=0), atol=1e-5
        )
    network = keras.Sequential([keras.Input((64, 48, 3)), keras.layers.Conv2D(3, 1)])
    network.compile(keras.optimizers.Adam(0.01), SSIMLoss(data_range=1.0))
    losses = [float(network.train_on_batch(x, x)) for _ in range(20)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("kind", LOSSES)
def test_losses_take_a_dtype(kind):
    loss = kind(data_range=1.0, dtype="float64")
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.dtype == loss.dtype == "float64"
    assert "dtype" not in kind(data_range=1.0).get_config()
    images = np.random.default_rng(0).random((2, 32, 32, 1))
    assert float(loss(images, images)) == pytest.approx(0, abs=1e-6)


def test_rounding_beyond_the_range_is_clipped_and_more_is_printed():
    image = np.full((40, 40), 0.1, "float32")
    image[0, 0] = np.float32(1 + 1e-7)
    image[0, 1] = -1e-7
    assert as_gray(image).max() == 1 and as_gray(image).min() == 0
    network = build_autoencoder(32, 4)
    assert np.isfinite(anomaly_map(network, image).residual).all()
    image[0, 1], image[0, 0] = 0.1, 1 + 1e-5
    for use in (as_gray, lambda image: anomaly_map(network, image)):
        with pytest.raises(DataError, match=r"from 0\.1 to 1\.00001"):
            use(image)


# Images


def palette(array=GRAY):
    """An image of which the numbers of the palette say nothing."""
    image = Image.fromarray(255 - array, "L").convert("P")
    image.putpalette([255 - value for value in range(256) for _ in range(3)])
    return image


@pytest.mark.parametrize(
    "image",
    [palette(), *(Image.fromarray(GRAY).convert(mode) for mode in ("L", "1", "RGB", "LA"))],
    ids=lambda image: image.mode,
)
def test_pillow_images_are_taken_as_their_files_would_be(tmp_path, image):
    image.save(tmp_path / "image.png")
    expected = read_image(tmp_path / "image.png")
    np.testing.assert_array_equal(as_gray(image), expected)
    np.testing.assert_array_equal(Downscaled(image, 1, 8)[:, :], expected)
    with Image.open(tmp_path / "image.png") as opened:
        assert Downscaled(opened, 1, 8).name == str(tmp_path / "image.png")
    assert [name for name, _ in named_images([image, image])] == ["image 0", "image 1"]


def test_a_detector_sees_a_palette_image_as_its_file(detector, tmp_path):
    image = palette(np.uint8(broken(5) * 255))
    image.save(tmp_path / "image.png")
    scored = detector.look(image), detector.look(tmp_path / "image.png")
    np.testing.assert_array_equal(*(finding.map for finding in scored))


@pytest.mark.parametrize("suffix", [".webp", ".jp2", ".bmp"])
def test_what_is_read_alone_is_read_in_a_folder(tmp_path, suffix):
    if suffix not in SUFFIXES:
        pytest.skip("Pillow was built without it")
    options = {"lossless": True} if suffix == ".webp" else {}
    path = saved(tmp_path / f"set/000{suffix}", GRAY, **options)
    np.testing.assert_allclose(read_image(path), GRAY / 255, atol=1e-6)
    assert [image for _, image in named_images(tmp_path / "set")] == [path]
    assert len(load_dataset("folder", tmp_path / "set").train) == 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
def test_orientations_are_applied(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[274] = orientation
    path = saved(tmp_path / f"a.{suffix}", GRAY, exif=exif)
    names = (None, "FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_270",
             "TRANSVERSE", "ROTATE_90")  # fmt: skip
    image, name = Image.fromarray(GRAY), names[orientation - 1]
    expected = image.transpose(Image.Transpose[name]) if name else image
    found = np.round(read_image(path) * 255) - np.array(expected, float)
    assert np.abs(found).max() <= (30 if suffix == "jpg" else 0)


def test_check_says_when_orientations_are_mixed(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    for number in range(3):
        image = np.uint8(texture(number) * 255)
        saved(tmp_path / f"{number}.png", image, **{"exif": exif} if number else {})
    said = [remark.text for remark in check_folder(tmp_path, 32, 7)]
    assert "EXIF orientations: 1 (1), 6 (2)" in said
    saved(tmp_path / "0.png", np.uint8(texture(0) * 255), exif=exif)
    said = [remark.text for remark in check_folder(tmp_path, 32, 7)]
    assert any("all images are turned" in text for text in said)


def test_smaller_copies_in_a_file_are_not_more_images(tmp_path):
    first = Image.fromarray(GRAY)
    small = first.resize((20, 24), Image.Resampling.BOX)
    tiny = first.resize((5, 6), Image.Resampling.BOX)
    for name, pages in {"thumb.tif": [small], "pyramid.tif": [small, tiny]}.items():
        path = saved(tmp_path / name, first, save_all=True, append_images=pages)
        np.testing.assert_array_equal(read_image(path), np.float32(GRAY) / np.float32(255))
    previews = saved(tmp_path / "a.mpo", first, save_all=True, append_images=[small])
    np.testing.assert_allclose(read_image(previews), GRAY / 255, atol=0.1)
    other = Image.fromarray(np.ascontiguousarray(GRAY[::-1, ::-1])).resize((20, 24))
    for name, page in {"other": other, "same": first, "part": first.crop((0, 0, 20, 40))}.items():
        path = tmp_path / f"{name}.tif"
        with pytest.raises(DataError, match="2 pages or frames"):
            read_image(saved(path, first, save_all=True, append_images=[page]))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_tiffs_of_any_floats(tmp_path, dtype):
    array = (GRAY / 255).astype(dtype)
    skio.imsave(tmp_path / "a.tif", array, check_contrast=False)
    np.testing.assert_allclose(read_image(tmp_path / "a.tif"), array, atol=1e-6)
    skio.imsave(tmp_path / "b.tif", array * 3, check_contrast=False)
    with pytest.raises(DataError, match=r"expected floats in \[0, 1\]"):
        read_image(tmp_path / "b.tif")


def test_pillow_pixels_of_a_frame_that_was_chosen(tmp_path):
    pages = [Image.fromarray(GRAY), Image.fromarray(255 - GRAY)]
    path = saved(tmp_path / "a.tif", pages[0], save_all=True, append_images=pages[1:])
    with Image.open(path) as opened:
        opened.seek(1)
        np.testing.assert_array_equal(pillow_pixels(opened), 255 - GRAY)


# Masks


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([0, 3], "0 .*, 3 "),
        ([0, 128, 255], "0 .*, 128 .*, 255 "),
        ([0, 1, 2], "0 .*, 1 .*, 2 "),
        ([[0, 0, 0], [255, 0, 0], [0, 255, 0]], "#000000 .*, #00ff00 .*, #ff0000 "),
    ],
)
def test_masks_of_more_than_one_defect_value_are_refused(tmp_path, values, found):
    array = np.zeros((20, 20, *np.shape(values[0])), "uint8")
    for number, value in enumerate(values):
        array[number] = value
    path = saved(tmp_path / "mask.png", array)
    with pytest.raises(DataError, match=f"got the values {found}.*--mask-values"):
        read_mask(path)
    chosen = "#ff0000" if array.ndim == 3 else str(values[1])
    expected = np.zeros((20, 20), bool)
    expected[1] = True
    np.testing.assert_array_equal(read_mask(path, mask_values=chosen), expected)


@pytest.mark.parametrize("value", [1, 255, 200, (255, 0, 0), True])
def test_masks_of_one_defect_value(tmp_path, value):
    array = np.zeros((20, 20, *np.shape(value)), bool if value is True else "uint8")
    array[3:5] = value
    assert read_mask(saved(tmp_path / "mask.png", array)).sum() == 40
    image = Image.fromarray(array).convert("P")
    assert read_mask(saved(tmp_path / "palette.png", image)).sum() == 40


def test_ranges_and_halves_of_masks(tmp_path):
    path = saved(tmp_path / "mask.png", np.uint8([[0, 100, 130, 255]]))
    for values, expected in {"half": 2, "100-130": 2, "100,255": 2, 255: 1, "0": 1}.items():
        assert read_mask(path, mask_values=values).sum() == expected
    for values in ("many", "", "3-", "#12"):
        with pytest.raises(ValueError, match="mask_values must be"):
            load_dataset("folder", tmp_path, mask_values=values)


def test_a_mask_that_marks_most_is_told_at_every_door(tmp_path, shell, model):
    write_set(tmp_path)
    path = tmp_path / "ground_truth/cut/0_mask.png"
    saved(path, 255 - np.array(Image.open(path)))
    data = load_dataset("folder", tmp_path)
    with pytest.warns(InputWarning, match="marks 95% of its image as defect"):
        assert data.test[0].mask.mean() > 0.9
    assert any("marks 95%" in remark.text for remark in check_folder(tmp_path, 32, 7))
    code, _, error = shell("evaluate", model, tmp_path, "--json")
    assert code == 0 and "sadefect: " in error and "marks 95%" in error
    code, _, error = shell("evaluate", model, tmp_path, "--json", "--mask-values", "0")
    assert code == 0 and "marks" not in error
    assert load_dataset("folder", tmp_path, mask_values=0).fingerprint != data.fingerprint
    code, _, error = shell("check", tmp_path, "--mask-values", "none")
    assert code == 2 and "mask_values" in error


@pytest.mark.parametrize("name", ["0_mask.bmp", "0.tif", "0_mask.PNG", "0_mask.npy"])
def test_masks_may_have_any_suffix(tmp_path, name):
    write_set(tmp_path)
    path = tmp_path / "ground_truth/cut/0_mask.png"
    mask = np.array(Image.open(path))
    path.unlink()
    path = path.with_name(name)
    np.save(path, mask) if name.endswith("npy") else saved(path, mask)
    test = load_dataset("folder", tmp_path).test
    assert [sample.mask.sum() for sample in test if sample.kind == "cut"] == [320]


@pytest.mark.parametrize("name", ["0_gt.png", "0_label.png", "0-mask.png", "mask_0.png"])
def test_near_misses_of_masks_are_named(tmp_path, name):
    write_set(tmp_path)
    path = tmp_path / "ground_truth/cut/0_mask.png"
    path.rename(path.with_name(name))
    saved(path.with_name("0_1_mask.png"), GRAY)
    with pytest.raises(DataError, match=f"there is none; rename {name}, add it"):
        load_dataset("folder", tmp_path)
    assert any(f"rename {name}" in remark.text for remark in check_folder(tmp_path, 32, 7))


# Folders


def test_ignored_files_are_counted_and_named(tmp_path, shell, model):
    for number in range(3):
        saved(tmp_path / f"set/{number}.png", np.uint8(texture(number) * 255))
        (tmp_path / f"set/{number}.heic").write_bytes(b"")
    saved(tmp_path / "set/deep/er/9.png", GRAY)
    said = "3 .heic, 1 deeper in deep/"
    with pytest.warns(InputWarning, match=said):
        load_dataset("folder", tmp_path / "set")
    with pytest.warns(InputWarning, match=said):
        list(named_images(tmp_path / "set"))
    assert any(said in remark.text for remark in check_folder(tmp_path / "set", 32, 7))
    code, _, error = shell("segment", model, tmp_path / "set", "-o", tmp_path / "set/out")
    assert code == 0 and error.count(said) == 1
    code, _, error = shell("segment", model, tmp_path / "set", "-o", tmp_path / "set/out")
    assert code == 0 and "out/" not in error  # Its own pictures are not meant.


def test_depths_of_a_set_that_is_laid_out(tmp_path):
    write_set(tmp_path)
    (tmp_path / "readme.txt").write_text("")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_dataset("folder", tmp_path)
    saved(tmp_path / "test/7.png", GRAY)
    saved(tmp_path / "train/bad/8.png", GRAY)
    with pytest.warns(InputWarning) as warned:
        load_dataset("folder", tmp_path)
    assert [str(warning.message).split(": ")[1] for warning in warned] == [
        "1 deeper in bad/ (bad/)", "1 .png (7.png)",
    ]  # fmt: skip


def test_what_to_judge_has_to_be_named(tmp_path, shell, model, detector):
    write_set(tmp_path / "set")
    for folder in (tmp_path / "set", tmp_path / "set/test"):
        with pytest.raises(DataError, match=r"expected images to judge .*set/test/cut"):
            list(detector.predict(folder))
    with pytest.raises(DataError, match=r"pass its \.test"):
        list(detector.predict(load_dataset("folder", tmp_path / "set")))
    code, _, error = shell("segment", model, tmp_path / "set", "-o", tmp_path / "x")
    assert code == 1 and "test/cut" in error and not (tmp_path / "x").exists()
    assert len(list(detector.predict(tmp_path / "set/test/cut"))) == 1
    assert len(list(detector.predict(load_dataset("folder", tmp_path / "set").test))) == 2


# Names and batches


@pytest.mark.parametrize("name", [b"caf\xe9.png", "größe 1.png".encode(), b"a[b]c.png"])
def test_whatever_its_name_an_image_gets_a_row(tmp_path, model, name):
    """In a process of its own, whose terminal has ASCII only."""
    for number in range(2):
        saved(tmp_path / f"set/{number}.png", np.uint8(texture(number) * 255))
    try:
        os.rename(tmp_path / "set/1.png", os.fsencode(tmp_path / "set") + b"/" + name)
    except OSError:
        pytest.skip("the file system has no such names")
    (tmp_path / "set/2.png").write_bytes(b"no image")
    arguments = ("segment", model, tmp_path / "set", tmp_path / "gone", "-o", tmp_path / "out")
    ended = subprocess.run(
        [sys.executable, "-m", "sadefect", *map(str, arguments)],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii:strict"},
    )
    assert ended.returncode == 1 and b"2 of 4 images could not be used" in ended.stderr
    assert b"Traceback" not in ended.stderr
    with open(tmp_path / "out/results.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(row["verdict"] == "unreadable" for row in rows) == 2 and len(rows) == 4
    exact = {row["image"] for row in json.loads((tmp_path / "out/results.json").read_text())}
    assert os.fsdecode(os.fsencode(tmp_path / "set") + b"/" + name) in exact
    assert (tmp_path / "out/report.html").read_text(encoding="utf-8")


def test_a_name_that_is_no_text_can_be_checked_and_trained_on(tmp_path, shell, store):
    for number in range(3):
        saved(tmp_path / f"set/{number}.png", np.uint8(texture(number) * 255))
    try:
        os.rename(tmp_path / "set/2.png", os.fsencode(tmp_path / "set") + b"/caf\xe9.png")
    except OSError:
        pytest.skip("the file system has no such names")
    assert load_dataset("folder", tmp_path / "set").fingerprint
    assert shell("check", tmp_path / "set", "--patch-size", "32")[0] == 0


def test_images_of_one_name_are_all_judged(tmp_path, shell, model):
    for suffix in ("png", "bmp"):
        saved(tmp_path / f"set/a.{suffix}", np.uint8(texture(1) * 255))
    code, said, _ = shell("segment", model, tmp_path / "set", "-o", tmp_path / "out", "--json")
    assert code == 0 and len({row["stem"] for row in json.loads(said)}) == 2


# Settings, and what machines have configured


def test_help_and_tables_say_what_is_in_brackets(shell, capsys):
    from sadefect.cli.printing import show_table
    from sadefect.progress import progress

    assert "sadefect[export,engine]" in shell("export", "--help")[1]
    show_table("[b]set", ("image",), [{"image": "a[b]c in a folder"}])
    said = capsys.readouterr().out
    assert "[b]set" in said and "a[b]c" in said
    with progress("reading [b]", 1) as report:
        report(1)


def test_settings_of_numpy_and_clones():
    from sklearn.base import clone

    given = {"patches": 1000, "patch_size": 32, "seed": 3, "latent_dim": 8, "stride": 16}
    plain = Detector(**given)
    numpys = Detector(**{name: np.int64(value) for name, value in given.items()})
    assert numpys.get_params() == plain.get_params() == clone(numpys).get_params()
    json.dumps(numpys.get_params())
    assert clone(Detector()).get_params() == Detector().get_params()
    with pytest.raises(ValueError, match="patches must be a whole number"):
        Detector(patches=np.float64(10.5))
    recipe = Recipe(latent_dim=np.int64(4), seed=np.int64(1), averaging=np.float32(0.5))
    assert json.dumps(recipe.recipe_settings())
    assert load_dataset("synthetic/weave-tiny").train


@pytest.fixture
def channels_first():
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format("channels_last")


def test_keras_json_does_not_matter(detector, model, channels_first):
    image = texture(4)
    again = Detector.load(model)
    np.testing.assert_allclose(again.anomaly_map(image), detector.anomaly_map(image), atol=1e-5)
    assert build_extractor().compute_output_shape((1, 64, 64, 1)) == (1, 3, 3, 384)
    assert build_vae(32, 4).output_shape == (None, 32, 32, 1)
    images = np.random.default_rng(0).random((2, 64, 64, 1), "float32")
    assert float(MultiScaleSSIMLoss(data_range=1.0)(images, images)) < 1e-6


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16"])
@pytest.mark.parametrize("build", [build_autoencoder, build_vae])
def test_the_output_keeps_its_digits(policy, build):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        network = build(32, 4)
    finally:
        keras.config.set_dtype_policy(before)
    batch = np.random.default_rng(0).random((1, 32, 32, 1), "float32")
    assert network.get_layer("encoder").get_layer("conv1").compute_dtype in policy
    assert keras.backend.standardize_dtype(network(batch).dtype) == "float32"
    values = ops.convert_to_numpy(network(batch))
    assert (values != ops.convert_to_numpy(ops.cast(ops.cast(values, "bfloat16"), "float32"))).any()
