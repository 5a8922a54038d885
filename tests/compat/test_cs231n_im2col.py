import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.compat.cs231n.im2col import col2im_indices, get_im2col_indices, im2col_indices

windows = dict(
    N=st.integers(1, 3),
    size=st.tuples(st.integers(3, 7), st.integers(3, 7)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.integers(0, 2),
    stride=st.integers(1, 3),
)


@given(**windows)
def test_columns_are_torch_s_unfolded_windows_with_the_images_side_by_side(N, size, kernel, padding, stride):
    torch = pytest.importorskip("torch", reason="PyTorch is the reference here")
    x = np.random.default_rng(0).standard_normal((N, 2, *size))
    expected = torch.nn.functional.unfold(torch.from_numpy(x), kernel, padding=padding, stride=stride).numpy()  # (N, 2 * FH * FW, places)
    cols = im2col_indices(x, *kernel, padding, stride)
    np.testing.assert_array_equal(cols, expected.transpose(1, 2, 0).reshape(2 * kernel[0] * kernel[1], -1))


@given(**windows)
def test_columns_put_back_are_the_transpose(N, size, kernel, padding, stride):
    """<im2col(x), y> = <x, col2im(y)> for all x and y."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N, 2, *size))
    cols = im2col_indices(x, *kernel, padding, stride)
    y = rng.standard_normal(cols.shape)
    back = col2im_indices(y, x.shape, *kernel, padding, stride)
    assert back.shape == x.shape
    assert np.sum(cols * y) == pytest.approx(np.sum(x * back), rel=1e-12, abs=1e-11)  # up to 2000 terms around 1


def test_the_defaults_are_the_published_ones():
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    np.testing.assert_array_equal(im2col_indices(x, 3, 3), im2col_indices(x, 3, 3, padding=1, stride=1))
    cols = im2col_indices(x, 3, 3)
    np.testing.assert_array_equal(col2im_indices(cols, x.shape), col2im_indices(cols, x.shape, 3, 3, 1, 1))


def test_indices_point_into_the_padded_image():
    k, i, j = get_im2col_indices((2, 3, 4, 5), 2, 3, padding=1, stride=2)
    assert k.shape == (18, 1)
    assert i.shape == j.shape == (18, 3 * 3)
    assert (i.max(), j.max()) == (5, 6)  # the last row and column of 6 x 7
    np.testing.assert_array_equal(k[:, 0], np.repeat([0, 1, 2], 6))


def test_a_window_that_does_not_fit_is_refused_with_the_sizes():
    with pytest.raises(ValueError, match="get_im2col_indices: the window of 7 x 3 is larger than the image of 4 x 5, 6 x 7 with padding"):
        im2col_indices(np.ones((2, 3, 4, 5)), 7, 3)
