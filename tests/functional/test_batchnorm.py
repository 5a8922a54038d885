import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.functional import batchnorm_backward, batchnorm_backward_alt, batchnorm_forward
from chainrule.verification import check_gradients

both_backwards = pytest.mark.parametrize("backward", [batchnorm_backward, batchnorm_backward_alt])
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
sizes = st.integers(1, 6)


def running_statistics(D, dtype=np.float64):
    rng = np.random.default_rng(5)
    return {"running_mean": rng.standard_normal(D).astype(dtype), "running_var": rng.uniform(0.5, 2, D).astype(dtype)}


@both_backwards
@both_dtypes
@given(N=sizes, D=st.integers(0, 6), seed=st.integers(0, 1000))
def test_train_mode_agrees_with_torchs_autograd(backward, dtype, N, D, seed, random_array, assert_agrees_with_torch):
    """The definition in PyTorch's elementary functions: `torch.nn.functional.batch_norm` refuses a batch of one."""
    rng = np.random.default_rng(seed)
    x, gamma, beta = random_array(rng, (N, D), dtype), random_array(rng, (D,), dtype), random_array(rng, (D,), dtype)
    assert_agrees_with_torch(
        lambda x, gamma, beta: batchnorm_forward(x, gamma, beta, {"mode": "train"}),
        backward,
        lambda x, gamma, beta: gamma * (x - x.mean(0)) / (((x - x.mean(0)) ** 2).mean(0) + 1e-5).sqrt() + beta,
        (x, gamma, beta),
        longest_sum=N,
        condition=amplification(x),
    )


def amplification(x):
    """x - mean loses |x| / std in relative accuracy, and dx divides by std once more."""
    std = np.sqrt(x.astype(np.float64).var(axis=0) + 1e-5)
    return float(np.max((1 + np.abs(x).max(initial=0)) / std, initial=1) ** 2)


@both_dtypes
@pytest.mark.parametrize("mode", ["train", "test"])
@pytest.mark.parametrize("layout", ["contiguous", "transposed", "strided", "reversed"])
@both_backwards
def test_agrees_with_torchs_batch_norm_in_every_memory_layout(backward, layout, mode, dtype, random_array, assert_agrees_with_torch):
    torch = pytest.importorskip("torch", reason="PyTorch is the reference here")
    rng = np.random.default_rng(0)
    x, gamma, beta = (random_array(rng, shape, dtype, layout) for shape in ((7, 5), (5,), (5,)))
    running = running_statistics(5, dtype)

    def reference(x, gamma, beta):
        mean, var = (torch.from_numpy(array.copy()) for array in running.values())
        return torch.nn.functional.batch_norm(x, mean, var, gamma, beta, training=mode == "train", eps=1e-3)

    assert_agrees_with_torch(
        lambda x, gamma, beta: batchnorm_forward(x, gamma, beta, {"mode": mode, "eps": 1e-3, **running}),
        backward,
        reference,
        (x, gamma, beta),
        longest_sum=7,
        condition=amplification(x),
    )


@both_backwards
@pytest.mark.parametrize("mode", ["train", "test"])
def test_gradients_agree_with_central_differences(backward, mode):
    rng = np.random.default_rng(0)
    x, gamma, beta = 3 + 2 * rng.standard_normal((6, 4)), rng.standard_normal(4), rng.standard_normal(4)

    def forward(x, gamma, beta):
        return batchnorm_forward(x, gamma, beta, {"mode": mode, **running_statistics(4, x.dtype)})

    check_gradients(forward, backward, x, gamma, beta)


@pytest.mark.parametrize("mode", ["train", "test"])
@given(N=sizes, D=sizes, seed=st.integers(0, 1000))
def test_the_simplified_backward_equals_the_one_through_the_graph(mode, N, D, seed):
    rng = np.random.default_rng(seed)
    x, gamma, beta, dout = (rng.standard_normal(shape) for shape in ((N, D), D, D, (N, D)))
    _, cache = batchnorm_forward(x, gamma, beta, {"mode": mode, **running_statistics(D)})
    through_graph, simplified = batchnorm_backward(dout, cache), batchnorm_backward_alt(dout, cache)
    # each is right to some ten unit roundoffs of its terms, of size 10 * gamma / std with std >= 0.003
    for a, b in zip(through_graph, simplified, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-11)


