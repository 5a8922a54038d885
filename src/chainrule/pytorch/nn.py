"""torch.nn as the namespace that `chainrule.models` are written against, with what torch.nn lacks."""

import numpy as np
import torch
from torch.nn import (
    GELU,
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    CrossEntropyLoss,
    Flatten,
    GroupNorm,
    Identity,
    LayerNorm,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Module,
    MSELoss,
    MultiMarginLoss,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
    Upsample,
)

__all__ = [
    "GELU",
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Concat",
    "Conv2d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout2d",
    "Flatten",
    "GroupNorm",
    "Identity",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "MultiMarginLoss",
    "Named",
    "ReLU",
    "Residual",
    "Scale",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "Upsample",
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


class Named(Module):
    """What `path` computes, under names of one's own; the twin of chainrule.nn.Named."""

    def __init__(self, path, **parts):
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self._path = (path,)  # as an attribute its layers would be stored a second time

    def forward(self, x):
        return self._path[0](x)


class Scale(Module):
    """factor * x; the twin of chainrule.nn.Scale."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor

    def extra_repr(self):
        return f"{self.factor}"


class Dropout(torch.nn.Dropout):
    """torch's dropout; with a NumPy generator in `rng` it draws the masks that chainrule.nn.Dropout draws from the same generator.

    With `share` (rank, size, images) they are those of every size-th image of a batch, as `chainrule.data.batches` divides it.
    """

    rng: np.random.Generator | None = None
    share: tuple[int, int, int] | None = None

    def forward(self, input):
        if self.rng is None or not self.training:
            return super().forward(input)
        return input * self._mask(self.rng, input.shape, input)

    def _mask(self, rng, shape, like):
        """1 / (1 - p) with probability 1 - p, else 0."""
        rank, size, images = (0, 1, 0) if self.share is None else self.share
        keep = 1 - self.p
        whole = tuple(shape) if size == 1 else (images, *shape[1:])
        mask = rng.random(whole)[rank::size] < keep
        return torch.from_numpy(mask).to(like.device).to(like.dtype) / keep


class Dropout2d(Dropout):
    """torch's dropout of whole channels, with `rng` as in Dropout."""

    def forward(self, input):
        if self.rng is None or not self.training:
            return torch.nn.functional.dropout2d(input, self.p, self.training)
        return input * self._mask(self.rng, (*input.shape[:2], 1, 1), input)
