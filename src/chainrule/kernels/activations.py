"""ReLU, the exact GELU, and the sum of two arrays, compiled: `chainrule.functional.relu_*`, `gelu_*`, and numpy.add, on several threads.

Results differ from the twins' by rounding only, and not at all from run to run or between numbers of threads. Memory of any layout is
right; fast is memory without holes, in whatever order of the axes: the result lies like x. Dtypes other than float32 and float64, mixed
ones, and empty arrays go to the twin. Output buffers are keyword-only, of the exact shape and dtype; they may be an input itself, but not
overlap one.
"""

from chainrule import functional
from chainrule.kernels.arrays import deliver, fits, flat, room, written
from chainrule.kernels.compiler import load, run, threads

__all__ = ["add", "gelu_backward", "gelu_forward", "relu_backward", "relu_forward"]

SERIAL = 30_000  # numbers; fewer take one thread less time than it takes to wake a second one


def relu_forward(x, *, out=None):
    """As `chainrule.functional.relu_forward`: max(0, x), of any shape. The cache is out, which must not change before the backward pass."""
    if fits(x):
        kernels = load("elementwise")
        out = _elementwise(kernels.relu_forward, "out", out, x)
    else:
        out = written(functional.relu_forward(x)[0], "out", out)
    return out, out


def relu_backward(dout, cache, *, dx=None):
    """Gradient of `relu_forward`: dx like x."""
    out = cache
    if not fits(out, dout) or dout.shape != out.shape:
        return written(functional.relu_backward(dout, out), "dx", dx)  # out is positive where x is
    kernels = load("elementwise")
    return _elementwise(kernels.relu_backward, "dx", dx, out, dout)


def gelu_forward(x, *, out=None):
    """As `chainrule.functional.gelu_forward`: x * P(Z <= x), of any shape. The cache is x, which must not change.

    The error is some units of roundoff of the result; x**2 / 2 of them in the tail for negative x, where rounding x has the same effect.
    """
    if not fits(x):
        return written(functional.gelu_forward(x)[0], "out", out), x
    kernels = load("elementwise")
    return _elementwise(kernels.gelu_forward, "out", out, x), x


def gelu_backward(dout, cache, *, dx=None):
    """Gradient of `gelu_forward`: dx like x. The distribution function is computed anew: to read it would take longer."""
    x = cache
    if not fits(x, dout) or dout.shape != x.shape:
        return written(functional.gelu_backward(dout, functional.gelu_forward(x)[1]), "dx", dx)
    kernels = load("elementwise")
    return _elementwise(kernels.gelu_backward, "dx", dx, x, dout)


def add(a, b, *, out=None):
    """a + b, of the same shape: the sum at the end of a residual branch."""
    if not fits(a, b) or a.shape != b.shape:
        return written(a + b, "out", out)
    kernels = load("elementwise")
    return _elementwise(kernels.add, "out", out, a, b)


def _elementwise(kernel, name, buffer, x, *others):
    """The kernel's function of x and of others like it, number by number in the order in which those of x lie in memory."""
    axes = range(x.ndim)
    if not x.flags.c_contiguous:
        axes = sorted(axes, key=lambda axis: -abs(x.strides[axis]))
    target = room(buffer, name, x.shape, x.dtype, axes)
    arguments = (*(flat(array.transpose(axes)) for array in (x, *others)), target.reshape(-1))
    run(kernel, arguments, 1 if x.size < SERIAL else threads())
    return deliver(target, buffer, axes)
