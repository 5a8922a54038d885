"""Images are (N, C, H, W) in shape; the kernels read and write them channels-last: as rows (N, H, W, C) that lie one after the other."""

import itertools

import numpy as np

from chainrule.kernels.arrays import fits
from chainrule.kernels.compiler import load, run, threads
from chainrule.kernels.workspace import empty

__all__ = ["LAST", "channels_first", "channels_last", "concatenate", "contiguous", "split"]

LAST = (0, 2, 3, 1)  # the axes of images in the order in which they lie channels-last
SERIAL = 50_000  # numbers; fewer take one thread less time than it takes to wake a second one


def channels_last(x):
    """x (N, C, H, W) as (N, H, W, C) in C order: a view if its memory is so already (and writable, aligned), else a copy."""
    rows = x.transpose(LAST)
    if rows.flags.carray:
        return rows
    return _transposed(x, rows, x.shape[1]) if x.flags.carray else _copy(rows)


def channels_first(rows):
    """(N, H, W, C) seen as (N, C, H, W)."""
    return rows.transpose(0, 3, 1, 2)


def contiguous(x):
    """x in C order: itself if it is so already, else a copy."""
    if x.flags.c_contiguous:
        return x
    rows = x.transpose(LAST) if x.ndim == 4 else x
    return _transposed(rows, x, x.shape[2] * x.shape[3]) if rows is not x and rows.flags.carray else _copy(x)


def concatenate(arrays, axis):
    """np.concatenate; images that lie channels-last are joined along their channels on all threads."""
    rows = [x.transpose(LAST) if x.ndim == 4 else x for x in arrays]
    pixels = rows[0].shape[:3]
    if axis != 1 or not all(_are_rows(x) and x.shape[:3] == pixels for x in rows) or not fits(*rows):
        return np.concatenate(arrays, axis)
    out, first = empty((*pixels, sum(x.shape[3] for x in rows)), rows[0].dtype), 0
    for x in rows:
        _copy_channels(out, first, x, 0, x.shape[3])
        first += x.shape[3]
    return channels_first(out)


def split(x, bounds, axis):
    """The parts of x between the bounds along an axis, as np.split; those of images that lie channels-last lie so themselves, in copies."""
    rows = x.transpose(LAST) if x.ndim == 4 else x
    if axis != 1 or not _are_rows(rows) or not fits(rows):
        return np.split(x, bounds, axis)
    parts, edges = [], [0, *map(int, bounds), x.shape[1]]
    for first, last in itertools.pairwise(edges):
        part = empty((*rows.shape[:3], last - first), x.dtype)
        _copy_channels(part, 0, rows, first, last - first)
        parts.append(channels_first(part))
    return parts


def _are_rows(rows):
    """Whether these are (N, H, W, C) whose pixels lie one after the other."""
    return rows.ndim == 4 and rows.flags.carray


def _copy_channels(target, first, source, start, count):
    arguments = target.reshape(-1), target.shape[3], first, source.reshape(-1), source.shape[3], start, count
    run(load("layout").copy_channels, arguments, 1 if source.size < SERIAL else threads())


def _transposed(source, target, rows):
    """A copy in C order of `target`, which is `source` (N, ...) seen with each sample, as a matrix of so many rows, transposed."""
    if not fits(source):
        return _copy(target)
    out = empty(target.shape, target.dtype)
    columns = source[0].size // rows
    arguments = source.reshape(-1), out.reshape(-1), len(source), rows, columns
    run(load("layout").transpose_images, arguments, 1 if source.size < SERIAL else threads())
    return out


def _copy(array):
    copy = empty(array.shape, array.dtype)
    np.copyto(copy, array)
    return copy
