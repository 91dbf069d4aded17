"""A scoring is chosen by synthetic defects in good images, and a frame is left out of averages."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from sadefect import DataError, OverlapAverage, anomaly_map, build_autoencoder
from sadefect.anomaly_maps import scored_map
from sadefect.datasets import load_dataset
from sadefect.datasets.synthetic.planted import KINDS, RADII, SIDE, plant, planted_samples
from sadefect.methods import Scoring
from sadefect.scoring_choice import choose, choose_scoring, score_maps, scoring_candidates


@pytest.fixture(scope="module")
def texture():
    return load_dataset("synthetic/weave").train[0].image


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("radius", RADII)
def test_a_planted_defect_changes_what_its_mask_says_and_little_else(texture, kind, radius):
    planted = plant(texture, kind, radius, seed=3)
    changed = planted.image != texture
    assert planted.image.dtype == np.float32
    assert planted.image.min() >= 0 and planted.image.max() <= 1
    assert 0 < planted.mask.mean() < 0.2
    assert changed[planted.mask].mean() > 0.9
    assert changed[~ndimage.binary_dilation(planted.mask, iterations=2)].sum() == 0


def test_planting_depends_on_the_seed_alone(texture):
    first, again, other = (plant(texture, "dust", 20, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.image, again.image)
    assert not np.array_equal(first.mask, other.mask)


def test_an_image_too_small_for_a_defect_is_refused_and_left_out_of_a_set():
    small = np.full((64, 90), 0.5, "float32")
    with pytest.raises(ValueError, match="at least 135 pixels"):
        plant(small, "cut", 45)
    assert {sample.radius for sample in planted_samples([small])} == {8, 20}
    with pytest.raises(DataError, match="held-out good images"):
        choose([], [1], None)
    with pytest.raises(DataError, match="at least 24x24"):
        choose([small[:20]], [1], None)


def test_large_images_give_parts(texture):
    large = np.tile(texture, (4, 4))
    assert {sample.image.shape for sample in planted_samples([large])} == {(SIDE, SIDE)}


def test_the_choice_is_the_candidate_that_sees_the_defects(texture):
    def maps(image, widths):
        for width in widths:
            square = ndimage.uniform_filter(image**2, width)
            yield ndimage.uniform_filter(image, width) ** 2 - square

    scores = choose([texture], [1, 15], maps)
    assert [score.candidate for score in scores] == [15, 1]
    assert scores[0].auroc > 0.6 > 0.5 == scores[1].auroc  # A window of one pixel has no variance.
    assert set(scores[0].parts) == {(kind, radius) for kind in KINDS for radius in RADII}


def test_maps_of_many_scorings_are_those_of_each(texture):
    model = build_autoencoder(32, 4)
    plain = Scoring(stride=16)
    scorings = [
        plain,
        replace(plain, average="maps", frame=4, smoothing=3.0, opening=0),
        replace(plain, frame=4, residual_window_size=7),
    ]
    image = texture[:96, :80]
    for scoring, map in zip(scorings, score_maps(model, image, scorings), strict=True):
        assert np.array_equal(map, scored_map(model, image, scoring).residual)


def test_candidates_vary_the_window_where_there_is_one(texture):
    assert len(scoring_candidates(Scoring())) == 144
    assert scoring_candidates(Scoring(smoothing=1.0))[0].smoothing == 1.0
    best = choose_scoring(build_autoencoder(32, 4), [texture[:64, :64]], Scoring(residual="l2"))[0]
    assert best.candidate.residual == "l2" and 0 <= best.auroc <= 1


def test_a_frame_is_left_out_except_at_the_border_of_the_image():
    patches = np.zeros((2, 6, 6))
    patches[:, 0] = patches[:, -1] = patches[:, :, 0] = patches[:, :, -1] = 1
    average = OverlapAverage((6, 10), frame=1)
    average.add([(0, 0), (0, 4)], patches)
    mean = average.mean()
    assert not mean[1:-1, 1:-1].any()
    assert mean[0].all() and mean[:, 0].all() and mean[:, -1].all()


def test_a_frame_that_leaves_gaps_is_refused(texture):
    model = build_autoencoder(32, 4)
    with pytest.raises(ValueError, match="smaller stride or frame"):
        anomaly_map(model, texture[:96, :96], stride=30, frame=8)
    with pytest.raises(ValueError, match="frame must be"):
        Scoring(frame=-1)


def test_keys_of_before_stay():
    assert {"smoothing", "frame"}.isdisjoint(Scoring().scoring_settings())
    assert Scoring(frame=8).scoring_settings()["frame"] == 8
