"""ReLU, GELU, sums, and the softmax loss: what NumPy can only do number by number, or in many passes, or on one thread."""

import math

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from chainrule.kernels.compiled.updates import share

__all__ = ["add", "gelu", "gelu_backward", "gelu_forward", "gelu_slope", "relu_backward", "relu_forward", "softmax_loss"]

OPTIONS = {"error_model": "numpy", "boundscheck": False, "nogil": True, "cache": True}
FUSED = {**OPTIONS, "fastmath": {"contract"}}  # a * b + c rounded once where the processor can: polynomials are twice as fast
INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "error_model": "numpy", "fastmath": {"contract"}}

INVERSE_ROOT_TWO_PI = 1 / math.sqrt(2 * math.pi)


def polynomial(coefficients_32, coefficients_64):
    """A function of x for kernels: Horner's rule, written out, because LLVM does not always undo a loop within the loop over an array."""

    @intrinsic
    def horner(typing, x):
        coefficients = coefficients_32 if x == types.float32 else coefficients_64

        def generate(context, builder, signature, args):
            (argument,) = args
            signature = ir.FunctionType(argument.type, [argument.type] * 3)
            fused = cgutils.get_or_insert_function(builder.module, signature, f"llvm.fmuladd.f{x.bitwidth}")
            value = ir.Constant(argument.type, coefficients[0])
            for coefficient in coefficients[1:]:
                value = builder.call(fused, [value, argument, ir.Constant(argument.type, coefficient)])
            return value

        return x(x), generate

    return horner


# For t >= 0 the tail P(Z > t) of a standard normal Z is exp(-t**2 / 2) * p(u) / (t + a) with u = (t - a) / (t + a), which maps [0, inf) to
# [-1, 1), and a = 4 (float32) or 5: the substitution of Shepherd & Laframboise (1981, for erfcx). p is smooth; here as its Chebyshev
# interpolant, written out in powers of u, highest first, with less than half a unit of roundoff cut off. EXP is exp(r), |r| <= log(2) / 2.
TAIL_32 = (
    2.19790434e-5, -1.72599229e-6, -0.000217771066, 0.000133640426, 0.00162424764, -0.00347994303, -0.00753868878, 0.060396644,
    -0.186521985, 0.387137394, -0.60789664, 0.755285131,
)  # fmt: skip
TAIL_64 = (
    1.2935905722350219e-10, -1.3256971077172527e-10, -1.561635741294657e-9, 1.2681978421609283e-9, 1.1312683120080483e-8,
    -6.932880681178453e-9, -7.0489633612001737e-8, 3.856006188606116e-8, 4.3641513391849903e-7, -3.3353249177551044e-7,
    -2.7707347997378642e-6, 3.9793555282331994e-6, 1.668163471255464e-5, -4.9762325626163348e-5, -5.9375805207621821e-5,
    0.00054489896780646005, -0.00079786938962143027, -0.0029933767588929338, 0.020795066799279775, -0.069118638707078795,
    0.16502036617040704, -0.31353315667128111, 0.49530561596997606, -0.66538250289005691, 0.76919304975006296,
)  # fmt: skip
EXP_32 = (0.00139421598, 0.00837596823, 0.0416663401, 0.166664053, 0.500000005, 1.00000004, 1.0)
EXP_64 = (
    2.0922481826949527e-9, 2.5116132500124796e-8, 2.7557249168853017e-7, 2.7557221127842814e-6, 2.4801587353097501e-5,
    0.0001984126991339968, 0.0013888888888870479, 0.0083333333333075536, 0.041666666666666695, 0.16666666666666706, 0.5, 1.0, 1.0,
)  # fmt: skip
tail_polynomial, exp_polynomial = polynomial(TAIL_32, TAIL_64), polynomial(EXP_32, EXP_64)


@intrinsic
def power_of_two(typing, rounded):
    """2**k for a whole number k, written into the exponent's bits; k arrives as k + 1.5 * 2**mantissa, whose lowest bits it is."""
    mantissa, bias = (23, 127) if rounded == types.float32 else (52, 1023)

    def generate(context, builder, signature, args):
        integer = ir.IntType(rounded.bitwidth)
        bits = builder.add(builder.bitcast(args[0], integer), ir.Constant(integer, bias))
        return builder.bitcast(builder.shl(bits, ir.Constant(integer, mantissa)), args[0].type)

    return rounded(rounded), generate


def normal(x):
    """P(Z <= x) for a standard normal Z, and exp(-x**2 / 2), without a branch, so that many are computed at once. For kernels only."""


