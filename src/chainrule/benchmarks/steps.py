"""Whole training steps: forward, loss, backward, update, of networks from chainrule.models, by the hand-written engine and its rivals.

Float32; four batches of random images, used in rotation. All contenders start from the same weights, and the losses of their first steps
must agree.
"""

import importlib
import importlib.util
import os
import tempfile
from typing import Any, NamedTuple

import numpy as np

from chainrule.benchmarks import course_style
from chainrule.benchmarks.turns import Task, Worker, compare, workers
from chainrule.models import MODELS

__all__ = ["CONTENDERS", "NETWORKS", "Network", "contenders", "first_steps", "hand_engine", "run", "scaling", "task"]

LEARNING_RATE = 1e-3
CHECKED = 3  # steps whose losses must agree
TOLERANCE = 1e-2  # of a loss: Adam turns the rounding of the smallest gradients into whole first steps

CONTENDERS = {
    "hand": "chainrule",
    "torch": "PyTorch",
    "torch-channels-last": "PyTorch, channels-last",
    "tensorflow": "TensorFlow, tf.function",
    "numpy": "course-style NumPy",
    "loops": "course-style loops",
}


class Network(NamedTuple):
    """A row of the table.

    Attributes
    ----------
    title : for people
    model, arguments : a name in chainrule.models.MODELS, and its arguments
    optimizer : class of chainrule.optim and of torch.optim
    batch : images in a batch of 3 x 32 x 32
    rivals : other contenders than PyTorch in its default layout
    """

    title: str
    model: str
    arguments: dict[str, Any]
    optimizer: str
    batch: int
    rivals: tuple[str, ...]


NETWORKS = {
    "a": Network("3072 - 200 - 10, SGD", "fully-connected", {"hidden_dims": (200,)}, "SGD", 200, ("numpy",)),
    "b": Network("3072 - 4 x 100 - 10, Adam", "fully-connected", {"hidden_dims": (100,) * 4}, "Adam", 100, ("numpy",)),
    "c": Network(
        "3072 - 5 x 100 with batch norm - 10, Adam",
        "fully-connected", {"hidden_dims": (100,) * 5, "normalization": "batch"}, "Adam", 100, ("numpy",),
    ),
    "three-layer-convnet-50": Network(
        "three-layer convnet, Adam", "three-layer-convnet", {}, "Adam", 50, ("torch-channels-last", "tensorflow", "numpy"),
    ),
    "three-layer-convnet": Network(
        "three-layer convnet, Adam", "three-layer-convnet", {}, "Adam", 100, ("torch-channels-last", "tensorflow", "numpy", "loops"),
    ),
    "convnet": Network(
        "convnet 32 64 128, batch norm, Adam", "convnet", {"normalization": "batch"}, "Adam", 100, ("torch-channels-last",),
    ),
    "resnet": Network("resnet 2 2 2, Adam", "resnet", {}, "Adam", 100, ("torch-channels-last",)),
    "speedrun": Network("speedrun, Adam", "speedrun", {}, "Adam", 100, ("torch-channels-last",)),
}  # fmt: skip


def contenders(name: str, engines: list[str] | None = None) -> list[str]:
    """Who takes part in the comparison of a network, our engine first: those of `engines` (default: all) that this machine has."""
    rivals = ["torch", *NETWORKS[name].rivals]
    present = [rival for rival in rivals if rival not in ("torch", "torch-channels-last", "tensorflow") or _is_there(rival)]
    return ["hand", *(rival for rival in present if engines is None or rival.removesuffix("-channels-last") in engines)]


def _is_there(rival):
    return importlib.util.find_spec(rival.removesuffix("-channels-last")) is not None


def run(name: str, engines: list[str] | None = None, *, threads, rounds, seconds, progress=lambda text: None) -> dict[str, dict]:
    """Compare the contenders of one network: a row of `turns.compare` for each."""
    with Worker("steps", "hand", threads) as worker:  # compiles what is not in the cache yet, which would count towards the peak of memory
        progress(f"{name}: kernels")
        worker.prepare(name)
    with workers("steps", {contender: (contender, threads) for contender in contenders(name, engines)}) as processes:
        return compare(processes, rounds=rounds, seconds=seconds, tolerance=TOLERANCE, case=name, progress=progress)


def scaling(name: str, *, threads, rounds, seconds, progress=lambda text: None) -> dict[str, dict]:
    """Our engine with all threads and with one: rows as of `run`, "threads" and "one-thread", whose ratio is the speedup."""
    with workers("steps", {"threads": ("hand", threads), "one-thread": ("hand", 1)}) as processes:
        return compare(processes, rounds=rounds, seconds=seconds, tolerance=TOLERANCE, case=name, progress=progress)


