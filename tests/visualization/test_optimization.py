"""Images made by following the gradient of the image."""

import numpy as np
import pytest

from chainrule import nn
from chainrule.verification import numerical_gradient
from chainrule.visualization import (
    class_visualization,
    class_visualization_steps,
    feature_inversion,
    feature_inversion_steps,
    fooling_steps,
    load_network,
    make_fooling_image,
    probe,
)
from chainrule.visualization.optimization import _total_variation_gradient


def test_a_fooling_image_is_taken_for_the_target_and_is_close(either, x):
    before = probe(either).scores(x[:1])
    target = int(before.argmin())
    fooling = make_fooling_image(either, x[:1], target, learning_rate=0.2)
    assert fooling.fooled and fooling.steps > 0
    np.testing.assert_array_equal(fooling.before, before)
    np.testing.assert_array_equal(fooling.scores, probe(either).scores(fooling.x))
    assert fooling.scores.argmax() == target
    assert np.linalg.norm(fooling.x - x[:1]) <= 0.2 * fooling.steps * (1 + 1e-12)  # each step has this length


def test_one_step_of_fooling_follows_the_gradient_of_the_log_probability(network, x):
    target = int(probe(network).scores(x[:1]).argmin())
    first, second = list(fooling_steps(network, x[:1], target, learning_rate=1e-3, steps=1))

    def log_probability(image):
        scores = probe(network).scores(image)[0]
        return scores[target] - np.log(np.sum(np.exp(scores)))

    slope = numerical_gradient(log_probability, first.x.copy())
    np.testing.assert_allclose(second.x - first.x, 1e-3 * slope / np.linalg.norm(slope), rtol=1e-5, atol=1e-10)


def test_the_steps_lead_to_the_result(network, x):
    target = int(probe(network).scores(x[:1]).argmin())
    *_, last = steps = list(fooling_steps(network, x[:1], target, learning_rate=0.2))
    assert [step.steps for step in steps] == list(range(len(steps)))
    assert [step.fooled for step in steps] == [False] * (len(steps) - 1) + [True]
    np.testing.assert_array_equal(steps[0].x, x[:1])
    np.testing.assert_array_equal(make_fooling_image(network, x[:1], target, learning_rate=0.2).x, last.x)


def test_an_image_that_is_the_target_already_takes_no_step(network, x):
    fooling = make_fooling_image(network, x[:1], int(probe(network).scores(x[:1]).argmax()))
    assert (fooling.steps, fooling.fooled) == (0, True)


def test_it_gives_up_after_the_steps_that_it_may_take(network, x):
    fooling = make_fooling_image(network, x[:1], int(probe(network).scores(x[:1]).argmin()), learning_rate=1e-9, steps=3)
    assert (fooling.steps, fooling.fooled) == (3, False)


def test_bounds_are_kept(network, x):
    target = int(probe(network).scores(x[:1]).argmin())
    low, high = np.full((1, 3, 1, 1), -0.5), np.full((1, 3, 1, 1), 0.75)
    for step in list(fooling_steps(network, x[:1], target, learning_rate=5.0, steps=4, low=low, high=high))[1:]:
        assert step.x.min() >= -0.5 and step.x.max() <= 0.75
    drawn = class_visualization(network, 2, shape=(3, 13, 12), steps=5, low=low, high=high, rng=np.random.default_rng(0))
    assert drawn.min() >= -0.5 and drawn.max() <= 0.75
    inverted = feature_inversion(network, x[:1], "4", steps=5, low=low, high=high, rng=np.random.default_rng(0))
    assert inverted.min() >= -0.5 and inverted.max() <= 0.75


def test_the_image_that_is_stored_is_the_one_that_fools(network, x):
    def stored(image):
        return np.round(image, 1)

    target = int(probe(network).scores(x[:1]).argmin())
    fooling = make_fooling_image(network, x[:1], target, learning_rate=0.3, stored=stored)
    assert fooling.fooled
    np.testing.assert_array_equal(fooling.x, stored(fooling.x))


def test_class_visualization_raises_the_score_and_is_the_same_again(either):
    def drawn():
        return list(class_visualization_steps(either, 2, shape=(3, 13, 12), steps=30, rng=np.random.default_rng(0)))

    scores = [score for _, score in drawn()]
    assert np.mean(scores[-5:]) > np.mean(scores[:5])
    for (image, score), (again, score_again) in zip(drawn(), drawn(), strict=True):
        np.testing.assert_array_equal(image, again)
        assert score == score_again


