"""Files that anybody may have changed: read, or refused with a message; no crash, no code run."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sadefect import DataError, Detector, StoreError, read_image, read_mask
from sadefect.detector import saving as detector_files

MAGIC = {
    "png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "tif": b"II*\x00\x08\x00\x00\x00",
    "jpg": b"\xff\xd8\xff\xe0",
    "bmp": b"BM",
    "npy": b"\x93NUMPY\x01\x00",
}
FEW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
CHANGES = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=12)


def changed(data, changes, end):
    mutated = bytearray(data)
    for place, value in changes:
        mutated[place % len(mutated)] = value
    return bytes(mutated[: end % len(mutated) + 1])


@FEW
@given(suffix=st.sampled_from(sorted(MAGIC)), data=st.binary(max_size=400), magic=st.booleans())
def test_any_bytes_are_read_or_refused(tmp_path, suffix, data, magic):
    path = tmp_path / f"any.{suffix}"
    path.write_bytes(MAGIC[suffix] * magic + data)
    for read in (read_image, read_mask):
        try:
            found = read(path)
        except DataError as error:
            assert "expected" in str(error)
        else:
            assert found.ndim == 2 and found.size


@FEW
@given(suffix=st.sampled_from(sorted(MAGIC)), changes=CHANGES, end=st.integers(0, 10**6))
def test_changed_images_are_read_or_refused(tmp_path, suffix, changes, end):
    path, image = tmp_path / f"image.{suffix}", np.arange(40 * 30, dtype="uint16").reshape(40, 30)
    if suffix == "npy":
        np.save(path, image)
    else:
        Image.fromarray(image if suffix == "tif" else np.uint8(image)).save(path)
    path.write_bytes(changed(path.read_bytes(), changes, end))
    try:
        assert np.isfinite(read_image(path)).all()
    except DataError as error:
        assert "expected" in str(error)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SADEFECT_CACHE", str(folder))
        rng = np.random.default_rng(0)
        images = [rng.random((40, 40), dtype="float32") for _ in range(2)]
        detector = Detector(patch_size=32, latent_dim=2, window_size=7, patches=16).fit(images)
        return detector.save(folder / "one.sadefect")


@FEW
@given(changes=CHANGES, end=st.integers(0, 10**6), header=st.booleans())
def test_changed_detectors_are_read_or_refused(saved, tmp_path, changes, end, header):
    data, path = saved.read_bytes(), tmp_path / "changed.sadefect"
    if header:  # Where a change is not just another weight.
        length = 8 + int.from_bytes(data[:8], "little")
        path.write_bytes(changed(data[:length], changes, length - 1) + data[length:])
    else:
        path.write_bytes(changed(data, changes, end))
    try:
        detector_files.read_file(path)
    except StoreError as error:
        assert "expected" in str(error)


@FEW
@given(name=st.sampled_from(["settings", "provenance", "version", "format"]), value=VALUES)
def test_headers_that_say_anything(saved, tmp_path, name, value):
    header, arrays = detector_files.read_file(saved)
    path = tmp_path / "said.sadefect"
    detector_files.write_file(path, header | {name: value}, arrays)
    try:
        found = Detector.load(path)
    except StoreError as error:
        assert "expected" in str(error)
    else:
        repr(found), json.dumps(found.get_params())


@FEW
@given(name=st.sampled_from(sorted(Detector().get_params())), value=VALUES)
def test_settings_that_are_anything(saved, tmp_path, name, value):
    header, arrays = detector_files.read_file(saved)
    path = tmp_path / "set.sadefect"
    detector_files.write_file(
        path, header | {"settings": header["settings"] | {name: value}}, arrays
    )
    try:
        found = Detector.load(path)
    except StoreError as error:
        assert "expected" in str(error)
    else:
        assert found.get_params()[name] == value


def test_no_code_runs_on_load(tmp_path):
    """A pickle under a detector's name is not opened."""
    import pickle

    class Bad:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    path = tmp_path / "bad.sadefect"
    path.write_bytes(pickle.dumps(Bad()))
    with pytest.raises(StoreError, match="damaged or something else"):
        Detector.load(path)
    np.save(tmp_path / "bad.npy", np.array([Bad()], object), allow_pickle=True)
    with pytest.raises(DataError):
        read_image(tmp_path / "bad.npy")
    assert not (tmp_path / "ran").exists()
