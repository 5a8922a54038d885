"""Figures: what is in them, not how they look."""

import numpy as np
import pytest
from PIL import Image

from chainrule.nn.probe import AtLayer
from chainrule.visualization import (
    METHODS,
    activation_figure,
    attribution_figure,
    embedding_figure,
    fooling_figure,
    row_figure,
    save_figure,
    tiles_figure,
)


@pytest.fixture
def image(rng):
    return rng.integers(0, 256, (20, 24, 3), np.uint8)


def shown(figure):
    """The arrays that a figure shows, in order; colour bars have none."""
    return [np.asarray(picture.get_array()) for axes in figure.axes for picture in axes.images]


def texts(figure):
    return [text.get_text() for text in figure.findobj(match=lambda artist: hasattr(artist, "get_text")) if text.get_text()]


def places(figure):
    """Where each title and label lies; none outside the figure."""
    figure.draw_without_rendering()
    found = [*figure.texts, *[text for axes in figure.axes for text in (axes.title, axes.yaxis.label) if text.get_text()]]
    boxes = {text.get_text(): text.get_window_extent() for text in found}
    for text, box in boxes.items():
        assert figure.bbox.containsx(box.x0) and figure.bbox.containsx(box.x1), text
        assert figure.bbox.containsy(box.y0) and figure.bbox.containsy(box.y1), text
    return boxes


def assert_nothing_lies_on_a_text(figure):
    boxes = places(figure)
    for text, box in boxes.items():
        assert not box.count_overlaps([other for name, other in boxes.items() if name != text]), text
        assert not box.count_overlaps([axes.get_window_extent() for axes in figure.axes if axes.images]), text


@pytest.mark.parametrize("method", METHODS)
def test_every_text_of_an_attribution_is_read(method, rng):
    picture = rng.integers(0, 256, (224, 224, 3), np.uint8)
    assert_nothing_lies_on_a_text(attribution_figure(picture, rng.random((224, 224)) / 100, f"jacamar (72.9 %), {method}", METHODS[method]))


def test_every_text_of_a_fooling_image_is_read(rng):
    picture = rng.integers(0, 256, (224, 224, 3), np.uint8)
    assert_nothing_lies_on_a_text(fooling_figure(picture, picture, ("jacamar 72.9 %", "goose 41.1 %"), "after 4 steps"))


def test_pictures_stand_in_a_row_under_their_names(image):
    figure = row_figure([("one", image), ("other", image[..., 0])], "two of a kind")
    for picture, drawn in zip((image, image[..., 0]), shown(figure), strict=True):
        np.testing.assert_array_equal(picture, drawn)
    assert {"one", "other", "two of a kind"} <= set(texts(figure))
    assert_nothing_lies_on_a_text(figure)


def test_an_attribution_stands_between_its_image_and_the_overlay_with_a_scale(image, rng):
    attribution = rng.random((20, 24))
    figure = attribution_figure(image, attribution, "costs $5, _really_", "|d score / d x|")
    first, middle, last = shown(figure)[:3]
    np.testing.assert_array_equal(first, image)
    np.testing.assert_array_equal(middle, attribution)
    assert last.shape == image.shape and last.dtype == np.uint8
    assert "costs $5, _really_" in texts(figure) and "|d score / d x|" in texts(figure)


def test_an_attribution_of_zeros_and_a_grey_image_are_drawn(image):
    assert len(shown(attribution_figure(image[..., 0], np.zeros((20, 24)), "title", "unit"))) >= 3


def test_a_difference_is_magnified_as_far_as_it_stays_visible(image):
    after = image.copy()
    after[3, 4] = np.where(image[3, 4] > 99, image[3, 4] - 20, image[3, 4] + 20)
    figure = fooling_figure(image, after, ("cat 90 %", "goose 51 %"), "after 3 steps")
    before, difference, last = shown(figure)
    np.testing.assert_array_equal(before, image)
    np.testing.assert_array_equal(last, after)
    expected = np.full(image.shape, 128.0)
    expected[3, 4] += 6 * (after[3, 4].astype(float) - image[3, 4])
    np.testing.assert_allclose(difference, expected, atol=1)
    assert {"cat 90 %", "goose 51 %", "after 3 steps"} <= set(texts(figure))
    assert any("6 times magnified" in text and "20 of 255" in text for text in texts(figure))


def test_equal_images_have_an_even_difference(image):
    _, difference, _ = shown(fooling_figure(image, image, ("a", "b"), "after 0 steps"))
    assert np.ptp(difference) == 0


def test_tiles_are_all_shown(rng):
    tiles = rng.integers(0, 256, (7, 3, 3), np.uint8)
    figure = tiles_figure(tiles, "seven", names=list("abcdefg"))
    for tile, drawn in zip(tiles, shown(figure), strict=True):
        np.testing.assert_array_equal(tile, drawn)
    assert set("abcdefg") | {"seven"} <= set(texts(figure))


def test_of_each_layer_the_channels_of_the_greatest_mean_come_first(image, rng):
    out = rng.random((1, 20, 5, 6)) * np.arange(20)[:, None, None]
    figure = activation_figure(image, {"conv": AtLayer("Conv2d", out)}, "features")
    first, *maps = shown(figure)
    np.testing.assert_array_equal(first, image)
    assert len(maps) == 12
    order = np.argsort(-out[0].mean(axis=(1, 2)))
    np.testing.assert_array_equal(maps[0], out[0, order[0]])
    assert "conv\nConv2d, 20 x 5 x 6" in texts(figure)


@pytest.mark.parametrize("classes", [3, 30])
def test_every_point_of_an_embedding_is_drawn(rng, classes):
    points, labels = rng.standard_normal((60, 2)), np.arange(60) % classes
    figure = embedding_figure(points, labels, [f"class {index}" for index in range(classes)], "map")
    drawn = np.concatenate([collection.get_offsets() for collection in figure.axes[0].collections])
    np.testing.assert_allclose(np.sort(drawn, axis=0), np.sort(points, axis=0))
    assert ("class 2" in texts(figure)) == (classes <= 20)


def test_names_of_classes_that_would_lie_on_one_another_are_left_to_the_legend(rng):
    around = rng.standard_normal((10, 2))
    points = np.concatenate([around, around + (0.5, 0), around + (100, 0)])
    figure = embedding_figure(points, np.repeat([0, 1, 2], 10), ["cat", "dog", "ship"], "map")
    assert [text.get_text() for text in figure.axes[0].texts] == ["cat", "ship"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["cat", "dog", "ship"]


def test_a_figure_is_saved_with_a_description(tmp_path, image):
    path = save_figure(tiles_figure(image[None], "one"), tmp_path / "one.png", "one picture of noise")
    with Image.open(path) as saved:
        assert saved.format == "PNG" and saved.text["Description"] == "one picture of noise"
