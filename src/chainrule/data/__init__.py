"""Data sets on disk or of your own arrays, as normalized batches in an order that follows from a seed."""

from chainrule.data.augmentation import Augmentation, Changes, augment
from chainrule.data.batching import batches
from chainrule.data.cifar10_files import Description, default_folder, describe, find_cifar10, read_batch, read_batches
from chainrule.data.dataset import Dataset, Split
from chainrule.data.download import get_cifar10
from chainrule.data.loading import DATASETS, cifar10, digits, load
from chainrule.data.prefetching import prefetch
from chainrule.data.views import VIEWS, View, view

__all__ = [
    "DATASETS",
    "VIEWS",
    "Augmentation",
    "Changes",
    "Dataset",
    "Description",
    "Split",
    "View",
    "augment",
    "batches",
    "cifar10",
    "default_folder",
    "describe",
    "digits",
    "find_cifar10",
    "get_cifar10",
    "load",
    "prefetch",
    "read_batch",
    "read_batches",
    "view",
]
