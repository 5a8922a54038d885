"""Images of every format, made here with Pillow, as a person sees them."""

import io
import os
import struct
import threading
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from chainrule.visualization import fit, read_image

H, W = 24, 40


def picture():
    """(24, 40, 3): red, green and blue change slowly, each in a direction of its own, so that lossy formats keep them."""
    rows, columns = np.mgrid[:H, :W]
    return np.stack([6 * columns, 10 * rows, 255 - 4 * columns - 2 * rows], axis=2).astype(np.uint8)


def saved(tmp_path, name, image=None, **options):
    image = Image.fromarray(picture()) if image is None else image
    image.save(tmp_path / name, **options)
    return tmp_path / name


@pytest.mark.parametrize("name", ["p.png", "p.bmp", "p.tiff", "p.ppm", "p.tga", "p.webp"])
def test_a_lossless_file_gives_its_pixels(tmp_path, name):
    pixels = read_image(saved(tmp_path, name, **({"lossless": True} if name == "p.webp" else {})))
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, picture())


@pytest.mark.parametrize("options", [{"quality": 95}, {"quality": 95, "progressive": True}, {"quality": 95, "subsampling": 0}])
def test_a_jpeg_gives_almost_its_pixels(tmp_path, options):
    assert np.abs(read_image(saved(tmp_path, "p.jpg", **options)).astype(int) - picture()).mean() < 2


def test_the_end_of_the_name_does_not_matter(tmp_path):
    np.testing.assert_array_equal(read_image(saved(tmp_path, "p.jpeg", format="PNG")), picture())


def test_a_cmyk_jpeg_has_its_colours(tmp_path):
    path = saved(tmp_path, "p.jpg", Image.fromarray(picture()).convert("CMYK"), quality=95)
    assert np.abs(read_image(path).astype(int) - picture()).mean() < 3


def test_a_palette_has_its_colours(tmp_path):
    few = np.array([[255, 0, 0], [0, 128, 0], [10, 20, 30]], np.uint8)[np.arange(H * W).reshape(H, W) % 3]
    for name in ("p.png", "p.gif"):
        np.testing.assert_array_equal(read_image(saved(tmp_path, name, Image.fromarray(few).quantize(3))), few)


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_grey_becomes_three_equal_channels(tmp_path, mode):
    grey = np.where(np.arange(H * W).reshape(H, W) % 3 == 0, 255, 0).astype(np.uint8)
    pixels = read_image(saved(tmp_path, "p.png", Image.fromarray(grey).convert(mode)))
    np.testing.assert_array_equal(pixels, np.repeat(grey[:, :, None], 3, axis=2))


@pytest.mark.parametrize("name", ["p.png", "p.tiff"])
def test_16_bits_of_grey_become_8(tmp_path, name):
    grey = np.linspace(0, 65535, H * W).astype(np.uint16).reshape(H, W)
    pixels = read_image(saved(tmp_path, name, Image.fromarray(grey)))
    np.testing.assert_array_equal(pixels[:, :, 0], grey // 257)
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_floats_of_grey_between_0_and_1_become_8_bits(tmp_path):
    grey = np.linspace(0, 1, H * W).astype(np.float32).reshape(H, W)
    pixels = read_image(saved(tmp_path, "p.tiff", Image.fromarray(grey)))
    np.testing.assert_array_equal(pixels[:, :, 0], np.rint(255 * grey))


@pytest.mark.parametrize("value", [-0.5, 255.0, np.nan])
def test_floats_of_grey_on_another_scale_are_refused(tmp_path, value):
    grey = np.full((H, W), 0.5, np.float32)
    grey[3, 4] = value
    refused(saved(tmp_path, "p.tiff", Image.fromarray(grey)), "p.tiff has grey values from .* to .*; of floats, those from 0 to 1 are read")


def test_16_bits_of_colour_become_8(tmp_path):
    rows = b"".join(b"\0" + (257 * row.astype(">u2")).tobytes() for row in picture())
    (tmp_path / "p.png").write_bytes(png(W, H, 16, rows))
    np.testing.assert_array_equal(read_image(tmp_path / "p.png"), picture())


@pytest.mark.parametrize("name", ["p.png", "p.webp"])
def test_what_is_transparent_is_white(tmp_path, name):
    alpha = np.zeros((H, W, 1), np.uint8)
    alpha[:, 20:] = 255
    image = Image.fromarray(np.concatenate([picture(), alpha], axis=2))
    pixels = read_image(saved(tmp_path, name, image, **({"lossless": True} if name == "p.webp" else {})))
    np.testing.assert_array_equal(pixels[:, 20:], picture()[:, 20:])
    assert (pixels[:, :20] == 255).all()


def test_a_transparent_colour_of_a_palette_is_white(tmp_path):
    image = Image.fromarray(np.arange(H * W, dtype=np.uint8).reshape(H, W) % 2).convert("L").quantize(2)
    image.save(tmp_path / "p.gif", transparency=0)
    assert (read_image(tmp_path / "p.gif") == 255).all(axis=2).sum() == H * W // 2


def test_half_transparent_black_is_grey(tmp_path):
    pixels = read_image(saved(tmp_path, "p.png", Image.new("RGBA", (10, 10), (0, 0, 0, 128))))
    assert (pixels == 127).all()


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (10, 10), colour) for colour in ("red", "blue")]
    path = saved(tmp_path, "p.gif", frames[0], save_all=True, append_images=frames[1:])
    assert (read_image(path) == [255, 0, 0]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["p.png", "p.tiff"])
