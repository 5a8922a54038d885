"""What the modules for images ask of their arguments and of their input, (N, C, H, W)."""

from numbers import Integral

import numpy as np

__all__ = ["check_image", "pair"]


def pair(module: str, name: str, value, *, low: int = 1) -> tuple[int, int]:
    """An argument that is one whole number, or one for the rows and one for the columns, as (rows, columns).

    Parameters
    ----------
    module, name : of the class and of its argument, for error messages
    low : least value of either
    """
    values = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(values) != 2 or not all(isinstance(entry, Integral) for entry in values):
        raise ValueError(f"{module}: {name} is {value!r}; expected a whole number, or a pair of them (rows, columns)")
    if min(values) < low:
        raise ValueError(f"{module}: {name} is {value}; it must be at least {low}")
    return int(values[0]), int(values[1])


def check_image(module: str, x: np.ndarray, channels: int | None = None, dtype: np.dtype | None = None):
    """Refuse an x that is not a batch of images.

    Parameters
    ----------
    module : name of the class, for error messages
    channels : how many x must have; None for any
    dtype : of the module's parameters; None where it has none, and takes any floating point numbers
    """
    if x.ndim != 4 or channels not in (None, x.shape[1]):
        expected = f"(N, {'C' if channels is None else channels}, H, W)"
        raise ValueError(f"{module}: x has shape {x.shape}; expected {expected}{_likely_layout(x.shape, channels)}")
    if dtype is None and x.dtype.kind != "f":
        raise TypeError(f"{module}: x is {x.dtype}; expected floating point numbers: x.astype(np.float32)")
    if dtype is not None and x.dtype != dtype:
        raise TypeError(
            f"{module}: x is {x.dtype}, the parameters are {dtype}; "
            f"convert one of them: x.astype(np.{dtype}), or model.double() / model.float()"
        )


def _likely_layout(shape, channels):
    if len(shape) == 3 and channels in (None, shape[0]):
        return "; is the batch axis missing? x[np.newaxis] adds it"
    if len(shape) == 4 and shape[3] == channels:
        return "; the channels come second: x.transpose(0, 3, 1, 2)"
    return ""
