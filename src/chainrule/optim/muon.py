"""Muon: momentum, made orthogonal before it moves the weights (Jordan et al. 2024, kellerjordan.github.io/posts/muon)."""

import math

import numpy as np

from chainrule import kernels
from chainrule.optim.optimizers import Optimizer

__all__ = ["Muon", "orthogonalize"]

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # steep at 0 rather than exact: singular values end between 0.7 and 1.2, in few iterations
LARGEST_STEPS = 99
ADJUSTMENTS = (None, "original", "match_rms_adamw")


class Muon(Optimizer):
    """Move each matrix, and each convolution's filters (F, C, KH, KW) as a matrix (F, C * KH * KW), by its orthogonalized momentum.

    The average of the gradients U S V^T is replaced by nearly U V^T: every direction that it has counts the same. Arguments, state and
    arithmetic are those of torch.optim.Muon, with three differences: filters are taken, too; the iteration runs in the dtype of the
    parameters, where torch rounds to bfloat16; and there is `normalize_weights`. What is no matrix belongs to another optimizer, both in an
    `optim.Chain`.

    Parameters
    ----------
    params : parameters with two axes or more, or groups of them
    lr : learning rate (default 1e-3)
    weight_decay : the parameter shrinks by lr * weight_decay, decoupled from the momentum (default 0.1)
    momentum : share of the average that is kept (default 0.95)
    nesterov : look ahead along the momentum (default True)
    ns_coefficients : a, b, c of `orthogonalize`
    eps : least norm that the momentum is divided by (default 1e-7)
    ns_steps : iterations of `orthogonalize` (default 5)
    adjust_lr_fn : lr is multiplied by sqrt(max(1, F / K)) ("original", and None) or by 0.2 * sqrt(max(F, K)) ("match_rms_adamw") for a
        matrix (F, K). torch's factor for a matrix is the same one.
    normalize_weights : scale each parameter to the norm sqrt(F) before its update (Jordan 2024, airbench94_muon; default False)
    """

    stores_steps = False

    def __init__(
        self,
        params,
        lr=1e-3,
        weight_decay=0.1,
        momentum=0.95,
        nesterov=True,
        ns_coefficients=COEFFICIENTS,
        eps=1e-7,
        ns_steps=5,
        adjust_lr_fn=None,
        *,
        normalize_weights=False,
    ):
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov}
        defaults |= {"ns_coefficients": tuple(ns_coefficients), "eps": eps, "ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn}
        super().__init__(params, {**defaults, "normalize_weights": normalize_weights})

    def check(self, group):
        super().check(group)
        if len(group["ns_coefficients"]) != 3:
            raise ValueError(f"Muon: ns_coefficients are {tuple(group['ns_coefficients'])}; three are needed")
        if not 1 <= group["ns_steps"] <= LARGEST_STEPS:
            raise ValueError(f"Muon: ns_steps is {group['ns_steps']}; it must be 1 to {LARGEST_STEPS}")
        if group["adjust_lr_fn"] not in ADJUSTMENTS:
            raise ValueError(f"Muon: adjust_lr_fn is {group['adjust_lr_fn']!r}; it must be None, 'original' or 'match_rms_adamw'")
        for parameter in group["params"]:
            if len(parameter.shape) < 2:
                raise ValueError(
                    f"Muon: a parameter has shape {parameter.shape}; it moves matrices and filters alone: "
                    "give biases and scales to another optimizer, both in an optim.Chain"
                )

    def state_names(self, group):
        return ("momentum_buffer",)

    def update_group(self, group, flat, state, steps):
        momentum = group["momentum"]
        for index, _ in flat.present(steps):
            data, grad, average = flat.data_views[index], flat.grad_views[index], state["momentum_buffer"][1][index]
            average += (1 - momentum) * (grad - average)
            direction = grad + momentum * (average - grad) if group["nesterov"] else average
            if group["normalize_weights"]:
                data *= math.sqrt(len(data)) / max(_norm(data), group["eps"])
            data *= 1 - group["lr"] * group["weight_decay"]
            matrix = orthogonalize(direction.reshape(len(data), -1), group["ns_steps"], group["ns_coefficients"], group["eps"])
            data -= _adjusted(group["lr"], group["adjust_lr_fn"], *matrix.shape) * matrix.reshape(data.shape)


def orthogonalize(matrix, steps=5, coefficients=COEFFICIENTS, eps=1e-7):
    """Bring the singular values of a matrix near 1 and leave its singular vectors: U S V^T -> nearly U V^T, by Newton-Schulz iterations.

    Divided by its norm, the matrix has singular values s of at most 1. An iteration X <- (a I + b A + c A^2) X with A = X X^T makes each of
    them a s + b s^3 + c s^5, and needs products of matrices alone.

    Parameters
    ----------
    matrix : (F, K) of float32 or float64; not changed
    steps : iterations
    coefficients : a, b, c
    eps : least norm that the matrix is divided by

    Returns
    -------
    (F, K), a new array
    """
    a, b, c = coefficients
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T  # A is then the smaller of the two squares
    x = np.array(wide, order="C")
    x /= max(_norm(x), eps)
    for _ in range(steps):
        gram = _product(x, x.T)
        factor = b * gram + c * _product(gram, gram)
        factor.flat[:: len(factor) + 1] += a
        x = _product(factor, x)
    return x if wide is matrix else x.T


def _product(left, right):
    # NumPy's BLAS has threads of its own, which are in the way of the kernels'
    return kernels.affine_forward(left, right, np.zeros(right.shape[1], right.dtype))[0]


def _norm(array):
    return math.sqrt(np.sum(np.square(array), dtype=np.float64))


def _adjusted(lr, adjustment, rows, columns):
    if adjustment == "match_rms_adamw":
        return lr * 0.2 * math.sqrt(max(rows, columns))
    return lr * math.sqrt(max(1, rows / columns))
