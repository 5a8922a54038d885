"""Batches of normalized images in an order that follows from a seed, so that a run can continue at any of them."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from chainrule.data.augmentation import Augmentation
from chainrule.data.dataset import Dataset, Split

__all__ = ["batches"]

# what a random number is for: the streams of one seed must differ
_ORDER, _AUGMENTATION = 1, 2


def batches(
    dataset: Dataset,
    split: Split | str,
    batch_size: int,
    *,
    seed: int | None,
    epoch: int = 0,
    start: int = 0,
    augment: Augmentation | Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None,
    dtype: Any = np.float32,
    drop_last: bool = False,
    channels_last: bool = False,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (images, labels) of one epoch: every image once, in an order that follows from (seed, epoch) alone.

    Batch i also takes the randomness of its augmentation from (seed, epoch, i) alone. There is no generator state: a run that continues at
    batch `start` sees what an uninterrupted run sees.

    Parameters
    ----------
    dataset : says how to normalize
    split : "train", "val", "test", or any Split of images of the same shape
    batch_size : images in a batch, at least 1; the last batch has the rest
    seed : at least 0, or None for the order in which the split stores the images (evaluation); then there is no augmentation
    epoch : at least 0
    start : index of the first batch to yield (default 0)
    augment : an `Augmentation`, which is done in one pass with the rest; or any function (normalized images, generator) -> images
    dtype : of the images, float32 (default) or float64
    drop_last : leave out a last batch that is smaller than the others
    channels_last : let images lie in memory as (B, H, W, C), which convolutions like; a function of one's own decides that itself

    Yields
    ------
    images : (B, C, H, W) normalized, a new array, C-contiguous or channels-last
    labels : (B,) int64, a new array
    """
    if isinstance(split, str):
        split = dataset.split(split)
    if split.images.shape[1:] != dataset.image_shape:
        raise ValueError(f"images of shape {split.images.shape[1:]} for data set {dataset.name!r}, which has {dataset.image_shape}")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
    if start < 0 or epoch < 0 or (seed is not None and seed < 0):
        raise ValueError(f"seed={seed}, epoch={epoch}, start={start}; none of them may be negative")
    if seed is None and augment is not None:
        raise ValueError("augment without a seed; give a seed, or no augmentation to see the images as they are stored")
    if isinstance(augment, Augmentation):
        augment.check(dataset.image_shape)
        return _augmented_batches(dataset, split, batch_size, seed, epoch, start, augment, dtype, drop_last, channels_last)
    return _batches(dataset, split, batch_size, seed, epoch, start, augment, dtype, drop_last, channels_last)


def _batches(dataset, split, batch_size, seed, epoch, start, augment, dtype, drop_last, channels_last):
    for index, rows in _orders(len(split), batch_size, seed, epoch, start, drop_last):
        if channels_last and augment is None:
            images = _prepare(dataset, split, rows, dtype, channels_last=True)
        else:
            images = dataset.normalize(split.images[rows], dtype)
        if augment is not None and seed is not None:
            images = augment(images, np.random.default_rng([seed, _AUGMENTATION, epoch, index]))
        yield images, split.labels[rows]


def _augmented_batches(dataset, split, batch_size, seed, epoch, start, augmentation, dtype, drop_last, channels_last):
    flipped = augmentation.flipped(len(split), seed, epoch)
    how = {"pad": augmentation.pad, "reflect": augmentation.border == "reflect", "cutout": augmentation.cutout}
    for index, rows in _orders(len(split), batch_size, seed, epoch, start, drop_last):
        rng = np.random.default_rng([seed, _AUGMENTATION, epoch, index])
        changes = augmentation.draw(len(rows), dataset.image_shape, rng, None if flipped is None else flipped[rows])
        yield _prepare(dataset, split, rows, dtype, changes=changes, channels_last=channels_last, **how), split.labels[rows]


def _prepare(dataset, split, rows, dtype, **how):
    from chainrule.kernels import prepare_batch  # not above: to read a data set, Numba is not needed

    return prepare_batch(split.images, rows, *dataset.scaling(dtype), **how)


def _orders(n, batch_size, seed, epoch, start, drop_last):
    """(index of a batch, its rows of the split), from batch `start` on."""
    order = np.arange(n) if seed is None else np.random.default_rng([seed, _ORDER, epoch]).permutation(n)
    count = n // batch_size if drop_last else -(-n // batch_size)
    for index in range(start, count):
        yield index, order[index * batch_size : (index + 1) * batch_size]
