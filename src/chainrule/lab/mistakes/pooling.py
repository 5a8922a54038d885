"""Mistakes in max pooling."""

import numpy as np

from chainrule.lab.mistake import Mistake

__all__ = ["MISTAKES"]


def places(size, side, stride):
    return (size - side) // stride + 1


def forward(x, pool_param, *, sides=None, count=places, start=None, reduce=None):
    """`max_pool_forward_naive`, with one of its steps put in.

    Parameters
    ----------
    sides : (height, width) -> those of the window
    count : (size, side, stride) -> how many places
    start : (i, j, stride, height, width) -> first row and column of the window
    reduce : window (N, C, height, width) -> (N, C)
    """
    height, width, stride = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    if sides is not None:
        height, width = sides(height, width)
    out: np.ndarray = np.empty((*x.shape[:2], count(x.shape[2], height, stride), count(x.shape[3], width, stride)), x.dtype)
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            row, column = (i * stride, j * stride) if start is None else start(i, j, stride, height, width)
            window = x[:, :, row : row + height, column : column + width]
            out[:, :, i, j] = window.max(axis=(2, 3)) if reduce is None else reduce(window)
    return out, (x, pool_param)


def mean_of_the_window(x, pool_param):
    return forward(x, pool_param, reduce=lambda window: window.mean(axis=(2, 3)))


def minimum(x, pool_param):
    return forward(x, pool_param, reduce=lambda window: window.min(axis=(2, 3)))


def greatest_size(x, pool_param):
    return forward(x, pool_param, reduce=lambda window: np.abs(window).max(axis=(2, 3)))


def at_least_zero(x, pool_param):
    return forward(x, pool_param, reduce=lambda window: np.maximum(window.max(axis=(2, 3)), 0))


def maximum_over_channels(x, pool_param):
    return forward(x, pool_param, reduce=lambda window: window.max(axis=(1, 2, 3), keepdims=True)[:, :, 0, 0])


def maximum_over_the_batch(x, pool_param):
    return forward(x, pool_param, reduce=lambda window: window.max(axis=(0, 2, 3)))


def first_pixel(x, pool_param):
    return forward(x, pool_param, reduce=lambda window: window[:, :, 0, 0])


def windows_without_stride(x, pool_param):
    return forward(x, pool_param, start=lambda i, j, *_: (i, j))


def rows_without_stride(x, pool_param):
    return forward(x, pool_param, start=lambda i, j, stride, *_: (i, j * stride))


def columns_without_stride(x, pool_param):
    return forward(x, pool_param, start=lambda i, j, stride, *_: (i * stride, j))


