"""What the functions of this package refuse at the door: arrays that NumPy would broadcast or cast, silently, into a wrong answer."""

import numpy as np

__all__ = ["check_floating", "check_images", "check_matrix", "check_mode", "check_shape"]


def check_floating(function, name, array):
    """Raise TypeError unless the array is of a floating point dtype; results would be rounded to integers otherwise."""
    if not np.issubdtype(array.dtype, np.floating):
        raise TypeError(f"{function}: {name} has dtype {array.dtype}; expected floating point, for example {name}.astype(np.float32)")


def check_images(function, name, shape):
    """Raise ValueError unless the shape is that of images, (N, C, H, W)."""
    if len(shape) != 4:
        raise ValueError(f"{function}: {name} has shape {tuple(shape)}; expected (N, C, H, W)")


def check_matrix(function, name, array):
    """Raise ValueError unless the array has exactly two axes."""
    if array.ndim != 2:
        raise ValueError(
            f"{function}: {name} has shape {array.shape}; expected two axes, (samples, values of a sample); "
            f"reshape it, for example {name}.reshape(len({name}), -1)"
        )


def check_mode(function, param, mode):
    """Raise ValueError unless mode, read from the dictionary called param, is 'train' or 'test'."""
    if mode not in ("train", "test"):
        raise ValueError(f"{function}: {param}['mode'] is {mode!r}; set it to 'train' or 'test'")


def check_shape(function, name, array, expected, reason):
    """Raise ValueError unless the array has exactly the expected shape; the reason says where that shape comes from."""
    if np.shape(array) != expected:
        raise ValueError(f"{function}: {name} has shape {np.shape(array)}; expected {expected}, {reason}")
