import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.functional import (
    affine_bn_relu_backward,
    affine_bn_relu_forward,
    affine_forward,
    affine_ln_relu_backward,
    affine_ln_relu_forward,
    affine_relu_backward,
    affine_relu_forward,
    relu_forward,
)
from chainrule.verification import check_gradients


def five_arrays(random_array, dtype=np.float64, N=6, M=4):
    """x (N, 2, 3), w (6, M), b, gamma, beta (M,), in the order in which the composites take them."""
    rng = np.random.default_rng(0)
    return [random_array(rng, shape, dtype) for shape in ((N, 2, 3), (6, M), (M,), (M,), (M,))]


@given(N=st.integers(0, 5), M=st.integers(1, 5))
def test_affine_relu_agrees_with_torch(N, M, random_array, assert_agrees_with_torch):
    arrays = five_arrays(random_array, N=N, M=M)[:3]
    assert_agrees_with_torch(
        affine_relu_forward, affine_relu_backward, lambda x, w, b: (x.reshape(N, 6) @ w + b).relu(), arrays, longest_sum=6, condition=9
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_affine_bn_relu_agrees_with_torch(dtype, random_array, assert_agrees_with_torch):
    F = pytest.importorskip("torch", reason="PyTorch is the reference here").nn.functional
    assert_agrees_with_torch(
        lambda *arrays: affine_bn_relu_forward(*arrays, {"mode": "train"}),
        affine_bn_relu_backward,
        lambda x, w, b, gamma, beta: F.batch_norm(x.flatten(1) @ w + b, None, None, gamma, beta, training=True).relu(),
        five_arrays(random_array, dtype),
        longest_sum=6,
        condition=30,  # scores of up to 9 are centred, and divided by their standard deviation twice
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_affine_ln_relu_agrees_with_torch(dtype, random_array, assert_agrees_with_torch):
    F = pytest.importorskip("torch", reason="PyTorch is the reference here").nn.functional
    assert_agrees_with_torch(
        lambda *arrays: affine_ln_relu_forward(*arrays, {}),
        affine_ln_relu_backward,
        lambda x, w, b, gamma, beta: F.layer_norm(x.flatten(1) @ w + b, (4,), gamma, beta).relu(),
        five_arrays(random_array, dtype),
        longest_sum=6,
        condition=30,  # scores of up to 9 are centred, and divided by their standard deviation twice
    )


def test_gradients_agree_with_central_differences(random_array):
    x, w, b, gamma, beta = five_arrays(random_array)
    check_gradients(affine_relu_forward, affine_relu_backward, x, w, b)
    check_gradients(
        lambda x, w, b, gamma, beta: affine_ln_relu_forward(x, w, b, gamma, beta, {}), affine_ln_relu_backward, x, w, b, gamma, beta
    )


@pytest.mark.parametrize("mode", ["train", "test"])
def test_gradients_of_affine_bn_relu_agree_with_central_differences(mode, random_array):
    x, w, b, gamma, beta = five_arrays(random_array)

    def forward(x, w, b, gamma, beta):
        running = {"running_mean": np.full(4, 0.3, x.dtype), "running_var": np.full(4, 2.0, x.dtype)}
        return affine_bn_relu_forward(x, w, b, gamma, beta, {"mode": mode, **running})

    check_gradients(forward, affine_bn_relu_backward, x, w, b, gamma, beta)


def test_a_composite_is_its_parts_one_after_the_other(random_array):
    x, w, b, _, _ = five_arrays(random_array)
    np.testing.assert_array_equal(affine_relu_forward(x, w, b)[0], relu_forward(affine_forward(x, w, b)[0])[0])


def test_a_bias_before_batch_normalization_gets_no_gradient(random_array):
    arrays = five_arrays(random_array)
    out, cache = affine_bn_relu_forward(*arrays, {"mode": "train"})
    _, _, db, _, _ = affine_bn_relu_backward(np.random.default_rng(1).standard_normal(out.shape), cache)
    np.testing.assert_allclose(db, 0, atol=1e-14)


def test_the_running_averages_land_in_the_dictionary(random_array):
    arrays, bn_param = five_arrays(random_array), {"mode": "train"}
    affine_bn_relu_forward(*arrays, bn_param)
    scores, _ = affine_forward(*arrays[:3])
    np.testing.assert_allclose(bn_param["running_mean"], 0.1 * scores.mean(axis=0), rtol=1e-14)
