"""Mistakes in convolution, naive and fast."""

from functools import partial

import numpy as np

from chainrule.functional import conv_backward_naive, conv_forward_naive
from chainrule.lab.mistake import Mistake

__all__ = ["MISTAKES"]


def without(sides):
    return sides


def padding(x, pad, **how):
    return np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), **how)


def places(size, kernel, stride):
    return (size - kernel) // stride + 1


def forward(x, w, b, conv_param, *, image=None, count=places, start=None, window=None, biased=None):
    """`conv_forward_naive`, with one of its steps put in.

    Parameters
    ----------
    image : (x, pad) -> the padded image
    count : (padded size, kernel, stride) -> how many places
    start : (i, j, stride) -> first row and column of the window
    window : (window (N, C, KH, KW), w) -> (N, F)
    biased : (out, b) -> out with the bias
    """
    stride, pad = conv_param["stride"], conv_param["pad"]
    KH, KW = w.shape[2:]
    padded = padding(x, pad) if image is None else image(x, pad)
    OH, OW = count(padded.shape[2], KH, stride), count(padded.shape[3], KW, stride)
    out = np.empty((len(x), len(w), OH, OW), x.dtype)
    for i in range(OH):
        for j in range(OW):
            row, column = (i * stride, j * stride) if start is None else start(i, j, stride)
            seen = padded[:, :, row : row + KH, column : column + KW]
            out[:, :, i, j] = np.tensordot(seen, w, axes=((1, 2, 3), (1, 2, 3))) if window is None else window(seen, w)
    out = out + b[:, None, None] if biased is None else biased(out, b)
    return out, (x, w, b, conv_param)


def flipped(x, w, b, conv_param):
    return forward(x, w[:, :, ::-1, ::-1], b, conv_param)


def without_padding(x, w, b, conv_param):
    return forward(x, w, b, conv_param, image=lambda x, pad: x)


def padded_above_and_left(x, w, b, conv_param):
    return forward(x, w, b, conv_param, image=lambda x, pad: np.pad(x, ((0, 0), (0, 0), (pad, 0), (pad, 0))))


def padded_below_and_right(x, w, b, conv_param):
    return forward(x, w, b, conv_param, image=lambda x, pad: np.pad(x, ((0, 0), (0, 0), (0, pad), (0, pad))))


def padded_along_all_axes(x, w, b, conv_param):
    N, C = x.shape[:2]
    return forward(x, w, b, conv_param, image=lambda x, pad: np.pad(x, pad)[:N, :C])


def padded_with_the_border(x, w, b, conv_param):
    return forward(x, w, b, conv_param, image=lambda x, pad: padding(x, pad, mode="edge"))


def padded_with_ones(x, w, b, conv_param):
    return forward(x, w, b, conv_param, image=lambda x, pad: padding(x, pad, constant_values=1))


def padded_rows_alone(x, w, b, conv_param):
    return forward(x, w, b, conv_param, image=lambda x, pad: np.pad(x, ((0, 0), (0, 0), (pad, pad), (0, 0))))


def windows_without_stride(x, w, b, conv_param):
    return forward(x, w, b, conv_param, start=lambda i, j, stride: (i, j))


def rows_without_stride(x, w, b, conv_param):
    return forward(x, w, b, conv_param, start=lambda i, j, stride: (i, j * stride))


def columns_without_stride(x, w, b, conv_param):
    return forward(x, w, b, conv_param, start=lambda i, j, stride: (i * stride, j))


def every_place(x, w, b, conv_param):
    return forward(x, w, b, {**conv_param, "stride": 1})


