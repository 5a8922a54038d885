"""Probes of residual blocks: their parameters, and what they compute; torch is imported when a probe runs."""

import contextlib
import zlib

import numpy as np

from chainrule.lab.probes.modules import built, parameters_of, sides
from chainrule.lab.probes.tensors import draws, scores_and_gradients, tensor
from chainrule.lab.probing import Probe

__all__ = ["PROBES"]


def parameters(name, *arguments, **named):
    """The sizes of a block's parameters, and of the running averages that it keeps."""

    def observed(functions):
        block = built(getattr(functions, name), *arguments, **named)
        averages = sorted(buffer.numel() for buffer in block.buffers() if buffer.is_floating_point())
        return {"parameter sizes": parameters_of(block), "sizes of running averages": np.array(averages, np.int64)}

    return observed


def give_values(block):
    """Values that depend on the kind and the shape of a parameter, and on how many like it came before; not on names or order otherwise."""
    import torch

    before: dict[tuple, int] = {}
    with torch.no_grad():
        for module in block.modules():
            kind = 1 if isinstance(module, torch.nn.Conv2d) else 2 if isinstance(module, torch.nn.BatchNorm2d) else 0
            for name, parameter in module.named_parameters(recurse=False):
                key = (kind, zlib.crc32(name.encode()), *parameter.shape)
                before[key] = before.get(key, -1) + 1
                drawn = np.random.default_rng([*key, before[key]]).standard_normal(tuple(parameter.shape)).astype(np.float32)
                drawn /= np.float32(np.sqrt(max(drawn[0].size, 1)))
                parameter.copy_(torch.tensor(drawn + 1 if kind == 2 and name == "weight" else drawn))
    return block


def outputs(name, shape, *arguments, mode="eval", seed=0, **named):
    """What the block makes of images, and the gradient of its input."""
    (image,) = draws([shape], seed)

    def observed(functions):
        import torch

        block = give_values(built(getattr(functions, name), *arguments, **named)).train(mode == "train")
        x = tensor(image, learned=True)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            out = block(x)
        dout = tensor(np.random.default_rng(8).standard_normal(tuple(out.shape)))
        found = scores_and_gradients(name, out, dout, [x], ["dx"])
        return {"out": found["scores"], "dx": found["dx"], "x": x.detach()}

    return observed


def after_a_batch(name, shape, *arguments, **named):
    """In eval mode, after one batch in training mode: with running averages of that batch."""
    first, second = draws([shape, shape], 6)

    def observed(functions):
        block = give_values(built(getattr(functions, name), *arguments, **named))
        block.train()(tensor(2 + 3 * first))
        return {"out": block.eval()(tensor(second))}

    return observed


def of_convolutions(see, name, *arguments, **named):
    """What `see` finds in a block; in the library's where that has other convolutions or `forward` fails, which is told elsewhere."""

    def observed(functions):
        from chainrule.compat.cs236781 import cnn

        block, right = (built(make, *arguments, **named) for make in (getattr(functions, name), getattr(cnn, name)))
        if _kernels(block) == _kernels(right):
            with contextlib.suppress(Exception):
                return see(block, arguments[0])
        return see(right, arguments[0])

    return observed


def _kernels(block):
    return sorted(tuple(convolution.weight.shape) for convolution in _convolutions(block))


def _convolutions(block):
    import torch

    return [module for module in block.modules() if isinstance(module, torch.nn.Conv2d)]


def ran(block, channels, mode, seed=3):
    """What a block makes of images of ones, all of them alike, so that the shortcut adds the same number everywhere."""
    import torch

    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return block.train(mode == "train")(torch.ones(16, channels, 4, 4))[:, :channels]


def main_path(mode):
    """The output but for a factor and a number added: however `forward` joins the two paths, it is that of the main path."""

    def see(block, channels):
        import torch

        give_values(block)
        with torch.no_grad():
            for convolution in _convolutions(block):
                if convolution.out_channels == channels and convolution.bias is not None:
                    convolution.bias += 30  # so that relu lets all of the sum pass
        out = ran(block, channels, mode)[:1]
        return {"main path, centred and scaled": (out - out.mean()) / (out.std() + 1e-6)}

    return see


