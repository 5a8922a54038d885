"""The TensorFlow side: the levels of CS231n's assignment 2, and weights from and to the networks of the other two engines.

The only package that imports TensorFlow, and nothing else here needs it.
"""

try:
    import tensorflow  # noqa: F401 - the real one, for the message alone
except ImportError as error:
    raise ImportError("this needs TensorFlow: pip install chainrule[tensorflow]") from error

from chainrule.tensorflow.weights import to_tensorflow, to_torch

__all__ = ["to_tensorflow", "to_torch"]
