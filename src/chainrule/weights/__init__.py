"""Published weights as arrays, whoever stored them, and the names of the classes that they tell apart."""

from chainrule.weights.classes import find_class, imagenet_classes
from chainrule.weights.published import PUBLISHED, Published, load_weights
from chainrule.weights.torch_file import read_torch_file

__all__ = ["PUBLISHED", "Published", "find_class", "imagenet_classes", "load_weights", "read_torch_file"]
