"""Pooling over windows of an image as modules."""

from chainrule.functional.geometry import pool_geometry
from chainrule.nn.images import check_image, pair
from chainrule.nn.layer import Layer

__all__ = ["AdaptiveAvgPool2d", "AvgPool2d", "MaxPool2d"]


class _WindowPool(Layer):
    """x (N, C, H, W) -> (N, C, OH, OW), one value a window."""

    _pool_param: dict

    def arguments(self, x):
        return (self.pool_param(),)

    def check_input(self, x):
        name = type(self).__name__
        check_image(name, x)
        pool_geometry(name, x.shape, self._pool_param)

    def pool_param(self):
        """The functional contract's dictionary."""
        return dict(self._pool_param)


class MaxPool2d(_WindowPool):
    """The greatest value of each window; of several the first gets the gradient, row by row, as in PyTorch.

    Parameters
    ----------
    kernel_size : sides of the window; like stride, padding and dilation an int, or (rows, columns)
    stride : how far the window moves (default: its sides)
    padding : rows and columns around the image that never win (default 0), at most half of the window
    dilation : distance of the points of a window (default 1)
    return_indices : False; the places of the maxima are not given out
    ceil_mode : let the last window hang over the edge (default False)
    """

    entry = "max_pool"

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False):
        if return_indices:
            raise ValueError("MaxPool2d: return_indices is True; a module here returns one array, the maxima: leave it False")
        self.kernel_size, self.padding, self.dilation, self.ceil_mode = kernel_size, padding, dilation, ceil_mode
        self.stride = kernel_size if stride is None else stride
        self._pool_param = {**_window(self), "dilation": pair("MaxPool2d", "dilation", dilation)}

    def extra_repr(self):
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class AvgPool2d(_WindowPool):
    """The mean of each window.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode : as in `MaxPool2d`; the padding counts as zeros
    count_include_pad : divide by the size of the window, padding included (default True), or by the number of its pixels
    divisor_override : None; PyTorch's number to divide by instead is not offered
    """

    entry = "avg_pool"

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
        if divisor_override is not None:
            raise ValueError(f"AvgPool2d: divisor_override is {divisor_override}; only None is offered: a mean divides by its count")
        self.kernel_size, self.padding, self.ceil_mode, self.count_include_pad = kernel_size, padding, ceil_mode, count_include_pad
        self.stride = kernel_size if stride is None else stride
        self._pool_param = {**_window(self), "count_include_pad": count_include_pad}

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AdaptiveAvgPool2d(Layer):
    """Means over windows that divide the image evenly into `output_size`; 1 is global average pooling (Lin, Chen & Yan 2014).

    Parameters
    ----------
    output_size : int or (rows, columns); None in a pair keeps the image's
    """

    entry = "adaptive_avg_pool"

    def __init__(self, output_size):
        self.output_size = output_size
        sides = output_size if isinstance(output_size, tuple | list) else (output_size, output_size)
        pair("AdaptiveAvgPool2d", "output_size", tuple(1 if side is None else side for side in sides))
        self._sides = sides

    def arguments(self, x):
        return (tuple(size if side is None else side for size, side in zip(x.shape[2:], self._sides, strict=True)),)

    def check_input(self, x):
        check_image("AdaptiveAvgPool2d", x)
        if 0 in x.shape[2:]:
            raise ValueError(f"AdaptiveAvgPool2d: x has shape {x.shape}; an image without pixels has no mean")

    def extra_repr(self):
        return f"output_size={self.output_size}"


def _window(module):
    name = type(module).__name__
    height, width = pair(name, "kernel_size", module.kernel_size)
    return {
        "pool_height": height,
        "pool_width": width,
        "stride": pair(name, "stride", module.stride),
        "pad": pair(name, "padding", module.padding, low=0),
        "ceil_mode": module.ceil_mode,
    }