def test_an_image_is_turned_as_its_exif_data_say(tmp_path, name, orientation):
    # how a camera stores what is seen as picture(), by the definition of the tag: row 0 and column 0 are which sides of what is seen
    seen = picture()
    stored = {
        1: seen,
        2: seen[:, ::-1],
        3: seen[::-1, ::-1],
        4: seen[::-1],
        5: seen.transpose(1, 0, 2),
        6: np.rot90(seen, 1),  # turned clockwise for display
        7: seen[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(seen, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(read_image(saved(tmp_path, name, Image.fromarray(np.ascontiguousarray(stored)), exif=exif)), seen)


# --- what is no image -------------------------------------------------------------------------------------------------------------------


def refused(path, complaint, error=ValueError):
    with pytest.raises(error, match=complaint) as raised:
        read_image(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", bytes(1000), b"\x89PNG\r\n\x1a\n"])
def test_something_else_is_refused(tmp_path, content):
    (tmp_path / "p.jpg").write_bytes(content)
    refused(tmp_path / "p.jpg", "is not an image, or of a format that is not read")


def test_nothing_is_refused(tmp_path):
    (tmp_path / "p.jpg").touch()
    refused(tmp_path / "p.jpg", "is empty; expected an image")


def test_what_is_no_file_is_an_error_of_the_system(tmp_path):
    refused(tmp_path / "none.jpg", "No such file", FileNotFoundError)
    refused(tmp_path, "directory", IsADirectoryError)


@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "is a pipe or a device")


@pytest.mark.parametrize("name", ["p.png", "p.jpg", "p.gif", "p.webp", "p.tiff", "p.bmp"])
def test_a_truncated_image_is_refused(tmp_path, name):
    path = saved(tmp_path, name)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    refused(path, "is a damaged or truncated image|is not an image")


@pytest.mark.parametrize("size", [(1, 1), (7, 500), (500, 7)])
def test_an_image_with_nothing_to_see_is_refused(tmp_path, size):
    refused(saved(tmp_path, "p.png", Image.new("RGB", size)), f"has {size[0]} x {size[1]} pixels; an image needs at least 8 x 8")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, bits, rows):
    """A PNG file of that size in RGB, with whatever rows there are."""
    header = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(20_000, 20_000, "400,000,000"), (10_001, 10_000, "10,001 x 10,000"), (1 << 30, 1 << 30, "1,152,921,504,606,846,976")],
)
def test_an_image_of_too_many_pixels_is_refused_by_its_header(tmp_path, width, height, size):
    (tmp_path / "p.png").write_bytes(png(width, height, 8, b""))
    refused(tmp_path / "p.png", f"p.png is too large: {size} pixels; at most 100,000,000 pixels in all are read; make it smaller first")


def test_pillow_does_not_warn_of_an_image_that_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", H * W - 1)
    np.testing.assert_array_equal(read_image(saved(tmp_path, "p.png")), picture())


def contents():
    for format in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"):
        file = io.BytesIO()
        Image.fromarray(picture()).save(file, format)
        yield format, file.getvalue()


FILES = dict(contents())


@pytest.mark.parametrize("format", FILES)
@settings(max_examples=200)
@given(data=st.data())
def test_changed_bytes_give_an_image_or_one_plain_line(format, tmp_path_factory, data):
    changed = bytearray(FILES[format])
    for _ in range(data.draw(st.integers(1, 5))):
        changed[data.draw(st.integers(0, min(len(changed), 200) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / f"changed.{format}"
    path.write_bytes(changed)
    try:
        pixels = read_image(path)
    except ValueError as error:
        assert str(error).startswith(str(path))
    else:
        assert (pixels.ndim, pixels.shape[2], pixels.dtype) == (3, 3, np.uint8)


# --- fit --------------------------------------------------------------------------------------------------------------------------------


def test_an_image_of_the_size_stays_as_it_is():
    np.testing.assert_array_equal(fit(picture(), H, W), picture())


@pytest.mark.parametrize("size", [(60, 120), (120, 60), (35, 70), (8, 16)])
def test_it_is_resized_and_cut_as_pytorch_does_in_two_steps(size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None].double()
    scaled = [20 * length // min(size) for length in size]  # the longer side is 40, of which 10 are cut off at both ends
    whole = torch.nn.functional.interpolate(images, scaled, mode="bilinear", antialias=True)[0].permute(1, 2, 0).numpy()
    expected = whole[:, 10:30] if scaled[1] == 40 else whole[10:30]
    # Pillow rounds twice, after the rows and after the columns, with weights of 8 bits
    np.testing.assert_allclose(fit(pixels, 20, 20), expected, rtol=0, atol=1.5)


def test_the_middle_is_kept():
    pixels = np.zeros((30, 90, 3), np.uint8)
    pixels[:, 30:60] = 255  # exactly the middle square
    assert (fit(pixels, 10, 10)[:, 1:-1] == 255).all()
    assert (fit(pixels.transpose(1, 0, 2), 10, 10)[1:-1] == 255).all()


def test_a_small_image_is_enlarged_and_a_target_need_not_be_square():
    assert fit(picture(), 100, 50).shape == (100, 50, 3)


@pytest.mark.timeout(30)
def test_a_very_long_image_costs_no_memory():
    assert fit(np.zeros((8, 1_000_000, 3), np.uint8), 224, 224).shape == (224, 224, 3)


def test_two_threads_may_read_at_once(tmp_path):
    path, results = saved(tmp_path, "p.png"), []
    threads = [threading.Thread(target=lambda: results.extend(read_image(path).shape == (H, W, 3) for _ in range(20))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 80
