import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data import Augmentation, augment


def augment_by_loops(images, rng, *, flip, pad, cutout):
    """The definition, one image and one pixel at a time, with the same random numbers."""
    n, _, height, width = images.shape
    flips = rng.random(n) < 0.5 if flip else np.zeros(n, bool)
    tops, lefts = rng.integers(0, 2 * pad + 1, size=(2, n)) if pad else np.zeros((2, n), int)
    centres_y, centres_x = (rng.integers(0, height, size=n), rng.integers(0, width, size=n)) if cutout else (None, None)
    out = np.zeros_like(images)
    for i in range(n):
        image = np.fliplr(images[i].transpose(1, 2, 0)).transpose(2, 0, 1) if flips[i] else images[i]
        for y in range(height):
            for x in range(width):
                source_y, source_x = y + tops[i] - pad, x + lefts[i] - pad
                if 0 <= source_y < height and 0 <= source_x < width:
                    out[i, :, y, x] = image[:, source_y, source_x]
                if cutout:
                    top, left = centres_y[i] - cutout // 2, centres_x[i] - cutout // 2
                    if top <= y < top + cutout and left <= x < left + cutout:
                        out[i, :, y, x] = 0
    return out


def some_images(n=6, dtype=np.float32, seed=0):
    return (np.random.default_rng(seed).standard_normal((n, 3, 7, 5)) * 50).astype(dtype)


@given(
    seed=st.integers(0, 1000),
    n=st.integers(0, 6),
    flip=st.booleans(),
    pad=st.integers(0, 8),
    cutout=st.integers(0, 12),
    dtype=st.sampled_from([np.float32, np.float64, np.uint8, np.int16]),
)
def test_augment_equals_its_definition(seed, n, flip, pad, cutout, dtype):
    images = np.abs(some_images(n)).astype(dtype)
    before = images.copy()
    out = augment(images, np.random.default_rng(seed), flip=flip, pad=pad, cutout=cutout)
    expected = augment_by_loops(images, np.random.default_rng(seed), flip=flip, pad=pad, cutout=cutout)
    np.testing.assert_array_equal(out, expected)
    assert out.dtype == dtype
    assert out.flags.c_contiguous
    np.testing.assert_array_equal(images, before)
    assert not np.shares_memory(out, images)


@given(seed=st.integers(0, 1000), pad=st.integers(0, 4))
def test_a_reflected_border_is_the_image_mirrored_at_its_outermost_pixels(seed, pad):
    images = some_images()
    tops, lefts = np.random.default_rng(seed).integers(0, 2 * pad + 1, size=(2, 6)) if pad else np.zeros((2, 6), int)
    out = augment(images, np.random.default_rng(seed), flip=False, pad=pad, border="reflect")
    for i in range(6):
        for y in range(7):
            for x in range(5):
                row, column = abs(y + tops[i] - pad), abs(x + lefts[i] - pad)
                row, column = min(row, 12 - row), min(column, 8 - column)
                np.testing.assert_array_equal(out[i, :, y, x], images[i, :, row, column])


def test_alternating_flips_are_random_at_first_and_then_change_every_epoch():
    flips = [Augmentation("alternate").flipped(2000, seed=3, epoch=epoch) for epoch in range(4)]
    assert abs(flips[0].mean() - 0.5) < 0.06  # five standard deviations
    np.testing.assert_array_equal(flips[1], ~flips[0])
    np.testing.assert_array_equal(flips[2], flips[0])
    np.testing.assert_array_equal(flips[3], flips[1])
    assert (Augmentation("alternate").flipped(2000, seed=4, epoch=0) != flips[0]).any()
    assert Augmentation("random").flipped(2000, seed=3, epoch=0) is None


def test_another_flip_is_refused():
    with pytest.raises(ValueError, match="flip is 'sometimes'; it must be 'random', 'alternate' or 'none'"):
        Augmentation("sometimes")


def test_any_memory_layout_gives_the_same():
    images = some_images()
    expected = augment(images, np.random.default_rng(0), cutout=3)
    for other in (np.asfortranarray(images), np.repeat(images, 2, axis=3)[..., ::2]):
        np.testing.assert_array_equal(augment(other, np.random.default_rng(0), cutout=3), expected)


def test_with_nothing_switched_on_the_images_are_copied():
    images = some_images()
    out = augment(images, np.random.default_rng(0), flip=False, pad=0)
    np.testing.assert_array_equal(out, images)
    assert not np.shares_memory(out, images)


def test_half_of_the_images_are_flipped_and_each_shift_is_equally_frequent():
    n = 20_000
    images = np.zeros((n, 1, 5, 5), np.uint8)
    images[:, 0, 2, 1] = 1  # left of the centre: at column 3 after a flip
    flipped = augment(images, np.random.default_rng(0), pad=0)[:, 0, 2, 3]
    # binomial: standard deviation 71 of 20,000; five of them
    assert abs(flipped.sum() - n / 2) < 355
    shifted = augment(images, np.random.default_rng(0), flip=False, pad=1).sum(axis=(0, 1))[1:4, 0:3]
    # nine places of 2222 with a standard deviation of 44; five of them
    assert np.abs(shifted - n / 9).max() < 222


def test_images_of_a_batch_are_changed_independently():
    images = np.broadcast_to(some_images(1), (64, 3, 7, 5))
    out = augment(images, np.random.default_rng(0))
    assert len({image.tobytes() for image in out}) > 30


@pytest.mark.parametrize(
    ("images", "options", "complaint"),
    [
        (np.zeros((2, 3, 4)), {}, r"shape \(2, 3, 4\); expected \(N, C, H, W\)"),
        (np.zeros((2, 3, 4, 4)), {"pad": -1}, "pad=-1, cutout=0"),
        (np.zeros((2, 3, 4, 4)), {"cutout": -1}, "pad=4, cutout=-1"),
        (np.zeros((2, 3, 6, 4)), {"border": "reflect"}, "pad is 4; a reflected border needs less than the 4 pixels of an image's side"),
        (np.zeros((2, 3, 6, 4)), {"border": "wrap"}, "border is 'wrap'; it must be 'zero' or 'reflect'"),
    ],
)
def test_wrong_arguments_are_refused(images, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        augment(images, np.random.default_rng(0), **options)
