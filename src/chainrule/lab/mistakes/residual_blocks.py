"""Mistakes in residual blocks."""

import torch
from torch import nn

from chainrule.compat.cs236781.cnn import ACTIVATIONS
from chainrule.lab.mistake import Mistake
from chainrule.lab.mistakes.tensors import without

__all__ = ["MISTAKES"]


def block(
    *,
    order=("dropout", "batchnorm", "activation"),
    final=(),
    always=(),
    after="relu",
    join=torch.add,
    bias=True,
    shortcut="needed",
    drop=nn.Dropout2d,
    share=without,
    padding=lambda size: size // 2,
    sizes=without,
    inputs=lambda before, first: before,
    params=without,
    kind=without,
    normal=nn.BatchNorm2d,
    aside=without,
    first=(),
):
    """`ResidualBlock` with some of its steps put in: what stands between the convolutions, after the last one, and before the first one."""

    class Block(nn.Module):
        def __init__(
            self, in_channels, channels, kernel_sizes, batchnorm=False, dropout=0.0, activation_type="relu", activation_params=None
        ):
            super().__init__()

            def active():
                return ACTIVATIONS[kind(activation_type)](**(params(activation_params) or {}))

            def parts(names, features):
                made = {
                    "dropout": lambda: drop(share(dropout)) if dropout or "dropout" in always else nn.Identity(),
                    "batchnorm": lambda: normal(features) if batchnorm or "batchnorm" in always else nn.Identity(),
                    "activation": active,
                }
                return [made[name]() for name in names]

            layers, before = parts(first, in_channels), in_channels
            for index, (outputs, size) in enumerate(zip(channels, sizes(list(kernel_sizes)), strict=True)):
                layers.append(nn.Conv2d(inputs(before, in_channels), outputs, size, padding=padding(size), bias=bias))
                layers += parts(order if index < len(channels) - 1 else final, outputs)
                before = outputs
            self.main_path = nn.Sequential(*layers)
            self.shortcut_path = nn.Identity()
            if shortcut in ("always", "biased") or (shortcut == "needed" and in_channels != channels[-1]):
                self.shortcut_path = nn.Conv2d(in_channels, channels[-1], 1, bias=shortcut == "biased")
            if shortcut == "biased" and in_channels == channels[-1]:
                self.shortcut_path = nn.Identity()
            self.after = active() if after == "active" else nn.ReLU() if after == "relu" else nn.Identity()

        def forward(self, x):
            return self.after(join(self.main_path(x), aside(self.shortcut_path(x))))

    return Block


class Never(nn.Module):
    """A layer in its place that does nothing."""

    def __init__(self, features):
        super().__init__()

    def forward(self, x):
        return x


class Always(nn.Module):
    """Dropout that does not know of modes, as F.dropout2d without `training`."""

    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        return nn.functional.dropout2d(x, self.p, training=True)


class NotScaled(nn.Dropout2d):
    def forward(self, x):
        return super().forward(x) * (1 - self.p if self.training else 1)


def unregistered(*arguments, **named):
    made = block()(*arguments, **named)
    for parameter in made.parameters():
        parameter.requires_grad_(False)
    made.main_path = _Hidden(made.main_path)
    return made


class _Hidden(nn.Module):
    """Layers that a module does not know of, as those in a plain list."""

    def __init__(self, path):
        super().__init__()
        self.paths = [path]

    def forward(self, x):
        return self.paths[0](x)


