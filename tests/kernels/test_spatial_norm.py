"""Compiled normalization of images against its definition and against PyTorch."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule import functional
from chainrule.kernels import compiler, spatial_norm
from chainrule.kernels.compiler import load, run

DTYPES = st.sampled_from([np.float32, np.float64])
LAYOUTS = st.sampled_from(["C", "channels-last", "every second", "read-only"])
SHAPES = st.tuples(st.integers(1, 3), st.sampled_from([1, 2, 3, 8, 18, 70]), st.integers(2, 7), st.integers(1, 6))
ACTIVATIONS = ["", "relu", "gelu", "add_relu"]


def case(shape, dtype, seed=0):
    """x, skip, dout, gamma, beta; every channel of every image with a spread of 1 or more, so that rounding is not magnified."""
    rng = np.random.default_rng([seed, *shape])
    x, skip, dout = rng.standard_normal((3, *shape))
    x[:, :, 0], x[:, :, 1] = x[:, :, 0] + 2, x[:, :, 1] - 2
    return [array.astype(dtype) for array in (x, skip, dout, rng.uniform(0.5, 2, shape[1]), rng.standard_normal(shape[1]))]


def assert_close(actual, expected, dtype, count):
    """A hundred roundoffs times the root of the number of samples of one mean, of the largest value."""
    assert actual.dtype == dtype
    tolerance = 100 * np.finfo(dtype).eps * np.sqrt(count)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * max(1, np.abs(expected).max()))


def arranged(values, layout, laid_out):
    if layout == "channels-last":
        return np.ascontiguousarray(values.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    return laid_out(values, layout)


def functions(activation):
    name = f"spatial_batchnorm_{activation}".rstrip("_")
    return getattr(spatial_norm, f"{name}_forward"), getattr(spatial_norm, f"{name}_backward")


def definition(x, skip, dout, gamma, beta, bn_param, activation, rectified):
    """out, dx, [dskip,] dgamma, dbeta by chainrule.functional; the ReLU passes what it passed in `rectified`, the kernel's output."""
    out, cache = functional.spatial_batchnorm_forward(x, gamma, beta, bn_param)
    if activation == "gelu":
        out, gelu_cache = functional.gelu_forward(out)
        dout = functional.gelu_backward(dout, gelu_cache)
    if activation == "add_relu":
        out = out + skip
    if activation.endswith("relu"):
        out, dout = np.maximum(out, 0), dout * (rectified > 0)
    dx, dgamma, dbeta = functional.spatial_batchnorm_backward(dout, cache)
    return (out, dx, dout, dgamma, dbeta) if activation == "add_relu" else (out, dx, dgamma, dbeta)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@given(shape=SHAPES, dtype=DTYPES, mode=st.sampled_from(["train", "test"]), layouts=st.tuples(LAYOUTS, LAYOUTS, LAYOUTS))
