"""Every layout on a miniature of it; the real data where they are."""

import os
import stat
import warnings
import zipfile

import numpy as np
import pytest
from PIL import Image

from sadefect import DataError, DatasetNotFound, dataset_fingerprint, dataset_names, load_dataset
from sadefect.datasets import fetch as fetching
from sadefect.datasets import mvtec_ad, nanotwice
from sadefect.datasets.base import data_root

RNG = np.random.default_rng(0)


def write(path, shape=(70, 90), mask=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    array = RNG.integers(0, 256, shape, "uint8")
    if mask:
        array = np.zeros(shape, "uint8")
        array[10:20, 10:30] = 255
    Image.fromarray(array).save(path)


@pytest.fixture
def root(tmp_path):
    """All known layouts in miniature."""
    for number in range(5):
        write(tmp_path / f"nanotwice/Normal/N{number}.tif")
    for number in range(3):
        write(tmp_path / f"nanotwice/Anomalous/images/A{number}.tif", (66, 90))
        write(tmp_path / f"nanotwice/Anomalous/gt/A{number}_gt.png", (66, 90), mask=True)
    for texture in ("texture_1", "texture_2"):
        for number in range(20):
            write(tmp_path / texture / f"train/good/{number:03d}.png", (512, 512))
        for number in range(2):
            write(tmp_path / texture / f"test/defective/{number:03d}.png", (512, 512))
            mask = tmp_path / texture / f"ground_truth/defective/{number:03d}.png"
            write(mask, (512, 512), mask=True)
    grid = tmp_path / "mvtec_ad/grid"
    for number in range(11):
        write(grid / f"train/good/{number:03d}.png", (512, 512))
    for kind in ("bent", "glue"):
        write(grid / f"test/{kind}/000.png", (512, 512))
        write(grid / f"ground_truth/{kind}/000_mask.png", (512, 512), mask=True)
    return tmp_path


@pytest.fixture(autouse=True)
def no_data_of_this_machine(request, monkeypatch, tmp_path):
    if "real" not in request.keywords:
        monkeypatch.delenv("SADEFECT_DATA", raising=False)
        monkeypatch.setenv("SADEFECT_CACHE", str(tmp_path / "cache"))


def check(data, train, test, shape):
    assert (len(data.train), len(data.test)) == (train, test)
    for sample in (data.train[0], data.test[0]):
        assert sample.image.dtype == np.float32 and sample.image.min() >= 0
        assert sample.image.max() <= 1
        assert sample.mask.dtype == bool and sample.mask.shape == sample.image.shape
    assert data.test[0].image.shape == shape
    assert data.test[0].mask.any() and not data.train[0].mask.any()
    assert data.train[0].kind == "good" and data.licence and data.source


@pytest.mark.filterwarnings("ignore:the files of")
def test_nanotwice_at_half_its_size(root):
    whole, half = (load_dataset(name, root) for name in ("nanotwice", "nanotwice-half"))
    assert half.fingerprint == f"{whole.fingerprint}-half"
    assert nanotwice.about("nanotwice-half").fingerprint == f"{nanotwice.FINGERPRINT}-half"
    assert dataset_fingerprint("nanotwice-half", root) == half.fingerprint
    for large, small in zip([*whole.train, *whole.test], [*half.train, *half.test], strict=True):
        assert (small.name, small.kind) == (large.name, large.kind)
        blocks = [large.image[y::2, x::2] for y in (0, 1) for x in (0, 1)]
        np.testing.assert_allclose(small.image, np.mean(blocks, axis=0), atol=1e-6)
        parts = [large.mask[y::2, x::2] for y in (0, 1) for x in (0, 1)]
        np.testing.assert_array_equal(small.mask, np.mean(parts, axis=0) >= 0.5)
        assert small.image.dtype == np.float32 and small.mask.dtype == bool


@pytest.mark.filterwarnings("ignore:the files of")
def test_nanotwice(root):
    data = load_dataset("nanotwice", root)
    check(data, 5, 3, (66, 90))
    assert data.train[0].image.shape == (70, 90)
    assert data.test[0].mask.sum() == 200 and data.test[0].name == "A0"
    assert load_dataset("nanotwice", root / "nanotwice").fingerprint == data.fingerprint


@pytest.mark.parametrize("name", ["fabric1", "fabric2"])
def test_fabrics_are_scaled(root, name):
    data = load_dataset(name, root)
    check(data, 20, 2, (256, 256))
    assert data.test[0].mask.sum() == 50  # A quarter of 10x20 pixels.
    assert load_dataset(name, root, size=None).test[0].image.shape == (512, 512)


@pytest.mark.filterwarnings("ignore:the files of")
def test_mvtec_ad(root):
    data = load_dataset("mvtec_ad/grid", root)
    check(data, 11, 2, (256, 256))
    assert [sample.kind for sample in data.test] == ["bent", "glue"]
    write(root / "mvtec_ad/grid/test/good/000.png", (512, 512))
    good = [sample for sample in load_dataset("mvtec_ad/grid", root).test if sample.kind == "good"]
    assert len(good) == 1 and not good[0].mask.any()


def test_your_own_folder(root):
    data = load_dataset("folder", root / "mvtec_ad/grid")
    check(data, 11, 2, (512, 512))
    flat = load_dataset("folder", root / "nanotwice/Normal")
    assert (len(flat.train), len(flat.test)) == (5, 0)
    with pytest.raises(DataError, match="root="):
        load_dataset("folder")


def test_areas_are_averaged(root):
    small, full = (load_dataset("fabric1", root, size=size).train[0].image for size in (256, None))
    expected = full.reshape(256, 2, 256, 2).mean((1, 3))
    np.testing.assert_allclose(small, expected, atol=1e-6)


@pytest.mark.filterwarnings("ignore:the files of")
def test_the_last_tenth_is_held_out(root):
    data = load_dataset("nanotwice", root)
    trained_on, held_out = data.split()
    assert [one.name for one in trained_on] == ["N0", "N1", "N2", "N3"]
    assert [one.name for one in held_out] == ["N4"]
    assert len(data.split("all")[0]) == 5 and data.split("all")[1] == held_out
    assert len(load_dataset("fabric1", root).split()[1]) == 2
    with pytest.raises(ValueError, match="split"):
        data.split("half")


def test_images_are_read_when_asked_for(root):
    data = load_dataset("folder", root / "nanotwice/Normal")
    (root / "nanotwice/Normal/N1.tif").unlink()
    assert data.train[0].image.shape == (70, 90)
    with pytest.raises(DatasetNotFound, match="N1.tif"):
        data.train[1].image  # noqa: B018 - reading is what fails.


def test_fingerprints_follow_the_content(root):
    before = dataset_fingerprint("fabric1", root)
    assert before == dataset_fingerprint("fabric1", root) != dataset_fingerprint("fabric2", root)
    write(root / "texture_1/train/good/000.png", (512, 512))
    assert dataset_fingerprint("fabric1", root) != before
    assert (
        load_dataset("fabric1", root, size=None).fingerprint
        != load_dataset("fabric1", root).fingerprint
    )


def test_known_fingerprints_need_no_files(tmp_path):
    assert dataset_fingerprint("nanotwice", tmp_path) == nanotwice.FINGERPRINT
    grid = mvtec_ad.FINGERPRINTS["mvtec_ad/grid"]
    assert dataset_fingerprint("mvtec_ad/grid", tmp_path) == grid
    with pytest.raises(DatasetNotFound):
        dataset_fingerprint("fabric1", tmp_path)


def test_other_files_than_the_known_ones_are_told(root):
    with pytest.warns(UserWarning, match="stored apart"):
        data = load_dataset("nanotwice", root)
    assert data.fingerprint != nanotwice.FINGERPRINT


def test_where_data_are_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("SADEFECT_CACHE", str(tmp_path / "cache"))
    assert data_root() == tmp_path / "cache" / "data"
    monkeypatch.setenv("SADEFECT_DATA", str(tmp_path / "data"))
    assert data_root() == tmp_path / "data"
    assert data_root(tmp_path) == tmp_path


@pytest.mark.parametrize("name", ["nanotwice", "fabric1", "mvtec_ad/tile"])
def test_a_missing_set_says_what_to_put_where(name, tmp_path):
    with pytest.raises(DatasetNotFound, match="expected .*there is none"):
        load_dataset(name, tmp_path)


@pytest.mark.parametrize("name", ["nanotwce", "mvtec_ad/../grid", "mvtec_ad/", ""])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(ValueError, match="nanotwice"):
        load_dataset(name)


def test_synthetic_names_are_listed():
    assert {"synthetic/fibres", "synthetic/weave", "synthetic/twill"} <= set(dataset_names())


def pack(path, names, top="dfg05er_Data/"):
    with zipfile.ZipFile(path, "w") as archive:
        for name, source in names.items():
            archive.write(source, top + name)


@pytest.mark.filterwarnings("ignore:the files of", "ignore:no checksum")
def test_fetch_unpacks_the_authors_archive(root, tmp_path, monkeypatch):
    base = root / "nanotwice"
    archive = tmp_path / "archive.zip"
    pack(archive, {str(p.relative_to(base)): p for p in base.rglob("*") if p.is_file()})
    monkeypatch.setattr(fetching, "_download", lambda *args: archive)
    folder = fetching.fetch_dataset("nanotwice", tmp_path / "fetched")
    assert len(load_dataset("nanotwice", tmp_path / "fetched").test) == 3
    monkeypatch.setattr(fetching, "_download", lambda *args: pytest.fail("downloaded twice"))
    assert fetching.fetch_dataset("nanotwice", tmp_path / "fetched") == folder


@pytest.mark.parametrize("name", ["../outside.txt", "/outside.txt", "a/../../outside.txt"])
def test_an_archive_cannot_write_elsewhere(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("inside.txt", "")
        archive.writestr(name, "")
    with pytest.raises(DataError, match="do not trust"):
        fetching.unpack(tmp_path / "evil.zip", tmp_path / "new" / "folder")
    assert not list(tmp_path.rglob("outside.txt"))


@pytest.mark.parametrize(
    "kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK]
)
def test_an_archive_holds_plain_files_only(tmp_path, kind):
    """A link out of the folder, and a file through it; devices; pipes."""
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        odd = zipfile.ZipInfo("Normal/odd")
        odd.create_system, odd.external_attr = 3, (kind | 0o777) << 16
        archive.writestr(odd, str(tmp_path))
        archive.writestr("Normal/odd/outside.txt", "")
    with pytest.raises(DataError, match="plain files .*Normal/odd'; do not trust"):
        fetching.unpack(tmp_path / "evil.zip", tmp_path / "new")
    assert not list(tmp_path.rglob("outside.txt")) and not list(tmp_path.rglob("odd"))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("a/b", "a/b"), ("a/b", "a/b/c"), ("a/b/c", "a/b")])
