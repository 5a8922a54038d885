"""Batches of normalized images in an order that follows from a seed, so that a run can continue at any of them."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from chainrule.data.augmentation import Augmentation, Changes
from chainrule.data.dataset import Dataset, Split

__all__ = ["Choice", "batches", "choices"]

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
    share: tuple[int, int] = (0, 1),
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
    share : (rank, size): only every size-th image of each batch, from image `rank` on, changed as it is in the whole batch

    Yields
    ------
    images : (B, C, H, W) normalized, a new array, C-contiguous or channels-last
    labels : (B,) int64, a new array
    """
    if isinstance(split, str):
        split = dataset.split(split)
    chosen = choices(dataset, split, batch_size, seed=seed, epoch=epoch, start=start, augment=augment, drop_last=drop_last, share=share)
    return _batches(dataset, split, chosen, augment, dtype, channels_last, share)


class Choice(NamedTuple):
    """What a batch is made of.

    Attributes
    ----------
    rows : (B,) places of its images in the split, this process's share of them
    changes : `Changes` of those, with an `Augmentation`; else None
    all_rows : those of the whole batch
    rng : generator for a function that augments the whole batch
    """

    rows: np.ndarray
    changes: Changes | None
    all_rows: np.ndarray
    rng: np.random.Generator


def choices(dataset, split, batch_size, *, seed, epoch=0, start=0, augment=None, drop_last=False, share=(0, 1)) -> Iterator[Choice]:
    """What is random in the batches of one epoch; arguments as of `batches`, which makes them."""
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
    return _choices(len(split), dataset.image_shape, batch_size, seed, epoch, start, augment, drop_last, share)


def _choices(n, image_shape, batch_size, seed, epoch, start, augment, drop_last, share):
    rank, size = share
    augmentation = augment if isinstance(augment, Augmentation) else None
    flipped = None if augmentation is None else augmentation.flipped(n, seed, epoch)
    for index, rows in _orders(n, batch_size, seed, epoch, start, drop_last):
        rng, changes = np.random.default_rng(0 if seed is None else [seed, _AUGMENTATION, epoch, index]), None
        if augmentation is not None:
            whole = augmentation.draw(len(rows), image_shape, rng, None if flipped is None else flipped[rows])
            changes = Changes(*(entry[rank::size] for entry in whole))
        yield Choice(rows[rank::size], changes, rows, rng)


def _batches(dataset, split, chosen, augment, dtype, channels_last, share):
    how, own = {}, None
    if isinstance(augment, Augmentation):
        how = {"pad": augment.pad, "reflect": augment.border == "reflect", "cutout": augment.cutout}
    else:
        own = augment
    rank, size = share
    for choice in chosen:
        labels = split.labels[choice.rows]
        if own is not None:
            yield own(dataset.normalize(split.images[choice.all_rows], dtype), choice.rng)[rank::size], labels
        elif how or channels_last:
            yield _prepare(dataset, split, choice.rows, dtype, changes=choice.changes, channels_last=channels_last, **how), labels
        else:
            yield dataset.normalize(split.images[choice.rows], dtype), labels


def _prepare(dataset, split, rows, dtype, **how):
    from chainrule.kernels import prepare_batch  # not above: to read a data set, Numba is not needed

    return prepare_batch(split.images, rows, *dataset.scaling(dtype), **how)


def _orders(n, batch_size, seed, epoch, start, drop_last):
    """(index of a batch, its rows of the split), from batch `start` on."""
    order = np.arange(n) if seed is None else np.random.default_rng([seed, _ORDER, epoch]).permutation(n)
    count = n // batch_size if drop_last else -(-n // batch_size)
    for index in range(start, count):
        yield index, order[index * batch_size : (index + 1) * batch_size]