STRUCTURE = (  # mistakes that the parameters or the main path show
    (
        "missing-term",
        "the convolutions of the main path have no biases",
        ("How many numbers does a convolution with F filters learn besides its weights?", "Leave bias=False to the shortcut."),
        block(bias=False),
    ),
    (
        "shape",
        "there is a 1 x 1 convolution on the shortcut although the numbers of channels agree: it is the identity there",
        ("What does the shortcut need to learn if it can be added as it is?", "Make it only if in_channels != channels[-1]."),
        block(shortcut="always"),
    ),
    (
        "missing-term",
        "the 1 x 1 convolution of the shortcut has a bias; the main path's last convolution has one already",
        ("What is the use of two biases that are added?", "nn.Conv2d(in_channels, channels[-1], 1, bias=False)"),
        block(shortcut="biased"),
    ),
    (
        "missing-term",
        "there is no batch norm in the main path, although it is asked for",
        ("What does the argument batchnorm do?", "nn.BatchNorm2d(channels) after each convolution but the last."),
        block(normal=Never),
    ),
    (
        "missing-term",
        "there is a batch norm after the last convolution, too; that one stands alone",
        ("How many batch norms does a block with two convolutions have?", "Conv, batch norm, activation, Conv"),
        block(final=("batchnorm",)),
    ),
    (
        "mode",
        "there is a batch norm although none is asked for",
        ("What does batchnorm=False mean?", "if batchnorm: layers.append(nn.BatchNorm2d(...))"),
        block(always=("batchnorm",)),
    ),
    (
        "missing-term",
        "the batch norm has no scale and shift (affine=False); it learns both",
        ("What do gamma and beta allow the network to undo?", "nn.BatchNorm2d(channels)"),
        block(normal=lambda features: nn.BatchNorm2d(features, affine=False)),
    ),
    (
        "shape",
        "all convolutions are 3 x 3, whatever kernel_sizes says",
        ("Where does the argument kernel_sizes come in?", "zip(channels, kernel_sizes)"),
        block(sizes=lambda sizes: [3] * len(sizes)),
    ),
    (
        "transpose",
        "the kernel sizes are taken in reverse order",
        ("Which kernel belongs to the first convolution?", "zip(channels, kernel_sizes)"),
        block(sizes=lambda sizes: sizes[::-1]),
    ),
    (
        "off-by-one",
        "all convolutions have the kernel size of the first",
        ("Where does the argument kernel_sizes come in?", "zip(channels, kernel_sizes)"),
        block(sizes=lambda sizes: [sizes[0]] * len(sizes)),
    ),
    (
        "shape",
        "every convolution takes in_channels; from the second on they take what the one before puts out",
        ("How many channels does the second convolution see?", "inputs = outputs at the end of the loop"),
        block(inputs=lambda before, first: first),
    ),
    (
        "state",
        "the main path's parameters are not found: layers in a plain list are unknown to the module",
        ("What does list(block.parameters()) give?", "self.main_path = nn.Sequential(*layers)"),
        unregistered,
    ),
    (
        "wrong-statistic",
        "batch norm comes after the activation; it stands directly before it",
        ("What is the order of convolution, batch norm and activation?", "Conv -> Dropout2d -> BatchNorm2d -> activation"),
        block(order=("dropout", "activation", "batchnorm")),
    ),
    (
        "missing-term",
        "there is no activation between the convolutions, which makes them one linear map",
        ("What is the composition of two convolutions?", "An activation after each convolution but the last."),
        block(order=("dropout", "batchnorm")),
    ),
    (
        "shape",
        "there is no 1 x 1 convolution on the shortcut where the numbers of channels differ, so that the paths cannot be added",
        ("What are the shapes of the two paths if channels[-1] is not in_channels?", "nn.Conv2d(in_channels, channels[-1], 1, bias=False)"),
        block(shortcut="never"),
    ),
    (
        "shape",
        "the padding is 1 for every kernel; a kernel of k pixels needs k // 2 to keep the size",
        ("How many pixels does a kernel of 5 lose at each side, and one of 1?", "padding=kernel_size // 2"),
        block(padding=lambda size: 1),
    ),
    (
        "missing-term",
        "activation_params are not used: the activation is made without them",
        ("Which slope does nn.LeakyReLU have by itself?", "ACTIVATIONS[activation_type](**activation_params)"),
        block(params=lambda params: None),
    ),
    (
        "missing-term",
        "the activation is relu, whatever activation_type is",
        ("Where does the argument activation_type come in?", "ACTIVATIONS[activation_type]()"),
        block(kind=lambda kind: "relu", params=lambda params: None),
    ),
    (
        "axis",
        "dropout drops single pixels (nn.Dropout); it drops whole channels here: nn.Dropout2d",
        ("How alike are neighbouring pixels of a channel?", "nn.Dropout2d(dropout)"),
        block(drop=nn.Dropout),
    ),
    (
        "scale",
        "dropout is taken for the probability to keep; it is the one to drop, as in PyTorch",
        ("What should dropout=0 do?", "nn.Dropout2d(dropout)"),
        block(share=lambda p: 1 - p),
    ),
    (
        "missing-term",
        "nothing is dropped in training, although dropout is asked for",
        ("What does the argument dropout do?", "if dropout: layers.append(nn.Dropout2d(dropout))"),
        block(drop=Never),
    ),
    (
        "mode",
        "channels are dropped in eval mode, too: F.dropout2d drops whatever the mode is unless training=self.training says else",
        ("Should two forward passes in eval mode agree?", "The module nn.Dropout2d knows the mode by itself."),
        block(drop=Always),
    ),
    (
        "missing-term",
        "there is dropout after the last convolution, too; that one stands alone",
        ("How many dropouts does a block with two convolutions have?", "Only between two convolutions."),
        block(final=("dropout",)),
    ),
    (
        "scale",
        "what is kept is not scaled by 1 / (1 - p) in training, so that eval mode sees larger values than training did",
        ("What is the mean of a channel in training, and what in eval mode?", "nn.Dropout2d scales by itself."),
        block(drop=NotScaled),
    ),
    (
        "mode",
        "the batch norm keeps no running averages, so that eval mode normalizes with the batch",
        ("What would happen to a single image in eval mode?", "nn.BatchNorm2d(channels), without further arguments"),
        block(normal=lambda features: nn.BatchNorm2d(features, track_running_stats=False)),
    ),
    (
        "wrong-statistic",
        "dropout comes after batch norm; it stands before it, directly after the convolution",
        (
            "What mean does a channel have that goes into the activation, if some images drop it?",
            "Conv -> Dropout2d -> BatchNorm2d -> activation",
        ),
        block(order=("batchnorm", "dropout", "activation")),
    ),
    (
        "wrong-statistic",
        "dropout comes after the activation, behind batch norm; it stands before both, directly after the convolution",
        ("What does sigmoid make of a channel that is dropped?", "Conv -> Dropout2d -> BatchNorm2d -> activation"),
        block(order=("batchnorm", "activation", "dropout")),
    ),
    (
        "wrong-statistic",
        "dropout comes after the activation, which comes before batch norm; the order is dropout, batch norm, activation",
        ("What stands directly after the convolution?", "Conv -> Dropout2d -> BatchNorm2d -> activation"),
        block(order=("activation", "dropout", "batchnorm")),
    ),
    (
        "wrong-statistic",
        "the order is reversed: activation, batch norm, dropout; it is dropout, batch norm, activation",
        ("What stands directly after the convolution?", "Conv -> Dropout2d -> BatchNorm2d -> activation"),
        block(order=("activation", "batchnorm", "dropout")),
    ),
    (
        "shape",
        "the convolutions have no padding, so that the main path ends smaller than the shortcut; a kernel of k pixels needs k // 2",
        ("How many pixels does a kernel of 5 lose at each side?", "padding=kernel_size // 2"),
        block(padding=lambda size: 0),
    ),
)
COMPUTED = (  # mistakes that only the output shows
    (
        "missing-term",
        "the sum of both paths does not go through relu",
        ("What is the last step of fig. 2 in He et al.?", "torch.relu(self.main_path(x) + self.shortcut_path(x))"),
        block(after="nothing"),
    ),
    (
        "axis",
        "relu is applied to the main path before the shortcut is added; it belongs to the sum",
        ("Can a block whose main path is at least 0 make a value smaller?", "torch.relu(self.main_path(x) + self.shortcut_path(x))"),
        block(after="nothing", join=lambda main, shortcut: main.relu() + shortcut),
    ),
    (
        "missing-term",
        "the main path ends in an activation, and the sum goes through relu again; the last convolution stands alone",
        ("Can the main path take something away from x?", "No activation after the last convolution."),
        block(final=("activation",)),
    ),
    (
        "missing-term",
        "the sum goes through the activation of the main path; it goes through relu, whatever activation_type is",
        ("To what does activation_type belong?", "torch.relu around the sum"),
        block(after="active"),
    ),
    (
        "missing-term",
        "there is no shortcut: the output is the main path alone",
        ("What does a residual block put out if all its weights are 0?", "self.main_path(x) + self.shortcut_path(x)"),
        block(join=lambda main, shortcut: main + 0 * shortcut),
    ),
    (
        "sign",
        "the shortcut is subtracted; it has to be added",
        ("What does a residual block put out if all its weights are 0?", "self.main_path(x) + self.shortcut_path(x)"),
        block(join=torch.sub),
    ),
    (
        "scale",
        "the two paths are averaged; they have to be added",
        ("What does a residual block put out if all its weights are 0?", "self.main_path(x) + self.shortcut_path(x)"),
        block(join=lambda main, shortcut: (main + shortcut) / 2),
    ),
    (
        "shape",
        "the two paths are concatenated; they have to be added",
        ("How many channels does the block put out?", "self.main_path(x) + self.shortcut_path(x)"),
        block(join=lambda main, shortcut: torch.cat([main, shortcut], 1)),
    ),
    (
        "missing-term",
        "the two paths are multiplied; they have to be added",
        ("What does a residual block put out if all its weights are 0?", "self.main_path(x) + self.shortcut_path(x)"),
        block(join=torch.mul),
    ),
    (
        "missing-term",
        "no gradient flows through the shortcut: it was detached (detach, .data or torch.no_grad)",
        ("What is the shortcut there for, on the way back?", "self.main_path(x) + self.shortcut_path(x)"),
        block(aside=torch.detach),
    ),
    (
        "wrong-statistic",
        "the input goes through the activation before the first convolution, as in later networks; this block begins with a convolution",
        ("What is the first step of fig. 2 in He et al.?", "Conv -> ... -> Conv, and relu after the sum."),
        block(first=("activation",)),
    ),
)


