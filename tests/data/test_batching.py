import functools
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data import Augmentation, Dataset, Split, augment, batches

N = 23


def numbered(n=N):
    """A data set whose image i is all i, so that one can see which images a batch has."""
    images = np.broadcast_to(np.arange(n, dtype=np.float64)[:, None, None, None], (n, 2, 6, 5)).copy()
    split = Split(images, np.arange(n))
    return Dataset("numbered", split, Split(images[:5], np.arange(5)), Split(images[5:12], np.arange(5, 12)), tuple(map(str, range(n))))


DATA = numbered()


def assert_same(some, others):
    for (images, labels), (other_images, other_labels) in zip(some, others, strict=True):
        np.testing.assert_array_equal(images, other_images)
        np.testing.assert_array_equal(labels, other_labels)


@given(seed=st.integers(0, 2**40), epoch=st.integers(0, 10_000), batch_size=st.integers(1, N + 3))
def test_an_epoch_has_every_image_once(seed, epoch, batch_size):
    labels = [labels for _, labels in batches(DATA, "train", batch_size, seed=seed, epoch=epoch)]
    assert sorted(np.concatenate(labels)) == list(range(N))
    assert all(len(part) == batch_size for part in labels[:-1])


@given(seed=st.integers(0, 100), epoch=st.integers(0, 100), batch_size=st.integers(1, 9), start=st.integers(0, 30), augmented=st.booleans())
def test_an_epoch_continues_at_any_batch_as_if_uninterrupted(seed, epoch, batch_size, start, augmented):
    make = functools.partial(batches, DATA, "train", batch_size, seed=seed, epoch=epoch, augment=augment if augmented else None)
    assert_same(itertools.islice(make(), start, None), make(start=start))


@given(
    size=st.integers(1, 4),
    batch_size=st.integers(4, 9),
    augmentation=st.sampled_from([None, augment, Augmentation(pad=1), Augmentation("alternate", 1, "reflect", 2)]),
    channels_last=st.booleans(),
)
def test_shares_are_the_whole_batch_image_by_image(size, batch_size, augmentation, channels_last):
    make = functools.partial(batches, DATA, "train", batch_size, seed=4, epoch=1, augment=augmentation, channels_last=channels_last)
    shares = [list(make(share=(rank, size))) for rank in range(size)]
    for index, (images, labels) in enumerate(make()):
        for rank, share in enumerate(shares):
            np.testing.assert_array_equal(share[index][0], images[rank::size])
            np.testing.assert_array_equal(share[index][1], labels[rank::size])


