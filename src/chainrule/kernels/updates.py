"""Update rules of the optimizers, compiled: one pass over the flat arrays of a parameter group, in place.

The arithmetic is that of torch.optim's plain implementation, operation for operation, in the dtype of the parameters. All arrays are flat,
C-contiguous, and of one dtype, float32 or float64; they must not overlap. The gradient is read only. With `maximize` it counts as its
negative.
"""

import math

from chainrule.kernels.compiler import load, run, threads

__all__ = ["adagrad", "adam", "rmsprop", "sgd"]

SERIAL = 20_000  # numbers; fewer take one thread less time than it takes to wake a second one


def sgd(w, grad, velocity, lr, momentum, dampening, weight_decay, nesterov, maximize):
    """w -= lr * grad; with a momentum, velocity = momentum * velocity + (1 - dampening) * grad takes the gradient's place.

    Parameters
    ----------
    w, grad : (size,)
    velocity : (size,), changed if momentum is not 0; else not used, and any array will do
    lr : learning rate
    momentum : share of the velocity that is kept
    dampening : 1 - weight of the gradient in the velocity
    weight_decay : times w, added to the gradient
    nesterov : use grad + momentum * velocity
    maximize : go up
    """
    rule = (w, grad, velocity, float(lr), float(momentum), float(dampening), float(weight_decay), bool(nesterov), _sign(maximize))
    _run("sgd", w, rule)


def adam(w, grad, m, v, v_max, lr, beta1, beta2, eps, weight_decay, decoupled, maximize, correction1, correction2):
    """w -= lr * m_hat / (sqrt(v_hat) + eps), m and v being running averages of the gradient and of its square.

    Parameters
    ----------
    w, grad, m, v : (size,)
    v_max : (size,) or None; the highest v so far (AMSGrad), used in place of v
    lr : learning rate
    beta1, beta2 : decay of the averages
    eps : added to the root
    weight_decay : times w, added to the gradient; or, decoupled (AdamW), w is multiplied by 1 - lr * weight_decay
    maximize : go up
    correction1, correction2 : 1 - beta**t for the t-th update, counted from 1
    """
    decay, shrink = (0.0, 1 - lr * weight_decay) if decoupled else (weight_decay, 1.0)
    step, root = lr / correction1, math.sqrt(correction2)
    highest = w[:0] if v_max is None else v_max
    settings = (float(step), float(beta1), float(beta2), float(eps), root, float(decay), float(shrink), _sign(maximize))
    _run("adam", w, (w, grad, m, v, highest, *settings))


def rmsprop(w, grad, square, velocity, mean, lr, alpha, eps, weight_decay, momentum, maximize):
    """w -= lr * grad / (sqrt(square) + eps), square being a running average of grad**2.

    Parameters
    ----------
    w, grad, square : (size,)
    velocity : (size,) or None; velocity = momentum * velocity + the quotient above takes its place
    mean : (size,) or None; running average of the gradient, whose square is taken off under the root ("centered")
    lr : learning rate
    alpha : decay of the averages
    eps : added to the root
    weight_decay : times w, added to the gradient
    momentum : share of the velocity that is kept
    maximize : go up
    """
    velocity, mean = w[:0] if velocity is None else velocity, w[:0] if mean is None else mean
    settings = (float(lr), float(alpha), float(eps), float(weight_decay), float(momentum), _sign(maximize))
    _run("rmsprop", w, (w, grad, square, velocity, mean, *settings))


def adagrad(w, grad, total, lr, eps, weight_decay, maximize):
    """w -= lr * grad / (sqrt(total) + eps), total being the sum of grad**2.

    Parameters
    ----------
    w, grad, total : (size,)
    lr : learning rate
    eps : added to the root
    weight_decay : times w, added to the gradient
    maximize : go up
    """
    _run("adagrad", w, (w, grad, total, float(lr), float(eps), float(weight_decay), _sign(maximize)))


def _sign(maximize):
    return -1.0 if maximize else 1.0


def _run(name, w, arguments):
    run(getattr(load("updates"), name), arguments, 1 if w.size < SERIAL else threads())
