import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from chainrule import nn
from chainrule.nn.summary import summarize
from chainrule.pytorch import nn as torch_nn

LAYERS = {
    "Linear": (lambda nn: nn.Linear(6, 5, bias=False), (3, 6)),
    "Conv2d": (lambda nn: nn.Conv2d(4, 6, (3, 2), stride=2, padding=1, bias=False), (3, 4, 7, 8)),
    "Conv2d in groups": (lambda nn: nn.Conv2d(4, 6, 3, groups=2, bias=False), (3, 4, 7, 8)),
    "ConvTranspose2d": (lambda nn: nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2, bias=False), (3, 4, 7, 8)),
}


@pytest.mark.parametrize(("build", "shape"), LAYERS.values(), ids=LAYERS)
def test_multiplications_and_additions_are_those_that_torch_counts(build, shape):
    (row,) = summarize(build(nn), shape)
    with FlopCounterMode(display=False) as counter:
        build(torch_nn)(torch.zeros(shape))
    assert row.operations == counter.get_total_flops()


@pytest.mark.parametrize("build", [lambda bias: nn.Linear(6, 5, bias=bias), lambda bias: nn.Conv2d(6, 5, 1, bias=bias)])
def test_a_bias_is_one_addition_for_each_output(build):
    shape = (3, 6) if isinstance(build(True), nn.Linear) else (3, 6, 4, 2)
    (with_bias,), (without,) = summarize(build(True), shape), summarize(build(False), shape)
    assert with_bias.operations - without.operations == np.prod(with_bias.shape)


def test_poolings_look_at_each_pixel_of_each_window_and_the_others_at_each_value():
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.MaxPool2d(3, stride=1), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    rows = summarize(network, (5, 2, 9, 8))
    assert [row.shape for row in rows] == [(5, 4, 7, 6), (5, 4, 5, 4), (5, 4, 5, 4), (5, 4, 1, 1), (5, 4)]
    assert [row.operations for row in rows[1:]] == [9 * 5 * 4 * 20, 5 * 4 * 20, 5 * 4 * 20, 0]
    assert [row.parameters for row in rows] == [4 * 2 * 9 + 4, 0, 8, 0, 0]
    assert rows[-1].activation_bytes == 0  # a view


def test_changing_the_order_of_pixels_is_no_arithmetic():
    # the kernels' channels-last output is copied into the order that Flatten promises
    rows = summarize(nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten()), (5, 2, 9, 8))
    assert rows[-1].activation_bytes > 0
    assert rows[-1].operations == 0


def test_a_batch_that_does_not_fit_is_refused_with_the_layer():
    with pytest.raises(ValueError, match=r"^Conv2d: x has shape \(5, 3, 9, 8\); expected \(N, 2, H, W\)\nin layer 1 of 2"):
        summarize(nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU()), (5, 3, 9, 8))
