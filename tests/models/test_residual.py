import numpy as np
import pytest

from chainrule import nn
from chainrule.models import resnet
from chainrule.nn import REFERENCE, namespace

CASES = [
    {"blocks": (1, 1), "width": 4},
    {"blocks": (2, 1, 1), "width": 3, "dropout": 0.3},
    {"blocks": (1, 2), "width": 2, "bottleneck": True},
    {"blocks": (1, 1), "width": 2, "bottleneck": True, "dropout": 0.2, "normalization": "group"},
    {"blocks": (1, 1), "width": 4, "normalization": None},
    {"blocks": (1, 1), "width": 4, "normalization": "layer"},
    {"blocks": (1, 1), "width": 4, "shortcuts": False},
]
EVERY_FORM = pytest.mark.parametrize("options", CASES, ids=str)
IMAGE, CLASSES = (2, 6, 5), 4


def parameters(network):
    return sum(parameter.size for parameter in network.parameters())


@EVERY_FORM
def test_keys_shapes_and_text_are_the_torch_twins(assert_same_text_and_state, options):
    assert_same_text_and_state(resnet, IMAGE, CLASSES, options)


@EVERY_FORM
@pytest.mark.parametrize("training", [True, False], ids=["training", "eval"])
@pytest.mark.parametrize("library", [nn, namespace(REFERENCE)], ids=["kernels", "reference"])
def test_loss_scores_and_every_gradient_are_the_torch_twins(assert_same_numbers, options, training, library):
    assert_same_numbers(resnet, IMAGE, CLASSES, options, library, training)


@pytest.mark.parametrize(("n", "layers", "millions"), [(3, 20, 0.27), (5, 32, 0.46), (7, 44, 0.66), (9, 56, 0.85)])
def test_the_papers_networks_have_the_papers_size(n, layers, millions):
    """He et al. 2016, table 6; their shortcuts have no parameters, ours two projections: 1x1 weights, and two numbers a channel."""
    network = resnet(nn, blocks=(n, n, n))
    convolutions = [module for name, module in network.named_modules() if isinstance(module, nn.Conv2d) and "shortcut" not in name]
    assert len(convolutions) + 1 == layers
    projections = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert (parameters(network) - projections) / 1e6 == pytest.approx(millions, abs=0.005)


def test_a_bottleneck_ends_with_four_times_the_channels():
    network = resnet(nn, blocks=(1, 1), width=8, bottleneck=True)
    blocks = [layer for layer in network if isinstance(layer, nn.Sequential)]
    shapes = [[module.weight.shape for module in block[0].body if isinstance(module, nn.Conv2d)] for block in blocks]
    assert shapes == [[(8, 8, 1, 1), (8, 8, 3, 3), (32, 8, 1, 1)], [(16, 32, 1, 1), (16, 16, 3, 3), (64, 16, 1, 1)]]


def test_a_shortcut_is_a_projection_only_where_the_shape_changes():
    network = resnet(nn, blocks=(2, 2), width=8)
    blocks = [layer for layer in network if isinstance(layer, nn.Sequential)]
    assert [type(block[0].shortcut).__name__ for block in blocks] == ["Identity", "Identity", "Sequential", "Identity"]
    projection = blocks[2][0].shortcut[0]
    assert projection.kernel_size == (1, 1) and projection.stride == (2, 2) and projection.bias is None


def test_without_shortcuts_it_is_the_plain_network_of_the_same_layers():
    residual, plain = (resnet(nn, blocks=(1, 2), width=4, shortcuts=shortcuts) for shortcuts in (True, False))
    layers = [[module for name, module in network.named_modules() if "shortcut" not in name] for network in (residual, plain)]
    kinds = [[type(module).__name__ for module in own if not list(module.children())] for own in layers]
    assert kinds[0] == kinds[1]
    assert not any(isinstance(module, nn.Residual) for module in plain.modules())
    # a projection of 1x1 from 4 to 8 channels, and its norm
    assert parameters(residual) - parameters(plain) == 4 * 8 + 2 * 8


@pytest.mark.parametrize("bottleneck", [False, True], ids=["basic", "bottleneck"])
def test_a_stage_has_half_the_resolution_of_the_one_before(bottleneck):
    network = resnet(nn, (3, 9, 8), blocks=(1, 1, 1), width=2, bottleneck=bottleneck)
    x, sizes = np.zeros((2, 3, 9, 8), np.float32), []
    for layer in network:
        x = layer(x)
        if isinstance(layer, nn.Sequential):
            sizes.append(x.shape[2:])
    assert sizes == [(9, 8), (5, 4), (3, 2)]


def test_each_block_ends_in_the_activation_behind_the_sum():
    network = resnet(nn, blocks=(1, 1), width=4)
    for block in [layer for layer in network if isinstance(layer, nn.Sequential)]:
        assert [type(layer) for layer in block] == [nn.Residual, nn.ReLU]


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ((2, 0), "resnet: blocks is (2, 0); expected a tuple of whole numbers, each at least 1"),
        (2, "resnet: blocks is 2; expected a tuple of whole numbers, each at least 1"),
        ((2.0,), "resnet: blocks is (2.0,); expected a tuple of whole numbers, each at least 1"),
        ((), "resnet: blocks is empty; give the number of blocks of each stage, at least one"),
    ],
    ids=str,
)
def test_stages_without_blocks_are_refused(blocks, message):
    with pytest.raises(ValueError) as caught:
        resnet(nn, blocks=blocks)
    assert str(caught.value) == message
