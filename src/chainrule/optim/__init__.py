"""Optimizers and schedules with the names, arguments and arithmetic of torch.optim."""

from chainrule.optim.gradients import clip_grad_norm_, decay_groups
from chainrule.optim.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from chainrule.optim.schedules import CosineAnnealingLR, ExponentialLR, LinearLR, OneCycleLR, Schedule, SequentialLR, StepLR

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LinearLR",
    "OneCycleLR",
    "Optimizer",
    "RMSprop",
    "Schedule",
    "SequentialLR",
    "StepLR",
    "clip_grad_norm_",
    "decay_groups",
]
