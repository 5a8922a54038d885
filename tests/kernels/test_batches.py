"""The compiled batches against `Dataset.normalize` and `Augmentation.apply`, bit for bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data import Augmentation, Dataset, Split
from chainrule.kernels import prepare_batch


def dataset(dtype, shape=(3, 7, 5), n=11):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, *shape)).astype(dtype)
    split = Split(images, np.zeros(n, np.int64))
    return Dataset("some", split, split, split, classes=("a",), scale=255.0)


DATA = {dtype: dataset(dtype) for dtype in (np.uint8, np.float32, np.float64)}


@given(
    seed=st.integers(0, 1000),
    n=st.integers(0, 12),
    pad=st.integers(0, 8),
    cutout=st.integers(0, 9),
    border=st.sampled_from(["zero", "reflect"]),
    flip=st.sampled_from(["random", "none"]),
    stored=st.sampled_from([np.uint8, np.float32, np.float64]),
    dtype=st.sampled_from([np.float32, np.float64]),
    channels_last=st.booleans(),
)
def test_a_batch_is_its_definition(seed, n, pad, cutout, border, flip, stored, dtype, channels_last):
    data, rng = DATA[stored], np.random.default_rng(seed)
    augmentation = Augmentation(flip, min(pad, 4) if border == "reflect" else pad, border, cutout)
    rows = rng.integers(0, 11, n)
    changes = augmentation.draw(n, data.image_shape, rng)
    expected = augmentation.apply(data.normalize(data.train.images[rows], dtype), changes)
    how = {"pad": augmentation.pad, "reflect": border == "reflect", "cutout": cutout, "channels_last": channels_last}
    found = prepare_batch(data.train.images, rows, *data.scaling(dtype), changes, **how)
    np.testing.assert_array_equal(found, expected, strict=True)
    assert (found.transpose(0, 2, 3, 1) if channels_last else found).flags.c_contiguous


@pytest.mark.parametrize("view", [lambda x: x[:, :, ::-1], lambda x: x[::2], lambda x: x.transpose(0, 1, 3, 2)])
def test_images_of_any_layout_are_taken(view):
    data = DATA[np.uint8]
    images = view(data.train.images)
    found = prepare_batch(images, np.array([3, 1]), *data.scaling())
    np.testing.assert_array_equal(found, data.normalize(images[[3, 1]]))


def test_images_that_may_not_be_written_to_are_taken():
    images = DATA[np.uint8].train.images.copy()
    images.flags.writeable = False
    found = prepare_batch(images, np.arange(4), *DATA[np.uint8].scaling())
    np.testing.assert_array_equal(found, DATA[np.uint8].normalize(images[:4]))
