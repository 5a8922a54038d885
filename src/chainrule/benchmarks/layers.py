"""Single layers, forward and backward, as a training step runs them: by the kernels, and by PyTorch in both memory formats.

A layer is a function of an `nn` namespace, so that both compute the same lines; of ours, neighbours are fused as in training. Images lie
channels-last in memory for our kernels, as inside a network, except those with 3 channels, which come from a data loader.
"""

import importlib.util
import math
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from chainrule.benchmarks.turns import Task, compare, workers

__all__ = ["CONTENDERS", "LAYERS", "Layer", "channels_last", "contenders", "hand_pass", "operations", "run", "samples", "task"]

CONTENDERS = {"hand": "chainrule", "direct": "chainrule, direct", "torch": "PyTorch", "torch-channels-last": "PyTorch, channels-last"}
BATCH = 100
CHECKED = 16  # numbers of every output and gradient that must agree
TOLERANCE = 5e-4  # relative to the largest number of an array: Winograd's rounding is below 1e-4


class Layer(NamedTuple):
    """A row of the table.

    Attributes
    ----------
    build : function of an `nn` namespace
    shape, out_shape : of an input and an output, (C, H, W)
    first : whether it is the first one of a network, whose input needs no gradient
    """

    build: Callable[[Any], Any]
    shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    first: bool = False


def _conv(channels, side, filters, kernel, *, stride=1, padding=None, first=False):
    padding = kernel // 2 if padding is None else padding
    out = (side + 2 * padding - kernel) // stride + 1
    return Layer(lambda nn: nn.Conv2d(channels, filters, kernel, stride, padding), (channels, side, side), (filters, out, out), first)


# name: convolutions are input channels, side of the image -> filters, side of the filters
LAYERS = {
    "64, 32 -> 64, 3": _conv(64, 32, 64, 3),
    "64, 16 -> 128, 3": _conv(64, 16, 128, 3),
    "128, 8 -> 256, 3": _conv(128, 8, 256, 3),
    "256, 16 -> 256, 3": _conv(256, 16, 256, 3),
    "32, 32 -> 64, 3": _conv(32, 32, 64, 3),
    "3, 32 -> 32, 7": _conv(3, 32, 32, 7, first=True),
    "3, 32 -> 32, 3": _conv(3, 32, 32, 3, first=True),
    "64, 32 -> 128, 3, stride 2": _conv(64, 32, 128, 3, stride=2),
    "16, 32 -> 16, 3": _conv(16, 32, 16, 3),
    "64, 16 -> 128, 1": _conv(64, 16, 128, 1),
    "3, 32 -> 24, 2": _conv(3, 32, 24, 2, padding=0, first=True),
    "24, 31 -> 64, 3": _conv(24, 31, 64, 3),
    "64, 15 -> 256, 3": _conv(64, 15, 256, 3),
    "256, 7 -> 256, 3": _conv(256, 7, 256, 3),
    "256, 3 -> 256, 3": _conv(256, 3, 256, 3),
    "conv 64, 32 -> 64, 3 + ReLU + pool": Layer(
        lambda nn: nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)), (64, 32, 32), (64, 16, 16)
    ),
    "ReLU + pool, 64, 32": Layer(lambda nn: nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)), (64, 32, 32), (64, 16, 16)),
    "batch norm + ReLU, 64, 32": Layer(lambda nn: nn.Sequential(nn.BatchNorm2d(64), nn.ReLU()), (64, 32, 32), (64, 32, 32)),
    "batch norm + skip + ReLU, 64, 32": Layer(
        lambda nn: nn.Sequential(nn.Residual(nn.Sequential(nn.BatchNorm2d(64))), nn.ReLU()), (64, 32, 32), (64, 32, 32)
    ),
    "batch norm + GELU, 64, 15": Layer(lambda nn: nn.Sequential(nn.BatchNorm2d(64), nn.GELU()), (64, 15, 15), (64, 15, 15)),
    "GELU, 24, 31": Layer(lambda nn: nn.GELU(), (24, 31, 31), (24, 31, 31)),
}


def operations(name: str) -> int:
    """Multiplications and additions of a convolution alone, forward and backward, counted as the direct way has them; else 0."""
    from chainrule import nn

    layer = LAYERS[name]
    module = layer.build(nn)
    if not isinstance(module, nn.Conv2d):
        return 0
    return (2 if layer.first else 3) * 2 * BATCH * math.prod(layer.out_shape) * module.weight.data[0].size