@given(batch_size=st.integers(1, N + 3))
def test_drop_last_leaves_out_only_a_smaller_batch(batch_size):
    sizes = [len(labels) for _, labels in batches(DATA, "train", batch_size, seed=0, drop_last=True)]
    assert sizes == [batch_size] * (N // batch_size)


def test_images_and_labels_stay_together_and_are_normalized():
    for images, labels in batches(DATA, "train", 4, seed=3, epoch=2, dtype=np.float64):
        expected = DATA.normalize(DATA.train.images[labels], np.float64)
        np.testing.assert_array_equal(images, expected)
        assert labels.dtype == np.int64


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batches_have_the_dtype_asked_for(dtype):
    for images, _ in batches(DATA, "train", 4, seed=0, dtype=dtype, augment=augment):
        assert images.dtype == dtype
        assert images.flags.c_contiguous


def order(seed, epoch):
    return tuple(np.concatenate([labels for _, labels in batches(DATA, "train", 5, seed=seed, epoch=epoch)]))


def test_the_order_differs_with_seed_and_epoch():
    orders = {order(seed, epoch) for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16  # 23! orders: a collision would be a bug


def test_the_order_does_not_depend_on_global_random_state():
    np.random.seed(0)  # noqa: NPY002
    first = order(1, 2)
    np.random.seed(1)  # noqa: NPY002
    assert order(1, 2) == first


def test_without_a_seed_the_images_come_as_they_are_stored():
    labels = np.concatenate([labels for _, labels in batches(DATA, "test", 3, seed=None)])
    np.testing.assert_array_equal(labels, DATA.test.labels)


def test_a_split_of_ones_own_can_be_given():
    part = Split(DATA.train.images[3:5], DATA.train.labels[3:5])
    ((_, labels),) = batches(DATA, part, 10, seed=None)
    assert labels.tolist() == [3, 4]


def test_augmentation_differs_between_batches_and_epochs_and_not_between_calls():
    draws = []

    def draw(images, rng):
        draws.append(float(rng.random()))
        return images

    def epoch_draws(seed, epoch):
        draws.clear()
        list(batches(DATA, "train", 10, seed=seed, epoch=epoch, augment=draw))
        return tuple(draws)

    everything = [draw for seed in (0, 1) for epoch in (0, 1, 2) for draw in epoch_draws(seed, epoch)]
    assert len(set(everything)) == len(everything) == 2 * 3 * 3
    assert epoch_draws(1, 2) == epoch_draws(1, 2)


def test_batches_may_be_written_to():
    before = DATA.train.images.copy()
    for images, labels in batches(DATA, "train", 23, seed=0):
        images[...] = 7
        labels[...] = 7
    np.testing.assert_array_equal(DATA.train.images, before)
    np.testing.assert_array_equal(DATA.train.labels, np.arange(N))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        ({"seed": -1}, "seed=-1"),
        ({"epoch": -1}, "epoch=-1"),
        ({"start": -2}, "start=-2"),
        ({"split": "validation"}, "no split 'validation'"),
        ({"seed": None, "augment": augment}, "augment without a seed"),
        (
            {"split": Split(np.zeros((1, 2, 5, 6)), np.zeros(1, np.int64))},
            r"images of shape \(2, 5, 6\) for data set 'numbered', which has \(2, 6, 5\)",
        ),
    ],
)
def test_wrong_arguments_are_refused_at_the_call_not_at_the_first_batch(arguments, complaint):
    given_arguments = {"split": "train", "batch_size": 4, "seed": 0, **arguments}
    with pytest.raises(ValueError, match=complaint):
        batches(DATA, given_arguments.pop("split"), given_arguments.pop("batch_size"), **given_arguments)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_arithmetic_of_a_batch_has_no_wider_temporaries(dtype):
    import tracemalloc

    images = np.random.default_rng(0).integers(0, 256, (400, 3, 32, 32)).astype(np.uint8)
    split = Split(images, np.zeros(400, np.int64))
    data = Dataset("some", split, split, split, classes=("a",), scale=255.0)
    iterator = batches(data, "train", 200, seed=0, dtype=dtype)
    tracemalloc.start()
    out, _ = next(iterator)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < out.nbytes + 200 * 3072 + 300_000  # the batch, its bytes, and NumPy's buffers


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("options", [{}, {"pad": 2, "cutout": 3}, {"border": "reflect", "flip": False}], ids=str)
def test_an_augmentation_in_one_pass_is_the_function(options, channels_last):
    augmentation = Augmentation(**options | {"flip": "random" if options.get("flip", True) else "none"})
    order = {"seed": 3, "epoch": 2}
    fast = batches(DATA, "train", 5, augment=augmentation, channels_last=channels_last, **order)
    assert_same(fast, batches(DATA, "train", 5, augment=functools.partial(augment, **options), **order))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("augmentation", [None, Augmentation()], ids=["plain", "augmented"])
def test_batches_lie_channels_last_on_request(augmentation, dtype):
    for images, _ in batches(DATA, "train", 5, seed=0, augment=augmentation, dtype=dtype, channels_last=True):
        assert images.transpose(0, 2, 3, 1).flags.c_contiguous
        assert images.shape[1:] == (2, 6, 5)
    plain = batches(DATA, "train", 5, seed=0, augment=augmentation, dtype=dtype)
    assert_same(batches(DATA, "train", 5, seed=0, augment=augmentation, dtype=dtype, channels_last=True), plain)


def test_two_epochs_show_each_image_and_its_mirror_image_once():
    images = np.random.default_rng(0).standard_normal((N, 2, 6, 5))
    split = Split(images, np.arange(N))
    data = Dataset("some", split, split, split, tuple(map(str, range(N))))
    augmentation = Augmentation("alternate", pad=0)
    seen = [np.empty_like(images) for _ in range(3)]
    for epoch, shown in enumerate(seen):
        for batch, labels in batches(data, "train", 4, seed=7, epoch=epoch, augment=augmentation, dtype=np.float64):
            shown[labels] = batch
    np.testing.assert_array_equal(seen[1], seen[0][..., ::-1])
    np.testing.assert_array_equal(seen[2], seen[0])
    plain = data.normalize(images, np.float64)
    flipped = (seen[0] != plain).any(axis=(1, 2, 3))
    assert 0 < flipped.sum() < N
    np.testing.assert_array_equal(seen[0][flipped], plain[flipped, :, :, ::-1])


def test_images_too_small_for_their_reflection_are_refused_at_the_call():
    with pytest.raises(ValueError, match="pad is 5; a reflected border needs less than the 5 pixels"):
        batches(DATA, "train", 4, seed=0, augment=Augmentation(pad=5, border="reflect"))
