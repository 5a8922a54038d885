"""The direct convolution against PyTorch in float64, for every geometry, and what it may read and write."""

import contextlib
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chainrule import functional, kernels
from chainrule.functional.geometry import conv_geometry
from chainrule.kernels import direct
from chainrule.kernels.workspace import Workspace

torch = pytest.importorskip("torch")

SIDES = st.integers(0, 3)
CONV_PARAMS = st.fixed_dictionaries(
    {
        "stride": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "pad": st.one_of(st.just(0), st.tuples(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES))),
        "dilation": st.tuples(st.integers(1, 2), st.integers(1, 2)),
    }
)
CHANNELS = st.one_of(st.integers(1, 20), st.sampled_from([16, 32, 40]))
DTYPES = st.sampled_from([np.float32, np.float64])
LAYOUTS = st.sampled_from(["C", "channels-last", "every second", "reversed", "read-only", "F"])


def random(shape, dtype, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def taps_first(w):
    return np.ascontiguousarray(w.transpose(2, 3, 1, 0)).transpose(3, 2, 0, 1)


def reference(x, w, b, dout, geometry, rectify, pool):
    """out, dx, dw, db (or None) of PyTorch in float64."""
    x, w = (torch.tensor(np.asarray(array, np.float64, order="C"), requires_grad=True) for array in (x, w))
    b = None if b is None else torch.tensor(np.asarray(b, np.float64), requires_grad=True)
    top, bottom, left, right = geometry.pad
    padded = torch.nn.functional.pad(x, (left, right, top, bottom))
    out = torch.nn.functional.conv2d(padded, w, b, geometry.stride, 0, geometry.dilation, geometry.groups)
    if rectify:
        out = out.relu()
    if pool:
        out = torch.nn.functional.max_pool2d(out, 2)
    out.backward(torch.tensor(np.asarray(dout, np.float64, order="C")))
    return [None if value is None else value.detach().numpy() for value in (out, x.grad, w.grad, None if b is None else b.grad)]


def assert_results(actual, expected, terms):
    """Each result is right up to the rounding of a sum of so many terms of its dtype.

    A sum of n random terms, in any order, errs by about sqrt(n) units of roundoff of the largest ones; ten times that leaves room for the
    spread of what is largest. A value that rounding lifts over 0, or over its neighbour, takes a gradient with it: none was drawn.
    """
    for name, result, value, n in zip(("out", "dx", "dw", "db"), actual, expected, terms, strict=True):
        if value is None:
            assert result is None
            continue
        assert result.shape == value.shape
        bound = 10 * np.sqrt(n) * np.finfo(result.dtype).eps * max(1, np.abs(value).max())
        assert np.abs(result - value).max(initial=0) <= bound, f"{name} is off by {np.abs(result - value).max()}, {bound} allowed"


def check(x, w, b, geometry, *, rectify=False, pool=False, lay_out=channels_last):
    N, (F, each, KH, KW), (OH, OW) = len(x), w.shape, geometry.output
    kept = [array.copy() for array in (x, w)]
    out, cache = direct.forward(x, w, b, geometry, rectify=rectify, pool=pool)
    dout = lay_out(random(out.shape, x.dtype, seed=1))
    gradients = direct.backward(dout, cache)
    terms = each * KH * KW + 1, F // geometry.groups * KH * KW, N * OH * OW, N * OH * OW
    assert_results((out, *gradients), reference(x, w, b, dout, geometry, rectify, pool), terms)
    without_dx, dw, db = direct.backward(dout, cache, need_dx=False)
    assert without_dx is None
    np.testing.assert_array_equal(dw, gradients[1])
    np.testing.assert_array_equal(db, gradients[2])
    dx, *nothing = direct.backward(dout, cache, need_parameters=False)
    assert nothing == [None, None]
    np.testing.assert_array_equal(dx, gradients[0])
    for array, before in zip((x, w), kept, strict=True):
        np.testing.assert_array_equal(array, before)


@pytest.fixture(params=[1, 2])
def on_threads(request, monkeypatch):
    """Runs the test with one thread, and with two however little there is to do."""
    before = kernels.threads()
    if before < request.param:
        pytest.skip("this process may use one processor only")
    monkeypatch.setattr(direct, "SERIAL", 0)
    kernels.set_threads(request.param)
    yield request.param
    kernels.set_threads(before)


@settings(deadline=None, max_examples=150)
@given(data=st.data(), conv_param=CONV_PARAMS, dtype=DTYPES, rectify=st.booleans(), pool=st.booleans(), with_b=st.booleans())
def test_every_geometry_gives_what_pytorch_gives(data, conv_param, dtype, rectify, pool, with_b, laid_out, two_or_one_threads):
    groups = data.draw(st.sampled_from([1, 1, 2, 3]))
    C, F = groups * data.draw(CHANNELS), groups * data.draw(CHANNELS)
    if data.draw(st.integers(0, 4)) == 0:
        groups = F = C  # each channel with a filter of its own
    N, kernel, size = (
        data.draw(st.integers(1, 5)),
        data.draw(st.tuples(*[st.integers(1, 5)] * 2)),
        data.draw(st.tuples(*[st.integers(1, 13)] * 2)),
    )
    x, w = random((N, C, *size), dtype), random((F, C // groups, *kernel), dtype)
    try:
        geometry = conv_geometry("test", x.shape, w.shape, conv_param | {"groups": groups})
    except ValueError:  # the window does not fit
        assume(False)
    assume(not pool or min(geometry.output) >= 2)

    def lay_out(array):
        layout = data.draw(LAYOUTS)
        return channels_last(array) if layout == "channels-last" else laid_out(array, layout)

    b = random((F,), dtype) if with_b else None
    check(lay_out(x), data.draw(st.sampled_from([taps_first, lay_out]))(w), b, geometry, rectify=rectify, pool=pool, lay_out=lay_out)


@pytest.fixture(scope="module")
def two_or_one_threads():
    """Small convolutions take both ways, as their size demands."""
    before, direct.SERIAL = direct.SERIAL, 30_000
    yield
    direct.SERIAL = before


@pytest.mark.parametrize(
    ("C", "size", "F", "kernel", "conv_param"),
    [
        (3, (32, 32), 32, (7, 7), {"pad": 3}),
        (64, (16, 16), 48, (3, 3), {"pad": 1, "stride": 2}),
        (32, (7, 7), 64, (1, 1), {}),
        (20, (1, 1), 33, (3, 3), {"pad": 1}),
        (5, (9, 2), 7, (9, 2), {}),
        (40, (14, 11), 40, (3, 3), {"pad": 1, "groups": 40}),
        (12, (6, 6), 18, (1, 1), {"stride": 3, "groups": 3}),
        (2, (1, 1), 3, (1, 1), {"stride": 5, "pad": ((0, 0), (4, 0))}),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shapes_of_networks_and_of_the_edge(C, size, F, kernel, conv_param, dtype, on_threads):
    x, w, b = random((9, C, *size), dtype), random((F, C // conv_param.get("groups", 1), *kernel), dtype), random((F,), dtype)
    geometry = conv_geometry("test", x.shape, w.shape, conv_param)
    check(channels_last(x), taps_first(w), b, geometry, rectify=True)
    check(x, w, None, geometry, lay_out=np.ascontiguousarray)


@pytest.mark.parametrize("rectify", [False, True])
def test_of_equal_maxima_the_first_has_the_gradient(rectify):
    x = np.array([[[[1, 1, -2, -1], [1, 1, -1, -2], [0, 2, 0, 0], [2, 0, 0, 0]]]], np.float32)
    geometry = conv_geometry("test", x.shape, (1, 1, 1, 1), {})
    out, cache = direct.forward(x, np.ones((1, 1, 1, 1), np.float32), None, geometry, rectify=rectify, pool=True)
    np.testing.assert_array_equal(out[0, 0], [[1, 0 if rectify else -1], [2, 0]])
    dx, _, _ = direct.backward(np.array([[[[3, 4], [5, 6]]]], np.float32), cache)
    expected = np.zeros((4, 4))
    expected[0, 0], expected[2, 1] = 3, 5
    if not rectify:
        expected[0, 3], expected[2, 2] = 4, 6
    np.testing.assert_array_equal(dx[0, 0], expected)


@pytest.mark.parametrize("pool", [False, True])
def test_nan_and_infinity_are_not_hidden_by_relu_and_pooling(pool):
    x = np.zeros((1, 1, 2, 40), np.float32)
    x[0, 0, 1, 3], x[0, 0, 0, 20] = np.nan, np.inf
    geometry = conv_geometry("test", x.shape, (1, 1, 1, 1), {})
    out, _ = direct.forward(x, np.ones((1, 1, 1, 1), np.float32), None, geometry, rectify=True, pool=pool)
    expected = np.maximum(x, 0)
    np.testing.assert_array_equal(
        out, functional.max_pool_forward_naive(expected, {"pool_height": 2, "pool_width": 2})[0] if pool else expected
    )


@settings(deadline=None, max_examples=60)
@given(
    N=st.integers(1, 5),
    size=st.tuples(*[st.integers(1, 9)] * 2),
    parts=st.integers(2, 7),
    stride=st.integers(1, 3),
    channels=st.sampled_from([(5, 9), (16, 32), (6, 6)]),
)
def test_an_image_may_be_the_work_of_several_threads(N, size, parts, stride, channels):
    C, F = channels
    x, w, b = random((N, C, *size), np.float32), random((F, 1 if C == F else C, 3, 3), np.float32), random((F,), np.float32)
    geometry = conv_geometry("test", x.shape, w.shape, {"pad": 1, "stride": stride, "groups": C if C == F else 1})
    results = []
    for number in (1, parts):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(direct, "SERIAL", 0)
            patch.setattr(direct, "threads", lambda number=number: number)
            out, cache = direct.forward(x, w, b, geometry, rectify=True)
            results.append((out, *direct.backward(random(out.shape, x.dtype, seed=1), cache)))
    for name, one, several in zip(("out", "dx", "dw", "db"), *results, strict=True):
        # dw and db: sums of up to 405 products of numbers of about 1, in another order
        bound = 0 if name in ("out", "dx") else 10 * np.sqrt(405) * np.finfo(x.dtype).eps * max(1, np.abs(one).max())
        np.testing.assert_allclose(one, several, rtol=0, atol=bound, err_msg=name)


def problem(dtype=np.float32):
    x, w, b = channels_last(random((10, 24, 11, 9), dtype)), taps_first(random((40, 24, 3, 3), dtype)), random((40,), dtype)
    return x, w, b, conv_geometry("test", x.shape, w.shape, {"pad": 1})


@pytest.mark.parametrize(("rectify", "pool"), [(False, False), (True, False), (True, True)])
def test_results_are_the_same_bits_at_every_run(rectify, pool):
    x, w, b, geometry = problem()
    results = {}
    before = kernels.threads()
    for number in sorted({1, before}):
        kernels.set_threads(number)
        runs = set()
        for _ in range(3):
            out, cache = direct.forward(x, w, b, geometry, rectify=rectify, pool=pool)
            dx, dw, db = direct.backward(random(out.shape, x.dtype, seed=1), cache)
            runs.add(tuple(array.tobytes() for array in (out, dx, dw, db)))
        assert len(runs) == 1
        results[number] = runs.pop()
    kernels.set_threads(before)
    assert len({result[:2] for result in results.values()}) == 1  # out and dx do not depend on the number of threads either


@pytest.mark.parametrize("pool", [False, True])
def test_results_are_written_to_the_buffers_that_are_given(pool):
    x, w, b, geometry = problem()
    expected, cache = direct.forward(x, w, b, geometry, rectify=True, pool=pool)
    dout = random(expected.shape, x.dtype, seed=1)
    _, expected_dw, expected_db = direct.backward(dout, cache)
    for lay_out, lay_out_w in ((channels_last, taps_first), (np.copy, np.copy)):
        out, dw, db = lay_out(np.zeros_like(expected)), lay_out_w(np.zeros_like(w)), np.zeros(80, np.float32)[::2]
        result, cache = direct.forward(x, w, b, geometry, rectify=True, pool=pool, out=out)
        assert result is out
        np.testing.assert_array_equal(out, expected)
        gradients = direct.backward(dout, cache, need_dx=False, dw=dw, db=db)
        assert gradients[1] is dw and gradients[2] is db
        np.testing.assert_array_equal(dw, expected_dw)
        np.testing.assert_array_equal(db, expected_db)


def test_a_buffer_of_another_shape_or_dtype_is_refused():
    x, w, b, geometry = problem()
    with pytest.raises(ValueError, match=r"out: the buffer is float32 \(10, 40, 11, 8\); the result is float32 \(10, 40, 11, 9\)"):
        direct.forward(x, w, b, geometry, out=np.empty((10, 40, 11, 8), np.float32))
    out, cache = direct.forward(x, w, b, geometry)
    with pytest.raises(ValueError, match=r"dw: the buffer is float64 \(40, 24, 3, 3\); the result is float32 \(40, 24, 3, 3\)"):
        direct.backward(out, cache, dw=np.empty((40, 24, 3, 3)))


def test_a_second_step_takes_no_memory_of_its_own():
    x, w, b, geometry = problem()
    x, workspace = np.tile(x, (8, 1, 1, 1)), Workspace()

    def step():
        with workspace:
            out, cache = direct.forward(x, w, b, geometry, rectify=True)
            direct.backward(out, cache)

    step()
    held = workspace.nbytes
    tracemalloc.start()
    step()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert workspace.nbytes == held
    assert peak < 500_000  # out alone has 1.3 MB


class Fences:
    """Memory whose surroundings must not change."""

    SENTINEL = 0.123456789

    def __init__(self):
        self.arrays = []

    def empty(self, shape, dtype):
        size, margin = int(np.prod(shape)), 200  # numbers, more than a tile of vectors reaches
        memory = np.full(size + 2 * margin, self.SENTINEL if np.dtype(dtype).kind == "f" else 77, dtype)
        self.arrays.append((memory, margin))
        return memory[margin : margin + size].reshape(shape)

    def filled(self, values):
        array = self.empty(values.shape, values.dtype)
        array[...] = values
        return array

    def check(self):
        for memory, margin in self.arrays:
            for outside in (memory[:margin], memory[len(memory) - margin :]):
                np.testing.assert_array_equal(outside, np.full_like(outside, self.SENTINEL if memory.dtype.kind == "f" else 77))


@settings(deadline=None, max_examples=80)
@given(data=st.data(), conv_param=CONV_PARAMS, dtype=DTYPES, pool=st.booleans())
def test_nothing_is_written_around_any_array(data, conv_param, dtype, pool, two_or_one_threads):
    groups, N = data.draw(st.sampled_from([1, 2])), data.draw(st.integers(1, 4))
    C, F = groups * data.draw(CHANNELS), groups * data.draw(CHANNELS)
    if data.draw(st.integers(0, 4)) == 0:
        groups = F = C
    kernel, size = data.draw(st.tuples(*[st.integers(1, 4)] * 2)), data.draw(st.tuples(*[st.integers(1, 9)] * 2))
    fences = Fences()
    x = fences.filled(random((N, *size, C), dtype)).transpose(0, 3, 1, 2)
    w, b = fences.filled(random((*kernel, C // groups, F), dtype)).transpose(3, 2, 0, 1), fences.filled(random((F,), dtype))
    with contextlib.suppress(ValueError):
        geometry = conv_geometry("test", x.shape, w.shape, conv_param | {"groups": groups})
        assume(not pool or min(geometry.output) >= 2)
        OH, OW = (side // 2 for side in geometry.output) if pool else geometry.output
        out, dw = (
            fences.empty((N, OH, OW, F), dtype).transpose(0, 3, 1, 2),
            fences.empty(w.transpose(2, 3, 1, 0).shape, dtype).transpose(3, 2, 0, 1),
        )
        before, direct.empty = direct.empty, fences.empty
        try:
            _, cache = direct.forward(x, w, b, geometry, rectify=True, pool=pool, out=out)
            direct.backward(fences.filled(random((N, OH, OW, F), dtype)).transpose(0, 3, 1, 2), cache, dw=dw, db=fences.empty((F,), dtype))
        finally:
            direct.empty = before
        fences.check()


GUARDED = """
import ctypes, mmap
import numpy as np
from chainrule import kernels
from chainrule.functional.geometry import conv_geometry
from chainrule.kernels import direct

direct.SERIAL, threads = 0, kernels.threads()
PAGE, libc, kept = mmap.PAGESIZE, ctypes.CDLL(None, use_errno=True), []

def guarded(shape, dtype, at_end):
    "An array between two pages that must not be touched, hard against the second or the first."
    nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    size = max(PAGE, -(-nbytes // PAGE) * PAGE)
    memory = mmap.mmap(-1, size + 2 * PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for place in (address, address + PAGE + size):
        assert libc.mprotect(ctypes.c_void_p(place), PAGE, 0) == 0
    kept.append(memory)
    return np.frombuffer(memory, dtype, int(np.prod(shape)), PAGE + (size - nbytes if at_end else 0)).reshape(shape)

def filled(values, at_end):
    array = guarded(values.shape, values.dtype, at_end)
    array[...] = values
    return array

rng = np.random.default_rng(0)
for number in range(60):
    kept.clear()
    dtype, pool, at_end = (np.float32, np.float64)[number % 2], number % 3 == 0, number % 4 < 2
    groups = rng.choice([1, 1, 2])
    C, F = groups * rng.choice([1, 3, 4, 8, 16, 17]), groups * rng.choice([1, 5, 8, 16, 24, 32])
    if number % 5 == 0:
        groups = F = C
    kernel, stride, pad = rng.integers(1, 4, 2), tuple(rng.integers(1, 3, 2)), tuple(rng.integers(0, 3, 2))
    x, w, b = rng.standard_normal((3, 7, 6, C)), rng.standard_normal((*kernel, C // groups, F)), rng.standard_normal(F)
    x, w, b = (filled(array.astype(dtype), at_end) for array in (x, w, b))
    x, w = x.transpose(0, 3, 1, 2), w.transpose(3, 2, 0, 1)
    geometry = conv_geometry("test", x.shape, w.shape, {"stride": stride, "pad": pad, "groups": groups})
    if pool and min(geometry.output) < 2:
        continue
    direct.empty = lambda shape, dtype: guarded(shape, dtype, at_end)
    kernels.set_threads(1 + number % threads)
    out, cache = direct.forward(x, w, b, geometry, rectify=True, pool=pool)
    dout = filled(rng.standard_normal(out.transpose(0, 2, 3, 1).shape).astype(dtype), at_end).transpose(0, 3, 1, 2)
    direct.backward(dout, cache)
print("whole")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="memory is protected by mprotect")
def test_nothing_outside_the_arrays_is_read_or_written():
    # a single byte past an array's first or last page ends the process by a segmentation fault
    done = subprocess.run([sys.executable, "-c", GUARDED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr[-2000:]}"
    assert done.stdout.strip() == "whole"


OTHER_PROCESSOR = """
import numpy as np
from chainrule.functional.convolution import conv_backward_naive, conv_forward_naive
from chainrule.functional.geometry import conv_geometry
from chainrule.kernels import direct
from chainrule.kernels.compiler import load
print(load("tile").VECTOR_BYTES, load("tile").ROWS)
rng = np.random.default_rng(0)
for C, F, groups, pool in ((5, 27, 1, False), (16, 9, 1, True), (20, 20, 20, False)):
    x, w, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((3, C, 8, 7), (F, C // groups, 3, 3), (F,)))
    conv_param = {"pad": 1, "stride": 2, "groups": groups}
    geometry = conv_geometry("test", x.shape, w.shape, conv_param)
    out, cache = direct.forward(x, w, b, geometry, pool=pool)
    expected, expected_cache = conv_forward_naive(x, w, b, conv_param)
    dout = rng.standard_normal(out.shape).astype(np.float32)
    full = dout
    if pool:
        windows = expected.reshape(3, F, 2, 2, 2, 2)
        largest = windows.max(axis=(3, 5), keepdims=True)
        full = np.where(windows == largest, dout[:, :, :, None, :, None], np.float32(0)).reshape(expected.shape)
        expected = largest.reshape(out.shape)
    for actual, value in zip((out, *direct.backward(dout, cache)), (expected, *conv_backward_naive(full, expected_cache))):
        # sums of up to 243 products: 243 roundoffs of 6e-8 at the very most
        assert np.abs(actual - value).max() <= 2e-5 * np.abs(value).max()
"""


@pytest.mark.skipif(not hasattr(os, "uname") or os.uname().machine != "x86_64", reason="processors of the x86-64 family")
@pytest.mark.parametrize(
    ("variables", "tile"),
    [
        ({"NUMBA_CPU_NAME": "haswell"}, "32 6"),
        ({"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": ""}, "16 6"),  # no AVX, and no instruction for a multiply-add
    ],
    ids=["haswell", "the first x86-64"],
)
def test_another_processor_gets_a_tile_that_fits_it(variables, tile):
    environment = os.environ | variables | {"NUMBA_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", OTHER_PROCESSOR], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == tile
