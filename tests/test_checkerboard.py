"""The toy of figure 3: the same each time, in range, with exact masks."""

import numpy as np
import pytest

from sadefect.datasets.synthetic import checkerboard
from sadefect.datasets.synthetic.checkerboard import BLACK, DOT, GRAY, SIZE, SQUARES, STROKE, WHITE
from sadefect.paper.experiment import Experiment


def test_squares_alternate():
    board = checkerboard.checkerboard(32, square=8)
    expected = np.where(np.indices((4, 4)).sum(0) % 2, BLACK, WHITE)
    assert np.allclose(board[4::8, 4::8], expected)


def test_shift_moves_the_squares():
    still, moved = (checkerboard.checkerboard(64, square=10, shift=(shift, 0)) for shift in (0, 3))
    assert np.allclose(moved[:, :-3], still[:, 3:], atol=1e-6)


def test_quarter_turn_swaps_rows_and_columns():
    still, turned = (checkerboard.checkerboard(60, square=10, angle=a) for a in (0, np.pi / 2))
    # Turned by 90 degrees, one of the two directions runs backwards: black and white swap.
    assert np.allclose(turned, BLACK + WHITE - still.T, atol=1e-6)


def test_edges_are_smooth_at_any_angle():
    board = checkerboard.clean(3)
    assert board.min() == pytest.approx(BLACK) and board.max() == pytest.approx(WHITE)
    between = (board > BLACK + 0.01) & (board < WHITE - 0.01)
    assert 0.02 < between.mean() < 0.15


def test_too_small_squares_are_refused():
    with pytest.raises(ValueError, match="at least 2 pixels"):
        checkerboard.checkerboard(square=1)


def test_scales_and_orientations_vary():
    edges = [np.abs(np.diff(checkerboard.clean(seed), axis=1)).sum() for seed in range(20)]
    assert max(edges) > 1.5 * min(edges)
    assert SQUARES[0] > 11  # A window of SSIM fits into the smallest square.


@pytest.mark.parametrize("number", range(5))
def test_mask_is_where_the_picture_differs(number):
    sample = checkerboard.load(checkerboard.NAME).test[number]
    image, mask, board = sample.image, sample.mask, checkerboard.beneath(number)
    assert image.shape == mask.shape == (SIZE, SIZE)
    assert image.dtype == np.float32 and mask.dtype == bool
    # Half covered pixels lie half way, or farther, towards gray; the others stay nearer.
    distance = np.abs(board - GRAY)
    inside, moved = distance > 0.3, np.abs(image - board)
    assert (moved[mask & inside] >= 0.5 * distance[mask & inside] - 1e-6).all()
    assert (moved[~mask] <= 0.5 * distance[~mask] + 1e-6).all()
    smallest = np.pi * DOT[0] ** 2 + STROKE[0] * 0.12 * SIZE / 4
    assert smallest < mask.sum() < 0.15 * mask.size


def test_edges_are_where_squares_meet():
    board, edges = checkerboard.beneath(0), checkerboard.edges(0)
    across = np.abs(np.diff(board, axis=1)) > 0.3
    assert edges[:, 1:][across].all() and edges[:, :-1][across].all()
    # Elsewhere squares are black or white.
    assert (np.abs(board[~edges] - GRAY) > (WHITE - BLACK) / 2 - 0.02).all()


def test_data_set():
    data = checkerboard.load(checkerboard.NAME)
    again = checkerboard.load(checkerboard.NAME)
    assert len(data.train) == 1_000 and len(data.test) == 20
    assert data.publishable
    assert not data.train[0].mask.any()
    for one, other in zip(data.test, again.test, strict=True):
        assert np.array_equal(one.image, other.image)
    pictures = [sample.image for sample in [*data.train[:20], *data.test]]
    assert len({picture.tobytes() for picture in pictures}) == 40
    trained_on, held_out = data.split()
    assert (len(trained_on), len(held_out)) == (900, 100)


def test_experiments_know_it():
    experiment = Experiment(dataset=checkerboard.NAME, method="l2")
    assert experiment.latent_dim == 100
    assert experiment.training_settings["data"] == checkerboard.FINGERPRINT
