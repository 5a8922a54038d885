"""The data sets that come with chainrule or can be had by `chainrule data get`: read, and split by a seed."""

from pathlib import Path

import numpy as np

from chainrule.data.cifar10_files import CLASSES, read_batches
from chainrule.data.dataset import Dataset, Split

__all__ = ["DATASETS", "cifar10", "digits", "load"]

DATASETS = ("digits", "cifar10")

# what a random number is for: the streams of one seed must differ (batching.py has 1 and 2)
_SPLIT, _SUBSET = 3, 4


def load(name: str, *, folder: Path | str | None = None, seed: int = 0, limit: int | None = None, validation: int | None = None) -> Dataset:
    """The data set of that name.

    Parameters
    ----------
    name : one of DATASETS
    folder : where its files are (`cifar10`); the digits need none
    seed : of the split and the subset (default 0)
    limit : keep that many training images, the same number in each class as far as possible (default: all)
    validation : images held out for validation, of `cifar10` alone (default: 1,000)
    """
    if name == "digits":
        if validation is not None:
            raise ValueError(f"validation is {validation}, but the split of the digits is fixed; leave it out")
        return digits(seed=seed, limit=limit)
    if name == "cifar10":
        return cifar10(folder, seed=seed, limit=limit, **({} if validation is None else {"validation": validation}))
    raise ValueError(f"no data set {name!r}; there are {', '.join(DATASETS)}")


def digits(*, seed: int = 0, limit: int | None = None) -> Dataset:
    """scikit-learn's 1,797 handwritten digits: (1, 8, 8) with values 0 to 16, which is the scale.

    15 % of each class, rounded, are for validation and 15 % for the test, chosen by the seed: 1,259 / 269 / 269 images.
    """
    from sklearn.datasets import load_digits

    pixels, target = load_digits(return_X_y=True)  # (1797, 64) float64 with integer values, (1797,)
    images, labels = pixels.astype(np.uint8).reshape(-1, 1, 8, 8), np.asarray(target, dtype=np.int64)
    parts: dict[str, list[np.ndarray]] = {"train": [], "val": [], "test": []}
    rng = np.random.default_rng([_seed(seed), _SPLIT])
    for label in range(10):
        rows = rng.permutation(np.flatnonzero(labels == label))
        held_out = round(0.15 * len(rows))
        parts["val"].append(rows[:held_out])
        parts["test"].append(rows[held_out : 2 * held_out])
        parts["train"].append(rows[2 * held_out :])
    train, val, test = (np.sort(np.concatenate(rows)) for rows in parts.values())
    train = train[_balanced(labels[train], limit, seed)]
    splits = [Split(images[rows], labels[rows]) for rows in (train, val, test)]
    return Dataset("digits", *splits, classes=tuple(str(label) for label in range(10)), scale=16.0)


def cifar10(folder: Path | str | None = None, *, seed: int = 0, validation: int = 1_000, limit: int | None = None) -> Dataset:
    """CIFAR-10 from files that are there already: 49,000 / 1,000 / 10,000 images (3, 32, 32).

    The validation images are drawn from the official 50,000 by the seed. (CS231n takes the last 1,000.) Within each split the images keep
    the order of the files. Mean and deviation are those of the training split, the subset if there is a `limit`.

    Parameters
    ----------
    folder : contains cifar-10-batches-py or cifar-10-batches-bin, or is it (default: CHAINRULE_DATA, else the user's data folder)
    seed : of the split and the subset (default 0)
    validation : number of validation images, 1 to 49,999 (default 1,000)
    limit : keep that many training images, the same number in each class as far as possible (default: all)

    Raises
    ------
    FileNotFoundError, ValueError
        as `chainrule.data.read_batches`.
    """
    if not 1 <= validation < 50_000:
        raise ValueError(f"validation is {validation}; it must be 1 to 49,999, the rest of the 50,000 images are for training")
    shuffled = np.random.default_rng([_seed(seed), _SPLIT]).permutation(50_000)
    train_size = 50_000 - validation
    order = np.concatenate([np.sort(shuffled[:train_size]), np.sort(shuffled[train_size:]), np.arange(50_000, 60_000)])
    place = np.empty_like(order)
    place[order] = np.arange(60_000)  # image i of the files goes to row place[i]: the splits are then slices, and nothing is copied again

    images = np.empty((60_000, 3, 32, 32), dtype=np.uint8)
    labels = np.empty(60_000, dtype=np.int64)
    for index, (batch_images, batch_labels) in enumerate(read_batches(folder)):
        rows = place[10_000 * index : 10_000 * (index + 1)]
        images[rows], labels[rows] = batch_images, batch_labels

    train = Split(images[:train_size], labels[:train_size])
    val = Split(images[train_size:50_000], labels[train_size:50_000])
    test = Split(images[50_000:], labels[50_000:])
    if limit is not None:
        rows = _balanced(train.labels, limit, seed)
        # copies, so that the other training images leave the memory
        train = Split(train.images[rows], train.labels[rows])
        val, test = (Split(split.images.copy(), split.labels.copy()) for split in (val, test))
    return Dataset("cifar10", train, val, test, classes=CLASSES, scale=255.0)


def _balanced(labels: np.ndarray, limit: int | None, seed: int) -> np.ndarray:
    """Rows of `limit` labels, sorted, with as equal numbers of each class as there are labels for."""
    if limit is None:
        return np.arange(len(labels))
    if not 1 <= limit <= len(labels):
        raise ValueError(f"limit is {limit}; there are 1 to {len(labels):,} training images to choose")
    shuffled = np.random.default_rng([seed, _SUBSET]).permutation(len(labels))
    rank = np.empty(len(labels), dtype=np.int64)  # how many of its own class come before it
    for label in np.unique(labels):
        own = labels[shuffled] == label
        rank[own] = np.arange(own.sum())
    # a first of each class, then a second of each, ...; where a round is cut, the shuffled order decides
    return np.sort(shuffled[np.argsort(rank, kind="stable")[:limit]])


def _seed(seed: int) -> int:
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must be at least 0")
    return seed
