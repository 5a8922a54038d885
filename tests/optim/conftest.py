"""Fixtures of the tests of optimizers: parameters of many shapes and layouts, and their PyTorch twins."""

import numpy as np
import pytest
import torch

from chainrule.nn import Parameter

SHAPES = [(4, 3), (5,), (1, 1), (17, 9), (2, 3, 4), ()]


@pytest.fixture
def make_parameters():
    """make_parameters(dtype) -> parameters, the first of them transposed in memory as Linear's, and torch parameters of the same values."""

    def make(dtype=np.float64, shapes=SHAPES):
        rng = np.random.default_rng(7)
        arrays = [np.array(rng.standard_normal(shape), dtype) for shape in shapes]
        ours = [Parameter(array.copy()) for array in arrays]
        ours[0] = Parameter(np.array(arrays[0].T, order="C").T)
        return ours, [torch.nn.Parameter(torch.from_numpy(array.copy())) for array in arrays]

    return make


@pytest.fixture
def set_gradients():
    """set_gradients(ours, theirs, rng, skip=()) gives both the same random gradients, and none to the parameters numbered in skip."""

    def set_both(ours, theirs, rng, skip=()):
        for index, (parameter, twin) in enumerate(zip(ours, theirs, strict=True)):
            gradient = np.array(rng.standard_normal(parameter.shape), parameter.dtype)
            parameter.grad, twin.grad = None, None
            if index not in skip:
                parameter.accumulate(gradient)
                twin.grad = torch.from_numpy(gradient.copy())

    return set_both


@pytest.fixture
def assert_same_parameters():
    def assert_same(ours, theirs, tolerance):
        for index, (parameter, twin) in enumerate(zip(ours, theirs, strict=True)):
            expected = twin.detach().numpy()
            np.testing.assert_allclose(
                parameter.data, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max(), err_msg=f"parameter {index}", strict=True
            )

    return assert_same
