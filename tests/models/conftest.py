"""The comparison of a network with its PyTorch twin."""

import numpy as np
import pytest
import torch

from chainrule import nn
from chainrule.pytorch import copy_weights
from chainrule.pytorch import nn as torch_nn


@pytest.fixture
def assert_same_text_and_state():
    """assert_same_text_and_state(model, image, classes, options): keys, shapes and text are the twin's."""

    def compare(model, image, classes, options):
        ours, twin = model(nn, image, classes, **options), model(torch_nn, image, classes, **options)
        shapes = [(name, array.shape) for name, array in ours.state_dict().items()]
        assert shapes == [(name, tuple(tensor.shape)) for name, tensor in twin.state_dict().items()]
        assert repr(ours) == repr(twin)
        frozen = [[not parameter.requires_grad for parameter in network.parameters()] for network in (ours, twin)]
        assert frozen[0] == frozen[1]

    return compare


@pytest.fixture
def assert_same_numbers():
    """assert_same_numbers(model, image, classes, options, library=nn, training=True): loss, scores and all gradients are the twin's."""

    def compare(model, image, classes, options, library=nn, training=True):
        rng = np.random.default_rng(1)
        ours = model(library, image, classes, **options).double().reset_parameters(rng)
        twin = model(torch_nn, image, classes, **options).double()
        copy_weights(ours, twin)
        for network in (ours, twin):
            network.train(training)
            for module in network.modules():
                if isinstance(module, nn.Dropout | torch_nn.Dropout):
                    module.rng = np.random.default_rng(5)
        x, labels = rng.standard_normal((5, *image)), rng.integers(0, classes, 5)

        criterion = library.CrossEntropyLoss()
        scores = ours(x)
        loss = criterion(scores, labels)
        dx = ours.backward(criterion.backward())
        tensor = torch.from_numpy(x).requires_grad_()
        expected = twin(tensor)
        expected_loss = torch_nn.CrossEntropyLoss()(expected, torch.from_numpy(labels))
        expected_loss.backward()

        # sums of a few hundred terms in ten layers or so: 1e-14 of the greatest value, and some ten times that behind each norm, whose
        # deviation over few pixels is far below 1
        assert loss == pytest.approx(expected_loss.item(), rel=1e-11)
        _assert_close(scores, expected.detach().numpy(), "scores")
        _assert_close(dx, tensor.grad.numpy(), "dx")
        for (name, parameter), reference in zip(ours.named_parameters(), twin.parameters(), strict=True):
            if parameter.requires_grad:
                _assert_close(parameter.grad, reference.grad.numpy(), name)
            else:
                assert parameter.grad is None and reference.grad is None, name
        for name, array in ours.state_dict().items():  # running statistics have moved
            _assert_close(array, twin.state_dict()[name].numpy(), name)

    return compare


def _assert_close(actual, expected, what):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-10 * max(np.abs(expected).max(), 1e-3), err_msg=what, strict=True)
