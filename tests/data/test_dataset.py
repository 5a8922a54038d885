import dataclasses
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from chainrule.data import Dataset, Split


def some_split(n=7, shape=(3, 5, 4), dtype=np.uint8, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, *shape)).astype(dtype)
    return Split(images, rng.integers(0, classes, n))


def some_dataset(dtype=np.uint8, scale=255.0, n=50):
    parts = (some_split(n, dtype=dtype, seed=1), some_split(6, dtype=dtype, seed=2), some_split(9, dtype=dtype, seed=3))
    return Dataset("some", *parts, classes=("a", "b", "c", "d"), scale=scale)


def test_a_split_knows_its_length():
    assert len(some_split(7)) == 7
    assert repr(some_split(7)) == "Split(7 images (3, 5, 4) uint8)"


@pytest.mark.parametrize(
    ("images", "labels", "complaint"),
    [
        (np.zeros((2, 3), np.uint8), np.zeros(2, np.int64), r"images are uint8 \(2, 3\); expected \(N, C, H, W\)"),
        (np.zeros((2, 1, 3, 3), np.int16), np.zeros(2, np.int64), "images are int16"),
        (np.zeros((2, 1, 3, 3), np.uint8), np.zeros(2, np.int32), r"labels are int32 \(2,\); expected \(N,\) of int64"),
        (np.zeros((2, 1, 3, 3), np.uint8), np.zeros((2, 1), np.int64), r"labels are int64 \(2, 1\)"),
        (np.zeros((2, 1, 3, 3), np.uint8), np.zeros(3, np.int64), "2 images but 3 labels"),
        (np.zeros((0, 1, 3, 3), np.uint8), np.zeros(0, np.int64), "at least one image"),
        (np.zeros((2, 1, 0, 3), np.uint8), np.zeros(2, np.int64), "at least one image of at least one pixel"),
        (np.zeros((2, 1, 3, 3), np.uint8), np.array([0, -1]), "label -1 at index 1"),
    ],
)
def test_a_split_says_what_is_wrong_with_its_arrays(images, labels, complaint):
    with pytest.raises(ValueError, match=complaint):
        Split(images, labels)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_value_that_is_not_finite_is_found_and_located(value, dtype):
    images = np.zeros((2500, 2, 3, 4), dtype)
    images[2100, 1, 2, 3] = value
    with pytest.raises(ValueError, match=r"images\[2100, 1, 2, 3\] is (nan|-?inf)"):
        Split(images, np.zeros(2500, np.int64))


def test_a_label_beyond_the_classes_is_found_in_every_split():
    good, bad = some_split(classes=4), Split(some_split().images, np.full(7, 4))
    with pytest.raises(ValueError, match="label 4 at index 0 of val, but there are 4 classes; labels are 0 to 3"):
        Dataset("some", good, bad, good, classes=("a", "b", "c", "d"))


@pytest.mark.parametrize("other", [some_split(shape=(3, 4, 5)), some_split(dtype=np.float32)])
def test_splits_of_different_shape_or_dtype_are_refused(other):
    with pytest.raises(ValueError, match=r"images of test are .* all splits need one shape and dtype"):
        Dataset("some", some_split(), some_split(), other, classes=("a", "b", "c", "d"))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_a_scale_that_is_not_positive_is_refused(scale):
    with pytest.raises(ValueError, match="scale="):
        some_dataset(scale=scale)


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="no split 'validation'; there are train, val and test"):
        some_dataset().split("validation")


@pytest.mark.parametrize(("dtype", "scale"), [(np.uint8, 255.0), (np.float32, 1.0), (np.float64, 7.0)])
def test_mean_and_std_are_those_of_each_channel_of_the_training_split(dtype, scale):
    data = some_dataset(dtype, scale, n=2345)  # more than one chunk
    pixels = data.train.images.astype(np.float64) / scale
    # one rounding to float32 (6e-8)
    np.testing.assert_allclose(data.mean, pixels.mean(axis=(0, 2, 3)), rtol=1e-7)
    np.testing.assert_allclose(data.std, pixels.std(axis=(0, 2, 3)), rtol=1e-7)
    assert data.mean.dtype == data.std.dtype == np.float32


