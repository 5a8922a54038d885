"""What the models ask of their arguments before they build a layer."""

from numbers import Integral

__all__ = ["check_image_shape", "check_number", "check_numbers"]


def _counts(value):
    return isinstance(value, Integral) and int(value) >= 1


def check_image_shape(model: str, image):
    """Refuse what is not (channels, height, width)."""
    if not isinstance(image, tuple | list) or len(image) != 3 or not all(map(_counts, image)):
        raise ValueError(f"{model}: image is {image!r}; expected (channels, height, width), three whole numbers, each at least 1")


def check_number(model: str, name: str, value):
    """Refuse what is no whole number of at least 1."""
    if not _counts(value):
        raise ValueError(f"{model}: {name} is {value!r}; expected a whole number, at least 1")


def check_numbers(model: str, name: str, values):
    """Refuse what is no tuple or list of whole numbers of at least 1."""
    if not isinstance(values, tuple | list) or not all(map(_counts, values)):
        raise ValueError(f"{model}: {name} is {values!r}; expected a tuple of whole numbers, each at least 1")
