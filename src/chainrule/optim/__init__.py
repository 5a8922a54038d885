"""Optimizers and schedules with the names, arguments and arithmetic of torch.optim."""

from chainrule.optim.averaging import EMA, Lookahead
from chainrule.optim.chain import Chain
from chainrule.optim.gradients import clip_grad_norm_, decay_groups
from chainrule.optim.muon import Muon, orthogonalize
from chainrule.optim.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from chainrule.optim.schedules import (
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    OneCycleLR,
    Schedule,
    SequentialLR,
    StepLR,
    TriangularLR,
)

__all__ = [
    "EMA",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Chain",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LinearLR",
    "Lookahead",
    "Muon",
    "OneCycleLR",
    "Optimizer",
    "RMSprop",
    "Schedule",
    "SequentialLR",
    "StepLR",
    "TriangularLR",
    "clip_grad_norm_",
    "decay_groups",
    "orthogonalize",
]
