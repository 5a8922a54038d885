"""Right residual blocks, none of them the library's."""

import torch
import torch.nn.functional as F
from torch import nn

ACTIVATIONS = {"relu": nn.ReLU, "lrelu": nn.LeakyReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


class Lists(nn.Module):
    """ModuleLists, the shortcut made first, normalizations before convolutions; no Sequential."""

    def __init__(self, in_channels, channels, kernel_sizes, batchnorm=False, dropout=0.0, activation_type="relu", activation_params=None):
        super().__init__()
        self.project = nn.Conv2d(in_channels, channels[-1], kernel_size=1, bias=False) if in_channels != channels[-1] else None
        self.norms = nn.ModuleList([nn.BatchNorm2d(c) for c in channels[:-1]] if batchnorm else [])
        ins = [in_channels] + list(channels[:-1])
        self.convs = nn.ModuleList([nn.Conv2d(i, o, k, padding="same") for i, o, k in zip(ins, channels, kernel_sizes, strict=True)])
        self.act = ACTIVATIONS[activation_type](**(activation_params or {}))
        self.p = dropout

    def forward(self, x):
        h = x
        for i, conv in enumerate(self.convs):
            h = conv(h)
            if i < len(self.convs) - 1:
                h = F.dropout2d(h, self.p, self.training)
                if len(self.norms):
                    h = self.norms[i](h)
                h = self.act(h)
        h = h + (x if self.project is None else self.project(x))
        return h.clamp(min=0)


class InPlace(nn.Module):
    """Shared in-place activations, a dropout that may do nothing, and a sum in place."""

    def __init__(self, in_channels, channels, kernel_sizes, batchnorm=False, dropout=0.0, activation_type="relu", activation_params=None):
        nn.Module.__init__(self)
        act = ACTIVATIONS[activation_type](**dict(activation_params or {}, **({"inplace": True} if "relu" in activation_type else {})))
        path = nn.Sequential()
        last = len(channels) - 1
        for n in range(last + 1):
            path.add_module(
                f"conv{n}", nn.Conv2d(in_channels if n == 0 else channels[n - 1], channels[n], kernel_sizes[n], 1, kernel_sizes[n] // 2)
            )
            if n < last:
                path.add_module(f"drop{n}", nn.Dropout2d(p=dropout))
                path.add_module(f"norm{n}", nn.BatchNorm2d(channels[n]) if batchnorm else nn.Identity())
                path.add_module(f"act{n}", act)
        self.path = path
        self.short = nn.Sequential()
        if channels[-1] != in_channels:
            self.short.append(nn.Conv2d(in_channels, channels[-1], (1, 1), bias=False))

    def forward(self, x):
        out = self.path(x)
        out += self.short(x)
        return F.relu_(out)


class Bottleneck(nn.Module):
    """Around another block instead of a child of it."""

    def __init__(self, in_out_channels, inner_channels, inner_kernel_sizes, **kw):
        super().__init__()
        self.block = Lists(
            in_out_channels, [inner_channels[0]] + list(inner_channels) + [in_out_channels], [1] + list(inner_kernel_sizes) + [1], **kw
        )

    def forward(self, x):
        return self.block(x)


class Child(InPlace):
    def __init__(self, in_out_channels, inner_channels, inner_kernel_sizes, **kw):
        channels, sizes = (inner_channels[0], *inner_channels, in_out_channels), (1, *inner_kernel_sizes, 1)
        super().__init__(in_channels=in_out_channels, channels=channels, kernel_sizes=sizes, **kw)


class ByHand(nn.Module):
    """The main path written out in torch.nn.functional, with the layers' weights."""

    def __init__(self, in_channels, channels, kernel_sizes, batchnorm=False, dropout=0.0, activation_type="relu", activation_params=None):
        super().__init__()
        self.main = nn.ModuleList()
        for before, after, size in zip((in_channels, *channels), channels, kernel_sizes, strict=False):
            self.main.append(nn.Conv2d(before, after, size))
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for c in channels[:-1]) if batchnorm else None
        self.one = None if channels[-1] == in_channels else nn.Conv2d(in_channels, channels[-1], 1, bias=False)
        self.dropout = nn.Dropout2d(dropout)
        self.activation = ACTIVATIONS[activation_type](**(activation_params or {}))

    def forward(self, x):
        h = x
        *inner, last = self.main
        for index, conv in enumerate(inner):
            h = self.dropout(self.same(conv, h))
            h = self.activation(h if self.norms is None else self.norms[index](h))
        shortcut = x if self.one is None else torch.einsum("fc,nchw->nfhw", self.one.weight[:, :, 0, 0], x)
        return torch.maximum(self.same(last, h) + shortcut, torch.zeros(()))

    @staticmethod
    def same(conv, x):
        pad = conv.kernel_size[0] // 2
        return F.conv2d(F.pad(x, [pad] * 4), conv.weight, conv.bias)


class OwnMask(nn.Module):
    """Dropout and the end of the block written out, the shortcut first."""

    def __init__(self, in_channels, channels, kernel_sizes, batchnorm=False, dropout=0.0, activation_type="relu", activation_params=None):
        super().__init__()
        self.convs, self.between = nn.ModuleList(), nn.ModuleList()
        self.keep = 1 - dropout
        for number, (outputs, size) in enumerate(zip(channels, kernel_sizes, strict=True)):
            self.convs.append(nn.Conv2d(channels[number - 1] if number else in_channels, outputs, size, padding=(size - 1) // 2))
            norm = [nn.BatchNorm2d(outputs)] if batchnorm else []
            self.between.append(nn.Sequential(*norm, ACTIVATIONS[activation_type](**(activation_params or {}))))
        del self.between[-1]
        if in_channels != channels[-1]:
            self.project = nn.Conv2d(in_channels, channels[-1], 1, bias=False)

    def forward(self, x):
        out = self.project(x) if hasattr(self, "project") else x
        for conv, between in zip(self.convs, self.between, strict=False):
            x = conv(x)
            if self.training and self.keep < 1:
                x = x * (torch.rand(*x.shape[:2], 1, 1) < self.keep) / self.keep
            x = between(x)
        out = out + self.convs[-1](x)
        return torch.where(out > 0, out, torch.zeros_like(out))


RIGHT = [
    ("lists", {"ResidualBlock": Lists, "ResidualBottleneckBlock": Bottleneck}),
    ("in place", {"ResidualBlock": InPlace, "ResidualBottleneckBlock": Child}),
    ("by hand", {"ResidualBlock": ByHand}),
    ("own mask", {"ResidualBlock": OwnMask}),
]
