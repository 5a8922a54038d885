"""The convolutions that a network calls, against their definitions in `chainrule.functional`."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chainrule import functional
from chainrule.functional.geometry import conv_geometry
from chainrule.kernels import convolution, direct, winograd

NAMES = ["conv", "conv_relu", "conv_pool", "conv_relu_pool", "conv_direct"]
POOL = {"pool_height": 2, "pool_width": 2, "stride": 2}


def random(shape, dtype, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def definition(name, x, w, b, conv_param, pool_param):
    """out, and the function that takes dout to dx, dw, db, of the plain NumPy."""
    out, cache = functional.conv_forward_naive(x, w, b, conv_param)
    relu_cache = pool_cache = None
    if "relu" in name:
        out, relu_cache = functional.relu_forward(out)
    if "pool" in name:
        out, pool_cache = functional.max_pool_forward_naive(out, pool_param)

    def backward(dout):
        if pool_cache is not None:
            dout = functional.max_pool_backward_naive(dout, pool_cache)
        if relu_cache is not None:
            dout = functional.relu_backward(dout, relu_cache)
        return functional.conv_backward_naive(dout, cache)

    return out, backward


def call(name, x, w, b, conv_param, pool_param, **buffers):
    arguments = (x, w, b, conv_param, pool_param) if "pool" in name else (x, w, b, conv_param)
    return getattr(convolution, f"{name}_forward")(*arguments, **buffers)


def check(name, x, w, b, conv_param, pool_param=POOL, *, rounding):
    out, cache = call(name, x, w, b, conv_param, pool_param)
    expected, backward = definition(name, x, w, b, conv_param, pool_param)
    dout = random(out.shape, x.dtype, seed=1)
    gradients = getattr(convolution, f"{name}_backward")(dout, cache)
    results, values = [out, *gradients], [expected, *backward(dout)]
    if name != "conv_direct":
        results += getattr(convolution, f"{name}_backward_parameters")(dout, cache)
        results.append(getattr(convolution, f"{name}_backward_input")(dout, cache))
        values += [*values[2:], values[1]]
        np.testing.assert_array_equal(results[-1], gradients[0])
    for result, value in zip(results, values, strict=True):
        if value is None:
            assert result is None
            continue
        assert (result.shape, result.dtype) == (value.shape, value.dtype)
        np.testing.assert_allclose(result, value, rtol=0, atol=rounding * max(1, np.abs(value).max(initial=0)))


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=20)
@given(
    data=st.data(),
    stride=st.integers(1, 3),
    pad=st.one_of(st.integers(0, 2), st.just(((2, 0), (1, 3)))),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2]),
    with_b=st.booleans(),
)
def test_every_function_equals_its_definition(name, data, stride, pad, dilation, groups, with_b):
    sides = st.integers(1, 9)
    N, C, F = data.draw(st.integers(1, 3)), groups * data.draw(st.integers(1, 9)), groups * data.draw(st.integers(1, 9))
    H, W, KH, KW = data.draw(sides), data.draw(sides), data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    pool_param = {
        "pool_height": data.draw(st.integers(1, 3)),
        "pool_width": 2,
        "stride": data.draw(st.integers(1, 2)),
        "ceil_mode": data.draw(st.booleans()),
    }
    conv_param = {"stride": stride, "pad": pad, "dilation": dilation, "groups": groups}
    x, w, b = random((N, C, H, W), np.float64), random((F, C // groups, KH, KW), np.float64), random((F,), np.float64)
    try:
        definition(name, x, w, b, conv_param, pool_param)
    except ValueError:  # a window does not fit
        assume(False)
    # sums of at most 243 products (dw: 300) of numbers below 5, in float64: 1e-16 * 300 * 25
    check(name, x, w, b if with_b else None, conv_param, pool_param, rounding=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_winograd_is_used_where_it_pays_and_is_allowed(name, monkeypatch):
    used = []
    for module in (direct, winograd):
        forward = module.forward
        monkeypatch.setattr(module, "forward", lambda *a, module=module, forward=forward, **k: (used.append(module), forward(*a, **k))[1])
    w, b = random((64, 64, 3, 3), np.float32), random((64,), np.float32)
    x = random((4, 64, 16, 16), np.float32)
    assert winograd.suits(x.shape, w.shape, conv_geometry("test", x.shape, w.shape, {"pad": 1}), x.dtype)
    # Winograd's rounding, relative to the largest value, is at most 1e-4 (`winograd`)
    check(name, x, w, b, {"pad": 1}, rounding=1e-4)
    check(name, x, w, b, {"pad": 1, "stride": 2}, rounding=1e-4)
    check(name, *(array.astype(np.float64) for array in (x, w, b)), {"pad": 1}, rounding=1e-12)
    assert used == [direct if name == "conv_direct" else winograd, direct, direct]


@pytest.mark.parametrize("name", ["conv_pool", "conv_relu_pool"])
@pytest.mark.parametrize("size", [(6, 6), (7, 5)])
@pytest.mark.parametrize(
    "pool_param",
    [POOL, POOL | {"ceil_mode": True}, {"pool_height": 3, "pool_width": 3, "stride": 2, "pad": 1}, POOL | {"stride": 1}],
    ids=["fused where nothing hangs over", "ceil", "3x3", "stride 1"],
)
def test_pooling_of_every_kind_follows(name, size, pool_param):
    x, w, b = random((2, 3, *size), np.float64), random((4, 3, 3, 3), np.float64), random((4,), np.float64)
    check(name, x, w, b, {"pad": 1}, pool_param, rounding=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("N", "dtypes"),
    [
        (0, (np.float32,) * 3),
        (2, (np.float32, np.float64, np.float32)),
        (2, (np.float16,) * 3),
        (2, (">f4", "<f4", "<f4")),
    ],
    ids=["no image", "mixed", "half", "foreign byte order"],
)
def test_what_the_kernels_do_not_take_is_computed_by_the_definition(name, N, dtypes):
    x, w, b = (random(shape, np.float64).astype(dtype) for shape, dtype in zip(((N, 3, 5, 6), (4, 3, 3, 3), (4,)), dtypes, strict=True))
    check(name, x, w, b, {"pad": 1}, rounding=0)  # nothing differs


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_results_are_written_to_the_buffers_that_are_given(name, dtype):
    x, w, b = random((2, 3, 6, 8), dtype), random((4, 3, 3, 3), dtype), random((4,), dtype)
    expected, cache = call(name, x, w, b, {"pad": 1}, POOL)
    dout = random(expected.shape, dtype, seed=1)
    _, expected_dw, expected_db = getattr(convolution, f"{name}_backward")(dout, cache)
    out, dw, db = np.zeros_like(expected, order="C"), np.zeros((4, 3, 6, 3), dtype)[:, :, ::2], np.zeros(4, dtype)
    result, cache = call(name, x, w, b, {"pad": 1}, POOL, out=out)
    _, dw_result, db_result = getattr(convolution, f"{name}_backward")(dout, cache, dw=dw, db=db)
    assert result is out
    assert dw_result is dw
    assert db_result is db
    for array, value in ((out, expected), (dw, expected_dw), (db, expected_db)):
        np.testing.assert_array_equal(array, value)
    with pytest.raises(ValueError, match=r"out: the buffer is .* \(2, 4, 3, 3\); the result is"):
        call(name, x, w, b, {"pad": 1}, POOL, out=np.zeros((2, 4, 3, 3), dtype))


@pytest.mark.parametrize("name", NAMES)
def test_the_errors_say_what_was_given(name):
    x, w, b = np.ones((2, 3, 5, 5), np.float32), np.ones((4, 2, 3, 3), np.float32), np.ones(4, np.float32)
    with pytest.raises(ValueError, match=rf"{name}_forward: x has 3 channels \(shape \(2, 3, 5, 5\)\), w takes 2"):
        call(name, x, w, b, {}, POOL)
    with pytest.raises(ValueError, match=rf"{name}_forward: b has shape \(4, 1\); expected \(4,\)"):
        call(name, x[:, :2], w, b[:, np.newaxis], {}, POOL)
    out, cache = call(name, x[:, :2], w, b, {}, POOL)
    with pytest.raises(ValueError, match=rf"{name}_backward: dout has shape \(2, 4, 9, 9\); expected .*{out.shape[-1]}\)"):
        getattr(convolution, f"{name}_backward")(np.ones((2, 4, 9, 9), np.float32), cache)


def test_a_gradient_of_another_dtype_is_rounded_to_that_of_the_layer():
    x, w = random((2, 3, 5, 5), np.float32), random((4, 3, 3, 3), np.float32)
    out, cache = convolution.conv_forward(x, w, None, {})
    dout = random(out.shape, np.float64)
    for actual, expected in zip(
        convolution.conv_backward(dout, cache)[:2], convolution.conv_backward(dout.astype(np.float32), cache)[:2], strict=True
    ):
        np.testing.assert_array_equal(actual, expected, strict=True)
