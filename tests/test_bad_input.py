"""Images that are not what was expected: a documented conversion, or an error that helps."""

import io
import struct
import tracemalloc
import zlib
from functools import partial

import numpy as np
import pytest
from PIL import Image
from skimage import io as skio

from sadefect import (
    DataError,
    RandomPatches,
    anomaly_map,
    build_autoencoder,
    load_dataset,
    read_image,
    read_mask,
)

SIDE = 100_000
GRAY = np.tile(np.arange(64, dtype="uint8") * 4, (48, 1))


@pytest.fixture(scope="module")
def model():
    return build_autoencoder(32, 4)


def saved(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


CONVERSIONS = {
    "gray.png": (GRAY, GRAY / 255),
    "rgb.png": (np.stack([GRAY] * 3, -1), GRAY / 255),
    "rgba.png": (np.stack([GRAY] * 3 + [GRAY // 2], -1), GRAY / 255),
    "bool.png": (GRAY > 100, (GRAY > 100) * 1.0),
    "sixteen.png": (GRAY.astype("uint16") * 257, GRAY / 255),
}


@pytest.mark.parametrize("name", CONVERSIONS)
def test_documented_conversions(tmp_path, name):
    array, expected = CONVERSIONS[name]
    image = read_image(saved(tmp_path / name, array))
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, expected, atol=1e-6)


def test_red_is_darker_than_green(tmp_path):
    colours = np.zeros((8, 8, 3), "uint8")
    colours[:4, :, 0], colours[4:, :, 1] = 255, 255
    image = read_image(saved(tmp_path / "colour.png", colours))
    assert image[0, 0] == pytest.approx(0.2125) and image[7, 0] == pytest.approx(0.7154)


def test_palettes_float_tiff_and_npy(tmp_path):
    Image.fromarray(GRAY).convert("P").save(tmp_path / "palette.png")
    np.testing.assert_allclose(read_image(tmp_path / "palette.png"), GRAY / 255, atol=1e-6)
    for name in ("float.tif", "float.npy"):
        array = (GRAY / 255).astype("float32")
        (np.save if name.endswith("npy") else skio.imsave)(tmp_path / name, array)
        np.testing.assert_allclose(read_image(tmp_path / name), GRAY / 255, atol=1e-6)


def test_names_with_spaces_and_letters_of_all_kinds(tmp_path):
    folder = tmp_path / "Gewebe à 5 µm"
    folder.mkdir()
    saved(folder / "Bild 1 – größer.png", GRAY)
    saved(folder / "Bild 2.png", GRAY)
    assert load_dataset("folder", folder).train[0].image.shape == GRAY.shape


def no_image(path):
    path.write_text("this is not an image")


def empty(path):
    path.write_bytes(b"")


def truncated(path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), "uint8")
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:600])


def folder(path):
    path.mkdir()


def bomb(path):
    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "png")
    path.write_bytes(buffer.getvalue())