def contenders(name: str, engines: list[str] | None = None) -> list[str]:
    """Who computes this layer, our kernels first; "direct" beside them where they would use Winograd's algorithm."""
    rivals = ["direct"] if _is_winograd(name) else []
    if (engines is None or "torch" in engines) and importlib.util.find_spec("torch") is not None:
        rivals += ["torch", "torch-channels-last"]
    return ["hand", *rivals]


def _is_winograd(name):
    from chainrule import nn
    from chainrule.functional.geometry import conv_geometry
    from chainrule.kernels import winograd

    layer = LAYERS[name]
    module = layer.build(nn)
    if not isinstance(module, nn.Conv2d):
        return False
    shape, w = (BATCH, *layer.shape), module.weight
    return winograd.suits(shape, w.shape, conv_geometry("conv", shape, w.shape, module.conv_param()), w.dtype)


def run(
    names: list[str], engines: list[str] | None = None, *, threads, rounds, seconds, progress=lambda text: None
) -> dict[str, dict[str, dict]]:
    """Compare the contenders of some layers: for each a row of `turns.compare` of each, with "gflops" where it is a convolution alone."""
    everyone = dict.fromkeys(contender for name in names for contender in contenders(name, engines))
    tables = {}
    with workers("layers", {contender: (contender, threads) for contender in everyone}) as processes:
        for name in names:
            taking_part = {contender: processes[contender] for contender in contenders(name, engines)}
            rows = compare(taking_part, rounds=rounds, seconds=seconds, tolerance=TOLERANCE, case=name, progress=progress)
            for row in rows.values():
                del row["peak_mib"]  # of the process, which has other layers, too
                if operations(name):
                    row["gflops"] = operations(name) / row["median_ms"] / 1e6
            tables[name] = rows
    return tables


def task(contender: str, name: str) -> Task:
    """What one contender does: the layer's forward and backward pass."""
    from chainrule import nn

    layer, rng = LAYERS[name], np.random.default_rng(0)
    model = layer.build(nn).reset_parameters(rng)
    x = rng.standard_normal((BATCH, *layer.shape), dtype=np.float32)
    dout = rng.standard_normal((BATCH, *layer.out_shape), dtype=np.float32)
    if contender in ("hand", "direct", "torch-channels-last"):
        dout = channels_last(dout)
        if layer.shape[0] > 3 or contender == "torch-channels-last":
            x = channels_last(x)
    make = _torch_pass if contender.startswith("torch") else _our_pass
    layer_pass = make(contender, layer, model, x, dout)
    return Task(lambda i: layer_pass(), lambda: samples(layer_pass()))


def samples(arrays):
    """Numbers on which contenders must agree: of each array the mean size and some of its values, relative to the largest."""
    for array in arrays:
        array = np.asarray(array)
        sizes = np.abs(array)
        largest = sizes.max()
        yield float(sizes.mean(dtype=np.float64) / largest)
        places = np.random.default_rng(1).integers(array.size, size=CHECKED)
        yield from (float(value / largest) for value in array[np.unravel_index(places, array.shape)])


def channels_last(images):
    """The same images, channels-last in memory."""
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def hand_pass(model, x, dout, need_dx=True):
    """A function that computes the output and the gradients of a module at x as a training step does: () -> [out, dx, dw, db, ...].

    Those of frozen parameters are left out, and so is dx if it is not needed.
    """
    from chainrule.kernels.workspace import Workspace
    from chainrule.nn.plan import Plan

    plan, workspace = Plan(model), Workspace()
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def run():
        model.zero_grad()
        with workspace:
            out = plan.forward(x)
            dx = plan.backward(dout, need_dx)
        return [out, *([dx] if need_dx else []), *(parameter.grad for parameter in learned)]

    return run


def _our_pass(contender, layer, model, x, dout):
    from chainrule import kernels, nn
    from chainrule.nn import KERNELS, Pair

    if contender == "direct":
        direct = replace(KERNELS, conv=Pair(kernels.conv_direct_forward, kernels.conv_direct_backward))
        ours = layer.build(nn.namespace(direct))
        ours.load_state_dict(model.state_dict())
        model = ours
    return hand_pass(model, x, dout, not layer.first)


def _torch_pass(contender, layer, model, x, dout):
    from chainrule import pytorch
    from chainrule.pytorch.passes import layer_pass

    pytorch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    twin = layer.build(pytorch.nn)
    pytorch.copy_weights(model, twin)
    if contender == "torch-channels-last":
        twin = pytorch.placed(twin, pytorch.choose_device("cpu"), channels_last=True)
    return layer_pass(twin, x, dout, not layer.first)
