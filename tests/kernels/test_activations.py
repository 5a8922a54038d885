"""The compiled ReLU, GELU and sum against their definitions and against PyTorch."""

import numpy as np
import pytest

from chainrule import functional, kernels
from chainrule.verification import check_gradients

VALUES = np.concatenate([np.linspace(-40, 40, 3001), [0, -0.0, 1e-30, -1e-300, 1e30, -1e30, np.inf]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equals_its_definition_far_into_both_tails(dtype, threads):
    x = VALUES[np.abs(VALUES) <= np.finfo(dtype).max].astype(dtype)
    dout = np.random.default_rng(0).standard_normal(x.shape).astype(dtype)
    out, cache = kernels.gelu_forward(x)
    expected, _ = functional.gelu_forward(x.astype(np.float64))
    # the distribution function is accurate to some units of roundoff; its argument x / sqrt(2), rounded, moves its tail by x**2 / 2 of
    # them; below the smallest normal number digits are lost
    tiny, bound = np.finfo(dtype).tiny, np.finfo(dtype).eps * (4 + np.minimum(x.astype(np.float64) ** 2, 1600))
    assert np.all(np.abs(out - expected) <= bound * np.abs(expected) + tiny)
    dx = kernels.gelu_backward(dout, cache)
    wanted = functional.gelu_backward(dout.astype(np.float64), functional.gelu_forward(x.astype(np.float64))[1])
    assert np.all(np.abs(dx - wanted) <= 30 * np.finfo(dtype).eps * (np.abs(wanted) + np.abs(dout)))
    assert out.dtype == dx.dtype == dtype


def test_equals_torch():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((7, 5, 3))
    tensor = torch.from_numpy(x).requires_grad_()
    out = torch.nn.functional.gelu(tensor)
    out.sum().backward()
    actual, cache = kernels.gelu_forward(x)
    np.testing.assert_allclose(actual, out.detach(), rtol=1e-14, atol=1e-15)  # torch's 1 + erf(z) loses digits that count from 0.5 on
    np.testing.assert_allclose(kernels.gelu_backward(np.ones_like(x), cache), tensor.grad, rtol=1e-14, atol=1e-14)


def test_gradients_agree_with_central_differences():
    check_gradients(kernels.gelu_forward, kernels.gelu_backward, np.random.default_rng(0).standard_normal((4, 5)))


@pytest.mark.parametrize("layout", ["F", "every second", "reversed", "read-only"])
def test_the_memory_layout_does_not_matter(layout, laid_out):
    x = np.random.default_rng(0).standard_normal((6, 4))
    expected, cache = kernels.gelu_forward(x)
    out, other_cache = kernels.gelu_forward(laid_out(x.copy(), layout))
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(kernels.gelu_backward(laid_out(x.copy(), layout), other_cache), kernels.gelu_backward(x, cache))


def test_results_are_written_to_the_buffers_that_are_given():
    x = np.random.default_rng(0).standard_normal((6, 4))
    out, dx = np.empty((6, 4)), np.empty((4, 6)).T
    result, cache = kernels.gelu_forward(x, out=out)
    assert result is out
    assert kernels.gelu_backward(x, cache, dx=dx) is dx
    np.testing.assert_array_equal(dx, kernels.gelu_backward(x, cache))


@pytest.mark.parametrize("x", [np.ones((2, 3), np.float16), np.ones((0, 3))])
def test_what_the_kernels_do_not_take_goes_to_the_definition(x):
    out, cache = kernels.gelu_forward(x)
    np.testing.assert_array_equal(out, functional.gelu_forward(x)[0])
    np.testing.assert_array_equal(kernels.gelu_backward(x, cache), functional.gelu_backward(x, functional.gelu_forward(x)[1]))
    with pytest.raises(TypeError, match="expected floating point"):
        kernels.gelu_forward(x.astype(int))


def channels_last(values):
    return np.ascontiguousarray(values.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 3, 2, 5), (3, 17, 29, 31)])
def test_relu_and_sum_are_their_definitions_and_keep_the_order_of_the_memory(shape, dtype, threads):
    rng = np.random.default_rng(0)
    for arrange in (np.asarray, channels_last):
        x, dout = (arrange(rng.standard_normal(shape).astype(dtype)) for _ in range(2))
        out, cache = kernels.relu_forward(x)
        np.testing.assert_array_equal(out, np.maximum(x, 0))
        dx = kernels.relu_backward(dout, cache)
        np.testing.assert_array_equal(dx, dout * (x > 0))
        total = kernels.add(x, dout)
        np.testing.assert_array_equal(total, x + dout)
        assert out.strides == dx.strides == total.strides == kernels.gelu_forward(x)[0].strides == x.strides


def test_relu_keeps_a_nan():
    out, cache = kernels.relu_forward(np.array([np.nan, -np.inf, np.inf, -1.0]))
    np.testing.assert_array_equal(out, [np.nan, 0, np.inf, 0])
    np.testing.assert_array_equal(kernels.relu_backward(np.ones(4), cache), [0, 0, 1, 0])


def test_gelu_of_a_nan_is_nan_and_its_slope_at_infinity_is_1():
    x = np.array([np.nan, np.inf], np.float32)
    out, cache = kernels.gelu_forward(x)
    np.testing.assert_array_equal(out, x)
    np.testing.assert_array_equal(kernels.gelu_backward(np.ones_like(x), cache), [np.nan, 1])


def test_a_result_may_be_written_over_an_input():
    x = np.random.default_rng(0).standard_normal((50, 60)).astype(np.float32)
    for forward in (kernels.relu_forward, kernels.gelu_forward):
        expected, buffer = forward(x)[0], x.copy()
        assert forward(buffer, out=buffer)[0] is buffer
        np.testing.assert_array_equal(buffer, expected)
    total = x.copy()
    assert kernels.add(total, x, out=total) is total
    np.testing.assert_array_equal(total, x + x)


@pytest.mark.parametrize("name", ["relu", "gelu"])
def test_every_number_of_threads_gives_the_same_bits_and_nothing_beside_them(name, threads):
    memory = np.full(100_000 + 128, 77, np.float32)
    x = np.random.default_rng(0).standard_normal(100_000).astype(np.float32)
    out, _ = getattr(kernels, f"{name}_forward")(x, out=memory[64:-64])
    parts = [getattr(kernels, f"{name}_forward")(part)[0] for part in np.split(x, 20)]  # too few numbers for two threads
    np.testing.assert_array_equal(out, np.concatenate(parts))
    assert np.all(memory[:64] == 77)
    assert np.all(memory[-64:] == 77)


@pytest.mark.parametrize("name", ["relu_forward", "gelu_forward"])
def test_what_the_twin_computed_is_written_to_a_buffer_with_holes_too(name):
    x = np.linspace(-2, 2, 12).reshape(3, 4).astype(np.float16)  # a type that no kernel takes
    memory = np.full((3, 8), np.nan, x.dtype)
    out = memory[:, ::2]
    result, _ = getattr(kernels, name)(x, out=out)
    assert result is out
    np.testing.assert_array_equal(out, getattr(functional, name)(x)[0])
    assert np.all(np.isnan(memory[:, 1::2]))
