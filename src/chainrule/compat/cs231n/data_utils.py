"""CS231n's CIFAR-10: the official order, float64, the files read without running what a pickle can make Python run."""

from pathlib import Path

import numpy as np

from chainrule.data import find_cifar10, read_batches

__all__ = ["get_CIFAR10_data", "load_CIFAR10"]

DATASETS = Path("cs231n", "datasets")  # below the working directory, where the course's script puts its download


def load_CIFAR10(ROOT):
    """The whole of CIFAR-10, as numbers from 0 to 255.

    Parameters
    ----------
    ROOT : folder with the batches, or the folder that contains it; FileNotFoundError says where to get them

    Returns
    -------
    Xtr, Ytr, Xte, Yte : (50000, 32, 32, 3) float64, (50000,), (10000, 32, 32, 3) and (10000,); labels int64
    """
    X_train, y_train, X_test, y_test = _read(ROOT)
    return _channels_last(X_train), y_train, _channels_last(X_test), y_test


def get_CIFAR10_data(num_training=49000, num_validation=1000, num_test=1000, subtract_mean=True):
    """CIFAR-10 as the Solver takes it, in the official order, unlike `chainrule.data.cifar10`, which draws its validation images.

    The files are those of cs231n/datasets below the working directory, else those of CHAINRULE_DATA or the user's data folder.

    Parameters
    ----------
    num_training, num_validation : the first images of the training batches, and those that follow them; 50,000 together at most
    num_test : the first images of the test batch
    subtract_mean : subtract the mean image of the training images from all

    Returns
    -------
    dict of X_train (num_training, 3, 32, 32) float64, y_train (num_training,) int64, and X_val, y_val, X_test, y_test likewise
    """
    if num_training + num_validation > 50_000 or num_test > 10_000:
        raise ValueError(
            f"get_CIFAR10_data: {num_training} training and {num_validation} validation images of 50000, {num_test} test images of 10000; "
            "there are not so many"
        )
    X, y, X_test, y_test = _read(find_cifar10(DATASETS))
    validation = slice(num_training, num_training + num_validation)
    images = {"X_train": X[:num_training], "X_val": X[validation], "X_test": X_test[:num_test]}
    images = {name: array.astype(np.float64) for name, array in images.items()}
    if subtract_mean:
        mean_image = images["X_train"].mean(axis=0)
        for array in images.values():
            array -= mean_image
    return images | {"y_train": y[:num_training], "y_val": y[validation], "y_test": y_test[:num_test]}


def _read(folder):
    """Training and test images (N, 3, 32, 32) uint8 and labels in the order of the files."""
    *train, (X_test, y_test) = read_batches(folder)
    images, labels = zip(*train, strict=True)
    return np.concatenate(images), np.concatenate(labels), X_test, y_test


def _channels_last(images):
    return images.transpose(0, 2, 3, 1).astype(np.float64, order="C")
