"""CS231n's im2col: every window of an image as a column of a matrix, which turns a convolution into a matrix product."""

import numpy as np

from chainrule.functional.geometry import conv_geometry

__all__ = ["col2im_indices", "get_im2col_indices", "im2col_indices"]


def get_im2col_indices(x_shape, field_height, field_width, padding=1, stride=1):
    """Where the elements of the columns lie in the padded image: element (a, p) is padded[n, k[a, 0], i[a, p], j[a, p]].

    Unlike the course's, it takes strides that leave a rest: rows and columns that no window reaches are left out.

    Parameters
    ----------
    x_shape : (N, C, H, W)
    field_height, field_width : sides FH and FW of the window
    padding : rows and columns of zeros on every side of the image
    stride : steps of the window

    Returns
    -------
    k : (C * FH * FW, 1), the channels
    i, j : (C * FH * FW, OH * OW), rows and columns of the padded image
    """
    settings = {"stride": stride, "pad": padding}
    geometry = conv_geometry("get_im2col_indices", x_shape, (1, x_shape[1], field_height, field_width), settings)
    channel, row, column = np.indices((x_shape[1], field_height, field_width)).reshape(3, -1, 1)
    first_row, first_column = stride * np.indices(geometry.output).reshape(2, 1, -1)
    return channel, row + first_row, column + first_column


def im2col_indices(x, field_height, field_width, padding=1, stride=1):
    """The windows of x as columns, those of one place for all N images side by side: (C * FH * FW, OH * OW * N). Arguments as above."""
    k, i, j = get_im2col_indices(x.shape, field_height, field_width, padding, stride)
    image = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    return image[:, k, i, j].transpose(1, 2, 0).reshape(len(k), -1)


def col2im_indices(cols, x_shape, field_height=3, field_width=3, padding=1, stride=1):
    """The transpose of `im2col_indices`: every element of cols is added to the pixel that it was taken from; (N, C, H, W)."""
    N, C, H, W = x_shape
    settings = {"stride": stride, "pad": padding}
    OH, OW = conv_geometry("col2im_indices", x_shape, (1, C, field_height, field_width), settings).output
    windows = cols.reshape(C, field_height, field_width, OH, OW, N).transpose(1, 2, 5, 0, 3, 4)
    image = np.zeros((N, C, H + 2 * padding, W + 2 * padding), cols.dtype)
    for row in range(field_height):
        for column in range(field_width):
            # one point of the window is at OH x OW pixels, all of them different
            image[:, :, row : row + stride * OH : stride, column : column + stride * OW : stride] += windows[row, column]
    return image[:, :, padding : padding + H, padding : padding + W]
