"""Convolution over images, and its transpose, as modules."""

import numpy as np

from chainrule.functional.geometry import conv_geometry, conv_transpose_geometry
from chainrule.nn.images import check_image, pair
from chainrule.nn.layer import Layer
from chainrule.nn.module import Parameter, check_sizes, learn
from chainrule.nn.parameters import reset_uniformly, uninitialized

__all__ = ["Conv2d", "ConvTranspose2d"]


class _Convolution(Layer):
    """What Conv2d and ConvTranspose2d share: x (N, C, H, W) -> (N, F, OH, OW)."""

    def __init__(self, in_channels, out_channels, kernel_size, stride, dilation, groups, bias, padding_mode, dtype):
        name = type(self).__name__
        _check_channels(name, in_channels, out_channels, groups, padding_mode)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = pair(name, "kernel_size", kernel_size), pair(name, "stride", stride)
        self.dilation, self.padding, self.output_padding = pair(name, "dilation", dilation), (0, 0), (0, 0)
        sides = (in_channels, out_channels // groups) if self.entry == "conv_transpose" else (out_channels, in_channels // groups)
        # in memory (KH, KW, second, first), C-contiguous
        self.weight = Parameter(uninitialized(name, (*self.kernel_size, sides[1], sides[0]), dtype).transpose(3, 2, 0, 1))
        self.bias = Parameter(np.empty(out_channels, dtype)) if bias else None

    def conv_param(self) -> dict:
        """The functional contract's dictionary."""
        raise NotImplementedError

    def reset_parameters(self, rng):
        reset_uniformly(self.weight, self.bias, rng)
        return self

    def arguments(self, x):
        return self.weight.data, None if self.bias is None else self.bias.data, self.conv_param()

    def backward(self, dout):
        """dout (N, F, OH, OW) -> dx (N, C, H, W); adds to the gradients of weight and bias."""
        functions = getattr(self.functions, self.entry)
        if functions.backward_input is not None and not learn(self.weight, self.bias):
            cache, *like_out = self.cached()
            self.check_dout(dout, *like_out)
            return functions.backward_input(dout, cache)
        dx, dw, db = super().backward(dout)
        self.weight.accumulate(dw)
        if self.bias is not None:
            self.bias.accumulate(db)
        return dx

    def extra_repr(self):
        """PyTorch's text: what is not the default."""
        said = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0, 0):
            said += f", padding={self.padding}"
        if self.dilation != (1, 1):
            said += f", dilation={self.dilation}"
        if self.output_padding != (0, 0):
            said += f", output_padding={self.output_padding}"
        if self.groups != 1:
            said += f", groups={self.groups}"
        return said if self.bias is not None else said + ", bias=False"


