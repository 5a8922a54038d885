"""What a trained twin says of images, as arrays."""

import numpy as np
import torch

__all__ = ["dtype_of", "scores"]


def scores(network: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    """The network's output for x in eval mode, without gradients: (N, classes) on the CPU."""
    network.eval()
    first = next(network.parameters())
    with torch.no_grad():
        return network(torch.as_tensor(x).to(first.device)).cpu().numpy()


def dtype_of(network: torch.nn.Module) -> np.dtype:
    """The dtype of its parameters, as NumPy calls it."""
    return np.dtype(str(next(network.parameters()).dtype).removeprefix("torch."))