def one_pixel_wide(block, weight, bias):
    """Give the convolutions numbers with which each channel is that of the input, times the weight and plus the bias."""
    import torch

    with torch.no_grad():
        for module in _convolutions(block):
            module.weight.zero_()
            module.weight[:, :, module.kernel_size[0] // 2, module.kernel_size[1] // 2] = weight * torch.eye(*module.weight.shape[:2])
            if module.bias is not None:
                module.bias.fill_(bias)
    return block


def dropped(block, channels):
    """What is sure of dropout: how much, whole channels or pixels, what becomes of the rest; however the paths are joined."""
    one_pixel_wide(block, 3, 1)
    whole, out = (ran(block, channels, mode) for mode in ("eval", "train"))
    least, most, usual = float(out.min()), float(out.max()), float(whole.max())
    return {
        "share dropped, to a quarter": round(4 * float((out < usual).float().mean())) / 4,
        "whole channels": bool((out == out[:, :, :1, :1]).all()),
        "largest, without dropout 1": (most - least) / (usual - least) if most > least else 1.0,
        "dropped in eval mode": float(whole.min()) < usual,
    }


def dropped_before_batch_norm(block, channels):
    """Batch norm gives a channel the same mean whatever is dropped before it."""
    import torch

    one_pixel_wide(block, 3, 1)
    with torch.no_grad():
        for module in block.modules():
            if isinstance(module, torch.nn.BatchNorm2d) and module.bias is not None:
                module.bias.fill_(10)  # so that the activation changes nothing
    first, second = (ran(block, channels, "train", seed).mean(dim=(0, 2, 3)) for seed in (3, 4))
    return {"same mean whatever is dropped": torch.allclose(first, second, rtol=1e-3)}


def dropped_before_sigmoid(block, channels):
    """Sigmoid makes 1/2 of what is dropped before it, and here 0 of everything else."""
    out = ran(one_pixel_wide(block, -100, 10), channels, "train")
    return {"1/2 where a channel is dropped": bool(out.max() - out.min() > 0.5)}


INIT, FORWARD, BOTTLENECK = "ResidualBlock.__init__", "ResidualBlock.forward", "ResidualBottleneckBlock.__init__"
OTHER = "where the number of channels changes"
DROPOUT = {}, "with dropout", "missing-term"

PROBES = {
    INIT: (
        Probe("2 channels, one 3 x 3 convolution", parameters("ResidualBlock", 2, [2], [3])),
        Probe("3 channels, convolutions (4, 5) of 3 x 3", parameters("ResidualBlock", 3, [4, 5], [3, 3])),
        Probe("4 channels, convolutions (6, 4) of 3 x 3 and 5 x 5", parameters("ResidualBlock", 4, [6, 4], [3, 5])),
        Probe("4 channels, convolutions (6, 5, 4) of 5, 3 and 1", parameters("ResidualBlock", 4, [6, 5, 4], [5, 3, 1])),
        Probe(
            "with batch norm",
            parameters("ResidualBlock", 3, [4, 6, 5], [3, 3, 3], batchnorm=True),
            {},
            "with batch norm",
            "missing-term",
        ),
        Probe("sizes of images along the main path", sides("ResidualBlock", 3, [4, 3], [5, 1], image=(1, 3, 9, 9))),
        Probe(
            "a leaky relu of slope 0.5",
            of_convolutions(
                main_path("eval"),
                "ResidualBlock",
                3,
                [4, 5, 3],
                [3, 1, 3],
                activation_type="lrelu",
                activation_params={"negative_slope": 0.5},
            ),
            {},
            "with activation_type and activation_params",
            "missing-term",
        ),
        Probe("relu", of_convolutions(main_path("eval"), "ResidualBlock", 3, [4, 5, 3], [3, 1, 3])),
        Probe(
            "batch norm, in training",
            of_convolutions(main_path("train"), "ResidualBlock", 3, [4, 5, 3], [3, 1, 3], batchnorm=True),
            {},
            "with batch norm",
            "wrong-statistic",
        ),
        Probe("dropout 0.25", of_convolutions(dropped, "ResidualBlock", 64, [64, 64, 64], [3, 3, 1], dropout=0.25), *DROPOUT),
        Probe(
            "dropout 0.25 and batch norm, in training",
            of_convolutions(dropped_before_batch_norm, "ResidualBlock", 64, [64, 64], [3, 3], dropout=0.25, batchnorm=True),
            *DROPOUT,
        ),
        Probe(
            "dropout 0.25 and sigmoid, in training",
            of_convolutions(dropped_before_sigmoid, "ResidualBlock", 64, [64, 64], [3, 3], dropout=0.25, activation_type="sigmoid"),
            *DROPOUT,
        ),
    ),
    FORWARD: (
        Probe("one channel, one 3 x 3 convolution", outputs("ResidualBlock", (1, 1, 2, 2), 1, [1], [3])),
        Probe("3 channels, convolutions (4, 5)", outputs("ResidualBlock", (2, 3, 5, 4), 3, [4, 5], [3, 3], seed=1), {}, OTHER, "shape"),
        Probe("4 channels, convolutions (6, 4)", outputs("ResidualBlock", (3, 4, 4, 6), 4, [6, 4], [3, 3], seed=2)),
        Probe(
            "3 channels, convolutions (5, 4, 3), kernels 1, 5, 3", outputs("ResidualBlock", (2, 3, 6, 5), 3, [5, 4, 3], [1, 5, 3], seed=3)
        ),
        Probe(
            "a leaky relu of slope 0.5",
            outputs("ResidualBlock", (2, 3, 4, 4), 3, [4, 3], [3, 3], activation_type="lrelu", activation_params={"negative_slope": 0.5}),
            {},
            "with activation_type and activation_params",
            "missing-term",
        ),
        Probe(
            "tanh",
            outputs("ResidualBlock", (2, 3, 4, 4), 3, [4, 3], [3, 3], activation_type="tanh", seed=4),
            {},
            "with activation_type and activation_params",
            "missing-term",
        ),
        Probe(
            "batch norm, in training",
            outputs("ResidualBlock", (4, 3, 4, 3), 3, [4, 5], [3, 3], batchnorm=True, mode="train", seed=5),
            {},
            "with batch norm",
            "wrong-statistic",
        ),
        Probe(
            "batch norm, after a batch of training",
            after_a_batch("ResidualBlock", (4, 3, 4, 3), 3, [4, 3], [3, 3], batchnorm=True),
            {},
            "with batch norm",
            "mode",
        ),
        Probe(
            "dropout 0.4, in eval mode",
            outputs("ResidualBlock", (2, 3, 4, 3), 3, [4, 3], [3, 3], dropout=0.4, seed=7),
            {},
            "with dropout",
            "mode",
        ),
    ),
    BOTTLENECK: (
        Probe("10 channels, inner convolution of 5", parameters("ResidualBottleneckBlock", 10, [5], [3])),
        Probe("6 channels, inner convolutions (3, 4) of 3 and 5", parameters("ResidualBottleneckBlock", 6, [3, 4], [3, 5])),
        Probe(
            "with batch norm",
            parameters("ResidualBottleneckBlock", 6, [3, 4], [3, 3], batchnorm=True),
            {},
            "with batch norm",
            "missing-term",
        ),
        Probe(
            "images of 4 channels, inner convolutions (2, 3)", outputs("ResidualBottleneckBlock", (2, 4, 5, 3), 4, [2, 3], [3, 5], seed=1)
        ),
        Probe(
            "tanh",
            outputs("ResidualBottleneckBlock", (2, 4, 3, 3), 4, [2], [3], activation_type="tanh", seed=2),
            {},
            "with activation_type",
            "missing-term",
        ),
        Probe("dropout 0.25", of_convolutions(dropped, "ResidualBottleneckBlock", 64, [64], [3], dropout=0.25), *DROPOUT),
    ),
}
