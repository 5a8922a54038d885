"""The sizes of a sliding window: what `conv_param` and `pool_param` say, checked against the shapes, in one place."""

from typing import NamedTuple

from chainrule.functional.checks import check_images

__all__ = ["Geometry", "conv_geometry", "conv_transpose_geometry", "pool_geometry"]


class Geometry(NamedTuple):
    """How a window of kernel[0] x kernel[1] points, `dilation` apart, moves over an image by `stride`; (rows, columns) throughout.

    Attributes
    ----------
    kernel, stride, dilation : (int, int)
    pad : (top, bottom, left, right), rows and columns added around the image
    groups : into how many parts the channels are divided that know nothing of each other (pooling: 1)
    output : (OH, OW), how many places the window has
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int, int, int]
    dilation: tuple[int, int]
    groups: int
    output: tuple[int, int]


def conv_geometry(function, x_shape, w_shape, conv_param):
    """The Geometry of a convolution of x (N, C, H, W) with w (F, C / groups, KH, KW).

    Parameters
    ----------
    function : name for error messages
    x_shape, w_shape : the two shapes
    conv_param : dict with
        "stride" : int or (rows, columns), default 1
        "pad" : int, (rows, columns), or ((top, bottom), (left, right)), default 0
        "dilation" : int or (rows, columns), default 1
        "groups" : int, a divisor of C and of F, default 1

    Raises
    ------
    ValueError
        If a shape or a setting is wrong, or the window does not fit into the padded image.
    """
    check_images(function, "x", x_shape)
    if len(w_shape) != 4:
        raise ValueError(f"{function}: w has shape {tuple(w_shape)}; expected (F, C / groups, KH, KW)")
    groups = conv_param.get("groups", 1)
    channels, (filters, channels_each) = x_shape[1], w_shape[:2]
    if groups < 1 or channels % groups or filters % groups:
        raise ValueError(f"{function}: groups is {groups}; it must divide both the {channels} channels of x and the {filters} filters of w")
    if channels_each * groups != channels:
        each = " in each group" if groups > 1 else ""
        raise ValueError(
            f"{function}: x has {channels // groups} channels{each} (shape {tuple(x_shape)}), "
            f"w takes {channels_each} (shape {tuple(w_shape)})"
        )
    _check_window(function, w_shape[2:])
    stride, dilation = (_pair(function, "conv_param", conv_param, name, 1) for name in ("stride", "dilation"))
    return _geometry(function, x_shape, tuple(w_shape[2:]), stride, _pads(function, "conv_param", conv_param), dilation, groups, False)


def conv_transpose_geometry(function, x_shape, w_shape, conv_param):
    """The Geometry of the convolution whose transpose maps x (N, C, H, W) with w (C, F / groups, KH, KW), and the shape of the result.

    Parameters
    ----------
    function : name for error messages
    x_shape, w_shape : the two shapes
    conv_param : dict as for `conv_geometry`, and
        "output_pad" : rows and columns added at the end of the result, less than the stride; int or (rows, columns), default 0

    Returns
    -------
    geometry : that of the convolution from the result's shape to x's; its output is (H, W)
    out_shape : (N, F, OH, OW)

    Raises
    ------
    ValueError
        If a shape or a setting is wrong, or nothing is left of the result.
    """
    check_images(function, "x", x_shape)
    if len(w_shape) != 4 or w_shape[0] != x_shape[1]:
        raise ValueError(f"{function}: x has shape {tuple(x_shape)}, w has {tuple(w_shape)}; expected ({x_shape[1]}, F / groups, KH, KW)")
    if min(x_shape[2:]) < 1:
        raise ValueError(f"{function}: x has shape {tuple(x_shape)}; an image without pixels gives none")
    groups = conv_param.get("groups", 1)
    if groups < 1 or x_shape[1] % groups:
        raise ValueError(f"{function}: groups is {groups}; it must divide the {x_shape[1]} channels of x")
    _check_window(function, w_shape[2:])
    stride, dilation = (_pair(function, "conv_param", conv_param, name, 1) for name in ("stride", "dilation"))
    pads = _pads(function, "conv_param", conv_param)
    extra = conv_param.get("output_pad", 0)
    extras = extra if isinstance(extra, tuple | list) else (extra, extra)
    output = []
    for axis in (0, 1):
        if not 0 <= extras[axis] < stride[axis]:
            raise ValueError(
                f"{function}: conv_param['output_pad'] is {extra}; it must be at least 0 and less than the stride {stride[axis]}"
            )
        reach = dilation[axis] * (w_shape[2 + axis] - 1) + 1
        output.append((x_shape[2 + axis] - 1) * stride[axis] - pads[2 * axis] - pads[2 * axis + 1] + reach + extras[axis])
    if min(output) < 1:
        raise ValueError(
            f"{function}: the output would be {output[0]} x {output[1]}, from an image of {x_shape[2]} x {x_shape[3]} and a window of "
            f"{w_shape[2]} x {w_shape[3]}; conv_param['pad'] is {conv_param.get('pad', 0)}, and cuts all of it off"
        )
    out_shape = (x_shape[0], w_shape[1] * groups, *output)
    return Geometry(tuple(w_shape[2:]), stride, pads, dilation, groups, tuple(x_shape[2:])), out_shape


def pool_geometry(function, x_shape, pool_param):
    """The Geometry of a pooling window over x (N, C, H, W).

    Parameters
    ----------
    function : name for error messages
    x_shape : the shape
    pool_param : dict with
        "pool_height", "pool_width" : sides of the window
        "stride" : int or (rows, columns), default: the sides of the window
        "pad" : int or (rows, columns), default 0; at most half of the window, so that each holds a pixel of the image
        "dilation" : int or (rows, columns), default 1
        "ceil_mode" : let the last window hang over the edge, as in PyTorch, default False

    Raises
    ------
    ValueError
        If a setting is wrong, or the window does not fit into the padded image.
    """
    check_images(function, "x", x_shape)
    kernel = pool_param["pool_height"], pool_param["pool_width"]
    _check_window(function, kernel)
    stride = _pair(function, "pool_param", pool_param, "stride", kernel)
    dilation = _pair(function, "pool_param", pool_param, "dilation", 1)
    pads = _pads(function, "pool_param", pool_param)
    if max(pads[:2]) * 2 > kernel[0] or max(pads[2:]) * 2 > kernel[1]:
        raise ValueError(
            f"{function}: pad {pool_param['pad']} is more than half of the window {kernel[0]} x {kernel[1]}; "
            "some windows would hold no pixel"
        )
    geometry = _geometry(function, x_shape, kernel, stride, pads, dilation, 1, pool_param.get("ceil_mode", False))
    for axis in (0, 1):
        # dilated points can step over a small image; windows that start inside it hold their first point
        for first in range(-pads[2 * axis], 0, stride[axis])[: geometry.output[axis]]:
            if first % dilation[axis] > min(first + dilation[axis] * (kernel[axis] - 1), x_shape[2 + axis] - 1):
                raise ValueError(
                    f"{function}: the window of {kernel[0]} x {kernel[1]} at dilation {dilation[0]} x {dilation[1]}, "
                    f"with pad {pool_param['pad']}, would hold no pixel of an image of {x_shape[2]} x {x_shape[3]} at some of its places"
                )
    return geometry


def _geometry(function, x_shape, kernel, stride, pads, dilation, groups, ceil_mode):
    output = []
    for axis in (0, 1):
        size, before, after = x_shape[2 + axis], pads[2 * axis], pads[2 * axis + 1]
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        room = size + before + after - reach
        places = room // stride[axis] + 1
        # one more that hangs over the edge, if it starts inside the image or the padding before it
        if ceil_mode and room % stride[axis] and places * stride[axis] < size + before:
            places += 1
        if places < 1:
            height, width = x_shape[2] + pads[0] + pads[1], x_shape[3] + pads[2] + pads[3]
            spread = f" at dilation {dilation[0]} x {dilation[1]}" if dilation != (1, 1) else ""
            raise ValueError(
                f"{function}: the window of {kernel[0]} x {kernel[1]}{spread} is larger than the image of {x_shape[2]} x {x_shape[3]}, "
                f"{height} x {width} with padding"
            )
        output.append(places)
    return Geometry(kernel, stride, pads, dilation, groups, (output[0], output[1]))


def _check_window(function, kernel):
    if min(kernel) < 1:
        raise ValueError(f"{function}: the window is {kernel[0]} x {kernel[1]}; its sides must be at least 1")


def _pair(function, where, param, name, default):
    value = param.get(name, default)
    rows, columns = value if isinstance(value, tuple | list) else (value, value)
    if min(rows, columns) < 1 or rows % 1 or columns % 1:
        raise ValueError(f"{function}: {where}[{name!r}] is {value}; it must be a whole number of at least 1")
    return int(rows), int(columns)


def _pads(function, where, param):
    value = param.get("pad", 0)
    sides = value if isinstance(value, tuple | list) else (value, value)
    (top, bottom), (left, right) = (side if isinstance(side, tuple | list) else (side, side) for side in sides)
    if min(top, bottom, left, right) < 0 or any(side % 1 for side in (top, bottom, left, right)):
        raise ValueError(f"{function}: {where}['pad'] is {value}; it must be a whole number, and not negative")
    return int(top), int(bottom), int(left), int(right)