def test_integer_statistics_do_not_overflow():
    images = np.full((3000, 1, 32, 32), 255, np.uint8)  # a sum of squares of 2e11
    images[0] = 254
    split = Split(images, np.zeros(3000, np.int64))
    data = Dataset("bright", split, split, split, classes=("a",), scale=255.0)
    share = 1 / 3000
    np.testing.assert_allclose(data.mean, [1 - share / 255], rtol=1e-7)
    np.testing.assert_allclose(data.std, [np.sqrt(share * (1 - share)) / 255], rtol=1e-7)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_a_constant_channel_becomes_zero(dtype):
    images = some_split(1500, dtype=dtype).images
    images[:, 1] = 123 if dtype == np.uint8 else 0.1  # not a binary fraction: its float mean is rounded
    split = Split(images, np.zeros(1500, np.int64))
    data = Dataset("some", split, split, split, classes=("a",))
    normalized = data.normalize(images)
    assert np.abs(normalized[:, 1]).max() < 1e-4
    np.testing.assert_allclose(normalized[:, 0].std(), 1, rtol=1e-4)


@pytest.mark.parametrize(("dtype", "atol"), [(np.float32, 5e-6), (np.float64, 1e-14)])
@pytest.mark.parametrize("stored", [np.uint8, np.float32])
def test_normalize_is_pixels_minus_mean_over_std(stored, dtype, atol):
    data = some_dataset(stored, 255.0)
    images = data.test.images
    mean, std = (array.astype(np.float64)[:, None, None] for array in (data.mean, data.std))
    out = data.normalize(images, dtype)
    assert out.dtype == dtype
    # three roundings (6e-8 or 1.1e-16 each) of numbers up to 4, as x / std - mean / std cancels; times ten
    np.testing.assert_allclose(out, (images.astype(np.float64) / 255.0 - mean) / std, rtol=0, atol=atol)


def test_normalize_takes_any_memory_layout_and_gives_rows():
    data = some_dataset()
    images = data.test.images
    expected = data.normalize(images)
    for other in (np.asfortranarray(images), np.ascontiguousarray(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2), images[::-1][::-1]):
        out = data.normalize(other)
        np.testing.assert_array_equal(out, expected)
        assert out.flags.c_contiguous


