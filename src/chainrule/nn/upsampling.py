"""Enlarging images as a module."""

from chainrule.nn.images import check_image
from chainrule.nn.layer import Layer

__all__ = ["Upsample"]


class Upsample(Layer):
    """Repeat every pixel in a square, so that the image becomes a whole number of times as large (nearest neighbour).

    Parameters
    ----------
    size : None; PyTorch's other way to say how large, by the output, is not offered
    scale_factor : side of the square, a whole number
    mode : "nearest"; PyTorch's interpolating modes are not offered
    """

    entry = "upsample_nearest"

    def __init__(self, size=None, scale_factor=None, mode="nearest"):
        if mode != "nearest":
            raise ValueError(f'Upsample: mode is {mode!r}; only "nearest" is offered')
        if size is not None:
            raise ValueError(f"Upsample: size is {size}; only scale_factor is offered: give how many times as large the image becomes")
        if not isinstance(scale_factor, int | float) or scale_factor < 1 or scale_factor != int(scale_factor):
            raise ValueError(f"Upsample: scale_factor is {scale_factor}; it must be a whole number of at least 1: pixels are repeated")
        self.scale_factor, self.mode = float(scale_factor), mode  # a float, as in PyTorch

    def arguments(self, x):
        return (int(self.scale_factor),)

    def check_input(self, x):
        check_image("Upsample", x)

    def extra_repr(self):
        return f"scale_factor={self.scale_factor}, mode={self.mode!r}"