def claims_png(path):
    """A few bytes that say of themselves that they are an image of 100,000 x 100,000 pixels."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


def claims_tiff(path, bits=8):
    tags = {256: SIDE, 257: SIDE, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: SIDE, 279: 100}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    end = struct.pack("<H", len(tags)) + entries + bytes(4)
    path.write_bytes(b"II*\0" + struct.pack("<I", 108) + bytes(100) + end)


def claims_bmp(path):
    header = struct.pack("<IiiHHIIiiII", 40, SIDE, SIDE, 1, 24, 0, 0, 0, 0, 0, 0)
    path.write_bytes(b"BM" + struct.pack("<IHHI", 154, 0, 0, 54) + header + bytes(100))


def claims_npy(path):
    with open(path, "wb") as file:
        shape = {"descr": "|u1", "fortran_order": False, "shape": (SIDE, SIDE)}
        np.lib.format.write_array_header_1_0(file, shape)
        file.write(bytes(100))


def just_over(path):
    """Of the limit that is stated; Pillow's own limits begin at twice as much."""
    Image.new("1", (10_001, 10_000)).save(path)


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("claims.png", claims_png, "at most 100,000,000 pixels"),
        ("claims.tif", claims_tiff, "at most 100,000,000 pixels"),
        ("sixteen.tif", partial(claims_tiff, bits=16), "at most 100,000,000 pixels"),
        ("claims.bmp", claims_bmp, "at most 100,000,000 pixels"),
        ("claims.npy", claims_npy, "damaged"),
        ("over.png", just_over, "at most 100,000,000 pixels; got 10001x10000"),
        ("over.tif", just_over, "at most 100,000,000 pixels; got 10001x10000"),
    ],
)
def test_decompression_bombs_are_refused_before_they_are_unpacked(tmp_path, name, make, message):
    make(tmp_path / name)
    tracemalloc.start()
    try:
        for read in (read_image, read_mask):
            with pytest.raises(DataError, match=message) as raised:
                read(tmp_path / name)
            assert name in str(raised.value)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("text.png", no_image, "damaged or of an unknown kind"),
        ("text.tif", no_image, "damaged or of an unknown kind"),
        ("empty.png", empty, "damaged"),
        ("empty.npy", empty, "damaged"),
        ("cut.png", truncated, "damaged"),
        ("cut.tif", truncated, "damaged"),
        ("folder.png", folder, "expected an image file"),
        ("missing.png", lambda path: None, "expected an image file"),
        ("bomb.png", bomb, "at most|exceeds limit"),
        ("int32.npy", lambda p: np.save(p, GRAY.astype("int32")), "int32"),
        ("nan.npy", lambda p: np.save(p, np.full((40, 40), np.nan)), "NaN"),
        ("wide.npy", lambda p: np.save(p, GRAY.astype("float32")), r"\[0, 1\]"),
        ("cube.npy", lambda p: np.save(p, np.zeros((4, 40, 40, 3), "uint8")), "gray or RGB"),
        ("objects.npy", lambda p: np.save(p, np.array([{}]), allow_pickle=True), "damaged"),
        ("none.npy", lambda p: np.save(p, np.zeros((0, 4), "uint8")), "gray or RGB"),
    ],
)
def test_unusable_files_are_refused(tmp_path, name, make, message):
    make(tmp_path / name)
    with pytest.raises(DataError, match=message) as raised:
        read_image(tmp_path / name)
    assert name in str(raised.value) and "expected" in str(raised.value)


@pytest.mark.parametrize("name", ["pages.tif", "frames.png"])
def test_several_images_in_one_file_are_refused(tmp_path, name):
    pages = [Image.fromarray(GRAY), Image.fromarray(255 - GRAY)]
    pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match="pages or frames"):
        read_image(tmp_path / name)


def laid_out(tmp_path, mask=None):
    for name in ("train/good/a.png", "train/good/b.png", "test/cut/000.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        saved(tmp_path / name, GRAY)
    if mask is not None:
        (tmp_path / "ground_truth/cut").mkdir(parents=True)
        saved(tmp_path / "ground_truth/cut/000_mask.png", mask)
    return tmp_path


def test_an_image_without_a_mask_is_refused(tmp_path):
    with pytest.raises(DataError, match="expected a mask for .*000.png"):
        load_dataset("folder", laid_out(tmp_path))


def test_a_mask_of_another_size_is_refused(tmp_path):
    data = load_dataset("folder", laid_out(tmp_path, np.zeros((40, 64), "uint8")))
    with pytest.raises(DataError, match="mask of 48x64 pixels .*got 40x64"):
        data.test[0].mask  # noqa: B018 - reading is what fails.


@pytest.mark.parametrize("high", [1, 255])
def test_masks_of_zero_and_one_or_255(tmp_path, high):
    mask = (GRAY > 100).astype("uint8") * high
    np.testing.assert_array_equal(read_mask(saved(tmp_path / "mask.png", mask)), GRAY > 100)


def test_missing_and_empty_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match="expected a folder"):
        load_dataset("folder", tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("no images here")
    with pytest.raises(DataError, match="expected images"):
        load_dataset("folder", tmp_path)


def test_a_single_image_cannot_be_split(tmp_path):
    saved(tmp_path / "only.png", GRAY)
    with pytest.raises(ValueError, match="at least 2"):
        load_dataset("folder", tmp_path).split()


def test_images_smaller_than_a_patch(tmp_path, model):
    image = read_image(saved(tmp_path / "small.png", GRAY[:20]))
    for use in (lambda: anomaly_map(model, image), lambda: RandomPatches([image], 32)):
        with pytest.raises(DataError, match="at least 32x32"):
            use()


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg", "bmp", "npy"])
def test_mutated_files_are_read_or_refused(tmp_path, suffix):
    path = tmp_path / f"image.{suffix}"
    if suffix == "npy":
        np.save(path, GRAY)
    else:
        saved(path, GRAY)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        changed = bytearray(whole[: rng.integers(1, len(whole) + 1)])
        for place in rng.integers(len(changed), size=rng.integers(1, 8)):
            changed[place] = rng.integers(256)
        path.write_bytes(changed)
        try:
            image = read_image(path)
        except DataError:
            continue
        assert image.dtype == np.float32 and image.min() >= 0 and image.max() <= 1
