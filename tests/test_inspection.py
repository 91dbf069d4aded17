"""Looking at one image: computed where everything is here, else from what was recorded."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sadefect import Experiment, StoreError, load_dataset, run
from sadefect.metrics import FPRS
from sadefect.paper import inspection
from sadefect.paper.comparisons import headline
from sadefect.paper.headline import pictured
from sadefect.paper.store import Result
from sadefect.provenance import NUMERICS

TINY = Experiment(
    dataset="synthetic/fibres-tiny", latent_dim=4, patch_size=32, window_size=7, patches_seen=64
)

pytestmark = pytest.mark.usefixtures("small_networks")


@pytest.fixture
def result(tmp_path, monkeypatch):
    monkeypatch.setenv("SADEFECT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SADEFECT_RECORDED", str(tmp_path / "recorded"))
    inspection._model.cache_clear()
    return run(TINY)


def test_what_is_shown_is_what_is_scored(result):
    seen = inspection.inspect(result, 1, fpr=0.05)
    sample = load_dataset(TINY.dataset).test[1]
    assert np.array_equal(seen.image, sample.image) and np.array_equal(seen.mask, sample.mask)
    assert np.array_equal(seen.found, seen.residual >= result.metrics["thresholds"]["0.05"])
    assert 0 < seen.found.mean() < 0.5 and seen.kind == "film"


def test_a_pixel_at_the_threshold_is_found(result):
    value = float(inspection.inspect(result, 1).residual[20, 20])
    thresholds = dict.fromkeys(result.metrics["thresholds"], value)
    at = replace(result, metrics=result.metrics | {"thresholds": thresholds})
    seen = inspection.inspect(at, 1)
    assert seen.found[20, 20] and np.array_equal(seen.found, seen.residual >= value)
    with np.load(inspection.record_map(at, 1), allow_pickle=False) as stored:
        assert np.array_equal(stored["passed"], len(thresholds) * seen.found)


def test_a_recorded_map_stands_in(result, tmp_path, monkeypatch):
    before = {fpr: inspection.inspect(result, 0, fpr) for fpr in FPRS}
    inspection.record_map(result, 0)
    monkeypatch.setenv("SADEFECT_CACHE", str(tmp_path / "another"))
    inspection._model.cache_clear()
    for fpr, computed in before.items():
        assert np.array_equal(inspection.inspect(result, 0, fpr).found, computed.found), fpr
    after, before = inspection.inspect(result, 0), before[0.01]
    assert np.array_equal(after.mask, before.mask)
    np.testing.assert_allclose(after.residual, before.residual, atol=before.residual.max() / 500)
    np.testing.assert_allclose(after.reconstruction, before.reconstruction.clip(0, 1), atol=1 / 500)


def test_images_that_may_not_be_published_are_not_recorded(result, monkeypatch):
    data = load_dataset(TINY.dataset)
    private = SimpleNamespace(test=data.test, publishable=False)
    monkeypatch.setattr(inspection, "load_dataset", lambda *_: private)
    path = inspection.record_map(result, 0)
    with np.load(path, allow_pickle=False) as stored:
        assert set(stored) == {"residual", "top", "mask", "passed", "name", "kind"}


def test_neither_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("SADEFECT_CACHE", str(tmp_path))
    inspection._model.cache_clear()
    made = {"numerics": NUMERICS, "data": "none"}
    nothing = Result(TINY, {"thresholds": {}}, {}, made, "recorded", "none")
    with pytest.raises(StoreError, match="got neither"):
        inspection.inspect(nothing, 0)


def test_data_that_is_not_here_is_shown_as_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("SADEFECT_DATA", str(tmp_path))
    compared = headline(["mvtec_ad/grid"], ["l2", "ssim"])
    shown = pictured(["mvtec_ad/grid"], ["l2", "ssim"])["mvtec_ad/grid"]
    assert len(compared["mvtec_ad/grid"]) == len(shown) == 2, "its numbers are recorded"
    assert inspection.inspect_each(shown, 0, 0.05) == []


def test_the_window_holds_the_largest_defect():
    mask = np.zeros((100, 80), bool)
    mask[2:6, 2:6] = mask[70:98, 60:79] = True
    seen = inspection.Inspection(None, "", "", None, None, mask * 1.0, mask, mask)
    rows, columns = seen.window(40)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (40, 40)
    assert mask[rows, columns].sum() == mask[70:98, 60:79].sum()
    assert seen.window(0) == (slice(0, 100), slice(0, 80))
    assert seen.window(500)[1] == slice(0, 80)
