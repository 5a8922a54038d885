"""Update rules over flat arrays, in place: each number is read and written once. The arithmetic is that of torch.optim, in its order.

Settings arrive as Python floats and are rounded to the dtype of the parameters where torch rounds them. `sign` is -1 for an optimizer that
goes up; a decay that is not wanted arrives as 0, or as the factor 1.
"""

import numpy as np
from numba import njit

__all__ = ["adagrad", "adam", "rmsprop", "sgd"]

OPTIONS = {"error_model": "numpy", "boundscheck": False, "nogil": True, "cache": True}
INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


@njit(**INNER)
def share(array, parts, part):
    """One part of an array, as an array that begins at 0: only then does Numba know that no index is negative, and use vectors."""
    return array[array.size * part // parts : array.size * (part + 1) // parts]


@njit(**OPTIONS)
def sgd(w, g, velocity, lr, momentum, dampening, weight_decay, nesterov, sign, parts, part):
    number = w.dtype.type
    up, decay, mu, fresh = number(sign), number(weight_decay), number(momentum), number(1 - dampening)
    step = number(lr)
    w, g, velocity = share(w, parts, part), share(g, parts, part), share(velocity, parts, part)
    if momentum == 0:
        for i in range(w.size):
            w[i] -= step * (up * g[i] + decay * w[i])
    else:
        ahead, kept = (mu, number(1)) if nesterov else (number(1), number(0))
        for i in range(w.size):
            grad = up * g[i] + decay * w[i]
            velocity[i] = mu * velocity[i] + fresh * grad
            w[i] -= step * (kept * grad + ahead * velocity[i])


@njit(**OPTIONS)
def adam(w, g, m, v, highest, step, beta1, beta2, eps, root, weight_decay, shrink, sign, parts, part):
    """One part of: m and v towards g and g**2; w * shrink - step * m / (sqrt(v) / root + eps), v or (not empty) the highest v so far."""
    number = w.dtype.type
    up, decay, factor, stride, small = number(sign), number(weight_decay), number(shrink), number(step), number(eps)
    fresh1, keep2, fresh2, divisor = number(1 - beta1), number(beta2), number(1 - beta2), number(root)
    w, g, m, v = share(w, parts, part), share(g, parts, part), share(m, parts, part), share(v, parts, part)
    if highest.size:
        highest = share(highest, parts, part)
        for i in range(w.size):
            grad = up * g[i] + decay * w[i]
            m[i] += fresh1 * (grad - m[i])
            v[i] = v[i] * keep2 + fresh2 * grad * grad
            highest[i] = max(highest[i], v[i])
            w[i] = w[i] * factor - stride * m[i] / (np.sqrt(highest[i]) / divisor + small)
    else:
        for i in range(w.size):
            grad = up * g[i] + decay * w[i]
            m[i] += fresh1 * (grad - m[i])
            v[i] = v[i] * keep2 + fresh2 * grad * grad
            w[i] = w[i] * factor - stride * m[i] / (np.sqrt(v[i]) / divisor + small)


@njit(**OPTIONS)
def rmsprop(w, g, square, velocity, mean, lr, alpha, eps, weight_decay, momentum, sign, parts, part):
    """One part of: g / (sqrt(square) + eps), less mean**2 under the root if `mean` is not empty, through a velocity if that is not."""
    number = w.dtype.type
    up, decay, keep, fresh, small = number(sign), number(weight_decay), number(alpha), number(1 - alpha), number(eps)
    step, mu = number(lr), number(momentum)
    w, g, square = share(w, parts, part), share(g, parts, part), share(square, parts, part)
    velocity, mean = share(velocity, parts, part), share(mean, parts, part)
    for i in range(w.size):
        grad = up * g[i] + decay * w[i]
        square[i] = square[i] * keep + fresh * grad * grad
        spread = square[i]
        if mean.size:
            mean[i] += fresh * (grad - mean[i])
            spread -= mean[i] * mean[i]
        direction = grad / (np.sqrt(spread) + small)
        if velocity.size:
            velocity[i] = velocity[i] * mu + direction
            direction = velocity[i]
        w[i] -= step * direction


@njit(**OPTIONS)
def adagrad(w, g, total, lr, eps, weight_decay, sign, parts, part):
    number = w.dtype.type
    up, decay, step, small = number(sign), number(weight_decay), number(lr), number(eps)
    w, g, total = share(w, parts, part), share(g, parts, part), share(total, parts, part)
    for i in range(w.size):
        grad = up * g[i] + decay * w[i]
        total[i] += grad * grad
        w[i] -= step * grad / (np.sqrt(total[i]) + small)