def sides_as_stride(x, pool_param):
    height, width, stride = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    N, C, H, W = x.shape
    out: np.ndarray = np.empty((N, C, (H - height) // height + 1, (W - width) // width + 1), x.dtype)
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            out[:, :, i, j] = x[:, :, i * height : (i + 1) * height, j * width : (j + 1) * width].max(axis=(2, 3))
    return out, (x, {**pool_param, "stride": stride})


def sides_swapped(x, pool_param):
    return forward(x, pool_param, sides=lambda height, width: (width, height))


def height_for_both(x, pool_param):
    return forward(x, pool_param, sides=lambda height, width: (height, height))


def width_for_both(x, pool_param):
    return forward(x, pool_param, sides=lambda height, width: (width, width))


def one_place_too_few(x, pool_param):
    return forward(x, pool_param, count=lambda size, side, stride: (size - side) // stride)


def one_added_before_the_division(x, pool_param):
    return forward(x, pool_param, count=lambda size, side, stride: (size - side + 1) // stride)


def rounded_up(x, pool_param):
    # at least 1 pixel in each: a window that begins behind the image would have no maximum
    return forward(x, pool_param, count=lambda size, side, stride: min(-(-(size - side) // stride) + 1, -(-size // stride)))


def size_over_stride(x, pool_param):
    return forward(x, pool_param, count=lambda size, side, stride: size // stride)


def one_row_too_many(x, pool_param):
    height, width, stride = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    out, cache = forward(x, pool_param)
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            out[:, :, i, j] = x[:, :, i * stride : i * stride + height + 1, j * stride : j * stride + width + 1].max(axis=(2, 3))
    return out, cache


def rows_and_columns_swapped(x, pool_param):
    out, cache = forward(x, pool_param)
    return out.swapaxes(2, 3), cache


def forward_in_single_precision(x, pool_param):
    out, cache = forward(x, pool_param)
    return out.astype(np.float32), cache


def in_integers(x, pool_param):
    out, cache = forward(x, pool_param)
    return out.astype(int), cache


FORWARD = tuple(
    Mistake("max_pool_forward_naive", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "wrong-statistic",
            "out is the mean of every window; max pooling takes the maximum",
            ("Which number of the window should be left?", "window.max()"),
            mean_of_the_window,
        ),
        (
            "wrong-statistic",
            "out is the minimum of every window; max pooling takes the maximum",
            ("Which number of the window should be left?", "window.max()"),
            minimum,
        ),
        (
            "wrong-statistic",
            "out is the greatest absolute value of the window; -5 is less than 1",
            ("What is the maximum of -5 and 1?", "window.max(), without abs"),
            greatest_size,
        ),
        (
            "numerics",
            "the maximum begins at 0, so that windows of negative numbers give 0; begin with the first number of the window, or at -inf",
            ("What is the maximum of -3 and -5?", "window.max(), or a start at -np.inf"),
            at_least_zero,
        ),
        (
            "axis",
            "the maximum is taken over the channels, too; every channel is pooled on its own",
            ("How many channels has out?", "window.max(axis=(2, 3)) for a window (N, C, height, width)"),
            maximum_over_channels,
        ),
        (
            "axis",
            "the maximum is taken over the images of the batch, too; every image is pooled on its own",
            ("Has one image to do with another?", "window.max(axis=(2, 3)) for a window (N, C, height, width)"),
            maximum_over_the_batch,
        ),
        (
            "wrong-statistic",
            "out is the first pixel of every window; max pooling takes the maximum of all of them",
            ("Which pixels does the slice of the window hold?", "window.max() over the whole window"),
            first_pixel,
        ),
        (
            "off-by-one",
            "the window moves by one pixel whatever the stride is: at place (i, j) it begins at row i * stride and column j * stride",
            ("Where does the window of out[:, :, 1, 0] begin, if the stride is 2?", "rows i * stride to i * stride + pool_height"),
            windows_without_stride,
        ),
        (
            "off-by-one",
            "the window's rows begin at i; they have to begin at i * stride",
            ("Where does the window of out[:, :, 1, 0] begin, if the stride is 2?", "rows i * stride to i * stride + pool_height"),
            rows_without_stride,
        ),
        (
            "off-by-one",
            "the window's columns begin at j; they have to begin at j * stride",
            ("Where does the window of out[:, :, 0, 1] begin, if the stride is 2?", "columns j * stride to j * stride + pool_width"),
            columns_without_stride,
        ),
        (
            "off-by-one",
            "the window moves by its own sides; it has to move by the stride: windows may overlap, or leave gaps",
            ("What does stride 1 mean for a window of 3 x 3?", "rows i * stride to i * stride + pool_height"),
            sides_as_stride,
        ),
        (
            "transpose",
            "height and width of the window are swapped: pool_height counts rows, axis 2",
            ("Which axis of x are the rows?", "H, W = x.shape[2:]: rows go with pool_height."),
            sides_swapped,
        ),
        (
            "transpose",
            "the window is a square of pool_height; its columns are pool_width",
            ("Where does pool_width stand?", "columns j * stride to j * stride + pool_width"),
            height_for_both,
        ),
        (
            "transpose",
            "the window is a square of pool_width; its rows are pool_height",
            ("Where does pool_height stand?", "rows i * stride to i * stride + pool_height"),
            width_for_both,
        ),
        (
            "off-by-one",
            "out has a row and a column too few: + 1 is missing in (H - pool_height) // stride + 1",
            ("How many places has a window that is as large as the image?", "OH = (H - pool_height) // stride + 1"),
            one_place_too_few,
        ),
        (
            "off-by-one",
            "the 1 is added before the division by the stride; the size is (H - pool_height) // stride + 1",
            ("How many places has a window of 2 along 5 rows at stride 2?", "The first place needs no step: divide, then add 1."),
            one_added_before_the_division,
        ),
        (
            "off-by-one",
            "the number of places is rounded up, so that the last windows hang over the edge; a window has to lie inside the image",
            ("How many places has a window of 2 along 5 rows at stride 2?", "OH = (H - pool_height) // stride + 1, rounded down"),
            rounded_up,
        ),
        (
            "off-by-one",
            "the size is H // stride, which is right where window and stride are equal; it is (H - pool_height) // stride + 1",
            ("How many places has a window of 3 along 5 rows at stride 1?", "OH = (H - pool_height) // stride + 1"),
            size_over_stride,
        ),
        (
            "off-by-one",
            "the window has a row and a column too many: the slice ends before i * stride + pool_height",
            ("How many rows are in 0:3?", "rows i * stride : i * stride + pool_height, without + 1"),
            one_row_too_many,
        ),
        (
            "transpose",
            "rows and columns of out are swapped: out[n, c, i, j] belongs to row i and column j of the window's places",
            ("Which of H and W gives OH?", "out has the shape (N, C, OH, OW)."),
            rows_and_columns_swapped,
        ),
        (
            "dtype",
            "out is float32 for inputs of float64, which spoils gradient checks; expected x's dtype",
            ("Which dtype has the array that out is written into?", "np.zeros(shape, x.dtype)"),
            forward_in_single_precision,
        ),
        (
            "dtype",
            "out is an array of integers, which cuts off what is behind the point; expected x's dtype",
            ("Which dtype has the array that out is written into?", "np.zeros(shape, x.dtype)"),
            in_integers,
        ),
    )
)


def first_maximum(window):
    """True at the first of the maxima of every window (N, C, height, width)."""
    flat = window.reshape(*window.shape[:2], -1)
    return (np.arange(flat.shape[2]) == flat.argmax(axis=2)[..., None]).reshape(window.shape)


def backward(dout, cache, *, share=None, start=None, keep="sum"):
    """`max_pool_backward_naive`, with one of its steps put in.

    Parameters
    ----------
    share : (window, dout of it (N, C, 1, 1)) -> its gradient
    start : (i, j, stride, height, width) -> first row and column of the window
    keep : the "sum" of all windows; or of the last one its first maximum ("pixels"), its maxima ("maxima"), or all its pixels ("windows")
    """
    x, pool_param = cache
    height, width, stride = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    dx = np.zeros_like(x)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            row, column = (i * stride, j * stride) if start is None else start(i, j, stride, height, width)
            inside = (slice(None), slice(None), slice(row, row + height), slice(column, column + width))
            window, upstream = x[inside], dout[:, :, i : i + 1, j : j + 1]
            back = first_maximum(window) * upstream if share is None else share(window, upstream)
            if keep == "sum":
                dx[inside] += back
            elif keep == "windows":
                dx[inside] = back
            else:
                dx[inside] = np.where(maxima(window) if keep == "maxima" else first_maximum(window), back, dx[inside])
    return dx


def maxima(window):
    return window == window.max(axis=(2, 3), keepdims=True)


def all_maxima(dout, cache):
    return backward(dout, cache, share=lambda window, dout: maxima(window) * dout)


def divided_among_maxima(dout, cache):
    return backward(dout, cache, share=lambda window, dout: maxima(window) * dout / maxima(window).sum(axis=(2, 3), keepdims=True))


def last_maximum(dout, cache):
    return backward(dout, cache, share=lambda window, dout: first_maximum(window[:, :, ::-1, ::-1])[:, :, ::-1, ::-1] * dout)


def first_by_columns(dout, cache):
    return backward(dout, cache, share=lambda window, dout: first_maximum(window.swapaxes(2, 3)).swapaxes(2, 3) * dout)


def overwritten_pixels(dout, cache):
    return backward(dout, cache, keep="pixels")


def overwritten_windows(dout, cache):
    return backward(dout, cache, keep="windows")


def overwritten_windows_with_a_mask(dout, cache):
    return backward(dout, cache, share=lambda window, dout: maxima(window) * dout, keep="windows")


def overwritten_maxima(dout, cache):
    return backward(dout, cache, share=lambda window, dout: maxima(window) * dout, keep="maxima")


def without_dout_with_a_mask(dout, cache):
    return backward(dout, cache, share=lambda window, dout: maxima(window).astype(window.dtype))


def times_the_maximum_with_a_mask(dout, cache):
    return backward(dout, cache, share=lambda window, dout: maxima(window) * window * dout)


def without_stride_with_a_mask(dout, cache):
    return backward(dout, cache, share=lambda window, dout: maxima(window) * dout, start=lambda i, j, *_: (i, j))


def spread_evenly(dout, cache):
    return backward(dout, cache, share=lambda window, dout: np.ones_like(window) * dout / window[0, 0].size)


def given_to_all(dout, cache):
    return backward(dout, cache, share=lambda window, dout: np.ones_like(window) * dout)


def times_the_maximum(dout, cache):
    return backward(dout, cache, share=lambda window, dout: first_maximum(window) * window * dout)


def without_dout(dout, cache):
    return backward(dout, cache, share=lambda window, dout: first_maximum(window).astype(window.dtype))


def one_maximum_for_all_channels(dout, cache):
    def share(window, dout):
        flat = window.reshape(len(window), -1)
        chosen = np.arange(flat.shape[1]) == flat.argmax(axis=1)[:, None]
        return chosen.reshape(window.shape) * dout

    return backward(dout, cache, share=share)


def minima(dout, cache):
    return backward(dout, cache, share=lambda window, dout: first_maximum(-window) * dout)


def greatest_sizes(dout, cache):
    return backward(dout, cache, share=lambda window, dout: first_maximum(np.abs(window)) * dout)


def at_the_first_pixel(dout, cache):
    return backward(dout, cache, share=lambda window, dout: np.pad(dout, [(0, 0), (0, 0), *((0, side - 1) for side in window.shape[2:])]))


def backward_without_stride(dout, cache):
    return backward(dout, cache, start=lambda i, j, *_: (i, j))


def divided_by_the_height(dout, cache):
    """The index of the maximum in the flat window, taken apart by the wrong side."""
    x, pool_param = cache
    height, width, stride = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    N, C = x.shape[:2]
    dx = np.zeros_like(x)
    samples, channels = np.ogrid[:N, :C]
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            window = x[:, :, i * stride : i * stride + height, j * stride : j * stride + width]
            row, column = np.divmod(window.reshape(N, C, -1).argmax(axis=2), height)
            dx[samples, channels, i * stride + row, j * stride + column] += dout[:, :, i, j]
    return dx


def rows_and_columns_of_the_maximum_swapped(dout, cache):
    return backward(
        dout, cache, share=lambda window, dout: first_maximum(window).reshape(*window.shape[:2], *window.shape[:1:-1]).swapaxes(2, 3) * dout
    )


def means_over_the_batch(dout, cache):
    return backward(dout, cache) / len(dout)


def backward_in_single_precision(dout, cache):
    return backward(dout, cache).astype(np.float32)


BACKWARD = tuple(
    Mistake("max_pool_backward_naive", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "scale",
            "of equal maxima each gets the gradient, which counts it several times; the first in reading order gets it alone",
            ("What is window == window.max() for a window of zeros?", "np.argmax gives the first; np.unravel_index its row and column."),
            all_maxima,
        ),
        (
            "scale",
            "equal maxima share the gradient; the docstring gives it to the first in reading order",
            ("Which of two equal maxima does the docstring name?", "np.argmax gives the first; np.unravel_index its row and column."),
            divided_among_maxima,
        ),
        (
            "off-by-one",
            "of equal maxima the last gets the gradient; the docstring gives it to the first in reading order",
            ("Is it > or >= in your comparison?", "np.argmax gives the first."),
            last_maximum,
        ),
        (
            "transpose",
            "of equal maxima the first by columns gets the gradient; reading order goes along the rows",
            (
                "Which loop is the inner one, that over rows or that over columns?",
                "np.argmax of the flat window gives the first along the rows.",
            ),
            first_by_columns,
        ),
        (
            "missing-term",
            "where windows overlap, a pixel that is the maximum of several has the gradient of the last one alone; add them up",
            ("Of how many windows can one pixel be the maximum?", "+= where there is ="),
            overwritten_pixels,
        ),
        (
            "missing-term",
            "every window overwrites dx at all its pixels, also with zeros; where windows overlap their shares have to be added up",
            ("What happens to the pixels that two windows have in common?", "+= where there is ="),
            overwritten_windows,
        ),
        (
            "missing-term",
            "every window overwrites dx at all its pixels, where windows overlap their shares have to be added up; "
            "and of equal maxima all get the gradient, not the first in reading order alone",
            ("What happens to the pixels that two windows have in common?", "+= where there is =; and np.argmax instead of a mask"),
            overwritten_windows_with_a_mask,
        ),
        (
            "missing-term",
            "where windows overlap, a pixel that is the maximum of several has the gradient of the last one alone: add them up; "
            "and of equal maxima all get it, not the first in reading order alone",
            ("Of how many windows can one pixel be the maximum?", "+= where there is =; and np.argmax instead of a mask"),
            overwritten_maxima,
        ),
        (
            "missing-term",
            "dx is 1 at every maximum; it has to be dout there: the chain rule; and only the first of equal maxima gets it",
            ("Where does dout enter?", "dx at np.argmax of the window += dout[n, c, i, j]"),
            without_dout_with_a_mask,
        ),
        (
            "missing-term",
            "dx is multiplied by the value of the maximum; the derivative of max(x) with respect to that x is 1; "
            "and only the first of equal maxima gets it",
            ("If the maximum grows by 1, by how much does out grow?", "dx at np.argmax of the window += dout[n, c, i, j]"),
            times_the_maximum_with_a_mask,
        ),
        (
            "off-by-one",
            "the windows are at row i and column j; with a stride they are at i * stride and j * stride; "
            "and of equal maxima all get the gradient, not the first in reading order alone",
            (
                "Which window has made out[n, c, 1, 0], if the stride is 2?",
                "The same slices as in the forward pass; np.argmax, not a mask.",
            ),
            without_stride_with_a_mask,
        ),
        (
            "wrong-statistic",
            "dout is spread over the window, as for the mean; the maximum alone has entered out, and gets all of it",
            ("Does out change when a smaller pixel of the window does?", "dx at the maximum += dout[n, c, i, j]"),
            spread_evenly,
        ),
        (
            "missing-term",
            "all pixels of the window get dout; the maximum alone has entered out",
            ("Does out change when a smaller pixel of the window does?", "Multiply dout by a mask of the maximum."),
            given_to_all,
        ),
        (
            "missing-term",
            "dx is multiplied by the value of the maximum; the derivative of max(x) with respect to that x is 1",
            ("If the maximum grows by 1, by how much does out grow?", "mask * dout[n, c, i, j], without the window"),
            times_the_maximum,
        ),
        (
            "missing-term",
            "dx is 1 at every maximum; it has to be dout there: the chain rule",
            ("Where does dout enter?", "mask * dout[n, c, i, j]"),
            without_dout,
        ),
        (
            "axis",
            "one maximum is searched for all channels of a window; every channel has its own",
            ("How many maxima has a window of 3 channels?", "Search in x[n, c], channel by channel."),
            one_maximum_for_all_channels,
        ),
        (
            "sign",
            "the gradient goes to the minimum of every window; it belongs to the maximum",
            ("Is it argmin or argmax?", "np.argmax"),
            minima,
        ),
        (
            "wrong-statistic",
            "the gradient goes to the greatest absolute value of the window; it belongs to the maximum",
            ("What is the maximum of -5 and 1?", "np.argmax of the window itself"),
            greatest_sizes,
        ),
        (
            "missing-term",
            "the gradient goes to the first pixel of every window; it belongs to the maximum",
            ("Which pixel has entered out?", "np.argmax of the window, and np.unravel_index for its row and column."),
            at_the_first_pixel,
        ),
        (
            "off-by-one",
            "the windows are at row i and column j; with a stride they are at i * stride and j * stride",
            ("Which window has made out[n, c, 1, 0], if the stride is 2?", "The same slices as in the forward pass."),
            backward_without_stride,
        ),
        (
            "transpose",
            "the index of the maximum is divided by the window's height; row and column are its quotient and rest by the width",
            ("Which point of a window of 3 x 2 has the index 2?", "row, column = divmod(index, pool_width), or np.unravel_index"),
            divided_by_the_height,
        ),
        (
            "transpose",
            "row and column of the maximum are swapped inside the window: np.argmax counts along the rows",
            ("Which point of a window of 2 x 2 has the index 1?", "row, column = np.unravel_index(index, (pool_height, pool_width))"),
            rows_and_columns_of_the_maximum_swapped,
        ),
        (
            "scale",
            "dx is divided by N; the loss divided by N already",
            ("Does dout know of N already?", "dx at the maximum += dout[n, c, i, j]"),
            means_over_the_batch,
        ),
        (
            "dtype",
            "dx is float32 for inputs of float64, which spoils gradient checks; expected x's dtype",
            ("Which dtype has the array that dx is written into?", "np.zeros_like(x)"),
            backward_in_single_precision,
        ),
    )
)

MISTAKES = (*FORWARD, *BACKWARD)
