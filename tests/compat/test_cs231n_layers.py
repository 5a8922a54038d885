"""The layers, sandwich layers and update rules as CS231n's notebooks call them: in-place numerical gradients, dictionaries, caches."""
# ruff: noqa: NPY002 - as the notebooks, these tests seed NumPy's global generator

import numpy as np
import pytest

from chainrule import functional
from chainrule.compat.cs231n import layer_utils, layers, optim
from chainrule.compat.cs231n.gradient_check import eval_numerical_gradient, eval_numerical_gradient_array

PUBLISHED_LAYERS = [
    "affine_forward",
    "affine_backward",
    "relu_forward",
    "relu_backward",
    "softmax_loss",
    "svm_loss",
    "batchnorm_forward",
    "batchnorm_backward",
    "batchnorm_backward_alt",
    "layernorm_forward",
    "layernorm_backward",
    "dropout_forward",
    "dropout_backward",
    "conv_forward_naive",
    "conv_backward_naive",
    "max_pool_forward_naive",
    "max_pool_backward_naive",
    "spatial_batchnorm_forward",
    "spatial_batchnorm_backward",
    "spatial_groupnorm_forward",
    "spatial_groupnorm_backward",
]

# central differences err by about h**2 = 1e-10 (curvature) and 2e-16 / 1e-5 = 2e-11 (rounding), times values around 10
NUMERICAL = dict(rtol=1e-6, atol=1e-8)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("name", PUBLISHED_LAYERS)
def test_a_published_layer_is_chainrule_s_function(name):
    assert getattr(layers, name) is getattr(functional, name)


def test_affine_gradients_agree_with_in_place_differences_for_images():
    x, w, b, dout = numbers(10, 2, 3), numbers(6, 5, seed=1), numbers(5, seed=2), numbers(10, 5, seed=3)
    _, cache = layers.affine_forward(x, w, b)
    dx, dw, db = layers.affine_backward(dout, cache)
    np.testing.assert_allclose(dx, eval_numerical_gradient_array(lambda x: layers.affine_forward(x, w, b)[0], x, dout), **NUMERICAL)
    np.testing.assert_allclose(dw, eval_numerical_gradient_array(lambda w: layers.affine_forward(x, w, b)[0], w, dout), **NUMERICAL)
    np.testing.assert_allclose(db, eval_numerical_gradient_array(lambda b: layers.affine_forward(x, w, b)[0], b, dout), **NUMERICAL)
    assert dx.shape == x.shape


def test_affine_scores_are_the_published_ones():
    x = np.linspace(-0.1, 0.5, num=2 * 120).reshape(2, 4, 5, 6)
    out, _ = layers.affine_forward(x, np.linspace(-0.2, 0.3, num=120 * 3).reshape(120, 3), np.linspace(-0.3, 0.1, num=3))
    # published with 8 decimals
    np.testing.assert_allclose(out, [[1.49834967, 1.70660132, 1.91485297], [3.25553199, 3.5141327, 3.77273342]], rtol=0, atol=5e-9)


@pytest.mark.parametrize(("name", "near"), [("softmax_loss", np.log(10)), ("svm_loss", 9)])
def test_the_losses_of_small_scores_are_those_of_guessing_and_their_gradients_agree_with_differences(name, near):
    loss_function = getattr(layers, name)
    x, y = 1e-3 * numbers(50, 10), np.random.default_rng(1).integers(10, size=50)
    loss, dx = loss_function(x, y)
    assert loss == pytest.approx(near, abs=2e-2)  # scores of 1e-3 move a margin by 1e-3, of which there are nine
    numerical = eval_numerical_gradient(lambda x: loss_function(x, y)[0], x, verbose=False)
    np.testing.assert_allclose(dx, numerical, **NUMERICAL)


