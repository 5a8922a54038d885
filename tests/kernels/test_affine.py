"""The compiled affine layers against sums in float64, for every shape and memory layout."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule import functional, kernels
from chainrule.kernels.affine import SERIAL

LAYOUT = st.sampled_from(["C", "F", "every second", "reversed", "read-only", "broadcast"])
DTYPES = st.sampled_from([np.float32, np.float64])
SIZES = st.one_of(st.integers(1, 70), st.sampled_from([255, 256, 257, 511, 513]))


def random(shape, dtype, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def assert_sums(actual, *products, dtype):
    """`actual` is the sum of the products (a, b), each rounded as a sum in `dtype` may be.

    The error of a sum of n products, in any order, is at most n units of roundoff of the sum of their absolute values (Higham, Accuracy and
    stability of numerical algorithms, 3.1); twice that for the reference, which is in float64 for float32.
    """
    products = [(np.asarray(a, np.float64), np.asarray(b, np.float64)) for a, b in products]
    bound = sum(a.shape[1] for a, _ in products) * np.finfo(dtype).eps * sum(abs(a) @ abs(b) for a, b in products)
    assert actual.dtype == dtype
    error = abs(actual - sum(a @ b for a, b in products))
    assert np.all(error <= bound), f"off by {np.max(error - bound)} more than rounding explains"


def check_affine(x, w, b, dout, *, relu):
    """Forward and backward pass against the definition; x (N, D) of any layout."""
    kept = [array.copy() for array in (x, w, b, dout)]
    forward, backward = (
        (kernels.affine_relu_forward, kernels.affine_relu_backward) if relu else (kernels.affine_forward, kernels.affine_backward)
    )
    out, cache = forward(x, w, b)
    dx, dw, db = backward(dout, cache)
    ones = np.ones((len(x), 1))
    if relu:
        scores, _ = kernels.affine_forward(x, w, b)
        np.testing.assert_array_equal(out, np.maximum(scores, 0))
        g = np.where(out > 0, dout, 0)
    else:
        assert_sums(out, (x, w), (ones, b[np.newaxis]), dtype=x.dtype)
        g = dout
    assert_sums(dx, (g, w.T), dtype=x.dtype)
    assert_sums(dw, (x.T, g), dtype=x.dtype)
    assert_sums(db[np.newaxis], (ones.T, g), dtype=x.dtype)
    for array, before in zip((x, w, b, dout), kept, strict=True):
        np.testing.assert_array_equal(array, before)


@given(N=st.integers(1, 40), D=SIZES, M=SIZES, dtype=DTYPES, relu=st.booleans(), layouts=st.tuples(LAYOUT, LAYOUT, LAYOUT))
def test_every_shape_and_layout_gives_the_sums_of_the_definition(N, D, M, dtype, relu, layouts, laid_out):
    x, w, dout = (laid_out(random(shape, dtype), layout) for shape, layout in zip(((N, D), (D, M), (N, M)), layouts, strict=True))
    check_affine(x, w, random((M,), dtype), dout, relu=relu)


@pytest.mark.parametrize("shape", [(200, 3072, 200), (100, 1100, 100), (700, 90, 300), (64, 1024, 1024)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sizes_of_several_blocks(shape, dtype, threads):
    N, D, M = shape
    assert N * D * M > SERIAL
    check_affine(random((N, D), dtype), random((M, D), dtype).T, random((M,), dtype), random((N, M), dtype), relu=False)


@pytest.mark.parametrize("relu", [False, True])
def test_a_batch_of_images_is_flattened(relu):
    forward, backward = (
        (kernels.affine_relu_forward, kernels.affine_relu_backward) if relu else (kernels.affine_forward, kernels.affine_backward)
    )
    x, w, b = random((4, 3, 2, 5), np.float64), random((30, 6), np.float64), random((6,), np.float64)
    out, cache = forward(x, w, b)
    dx, _, _ = backward(out, cache)
    flat_out, flat_cache = forward(x.reshape(4, 30), w, b)
    flat_dx, _, _ = backward(flat_out, flat_cache)
    np.testing.assert_array_equal(out, flat_out)
    np.testing.assert_array_equal(dx, flat_dx.reshape(x.shape))


@pytest.mark.parametrize(("N", "D", "M"), [(100, 300, 100), (50, 64, 33)])
def test_results_are_the_same_bits_at_every_run_and_for_every_number_of_threads(N, D, M):
    x, w, b, dout = random((N, D), np.float32), random((D, M), np.float32), random((M,), np.float32), random((N, M), np.float32)
    before, results = kernels.threads(), []
    for number in sorted({1, before}):
        kernels.set_threads(number)
        for _ in range(3):
            out, cache = kernels.affine_relu_forward(x, w, b)
            results.append(b"".join(array.tobytes() for array in (out, *kernels.affine_relu_backward(dout, cache))))
    kernels.set_threads(before)
    assert len(set(results)) == 1


def test_nothing_depends_on_how_an_array_is_aligned_in_memory():
    x, w, b = random((9, 33), np.float32), random((33, 18), np.float32), random((18,), np.float32)
    expected, _ = kernels.affine_forward(x, w, b)
    for offset in (1, 2, 4, 60):  # bytes; the first two are not even aligned to a number
        memory = np.zeros(x.nbytes + offset, np.uint8)
        shifted = memory[offset:].view(np.float32).reshape(x.shape)
        shifted[...] = x
        np.testing.assert_array_equal(kernels.affine_forward(shifted, w, b)[0], expected)


@pytest.mark.parametrize("relu", [False, True])
def test_results_are_written_to_the_buffers_that_are_given(relu):
    name = "affine_relu" if relu else "affine"
    forward, backward = getattr(kernels, f"{name}_forward"), getattr(kernels, f"{name}_backward")
    backward_parameters = getattr(kernels, f"{name}_backward_parameters")
    x, w, b, dout = random((9, 20), np.float32), random((20, 7), np.float32), random((7,), np.float32), random((9, 7), np.float32)
    expected_out, cache = forward(x, w, b)
    expected = backward(dout, cache)
    # weight.grad of a Linear layer is the transpose of a C-contiguous array, or any other
    for make_dw in (
        lambda: np.empty((20, 7), np.float32),
        lambda: np.empty((7, 20), np.float32).T,
        lambda: np.empty((40, 7), np.float32)[::2],
    ):
        out, dx, dw, db = np.empty((9, 7), np.float32), np.empty((9, 20), np.float32), make_dw(), np.empty(7, np.float32)
        result, cache = forward(x, w, b, out=out)
        gradients = backward(dout, cache, dx=dx, dw=dw, db=db)
        assert result is out
        assert all(gradient is buffer for gradient, buffer in zip(gradients, (dx, dw, db), strict=True))
        np.testing.assert_array_equal(out, expected_out)
        for gradient, value in zip(gradients, expected, strict=True):
            np.testing.assert_array_equal(gradient, value)
        dw[...], db[...] = 0, 0
        assert backward_parameters(dout, cache, dw=dw, db=db)[0] is dw
        np.testing.assert_array_equal(dw, expected[1])
        np.testing.assert_array_equal(db, expected[2])
        np.testing.assert_array_equal(getattr(kernels, f"{name}_backward_input")(dout, cache), expected[0])


def test_a_buffer_of_another_shape_or_dtype_is_refused():
    x, w, b = random((9, 20), np.float32), random((20, 7), np.float32), random((7,), np.float32)
    with pytest.raises(ValueError, match=r"out: the buffer is float32 \(9, 8\); the result is float32 \(9, 7\)"):
        kernels.affine_forward(x, w, b, out=np.empty((9, 8), np.float32))
    with pytest.raises(ValueError, match=r"out: the buffer is float64 \(9, 7\); the result is float32 \(9, 7\)"):
        kernels.affine_forward(x, w, b, out=np.empty((9, 7)))


def test_nan_and_infinity_are_not_hidden_by_the_relu():
    x, w, b = np.ones((3, 2), np.float32), np.ones((2, 20), np.float32), np.zeros(20, np.float32)
    x[1, 0], x[2, 1] = np.nan, np.inf
    out, _ = kernels.affine_relu_forward(x, w, b)
    assert np.all(out[0] == 2)
    assert np.all(np.isnan(out[1]))
    assert np.all(out[2] == np.inf)


@pytest.mark.parametrize(
    ("shapes", "dtypes"),
    [
        (((0, 3), (3, 2)), (np.float32,) * 3),
        (((2, 0), (0, 3)), (np.float64,) * 3),
        (((2, 3), (3, 0)), (np.float32,) * 3),
        (((2, 3), (3, 2)), (np.float32, np.float64, np.float32)),
        (((2, 3), (3, 2)), (np.int64, np.float64, np.float64)),
        (((2, 3), (3, 2)), (np.float16,) * 3),
        (((2, 3), (3, 2)), (">f4", "<f4", "<f4")),
    ],
)
def test_what_the_kernels_do_not_take_is_computed_by_the_definition(shapes, dtypes):
    (N, _), (_, M) = shapes
    x, w, b = ((10 * random(shape, np.float64)).astype(dtype) for shape, dtype in zip((*shapes, (M,)), dtypes, strict=True))
    dout = random((N, M), np.float64)
    for name in ("affine", "affine_relu"):
        out, cache = getattr(kernels, f"{name}_forward")(x, w, b)
        expected, expected_cache = getattr(functional, f"{name}_forward")(x, w, b)
        np.testing.assert_array_equal(out, expected)
        gradients = getattr(kernels, f"{name}_backward")(dout, cache)
        for gradient, value in zip(gradients, getattr(functional, f"{name}_backward")(dout, expected_cache), strict=True):
            np.testing.assert_array_equal(gradient, value)


def test_the_errors_are_those_of_the_definition():
    x, w, b = np.ones((2, 3), np.float32), np.ones((4, 5), np.float32), np.ones(5, np.float32)
    for forward in (kernels.affine_forward, functional.affine_forward):
        with pytest.raises(ValueError, match=r"x has shape \(2, 3\), that is 3 values a sample, but w has shape \(4, 5\)"):
            forward(x, w, b)
        with pytest.raises(ValueError, match=r"b has shape \(5, 1\); expected \(5,\)"):
            forward(np.ones((2, 4), np.float32), w, b[:, np.newaxis])
    _, cache = kernels.affine_forward(np.ones((2, 4), np.float32), w, b)
    with pytest.raises(ValueError, match=r"dout has shape \(5, 2\); expected \(2, 5\)"):
        kernels.affine_backward(np.ones((5, 2), np.float32), cache)


GUARDED = """
import ctypes, mmap, sys
import numpy as np
from chainrule import kernels
from chainrule.kernels import affine

