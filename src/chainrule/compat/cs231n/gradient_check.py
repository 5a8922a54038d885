"""CS231n's numerical gradients, by central differences. x is perturbed in place, one element at a time, and restored."""

import numpy as np

from chainrule.verification import numerical_gradient, numerical_gradient_array

__all__ = [
    "eval_numerical_gradient",
    "eval_numerical_gradient_array",
    "eval_numerical_gradient_blobs",
    "eval_numerical_gradient_net",
    "grad_check_sparse",
]


def eval_numerical_gradient(f, x, verbose=True, h=1e-5):
    """Gradient of a function f(x) -> number, like x; with verbose, every element is printed."""
    grad = numerical_gradient(f, x, h)
    if verbose:
        for index, slope in np.ndenumerate(grad):
            print(index, slope)
    return grad


def eval_numerical_gradient_array(f, x, df, h=1e-5):
    """Gradient of sum(f(x) * df), like x, for a function f(x) -> array and the upstream gradient df of its shape."""
    return numerical_gradient_array(f, x, df, h)


def eval_numerical_gradient_blobs(f, inputs, output, h=1e-5):
    """Gradients of sum(output.vals * output.diffs) for each of the inputs.

    Parameters
    ----------
    f : called as f(*inputs, output); reads the inputs' `vals`, writes `output.vals`
    inputs : tuple of objects with an array `vals`
    output : object with arrays `vals` and `diffs` (the upstream gradient) of one shape
    """

    def vals(_):
        f(*inputs, output)
        return output.vals

    return [numerical_gradient_array(vals, blob.vals, output.diffs, h) for blob in inputs]


def eval_numerical_gradient_net(net, inputs, output, h=1e-5):
    """`eval_numerical_gradient_blobs` of net.forward(), which reads inputs and writes output."""
    return eval_numerical_gradient_blobs(lambda *blobs: net.forward(), inputs, output, h=h)


def grad_check_sparse(f, x, analytic_grad, num_checks=10, h=1e-5):
    """Compare num_checks random elements of analytic_grad with central differences of f(x) -> number; print each comparison."""
    for _ in range(num_checks):
        index = tuple(np.random.randint(size) for size in x.shape)  # noqa: NPY002 - the generator that the notebooks seed
        element = x[index]
        x[index] = element + h
        above = f(x)
        x[index] = element - h
        below = f(x)
        x[index] = element
        numerical, analytic = (above - below) / (2 * h), analytic_grad[index]
        error = abs(numerical - analytic) / (abs(numerical) + abs(analytic))
        print(f"numerical: {numerical:f} analytic: {analytic:f}, relative error: {error:e}")
