"""The PyTorch side: torch's `nn` namespace with our containers, weights to and from, and the engine that trains a twin.

The only package that imports torch; everything else reaches it from inside functions, and works without it.
"""

try:
    from torch import set_num_threads
except ImportError as error:
    raise ImportError("this needs PyTorch: pip install chainrule[torch]") from error

from chainrule.pytorch import nn, optim
from chainrule.pytorch.devices import choose_device, placed
from chainrule.pytorch.engine import TorchEngine
from chainrule.pytorch.group import join_group
from chainrule.pytorch.probe import TorchProbe
from chainrule.pytorch.weights import copy_weights, to_arrays, to_tensors, torch_file

__all__ = [
    "TorchEngine",
    "TorchProbe",
    "choose_device",
    "copy_weights",
    "join_group",
    "nn",
    "optim",
    "placed",
    "set_num_threads",
    "to_arrays",
    "to_tensors",
    "torch_file",
]
