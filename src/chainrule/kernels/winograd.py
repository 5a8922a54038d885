"""Convolution with 3x3 kernels at stride 1 by Winograd's algorithm: a quarter of the multiplications, at the price of some digits.

Its errors, relative to the largest value of a result, are about 1e-5 in float32 for the output and dx, and 4e-5 for dw, where a direct
convolution has 1e-6; below 1e-12 in float64. Values over 1e36 overflow on the way; an infinity, or a NaN, makes NaN of all outputs of the
4x4 tiles that see it. Results are the same bits at every run with the same number of threads; with another number dw and db differ by
rounding, and nothing else. `chainrule.kernels.compiled.winograd` has the algorithm.
"""

import numpy as np

from chainrule.kernels.arrays import deliver, room
from chainrule.kernels.compiler import load, run, threads, vector_lanes
from chainrule.kernels.layout import LAST, channels_first, channels_last
from chainrule.kernels.workspace import empty

__all__ = ["backward", "forward", "suits"]

PIXELS = 1000  # of the output; with fewer, transforming the weights takes longer than the multiplications that are saved
CHANNELS = 16  # with fewer, transforming the images does
SERIAL = 500_000  # multiplications of the direct way; fewer take one thread less time than it takes to wake a second one
PLAIN, RECTIFIED, POOLED = 0, 1, 2  # what stands between dout and the gradient of the convolution itself


