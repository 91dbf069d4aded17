"""What earlier versions wrote is read as it was: saved detectors, recorded results and their keys.

``fixtures/detector_format2.*`` was written by commit 671c3fb: a detector, an image of 8 bit, and
what that version said of it. ``detector_format3.*`` is by commit 93f59d4, a filter bank.
"""

from pathlib import Path

import numpy as np
import pytest

from sadefect import Detector
from sadefect.paper.store import recorded_folder, stored_results

FIXTURES = Path(__file__).with_name("fixtures")
RECORDED = stored_results(["recorded"])


def test_a_detector_saved_before_gives_the_same_map(tmp_path):
    detector = Detector.load(FIXTURES / "detector_format2.sadefect")
    with np.load(FIXTURES / "detector_format2.npz") as stored:
        before = dict(stored)
    found = detector.look(before["image"])
    # Networks run by another engine, or on another processor, differ in the last bits.
    np.testing.assert_allclose(found.map, before["map"], atol=2e-4)
    np.testing.assert_allclose(
        detector.reconstruct(before["image"]), before["reconstruction"], atol=2e-4
    )
    assert np.mean(found.mask != before["mask"]) < 1e-3
    assert detector.threshold(0.01).value == pytest.approx(before["threshold"])
    assert detector.image_threshold(0.05).value == before["image_threshold"]
    again = Detector.load(detector.save(tmp_path / "again.sadefect"))
    np.testing.assert_array_equal(again.look(before["image"]).map, found.map)


@pytest.mark.parametrize(
    ("name", "settings"),
    [("format3", ("luminance", "area", False)), ("format4", ("auto", "mass", False))],
)
def test_detectors_of_earlier_formats_give_the_same_verdict(name, settings, tmp_path):
    detector = Detector.load(FIXTURES / f"detector_{name}.sadefect")
    with np.load(FIXTURES / f"detector_{name}.npz") as stored:
        before = dict(stored)
    found = detector.look(before["image"])
    assert (detector.colour, detector.image_score, detector.level_border) == settings
    np.testing.assert_allclose(found.map, before["map"], rtol=1e-4, atol=1e-4)
    assert (found.score, found.threshold) == (before["score"], before["threshold"])
    assert found.defect == before["defect"] and np.mean(found.mask != before["mask"]) < 1e-3
    assert detector.threshold(0.01).value == pytest.approx(before["pixel_threshold"])
    again = Detector.load(detector.save(tmp_path / "again.sadefect"))
    assert again.look(before["image"]).score == found.score
    again.calibrate([before["image"]])
    assert again.look(before["image"]).score > 0 and not again.look(before["image"]).defect


def test_all_recorded_results_are_found():
    folders = {path.parent.name for path in recorded_folder().glob("evaluations/*/result.json")}
    assert folders == {result.key for result in RECORDED}
    assert len(folders) >= 80


@pytest.mark.parametrize("result", RECORDED, ids=lambda result: result.key)
def test_recorded_results_are_stored_under_the_key_of_their_experiment(result):
    assert result.experiment.evaluation_key == result.key