def first_steps(name: str, *, threads, progress=lambda text: None) -> dict[str, float]:
    """Seconds from the start of a process to the end of its first training step: our kernels compiled anew, from the cache, and PyTorch."""
    found = {}
    with tempfile.TemporaryDirectory() as empty:
        for kind, contender in {"compiled": "hand", "cached": "hand", "torch": "torch"}.items():
            if contender == "torch" and not _is_there("torch"):
                continue
            progress(f"{name}: first step, {kind}")
            with Worker("steps", contender, threads, **({} if contender == "torch" else {"NUMBA_CACHE_DIR": empty})) as worker:
                found[kind] = worker.prepare(name)["first_s"]
    return found


def task(contender: str, name: str) -> Task:
    """What one contender does: training steps of the network."""
    network = NETWORKS[name]
    batches, scale = _batches(network, contender), 1.0
    if contender == "loops":
        batches, scale = [(images[:1], labels[:1]) for images, labels in batches], float(network.batch)
    makers = {
        "hand": _hand_step,
        "torch": _torch_step,
        "torch-channels-last": _torch_step,
        "tensorflow": _tensorflow_step,
        "numpy": _course_step,
        "loops": _course_step,
    }
    step = makers[contender](network, contender)

    def check():
        for _ in range(0 if contender == "loops" else CHECKED):
            yield float(step(*batches[0]))

    return Task(lambda i: step(*batches[i % len(batches)]), check, scale)


def _batches(network, contender, count=4):
    rng = np.random.default_rng(1)
    batches = [
        (rng.standard_normal((network.batch, 3, 32, 32), dtype=np.float32), rng.integers(10, size=network.batch)) for _ in range(count)
    ]
    if contender in ("torch-channels-last", "tensorflow"):
        return [(np.ascontiguousarray(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2), labels) for images, labels in batches]
    return batches


def _first_model(network):
    from chainrule import nn

    return MODELS[network.model](nn, **network.arguments).reset_parameters(np.random.default_rng(0))


def hand_engine(name: str):
    """Our engine with the first weights of a network."""
    from chainrule import nn, optim
    from chainrule.training.engine import HandEngine

    network = NETWORKS[name]
    model = _first_model(network)
    return HandEngine(model, nn.CrossEntropyLoss(), getattr(optim, network.optimizer)(model.parameters(), lr=LEARNING_RATE))


def _hand_step(network, contender):
    engine = hand_engine(next(name for name, entry in NETWORKS.items() if entry is network))
    return lambda images, labels: engine.step(images, labels, None)[0]


def _torch_step(network, contender):
    from chainrule import pytorch

    pytorch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    model = MODELS[network.model](pytorch.nn, **network.arguments)
    pytorch.copy_weights(_first_model(network), model)
    if contender == "torch-channels-last":
        model = pytorch.placed(model, pytorch.choose_device("cpu"), channels_last=True)
    optimizer = getattr(pytorch.optim, network.optimizer)(model.parameters(), lr=LEARNING_RATE)
    engine = pytorch.TorchEngine(model, pytorch.nn.CrossEntropyLoss(), optimizer)
    return lambda images, labels: engine.step(images, labels, None)[0]


def _tensorflow_step(network, contender):
    from chainrule.benchmarks.tensorflow_step import three_layer_convnet

    return three_layer_convnet(_first_model(network).state_dict(), LEARNING_RATE, int(os.environ["OMP_NUM_THREADS"]))


def _course_step(network, contender):
    params = _course_params(_first_model(network))
    if network.model == "three-layer-convnet":
        model = course_style.ThreeLayerConvNet(params, loops=contender == "loops")
    else:
        model = course_style.FullyConnectedNet(params, len(network.arguments["hidden_dims"]) + 1)
    return course_style.Solver(model, getattr(course_style, network.optimizer.lower()), LEARNING_RATE).step


def _course_params(model):
    """The parameters of a network by the names of CS231n: W1 (D, H) or (F, C, KH, KW), b1, gamma1, beta1, ..."""
    from chainrule import nn

    params, number = {}, 0
    for layer in model:
        if isinstance(layer, nn.Linear | nn.Conv2d):
            number += 1
            weight, bias = (parameter.data for parameter in layer.parameters())
            params[f"W{number}"], params[f"b{number}"] = np.array(weight.T if isinstance(layer, nn.Linear) else weight, order="C"), bias
        elif isinstance(layer, nn.BatchNorm1d):
            params[f"gamma{number}"], params[f"beta{number}"] = (parameter.data for parameter in layer.parameters())
    return params
