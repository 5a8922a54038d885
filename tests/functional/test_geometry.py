import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.functional.geometry import Geometry, conv_geometry, conv_transpose_geometry, pool_geometry

X = (2, 6, 9, 8)


def conv(x_shape=X, w_shape=(4, 6, 3, 3), **conv_param):
    return conv_geometry("conv", x_shape, w_shape, conv_param)


def transpose(x_shape=X, w_shape=(6, 4, 3, 3), **conv_param):
    return conv_transpose_geometry("up", x_shape, w_shape, conv_param)


def pool(x_shape=X, height=2, width=2, **pool_param):
    return pool_geometry("pool", x_shape, {"pool_height": height, "pool_width": width, **pool_param})


def test_without_settings_the_window_moves_by_one_and_there_is_no_padding():
    assert conv() == Geometry(kernel=(3, 3), stride=(1, 1), pad=(0, 0, 0, 0), dilation=(1, 1), groups=1, output=(7, 6))


def test_a_pooling_window_moves_by_its_own_sides_unless_told_otherwise():
    assert pool(height=3, width=2).stride == (3, 2)
    assert pool(height=3, width=2, stride=1).stride == (1, 1)


@pytest.mark.parametrize(
    ("pad", "sides"),
    [(2, (2, 2, 2, 2)), ((1, 2), (1, 1, 2, 2)), (((1, 0), (2, 3)), (1, 0, 2, 3)), ([1, 2], (1, 1, 2, 2)), (np.int64(1), (1, 1, 1, 1))],
    ids=["one number", "rows and columns", "four sides", "a list", "an integer of numpy"],
)
def test_padding_is_one_number_two_or_four(pad, sides):
    geometry = conv(pad=pad)
    assert geometry.pad == sides
    assert geometry.output == (9 + sides[0] + sides[1] - 2, 8 + sides[2] + sides[3] - 2)


def test_a_pad_of_1_point_0_as_python_2_s_notebooks_compute_it_is_1():
    assert conv(pad=(3 - 1) / 2).pad == (1, 1, 1, 1)


@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.integers(1, 4),
    pad=st.integers(0, 3),
    dilation=st.integers(1, 3),
)
def test_the_output_counts_the_places_where_the_window_fits(size, kernel, stride, pad, dilation):
    counts = []
    for length, points in zip(size, kernel, strict=True):
        starts = range(0, length + 2 * pad, stride)
        counts.append(sum(start + dilation * (points - 1) < length + 2 * pad for start in starts))
    arguments = dict(x_shape=(1, 1, *size), w_shape=(1, 1, *kernel), stride=stride, pad=pad, dilation=dilation)
    if min(counts) == 0:
        with pytest.raises(ValueError, match="is larger than the image"):
            conv(**arguments)
    else:
        assert conv(**arguments).output == tuple(counts)


@given(
    size=st.integers(1, 12),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 4),
    pad=st.integers(0, 2),
    dilation=st.integers(1, 4),
    ceil_mode=st.booleans(),
)
def test_every_pooling_window_holds_a_pixel_or_an_error_is_raised(size, kernel, stride, pad, dilation, ceil_mode):
    try:
        geometry = pool((1, 1, size, size), kernel, kernel, stride=stride, pad=pad, dilation=dilation, ceil_mode=ceil_mode)
    except ValueError:
        return
    for place in range(geometry.output[0]):
        assert any(0 <= place * stride - pad + k * dilation < size for k in range(kernel))


