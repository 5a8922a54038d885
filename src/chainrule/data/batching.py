"""Batches of normalized images in an order that follows from a seed, so that a run can continue at any of them."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

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
    augment: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None,
    dtype: Any = np.float32,
    drop_last: bool = False,
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
    augment : (normalized images, generator) -> images, for instance `chainrule.data.augment` or a `functools.partial` of it
    dtype : of the images, float32 (default) or float64
    drop_last : leave out a last batch that is smaller than the others

    Yields
    ------
    images : (B, C, H, W) normalized, C-contiguous, a new array
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
    return _batches(dataset, split, batch_size, seed, epoch, start, augment, dtype, drop_last)


def _batches(dataset, split, batch_size, seed, epoch, start, augment, dtype, drop_last):
    n = len(split)
    order = np.arange(n) if seed is None else np.random.default_rng([seed, _ORDER, epoch]).permutation(n)
    count = n // batch_size if drop_last else -(-n // batch_size)
    for index in range(start, count):
        rows = order[index * batch_size : (index + 1) * batch_size]
        images = dataset.normalize(split.images[rows], dtype)
        if augment is not None and seed is not None:
            images = augment(images, np.random.default_rng([seed, _AUGMENTATION, epoch, index]))
        yield images, split.labels[rows]
