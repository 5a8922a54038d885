"""Direct convolution, compiled: any window, stride, padding, dilation and groups; float32 and float64; ReLU and 2 x 2 max pooling fused.

The twin is `chainrule.functional.conv_forward_naive`, from whose results these differ by the rounding of sums taken in another order: none
from run to run; for out and dx none between numbers of threads either, while dw and db are summed over the pixels thread by thread.
"""

import functools
from typing import NamedTuple

import numpy as np

from chainrule.kernels.arrays import deliver, room
from chainrule.kernels.compiler import load, run, threads, vector_lanes
from chainrule.kernels.layout import LAST, channels_first, channels_last
from chainrule.kernels.workspace import empty

__all__ = ["backward", "forward"]

SERIAL = 250_000  # multiplications; fewer take one thread less time than it takes to wake a second one
PIXELS = 256  # of small images so many go through the scratch together, so that a load of the weights serves many pixels
SCRATCH = 1 << 19  # bytes of scratch that they may take, half of an L2 cache; one image may need more
FEW = 4  # channels; images of so many are put in order as they are copied, others before
TAPS = (2, 3, 1, 0)  # the axes of weights that lie tap by tap: (KH, KW, C / groups, F)


def forward(x, w, b, geometry, *, rectify=False, pool=False, out=None):
    """Convolution; then max(0, .) if `rectify`; then 2 x 2 max pooling of stride 2, which drops an odd last row or column, if `pool`.

    Parameters
    ----------
    x : (N, C, H, W), not empty; fast if its memory is contiguous in this order or channels-last
    w : (F, C / groups, KH, KW), of x's dtype; fast if contiguous in this order or in the order (KH, KW, C / groups, F)
    b : (F,) or None
    geometry : what `chainrule.functional.geometry.conv_geometry` says of them
    out : (N, F, OH, OW), pooled (N, F, OH // 2, OW // 2), to write to; default: a new array

    Returns
    -------
    out : channels-last in memory
    cache : what `backward` needs; with `rectify` alone it refers to out, which must not change before then
    """
    N, F, (OH, OW) = len(x), len(w), geometry.output
    source, strides = _image_memory(x)
    tables = _forward_tables(
        geometry, x.shape[1:], F, _together(geometry, x.shape, F, x.itemsize), strides[1] == 1, vector_lanes(x.dtype), pool
    )
    weights, w_strides, w_taps = _weight_memory(w, tables.taps)
    compiled, parts = load("convolution"), 1 if N * OH * OW * w.size < SERIAL else threads()
    target = room(out, "out", (N, F, OH // 2, OW // 2) if pool else (N, F, OH, OW), x.dtype, LAST)
    groups = 1 if tables.depthwise else geometry.groups
    bias = np.zeros((groups, tables.width), x.dtype)
    if b is not None:
        bias[:, : F // groups] = b.reshape(groups, -1)
    winners = empty(target.shape if pool else (0,), np.uint8)
    packed, scratch = empty((tables.packed,), x.dtype), empty((parts, tables.scratch), x.dtype)
    strides_of_w = w_strides[1], w_strides[0], F // groups * w_strides[0]
    run(compiled.pack_weights, (packed, weights, strides_of_w, w_taps, tables.each, F // groups, groups, tables.walk.walks), parts)
    begin = Images(source, strides, tables.frame, tables.in_place), tables.walk, packed, bias.reshape(-1), rectify, target.reshape(-1)
    end = F, groups, (N, tables.together), scratch
    if pool:
        run(compiled.forward_pool, (*begin, winners.reshape(-1), geometry.output, *end), parts)
    else:
        run(compiled.forward, (*begin, *end, True if tables.depthwise else None), parts)
    result = deliver(target, out, LAST)
    return result, (x, w, b is not None, geometry, target if rectify and not pool else None, winners if pool else None)


def backward(dout, cache, *, need_dx=True, need_parameters=True, dw=None, db=None):
    """Gradients of `forward`.

    Parameters
    ----------
    dout : like out
    cache : from `forward`
    need_dx : whether dx is wanted; it costs as much as dw
    need_parameters : whether dw and db are
    dw, db : buffers like w and b, of any strides, to write to; default: new arrays, dw lying (KH, KW, C / groups, F)

    Returns
    -------
    dx : like x, channels-last in memory, or None
    dw : like w, or None
    db : (F,), or None if there was no b
    """
    x, w, has_bias, geometry, out, winners = cache
    with_db = has_bias and need_parameters
    (N, C, H, W), F, (OH, OW), dtype = x.shape, len(w), geometry.output, x.dtype
    source, strides = _image_memory(x)
    gradient = channels_last(dout)
    together = _together(geometry, x.shape, F, x.itemsize)
    tables = _backward_tables(geometry, x.shape[1:], F, together, strides[1] == 1, out is winners is None, vector_lanes(dtype), need_dx)
    weights, w_strides, w_taps = _weight_memory(w, tables.taps)
    compiled, parts = load("convolution"), 1 if N * OH * OW * w.size < SERIAL else threads()
    groups = 1 if tables.depthwise else geometry.groups
    dx = empty((N if need_dx else 0, H, W, C), dtype)
    packed, partial = empty((tables.packed,), dtype), empty((parts, tables.partial if need_parameters else 0), dtype)
    if need_dx:
        strides_of_w = w_strides[0], w_strides[0 if tables.depthwise else 1], F // groups * w_strides[0]
        run(compiled.pack_weights, (packed, weights, strides_of_w, w_taps, tables.each, C // groups, groups, tables.walk.walks), parts)
    arguments = (
        Images(source, strides, tables.frame, tables.in_place), tables.pixels, tables.steps,
        Images(gradient.reshape(-1), (OH * OW * F, 1, OW * F, F), tables.dout_frame, tables.dout_in_place), tables.places,
        np.empty(0, dtype) if out is None else out.reshape(-1), np.empty(0, np.uint8) if winners is None else winners.reshape(-1),
        partial, with_db, dx.reshape(-1), tables.walk, packed, groups, (N, together), empty((parts, tables.scratch), dtype),
        True if tables.depthwise else None,
    )  # fmt: skip
    run(compiled.backward, arguments, parts)
    if not need_parameters:
        return channels_first(dx), None, None
    dw_target, db_target = room(dw, "dw", w.shape, dtype, TAPS), empty((F if with_db else 0,), dtype)
    sums = partial, dw_target.reshape(-1), db_target, len(tables.steps), F // groups, groups, with_db
    run(compiled.add_partials, sums, parts)
    db_result = None if not with_db else db_target if db is None else deliver(db_target, db)
    return channels_first(dx) if need_dx else None, deliver(dw_target, dw, TAPS), db_result


class Images(NamedTuple):
    """Where images are read from.

    Attributes
    ----------
    numbers : their memory, on one axis
    strides : the distances there between images, channels, rows and columns
    frame : (H, W, C, top, left, height, width): an image, where it lies in its frame of the scratch, and how large that is
    in_place : whether they are read where they are, not copied into frames
    """

    numbers: np.ndarray
    strides: tuple
    frame: tuple
    in_place: bool


class Walk(NamedTuple):
    """Where the tiles of a product go.

    Attributes
    ----------
    walks : (n, 4), for each of the products that make up the whole (one, or one for each phase of a stride): its first pixel, how many
        pixels it has an image, its first step, how many steps it has
    pixels, places : of each pixel, the distance from the first number of the images read and written
    steps : of each (tap, channel), the distance from the pixel
    """

    walks: np.ndarray
    pixels: np.ndarray
    places: np.ndarray
    steps: np.ndarray


class ForwardTables(NamedTuple):
    """What the forward pass of a layer looks up; `_forward_tables` has the meanings."""

    frame: tuple
    in_place: bool
    walk: Walk
    taps: np.ndarray
    each: int
    depthwise: bool
    together: int
    width: int
    packed: int
    scratch: int


class BackwardTables(NamedTuple):
    """What the backward pass of a layer looks up; `_backward_tables` has the meanings."""

    frame: tuple
    in_place: bool
    pixels: np.ndarray
    steps: np.ndarray
    dout_frame: tuple
    dout_in_place: bool
    places: np.ndarray
    walk: Walk
    taps: np.ndarray
    each: int
    depthwise: bool
    partial: int
    packed: int
    scratch: int


@functools.lru_cache(maxsize=512)
def _forward_tables(geometry, image, F, together, channels_last, lanes, pool):
    """Tables for images (C, H, W) that go through the scratch `together` at a time."""
    C, (OH, OW), depthwise = image[0], geometry.output, not pool and _is_depthwise(geometry, image[0], F)
    groups = 1 if depthwise else geometry.groups
    frame, in_place = _frame(geometry, image, channels_last and not (depthwise and C % lanes))
    taps, each, steps = _taps(geometry, frame, 1 if depthwise else C // groups)
    pixels = _window_pixels(geometry, frame, together)
    width = _whole(F // groups, lanes)
    places = np.arange(len(pixels)) * (2 * lanes if pool else F)
    walk = Walk(np.array([[0, OH * OW, 0, len(steps)]]), pixels, places, steps)
    scratch = 0 if in_place else together * frame[5] * frame[6] * C + 2 * lanes
    return ForwardTables(frame, in_place, walk, taps, each, depthwise, together, width, groups * width * len(steps), scratch)


@functools.lru_cache(maxsize=512)
def _backward_tables(geometry, image, F, together, channels_last, plain, lanes, need_dx):
    """Tables for images (C, H, W) and gradients that can be read where they are if `plain`."""
    (C, H, W), (OH, OW), depthwise = image, geometry.output, _is_depthwise(geometry, image[0], F)
    groups = 1 if depthwise else geometry.groups
    frame, in_place = _frame(geometry, image, channels_last and not (depthwise and C % lanes))
    _, _, steps = _taps(geometry, frame, 1 if depthwise else C // groups)
    partial = groups * len(steps) * _whole(F // groups, lanes) + _whole(F, lanes)

    # the rows of the gradient from which row h of dx has something: (h + top - kh * dilation) / stride, where that is a whole number
    sides = []
    for axis, size, before in ((0, H, geometry.pad[0]), (1, W, geometry.pad[2])):
        offsets = np.arange(size)[:, np.newaxis] + before - np.arange(geometry.kernel[axis]) * geometry.dilation[axis]
        offsets = offsets[offsets % geometry.stride[axis] == 0] // geometry.stride[axis] if need_dx else np.zeros(0, int)
        first, last = min(0, offsets.min(initial=0)), max(geometry.output[axis], offsets.max(initial=0) + 1)
        sides.append((int(-first), int(last - first)))
    (top, height), (left, width) = sides
    dout_frame = OH, OW, F, top, left, height, width
    dout_in_place = plain and (height, width) == (OH, OW) and F // groups % lanes == 0
    places = _grid(together, height * width * F, OH, width * F, OW, F) + (top * width + left) * F

    walks, pixels, targets, dsteps, dtaps = [], [], [], [], []
    filters = 1 if depthwise else F // groups
    for a in range(geometry.stride[0] if need_dx else 0):
        for b in range(geometry.stride[1]):
            (h, shift_h, kh), (w, shift_w, kw) = _phase(geometry, 0, a, H), _phase(geometry, 1, b, W)
            if not (len(h) and len(w)):
                continue
            walks.append((sum(map(len, pixels)), len(h) * len(w), sum(map(len, dsteps)), len(kh) * len(kw) * filters))
            rows, columns = (h + geometry.pad[0]) // geometry.stride[0] + top, (w + geometry.pad[2]) // geometry.stride[1] + left
            images = np.arange(together)[:, np.newaxis, np.newaxis]
            pixels.append((images * height * width * F + (rows[:, np.newaxis] * width + columns) * F).ravel())
            targets.append((images * H * W * C + (h[:, np.newaxis] * W + w) * C).ravel())
            dsteps.append((-(shift_h[:, np.newaxis, np.newaxis] * width + shift_w[:, np.newaxis]) * F + np.arange(filters)).ravel())
            dtaps.append(np.stack(np.broadcast_arrays(kh[:, np.newaxis], kw), axis=-1).reshape(-1, 2))
    walk = Walk(
        np.array(walks, dtype=np.int64).reshape(-1, 4),
        *(np.concatenate([np.zeros(0, np.int64), *part]) for part in (pixels, targets, dsteps)),
    )
    packed = groups * _whole(C // groups, lanes) * len(walk.steps)
    scratch = (0 if in_place else frame[5] * frame[6] * C * together) + (0 if dout_in_place else height * width * F * together) + 2 * lanes
    return BackwardTables(
        frame, in_place, _window_pixels(geometry, frame, together), steps,
        dout_frame, dout_in_place, places, walk, np.concatenate([np.zeros((0, 2), np.int64), *dtaps]), filters, depthwise,
        partial, packed, scratch,
    )  # fmt: skip


def _phase(geometry, axis, phase, size):
    """The rows (or columns) of dx that lie at this phase of the stride, the taps that meet them, and how far up each of these looks."""
    stride, dilation, before = geometry.stride[axis], geometry.dilation[axis], geometry.pad[2 * axis]
    rows, taps = np.arange(size), np.arange(geometry.kernel[axis])
    rows, taps = rows[(rows + before) % stride == phase], taps[taps * dilation % stride == phase]
    return rows, (taps * dilation - phase) // stride, taps


def _frame(geometry, image, can_stay):
    """(H, W, C, top, left, height, width): where an image lies in its scratch, as far as windows reach; and whether it can do without."""
    C, H, W = image
    reach = [
        (output - 1) * stride + (kernel - 1) * dilation + 1
        for output, stride, kernel, dilation in zip(geometry.output, geometry.stride, geometry.kernel, geometry.dilation, strict=True)
    ]
    top, left = geometry.pad[0], geometry.pad[2]
    if can_stay and top == left == 0 and reach[0] <= H and reach[1] <= W:
        return (H, W, C, 0, 0, H, W), True
    return (H, W, C, top, left, reach[0], reach[1]), False


def _taps(geometry, frame, each):
    """The taps (row, column) of the window; how many channels each reads; and the distances of them all from the window's first number."""
    (KH, KW), _, _, dilation, _, _ = geometry
    taps = np.indices((KH, KW)).reshape(2, -1).T
    distances = (taps[:, 0] * dilation[0] * frame[6] + taps[:, 1] * dilation[1]) * frame[2]
    return taps, each, (distances[:, np.newaxis] + np.arange(each)).ravel()


def _window_pixels(geometry, frame, together):
    """Where the windows begin, image by image."""
    (OH, OW), (step_h, step_w), (_, _, C, _, _, height, width) = geometry.output, geometry.stride, frame
    return _grid(together, height * width * C, OH, step_h * width * C, OW, step_w * C)


def _grid(images, image_pitch, rows, row_pitch, columns, column_pitch):
    places = np.arange(images)[:, np.newaxis, np.newaxis] * image_pitch
    return (places + np.arange(rows)[:, np.newaxis] * row_pitch + np.arange(columns) * column_pitch).ravel()


def _is_depthwise(geometry, C, F):
    return geometry.groups == C == F > 1


def _together(geometry, x_shape, F, itemsize):
    """How many images go through the scratch at once."""
    N, C, H, W = x_shape
    OH, OW = geometry.output
    room = SCRATCH // ((H * W * C + OH * OW * F) * itemsize)
    return max(1, min(N, -(-PIXELS // (OH * OW)), room))


def _whole(columns, lanes):
    """Columns filled up to whole vectors."""
    return -(-columns // lanes) * lanes


def _image_memory(x):
    """The numbers of x on one axis, and the distances there between images, channels, rows and columns."""
    _, C, H, W = x.shape
    if C <= FEW and x.flags.carray and not x.transpose(LAST).flags.carray:
        return x.reshape(-1), (C * H * W, H * W, W, 1)
    return channels_last(x).reshape(-1), (H * W * C, 1, W * C, C)


def _weight_memory(w, taps):
    """The numbers of w on one axis, the distances there between filters and between channels, and the place of each tap."""
    F, C, KH, KW = w.shape
    if w.flags.carray:
        return w.reshape(-1), (C * KH * KW, KH * KW), taps @ (KW, 1)
    rows = w.transpose(TAPS)
    return (rows if rows.flags.carray else rows.copy()).reshape(-1), (1, F), taps @ (KW * C * F, C * F)
