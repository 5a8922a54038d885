import numpy as np

from chainrule.compat.cs231n.vis_utils import visualize_grid


def test_pictures_stand_row_by_row_each_stretched_on_its_own_with_black_between():
    pictures = np.random.default_rng(0).standard_normal((5, 4, 3, 2))
    grid = visualize_grid(pictures, ubound=10.0, padding=2)
    assert grid.shape == (3 * 4 + 2 * 2, 3 * 3 + 2 * 2, 2)
    fourth = grid[6:10, 0:3]
    expected = pictures[3] - pictures[3].min()
    np.testing.assert_allclose(fourth, 10 * expected / expected.max(), rtol=1e-14)
    assert not grid[4:6].any()
    assert not grid[:, 3:5].any()
    assert not grid[6:, 10:].any()


def test_a_constant_picture_is_black():
    assert not visualize_grid(np.full((1, 2, 2, 3), 7.0)).any()


def test_without_padding_nothing_is_cut_off():
    assert visualize_grid(np.ones((4, 2, 3, 1)), padding=0).shape == (4, 6, 1)
