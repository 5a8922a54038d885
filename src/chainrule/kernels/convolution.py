"""Convolutions, compiled: the fast `chainrule.functional.conv_*_naive`, alone or with the ReLU and the max pooling that often follow.

A convolution of 3 x 3 at stride 1 in float32 with many channels is computed by Winograd's algorithm (`chainrule.kernels.winograd`), every
other directly (`chainrule.kernels.direct`); results differ from the twins' by rounding, which is greater in the former. Dtypes other than
float32 and float64, mixed ones, and empty arrays go to the twins. Outputs lie channels-last in memory: out.transpose(0, 2, 3, 1) is in C
order.
"""

from chainrule import functional
from chainrule.functional.checks import check_shape
from chainrule.functional.geometry import conv_geometry, pool_geometry
from chainrule.kernels import direct, winograd
from chainrule.kernels.arrays import fits, written
from chainrule.kernels.pooling import max_pool_backward, max_pool_forward

__all__ = [
    "conv_backward",
    "conv_backward_input",
    "conv_backward_parameters",
    "conv_direct_backward",
    "conv_direct_forward",
    "conv_forward",
    "conv_pool_backward",
    "conv_pool_backward_input",
    "conv_pool_backward_parameters",
    "conv_pool_forward",
    "conv_relu_backward",
    "conv_relu_backward_input",
    "conv_relu_backward_parameters",
    "conv_relu_forward",
    "conv_relu_pool_backward",
    "conv_relu_pool_backward_input",
    "conv_relu_pool_backward_parameters",
    "conv_relu_pool_forward",
]


def conv_forward(x, w, b, conv_param, *, out=None):
    """As `chainrule.functional.conv_forward_naive`.

    Parameters
    ----------
    x : (N, C, H, W); fast if contiguous, in this order or channels-last
    w : (F, C / groups, KH, KW); fast if contiguous, in this order or in the order (KH, KW, C / groups, F)
    b : (F,), or None for no bias
    conv_param : dict, see `chainrule.functional.conv_forward_naive`
    out : (N, F, OH, OW), to write to; default: a new array

    Returns
    -------
    out : (N, F, OH, OW)
    cache : for `conv_backward`
    """
    return _forward("conv_forward", x, w, b, conv_param, out=out)


def conv_backward(dout, cache, *, dw=None, db=None):
    """Gradients of `conv_forward`: dx like x, dw like w, db (F,) or None; dw and db go to the buffers that are given."""
    return _backward("conv_backward", dout, cache, dw, db)


def conv_backward_parameters(dout, cache, *, dw=None, db=None):
    """dw and db alone: the first layer of a network needs no dx, which costs as much as dw."""
    return _backward("conv_backward_parameters", dout, cache, dw, db, need_dx=False)[1:]


def conv_backward_input(dout, cache):
    """dx alone: of a layer whose parameters are frozen."""
    return _backward("conv_backward_input", dout, cache, need_parameters=False)[0]


def conv_relu_forward(x, w, b, conv_param, *, out=None):
    """As `chainrule.functional.conv_relu_forward`, in one pass: max(0, convolution). Arguments as `conv_forward`.

    The cache refers to out, which must not change before the backward pass.
    """
    return _forward("conv_relu_forward", x, w, b, conv_param, rectify=True, out=out)


def conv_relu_backward(dout, cache, *, dw=None, db=None):
    """Gradients of `conv_relu_forward`: dx like x, dw like w, db (F,) or None; dw and db go to the buffers that are given."""
    return _backward("conv_relu_backward", dout, cache, dw, db)


def conv_relu_backward_parameters(dout, cache, *, dw=None, db=None):
    """dw and db alone, for the first layer of a network."""
    return _backward("conv_relu_backward_parameters", dout, cache, dw, db, need_dx=False)[1:]


def conv_relu_backward_input(dout, cache):
    """dx alone: of a layer whose parameters are frozen."""
    return _backward("conv_relu_backward_input", dout, cache, need_parameters=False)[0]


def conv_pool_forward(x, w, b, conv_param, pool_param, *, out=None):
    """Convolution, then max pooling.

    In one pass for windows of 2 x 2 at stride 2 without padding: the output of the convolution itself is then nowhere written.

    Parameters
    ----------
    x, w, b, conv_param : as `conv_forward`
    pool_param : dict, see `chainrule.functional.max_pool_forward_naive`
    out : (N, F, PH, PW), to write to; default: a new array

    Returns
    -------
    out : (N, F, PH, PW)
    cache : for `conv_pool_backward`
    """
    return _forward("conv_pool_forward", x, w, b, conv_param, pool_param, out=out)


def conv_pool_backward(dout, cache, *, dw=None, db=None):
    """Gradients of `conv_pool_forward`: dx like x, dw like w, db (F,) or None; dw and db go to the buffers that are given."""
    return _backward("conv_pool_backward", dout, cache, dw, db)


def conv_pool_backward_parameters(dout, cache, *, dw=None, db=None):
    """dw and db alone, for the first layer of a network."""
    return _backward("conv_pool_backward_parameters", dout, cache, dw, db, need_dx=False)[1:]


