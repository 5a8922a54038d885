"""PNG files and pixels: read back by Pillow, compared with definitions."""

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from chainrule.visualization.pictures import data_url, image_pixels, png, reduced, weight_pixels


@pytest.mark.parametrize(
    ("shape", "mode"), [((5, 4), "L"), ((5, 4, 3), "RGB"), ((5, 4, 4), "RGBA"), ((1, 1), "L"), ((3, 3), "L"), ((4, 1), "L")]
)
def test_another_program_reads_the_same_pixels(shape, mode):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    picture = Image.open(io.BytesIO(png(pixels)))
    assert picture.mode == mode
    np.testing.assert_array_equal(np.asarray(picture), pixels)


def test_pixels_of_any_memory_layout_are_stored_as_they_are_indexed():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 6, 4), dtype=np.uint8).transpose(2, 1, 0)[::-1, ::2]  # (4, 3, 3)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png(pixels)))), pixels)


def test_a_data_url_holds_the_file():
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    kind, _, content = data_url(pixels).partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(content) == png(pixels)


def test_bytes_with_scale_255_are_their_own_pixels():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 4), dtype=np.uint8)
    np.testing.assert_array_equal(image_pixels(images, 255.0), images.transpose(0, 2, 3, 1))


def test_digits_are_white_at_their_scale():
    images = np.array([0, 8, 16], dtype=np.uint8).reshape(1, 1, 1, 3)
    np.testing.assert_array_equal(image_pixels(images, 16.0), [[[0, 128, 255]]])


def test_floats_beyond_their_scale_are_spread_from_the_least_to_the_greatest():
    images = np.array([-3.0, 0.0, 3.0], dtype=np.float32).reshape(1, 1, 1, 3)
    np.testing.assert_array_equal(image_pixels(images, 1.0), [[[0, 128, 255]]])


def test_equal_floats_beyond_their_scale_divide_by_nothing():
    assert image_pixels(np.full((1, 1, 2, 2), 7.0), 1.0).shape == (1, 2, 2)


@pytest.mark.parametrize("channels", [2, 4])
def test_of_other_numbers_of_channels_the_first_is_shown(channels):
    images = np.random.default_rng(0).integers(0, 256, (2, channels, 5, 4), dtype=np.uint8)
    np.testing.assert_array_equal(image_pixels(images, 255.0), images[:, 0])


def test_weights_of_zero_are_grey_and_each_tile_has_its_own_scale():
    weights = np.zeros((2, 1, 2, 2))
    weights[0, 0, 0] = [1, -1]
    weights[1, 0, 0] = [1000, -1000]
    pixels = weight_pixels(weights)
    np.testing.assert_array_equal(pixels[0], pixels[1])
    np.testing.assert_array_equal(pixels[0], [[255, 0], [128, 128]])


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_tile_without_finite_weights_is_grey(value):
    assert np.all(weight_pixels(np.full((1, 3, 2, 2), value)) == 128)


@given(height=st.integers(1, 40), width=st.integers(1, 40), side=st.integers(1, 12))
def test_reduced_pictures_fit_and_are_means_of_blocks(height, width, side):
    images = np.random.default_rng(0).standard_normal((2, 3, height, width))
    small = reduced(images, side)
    assert max(small.shape[2:]) <= side or small is images
    block = -(-max(height, width) // side)
    expected = [
        [images[:, :, y : y + block, x : x + block].mean(axis=(2, 3)) for x in range(0, width, block)] for y in range(0, height, block)
    ]
    # means of at most 1,600 values of size 1: 40 roundings of 1e-16
    np.testing.assert_allclose(small, np.moveaxis(np.array(expected), (0, 1), (2, 3)), rtol=0, atol=1e-14)
