"""Weights and optimizer state between NumPy and PyTorch: the keys and shapes are the same, only the arrays change."""

import io

import numpy as np
import torch

from chainrule.nn import Module

__all__ = ["copy_weights", "to_arrays", "to_tensors", "torch_file"]


def to_tensors(state_dict: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Arrays by name -> tensors by name, copied."""
    return {name: torch.from_numpy(np.array(array, order="C")) for name, array in state_dict.items()}


def to_arrays(state_dict: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Tensors by name -> arrays by name, copied to the CPU."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in state_dict.items()}


def torch_file(state_dict: dict[str, np.ndarray], notes: dict[str, str]) -> bytes:
    """What `torch.load(file)` reads, without running any code in it: {"state_dict": tensors by name, **notes}."""
    buffer = io.BytesIO()
    torch.save({"state_dict": to_tensors(state_dict), **notes}, buffer)
    return buffer.getvalue()


def copy_weights(source, target):
    """Copy all parameters and buffers from one network to its twin, whichever of the two is ours.

    Raises
    ------
    ValueError, RuntimeError
        The keys or shapes differ (strict in both directions).
    """
    arrays = source.state_dict() if isinstance(source, Module) else to_arrays(source.state_dict())
    target.load_state_dict(arrays if isinstance(target, Module) else to_tensors(arrays))