def conv_pool_backward_input(dout, cache):
    """dx alone: of a layer whose parameters are frozen."""
    return _backward("conv_pool_backward_input", dout, cache, need_parameters=False)[0]


def conv_relu_pool_forward(x, w, b, conv_param, pool_param, *, out=None):
    """As `chainrule.functional.conv_relu_pool_forward`. Arguments, and what is done in one pass, as `conv_pool_forward`."""
    return _forward("conv_relu_pool_forward", x, w, b, conv_param, pool_param, rectify=True, out=out)


def conv_relu_pool_backward(dout, cache, *, dw=None, db=None):
    """Gradients of `conv_relu_pool_forward`: dx like x, dw like w, db (F,) or None; dw and db go to the buffers that are given."""
    return _backward("conv_relu_pool_backward", dout, cache, dw, db)


def conv_relu_pool_backward_parameters(dout, cache, *, dw=None, db=None):
    """dw and db alone, for the first layer of a network."""
    return _backward("conv_relu_pool_backward_parameters", dout, cache, dw, db, need_dx=False)[1:]


def conv_relu_pool_backward_input(dout, cache):
    """dx alone: of a layer whose parameters are frozen."""
    return _backward("conv_relu_pool_backward_input", dout, cache, need_parameters=False)[0]


def conv_direct_forward(x, w, b, conv_param, *, out=None):
    """As `conv_forward`, never by Winograd's algorithm: it rounds less, and is slower where that would be used."""
    return _forward("conv_direct_forward", x, w, b, conv_param, winograd_allowed=False, out=out)


def conv_direct_backward(dout, cache, *, dw=None, db=None):
    """Gradients of `conv_direct_forward`: dx like x, dw like w, db (F,) or None; dw and db go to the buffers that are given."""
    return _backward("conv_direct_backward", dout, cache, dw, db)


def _forward(function, x, w, b, conv_param, pool_param=None, *, rectify=False, winograd_allowed=True, out=None):
    """out, and the cache: (backward, its cache, the shape and dtype of out, the pooling's cache or None)."""
    geometry = conv_geometry(function, x.shape, w.shape, conv_param)
    if b is not None:
        check_shape(function, "b", b, (len(w),), f"one value for each filter of w {w.shape}")
    pooled = None if pool_param is None else pool_geometry(function, (len(x), len(w), *geometry.output), pool_param)
    fused = pooled is not None and _fuses(pooled, geometry.output)
    if not fits(x, w, *(() if b is None else (b,))):
        forward, backward = _naive_forward, _naive_backward
    elif winograd_allowed and winograd.suits(x.shape, w.shape, geometry, x.dtype):
        forward, backward = winograd.forward, winograd.backward
    else:
        forward, backward = direct.forward, direct.backward
    pool_cache = None
    if pooled is None or (fused and forward is not _naive_forward):
        result, cache = forward(x, w, b, geometry, rectify=rectify, pool=fused, out=out)
    else:
        result, cache = forward(x, w, b, geometry, rectify=rectify)
        naive = forward is _naive_forward
        result, pool_cache = (functional.max_pool_forward_naive if naive else max_pool_forward)(result, pool_param)
        result = written(result, "out", out)
    return result, (backward, cache, result.shape, result.dtype, pool_cache)


def _backward(function, dout, cache, dw=None, db=None, *, need_dx=True, need_parameters=True):
    backward, inner, shape, dtype, pool_cache = cache
    check_shape(function, "dout", dout, shape, "the shape of the output")
    if pool_cache is not None:
        dout = (functional.max_pool_backward_naive if backward is _naive_backward else max_pool_backward)(dout, pool_cache)
    return backward(dout.astype(dtype, copy=False), inner, dw=dw, db=db, need_dx=need_dx, need_parameters=need_parameters)


def _fuses(pooled, conv_output):
    """Whether pooling is what the convolutions do themselves."""
    plain = (pooled.kernel, pooled.stride, pooled.pad, pooled.dilation) == ((2, 2), (2, 2), (0, 0, 0, 0), (1, 1))
    return plain and pooled.output == (conv_output[0] // 2, conv_output[1] // 2)  # "ceil_mode" keeps an odd last row


def _naive_forward(x, w, b, geometry, *, rectify=False, pool=False, out=None):
    """The twin, with the signature of the compiled ones."""
    top, bottom, left, right = geometry.pad
    conv_param = {
        "stride": geometry.stride,
        "pad": ((top, bottom), (left, right)),
        "dilation": geometry.dilation,
        "groups": geometry.groups,
    }
    result, cache = functional.conv_forward_naive(x, w, b, conv_param)
    relu_cache = None
    if rectify:
        result, relu_cache = functional.relu_forward(result)
    return written(result, "out", out), (cache, relu_cache)


def _naive_backward(dout, cache, *, need_dx=True, need_parameters=True, dw=None, db=None):
    conv_cache, relu_cache = cache
    if relu_cache is not None:
        dout = functional.relu_backward(dout, relu_cache)
    dx, dw_result, db_result = functional.conv_backward_naive(dout, conv_cache)
    if not need_parameters:
        return dx, None, None
    return dx if need_dx else None, written(dw_result, "dw", dw), None if db_result is None else written(db_result, "db", db)