def suits(x_shape, w_shape, geometry, dtype):
    """Whether `forward` and `backward` take this convolution, and are likely to be faster than the direct way.

    Parameters
    ----------
    x_shape : (N, C, H, W)
    w_shape : (F, C, 3, 3)
    geometry : the `Geometry` of the two
    dtype : float32; float64 verifies, and is left to the direct way, which rounds less
    """
    usual = geometry.kernel == (3, 3) and geometry.stride == geometry.dilation == (1, 1) and geometry.groups == 1
    if not usual or np.dtype(dtype) != np.float32 or min(w_shape[:2]) < CHANNELS:
        return False
    OH, OW = geometry.output
    tiles = -(-OH // 4) * -(-OW // 4)
    # 36 multiplications a tile, also where it hangs over the edge, instead of 9 a pixel
    return x_shape[0] * OH * OW >= PIXELS and 2 * 36 * tiles <= 9 * OH * OW


def forward(x, w, b, geometry, *, rectify=False, pool=False, out=None):
    """Convolution of x with w, plus b; then, as asked, max(0, .) and 2x2 max pooling of stride 2 (an odd last row or column is dropped).

    Parameters
    ----------
    x : (N, C, H, W), fastest channels-last in memory
    w : (F, C, 3, 3), fastest as (3, 3, C, F) in memory
    b : (F,), or None
    geometry : the `Geometry`; kernel 3x3, stride, dilation and groups 1, any padding
    out : (N, F, OH, OW), or half as high and wide, to write to; default: a new array, channels-last

    Returns
    -------
    out : (N, F, OH, OW), or half as high and wide; with `pool` the output of the convolution itself is nowhere written
    cache : what `backward` needs; it refers to x and, with `rectify` alone, to out
    """
    compiled, lanes = load("winograd"), vector_lanes(x.dtype)
    filters, (OH, OW) = w.shape[0], geometry.output
    rows = _widened(channels_last(x), lanes)
    sizes = _sizes(rows.shape, _wide(filters, lanes), geometry, x.dtype)
    bias = np.zeros(0 if b is None else sizes.F_packed, x.dtype)
    if b is not None:
        bias[:filters] = b
    shape = (sizes.N, OH // 2, OW // 2, filters) if pool else (sizes.N, OH, OW, filters)
    target = room(out, "out", (sizes.N, filters, *shape[1:3]), x.dtype, LAST)
    wide = target if filters == sizes.F else empty((*shape[:3], sizes.F), x.dtype)
    winners = empty(wide.shape if pool else (0,), np.uint8)
    parts = _parts(sizes)
    U = _packed(w.transpose(2, 3, 1, 0), sizes.C, sizes.F_packed, parts)
    row = sizes.W * sizes.C, sizes.OW * sizes.F
    scratch = _scratch(sizes, 2, max(6 * row[0], 4 * row[1]), x.dtype, parts)
    arguments = (rows.reshape(-1), U, bias, rectify, pool, wide.reshape(-1), winners.reshape(-1), sizes, scratch)
    run(compiled.forward, arguments, parts)
    if wide is not target:
        target[...] = wide[..., :filters]
    result = deliver(target, out, LAST)
    return result, (rows, w, b is not None, geometry, wide if rectify and not pool else None, winners if pool else None)


def backward(dout, cache, *, need_dx=True, need_parameters=True, dw=None, db=None):
    """Gradients of `forward`.

    Parameters
    ----------
    dout : like out
    cache : from `forward`
    need_dx : False leaves dx out, which costs as much as dw
    need_parameters : False leaves dw and db out
    dw : (F, C, 3, 3), to write to, fastest as (3, 3, C, F) in memory; default: a new array of that memory
    db : (F,), to write to; default: a new array

    Returns
    -------
    dx : (N, C, H, W), channels-last in memory, or None
    dw : (F, C, 3, 3), or None
    db : (F,), or None without a bias
    """
    rows, w, has_bias, geometry, out, winners = cache
    compiled, dtype = load("winograd"), rows.dtype
    lanes = vector_lanes(dtype)
    filters, channels = w.shape[:2]
    sizes = _sizes(rows.shape, _wide(filters, lanes), geometry, dtype)
    gradients = _widened(channels_last(dout), lanes)
    mode = POOLED if winners is not None else RECTIFIED if out is not None else PLAIN
    parts = _parts(sizes)
    U = _packed(w.transpose(2, 3, 0, 1), sizes.F, sizes.C_packed, parts) if need_dx else np.empty(0, dtype)
    dx = empty(rows.shape if need_dx else (0,), dtype)
    has_db = has_bias and need_parameters
    dU = empty((parts, 36, sizes.C_rows, sizes.F_packed) if need_parameters else (0,), dtype)
    db_sums = empty((parts, sizes.F_packed if has_db else 0), dtype)
    row = sizes.W * sizes.C, sizes.OW * sizes.F
    rest = empty((parts if need_dx else 0, 2, *rows.shape[2:]), dtype)
    scratch = _scratch(sizes, 3, 4 * row[0] + max(6 * row[0], 8 * row[1]), dtype, parts)
    arguments = (
        rows.reshape(-1), U, gradients.reshape(-1), (gradients if out is None else out).reshape(-1),
        (np.empty(0, np.uint8) if winners is None else winners).reshape(-1), mode, dx.reshape(-1), rest.reshape(-1),
        dU.reshape(-1), db_sums.reshape(-1), sizes, scratch,
    )  # fmt: skip
    run(compiled.backward, arguments, parts)
    if need_dx:
        _add_rest(dx, rest, sizes)
    dx = channels_first(dx)[:, :channels] if need_dx else None
    if not need_parameters:
        return dx, None, None
    shape = (3, 3, sizes.C, sizes.F)
    target = None if dw is None or dw.dtype != dtype else dw.transpose(2, 3, 1, 0)
    direct = target is not None and target.flags.carray and target.shape == shape
    if target is None or not direct:
        target = empty(shape, dtype)
    run(compiled.unpack_weights, (dU.reshape(-1), parts, target.reshape(-1), sizes), parts)
    gradient = target[:, :, :channels, :filters].transpose(3, 2, 0, 1)
    if dw is None:
        dw = gradient
    elif not direct:
        dw[...] = gradient
    if not has_db:
        db = None
    elif db is None:
        db = db_sums[:, :filters].sum(axis=0)
    else:
        db[...] = db_sums[:, :filters].sum(axis=0)
    return dx, dw, db


def _add_rest(dx, rest, sizes):
    """Where the work was divided within an image, dx lacks what the strip above has for two rows of the one below."""
    for part in range(1, len(rest)):
        strip = sizes.N * sizes.TH * part // len(rest)
        n, first = strip // sizes.TH, 4 * (strip % sizes.TH) - sizes.top
        if strip % sizes.TH:
            start, stop = (min(max(row, 0), sizes.H) for row in (first, first + 2))
            dx[n, start:stop] += rest[part - 1, start - first : stop - first]


def _parts(sizes):
    """Among how many threads the work is divided."""
    return 1 if sizes.N * sizes.OH * sizes.OW * sizes.C * sizes.F * 9 < SERIAL else threads()


def _wide(channels, lanes):
    """How many channels the compiled code is given: more if the last ones do not fill a vector inside a panel of two."""
    return channels if channels % (2 * lanes) == 0 or channels % (2 * lanes) >= lanes else -(-channels // lanes) * lanes


def _widened(rows, lanes):
    """rows (N, H, W, C), with channels of zeros where `_wide` wants more."""
    width = _wide(rows.shape[3], lanes)
    if rows.shape[3] == width:
        return rows
    wide = empty((*rows.shape[:3], width), rows.dtype)
    wide[..., : rows.shape[3]], wide[..., rows.shape[3] :] = rows, 0
    return wide


def _packed(w, depth, columns, parts):
    """w (3, 3, depth or less, columns or less), filled up with zeros, transformed and packed for products with `depth` by `columns`."""
    if w.shape[2:] == (depth, columns) and w.flags.carray:
        full = w
    else:
        full = empty((3, 3, depth, columns), w.dtype)
        full[:, :, : w.shape[2], : w.shape[3]] = w
        full[:, :, w.shape[2] :], full[:, :, :, w.shape[3] :] = 0, 0
    compiled, U = load("winograd"), empty((36 * depth * columns,), w.dtype)
    run(compiled.pack_weights, (full.reshape(-1), U, depth, columns), parts)
    return U


def _scratch(sizes, columns, edge, dtype, parts):
    """Memory for the intermediate results of every thread: V and M, `columns` rows of tiles of one vector of channels, `edge` numbers."""
    lanes = vector_lanes(dtype)
    each = 36 * (sizes.V_stride + sizes.M_stride) + columns * 6 * (4 * sizes.TW + 2) * lanes + edge
    memory = empty((parts * (-(-each // lanes) * lanes) + lanes,), dtype)
    start = (
        -memory.__array_interface__["data"][0] % (lanes * memory.itemsize) // memory.itemsize
    )  # a vector across two cache lines costs two accesses
    return memory[start : memory.size - lanes + start]


def _sizes(rows_shape, filters, geometry, dtype):
    tile, lanes = load("tile"), vector_lanes(dtype)
    N, H, W, C = rows_shape
    (OH, OW), (top, _, left, _) = geometry.output, geometry.pad
    TH, TW = -(-OH // 4), -(-OW // 4)
    width = 2 * lanes
    C_packed, F_packed = (-(-size // width) * width for size in (C, filters))
    C_rows = C_packed // width * -(-width // tile.ROWS) * tile.ROWS
    group = _group(C_packed, F_packed, TW, N * TH)
    tiles = -(-group * TW // tile.ROWS) * tile.ROWS
    # the strides are odd numbers of vectors: multiples of 4 KB would put 36 matrices into the same few places of the L1 cache
    return load("winograd").Sizes(
        N, H, W, C, filters, OH, OW, TH, TW, top, left, group, tiles * width,
        tiles * C_packed + lanes, tiles * F_packed + lanes, C_packed, F_packed, C_rows,
    )  # fmt: skip


def _group(channels, filters, TW, strips):
    """How many strips go through all steps together.

    Every group reads U, and reads and writes dU: 28 MB for 256 channels and filters, for which more tiles have to pay. Measured.
    """
    tiles = 64 if channels * filters <= 128 * 256 else 128
    return max(1, min(tiles // TW, strips))