def test_without_jitter_blur_and_bounds_a_step_of_class_visualization_is_the_formula(network):
    """CS231n's: the gradient of the score - l2_reg * |x|^2, divided by its norm."""
    shape, rate, l2_reg = (3, 13, 12), 0.01, 0.2
    plain = {"steps": 1, "learning_rate": rate, "l2_reg": l2_reg, "max_jitter": 0, "blur_every": 0}
    ((image, score),) = class_visualization_steps(network, 2, shape=shape, rng=np.random.default_rng(0), **plain)
    start = np.random.default_rng(0).standard_normal((1, *shape), np.float32).astype(np.float64)
    assert score == pytest.approx(probe(network).scores(start)[0, 2])
    slope = numerical_gradient(lambda x: probe(network).scores(x)[0, 2] - l2_reg * np.sum(x**2), start)
    expected = start + rate * np.sqrt(start.size) * slope / np.linalg.norm(slope)
    np.testing.assert_allclose(image, expected, rtol=0, atol=1e-6)  # the image starts as float32


def test_inversion_finds_an_image_with_almost_the_same_features(either, x):
    distances = [distance for _, distance in feature_inversion_steps(either, x[:1], "4", steps=100, rng=np.random.default_rng(0))]
    assert distances[-1] < 0.1 * distances[0]


def test_inversion_of_a_one_to_one_layer_is_the_image(rng):
    network = nn.Sequential(nn.Conv2d(3, 12, 1), nn.Flatten(), nn.Linear(300, 4)).double().reset_parameters(rng)
    x = rng.standard_normal((1, 3, 5, 5))
    inverted = feature_inversion(network, x, "0", steps=600, learning_rate=0.05, tv_weight=0.0, rng=rng)
    np.testing.assert_allclose(inverted, x, rtol=0, atol=1e-2)


def test_the_gradient_of_the_total_variation_is_that_of_differences(rng):
    x = rng.standard_normal((1, 3, 5, 4))

    def variation(x):
        return (np.sum(np.diff(x, axis=2) ** 2) + np.sum(np.diff(x, axis=3) ** 2)) / 20

    expected = numerical_gradient(variation, x)
    np.testing.assert_allclose(_total_variation_gradient(x), expected, rtol=0, atol=1e-8)


# --- bad input --------------------------------------------------------------------------------------------------------------------


def test_several_images_at_once_are_refused(network, x):
    with pytest.raises(ValueError, match=r"make_fooling_image: x has shape \(4, 3, 13, 12\); expected one image, \(1, C, H, W\)"):
        make_fooling_image(network, x, 1)
    with pytest.raises(ValueError, match=r"feature_inversion: x has shape"):
        feature_inversion(network, x, "4", rng=np.random.default_rng(0))


def test_a_class_that_is_none_is_refused(network, x):
    with pytest.raises(ValueError, match="7"):
        make_fooling_image(network, x[:1], 7)
    with pytest.raises(ValueError, match="this network has classes 0 to 6"):
        class_visualization(network, 7, shape=(3, 13, 12), rng=np.random.default_rng(0))


@pytest.mark.parametrize("options", [{"steps": 0}, {"learning_rate": 0.0}, {"learning_rate": float("nan")}])
def test_senseless_settings_are_refused(network, x, options):
    (name,) = options
    with pytest.raises(ValueError, match=f"make_fooling_image: {name} is "):
        make_fooling_image(network, x[:1], 1, **options)


# --- real photographs -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.real_data
def test_all_but_one_photograph_can_be_made_to_fool_as_files(shared_data):
    network = load_network(weights=shared_data / "squeezenet1_1-deepscale.pth")
    rng, fooled = np.random.default_rng(0), 0
    with np.load(shared_data / "imagenet_val_25.npz") as file:
        images, labels = file["X"], file["y"]
    for image, label in zip(images, labels, strict=True):
        target = (label + rng.integers(1, 1000)) % 1000
        fooling = make_fooling_image(
            network.module, network.prepare(image), target, low=network.low, high=network.high, stored=network.stored
        )
        (pixels,) = network.to_pixels(fooling.x)
        fooled += network.scores(network.prepare(pixels)).argmax() == target
    assert fooled >= 24