@given(size=st.integers(1, 12), kernel=st.integers(1, 4), stride=st.integers(1, 4), pad=st.integers(0, 2), ceil_mode=st.booleans())
def test_a_pooled_image_has_the_size_that_torch_gives_it(size, kernel, stride, pad, ceil_mode):
    torch = pytest.importorskip("torch", reason="PyTorch is the reference here")
    pad = min(pad, kernel // 2)
    if size + 2 * pad < kernel:  # PyTorch lets a window that is larger than the image hang over it in ceil_mode; we do not
        return
    expected = torch.nn.functional.max_pool2d(torch.zeros(1, 1, size, 9), (kernel, 1), (stride, 1), (pad, 0), ceil_mode=ceil_mode)
    actual = pool((1, 1, size, 9), kernel, 1, stride=(stride, 1), pad=(pad, 0), ceil_mode=ceil_mode)
    assert actual.output == tuple(expected.shape[2:])


@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
    pad=st.integers(0, 1),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2, 3]),
    output_pad=st.integers(0, 2),
)
def test_a_transposed_convolution_goes_back_to_the_size_from_which_the_convolution_came(
    size, kernel, stride, pad, dilation, groups, output_pad
):
    arguments = {"stride": stride, "pad": pad, "dilation": dilation, "groups": groups}
    try:
        geometry, out_shape = transpose((2, 6, *size), (6, 4, *kernel), output_pad=min(output_pad, stride - 1), **arguments)
    except ValueError as error:
        assert "cuts all of it off" in str(error)
        return
    assert out_shape[1] == 4 * groups
    assert geometry == conv(out_shape, (6, 4, *kernel), **arguments)
    assert geometry.output == size


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: conv((6, 9, 8)), "conv: x has shape (6, 9, 8); expected (N, C, H, W)"),
        (lambda: pool((6, 9)), "pool: x has shape (6, 9); expected (N, C, H, W)"),
        (lambda: conv(w_shape=(4, 6, 3)), "conv: w has shape (4, 6, 3); expected (F, C / groups, KH, KW)"),
        (lambda: conv(w_shape=(4, 5, 3, 3)), "conv: x has 6 channels (shape (2, 6, 9, 8)), w takes 5 (shape (4, 5, 3, 3))"),
        (
            lambda: conv(w_shape=(4, 6, 3, 3), groups=2),
            "conv: x has 3 channels in each group (shape (2, 6, 9, 8)), w takes 6 (shape (4, 6, 3, 3))",
        ),
        (lambda: conv(groups=4), "conv: groups is 4; it must divide both the 6 channels of x and the 4 filters of w"),
        (lambda: conv(w_shape=(4, 2, 3, 3), groups=3), "conv: groups is 3; it must divide both the 6 channels of x and the 4 filters of w"),
        (lambda: conv(groups=0), "conv: groups is 0; it must divide"),
        (lambda: conv(w_shape=(4, 6, 0, 3)), "conv: the window is 0 x 3; its sides must be at least 1"),
        (lambda: pool(height=0), "pool: the window is 0 x 2; its sides must be at least 1"),
        (lambda: conv(stride=0), "conv: conv_param['stride'] is 0; it must be a whole number of at least 1"),
        (lambda: conv(stride=1.5), "conv: conv_param['stride'] is 1.5; it must be a whole number of at least 1"),
        (lambda: conv(dilation=(1, 0)), "conv: conv_param['dilation'] is (1, 0); it must be a whole number of at least 1"),
        (lambda: pool(stride=-1), "pool: pool_param['stride'] is -1; it must be a whole number of at least 1"),
        (lambda: conv(pad=-1), "conv: conv_param['pad'] is -1; it must be a whole number, and not negative"),
        (lambda: conv(pad=0.5), "conv: conv_param['pad'] is 0.5; it must be a whole number, and not negative"),
        (lambda: conv(w_shape=(4, 6, 10, 3)), "conv: the window of 10 x 3 is larger than the image of 9 x 8, 9 x 8 with padding"),
        (
            lambda: conv(w_shape=(4, 6, 5, 3), pad=1, dilation=3),
            "conv: the window of 5 x 3 at dilation 3 x 3 is larger than the image of 9 x 8, 11 x 10 with padding",
        ),
        (lambda: pool(pad=2), "pool: pad 2 is more than half of the window 2 x 2; some windows would hold no pixel"),
        (
            lambda: pool((2, 6, 3, 8), pad=1, dilation=4),
            "pool: the window of 2 x 2 at dilation 4 x 4, with pad 1, would hold no pixel of an image of 3 x 8 at some of its places",
        ),
        (lambda: pool((2, 6, 0, 8), pad=1), "with pad 1, would hold no pixel of an image of 0 x 8"),
        (lambda: transpose((6, 9, 8)), "up: x has shape (6, 9, 8); expected (N, C, H, W)"),
        (lambda: transpose(w_shape=(4, 6, 3, 3)), "up: x has shape (2, 6, 9, 8), w has (4, 6, 3, 3); expected (6, F / groups, KH, KW)"),
        (lambda: transpose((2, 6, 0, 8)), "up: x has shape (2, 6, 0, 8); an image without pixels gives none"),
        (lambda: transpose(groups=4), "up: groups is 4; it must divide the 6 channels of x"),
        (lambda: transpose(output_pad=1), "up: conv_param['output_pad'] is 1; it must be at least 0 and less than the stride 1"),
        (lambda: transpose(w_shape=(6, 4, 3, 0)), "up: the window is 3 x 0; its sides must be at least 1"),
        (
            lambda: transpose((2, 6, 1, 8), pad=2),
            "up: the output would be -1 x 6, from an image of 1 x 8 and a window of 3 x 3; conv_param['pad'] is 2, and cuts all of it off",
        ),
    ],
)
def test_what_cannot_be_is_said_with_the_sizes(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
