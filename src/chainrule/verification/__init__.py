"""Proofs: numerical gradients, checks of backward passes, and parity with another implementation. Every check raises."""

from chainrule.verification.comparison import relative_error
from chainrule.verification.errors import GradientError, ParityError
from chainrule.verification.gradients import GradientReport, check_gradients, check_loss
from chainrule.verification.layers import check_layers, check_module, layer_inputs
from chainrule.verification.numerical import numerical_gradient, numerical_gradient_array
from chainrule.verification.parity import ParityReport, check_parity, check_training_parity, compare_arrays, compare_named
from chainrule.verification.values import ArrayReport

__all__ = [
    "ArrayReport",
    "GradientError",
    "GradientReport",
    "ParityError",
    "ParityReport",
    "check_gradients",
    "check_layers",
    "check_loss",
    "check_module",
    "check_parity",
    "check_training_parity",
    "compare_arrays",
    "compare_named",
    "layer_inputs",
    "numerical_gradient",
    "numerical_gradient_array",
    "relative_error",
]
