"""The Winograd convolution against PyTorch in float64, for every geometry, and what it may read and write."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import kernels
from chainrule.functional.geometry import conv_geometry
from chainrule.kernels import winograd
from chainrule.kernels.workspace import Workspace

torch = pytest.importorskip("torch")

SIDES = st.integers(0, 2)
PADS = st.tuples(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES))
CHANNELS = st.one_of(st.integers(1, 70), st.sampled_from([16, 24, 32, 64, 96]))
DTYPES = st.sampled_from([np.float32, np.float64])
# what the transforms cost: their largest numbers are 100 times as large as those of a direct sum, and cancel
ROUNDING = {np.float32: {"out": 3e-5, "dx": 3e-5, "dw": 1e-4, "db": 1e-5}, np.float64: dict.fromkeys(("out", "dx", "dw", "db"), 1e-12)}


def random(shape, dtype, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def expected(x, w, b, dout, geometry, rectify, pool):
    """The results of PyTorch in float64."""
    x, w = (torch.tensor(np.asarray(array, np.float64, order="C"), requires_grad=True) for array in (x, w))
    b = None if b is None else torch.tensor(np.asarray(b, np.float64), requires_grad=True)
    top, bottom, left, right = geometry.pad
    out = torch.nn.functional.conv2d(torch.nn.functional.pad(x, (left, right, top, bottom)), w, b)
    if rectify:
        out = out.relu()
    if pool:
        out = torch.nn.functional.max_pool2d(out, 2)
    out.backward(torch.tensor(np.asarray(dout, np.float64, order="C")))
    results = {"out": out.detach(), "dx": x.grad, "dw": w.grad}
    return {name: value.numpy() for name, value in (results if b is None else results | {"db": b.grad}).items()}


def check(x, w, b, geometry, *, rectify, pool):
    """All results of one convolution."""
    kept = [array.copy() for array in (x, w)]
    out, cache = winograd.forward(x, w, b, geometry, rectify=rectify, pool=pool)
    dout = random(out.shape, x.dtype, seed=1)
    dx, dw, db = winograd.backward(dout, cache)
    assert (db is None) == (b is None)
    actual = {"out": out, "dx": dx, "dw": dw, "db": db}
    for name, value in expected(x, w, b, dout, geometry, rectify, pool).items():
        assert actual[name].shape == value.shape
        assert actual[name].dtype == x.dtype
        error, largest = abs(actual[name] - value).max(), abs(value).max()
        assert error <= ROUNDING[x.dtype.type][name] * max(largest, 1e-30), f"{name} is off by {error / largest:.1e} of its largest value"
    assert out.transpose(0, 2, 3, 1).flags.c_contiguous
    assert dx.transpose(0, 2, 3, 1).strides[-1] == x.itemsize
    for array, before in zip((x, w), kept, strict=True):
        np.testing.assert_array_equal(array, before)


@settings(max_examples=60)
@given(
    N=st.integers(1, 3), C=CHANNELS, H=st.integers(1, 18), W=st.integers(1, 18), F=CHANNELS, pad=PADS, dtype=DTYPES, biased=st.booleans()
)
def test_every_geometry_gives_what_pytorch_gives(N, C, H, W, F, pad, dtype, biased):
    H, W = max(H, 3 - sum(pad[0])), max(W, 3 - sum(pad[1]))
    x, w = random((N, C, H, W), dtype), random((F, C, 3, 3), dtype)
    geometry = conv_geometry("conv", x.shape, w.shape, {"pad": pad})
    check(x, w, random((F,), dtype) if biased else None, geometry, rectify=False, pool=False)


@pytest.mark.parametrize(("rectify", "pool"), [(True, False), (False, True), (True, True)])
@given(N=st.integers(1, 2), C=CHANNELS, H=st.integers(2, 11), W=st.integers(2, 11), F=CHANNELS, pad=PADS, biased=st.booleans())
def test_the_relu_and_the_pooling_behind_it_are_those_of_pytorch(N, C, H, W, F, pad, biased, rectify, pool):
    H, W = max(H, 4 - sum(pad[0])), max(W, 4 - sum(pad[1]))
    x, w, b = random((N, C, H, W), np.float64), random((F, C, 3, 3), np.float64), random((F,), np.float64) if biased else None
    geometry = conv_geometry("conv", x.shape, w.shape, {"pad": pad})
    check(x, w, b, geometry, rectify=rectify, pool=pool)


def behind(values, rectify, pool):
    """What the ReLU and the pooling make of the convolution's output, and which of it they pass on (a function for gradients)."""
    N, F, OH, OW = values.shape
    kept = values > 0 if rectify else np.ones(values.shape, bool)
    values = np.maximum(values, 0) if rectify else values
    if not pool:
        return values, lambda dout: np.where(kept, dout, 0)
    windows = values[:, :, : OH // 2 * 2, : OW // 2 * 2].reshape(N, F, OH // 2, 2, OW // 2, 2).transpose(0, 1, 2, 4, 3, 5)
    windows = windows.reshape(N, F, OH // 2, OW // 2, 4)

    def unpool(dout):
        winners = np.arange(4) == windows.argmax(axis=-1)[..., np.newaxis]  # the first among equals
        spread = np.where(winners, dout[..., np.newaxis], 0).reshape(N, F, OH // 2, OW // 2, 2, 2).transpose(0, 1, 2, 4, 3, 5)
        whole = np.zeros_like(values)
        whole[:, :, : OH // 2 * 2, : OW // 2 * 2] = spread.reshape(N, F, OH // 2 * 2, OW // 2 * 2)
        return np.where(kept, whole, 0)

    return windows.max(axis=-1), unpool


@pytest.mark.parametrize(("rectify", "pool"), [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("shape", [(3, 24, 13, 15, 32), (5, 32, 7, 6, 24), (9, 16, 3, 3, 48), (2, 5, 5, 9, 3)])
def test_what_is_fused_gives_the_same_bits_as_one_after_the_other(shape, rectify, pool, threads):
    N, C, H, W, F = shape
    x, w, b = random((N, C, H, W), np.float32), random((F, C, 3, 3), np.float32), random((F,), np.float32)
    geometry = conv_geometry("conv", x.shape, w.shape, {"pad": 1})
    plain, plain_cache = winograd.forward(x, w, b, geometry)
    expected_out, gradient = behind(plain, rectify, pool)
    out, cache = winograd.forward(x, w, b, geometry, rectify=rectify, pool=pool)
    dout = random(out.shape, np.float32, seed=1)
    np.testing.assert_array_equal(out, expected_out)
    for actual, value in zip(winograd.backward(dout, cache), winograd.backward(gradient(dout), plain_cache), strict=True):
        np.testing.assert_array_equal(actual, value)


def test_among_equals_the_first_wins_and_zeros_pass_no_gradient():
    # one constant image: every window is a tie
    x, w = np.ones((1, 16, 6, 6), np.float32), np.zeros((16, 16, 3, 3), np.float32)
    geometry = conv_geometry("conv", x.shape, w.shape, {})
    b = np.arange(16, dtype=np.float32) - 8
    out, cache = winograd.forward(x, w, b, geometry, rectify=True, pool=True)
    np.testing.assert_array_equal(out, np.broadcast_to(np.maximum(b, 0)[:, np.newaxis, np.newaxis], (1, 16, 2, 2)))
    dout = np.ones(out.shape, np.float32)
    dx, dw, db = winograd.backward(dout, cache)
    np.testing.assert_array_equal(db, 4 * (b > 0))
    np.testing.assert_allclose(dw, np.broadcast_to(4 * (b > 0)[:, np.newaxis, np.newaxis, np.newaxis], dw.shape), atol=1e-5)
    assert not dx.any()


def test_nan_and_infinity_reach_the_output():
    x, w = np.ones((1, 16, 12, 12), np.float32), random((16, 16, 3, 3), np.float32)
    x[0, 3, 5, 5] = np.nan
    geometry = conv_geometry("conv", x.shape, w.shape, {"pad": 1})
    for pool, rectify in ((False, False), (False, True), (True, False), (True, True)):
        out, _ = winograd.forward(x, w, None, geometry, rectify=rectify, pool=pool)
        assert np.isnan(out[0, :, (4 if not pool else 2), (4 if not pool else 2)]).all()
        assert np.isfinite(out[0, :, -1, -1]).all()


@pytest.mark.parametrize("layout", ["C", "F", "every second", "reversed", "read-only", "broadcast"])
def test_memory_of_any_layout_gives_the_same_bits(layout, laid_out):
    x, w, b = random((2, 20, 9, 8), np.float32), random((18, 20, 3, 3), np.float32), random((18,), np.float32)
    geometry = conv_geometry("conv", x.shape, w.shape, {"pad": 1})
    arrays = [laid_out(array, layout) for array in (x, w, b, random((2, 18, 9, 8), np.float32, seed=1))]
    plain = [np.array(array, order="C") for array in arrays]
    results = []
    for images, weights, bias, dout in (arrays, plain):
        out, cache = winograd.forward(images, weights, bias, geometry)
        results.append((out, *winograd.backward(dout, cache)))
    for actual, value in zip(*results, strict=True):
        np.testing.assert_array_equal(actual, value)


def channels_last(shape, dtype):
    N, C, H, W = shape
    return np.empty((N, H, W, C), dtype).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("need_dx", [True, False])
@pytest.mark.parametrize("F", [32, 18, 5])
def test_results_are_written_to_the_buffers_that_are_given(F, need_dx):
    x, w, b = random((2, 20, 9, 8), np.float32), random((F, 20, 3, 3), np.float32), random((F,), np.float32)
    geometry = conv_geometry("conv", x.shape, w.shape, {"pad": 1})
    dout = random((2, F, 9, 8), np.float32, seed=1)
    value, value_cache = winograd.forward(x, w, b, geometry)
    dx, dw, db = winograd.backward(dout, value_cache)
    for make_out in (lambda: np.empty(value.shape, np.float32), lambda: channels_last(value.shape, np.float32)):
        buffer = make_out()
        out, cache = winograd.forward(x, w, b, geometry, out=buffer)
        assert out is buffer
        np.testing.assert_array_equal(out, value)
        for make_dw in (
            lambda: np.empty(w.shape, np.float32),
            lambda: np.empty((3, 3, 20, F), np.float32).transpose(3, 2, 0, 1),
            lambda: np.empty((2 * F, 20, 3, 3), np.float32)[::2],
        ):
            dw_buffer, db_buffer = make_dw(), np.empty(F, np.float32)
            actual = winograd.backward(dout, cache, need_dx=need_dx, dw=dw_buffer, db=db_buffer)
            assert actual[1] is dw_buffer
            assert actual[2] is db_buffer
            np.testing.assert_array_equal(dw_buffer, dw)
            np.testing.assert_array_equal(db_buffer, db)
            if need_dx:
                np.testing.assert_array_equal(actual[0], dx)
            else:
                assert actual[0] is None
        alone, *nothing = winograd.backward(dout, cache, need_parameters=False)
        assert nothing == [None, None]
        np.testing.assert_array_equal(alone, winograd.backward(dout, cache)[0])


def test_a_buffer_of_another_shape_or_dtype_is_refused():
    x, w = random((2, 16, 9, 8), np.float32), random((16, 16, 3, 3), np.float32)
    geometry = conv_geometry("conv", x.shape, w.shape, {"pad": 1})
    with pytest.raises(ValueError, match=r"out: the buffer is float32 \(2, 16, 9, 9\); the result is float32 \(2, 16, 9, 8\)"):
        winograd.forward(x, w, None, geometry, out=np.empty((2, 16, 9, 9), np.float32))
    with pytest.raises(ValueError, match=r"out: the buffer is float64 \(2, 16, 4, 4\); the result is float32 \(2, 16, 4, 4\)"):
        winograd.forward(x, w, None, geometry, pool=True, out=np.empty((2, 16, 4, 4)))


@pytest.mark.parametrize(("rectify", "pool"), [(False, False), (True, False), (True, True)])
def test_results_are_the_same_bits_at_every_run_and_of_images_for_every_number_of_threads(rectify, pool):
    x, w, b = random((7, 33, 14, 14), np.float32), random((50, 33, 3, 3), np.float32), random((50,), np.float32)
    geometry = conv_geometry("conv", x.shape, w.shape, {"pad": 1})
    before, of_images, of_weights = kernels.threads(), set(), {}
    for number in sorted({1, before}):
        kernels.set_threads(number)
        for _ in range(3):
            out, cache = winograd.forward(x, w, b, geometry, rectify=rectify, pool=pool)
            dx, dw, db = winograd.backward(random(out.shape, np.float32, seed=1), cache)
            of_images.add(out.tobytes() + dx.tobytes())
            of_weights.setdefault(number, set()).add(dw.tobytes() + db.tobytes())
    kernels.set_threads(before)
    assert len(of_images) == 1
    assert all(len(results) == 1 for results in of_weights.values())


@settings(deadline=None, max_examples=60)
@given(N=st.integers(1, 3), size=st.tuples(*[st.integers(3, 23)] * 2), parts=st.integers(2, 7), pads=PADS, rectify=st.booleans())
def test_an_image_may_be_the_work_of_several_threads(N, size, parts, pads, rectify):
    x, w, b = random((N, 16, *size), np.float32), random((20, 16, 3, 3), np.float32), random((20,), np.float32)
    geometry = conv_geometry("conv", x.shape, w.shape, {"pad": pads})
    results = []
    for number in (1, parts):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(winograd, "SERIAL", 0)
            patch.setattr(winograd, "threads", lambda number=number: number)
            out, cache = winograd.forward(x, w, b, geometry, rectify=rectify)
            results.append((out, *winograd.backward(random(out.shape, x.dtype, seed=1), cache)))
    for name, one, several in zip(("out", "dx", "dw", "db"), *results, strict=True):
        bound = 0 if name in ("out", "dx") else ROUNDING[np.float32][name] * np.abs(one).max()
        np.testing.assert_allclose(one, several, rtol=0, atol=bound, err_msg=name)


def test_a_second_step_in_a_workspace_takes_no_new_memory():
    x, w, b = random((40, 32, 16, 16), np.float32), random((64, 32, 3, 3), np.float32), random((64,), np.float32)
    geometry = conv_geometry("conv", x.shape, w.shape, {"pad": 1})
    workspace, sizes = Workspace(), []
    for _ in range(3):
        with workspace:
            out, cache = winograd.forward(x, w, b, geometry, rectify=True, pool=True)
            gradients = winograd.backward(out, cache)
        del out, cache, gradients
        sizes.append(workspace.nbytes)
    assert sizes[0] == sizes[1] == sizes[2]


@pytest.mark.parametrize(
    ("x_shape", "F", "param", "dtype", "answer"),
    [
        ((100, 64, 32, 32), 64, {"pad": 1}, np.float32, True),
        ((1000, 256, 3, 3), 256, {"pad": 1}, np.float32, True),
        ((100, 64, 32, 32), 64, {"pad": 1}, np.float64, False),
        ((100, 64, 32, 32), 64, {"pad": 1, "stride": 2}, np.float32, False),
        ((100, 64, 32, 32), 64, {"pad": 1, "dilation": 2}, np.float32, False),
        ((100, 64, 32, 32), 64, {"pad": 1, "groups": 2}, np.float32, False),
        ((100, 3, 32, 32), 64, {"pad": 1}, np.float32, False),
        ((1, 64, 8, 8), 64, {"pad": 1}, np.float32, False),
        ((1000, 64, 3, 3), 64, {}, np.float32, False),
    ],
)
def test_it_says_where_it_pays(x_shape, F, param, dtype, answer):
    w_shape = (F, x_shape[1] // param.get("groups", 1), 3, 3)
    assert winograd.suits(x_shape, w_shape, conv_geometry("conv", x_shape, w_shape, param), dtype) is answer


GUARDED = """
import ctypes, itertools, mmap
import numpy as np
from chainrule import kernels
from chainrule.functional.geometry import conv_geometry
from chainrule.kernels import layout, winograd

winograd.SERIAL, threads = 0, kernels.threads()
PAGE, libc, at_end = mmap.PAGESIZE, ctypes.CDLL(None, use_errno=True), itertools.cycle([True, False])

def guarded(shape, dtype):
    "An array between two pages that must not be touched, hard against the second or the first."
    dtype = np.dtype(dtype)
    count = int(np.prod(shape))
    size = max(1, -(-count * dtype.itemsize // PAGE)) * PAGE
    memory = mmap.mmap(-1, size + 2 * PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for place in (address, address + PAGE + size):
        assert libc.mprotect(ctypes.c_void_p(place), PAGE, 0) == 0
    offset = PAGE + (size - count * dtype.itemsize if next(at_end) else 0)
    array = np.frombuffer(memory, dtype, count, offset).reshape(shape)
    if dtype.kind == "f":
        array[...] = np.nan  # what is read before it is written shows
    return array

def copied(values):
    array = guarded(values.shape, values.dtype)
    array[...] = values
    return array

def images(values):
    return copied(values.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)

def weights(values):
    return copied(values.transpose(2, 3, 1, 0)).transpose(3, 2, 0, 1)

rng, plain_empty = np.random.default_rng(0), winograd.empty
CHANNELS = [1, 2, 4, 5, 8, 12, 15, 16, 17, 24, 31, 32, 33, 40, 48, 56, 64, 70]
for number in range(EXAMPLES):
    N, H, W, C, F = rng.integers(1, 4), rng.integers(2, 14), rng.integers(2, 14), rng.choice(CHANNELS), rng.choice(CHANNELS)
    pad = tuple((int(rng.integers(1, 3)), int(rng.integers(0, 3))) for _ in range(2))
    rectify, pool = bool(number % 2), bool(number // 2 % 2) and H + sum(pad[0]) > 3 and W + sum(pad[1]) > 3
    dtype = (np.float32, np.float64)[number // 4 % 2]
    x, w, b = (rng.standard_normal(shape).astype(dtype) for shape in ((N, C, H, W), (F, C, 3, 3), (F,)))
    geometry = conv_geometry("conv", x.shape, w.shape, {"pad": pad})
    winograd.empty = layout.empty = plain_empty
    kernels.set_threads(1 + number // 8 % threads)
    out, cache = winograd.forward(x, w, b, geometry, rectify=rectify, pool=pool)
    dout = rng.standard_normal(out.shape).astype(dtype)
    expected = out, *winograd.backward(dout, cache)
    winograd.empty = layout.empty = guarded
    for _ in range(2):
        gout, gdw, gdb = images(out), weights(w), copied(b)
        _, cache = winograd.forward(images(x), weights(w), copied(b), geometry, rectify=rectify, pool=pool, out=gout)
        dx, _, _ = winograd.backward(images(dout), cache, dw=gdw, db=gdb)
        for array, value in zip((gout, dx, gdw, gdb), expected):
            assert np.array_equal(array, value)
"""


CORRECT = """
import numpy as np
from chainrule.functional.geometry import conv_geometry
from chainrule.kernels import winograd
rng = np.random.default_rng(0)
for dtype, tolerance in ((np.float32, 1e-4), (np.float64, 1e-12)):
    for N, C, H, W, F in ((2, 24, 9, 7, 40), (1, 3, 5, 6, 5), (3, 32, 8, 8, 16)):
        x, w, b = (rng.standard_normal(shape).astype(dtype) for shape in ((N, C, H, W), (F, C, 3, 3), (F,)))
        geometry = conv_geometry("conv", x.shape, w.shape, {"pad": 1})
        out, cache = winograd.forward(x, w, b, geometry)
        dout = rng.standard_normal(out.shape).astype(dtype)
        dx, dw, db = winograd.backward(dout, cache)
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), (2, 3))
        expected_out = np.einsum("nchwij,fcij->nfhw", windows, w) + b[:, None, None]
        expected_dw = np.einsum("nchwij,nfhw->fcij", windows, dout)
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(dout, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), (2, 3))
        expected_dx = np.einsum("nfhwij,fcij->nchw", windows, w[:, :, ::-1, ::-1])
        for actual, value in ((out, expected_out), (dx, expected_dx), (dw, expected_dw), (db, dout.sum((0, 2, 3)))):
            assert np.abs(actual - value).max() <= tolerance * np.abs(value).max()
"""


X86_64 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="processors of the x86-64 family")


@pytest.mark.skipif(sys.platform == "win32", reason="memory is protected by mprotect")
@pytest.mark.parametrize(
    ("variables", "examples"),
    [
        pytest.param({}, 120, id="this processor"),
        pytest.param({"NUMBA_CPU_NAME": "haswell"}, 48, id="haswell", marks=X86_64),
        # no AVX, and no instruction for a multiply-add
        pytest.param({"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": ""}, 48, id="the first x86-64", marks=X86_64),
    ],
)
def test_every_processor_computes_it_and_touches_nothing_outside_the_arrays(variables, examples):
    # a single byte past an array's first or last page ends the process by a segmentation fault
    script = CORRECT + GUARDED.replace("EXAMPLES", str(examples))
    done = subprocess.run([sys.executable, "-c", script], env=os.environ | variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr[-2000:]}"