def test_batch_normalization_is_its_definition(activation, shape, dtype, mode, layouts, laid_out):
    x, skip, dout, gamma, beta = case(shape, dtype)
    x, skip, dout = (arranged(array, layout, laid_out) for array, layout in zip((x, skip, dout), layouts, strict=True))
    ours = {"mode": mode, "momentum": 0.7, "running_mean": beta / 2, "running_var": gamma.copy()}
    theirs, kept, (forward, backward) = dict(ours), x.copy(), functions(activation)
    out, cache = forward(x, *((skip,) if activation == "add_relu" else ()), gamma, beta, ours)
    results = out, *backward(dout, cache)
    count = x.size // shape[1]
    for actual, expected in zip(results, definition(x, skip, dout, gamma, beta, theirs, activation, out), strict=True):
        assert_close(actual, expected, dtype, count)
    for name in ("running_mean", "running_var"):
        assert_close(ours[name], theirs[name], dtype, count)
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("activation", ["", "relu"])
@given(shape=SHAPES, dtype=DTYPES, layout=LAYOUTS, data=st.data())
def test_group_normalization_is_its_definition(activation, shape, dtype, layout, data, laid_out):
    C = shape[1]
    groups = data.draw(st.sampled_from([G for G in range(1, C + 1) if C % G == 0]))
    x, _, dout, gamma, beta = case(shape, dtype)
    x, gamma, beta = arranged(x, layout, laid_out), gamma.reshape(1, C, 1, 1), beta.reshape(1, C, 1, 1)
    name = f"spatial_groupnorm_{activation}".rstrip("_")
    out, cache = getattr(spatial_norm, f"{name}_forward")(x, gamma, beta, groups, {})
    results = out, *getattr(spatial_norm, f"{name}_backward")(dout, cache)
    expected, expected_cache = functional.spatial_groupnorm_forward(x, gamma, beta, groups, {})
    if activation:
        expected, dout = np.maximum(expected, 0), dout * (out > 0)
    for actual, wanted in zip(results, (expected, *functional.spatial_groupnorm_backward(dout, expected_cache)), strict=True):
        assert actual.shape == wanted.shape
        assert_close(actual, wanted, dtype, x.size)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_equals_torch_on_many_blocks(activation, threads):
    torch = pytest.importorskip("torch")
    x, skip, dout, gamma, beta = case((7, 24, 29, 31), np.float64)
    assert x.size > 2 * max(spatial_norm.SERIAL, spatial_norm.BLOCK)
    layer = torch.nn.BatchNorm2d(24, dtype=torch.float64)
    layer.load_state_dict(layer.state_dict() | {"weight": torch.from_numpy(gamma), "bias": torch.from_numpy(beta)})
    inputs, skipped = torch.from_numpy(x).requires_grad_(), torch.from_numpy(skip).requires_grad_()
    expected = layer(inputs) + (skipped if activation == "add_relu" else 0)
    if activation:
        expected = (torch.nn.functional.gelu if activation == "gelu" else torch.relu)(expected)
    expected.backward(torch.from_numpy(dout))
    forward, backward = functions(activation)
    out, cache = forward(x, *((skip,) if activation == "add_relu" else ()), gamma, beta, {"mode": "train"})
    wanted = [inputs.grad, *([skipped.grad] if activation == "add_relu" else []), layer.weight.grad, layer.bias.grad]
    for actual, value in zip((out, *backward(dout, cache)), (expected.detach(), *wanted), strict=True):
        assert_close(actual, value.numpy(), np.float64, x.size // 24)


def test_pixels_as_samples_are_what_batchnorm_takes():
    x, _, dout, gamma, beta = case((3, 5, 4, 6), np.float64)
    out, cache = spatial_norm.spatial_batchnorm_forward(x, gamma, beta, {"mode": "train"})
    rows, dout_rows = (array.transpose(0, 2, 3, 1).reshape(-1, 5) for array in (x, dout))
    expected, expected_cache = functional.batchnorm_forward(rows, gamma, beta, {"mode": "train"})
    assert_close(out.transpose(0, 2, 3, 1).reshape(-1, 5), expected, np.float64, 72)
    dx, dgamma, dbeta = spatial_norm.spatial_batchnorm_backward(dout, cache)
    for actual, wanted in zip(
        (dx.transpose(0, 2, 3, 1).reshape(-1, 5), dgamma, dbeta), functional.batchnorm_backward(dout_rows, expected_cache), strict=True
    ):
        assert_close(actual, wanted, np.float64, 72)


def test_results_are_the_same_bits_for_every_number_of_threads():
    x, skip, dout, gamma, beta = case((4, 20, 31, 29), np.float32)
    before, results = compiler.threads(), set()
    for number in (1, before, before):
        compiler.set_threads(number)
        out, cache = spatial_norm.spatial_batchnorm_add_relu_forward(x, skip, gamma, beta, {"mode": "train"})
        gradients = spatial_norm.spatial_batchnorm_add_relu_backward(dout, cache)
        results.add(b"".join(array.tobytes() for array in (out, *gradients)))
    compiler.set_threads(before)
    assert len(results) == 1


def test_a_large_mean_does_not_spoil_the_variance():
    x, _, _, gamma, beta = case((4, 20, 31, 29), np.float32)
    x += np.float32(1000)
    out, _ = spatial_norm.spatial_batchnorm_forward(x, gamma, beta, {"mode": "train"})
    expected, _ = functional.spatial_batchnorm_forward(x.astype(np.float64), gamma, beta, {"mode": "train"})
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-3)  # the mean is rounded to 1000 * 6e-8, and gamma is up to 2


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_written_to_the_buffers_that_are_given_and_over_dout(activation):
    x, skip, dout, gamma, beta = case((3, 5, 4, 6), np.float32)
    forward, backward = functions(activation)
    _, cache = forward(x, *((skip,) if activation == "add_relu" else ()), gamma, beta, {"mode": "train"})
    expected = backward(dout, cache)
    overwritten = np.ascontiguousarray(dout.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    for dx in (np.empty_like(x), overwritten):
        dgamma, dbeta = np.empty_like(gamma), np.empty_like(beta)
        gradients = backward(overwritten, cache, dx=dx, dgamma=dgamma, dbeta=dbeta)
        assert gradients[0] is dx
        assert gradients[-2] is dgamma
        assert gradients[-1] is dbeta
        for gradient, value in zip(gradients, expected, strict=True):
            np.testing.assert_array_equal(gradient, value)
    with pytest.raises(ValueError, match=r"dx: the buffer is float32 \(3, 5, 4, 5\)"):
        backward(dout, cache, dx=np.empty((3, 5, 4, 5), np.float32))


@pytest.mark.parametrize(("C", "pixels"), [(1, 700), (3, 300), (17, 61), (600, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_is_written_beside_the_outputs(C, pixels, dtype, threads):
    kernels, period = load("spatial_norm"), math.lcm(C, 64)  # numbers; a whole number of vectors of any processor
    block, samples = 2 * period, 2
    blocks = samples * -(-pixels * C // block)

    def guarded(*shape):
        size = int(np.prod(shape))
        memory = np.full(size + 128, 77, dtype)
        return memory[64 : 64 + size].reshape(shape), memory

    x = np.random.default_rng(0).standard_normal(samples * pixels * C).astype(dtype)
    ones, nothing = np.ones(C, dtype), x[:0]
    guards = [guarded(*shape) for shape in (*[x.shape] * 4, (blocks, 2, C), (samples, 6, C), (samples, C), (C,), (C,))]
    out, dx, dskip, slopes, block_sums, coefficients, var, dgamma, dbeta = (array for array, _ in guards)
    run(kernels.moments, (x, samples, block, period, block_sums), threads)
    kernels.statistics(block_sums, pixels * C, block, C, 1e-5, ones, ones, coefficients, var)
    run(kernels.normalize, (x, x, samples, block, period, coefficients, True, None, out), threads)
    run(kernels.sums, (x, out, x, samples, block, period, coefficients, True, None, nothing, block_sums), threads)
    run(kernels.sums, (x, nothing, x, samples, block, period, coefficients, False, True, slopes, block_sums), threads)
    kernels.totals(block_sums, pixels * C, C, ones, True, coefficients, dgamma, dbeta)
    run(kernels.gradients, (x, out, x, samples, block, period, coefficients, True, dskip, dx), threads)
    run(kernels.gradients, (x, nothing, x, samples, block, period, coefficients, True, nothing, dx), threads)
    for array, memory in guards:
        assert not np.any(array == 77)  # all of it was written
        assert np.all(memory[:64] == 77)
        assert np.all(memory[-64:] == 77)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("dtypes", "N"), [(("f2", "f2"), 2), (("f8", "f4"), 2), (("f8", "f8"), 0)])
def test_what_the_kernels_do_not_take_is_computed_by_the_definition(activation, dtypes, N):
    x, skip, dout, gamma, beta = (array[:N] if array.ndim == 4 else array for array in case((2, 3, 4, 5), np.float64))
    x, gamma, (forward, backward) = x.astype(dtypes[0]), gamma.astype(dtypes[1]), functions(activation)
    mode = "train" if N else "test"
    out, cache = forward(x, *((skip,) if activation == "add_relu" else ()), gamma, beta, {"mode": mode})
    expected = definition(x, skip, dout, gamma, beta, {"mode": mode}, activation, out)
    for actual, wanted in zip((out, *backward(dout, cache)), expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)


def test_errors_say_what_is_wrong():
    x, gamma = np.ones((2, 4, 3, 3)), np.ones(4)
    with pytest.raises(ValueError, match="set it to 'train' or 'test'"):
        spatial_norm.spatial_batchnorm_relu_forward(x, gamma, gamma, {})
    with pytest.raises(ValueError, match=r"gamma has shape \(3,\); expected \(4,\)"):
        spatial_norm.spatial_batchnorm_forward(x, gamma[:3], gamma, {"mode": "train"})
    with pytest.raises(ValueError, match=r"skip has shape \(2, 4, 3, 2\); expected \(2, 4, 3, 3\)"):
        spatial_norm.spatial_batchnorm_add_relu_forward(x, x[..., :2], gamma, gamma, {"mode": "train"})
    with pytest.raises(ValueError, match="G is 3; it must divide the 4 channels"):
        spatial_norm.spatial_groupnorm_forward(x, gamma.reshape(1, 4, 1, 1), gamma.reshape(1, 4, 1, 1), 3, {})
    _, cache = spatial_norm.spatial_batchnorm_forward(x, gamma, gamma, {"mode": "train"})
    with pytest.raises(ValueError, match=r"spatial_batchnorm_backward: dout has shape \(2, 4, 3, 2\); expected \(2, 4, 3, 3\)"):
        spatial_norm.spatial_batchnorm_backward(x[..., :2], cache)


@pytest.mark.parametrize("variables", [{"NUMBA_CPU_NAME": "haswell"}, {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": ""}])
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="names processors of x86-64")
def test_other_vectors_give_the_same_results(variables, tmp_path):
    code = """
import numpy as np
from chainrule import functional
from chainrule.kernels import spatial_norm
x = np.random.default_rng(0).standard_normal((2, 19, 7, 9)).astype(np.float32)
ones = np.ones(19, np.float32)
out, cache = spatial_norm.spatial_batchnorm_gelu_forward(x, ones, ones, {"mode": "train"})
expected, norm_cache = functional.spatial_batchnorm_forward(x, ones, ones, {"mode": "train"})
expected, gelu_cache = functional.gelu_forward(expected)
wanted = functional.spatial_batchnorm_backward(functional.gelu_backward(x, gelu_cache), norm_cache)
for actual, value in zip((out, *spatial_norm.spatial_batchnorm_gelu_backward(x, cache)), (expected, *wanted), strict=True):
    np.testing.assert_allclose(actual, value, rtol=1e-4, atol=1e-4)  # a hundred roundoffs times the root of 126 samples
"""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)} | variables
    subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment, check=True)