affine.SERIAL, threads = 0, kernels.threads()  # the smallest products in parallel, too
PAGE, libc, kept = mmap.PAGESIZE, ctypes.CDLL(None, use_errno=True), []

def guarded(values, at_end):
    "A copy of the values between two pages that must not be touched, hard against the second or the first."
    size = -(-values.nbytes // PAGE) * PAGE
    memory = mmap.mmap(-1, size + 2 * PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for place in (address, address + PAGE + size):
        assert libc.mprotect(ctypes.c_void_p(place), PAGE, mmap.PROT_NONE if hasattr(mmap, "PROT_NONE") else 0) == 0
    kept.append(memory)
    offset = PAGE + (size - values.nbytes if at_end else 0)
    array = np.frombuffer(memory, values.dtype, values.size, offset).reshape(values.shape)
    array[...] = values
    return array

rng = np.random.default_rng(0)
N_SIZES, SIZES = [1, 5, 6, 7, 8, 9, 17], [1, 2, 3, 4, 5, 8, 9, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 130, 257, 513]
for number in range(120):
    N, D, M = rng.choice(N_SIZES), rng.choice(SIZES), rng.choice(SIZES)
    dtype = (np.float32, np.float64)[number % 2]
    x, w, b, dout = (rng.standard_normal(shape).astype(dtype) for shape in ((N, D), (D, M), (M,), (N, M)))
    out, cache = kernels.affine_relu_forward(x, w, b)
    expected = out, *kernels.affine_relu_backward(dout, cache)
    for at_end in (True, False):
        gx, gb, gdout = (guarded(array, at_end) for array in (x, b, dout))
        gw = guarded(w, at_end) if number % 3 else guarded(w.T.copy(), at_end).T
        gout, gdx, gdw, gdb = (guarded(np.zeros_like(array), at_end) for array in (dout, x, w, b))
        kernels.set_threads(1 + number % threads)
        _, cache = kernels.affine_relu_forward(gx, gw, gb, out=gout)
        kernels.affine_relu_backward(gdout, cache, dx=gdx, dw=gdw, db=gdb)
        for array, value in zip((gout, gdx, gdw, gdb, gx, gw, gb, gdout), (*expected, x, w, b, dout)):
            assert np.array_equal(array, value)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="memory is protected by mprotect")
def test_nothing_outside_the_arrays_is_read_or_written():
    # a single byte past an array's first or last page ends the process by a segmentation fault
    done = subprocess.run([sys.executable, "-c", GUARDED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr[-2000:]}"


OTHER_PROCESSOR = """
import numpy as np
from chainrule import kernels
from chainrule.kernels.compiler import load
print(load("tile").VECTOR_BYTES, load("tile").ROWS)
rng = np.random.default_rng(0)
for N, D, M in ((23, 45, 67), (5, 600, 18)):
    x, w, b, dout = (rng.standard_normal(shape).astype(np.float32) for shape in ((N, D), (D, M), (M,), (N, M)))
    out, cache = kernels.affine_forward(x, w, b)
    for actual, expected in zip((out, *kernels.affine_backward(dout, cache)), (x @ w + b, dout @ w.T, x.T @ dout, dout.sum(0))):
        # sums of up to 600 products: 600 roundoffs of 6e-8 at the very most
        assert np.abs(actual - expected).max() <= 4e-5 * np.abs(expected).max()
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="processors of the x86-64 family")
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
    done = subprocess.run([sys.executable, "-c", OTHER_PROCESSOR], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == tile


@pytest.mark.parametrize(("N", "D", "M"), list(itertools.product([1, 13], repeat=3)))
def test_a_single_sample_input_or_output_is_no_special_case(N, D, M):
    check_affine(random((N, D), np.float64), random((D, M), np.float64), random((M,), np.float64), random((N, M), np.float64), relu=False)