@overload(normal, inline="never")
def _normal(x):
    if x == types.float32:
        number, rounder, lowest = np.float32, 1.5 * 2**23, -87
        log2_high, log2_low = 0.693359375, -2.12194440e-4  # the first has so few digits that small multiples of it are exact
        shift = 4
    else:
        number, rounder, lowest = np.float64, 1.5 * 2**52, -708
        log2_high, log2_low = 0.693147180369123816490, 1.90821492927058770002e-10
        shift = 5
    rounder, lowest, log2_high, log2_low, shift = map(number, (rounder, lowest, log2_high, log2_low, shift))
    inverse_log2, one, half, zero = map(number, (1 / math.log(2), 1, 0.5, 0))

    def implementation(x):
        # exp(z) = 2**k * exp(r) with z = k * log(2) + r
        t = abs(x)
        z = -half * t * t
        rounded = z * inverse_log2 + rounder  # the sum has no digits left for a fraction
        k = rounded - rounder
        r = z - k * log2_high - k * log2_low
        exp = exp_polynomial(r) * power_of_two(rounded)
        exp = exp if z > lowest else zero  # below is some 1e-38 (1e-308), and the power wrong
        inverse = one / (t + shift)
        u = one - (shift + shift) * inverse  # (t - shift) / (t + shift), also for infinite t
        tail = exp * (tail_polynomial(u) * inverse)
        return (tail if x < zero else one - tail), exp

    return implementation


@njit(**INNER)
def gelu(x):
    cdf, _ = normal(x)
    return x * cdf


@njit(**INNER)
def gelu_slope(x, highest, density):
    """The derivative of gelu; `highest` is 40, beyond which x p(x) is 0, even for infinite x; `density` is 1 / sqrt(2 pi)."""
    cdf, exp = normal(x)
    return cdf + min(max(x, -highest), highest) * exp * density


@njit(**FUSED)
def gelu_forward(x, out, parts, part):
    x, out = share(x, parts, part), share(out, parts, part)
    for i in range(x.size):
        out[i] = gelu(x[i])


@njit(**FUSED)
def gelu_backward(x, dout, dx, parts, part):
    x, dout, dx = share(x, parts, part), share(dout, parts, part), share(dx, parts, part)
    highest, density = x.dtype.type(40), x.dtype.type(INVERSE_ROOT_TWO_PI)
    for i in range(x.size):
        dx[i] = dout[i] * gelu_slope(x[i], highest, density)


@njit(**OPTIONS)
def relu_forward(x, out, parts, part):
    x, out, zero = share(x, parts, part), share(out, parts, part), x.dtype.type(0)
    for i in range(x.size):
        out[i] = zero if x[i] < zero else x[i]


@njit(**OPTIONS)
def relu_backward(out, dout, dx, parts, part):
    out, dout, dx, zero = share(out, parts, part), share(dout, parts, part), share(dx, parts, part), out.dtype.type(0)
    for i in range(out.size):
        g, passed = dout[i], out[i] > zero
        dx[i] = g if passed else zero


@njit(**OPTIONS)
def add(a, b, out, parts, part):
    a, b, out = share(a, parts, part), share(b, parts, part), share(out, parts, part)
    for i in range(a.size):
        out[i] = a[i] + b[i]


@njit(**OPTIONS)
def softmax_loss(x, y, smoothing, dx):
    """The mean loss of scores x (N, C) and labels y (N,), its gradient in dx; and the place of a label out of range, or -1."""
    N, C = x.shape
    one, count = x.dtype.type(1), x.dtype.type(N)
    spread = x.dtype.type(smoothing / C)
    loss = 0.0
    for n in range(N):
        if not 0 <= y[n] < C:
            return loss, n
        highest = x[n, 0]
        for c in range(1, C):
            if x[n, c] > highest or x[n, c] != x[n, c]:
                highest = x[n, c]
        total = x.dtype.type(0)
        for c in range(C):
            dx[n, c] = math.exp(x[n, c] - highest)
            total += dx[n, c]
        log_total = math.log(total)
        loss += (1 - smoothing) * (log_total - (x[n, y[n]] - highest))
        if smoothing != 0:
            surprise = 0.0
            for c in range(C):
                surprise += log_total - (x[n, c] - highest)
            loss += smoothing / C * surprise
        factor = one / total
        for c in range(C):
            dx[n, c] = (dx[n, c] * factor - spread) / count
        dx[n, y[n]] -= x.dtype.type(1 - smoothing) / count
    return loss / N, -1