def test_batchnorm_keeps_its_averages_in_the_dictionary_that_was_passed_in_both_modes():
    x = 3 * numbers(200, 5) + 7
    bn_param = {"mode": "train"}
    for _ in range(50):
        layers.batchnorm_forward(x, np.ones(5), np.zeros(5), bn_param)
    bn_param["mode"] = "test"
    mean_of_training = bn_param["running_mean"].copy()
    out, _ = layers.batchnorm_forward(x, np.ones(5), np.zeros(5), bn_param)
    np.testing.assert_array_equal(bn_param["running_mean"], mean_of_training)
    # after 50 steps of momentum 0.9 the averages have kept 0.9**50 = 0.5 % of their zeros: 0.5 % of a mean of 7, in units of std 3
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(out.std(axis=0), 1, atol=0.01)


def test_batchnorm_takes_a_mode_or_complains():
    with pytest.raises(ValueError, match="mode"):
        layers.batchnorm_forward(numbers(4, 3), np.ones(3), np.zeros(3), {})


def test_both_batchnorm_backwards_take_one_cache_and_agree():
    _, cache = layers.batchnorm_forward(5 * numbers(100, 50) + 12, numbers(50, seed=1), numbers(50, seed=2), {"mode": "train"})
    dout = numbers(100, 50, seed=3)
    for one, other in zip(layers.batchnorm_backward(dout, cache), layers.batchnorm_backward_alt(dout, cache), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12 * np.abs(one).max())


@pytest.mark.parametrize("ln_param", [{}, {"mode": "train"}], ids=["empty", "with a mode"])
def test_layernorm_normalizes_rows(ln_param):
    out, _ = layers.layernorm_forward(4 * numbers(4, 200) - 3, np.ones(200), np.zeros(200), ln_param)
    np.testing.assert_allclose(out.mean(axis=1), 0, atol=1e-13)
    np.testing.assert_allclose(out.std(axis=1), 1, atol=1e-5)  # eps = 1e-5 against a variance of 16


@pytest.mark.parametrize("p", [0.25, 0.4, 0.7])
def test_dropout_keeps_a_share_of_p_and_the_mean(p):
    x = numbers(500, 500) + 10
    out, _ = layers.dropout_forward(x, {"mode": "train", "p": p, "seed": 231})
    # 250000 draws: a share's deviation is at most 0.001, and the mean's 10 / p times that: six deviations
    assert np.mean(out == 0) == pytest.approx(1 - p, abs=0.006)
    assert out.mean() == pytest.approx(10, abs=0.25)
    np.testing.assert_array_equal(layers.dropout_forward(x, {"mode": "test", "p": p})[0], x)


def test_dropout_with_a_seed_draws_one_mask_again_and_again_which_is_that_of_np_random_seed():
    x = numbers(10, 10) + 10
    dropout_param = {"mode": "train", "p": 0.2, "seed": 123}
    state = np.random.get_state()[1].copy()
    out, cache = layers.dropout_forward(x, dropout_param)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    expected = x * (np.random.RandomState(123).rand(10, 10) < 0.2) / 0.2
    np.testing.assert_allclose(out, expected, rtol=1e-15)  # one multiplication more or less
    np.testing.assert_array_equal(layers.dropout_forward(x, dropout_param)[0], out)
    dout = numbers(10, 10, seed=1)
    numerical = eval_numerical_gradient_array(lambda x: layers.dropout_forward(x, dropout_param)[0], x, dout)
    np.testing.assert_allclose(layers.dropout_backward(dout, cache), numerical, **NUMERICAL)


def test_the_sandwich_is_its_two_layers():
    x, w, b, dout = numbers(2, 3, 4), numbers(12, 10, seed=1), numbers(10, seed=2), numbers(2, 10, seed=3)
    out, cache = layer_utils.affine_relu_forward(x, w, b)
    np.testing.assert_array_equal(out, np.maximum(x.reshape(2, 12) @ w + b, 0))
    dx, dw, db = layer_utils.affine_relu_backward(dout, cache)
    np.testing.assert_allclose(
        dx, eval_numerical_gradient_array(lambda x: layer_utils.affine_relu_forward(x, w, b)[0], x, dout), **NUMERICAL
    )
    np.testing.assert_allclose(
        dw, eval_numerical_gradient_array(lambda w: layer_utils.affine_relu_forward(x, w, b)[0], w, dout), **NUMERICAL
    )
    np.testing.assert_allclose(
        db, eval_numerical_gradient_array(lambda b: layer_utils.affine_relu_forward(x, w, b)[0], b, dout), **NUMERICAL
    )


