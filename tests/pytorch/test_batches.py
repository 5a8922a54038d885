"""Images that are normalized and changed on the device are those that the host would send there."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data import Augmentation, Dataset, augment, batches
from chainrule.pytorch.batches import DeviceBatches

CPU = torch.device("cpu")


def dataset(dtype=np.uint8):
    rng = np.random.default_rng(0)
    parts = [(rng.integers(0, 256, (n, 3, 8, 7)).astype(dtype), rng.integers(0, 4, n)) for n in (23, 5, 5)]
    return Dataset.from_arrays("random", train=parts[0], val=parts[1], test=parts[2])


DATA = dataset()


@given(
    flip=st.sampled_from(["random", "alternate", "none"]),
    pad=st.integers(0, 3),
    border=st.sampled_from(["zero", "reflect"]),
    cutout=st.integers(0, 5),
    seed=st.integers(0, 99),
    epoch=st.integers(0, 3),
    start=st.integers(0, 2),
    share=st.sampled_from([(0, 1), (0, 2), (1, 2), (2, 3)]),
)
def test_they_are_the_hosts_to_rounding(flip, pad, border, cutout, seed, epoch, start, share):
    how = {"seed": seed, "epoch": epoch, "start": start, "share": share, "augment": Augmentation(flip, pad, border, cutout)}
    there = DeviceBatches(DATA, DATA.train, CPU, np.float64).batches(6, **how)
    for (images, labels), (expected, expected_labels) in zip(there, batches(DATA, "train", 6, dtype=np.float64, **how), strict=True):
        np.testing.assert_allclose(images, expected, rtol=0, atol=1e-14)  # of numbers around 1
        np.testing.assert_array_equal(labels, expected_labels)


@pytest.mark.parametrize("changed", [None, augment])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_plain_ones_and_those_of_a_function_of_ones_own_are_too(changed, dtype):
    how = {"seed": 1, "epoch": 2, "augment": changed, "share": (1, 2)}
    there = DeviceBatches(DATA, DATA.train, CPU, dtype).batches(6, **how)
    for (images, labels), (expected, expected_labels) in zip(there, batches(DATA, "train", 6, dtype=dtype, **how), strict=True):
        assert images.numpy().dtype == dtype
        np.testing.assert_allclose(images, expected, rtol=0, atol=1e-6 if dtype == np.float32 else 1e-14)
        np.testing.assert_array_equal(labels, expected_labels)
