"""Compiled pooling against its definition and against PyTorch, for every window and memory layout."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chainrule import functional
from chainrule.functional.geometry import pool_geometry
from chainrule.kernels import pooling
from chainrule.kernels.compiler import load, run, vector_lanes
from chainrule.verification import check_gradients

DTYPES = st.sampled_from([np.float32, np.float64])
LAYOUTS = st.sampled_from(["C", "channels-last", "F", "every second", "reversed", "read-only"])
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(1, 9), st.integers(1, 9))


def integers(shape, dtype, seed=0):
    """Whole numbers, few enough that windows have several equal maxima, and small enough that sums are exact."""
    return np.random.default_rng([seed, *shape]).integers(-3, 4, shape).astype(dtype)


def arranged(values, layout, laid_out):
    if layout == "channels-last":
        return np.ascontiguousarray(values.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    return laid_out(values, layout)


@st.composite
def windows(draw):
    height, width = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    return {
        "pool_height": height,
        "pool_width": width,
        "stride": draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        "pad": (draw(st.integers(0, height // 2)), draw(st.integers(0, width // 2))),
        "dilation": draw(st.tuples(st.integers(1, 2), st.integers(1, 2))),
        "ceil_mode": draw(st.booleans()),
    }


def computed(forward, *arguments):
    """What `forward` returns; an example whose window does not fit is no example."""
    try:
        return forward(*arguments)
    except ValueError:
        assume(False)


@given(shape=SHAPES, dtype=DTYPES, pool_param=windows(), layouts=st.tuples(LAYOUTS, LAYOUTS))
def test_max_pooling_is_its_definition(shape, dtype, pool_param, layouts, laid_out):
    x = arranged(integers(shape, dtype), layouts[0], laid_out)
    expected, expected_cache = computed(functional.max_pool_forward_naive, x, pool_param)
    kept = x.copy()
    out, cache = pooling.max_pool_forward(x, pool_param)
    dout = arranged(integers(out.shape, dtype, 1), layouts[1], laid_out)
    dx = pooling.max_pool_backward(dout, cache)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(dx, functional.max_pool_backward_naive(dout, expected_cache))
    np.testing.assert_array_equal(x, kept)
    assert out.dtype == dx.dtype == dtype


@given(shape=SHAPES, dtype=DTYPES, pool_param=windows(), include=st.booleans(), layouts=st.tuples(LAYOUTS, LAYOUTS))
def test_average_pooling_is_its_definition(shape, dtype, pool_param, include, layouts, laid_out):
    x, pool_param = arranged(integers(shape, dtype), layouts[0], laid_out), pool_param | {"count_include_pad": include}
    expected, expected_cache = computed(functional.avg_pool_forward_naive, x, pool_param)
    out, cache = pooling.avg_pool_forward(x, pool_param)
    dout = arranged(integers(out.shape, dtype, 1), layouts[1], laid_out)
    # sums of whole numbers are exact, one division is not; up to 16 quotients of at most 3 are added
    tolerance = 50 * np.finfo(dtype).eps
    np.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance)
    expected_dx = functional.avg_pool_backward_naive(dout, expected_cache)
    np.testing.assert_allclose(pooling.avg_pool_backward(dout, cache), expected_dx, rtol=tolerance, atol=tolerance)


@given(shape=SHAPES, dtype=DTYPES, output_size=st.one_of(st.just(1), st.tuples(st.integers(1, 12), st.integers(1, 12))), layout=LAYOUTS)
def test_adaptive_average_pooling_is_its_definition(shape, dtype, output_size, layout, laid_out):
    x = arranged(integers(shape, dtype), layout, laid_out)
    expected, expected_cache = functional.adaptive_avg_pool_forward(x, output_size)
    out, cache = pooling.adaptive_avg_pool_forward(x, output_size)
    dout = integers(out.shape, dtype, 1)
    tolerance = 100 * np.finfo(dtype).eps  # a pixel is in up to 144 windows; quotients of at most 3
    np.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance)
    expected_dx = functional.adaptive_avg_pool_backward(dout, expected_cache)
    np.testing.assert_allclose(pooling.adaptive_avg_pool_backward(dout, cache), expected_dx, rtol=tolerance, atol=3 * tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("window", "stride", "pad"), [(2, 2, 0), (3, 2, 1), (3, 1, 1), (7, 3, 2), (9, 4, 2), (17, 5, 8)])
def test_equals_torch(dtype, window, stride, pad, threads):
    torch = pytest.importorskip("torch")
    x = integers((5, 33, 31, 27), dtype)
    param = {"pool_height": window, "pool_width": window, "stride": stride, "pad": pad}
    for name in ("max", "avg"):
        inputs = torch.from_numpy(x).requires_grad_()
        expected = getattr(torch.nn.functional, f"{name}_pool2d")(inputs, window, stride, pad)
        dout = integers(expected.shape, dtype, 1)
        (expected_dx,) = torch.autograd.grad(expected, inputs, torch.from_numpy(dout))
        out, cache = getattr(pooling, f"{name}_pool_forward")(x, param)
        dx = getattr(pooling, f"{name}_pool_backward")(dout, cache)
        # maxima are exact; means are one division, and up to 49 quotients of at most 3 are added
        tolerance = 0 if name == "max" else 200 * np.finfo(dtype).eps
        np.testing.assert_allclose(out, expected.detach(), rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(dx, expected_dx, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("channels", [4, 19])
@pytest.mark.parametrize("side", [2, 3])
def test_a_nan_is_the_maximum_of_its_window(side, channels):
    x = np.random.default_rng(0).standard_normal((1, channels, 6, 6))
    x[0, 1, 1, 1], x[0, 2] = np.nan, -np.inf
    x[0, 3, 0, 1], x[0, 3, 1, 0], x[0, 3, 0, 0] = np.nan, np.nan, np.inf
    param = {"pool_height": side, "pool_width": side}
    out, cache = pooling.max_pool_forward(x, param)
    expected, expected_cache = functional.max_pool_forward_naive(x, param)
    np.testing.assert_array_equal(out, expected)
    dout = np.ones_like(out)
    np.testing.assert_array_equal(pooling.max_pool_backward(dout, cache), functional.max_pool_backward_naive(dout, expected_cache))


@pytest.mark.parametrize(("C", "H", "W"), [(1, 5, 7), (3, 4, 6), (17, 9, 4), (64, 6, 5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("window", [2, 3])
def test_nothing_is_written_beside_the_outputs(C, H, W, dtype, window, threads):
    kernels = load("pooling")

    def guarded(shape, dtype):
        """An array in the middle of memory that is all 77, and that memory."""
        size, margin = int(np.prod(shape)), 64
        memory = np.full(size + 2 * margin, 77, dtype)
        return memory[margin : margin + size].reshape(shape), memory

    OH, OW = H // window, W // window
    x, out_shape = integers((2, H, W, C), dtype), (2, OH, OW, C)
    guards = [guarded(out_shape, dtype), guarded(out_shape, np.uint8), guarded(x.shape, dtype), guarded(out_shape, dtype)]
    (out, _), (winner, _), (dx, _), (mean, _) = guards
    rows, columns = np.arange(OH) * window, np.arange(OW) * window
    windows = (rows, rows + window, 1, columns, columns + window, 1)
    counts = (rows, rows + window, 1, np.full(OH, window), columns, columns + window, 1, np.full(OW, window))
    if window == 2:
        run(kernels.max_pool_2x2_forward, (x, out, winner), threads)
        run(kernels.max_pool_2x2_backward, (out, winner, dx), threads)
    else:
        wide = vector_lanes(dtype) <= C
        run(kernels.max_pool_forward if wide else kernels.max_pool_forward_narrow, (x, *windows, out, winner), threads)
        run(kernels.max_pool_backward_narrow, (out, winner, rows, 1, columns, 1, np.full(OW, window), dx), threads)
        if wide:
            param = {"pool_height": window, "pool_width": window}
            points = pooling._windows_of_points(pool_geometry("test", (2, C, H, W), param), H, W)
            dx[...] = 77
            run(kernels.max_pool_backward, (out, winner, *points, dx), threads)
    run(kernels.avg_pool_forward, (x, *counts, mean), threads)
    assert not np.any(dx == 77)  # all of it was written
    run(kernels.avg_pool_backward, (mean, *counts, dx), threads)
    for _, memory in guards:
        assert np.all(memory[:64] == 77)
        assert np.all(memory[-64:] == 77)


def test_results_are_the_same_bits_at_every_run(threads):
    x = np.random.default_rng(0).standard_normal((3, 40, 30, 30)).astype(np.float32)
    param, results = {"pool_height": 3, "pool_width": 3, "stride": 2, "pad": 1}, set()
    assert x.size > pooling.SERIAL
    for _ in range(3):
        out, cache = pooling.avg_pool_forward(x, param)
        results.add(out.tobytes() + pooling.avg_pool_backward(out, cache).tobytes())
    assert len(results) == 1


@pytest.mark.parametrize("name", ["max_pool", "avg_pool"])
def test_gradients_agree_with_central_differences(name):
    param = {"pool_height": 3, "pool_width": 2, "stride": (2, 1), "pad": (1, 0)}
    x = np.random.default_rng(0).permutation(2 * 3 * 5 * 4).reshape(2, 3, 5, 4) / 10.0  # no two are nearer than the differences' step
    check_gradients(lambda x: getattr(pooling, f"{name}_forward")(x, param), getattr(pooling, f"{name}_backward"), x)


@pytest.mark.parametrize("x", [np.ones((2, 3, 4, 4), np.float16), np.ones((0, 3, 4, 4))])
def test_what_the_kernels_do_not_take_is_computed_by_the_definition(x):
    param = {"pool_height": 2, "pool_width": 2}
    for forward, backward, *arguments in (
        (pooling.max_pool_forward, pooling.max_pool_backward, param),
        (pooling.avg_pool_forward, pooling.avg_pool_backward, param),
        (pooling.adaptive_avg_pool_forward, pooling.adaptive_avg_pool_backward, 2),
    ):
        out, cache = forward(x, *arguments)
        assert (out.shape, out.dtype) == ((*x.shape[:2], 2, 2), x.dtype)
        assert backward(out, cache).shape == x.shape


def test_errors_say_what_is_wrong():
    x, param = np.ones((2, 3, 4, 5)), {"pool_height": 2, "pool_width": 2}
    with pytest.raises(ValueError, match="max_pool_forward: the window of 6 x 2 is larger than the image of 4 x 5"):
        pooling.max_pool_forward(x, {"pool_height": 6, "pool_width": 2})
    with pytest.raises(ValueError, match="output_size is 0; it must be at least 1"):
        pooling.adaptive_avg_pool_forward(x, 0)
    _, cache = pooling.max_pool_forward(x, param)
    with pytest.raises(ValueError, match=r"max_pool_backward: dout has shape \(2, 3, 4, 5\); expected \(2, 3, 2, 2\)"):
        pooling.max_pool_backward(x, cache)


@pytest.mark.parametrize("variables", [{"NUMBA_CPU_NAME": "haswell"}, {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": ""}])
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="names processors of x86-64")
def test_other_vectors_give_the_same_maxima(variables, tmp_path):
    code = """
import numpy as np
from chainrule import functional
from chainrule.kernels import pooling
x = np.random.default_rng(0).standard_normal((2, 19, 7, 9)).astype(np.float32)
for side in (2, 3):
    param = {"pool_height": side, "pool_width": side, "stride": 2}
    out, cache = pooling.max_pool_forward(x, param)
    expected, expected_cache = functional.max_pool_forward_naive(x, param)
    assert np.array_equal(out, expected)
    assert np.array_equal(pooling.max_pool_backward(out, cache), functional.max_pool_backward_naive(expected, expected_cache))
"""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)} | variables
    subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment, check=True)
