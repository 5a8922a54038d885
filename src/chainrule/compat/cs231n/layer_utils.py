"""CS231n's sandwich layers."""

from chainrule.functional import affine_relu_backward, affine_relu_forward

__all__ = ["affine_relu_backward", "affine_relu_forward"]
