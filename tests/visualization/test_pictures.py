"""PNG files and pixels: read back by Pillow, compared with definitions."""

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from chainrule.visualization.pictures import (
    data_url,
    enlarged,
    heat,
    image_pixels,
    overlay,
    png,
    reduced,
    save_gif,
    save_png,
    weight_pixels,
)


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


# --- colours over images ----------------------------------------------------------------------------------------------------------


def test_heat_goes_from_black_to_bright():
    (colours,) = heat(np.linspace(0, 1, 100).reshape(1, 10, 10))
    brightness = colours.astype(int).sum(axis=2).ravel()
    assert brightness[0] < 10 and brightness[-1] > 500
    assert np.all(np.diff(brightness) >= 0)


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_map_of_one_value_is_dark(value):
    assert heat(np.full((1, 4, 4), value)).max() < 10


def test_one_extreme_pixel_does_not_darken_the_rest(rng):
    maps = rng.random((1, 40, 40))
    with_extreme = maps.copy()
    with_extreme[0, 0, 0] = 1e6
    assert np.abs(heat(with_extreme).astype(int) - heat(maps))[0, 1:].max() < 10


def test_an_overlay_shows_the_image_where_the_map_is_dark():
    image = np.zeros((1, 8, 8, 3), np.uint8)
    image[0, 4:] = 200
    maps = np.zeros((1, 8, 8))
    maps[0, :, 0] = 1.0
    (drawn,) = overlay(image, maps)
    assert drawn[6, 6].astype(int).sum() > drawn[2, 6].astype(int).sum() + 200
    assert drawn[2, 0].astype(int).sum() > 300
    np.testing.assert_array_equal(overlay(image[..., 0], maps)[0], drawn)


def test_small_pictures_are_enlarged_pixel_by_pixel():
    picture = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(enlarged(picture, 6), picture.repeat(2, axis=0).repeat(2, axis=1))
    assert enlarged(np.zeros((500, 300, 3), np.uint8)).shape == (500, 300, 3)


def test_an_animation_has_all_frames_and_repeats(tmp_path, rng):
    frames = [rng.integers(0, 256, (9, 8, 3), np.uint8) for _ in range(4)]
    with Image.open(save_gif(frames, tmp_path / "frames.gif")) as saved:
        assert (saved.format, saved.n_frames, saved.info["loop"], saved.size) == ("GIF", 4, 0, (8, 9))


def test_a_picture_is_saved_as_it_is(tmp_path, rng):
    pixels = rng.integers(0, 256, (9, 8, 3), np.uint8)
    with Image.open(save_png(pixels, tmp_path / "picture.png")) as saved:
        np.testing.assert_array_equal(np.asarray(saved), pixels)