def one_place_too_few(x, w, b, conv_param):
    return forward(x, w, b, conv_param, count=lambda size, kernel, stride: (size - kernel) // stride)


def one_added_before_the_division(x, w, b, conv_param):
    return forward(x, w, b, conv_param, count=lambda size, kernel, stride: (size - kernel + 1) // stride)


def without_bias(x, w, b, conv_param):
    return forward(x, w, b, conv_param, biased=lambda out, b: out)


def bias_in_the_loop_over_channels(x, w, b, conv_param):
    return forward(x, w, x.shape[1] * b, conv_param)


def bias_in_the_loop_over_images(x, w, b, conv_param):
    """Each round adds it to all images; what it added to a later one is overwritten."""
    rounds = np.arange(len(x), 0, -1, dtype=x.dtype).reshape(-1, 1, 1, 1)
    return forward(x, w, b, conv_param, biased=lambda out, b: out + rounds * b[:, None, None])


def bias_in_every_round(x, w, b, conv_param):
    return forward(x, w, len(x) * b, conv_param)


def bias_in_the_loop_over_filters(x, w, b, conv_param):
    return forward(x, w, np.arange(len(b), 0, -1, dtype=b.dtype) * b, conv_param)


def in_integers(x, w, b, conv_param):
    out, cache = forward(x, w, b, conv_param)
    return out.astype(int), cache


def bias_in_the_sum(x, w, b, conv_param):
    return forward(x, w, w[0].size * b, conv_param)


def bias_of_the_columns(x, w, b, conv_param):
    return forward(x, w, b, conv_param, biased=lambda out, b: out + b)


def first_bias_for_all(x, w, b, conv_param):
    return forward(x, w, 0 * b + b[0], conv_param)


def bias_subtracted(x, w, b, conv_param):
    return forward(x, w, -b, conv_param)


def last_channel(seen, w):
    return np.tensordot(seen[:, -1], w[:, -1], axes=((1, 2), (1, 2)))


def last_channel_alone(x, w, b, conv_param):
    return forward(x, w, b, conv_param, window=last_channel)


def first_channel_of_the_filter(x, w, b, conv_param):
    return forward(x, w[:, :1].repeat(w.shape[1], axis=1), b, conv_param)


def mean_of_the_window(x, w, b, conv_param):
    return forward(x, w / w[0].size, b, conv_param)


def last_filter_everywhere(x, w, b, conv_param):
    return forward(x, w[-1:].repeat(len(w), axis=0), b[-1:].repeat(len(w)), conv_param)


def first_image_everywhere(x, w, b, conv_param):
    return forward(x[:1].repeat(len(x), axis=0), w, b, conv_param)


def rows_and_columns_swapped(x, w, b, conv_param):
    out, cache = forward(x, w, b, conv_param)
    return out.swapaxes(2, 3), cache


def filter_transposed(x, w, b, conv_param):
    return forward(x, w.transpose(0, 1, 3, 2), b, conv_param)


def filters_last(x, w, b, conv_param):
    out, cache = forward(x, w, b, conv_param)
    return out.transpose(0, 2, 3, 1), cache


def in_single_precision(x, w, b, conv_param):
    out, cache = forward(x, w, b, conv_param)
    return out.astype(np.float32), cache


def loops(x, w, b, conv_param, *, image=without, filters=without, product=np.multiply):
    """With four loops; `image` and `filters` are of (rows, columns), and give those that the loops take for them."""
    stride, pad = conv_param["stride"], conv_param["pad"]
    (H, W), (KH, KW) = image(x.shape[2:]), filters(w.shape[2:])
    padded = padding(x, pad)
    out: np.ndarray = np.zeros((len(x), len(w), places(H + 2 * pad, KH, stride), places(W + 2 * pad, KW, stride)), x.dtype)
    for n, f, i, j in np.ndindex(*out.shape):
        seen = padded[n, :, i * stride : i * stride + KH, j * stride : j * stride + KW]
        out[n, f, i, j] = np.sum(product(seen, w[f])) + b[f]
    return out, (x, w, b, conv_param)


def swapped(sides):
    return sides[::-1]


def filter_first(seen, w):
    return w * seen


SIDES = tuple(  # they fail where images or filters are no squares, with a message in which the order of the factors shows
    Mistake("conv_forward_naive", "transpose", sentence, hints, partial(loops, product=product, **sides))
    for product in (np.multiply, filter_first)
    for sentence, hints, sides in (
        (
            "height and width of the images are swapped: x is (N, C, H, W), rows before columns",
            ("Which axis of x are the rows?", "N, C, H, W = x.shape"),
            {"image": swapped},
        ),
        (
            "height and width of the filters are swapped: w is (F, C, KH, KW), rows before columns",
            ("Which axis of w are the rows?", "F, C, KH, KW = w.shape"),
            {"filters": swapped},
        ),
        (
            "height and width are swapped, of the images and of the filters: x is (N, C, H, W), w is (F, C, KH, KW), rows before columns",
            ("Which axis of x are the rows?", "N, C, H, W = x.shape; F, C, KH, KW = w.shape"),
            {"image": swapped, "filters": swapped},
        ),
    )
)

FORWARD = tuple(
    Mistake(function, kind, sentence, hints, code)
    for function in ("conv_forward_naive", "conv_forward_im2col")
    for kind, sentence, hints, code in (
        (
            "transpose",
            "the filter is flipped, as mathematicians do; here it is laid on the window as it is: out = sum of window * w",
            ("Which point of the window meets w[f, c, 0, 0]?", "Take w[f] without turning it: deep learning means cross-correlation."),
            flipped,
        ),
        (
            "missing-term",
            "the image is not padded: conv_param['pad'] rows and columns of zeros belong on each of its sides",
            ("How large is the output for pad 1, stride 1 and a filter of 3 x 3?", "np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))"),
            without_padding,
        ),
        (
            "off-by-one",
            "the padding counts once, above and left: it belongs on both sides, and 2 * pad into the size of the output",
            ("How many rows does the padded image have?", "OH = (H + 2 * pad - KH) // stride + 1, and pad on all four sides."),
            padded_above_and_left,
        ),
        (
            "off-by-one",
            "the zeros are added below and right of the image alone; they belong above and left of it, too",
            ("What does the window at place (0, 0) see of the image, if pad is 1?", "np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))"),
            padded_below_and_right,
        ),
        (
            "axis",
            "x is padded along all four axes, so that images and channels are shifted, too; rows and columns alone are padded",
            ("What shape has np.pad(x, pad)?", "np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))"),
            padded_along_all_axes,
        ),
        (
            "axis",
            "the rows alone are padded; the columns have to be, too",
            ("What shape should the padded image have?", "np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))"),
            padded_rows_alone,
        ),
        (
            "missing-term",
            "the padding repeats the border of the image; it has to be zeros",
            ("Which value does the docstring give to the padding?", "np.pad pads with zeros unless mode says something else."),
            padded_with_the_border,
        ),
        (
            "missing-term",
            "the padding is ones; it has to be zeros",
            ("What should a pixel outside the image add to the sum?", "Start from np.zeros, or let np.pad do it."),
            padded_with_ones,
        ),
        (
            "off-by-one",
            "the window moves by one pixel whatever the stride is: at place (i, j) it begins at row i * stride and column j * stride",
            ("Where does the window of out[:, :, 1, 0] begin, if the stride is 2?", "rows i * stride to i * stride + KH"),
            windows_without_stride,
        ),
        (
            "off-by-one",
            "the window's rows begin at i, those of stride 1: at place (i, j) they begin at i * stride",
            ("Where does the window of out[:, :, 1, 0] begin, if the stride is 2?", "rows i * stride to i * stride + KH"),
            rows_without_stride,
        ),
        (
            "off-by-one",
            "the window's columns begin at j, those of stride 1: at place (i, j) they begin at j * stride",
            ("Where does the window of out[:, :, 0, 1] begin, if the stride is 2?", "columns j * stride to j * stride + KW"),
            columns_without_stride,
        ),
        (
            "shape",
            "the stride is left out: the window is at every pixel, and should be at every stride-th row and column",
            ("How many places are there along 7 rows for a window of 3 and a stride of 2?", "OH = (H + 2 * pad - KH) // stride + 1"),
            every_place,
        ),
        (
            "off-by-one",
            "the output has a row and a column too few: + 1 is missing in (H + 2 * pad - KH) // stride + 1",
            ("How many places has a window that is as large as the image?", "OH = (H + 2 * pad - KH) // stride + 1"),
            one_place_too_few,
        ),
        (
            "off-by-one",
            "the 1 is added before the division by the stride; the size is (H + 2 * pad - KH) // stride + 1",
            (
                "How many places are there along 7 rows for a window of 3 and a stride of 2?",
                "The first place needs no step: divide, then add 1.",
            ),
            one_added_before_the_division,
        ),
        (
            "missing-term",
            "the bias is left out: every filter adds its b[f] to all its numbers",
            ("What is out where all pixels are 0?", "out[n, f, i, j] = np.sum(window * w[f]) + b[f]"),
            without_bias,
        ),
        (
            "scale",
            "the bias is added once for each channel; it belongs to the sum over all channels, once",
            ("What is out where all pixels are 0?", "Add b[f] after the loop over the channels."),
            bias_in_the_loop_over_channels,
        ),
        (
            "scale",
            "all biases are added in each round of the loop over images, so that the first image has them N times: add each once",
            ("How often is the line with b run?", "out[n] += b[:, None, None], or after the loops out += b[:, None, None]"),
            bias_in_the_loop_over_images,
        ),
        (
            "scale",
            "the bias is added N times, once for each image of the batch; every number of out gets it once",
            ("How often is the line with b run?", "Add b[f] once to out[n, f], or to all of out after the loops."),
            bias_in_every_round,
        ),
        (
            "scale",
            "all biases are added in each round of the loop over filters, so that the first filter has its own F times: add each once",
            ("How often is the line with b run?", "Add b[f] in the round of filter f alone, or all of b after the loops."),
            bias_in_the_loop_over_filters,
        ),
        (
            "dtype",
            "out is an array of integers, which cuts off what is behind the point; expected x's dtype",
            ("Which dtype has the array that out is written into?", "np.zeros(shape, x.dtype)"),
            in_integers,
        ),
        (
            "scale",
            "the bias is added to every product before they are summed; it belongs to the sum, once",
            ("Where do the brackets of the sum close?", "np.sum(window * w[f]) + b[f], not np.sum(window * w[f] + b[f])"),
            bias_in_the_sum,
        ),
        (
            "broadcasting",
            "b is added along the last axis, the columns; it belongs to the filters, axis 1: b[:, None, None]",
            ("Along which axis does NumPy lay a b of shape (F,), in out + b?", "out + b[:, None, None], or b.reshape(1, F, 1, 1)"),
            bias_of_the_columns,
        ),
        (
            "broadcasting",
            "all filters get the bias of the first one; filter f adds b[f]",
            ("How many biases are there?", "Index b with the filter."),
            first_bias_for_all,
        ),
        (
            "sign",
            "the bias is subtracted; it has to be added",
            ("What is out where all pixels are 0?", "+ b[f]"),
            bias_subtracted,
        ),
        (
            "missing-term",
            "only the last channel counts: the sum over the channels is overwritten in each round, not added to",
            (
                "What happens to the first channel's share when the second one's is computed?",
                "+= where there is =, or sum over all of window * w[f].",
            ),
            last_channel_alone,
        ),
        (
            "broadcasting",
            "all channels are multiplied by the filter's first channel; channel c belongs to w[:, c]",
            ("How many numbers has one filter?", "window * w[f] has the shape (C, KH, KW) on both sides."),
            first_channel_of_the_filter,
        ),
        (
            "scale",
            "the window's products are averaged; they have to be summed",
            ("What does the filter of ones give on an image of ones?", "np.sum, not np.mean"),
            mean_of_the_window,
        ),
        (
            "missing-term",
            "all filters have the output of the last one: each overwrites what the others have written",
            (
                "What stands in out[:, 0] after the first round of the loop over filters, and what after the last?",
                "Write to out[n, f, i, j].",
            ),
            last_filter_everywhere,
        ),
        (
            "missing-term",
            "all images have the output of the first one",
            ("Where does n stand on the right-hand side?", "The window is one of x[n]."),
            first_image_everywhere,
        ),
        (
            "transpose",
            "rows and columns of out are swapped: out[n, f, i, j] belongs to row i and column j of the window's places",
            ("Which of H and W gives OH?", "out has the shape (N, F, OH, OW)."),
            rows_and_columns_swapped,
        ),
        (
            "transpose",
            "the filter's rows and columns are swapped: w is (F, C, KH, KW), rows before columns",
            ("What is w.shape[2], rows or columns?", "F, C, KH, KW = w.shape"),
            filter_transposed,
        ),
        (
            "transpose",
            "out is (N, OH, OW, F), the filters last; expected (N, F, OH, OW)",
            ("Where are the channels of x?", "out.transpose(0, 3, 1, 2)"),
            filters_last,
        ),
        (
            "dtype",
            "out is float32 for inputs of float64, which spoils gradient checks; expected x's dtype",
            ("Which dtype has the array that out is written into?", "np.zeros(shape, x.dtype)"),
            in_single_precision,
        ),
    )
)


def rows_of(x, w, conv_param):
    """The windows as rows (N, OH, OW, C, KH, KW), and OH and OW."""
    stride = conv_param["stride"]
    windows = np.lib.stride_tricks.sliding_window_view(padding(x, conv_param["pad"]), w.shape[2:], axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride].transpose(0, 2, 3, 1, 4, 5)
    return windows, windows.shape[1], windows.shape[2]


def product_images_first(x, w, b, conv_param):
    windows, OH, OW = rows_of(x, w, conv_param)
    out = windows.reshape(-1, w[0].size) @ w.reshape(len(w), -1).T + b
    return out.reshape(len(x), len(w), OH, OW), (x, w, b, conv_param)


def product_filters_first(x, w, b, conv_param):
    windows, OH, OW = rows_of(x, w, conv_param)
    out = w.reshape(len(w), -1) @ windows.reshape(-1, w[0].size).T + b[:, None]
    return out.reshape(len(x), len(w), OH, OW), (x, w, b, conv_param)


def product_of_the_courses_order(x, w, b, conv_param):
    windows, OH, OW = rows_of(x, w, conv_param)
    columns = windows.transpose(3, 4, 5, 1, 2, 0).reshape(w[0].size, -1)
    out = w.reshape(len(w), -1) @ columns + b[:, None]
    return out.reshape(len(x), len(w), OH, OW), (x, w, b, conv_param)


def windows_with_channels_last(x, w, b, conv_param):
    windows, OH, OW = rows_of(x, w, conv_param)
    rows = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, w[0].size)
    out = rows @ w.reshape(len(w), -1).T + b
    return out.reshape(len(x), OH, OW, len(w)).transpose(0, 3, 1, 2), (x, w, b, conv_param)


def filters_reshaped_not_transposed(x, w, b, conv_param):
    windows, OH, OW = rows_of(x, w, conv_param)
    out = windows.reshape(-1, w[0].size) @ w.reshape(-1, len(w)) + b
    return out.reshape(len(x), OH, OW, len(w)).transpose(0, 3, 1, 2), (x, w, b, conv_param)


FAST_FORWARD = tuple(
    Mistake("conv_forward_im2col", "transpose", sentence, hints, code)
    for sentence, hints, code in (
        (
            "the product has one row a place and one column a filter; reshaping it to (N, F, OH, OW) mixes filters and places: transpose",
            ("In which order does the product run through images, places and filters?", ".reshape(N, OH, OW, F).transpose(0, 3, 1, 2)"),
            product_images_first,
        ),
        (
            "the product has one row a filter and one column a place; reshaping it to (N, F, OH, OW) mixes images and filters: transpose",
            ("In which order does the product run through filters, images and places?", ".reshape(F, N, OH, OW).transpose(1, 0, 2, 3)"),
            product_filters_first,
        ),
        (
            "the product runs through filters, places, images; reshaping it to (N, F, OH, OW) mixes all three: transpose",
            ("In which order does the product run through filters, places and images?", ".reshape(F, OH, OW, N).transpose(3, 0, 1, 2)"),
            product_of_the_courses_order,
        ),
        (
            "the windows run through rows, columns, channels, the filters through channels, rows, columns: put both into one order",
            ("Which point of the window meets w.reshape(F, -1)[f, 1]?", "Windows as (C, KH, KW), for w.reshape(F, -1)."),
            windows_with_channels_last,
        ),
        (
            "w is reshaped to (C * KH * KW, F), which mixes filters and their points: reshape to (F, -1), then transpose",
            ("Which numbers are in the first column of w.reshape(-1, F)?", "w.reshape(F, -1).T"),
            filters_reshaped_not_transposed,
        ),
    )
)


def backward(dout, cache, *, image=padding, start=None, filters=None, add_x=None, add_w=None, cut=None):
    """`conv_backward_naive`, with one of its steps put in.

    Parameters
    ----------
    image : (x, pad) -> the image that dw is made from
    start : (i, j, stride) -> first rows and columns, for dx and for dw
    filters : w -> the one that dx is made from
    add_x, add_w : (sum so far, new share) -> what is kept; the shares are (N, F, C, KH, KW)
    cut : (dimage, x's shape, pad) -> dx
    """
    x, w, _, conv_param = cache
    (N, C, H, W), (_, _, KH, KW) = x.shape, w.shape
    stride, pad = conv_param["stride"], conv_param["pad"]
    padded = image(x, pad)
    dimage, dw = np.zeros((N, C, H + 2 * pad, W + 2 * pad), x.dtype), np.zeros_like(w)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            at_x = at_w = (i * stride, j * stride)
            if start is not None:
                at_x, at_w = start(i, j, stride)
            inside = (slice(None), slice(None), slice(at_x[0], at_x[0] + KH), slice(at_x[1], at_x[1] + KW))
            back = dout[:, :, i, j][:, :, None, None, None] * (w if filters is None else filters(w))
            dimage[inside] = dimage[inside] + back.sum(axis=1) if add_x is None else add_x(dimage[inside], back)
            seen = padded[:, :, at_w[0] : at_w[0] + KH, at_w[1] : at_w[1] + KW]
            share = dout[:, :, i, j][:, :, None, None, None] * seen[:, None]
            dw = dw + share.sum(axis=0) if add_w is None else add_w(dw, share)
    dx = dimage[:, :, pad : pad + H, pad : pad + W] if cut is None else cut(dimage, x.shape, pad)
    return dx, dw, dout.sum(axis=(0, 2, 3))


def not_cut(dout, cache):
    return backward(dout, cache, cut=lambda dimage, shape, pad: dimage)


def cut_to_minus_pad(dout, cache):
    return backward(dout, cache, cut=lambda dimage, shape, pad: dimage[:, :, pad:-pad, pad:-pad])


def cut_at_the_end(dout, cache):
    return backward(dout, cache, cut=lambda dimage, shape, pad: dimage[:, :, : shape[2], : shape[3]])


def cut_at_the_start(dout, cache):
    return backward(dout, cache, cut=lambda dimage, shape, pad: dimage[:, :, 2 * pad :, 2 * pad :])


def dx_of_the_last_filter_and_place(dout, cache):
    return backward(dout, cache, add_x=lambda sum_so_far, back: back[:, -1])


def dx_of_the_last_place(dout, cache):
    return backward(dout, cache, add_x=lambda sum_so_far, back: back.sum(axis=1))


def dx_of_the_last_filter(dout, cache):
    return backward(dout, cache, add_x=lambda sum_so_far, back: sum_so_far + back[:, -1])


def dx_summed_over_channels(dout, cache):
    return backward(dout, cache, add_x=lambda sum_so_far, back: sum_so_far + back.sum(axis=(1, 2))[:, None])


def dx_with_the_filter_flipped(dout, cache):
    return backward(dout, cache, filters=lambda w: w[:, :, ::-1, ::-1])


def dx_without_the_filter(dout, cache):
    return backward(dout, cache, filters=np.ones_like)


def dw_of_the_last_image_and_place(dout, cache):
    return backward(dout, cache, add_w=lambda sum_so_far, share: share[-1])


def dw_of_the_last_place(dout, cache):
    return backward(dout, cache, add_w=lambda sum_so_far, share: share.sum(axis=0))


def dw_of_the_last_image(dout, cache):
    return backward(dout, cache, add_w=lambda sum_so_far, share: sum_so_far + share[-1])


def dw_summed_over_channels(dout, cache):
    return backward(dout, cache, add_w=lambda sum_so_far, share: sum_so_far + share.sum(axis=(0, 2))[:, None])


def dw_with_the_window_flipped(dout, cache):
    dx, dw, db = conv_backward_naive(dout, cache)
    return dx, dw[:, :, ::-1, ::-1], db


def dw_of_zeros_below(dout, cache):
    return backward(dout, cache, image=lambda x, pad: np.pad(x, ((0, 0), (0, 0), (0, 2 * pad), (0, 2 * pad))))


def dw_without_stride(dout, cache):
    return backward(dout, cache, start=lambda i, j, stride: ((i * stride, j * stride), (i, j)))


def dx_without_stride(dout, cache):
    return backward(dout, cache, start=lambda i, j, stride: ((i, j), (i * stride, j * stride)))


def backward_without_stride(dout, cache):
    return backward(dout, cache, start=lambda i, j, stride: ((i, j), (i, j)))


def with_db(db):
    """`conv_backward_naive`, with another sum of dout for db."""

    def wrong(dout, cache):
        dx, dw, _ = conv_backward_naive(dout, cache)
        return dx, dw, db(dout)

    return wrong


def means_over_the_batch(dout, cache):
    dx, dw, db = conv_backward_naive(dout, cache)
    return dx, dw / len(dout), db / len(dout)


def means_over_the_places(dout, cache):
    dx, dw, db = conv_backward_naive(dout, cache)
    return dx, dw / dout[0, 0].size, db / dout[0, 0].size


BACKWARD = tuple(
    # the mistakes read the naive cache, whatever the pair is
    Mistake(function, kind, sentence, hints, code, also)
    for function, also in (("conv_backward_naive", None), ("conv_backward_im2col", {"conv_forward_im2col": conv_forward_naive}))
    for kind, sentence, hints, code in (
        (
            "shape",
            "dx is the gradient of the padded image; the padding is no input, and has to be cut off",
            ("Which shape should dx have?", "dx = dimage[:, :, pad : pad + H, pad : pad + W]"),
            not_cut,
        ),
        (
            "off-by-one",
            "dx is empty where pad is 0: the slice pad:-pad is 0:-0 then, which ends at 0; write pad : pad + H",
            ("What is -0?", "dx = dimage[:, :, pad : pad + H, pad : pad + W]"),
            cut_to_minus_pad,
        ),
        (
            "off-by-one",
            "the padding of dx is cut off below and right alone; the image begins at row and column pad",
            ("At which row of the padded image does the image begin?", "dx = dimage[:, :, pad : pad + H, pad : pad + W]"),
            cut_at_the_end,
        ),
        (
            "off-by-one",
            "the padding of dx is cut off above and left alone; the image ends pad rows and columns before the end",
            ("At which row of the padded image does the image end?", "dx = dimage[:, :, pad : pad + H, pad : pad + W]"),
            cut_at_the_start,
        ),
        (
            "missing-term",
            "dx is overwritten by every filter and place; what they give back to a pixel has to be added up",
            ("How many numbers of out has one pixel entered?", "+= where there is ="),
            dx_of_the_last_filter_and_place,
        ),
        (
            "missing-term",
            "dx is overwritten where windows overlap; what all places give back to a pixel has to be added up",
            (
                "In how many windows is one pixel?",
                "+= where there is =; with arrays of indices np.add.at, since += counts each pixel once.",
            ),
            dx_of_the_last_place,
        ),
        (
            "missing-term",
            "dx has the share of the last filter alone; a pixel has entered the output of every filter",
            ("How many filters have seen a pixel?", "Sum dout[n, f, i, j] * w[f] over f."),
            dx_of_the_last_filter,
        ),
        (
            "axis",
            "dx is summed over the channels of the filter; channel c of dx gets w[:, c] alone",
            ("Has a pixel of channel 0 met the weights of channel 1?", "w[f] * dout[n, f, i, j] is (C, KH, KW): add it as it is."),
            dx_summed_over_channels,
        ),
        (
            "transpose",
            "dx is made with the filter flipped; a window gives back through the very weights that have read it",
            (
                "By which weight was the window's first point multiplied?",
                "A flip belongs to dx as a convolution; adding window by window has none.",
            ),
            dx_with_the_filter_flipped,
        ),
        (
            "missing-term",
            "dx lacks the factor w: a pixel has entered out multiplied by a weight",
            ("What is the derivative of window * w[f] with respect to the window?", "dx of the window += w[f] * dout[n, f, i, j]"),
            dx_without_the_filter,
        ),
        (
            "missing-term",
            "dw is overwritten by every image and place; their shares have to be added up",
            ("How often is one weight used?", "+= where there is ="),
            dw_of_the_last_image_and_place,
        ),
        (
            "missing-term",
            "dw is overwritten at every place; the shares of all places have to be added up",
            ("At how many places is one weight used?", "+= where there is ="),
            dw_of_the_last_place,
        ),
        (
            "missing-term",
            "dw has the share of the last image alone; the shares of all images have to be added up",
            ("Which images has a weight seen?", "Set dw to zeros once, before the loop over images, and add to it."),
            dw_of_the_last_image,
        ),
        (
            "axis",
            "dw is summed over the channels of x; w[:, c] has met channel c alone",
            ("Has w[f, 0] been multiplied by channel 1?", "window * dout[n, f, i, j] is (C, KH, KW): add it as it is."),
            dw_summed_over_channels,
        ),
        (
            "transpose",
            "dw is flipped: w[f, c, k, l] belongs to the point (k, l) of the window, as in the forward pass",
            ("By which point of the window was w[f, c, 0, 0] multiplied?", "dw[f] += window * dout[n, f, i, j]"),
            dw_with_the_window_flipped,
        ),
        (
            "off-by-one",
            "dw is made from x without padding above and left; the windows are those of the padded image",
            ("Which window has made out[n, f, 0, 0]?", "Pad x again, or keep the padded one in the cache."),
            dw_of_zeros_below,
        ),
        (
            "off-by-one",
            "dw is made from windows at row i and column j; with a stride they are at i * stride and j * stride",
            ("Which window has made out[n, f, 1, 0], if the stride is 2?", "The same slices for dw as in the forward pass."),
            dw_without_stride,
        ),
        (
            "off-by-one",
            "dx is added at row i and column j; with a stride the window is at i * stride and j * stride",
            ("Which window has made out[n, f, 1, 0], if the stride is 2?", "The same slices for dx as in the forward pass."),
            dx_without_stride,
        ),
        (
            "off-by-one",
            "dx and dw take the windows at row i and column j; with a stride they are at i * stride and j * stride",
            ("Which window has made out[n, f, 1, 0], if the stride is 2?", "The same slices for dx and dw as in the forward pass."),
            backward_without_stride,
        ),
        (
            "axis",
            "db is summed over the batch alone; one bias has served every place, too: sum over images, rows and columns",
            ("To how many numbers of out is b[f] added?", "db = dout.sum(axis=(0, 2, 3))"),
            with_db(lambda dout: dout.sum(axis=0)),
        ),
        (
            "axis",
            "db is summed over rows and columns alone; it has to be summed over the batch, too",
            ("To how many numbers of out is b[f] added?", "db = dout.sum(axis=(0, 2, 3))"),
            with_db(lambda dout: dout.sum(axis=(2, 3))),
        ),
        (
            "axis",
            "db is summed over batch, filters and rows, one number a column; expected one a filter",
            ("Which axis of dout is the filters'?", "db = dout.sum(axis=(0, 2, 3))"),
            with_db(lambda dout: dout.sum(axis=(0, 1, 2))),
        ),
        (
            "axis",
            "db is summed over filters, rows and columns, one number an image; expected one a filter",
            ("Which axis of dout is the filters'?", "db = dout.sum(axis=(0, 2, 3))"),
            with_db(lambda dout: dout.sum(axis=(1, 2, 3))),
        ),
        (
            "axis",
            "db is one number, the sum of all of dout; expected one a filter",
            ("How many biases are there?", "db = dout.sum(axis=(0, 2, 3))"),
            with_db(np.sum),
        ),
        (
            "scale",
            "db is the mean of dout; b[f] is added to every number of its filter, so it is the sum",
            ("If b[f] grows by 1, by how much does the sum of out grow?", "db = dout.sum(axis=(0, 2, 3))"),
            with_db(lambda dout: dout.mean(axis=(0, 2, 3))),
        ),
        (
            "shape",
            "db keeps the summed axes, (1, F, 1, 1); expected (F,), like b",
            ("Which shape has b?", "dout.sum(axis=(0, 2, 3)), without keepdims"),
            with_db(lambda dout: dout.sum(axis=(0, 2, 3), keepdims=True)),
        ),
        (
            "missing-term",
            "db has the share of the last image alone; the shares of all images have to be added up",
            ("Which images has b[f] been added to?", "db = dout.sum(axis=(0, 2, 3))"),
            with_db(lambda dout: dout[-1].sum(axis=(1, 2))),
        ),
        (
            "scale",
            "dw and db are means over the batch; they have to be sums: the loss divided by N already",
            ("Does dout know of N already?", "Sum over images; do not divide."),
            means_over_the_batch,
        ),
        (
            "scale",
            "dw and db are means over the places; they have to be sums: every place uses the same weights",
            ("If one weight grows by 1, how many numbers of out change?", "Sum over places; do not divide."),
            means_over_the_places,
        ),
    )
)


def gradients(dout, cache, rows_of_dout):
    """dx and dw by im2col, from some arrangement of dout as (F, N * OH * OW)."""
    N, F, OH, OW = dout.shape
    return conv_backward_naive(rows_of_dout.reshape(F, N, OH, OW).transpose(1, 0, 2, 3), cache)


def dout_reshaped_to_filters(dout, cache):
    dx, dw, _ = gradients(dout, cache, dout.reshape(dout.shape[1], -1))
    return dx, dw, dout.sum(axis=(0, 2, 3))


def dout_reshaped_to_places(dout, cache):
    dx, dw, _ = gradients(dout, cache, dout.reshape(-1, dout.shape[1]).T)
    return dx, dw, dout.sum(axis=(0, 2, 3))


def points_overwritten(dout, cache):
    """col2im that writes one point of the window after the other."""
    x, w, _, conv_param = cache
    (N, C, H, W), (KH, KW) = x.shape, w.shape[2:]
    stride, pad = conv_param["stride"], conv_param["pad"]
    dwindows = np.einsum("nfij,fckl->klncij", dout, w)
    dimage = np.zeros((N, C, H + 2 * pad, W + 2 * pad), x.dtype)
    OH, OW = dout.shape[2:]
    for k in range(KH):
        for j in range(KW):
            dimage[:, :, k : k + stride * OH : stride, j : j + stride * OW : stride] = dwindows[k, j]
    _, dw, db = conv_backward_naive(dout, cache)
    return dimage[:, :, pad : pad + H, pad : pad + W], dw, db


def dw_as_filters_last(dout, cache):
    dx, dw, db = conv_backward_naive(dout, cache)
    return dx, dw.reshape(len(dw), -1).T.reshape(dw.shape), db


FAST_BACKWARD = tuple(
    Mistake("conv_backward_im2col", kind, sentence, hints, code, {"conv_forward_im2col": conv_forward_naive})
    for kind, sentence, hints, code in (
        (
            "transpose",
            "dout is reshaped to (F, N * OH * OW), which mixes images and filters: transpose(1, 0, 2, 3) comes first",
            ("Which numbers are in the first row of dout.reshape(F, -1)?", "dout.transpose(1, 0, 2, 3).reshape(F, -1)"),
            dout_reshaped_to_filters,
        ),
        (
            "transpose",
            "dout is reshaped to (N * OH * OW, F), which mixes filters and places: transpose(0, 2, 3, 1) comes first",
            ("Which numbers are in the first row of dout.reshape(-1, F)?", "dout.transpose(0, 2, 3, 1).reshape(-1, F)"),
            dout_reshaped_to_places,
        ),
        (
            "missing-term",
            "dx keeps the share of one point of the window for each pixel: where windows overlap, their shares have to be added up",
            (
                "In how many columns does one pixel stand?",
                "+= for slices; np.add.at for arrays of indices, where += counts each pixel once.",
            ),
            points_overwritten,
        ),
        (
            "transpose",
            "dw comes from a product with one column a filter; transpose it before it is reshaped to (F, C, KH, KW)",
            ("Which shape has columns @ dout?", ".T.reshape(w.shape)"),
            dw_as_filters_last,
        ),
    )
)

MISTAKES = (*SIDES, *FORWARD, *FAST_FORWARD, *BACKWARD, *FAST_BACKWARD)