@pytest.mark.parametrize(
    ("sandwich", "extra"),
    [
        ("conv_relu", ({"stride": 1, "pad": 1},)),
        ("conv_relu_pool", ({"stride": 1, "pad": 1}, {"pool_height": 2, "pool_width": 2, "stride": 2})),
        ("conv_bn_relu", (numbers(3, seed=5), numbers(3, seed=6), {"stride": 1, "pad": 1}, {"mode": "train"})),
    ],
)
def test_a_sandwich_with_a_convolution_is_its_definition_and_agrees_with_in_place_differences(sandwich, extra):
    x, w, b = numbers(2, 3, 8, 8), numbers(3, 3, 3, 3, seed=1), numbers(3, seed=2)
    forward, backward = getattr(layer_utils, f"{sandwich}_forward"), getattr(layer_utils, f"{sandwich}_backward")
    out, cache = forward(x, w, b, *extra)
    expected, reference_cache = getattr(functional, f"{sandwich}_forward")(x, w, b, *extra)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-12)  # sums of 27 in another order
    dout = numbers(*out.shape, seed=3)
    gradients = backward(dout, cache)
    for one, other in zip(gradients, getattr(functional, f"{sandwich}_backward")(dout, reference_cache), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12 * max(1, np.abs(other).max()))
    numerical = eval_numerical_gradient_array(lambda w: forward(x, w, b, *extra)[0], w, dout)
    np.testing.assert_allclose(gradients[1], numerical, rtol=1e-6, atol=1e-7)  # slopes of up to 30


# The notebooks' inputs: evenly spaced, so that the results can be written down. First and last element of what they publish.
W = np.linspace(-0.4, 0.6, num=20).reshape(4, 5)
DW = np.linspace(-0.6, 0.4, num=20).reshape(4, 5)
STATE = np.linspace(0.6, 0.9, num=20).reshape(4, 5)
SQUARES = np.linspace(0.7, 0.5, num=20).reshape(4, 5)


@pytest.mark.parametrize(
    ("rule", "config", "next_w", "states"),
    [
        ("sgd_momentum", {"learning_rate": 1e-3, "velocity": STATE}, (0.1406, 1.4096), {"velocity": (0.5406, 0.8096)}),
        ("rmsprop", {"learning_rate": 1e-2, "cache": STATE}, (-0.39223849, 0.59576619), {"cache": (0.5976, 0.8926)}),
        (
            "adam",
            {"learning_rate": 1e-2, "m": STATE, "v": SQUARES, "t": 5},
            (-0.40094747, 0.59801459),
            {"m": (0.48, 0.85), "v": (0.69966, 0.49966)},
        ),
    ],
    ids=["sgd_momentum", "rmsprop", "adam"],
)
def test_an_update_rule_gives_the_published_numbers_and_leaves_its_state_in_the_dictionary_that_was_passed(rule, config, next_w, states):
    config = {key: value.copy() if isinstance(value, np.ndarray) else value for key, value in config.items()}
    result, returned = getattr(optim, rule)(W, DW, config=config)
    assert returned is config
    np.testing.assert_allclose(result.flat[[0, -1]], next_w, rtol=0, atol=5e-8)
    for key, ends in states.items():
        np.testing.assert_allclose(config[key].flat[[0, -1]], ends, rtol=0, atol=5e-8)


@pytest.mark.parametrize(
    ("rule", "defaults"),
    [
        ("sgd", {"learning_rate": 1e-2}),
        ("sgd_momentum", {"learning_rate": 1e-2, "momentum": 0.9}),
        ("rmsprop", {"learning_rate": 1e-2, "decay_rate": 0.99, "epsilon": 1e-8}),
        ("adam", {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "t": 1}),
    ],
)
def test_an_update_rule_fills_in_the_published_defaults(rule, defaults):
    _, config = getattr(optim, rule)(W.copy(), DW)
    assert defaults.items() <= {key: value for key, value in config.items() if np.ndim(value) == 0}.items()
