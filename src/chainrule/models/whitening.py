"""The weights that `speedrun` starts from, computed from the training images (Jordan 2024, arXiv:2404.00498, sections 3.1 and 3.2)."""

import numpy as np

from chainrule.models.speedrun import PATCH

__all__ = ["first_weights", "whitening_weights"]


def first_weights(state, images):
    """The weights that `speedrun` starts from, made of those that its layers drew.

    The first convolution whitens the patches of `images`; of every other with C channels the first C filters are the identity; the last
    layer is scaled to a standard deviation of 1.

    Parameters
    ----------
    state : state_dict of the network, as arrays; it is left as it is
    images : (N, C, H, W), training images as the network will see them; airbench takes 5,000

    Returns
    -------
    A state_dict of new arrays, for either engine's `load_state_dict`
    """
    whitening, *convolutions = [name for name, array in state.items() if array.ndim == 4]
    (head,) = [name for name, array in state.items() if array.ndim == 2]
    state = {name: np.array(array) for name, array in state.items()}
    state[whitening][...] = whitening_weights(images)
    for name in convolutions:
        filters = state[name]
        count = min(filters.shape[:2])
        filters[:count] = 0
        filters[np.arange(count), np.arange(count), 1, 1] = 1
    state[head] /= state[head].std(ddof=1)
    return state


def whitening_weights(images, *, eps=5e-4):
    """Filters whose answers to the 2x2 patches of `images` are uncorrelated and of one size, and their negatives.

    Parameters
    ----------
    images : (N, C, H, W) floating point
    eps : added to the eigenvalues, so that directions without variance are not blown up

    Returns
    -------
    (8 * C, C, 2, 2) of the images' dtype: the eigenvectors of the mean of patch * patch^T (not centred, as in airbench), in ascending order
    of their eigenvalues, over sqrt(eigenvalue + eps); an eigenvector's sign is arbitrary, and both are there
    """
    if images.ndim != 4 or images.shape[0] == 0 or min(images.shape[2:]) < PATCH:
        raise ValueError(
            f"whitening_weights: images have shape {images.shape}; expected (N, C, H, W), at least one, {PATCH} x {PATCH} or larger"
        )
    patches = np.lib.stride_tricks.sliding_window_view(images, (PATCH, PATCH), axis=(2, 3))  # (N, C, H - 1, W - 1, 2, 2)
    N, C, rows, columns = patches.shape[:4]
    flat = patches.transpose(0, 2, 3, 1, 4, 5).reshape(N * rows * columns, C * PATCH**2)
    eigenvalues, eigenvectors = np.linalg.eigh((flat.T @ flat).astype(np.float64) / len(flat))
    filters = (eigenvectors / np.sqrt(eigenvalues + eps)).T.reshape(-1, C, PATCH, PATCH)
    return np.concatenate([filters, -filters]).astype(images.dtype)