def test_the_normalized_training_split_has_mean_0_and_std_1():
    data = some_dataset(n=400)
    out = data.normalize(data.train.images, np.float64)
    # mean and std are rounded to float32
    np.testing.assert_allclose(out.mean(axis=(0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(out.std(axis=(0, 2, 3)), 1, atol=1e-6)


def test_the_checksum_tells_data_and_splits_apart():
    base = some_dataset()
    assert some_dataset().checksum == base.checksum
    assert len(base.checksum) == 64
    pixel, label = base.val.images.copy(), base.val.labels.copy()
    pixel[-1, -1, -1, -1] ^= 1
    label[0] = (label[0] + 1) % 4
    others = [
        dataclasses.replace(base, val=Split(pixel, base.val.labels)),
        dataclasses.replace(base, val=Split(base.val.images, label)),
        dataclasses.replace(base, val=base.test, test=base.val),
        dataclasses.replace(base, scale=1.0),
        dataclasses.replace(base, classes=("a", "b", "c", "e")),
    ]
    assert len({base.checksum, *(other.checksum for other in others)}) == 6


def test_the_checksum_does_not_depend_on_the_memory_layout():
    base = some_dataset()
    turned = dataclasses.replace(base, train=Split(np.asfortranarray(base.train.images), np.repeat(base.train.labels, 2)[::2]))
    assert turned.checksum == base.checksum


def test_making_a_dataset_copies_no_more_than_a_chunk():
    images, labels = np.zeros((20_000, 3, 16, 16), np.uint8), np.zeros(20_000, np.int64)  # 15 MB
    images[::2] = 255
    split = Split(images, labels)
    tracemalloc.start()
    data = Dataset("some", split, split, split, classes=("a",), scale=255.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6  # a chunk of 1000 images: 0.8 MB of bytes, 1.5 MB of their squares
    assert data.train.images is images


def test_own_arrays_become_a_dataset_without_copies():
    images = np.arange(24, dtype=np.uint8).reshape(4, 1, 2, 3)
    data = Dataset.from_arrays("own", train=(images, [0, 1, 2, 2]), val=(images[:2], [0, 1]), test=(images[2:], np.array([2, 0], np.int8)))
    assert data.train.images is images
    assert data.classes == ("0", "1", "2")
    assert data.scale == 255.0
    assert data.image_shape == (1, 2, 3)
    assert data.test.labels.dtype == np.int64


def test_floats_are_taken_as_they_are():
    images = np.random.default_rng(0).standard_normal((6, 2, 3, 3)).astype(np.float32)
    data = Dataset.from_arrays("own", train=(images, range(6)), val=(images, range(6)), test=(images, range(6)), classes=tuple("abcdef"))
    assert data.scale == 1.0
    np.testing.assert_allclose(data.mean, images.mean(axis=(0, 2, 3)), rtol=1e-5, atol=1e-7)


def test_features_become_channels_so_that_each_is_normalized_on_its_own():
    features = np.random.default_rng(0).standard_normal((200, 4)) * [1, 10, 100, 1000]
    pair = (features, np.zeros(200, np.int64))
    data = Dataset.from_arrays("table", train=pair, val=pair, test=pair)
    assert data.image_shape == (4, 1, 1)
    np.testing.assert_allclose(data.normalize(data.train.images, np.float64).std(axis=0).ravel(), 1, rtol=1e-6)


def test_images_without_channels_get_one():
    pair = (np.zeros((5, 8, 6), np.uint8), np.zeros(5, np.int64))
    assert Dataset.from_arrays("grey", train=pair, val=pair, test=pair).image_shape == (1, 8, 6)


@pytest.mark.parametrize("labels", [[0.0, 1.0], ["a", "b"], [True, False], [None, 1]])
def test_labels_that_are_no_integers_are_refused(labels):
    pair = (np.zeros((2, 1, 2, 2), np.uint8), labels)
    with pytest.raises(ValueError, match=r"data set 'own', train: labels are .* expected integers"):
        Dataset.from_arrays("own", train=pair, val=pair, test=pair)


@pytest.mark.parametrize("shape", [(10, 32, 32, 3), (10, 28, 28, 1), (2, 5, 9, 4)], ids=str)
def test_images_with_their_channels_last_are_refused_with_what_turns_them(shape):
    images, labels = np.zeros(shape, np.uint8), np.zeros(shape[0], np.int64)
    with pytest.raises(ValueError) as caught:
        Dataset.from_arrays("own", train=(images, labels), val=(images, labels), test=(images, labels))
    assert str(caught.value) == (
        f"data set 'own', train: images are uint8 {shape}, which looks like (N, H, W, C); "
        "expected (N, C, H, W): give images.transpose(0, 3, 1, 2)"
    )
    pair = images.transpose(0, 3, 1, 2), labels
    assert Dataset.from_arrays("own", train=pair, val=pair, test=pair).image_shape == (shape[3], *shape[1:3])


@pytest.mark.parametrize("shape", [(2, 3, 32, 32), (2, 64, 1, 1), (2, 64, 4, 4), (2, 3, 3, 3), (2, 1, 8, 3)], ids=str)
def test_channels_before_small_maps_are_not_mistaken(shape):
    pair = np.zeros(shape, np.uint8), np.zeros(2, np.int64)
    assert Dataset.from_arrays("own", train=pair, val=pair, test=pair).image_shape == shape[1:]


@pytest.mark.parametrize(("given", "what"), [(None, "NoneType"), (([0],), "1 items"), (np.zeros((2, 3)), "ndarray")])
def test_what_is_no_pair_of_images_and_labels_is_refused(given, what):
    good = (np.zeros((2, 3), np.float32), [0, 1])
    with pytest.raises(
        TypeError, match=rf"^data set 'own', val: expected a pair \(images, labels\), got {what}; all of train, val and test"
    ):
        Dataset.from_arrays("own", train=good, val=given, test=good)


def test_an_error_in_own_arrays_names_the_split():
    good = (np.zeros((2, 3), np.float32), [0, 1])
    bad = (np.full((2, 3), np.nan, np.float32), [0, 1])
    with pytest.raises(ValueError, match=r"data set 'own', test: images\[0, 0, 0, 0\] is nan"):
        Dataset.from_arrays("own", train=good, val=good, test=bad)


@given(arrays(np.uint8, (6, 2, 3, 4)))
def test_statistics_of_any_bytes_agree_with_numpys(images):
    split = Split(images, np.zeros(6, np.int64))
    data = Dataset("any", split, split, split, classes=("a",))
    pixels = images.astype(np.float64)
    std = pixels.std(axis=(0, 2, 3))
    np.testing.assert_allclose(data.mean, pixels.mean(axis=(0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(data.std, np.where(np.ptp(pixels, axis=(0, 2, 3)) == 0, 1, std), rtol=1e-6)


@given(arrays(np.float32, (5, 1, 2, 3), elements=st.floats(-1e3, 1e3, width=32)))
@example(np.float32([1.1754944e-38] + 29 * [0]).reshape(5, 1, 2, 3))  # 1 / std is beyond float32
def test_normalizing_any_floats_gives_finite_numbers(images):
    split = Split(images, np.zeros(5, np.int64))
    data = Dataset("any", split, split, split, classes=("a",))
    assert np.isfinite(data.normalize(images)).all()
