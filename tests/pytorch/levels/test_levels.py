"""The three levels are one network: same weights, same scores, same training; and the hand-written layers compute it, too."""

import numpy as np
import pytest
import torch

from chainrule import nn as ours
from chainrule import optim
from chainrule.pytorch import copy_weights
from chainrule.pytorch.levels import modules, sequential, tensors

SIDE, CLASSES, LEARNING_RATE = 6, 5, 0.05


def batches(count=6):
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        x = torch.randn(16, 3, SIDE, SIDE, generator=generator, dtype=torch.float64)
        yield x, torch.randint(0, CLASSES, (16,), generator=generator)


def networks(kind):
    """The network of each level with the same weights: (params, function), class, sequential, hand-written."""
    generator = torch.Generator().manual_seed(1)
    if kind == "two-layer":
        sizes = (3 * SIDE * SIDE, 20, CLASSES)
        shapes = [sizes[:2], sizes[1:]]
        function, classes = tensors.two_layer_fc, (modules.TwoLayerFC(*sizes), sequential.two_layer_fc(*sizes))
        hand = ours.Sequential(ours.Flatten(), ours.Linear(*sizes[:2], bias=False), ours.ReLU(), ours.Linear(*sizes[1:], bias=False))
    else:
        shapes = [(8, 3, 5, 5), (8,), (4, 8, 3, 3), (4,), (4 * SIDE * SIDE, CLASSES), (CLASSES,)]
        function = tensors.three_layer_convnet
        classes = (modules.ThreeLayerConvNet(3, 8, 4, CLASSES, SIDE), sequential.three_layer_convnet(3, 8, 4, CLASSES, SIDE))
        hand = ours.Sequential(
            *(ours.Conv2d(3, 8, 5, padding=2), ours.ReLU(), ours.Conv2d(8, 4, 3, padding=1), ours.ReLU()),
            *(ours.Flatten(), ours.Linear(4 * SIDE * SIDE, CLASSES)),
        )
    params = [
        tensors.random_weight(shape, generator, torch.float64) if len(shape) > 1 else tensors.zero_weight(shape, torch.float64)
        for shape in shapes
    ]
    with torch.no_grad():
        for network in classes:
            for parameter, value in zip(network.double().parameters(), params, strict=True):
                parameter.copy_(value.T if value.ndim == 2 else value)  # torch's Linear keeps (out, in)
    copy_weights(classes[1], hand.double())
    return params, function, *classes, hand


@pytest.mark.parametrize("kind", ["two-layer", "convnet"])
def test_all_levels_and_the_hand_written_layers_train_alike(kind):
    params, function, module, layers, hand = networks(kind)
    optimizers = [torch.optim.SGD(network.parameters(), lr=LEARNING_RATE) for network in (module, layers)]
    criterion, own = ours.CrossEntropyLoss(), optim.SGD(hand.parameters(), lr=LEARNING_RATE)
    losses = []
    for x, y in batches():
        scores = hand(x.numpy())
        loss = criterion(scores, y.numpy())
        own.zero_grad()
        hand.backward(criterion.backward())
        own.step()
        torchs = [modules.train_step(network, optimizer, x, y) for network, optimizer in zip((module, layers), optimizers, strict=True)]
        losses.append([tensors.sgd_step(function, params, x, y, LEARNING_RATE), *torchs, loss])
    # float64, whose sums are taken in different orders
    np.testing.assert_allclose(losses, np.repeat(np.array(losses)[:, :1], 4, axis=1), rtol=1e-11)
    assert losses[0][0] != losses[-1][0]


@pytest.mark.parametrize(
    "network",
    [
        modules.TwoLayerFC(3072, 400, 10),
        sequential.two_layer_fc(3072, 400, 10),
        modules.ThreeLayerConvNet(3, 32, 16, 10),
        sequential.three_layer_convnet(3, 32, 16, 10),
    ],
    ids=lambda network: type(network).__name__,
)
def test_weights_begin_as_he_et_al_say_and_images_become_scores(network):
    assert network(torch.zeros(64, 3, 32, 32)).shape == (64, 10)  # as the course asks
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        else:
            expected = (2 / parameter[0].numel()) ** 0.5
            assert parameter.std().item() == pytest.approx(expected, rel=0.1)


def test_a_random_weight_has_the_spread_of_its_fan_in():
    for shape, fan_in in (((500, 80), 500), ((64, 8, 5, 5), 200)):
        weight = tensors.random_weight(shape, torch.Generator().manual_seed(0))
        assert weight.requires_grad
        assert weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.05)
