"""SqueezeNet at 224 x 224, forward and backward with the gradient of the image: in training, and frozen, as network visualization has it.

Frozen, nothing but the gradient of the image is wanted. Float32, no dropout; the image comes as from a data loader, or channels-last for
PyTorch in that format. Every case has processes of its own, whose peak of memory is its own.
"""

import importlib.util
import os
from typing import NamedTuple

import numpy as np

from chainrule.benchmarks.layers import channels_last, hand_pass, samples
from chainrule.benchmarks.turns import Task, Worker, compare, workers
from chainrule.models import MODELS

__all__ = ["CASES", "CONTENDERS", "Case", "contenders", "run", "task"]

CONTENDERS = {"hand": "chainrule", "torch": "PyTorch", "torch-channels-last": "PyTorch, channels-last"}
IMAGE, CLASSES = (3, 224, 224), 1000
# relative to the largest number of an array: rounding decides which of two nearly equal values wins a pooling, or passes a ReLU
TOLERANCE = 1e-2


class Case(NamedTuple):
    """A row of the table.

    Attributes
    ----------
    batch : images
    frozen : whether the gradients of the parameters are left out
    """

    batch: int
    frozen: bool


CASES = {f"{'frozen' if frozen else 'training'} {batch}": Case(batch, frozen) for frozen in (False, True) for batch in (1, 5, 25)}


def contenders(engines: list[str] | None = None) -> list[str]:
    """Who takes part, our engine first; PyTorch if it is among the `engines` (default: all) and installed."""
    with_torch = (engines is None or "torch" in engines) and importlib.util.find_spec("torch") is not None
    return list(CONTENDERS) if with_torch else ["hand"]


def run(name: str, engines: list[str] | None = None, *, threads, rounds, seconds, progress=lambda text: None) -> dict[str, dict]:
    """Compare the contenders of one case: a row of `turns.compare` for each."""
    with Worker("squeezenet", "hand", threads) as worker:  # compiles what is not in the cache yet, which would count as memory
        progress(f"{name}: kernels")
        worker.prepare(name)
    with workers("squeezenet", {contender: (contender, threads) for contender in contenders(engines)}) as processes:
        return compare(processes, rounds=rounds, seconds=seconds, tolerance=TOLERANCE, case=name, progress=progress)


def task(contender: str, name: str) -> Task:
    """What one contender does: the network's forward and backward pass."""
    from chainrule import nn

    case, rng = CASES[name], np.random.default_rng(0)
    model = MODELS["squeezenet"](nn, IMAGE, CLASSES).reset_parameters(rng).eval()
    for parameter in model.parameters():
        parameter.requires_grad = not case.frozen
    x, dout = (rng.standard_normal(shape, dtype=np.float32) for shape in ((case.batch, *IMAGE), (case.batch, CLASSES)))
    network_pass = hand_pass(model, x, dout) if contender == "hand" else _torch_pass(contender, case, model, x, dout)
    return Task(lambda i: network_pass(), lambda: samples(network_pass()))


def _torch_pass(contender, case, model, x, dout):
    from chainrule import pytorch
    from chainrule.pytorch.passes import layer_pass

    pytorch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    twin = MODELS["squeezenet"](pytorch.nn, IMAGE, CLASSES).eval()
    pytorch.copy_weights(model, twin)
    twin.requires_grad_(not case.frozen)
    if contender == "torch-channels-last":
        twin, x = pytorch.placed(twin, pytorch.choose_device("cpu"), channels_last=True), channels_last(x)
    return layer_pass(twin, x, dout)
