"""torch.optim's optimizers that `chainrule.optim` has, too, and the twin of its Muon."""

import math

import torch
from torch.optim import SGD, Adagrad, Adam, AdamW, RMSprop

from chainrule.optim.muon import COEFFICIENTS

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Muon", "RMSprop"]


class Muon(torch.optim.Optimizer):
    """The twin of `chainrule.optim.Muon`: torch.optim.Muon for filters, too, in the dtype of the parameters, or in that of autocast."""

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

    @torch.no_grad()
    def step(self, closure=None):  # pyright: ignore[reportIncompatibleMethodOverride]
        for group in self.param_groups:
            lr, momentum = group["lr"], group["momentum"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(parameter)
                average = state["momentum_buffer"].lerp_(parameter.grad, 1 - momentum)
                direction = parameter.grad.lerp(average, momentum) if group["nesterov"] else average
                if group["normalize_weights"]:
                    parameter.mul_(math.sqrt(len(parameter)) / parameter.norm().clamp(min=group["eps"]))
                parameter.mul_(1 - lr * group["weight_decay"])
                matrix = _orthogonalize(direction.flatten(1), group["ns_steps"], group["ns_coefficients"], group["eps"])
                rows, columns = matrix.shape
                matches = group["adjust_lr_fn"] == "match_rms_adamw"
                factor = 0.2 * math.sqrt(max(rows, columns)) if matches else math.sqrt(max(1, rows / columns))
                parameter.sub_(matrix.reshape(parameter.shape), alpha=lr * factor)


def _orthogonalize(matrix, steps, coefficients, eps):
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
