import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from chainrule.functional import dropout_backward, dropout_forward
from chainrule.verification import check_gradients

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@both_dtypes
@given(shape=array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4), p=st.floats(0.01, 1), seed=st.integers(0, 1000))
def test_draws_the_very_mask_that_course_code_draws(dtype, shape, p, seed, random_array):
    x = np.asarray(random_array(np.random.default_rng(0), shape, dtype))
    out, (_, mask) = dropout_forward(x, {"p": p, "mode": "train", "seed": seed})
    published = np.random.RandomState(seed).rand(*shape) < p
    assert out.dtype == mask.dtype == dtype and out.shape == mask.shape == shape
    np.testing.assert_array_equal(mask != 0, published)
    # x * (1 / p) against x / p: two roundings
    np.testing.assert_allclose(out, np.where(published, x / p, 0).astype(dtype), rtol=2 * np.finfo(dtype).eps)


def test_gives_exactly_what_the_course_computes_in_float64():
    x = np.random.default_rng(0).standard_normal((5, 6))
    out, (_, mask) = dropout_forward(x, {"p": 0.3, "mode": "train", "seed": 123})
    published = (np.random.RandomState(123).rand(*x.shape) < 0.3) / 0.3
    np.testing.assert_array_equal(mask, published)
    np.testing.assert_array_equal(out, x * published)


@pytest.mark.parametrize("layout", ["contiguous", "transposed", "strided", "reversed"])
@pytest.mark.parametrize("mode", ["train", "test"])
def test_gradients_agree_with_central_differences(layout, mode, random_array):
    x = random_array(np.random.default_rng(0), (4, 6), layout=layout)
    check_gradients(lambda x: dropout_forward(x, {"p": 0.7, "mode": mode, "seed": 1}), dropout_backward, x)


def test_backward_agrees_with_torchs_autograd_under_the_same_mask(assert_agrees_with_torch, random_array):
    torch = pytest.importorskip("torch", reason="PyTorch is the reference here")
    mask = torch.from_numpy((np.random.RandomState(4).rand(3, 5) < 0.6) / 0.6)
    x = random_array(np.random.default_rng(0), (3, 5))
    assert_agrees_with_torch(
        lambda x: dropout_forward(x, {"p": 0.6, "mode": "train", "seed": 4}), dropout_backward, lambda x: x * mask, (x,)
    )


@pytest.mark.parametrize("p", [0.25, 0.4, 0.7, 1.0])
def test_keeps_the_mean_and_a_share_p_of_the_elements(p):
    out, _ = dropout_forward(np.full((500, 500), 3.0), {"p": p, "mode": "train", "rng": np.random.default_rng(0)})
    # standard deviations of the two means over 250,000 elements, times five
    assert abs(out.mean() - 3) <= 5 * 3 * np.sqrt((1 - p) / p / out.size)
    assert abs(np.mean(out != 0) - p) <= 5 * np.sqrt(p * (1 - p) / out.size)


def test_p_1_keeps_everything():
    x = np.random.default_rng(0).standard_normal((5, 6))
    out, _ = dropout_forward(x, {"p": 1, "mode": "train"})
    np.testing.assert_array_equal(out, x)


def test_test_mode_passes_x_and_dout_on():
    x = np.random.default_rng(0).standard_normal((5, 6))
    out, cache = dropout_forward(x, {"p": 0.3, "mode": "test", "seed": 1})
    np.testing.assert_array_equal(out, x)
    np.testing.assert_array_equal(dropout_backward(x, cache), x)


def test_backward_follows_its_own_forward_when_the_mode_is_changed_in_between():
    x, dropout_param = np.ones((5, 6)), {"p": 0.3, "mode": "train", "seed": 1}
    out, cache = dropout_forward(x, dropout_param)
    dropout_param["mode"] = "test"  # as the course's network does, with the one dictionary it has
    np.testing.assert_array_equal(dropout_backward(np.ones_like(x), cache), out)


@pytest.mark.parametrize("seed", [0, 7])
def test_a_seed_repeats_the_mask_and_leaves_the_global_generator_alone(seed):
    x = np.ones((20, 20))
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the global generator is what the test is about
    first, _ = dropout_forward(x, {"p": 0.5, "mode": "train", "seed": seed, "rng": np.random.default_rng()})
    second, _ = dropout_forward(x, {"p": 0.5, "mode": "train", "seed": seed})
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_an_rng_goes_on_from_call_to_call_and_can_be_repeated():
    x, dropout_param = np.ones((20, 20)), {"p": 0.5, "mode": "train", "rng": np.random.default_rng(0)}
    first, second = dropout_forward(x, dropout_param)[0], dropout_forward(x, dropout_param)[0]
    assert not np.array_equal(first, second)
    again, _ = dropout_forward(x, {"p": 0.5, "mode": "train", "rng": np.random.default_rng(0)})
    np.testing.assert_array_equal(again, first)


def test_without_seed_and_rng_every_call_drops_other_elements():
    x, dropout_param = np.ones((20, 20)), {"p": 0.5, "mode": "train"}
    assert not np.array_equal(dropout_forward(x, dropout_param)[0], dropout_forward(x, dropout_param)[0])


@pytest.mark.parametrize("p", [0, -0.1, 1.1, np.nan])
@pytest.mark.parametrize("mode", ["train", "test"])
def test_refuses_a_p_outside_0_to_1(p, mode):
    message = f"dropout_forward: dropout_param['p'] is {float(p)}; expected the probability to keep an element, in (0, 1]"
    with pytest.raises(ValueError, match=re.escape(message)):
        dropout_forward(np.ones(3), {"p": p, "mode": mode})


@pytest.mark.parametrize("mode", [None, "eval"])
def test_refuses_an_unknown_mode(mode):
    with pytest.raises(ValueError, match=re.escape(f"dropout_forward: dropout_param['mode'] is {mode!r}; set it to 'train' or 'test'")):
        dropout_forward(np.ones(3), {"p": 0.5, "mode": mode})


def test_refuses_integers():
    with pytest.raises(TypeError, match="x has dtype int64; expected floating point"):
        dropout_forward(np.ones(3, np.int64), {"p": 0.5, "mode": "train"})