def bottleneck(*, channels=lambda outer, inner: [inner[0], *inner, outer], sizes=lambda inner: [1, *inner, 1], keep=without, **steps):
    """`ResidualBottleneckBlock` with some of its steps put in."""

    def make(in_out_channels, inner_channels, inner_kernel_sizes, **kw):
        steps_of = block(**steps)
        return steps_of(in_out_channels, channels(in_out_channels, list(inner_channels)), sizes(list(inner_kernel_sizes)), **keep(kw))

    return make


BOTTLENECK = (
    (
        "missing-term",
        "the first 1 x 1 convolution is missing: the first inner one works on all channels",
        ("Which convolution makes the bottleneck narrow?", "channels [inner[0], *inner, in_out], kernels [1, *inner_kernels, 1]"),
        bottleneck(channels=lambda outer, inner: [*inner, outer], sizes=lambda inner: [*inner, 1]),
    ),
    (
        "missing-term",
        "the last 1 x 1 convolution is missing: the block has to end with as many channels as it begins with",
        ("How many channels does the block put out?", "channels [inner[0], *inner, in_out], kernels [1, *inner_kernels, 1]"),
        bottleneck(channels=lambda outer, inner: [inner[0], *inner], sizes=lambda inner: [1, *inner]),
    ),
    (
        "missing-term",
        "both 1 x 1 convolutions are missing: the inner ones stand between them",
        (
            "What makes the bottleneck narrow, and what makes it wide again?",
            "channels [inner[0], *inner, in_out], kernels [1, *inner_kernels, 1]",
        ),
        bottleneck(channels=lambda outer, inner: inner, sizes=without),
    ),
    (
        "shape",
        "the first 1 x 1 convolution keeps in_out_channels; it has to project to inner_channels[0]",
        ("On how many channels should the first inner convolution work?", "channels [inner[0], *inner, in_out]"),
        bottleneck(channels=lambda outer, inner: [outer, *inner, outer]),
    ),
    (
        "shape",
        "the outer convolutions are 3 x 3; in a bottleneck they are 1 x 1, which is what makes it cheap",
        ("How many weights does a 1 x 1 convolution have?", "kernels [1, *inner_kernel_sizes, 1]"),
        bottleneck(sizes=lambda inner: [3, *inner, 3]),
    ),
    (
        "shape",
        "the first of the inner channels is used up by the 1 x 1 convolution: there are as many inner convolutions as inner_channels",
        ("How many convolutions does a bottleneck with two inner channels have?", "channels [inner[0], *inner, in_out]"),
        bottleneck(channels=lambda outer, inner: [*inner, outer], sizes=lambda inner: [1, *inner[1:], 1]),
    ),
    (
        "transpose",
        "the inner channels are in reverse order",
        ("Which of them does the first inner convolution have?", "channels [inner[0], *inner, in_out]"),
        bottleneck(channels=lambda outer, inner: [inner[-1], *inner[::-1], outer]),
    ),
    (
        "transpose",
        "the inner kernel sizes are in reverse order",
        ("Which kernel belongs to the first inner convolution?", "kernels [1, *inner_kernel_sizes, 1]"),
        bottleneck(sizes=lambda inner: [1, *inner[::-1], 1]),
    ),
    (
        "shape",
        "all inner convolutions are 3 x 3, whatever inner_kernel_sizes says",
        ("Where does the argument inner_kernel_sizes come in?", "kernels [1, *inner_kernel_sizes, 1]"),
        bottleneck(sizes=lambda inner: [1, *([3] * len(inner)), 1]),
    ),
    (
        "missing-term",
        "the keyword arguments (batchnorm, dropout, activation_type, ...) do not reach the block",
        ("What becomes of kw?", "super().__init__(in_out_channels, channels, kernel_sizes, **kw)"),
        bottleneck(keep=lambda kw: {}),
    ),
    (
        "missing-term",
        "only batchnorm of the keyword arguments reaches the block",
        ("What becomes of the rest of kw?", "super().__init__(in_out_channels, channels, kernel_sizes, **kw)"),
        bottleneck(keep=lambda kw: {name: value for name, value in kw.items() if name == "batchnorm"}),
    ),
    (
        "shape",
        "there is a 1 x 1 convolution on the shortcut; a bottleneck ends with as many channels as it begins with, so it is the identity",
        ("When does a shortcut need a convolution?", "Leave it to ResidualBlock."),
        bottleneck(shortcut="always"),
    ),
)

MISTAKES = (
    *(Mistake("ResidualBlock.__init__", *entry) for entry in STRUCTURE),
    *(Mistake("ResidualBlock.forward", *entry) for entry in COMPUTED),
    *(Mistake("ResidualBottleneckBlock.__init__", *entry) for entry in BOTTLENECK),
)
