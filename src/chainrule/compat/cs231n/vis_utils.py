"""CS231n's picture of many pictures."""

import math

import numpy as np

__all__ = ["visualize_grid"]


def visualize_grid(Xs, ubound=255.0, padding=1):
    """Arrange N pictures in one square picture, row by row, each stretched to the whole range on its own.

    Parameters
    ----------
    Xs : (N, H, W, C), for example the first layer's weights
    ubound : the largest value of the result; each picture's minimum becomes 0 and its maximum this, a constant picture 0
    padding : black pixels between two pictures

    Returns
    -------
    grid : (n * (H + padding) - padding, n * (W + padding) - padding, C) with n = ceil(sqrt(N)); 0 where pictures are missing
    """
    N, H, W, C = Xs.shape
    n = math.ceil(math.sqrt(N))
    low, high = Xs.min(axis=(1, 2, 3), keepdims=True), Xs.max(axis=(1, 2, 3), keepdims=True)
    cells = np.zeros((n * n, H + padding, W + padding, C))
    cells[:N, :H, :W] = ubound * (Xs - low) / np.where(high > low, high - low, 1)
    rows = cells.reshape(n, n, H + padding, W + padding, C).transpose(0, 2, 1, 3, 4)  # (n, H + padding, n, W + padding, C)
    grid = rows.reshape(n * (H + padding), n * (W + padding), C)
    return grid[: len(grid) - padding, : grid.shape[1] - padding]
