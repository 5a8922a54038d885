import numpy as np
import pytest

from chainrule import nn
from chainrule.models import convnet, three_layer_convnet
from chainrule.nn import REFERENCE, namespace

CASES = [
    (three_layer_convnet, {}),
    (three_layer_convnet, {"filters": 5, "kernel_size": 3, "hidden_dim": 9}),
    (convnet, {"channels": (4,)}),
    (convnet, {"channels": (4, 6), "convolutions": 2}),
    (convnet, {"channels": (4, 6), "normalization": "batch", "hidden_dims": (9, 7)}),
    (convnet, {"channels": (4, 6), "normalization": "layer"}),
    (convnet, {"channels": (8, 12), "normalization": "group"}),
    (convnet, {"channels": (4, 6), "normalization": "batch", "hidden_dims": (9,), "dropout": 0.3}),
    (convnet, {"channels": (), "hidden_dims": (6,)}),
]
EVERY_MODEL = pytest.mark.parametrize(("model", "options"), CASES, ids=lambda value: getattr(value, "__name__", str(value)))
IMAGE, CLASSES = (2, 6, 5), 4


@EVERY_MODEL
def test_keys_shapes_and_text_are_the_torch_twins(assert_same_text_and_state, model, options):
    assert_same_text_and_state(model, IMAGE, CLASSES, options)


@EVERY_MODEL
@pytest.mark.parametrize("training", [True, False], ids=["training", "eval"])
@pytest.mark.parametrize("library", [nn, namespace(REFERENCE)], ids=["kernels", "reference"])
def test_loss_scores_and_every_gradient_are_the_torch_twins(assert_same_numbers, model, options, training, library):
    assert_same_numbers(model, IMAGE, CLASSES, options, library, training)


def test_the_three_layers_are_those_of_the_course():
    shapes = [parameter.shape for parameter in three_layer_convnet(nn).parameters()]
    assert shapes == [(32, 3, 7, 7), (32,), (100, 32 * 16 * 16), (100,), (10, 100), (10,)]


def test_the_layers_of_a_convnet_stand_in_order():
    network = convnet(nn, (3, 8, 8), channels=(4, 6), convolutions=2, normalization="batch", hidden_dims=(7,), dropout=0.5)
    block = ["Conv2d", "BatchNorm2d", "ReLU"] * 2 + ["MaxPool2d"]
    head = ["Flatten", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    assert [type(layer).__name__ for layer in network] == [*block, *block, *head]


@pytest.mark.parametrize(("normalization", "bias"), [(None, True), ("batch", False), ("layer", False), ("group", False)])
def test_a_convolution_has_a_bias_where_no_norm_follows(normalization, bias):
    network = convnet(nn, channels=(4,), normalization=normalization)
    assert (network[0].bias is not None) is bias


@pytest.mark.parametrize(("channels", "groups"), [(4, 4), (6, 2), (12, 4), (64, 8)])
def test_groups_are_eight_or_as_many_as_the_channels_allow(channels, groups):
    assert convnet(nn, channels=(channels,), normalization="group")[1].num_groups == groups


def test_an_image_too_small_for_so_many_poolings_is_refused():
    with pytest.raises(ValueError) as caught:
        convnet(nn, (1, 9, 7), channels=(4, 4, 4))
    assert str(caught.value) == (
        "convnet: images of 9 x 7 can be halved 2 times, and there are 3 blocks, each with a pooling; give at most 2 numbers of channels"
    )
    assert convnet(nn, (1, 9, 7), channels=(4, 4))(np.zeros((1, 1, 9, 7), np.float32)).shape == (1, 10)


@pytest.mark.parametrize("kernel_size", [2, 6])
def test_an_even_kernel_is_refused(kernel_size):
    with pytest.raises(ValueError, match=rf"^three_layer_convnet: kernel_size is {kernel_size}; it must be odd"):
        three_layer_convnet(nn, kernel_size=kernel_size)


def test_an_image_too_small_to_pool_is_refused():
    with pytest.raises(ValueError, match=r"^three_layer_convnet: images of 1 x 8 are too small for the 2 x 2 pooling$"):
        three_layer_convnet(nn, (3, 1, 8))


def test_blocks_without_convolutions_are_refused():
    with pytest.raises(ValueError, match=r"^convnet: convolutions is 0; expected a whole number, at least 1$"):
        convnet(nn, convolutions=0)


def test_an_unknown_normalization_is_refused():
    with pytest.raises(ValueError, match=r"^normalization is 'instance'; it must be \"batch\", \"layer\", \"group\" or None$"):
        convnet(nn, normalization="instance")