class Conv2d(_Convolution):
    """Slide `out_channels` filters over an image: cross-correlation, as in PyTorch (LeCun et al. 1998).

    Parameters
    ----------
    in_channels, out_channels : C and F
    kernel_size : side of the filters; like stride, padding and dilation an int, or (rows, columns)
    stride : how far the filters move (default 1)
    padding : zeros around the image (default 0); "valid" is 0, "same" as many as keep its size at stride 1 (an odd one more on the right
        and below)
    dilation : distance of the points of a filter (default 1)
    groups : the channels are divided into so many parts, each with filters of its own; groups = C is a depthwise convolution
    bias : add a learned bias (default True)
    padding_mode : "zeros"; PyTorch's other modes are not offered
    dtype : float32 (default) or float64
    rng : generator of the first values (default: fresh entropy). weight and bias ~ U(-k, k), k = 1 / sqrt(C / groups * KH * KW), as in
        PyTorch.

    Attributes
    ----------
    weight : (F, C / groups, KH, KW), in memory a C-contiguous (KH, KW, C / groups, F): the kernels read and write rows over the filters
    bias : (F,) or None
    """

    entry = "conv"

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=True,
        padding_mode="zeros",
        *,
        dtype=np.float32,
        rng=None,
    ):
        super().__init__(in_channels, out_channels, kernel_size, stride, dilation, groups, bias, padding_mode, dtype)
        self.padding, self._pad = self._padding(padding)
        self.reset_parameters(rng or np.random.default_rng())

    def _padding(self, padding):
        """The argument as PyTorch keeps it, and as `conv_param` takes it."""
        if not isinstance(padding, str):
            sides = pair("Conv2d", "padding", padding, low=0)
            return sides, sides
        if padding not in ("same", "valid"):
            raise ValueError(f'Conv2d: padding is {padding!r}; it must be "same", "valid", a whole number or a pair of them')
        if padding == "valid":
            return padding, 0
        if self.stride != (1, 1):
            raise ValueError(f'Conv2d: padding="same" needs stride 1, and stride is {self.stride}; give the padding as a number')
        both = [step * (side - 1) for step, side in zip(self.dilation, self.kernel_size, strict=True)]
        return padding, tuple((total // 2, total - total // 2) for total in both)

    def check_input(self, x):
        check_image("Conv2d", x, self.in_channels, self.weight.dtype)
        conv_geometry("Conv2d", x.shape, self.weight.shape, self.conv_param())

    def conv_param(self):
        """The functional contract's dictionary."""
        return {"stride": self.stride, "pad": self._pad, "dilation": self.dilation, "groups": self.groups}


class ConvTranspose2d(_Convolution):
    """The transpose of a convolution's linear map, which enlarges an image: `Conv2d`'s backward pass as a forward one (Zeiler et al. 2010).

    Parameters
    ----------
    in_channels, out_channels : C and F
    kernel_size, stride, padding, dilation, groups : of the convolution F -> C whose transpose this is (`Conv2d`); padding takes pixels away
    output_padding : rows and columns to add below and on the right (default 0), less than the stride: a convolution of stride 2 has the
        same output size for two input sizes, and this says which of them is meant
    bias, padding_mode, dtype : as in `Conv2d`
    rng : generator of the first values (default: fresh entropy). weight and bias ~ U(-k, k), k = 1 / sqrt(F / groups * KH * KW), as in
        PyTorch.

    Attributes
    ----------
    weight : (C, F / groups, KH, KW), in memory a C-contiguous (KH, KW, F / groups, C)
    bias : (F,) or None
    """

    entry = "conv_transpose"

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        output_padding=0,
        groups=1,
        bias=True,
        dilation=1,
        padding_mode="zeros",
        *,
        dtype=np.float32,
        rng=None,
    ):
        super().__init__(in_channels, out_channels, kernel_size, stride, dilation, groups, bias, padding_mode, dtype)
        self.padding = pair("ConvTranspose2d", "padding", padding, low=0)
        self.output_padding = pair("ConvTranspose2d", "output_padding", output_padding, low=0)
        if any(extra >= step for extra, step in zip(self.output_padding, self.stride, strict=True)):
            raise ValueError(f"ConvTranspose2d: output_padding is {output_padding}; it must be less than the stride, {stride}")
        self.reset_parameters(rng or np.random.default_rng())

    def check_input(self, x):
        check_image("ConvTranspose2d", x, self.in_channels, self.weight.dtype)
        conv_transpose_geometry("ConvTranspose2d", x.shape, self.weight.shape, self.conv_param())

    def conv_param(self):
        """The functional contract's dictionary."""
        return {
            "stride": self.stride,
            "pad": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
            "output_pad": self.output_padding,
        }


def _check_channels(name, in_channels, out_channels, groups, padding_mode):
    check_sizes(name, in_channels=in_channels, out_channels=out_channels, groups=groups)
    for argument, value in (("in_channels", in_channels), ("out_channels", out_channels)):
        if value % groups:
            raise ValueError(f"{name}: {argument} is {value}, not divisible by groups = {groups}; use a multiple of {groups}, or groups=1")
    if padding_mode != "zeros":
        raise ValueError(f'{name}: padding_mode is {padding_mode!r}; only "zeros" is offered')
