"""Weights between TensorFlow's layout and PyTorch's, which is also that of `chainrule.nn`: the same numbers, axes in another order.

|  | PyTorch | TensorFlow |
| --- | --- | --- |
| images | (N, C, H, W) | (N, H, W, C) |
| weight of a convolution | (F, C, KH, KW) | (KH, KW, C, F) |
| weight of an affine layer | (M, D) | (D, M) |
| a flattened image | channel by channel | pixel by pixel |

The last line is the trap: an affine layer that takes a flattened image has its D numbers in another order, too.
"""

from collections.abc import Iterable, Sequence

import numpy as np

__all__ = ["to_tensorflow", "to_torch"]


def to_tensorflow(state_dict: dict[str, np.ndarray], channels: int = 3) -> list[np.ndarray]:
    """The arrays of a state_dict, in its order, as TensorFlow keeps them: what `model.set_weights` takes, and level 1 as `params`.

    Parameters
    ----------
    state_dict : of convolutions and affine layers, each of which takes what the one before it gives
    channels : of the images that the first of them takes

    Raises
    ------
    ValueError
        An array is no weight or bias of such a layer, or takes another number of channels.
    """
    weights = []
    for name, array in state_dict.items():
        if array.ndim == 4:
            _check(array.shape[1] == channels, name, array, channels)
            channels = len(array)
            array = array.transpose(2, 3, 1, 0)
        elif array.ndim == 2:
            _check(array.shape[1] % channels == 0, name, array, channels)
            outputs = len(array)
            by_channel = array.reshape(outputs, channels, -1)  # (M, C, H * W), and H * W is 1 behind another affine layer
            array = by_channel.transpose(2, 1, 0).reshape(-1, outputs)
            channels = outputs
        else:
            _check(array.shape == (channels,), name, array, channels)  # a bias, which both keep alike
        weights.append(np.array(array, order="C"))
    return weights


def to_torch(weights: Sequence[np.ndarray], names: Iterable[str], channels: int = 3) -> dict[str, np.ndarray]:
    """The inverse of `to_tensorflow`: arrays as of `model.get_weights()`, and what they are called, to a state_dict.

    Parameters
    ----------
    weights : of convolutions and affine layers, in the order in which they are computed
    names : of the state_dict, or the state_dict of the network that takes them
    channels : of the images

    Raises
    ------
    ValueError
        As for `to_tensorflow`; or there are more names than arrays, or fewer.
    """
    names = list(names)
    if len(names) != len(weights):
        raise ValueError(f"there are {len(weights)} arrays and {len(names)} names; every array needs its own (was the model called once?)")
    state_dict = {}
    for name, array in zip(names, weights, strict=True):
        if array.ndim == 4:
            _check(array.shape[2] == channels, name, array, channels)
            channels = array.shape[3]
            array = array.transpose(3, 2, 0, 1)
        elif array.ndim == 2:
            _check(len(array) % channels == 0, name, array, channels)
            outputs = array.shape[1]
            array = array.reshape(-1, channels, outputs).transpose(2, 1, 0).reshape(outputs, -1)
            channels = outputs
        else:
            _check(array.shape == (channels,), name, array, channels)
        state_dict[name] = np.array(array, order="C")
    return state_dict


def _check(fits, name, array, channels):
    if not fits:
        raise ValueError(
            f"{name} has shape {array.shape}, which does not fit the {channels} channels before it; "
            "only convolutions and affine layers in a row are exchanged, and `channels` is that of the images"
        )
