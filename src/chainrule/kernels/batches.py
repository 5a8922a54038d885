"""The batches of `chainrule.data`, compiled: what NumPy does in four passes over a batch is one."""

import numpy as np

from chainrule.kernels.arrays import flat
from chainrule.kernels.compiler import load

__all__ = ["prepare_batch"]


def prepare_batch(images, rows, factor, offset, changes=None, *, pad=0, reflect=False, cutout=0, channels_last=False):
    """images[rows] * factor - offset, flipped, shifted and blanked: bit for bit `Dataset.normalize` and then `Augmentation.apply`.

    Runs on the thread that calls it, without the interpreter's lock.

    Parameters
    ----------
    images : (M, C, H, W) uint8, float32 or float64
    rows : (N,) integers, which of them
    factor, offset : (C,) float32 or float64, the dtype of the result
    changes : `chainrule.data.Changes` of the N images, or None for none
    pad, reflect, cutout : of `chainrule.data.Augmentation`
    channels_last : let the result lie in memory as (N, H, W, C) does (default: as its shape says)

    Returns
    -------
    (N, C, H, W), a new array
    """
    n, (channels, height, width) = len(rows), images.shape[1:]
    if channels_last:
        memory = np.empty((n, height, width, channels), factor.dtype)
        strides = (height * width * channels, 1, width * channels, channels)
    else:
        memory = np.empty((n, channels, height, width), factor.dtype)
        strides = (height * width * channels, height * width, width, 1)
    nothing = np.zeros(n, np.int64)
    flipped, *places = (np.zeros(n, np.bool_), nothing, nothing, nothing, nothing) if changes is None else changes
    own = (np.asarray(place, np.int64) for place in places)
    if not images.flags.carray:  # all of them would be copied
        images, rows = images[rows], np.arange(n)
    images, shape = flat(images), (channels, height, width)
    arguments = (np.asarray(rows, np.int64), factor, offset, np.asarray(flipped, np.bool_), *own, pad, bool(reflect), cutout)
    load("batches").prepare(images, shape, *arguments, memory.reshape(-1), strides)
    return memory.transpose(0, 3, 1, 2) if channels_last else memory
