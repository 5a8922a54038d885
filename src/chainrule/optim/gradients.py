"""Gradient clipping, and the usual split of parameters into those that decay and those that do not."""

import numpy as np

from chainrule.nn.module import Module

__all__ = ["clip_grad_norm_", "decay_groups"]


def clip_grad_norm_(parameters, max_norm):
    """Scale all gradients, in place, so that their joint Euclidean norm is at most `max_norm` (Pascanu, Mikolov & Bengio 2013).

    As torch.nn.utils.clip_grad_norm_: the factor is max_norm / (norm + 1e-6) where that is below 1.

    Returns
    -------
    The norm before the scaling, a float; 0 where nothing has a gradient.
    """
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = float(np.sqrt(sum(float(np.sum(np.square(grad, dtype=np.float64))) for grad in grads)))
    factor = max_norm / (norm + 1e-6)
    if factor < 1:
        for grad in grads:
            grad *= grad.dtype.type(factor)
    return norm


def decay_groups(model: Module, weight_decay: float) -> list[dict]:
    """Two parameter groups: matrices and kernels with `weight_decay`, biases and the scales of norms without. Frozen ones are left out."""
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    weights = [parameter for parameter in learned if len(parameter.shape) > 1]
    others = [parameter for parameter in learned if len(parameter.shape) <= 1]
    groups = [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