@given(shift=st.floats(-100, 100), scale=st.floats(0.5, 20))
def test_a_column_may_be_shifted_and_scaled_without_effect(shift, scale):
    x = np.random.default_rng(0).standard_normal((8, 3))
    gamma, beta = np.array([0.5, 2.0, -1.0]), np.array([1.0, -2.0, 0.3])
    out, _ = batchnorm_forward(x, gamma, beta, {"mode": "train", "eps": 0.0})
    mapped, _ = batchnorm_forward(scale * x + shift, gamma, beta, {"mode": "train", "eps": 0.0})
    # rounding of scale * x + shift, up to 1.1e-16 * 160, over a standard deviation of at least 0.25, times gamma
    np.testing.assert_allclose(mapped, out, rtol=0, atol=1e-12)


@both_backwards
def test_the_gradient_has_no_part_along_the_constant_nor_along_x_hat(backward):
    rng = np.random.default_rng(0)
    x, dout = rng.standard_normal((8, 3)), rng.standard_normal((8, 3))
    x_hat, cache = batchnorm_forward(x, np.ones(3), np.zeros(3), {"mode": "train", "eps": 0.0})
    dx, _, _ = backward(dout, cache)
    np.testing.assert_allclose(dx.sum(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose((dx * x_hat).sum(axis=0), 0, atol=1e-14)


def test_columns_come_out_with_mean_beta_and_standard_deviation_gamma():
    x = 5 + 3 * np.random.default_rng(0).standard_normal((200, 3))
    gamma, beta = np.array([1.0, 2.0, 3.0]), np.array([11.0, 12.0, 13.0])  # the course's own check
    out, _ = batchnorm_forward(x, gamma, beta, {"mode": "train"})
    np.testing.assert_allclose(out.mean(axis=0), beta, rtol=1e-14)
    np.testing.assert_allclose(out.std(axis=0), gamma, rtol=1e-6)  # eps = 1e-5 beside a variance of 9


def test_integer_gamma_and_beta_work_and_keep_the_dtype_of_x():
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    out, cache = batchnorm_forward(x, np.array([1, 2, 3]), np.array([11, 12, 13]), {"mode": "train"})
    expected, _ = batchnorm_forward(x, np.float32([1, 2, 3]), np.float32([11, 12, 13]), {"mode": "train"})
    np.testing.assert_array_equal(out, expected)
    gradients = batchnorm_backward(np.ones_like(x), cache)
    assert out.dtype == np.float32 and all(gradient.dtype == np.float32 for gradient in gradients)


def test_settings_that_are_numpy_scalars_do_not_widen_float32():
    x = np.ones((5, 3), np.float32)
    bn_param = {"mode": "train", "eps": np.float64(1e-5), "momentum": np.float64(0.9)}
    out, _ = batchnorm_forward(x, np.ones(3, np.float32), np.zeros(3, np.float32), bn_param)
    assert out.dtype == bn_param["running_mean"].dtype == bn_param["running_var"].dtype == np.float32


def test_running_averages_follow_the_courses_rule_from_zero():
    rng = np.random.default_rng(0)
    bn_param = {"mode": "train", "momentum": 0.8}
    mean, var = np.zeros(3), np.zeros(3)
    for _ in range(5):
        x = rng.standard_normal((6, 3))
        batchnorm_forward(x, np.ones(3), np.zeros(3), bn_param)
        mean, var = 0.8 * mean + 0.2 * x.mean(axis=0), 0.8 * var + 0.2 * x.var(axis=0)
    np.testing.assert_allclose(bn_param["running_mean"], mean, rtol=1e-14)
    np.testing.assert_allclose(bn_param["running_var"], var, rtol=1e-14)


def test_momentum_zero_leaves_exactly_the_statistics_of_the_batch():
    x = np.random.default_rng(0).standard_normal((6, 3))
    bn_param = {"mode": "train", "momentum": 0.0, **running_statistics(3)}
    batchnorm_forward(x, np.ones(3), np.zeros(3), bn_param)
    np.testing.assert_array_equal(bn_param["running_mean"], x.mean(axis=0))
    np.testing.assert_array_equal(bn_param["running_var"], x.var(axis=0))


def test_the_arrays_of_running_statistics_that_were_passed_stay_as_they_are():
    before, bn_param = running_statistics(3), {"mode": "train", **running_statistics(3)}
    passed = bn_param["running_mean"], bn_param["running_var"]
    batchnorm_forward(np.ones((4, 3)), np.ones(3), np.zeros(3), bn_param)
    np.testing.assert_array_equal(passed, (before["running_mean"], before["running_var"]))


def test_test_mode_uses_the_running_statistics_writes_them_back_and_takes_an_empty_batch():
    bn_param = {"mode": "test"}
    out, _ = batchnorm_forward(np.full((2, 3), 2.0), np.ones(3), np.zeros(3), bn_param)
    np.testing.assert_allclose(out, 2 / np.sqrt(1e-5))  # mean 0 and variance 0, the course's defaults
    np.testing.assert_array_equal(bn_param["running_mean"], np.zeros(3))
    np.testing.assert_array_equal(bn_param["running_var"], np.zeros(3))
    out, cache = batchnorm_forward(np.zeros((0, 3)), np.ones(3), np.zeros(3), bn_param)
    assert out.shape == batchnorm_backward(out, cache)[0].shape == (0, 3)


def test_test_mode_maps_each_sample_on_its_own():
    x = np.random.default_rng(0).standard_normal((6, 3))
    bn_param = {"mode": "test", **running_statistics(3)}
    together, _ = batchnorm_forward(x, np.ones(3), np.zeros(3), bn_param)
    alone, _ = batchnorm_forward(x[2:3], np.ones(3), np.zeros(3), bn_param)
    np.testing.assert_array_equal(together[2:3], alone)


@both_backwards
def test_a_batch_of_one_comes_out_as_beta_with_no_gradient_to_x(backward):
    out, cache = batchnorm_forward(np.array([[3.0, -4.0]]), np.array([2.0, 5.0]), np.array([0.5, 0.7]), {"mode": "train"})
    np.testing.assert_array_equal(out, [[0.5, 0.7]])
    np.testing.assert_array_equal(backward(np.array([[1.0, 2.0]]), cache)[0], [[0, 0]])


@pytest.mark.parametrize("mode", [None, "eval", "Train", True])
def test_refuses_an_unknown_mode(mode):
    with pytest.raises(ValueError, match=re.escape(f"batchnorm_forward: bn_param['mode'] is {mode!r}; set it to 'train' or 'test'")):
        batchnorm_forward(np.ones((2, 3)), np.ones(3), np.zeros(3), {"mode": mode})
    with pytest.raises(ValueError, match="'mode'"):
        batchnorm_forward(np.ones((2, 3)), np.ones(3), np.zeros(3), {})


@pytest.mark.parametrize("name", ["gamma", "beta", "running_mean", "running_var"])
@pytest.mark.parametrize("shape", [(1,), (3, 1), (2, 3), (1, 3), (), (4,)])
def test_refuses_parameters_that_would_broadcast(name, shape):
    arguments = {"gamma": np.ones(3), "beta": np.ones(3), "running_mean": np.ones(3), "running_var": np.ones(3)} | {name: np.ones(shape)}
    running = {key: arguments.pop(key) for key in ("running_mean", "running_var")}
    message = f"batchnorm_forward: {name} has shape {shape}; expected (3,), one value for each column of x (2, 3)"
    with pytest.raises(ValueError, match=re.escape(message)):
        batchnorm_forward(np.ones((2, 3)), **arguments, bn_param={"mode": "train", **running})


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.ones((0, 3)), ValueError, "x has shape (0, 3); the statistics of a batch need at least one sample"),
        (np.ones(3), ValueError, "x has shape (3,); expected two axes"),
        (np.ones((2, 3, 4)), ValueError, "x has shape (2, 3, 4); expected two axes"),
        (np.ones((2, 3), np.int64), TypeError, "x has dtype int64; expected floating point"),
    ],
)
def test_refuses_an_x_without_statistics(x, error, message):
    bn_param = {"mode": "train"}
    with pytest.raises(error, match=re.escape(f"batchnorm_forward: {message}")):
        batchnorm_forward(x, np.ones(3), np.zeros(3), bn_param)
    assert bn_param == {"mode": "train"}  # nothing half done