def test_an_archive_holds_each_file_once(tmp_path, names):
    with zipfile.ZipFile(tmp_path / "odd.zip", "w") as archive:
        archive.writestr("other", "")
        for name in names:
            archive.writestr(name, name)
    with pytest.raises(DataError, match="each file once"):
        fetching.unpack(tmp_path / "odd.zip", tmp_path / "new")


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"{number}.txt", bytes(1000))
    monkeypatch.setattr(fetching, "LIMIT", 2999)
    with pytest.raises(DataError, match="at most 2,999 bytes"):
        fetching.unpack(tmp_path / "bomb.zip", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_archive_that_lies_about_a_size_is_refused(tmp_path):
    """Of 1,000,000 bytes it says that there are 1,000."""
    with zipfile.ZipFile(tmp_path / "lie.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", bytes(1_000_000))
        archive.infolist()[0].file_size = 1000
    with pytest.raises(DataError, match="damaged"):
        fetching.unpack(tmp_path / "lie.zip", tmp_path / "new")


@pytest.mark.parametrize("how", ["deflated", "password"])
def test_an_archive_that_cannot_be_read_is_refused(tmp_path, how):
    path = tmp_path / "odd.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", np.random.default_rng(0).bytes(500))
    data = bytearray(path.read_bytes())
    if how == "password":
        for place in (6, data.index(b"PK\1\2") + 8):
            data[place] |= 1
    else:
        data[40:60] = b"\xff" * 20
    path.write_bytes(data)
    with pytest.raises(DataError, match="damaged or has one"):
        fetching.unpack(path, tmp_path / "new")


def test_a_damaged_archive_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "bad.zip").write_bytes(b"PK not really")
    monkeypatch.setattr(fetching, "_download", lambda *args: tmp_path / "bad.zip")
    with pytest.raises(DataError, match="damaged"):
        fetching.fetch_dataset("nanotwice", tmp_path / "root")
    assert not (tmp_path / "root" / "nanotwice").exists()


def test_a_host_that_is_gone_says_what_to_do(tmp_path):
    with pytest.raises(DatasetNotFound, match="unpack it into"):
        fetching.fetch_dataset("nanotwice", tmp_path, url=f"file://{tmp_path}/nothing.zip")


real = pytest.mark.skipif(
    not os.environ.get("SADEFECT_DATA"), reason="the real data are needed: set SADEFECT_DATA"
)


@real
@pytest.mark.real
def test_the_real_data_are_the_known_ones():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            data = load_dataset("nanotwice")
        except DatasetNotFound as error:
            pytest.skip(str(error))
    check(data, 5, 40, (696, 1024))
    assert data.train[0].image.shape == (700, 1024)
    assert all(sample.mask.any() for sample in data.test)
