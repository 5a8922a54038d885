"""torch.nn as the namespace that `chainrule.models` are written against, with the containers that torch.nn lacks."""

import numpy as np
import torch
from torch.nn import (
    GELU,
    BatchNorm1d,
    CrossEntropyLoss,
    Flatten,
    Identity,
    LayerNorm,
    LeakyReLU,
    Linear,
    Module,
    MSELoss,
    MultiMarginLoss,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
)

__all__ = [
    "GELU",
    "BatchNorm1d",
    "Concat",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "Identity",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "MSELoss",
    "Module",
    "MultiMarginLoss",
    "ReLU",
    "Residual",
    "Sequential",
    "Sigmoid",
    "Tanh",
]


class Residual(Module):
    """body(x) + shortcut(x); the twin of chainrule.nn.Residual."""

    def __init__(self, body, shortcut=None):
        super().__init__()
        self.body = body
        self.shortcut = shortcut if shortcut is not None else Identity()

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


class Concat(Sequential):
    """The outputs of all branches for one x, joined along axis `dim`; the twin of chainrule.nn.Concat."""

    def __init__(self, *branches, dim=1):
        super().__init__(*branches)
        self.dim = dim

    def forward(self, input):
        return torch.cat([branch(input) for branch in self], self.dim)


class Dropout(torch.nn.Dropout):
    """torch's dropout; with a NumPy generator in `rng` it draws the masks that chainrule.nn.Dropout draws from the same generator."""

    rng: np.random.Generator | None = None

    def forward(self, input):
        if self.rng is None or not self.training:
            return super().forward(input)
        keep = 1 - self.p
        mask = torch.from_numpy(self.rng.random(tuple(input.shape)) < keep).to(input.device)
        return input * (mask.to(input.dtype) / keep)
