"""The three levels are PyTorch's three and the hand-written layers: same weights, same scores, same gradients, same training."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import torch
from tensorflow import keras

from chainrule import nn, optim
from chainrule.pytorch import copy_weights, to_tensors
from chainrule.pytorch.levels import modules as torch_modules
from chainrule.pytorch.levels import sequential as torch_sequential
from chainrule.tensorflow import to_tensorflow, to_torch
from chainrule.tensorflow.levels import modules, sequential, tensors
from chainrule.verification import compare_arrays, compare_named

C, H, W, CLASSES = 3, 4, 9, 5
SIDE = 6  # of PyTorch's levels, which only know square images; a network of these takes as many pixels as 4 x 9 are
LEARNING_RATE = 1 / 16  # Keras keeps it in float32, which holds this one exactly
KINDS = pytest.mark.parametrize("kind", ["two-layer", "convnet"])
DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])


@pytest.fixture(autouse=True, scope="module")
def one_thread_of_torch():
    """Networks this small only make torch's threads wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def networks():
    """networks(kind, dtype) -> one network, with the same weights in each form."""
    before = keras.config.floatx(), keras.config.dtype_policy()

    def make(kind, dtype):
        keras.config.set_floatx(dtype)  # of the inputs
        keras.config.set_dtype_policy(dtype)  # of the layers
        if kind == "two-layer":
            sizes = (C * H * W, 20, CLASSES)
            function, classes = tensors.two_layer_fc, [modules.TwoLayerFC(*sizes[1:]), sequential.two_layer_fc(*sizes[1:], image=(H, W, C))]
            twins = [torch_modules.TwoLayerFC(*sizes), torch_sequential.two_layer_fc(*sizes)]
            hand = nn.Sequential(nn.Flatten(), nn.Linear(*sizes[:2], bias=False), nn.ReLU(), nn.Linear(*sizes[1:], bias=False))
        else:
            sizes = (8, 4, CLASSES)
            function = tensors.three_layer_convnet
            classes = [modules.ThreeLayerConvNet(*sizes), sequential.three_layer_convnet(*sizes, image=(H, W, C))]
            twins = [torch_modules.ThreeLayerConvNet(C, *sizes, SIDE), torch_sequential.three_layer_convnet(C, *sizes, SIDE)]
            hand = nn.Sequential(
                *(nn.Conv2d(C, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1), nn.ReLU()),
                *(nn.Flatten(), nn.Linear(4 * H * W, CLASSES)),
            )
        hand.reset_parameters(np.random.default_rng(0))
        getattr(hand, "double" if dtype == "float64" else "float")()
        state_dict = hand.state_dict()
        for twin in twins:
            getattr(twin, "double" if dtype == "float64" else "float")()
            twin.load_state_dict(to_tensors(dict(zip(twin.state_dict(), state_dict.values(), strict=True))))
        weights = to_tensorflow(state_dict)
        classes[0](tf.zeros((1, H, W, C), dtype))  # makes its parameters
        for network in classes:
            network.set_weights(weights)
        return SimpleNamespace(function=function, params=[tf.Variable(array) for array in weights], classes=classes, twins=twins, hand=hand)

    yield make
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


def batches(dtype, count=6):
    """(images (N, C, H, W), labels), more than once."""
    rng = np.random.default_rng(1)
    for _ in range(count):
        yield rng.standard_normal((16, C, H, W)).astype(dtype), rng.integers(CLASSES, size=16)


def channels_last(images):
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1))


@KINDS
@DTYPES
def test_the_same_weights_give_the_same_scores(networks, kind, dtype):
    made = networks(kind, dtype)
    x, _ = next(batches(dtype))
    expected = made.hand(x)
    found = {
        "bare tensors": made.function(channels_last(x), made.params).numpy(),
        "class": made.classes[0](channels_last(x)).numpy(),
        "list of layers": made.classes[1](channels_last(x)).numpy(),
        "PyTorch's class": made.twins[0](torch.from_numpy(x)).detach().numpy(),
        "PyTorch's list": made.twins[1](torch.from_numpy(x)).detach().numpy(),
    }
    for name, scores in found.items():
        # three sums of at most 200 products: their roundings, root(200) * 6e-8 or 1.1e-16, times ten
        compare_arrays(name, scores, expected, tolerance={"float64": 2e-14, "float32": 1e-5}[dtype])


@KINDS
@DTYPES
def test_the_tape_finds_the_gradients_that_are_written_out_by_hand(networks, kind, dtype):
    made, criterion = networks(kind, dtype), nn.CrossEntropyLoss()
    x, y = next(batches(dtype))
    criterion(made.hand(x), y)
    made.hand.backward(criterion.backward())
    expected = {name: parameter.grad for name, parameter in made.hand.named_parameters()}
    torch.nn.functional.cross_entropy(made.twins[1](torch.from_numpy(x)), torch.from_numpy(y)).backward()
    compare_named("PyTorch's", {name: parameter.grad.numpy() for name, parameter in made.twins[1].named_parameters()}, expected)
    for network, variables in [
        (lambda x: made.function(x, made.params), made.params),
        *((network, network.trainable_variables) for network in made.classes),
    ]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, network(channels_last(x))))
        gradients = to_torch([gradient.numpy() for gradient in tape.gradient(loss, variables)], expected)
        compare_named("tape", gradients, expected)


@KINDS
@DTYPES
def test_all_levels_train_as_the_hand_written_layers_and_pytorchs_do(networks, kind, dtype):
    made, criterion = networks(kind, dtype), nn.CrossEntropyLoss()
    own = optim.SGD(made.hand.parameters(), lr=LEARNING_RATE)
    optimizers = [keras.optimizers.SGD(LEARNING_RATE) for _ in made.classes]
    theirs = [torch.optim.SGD(network.parameters(), lr=LEARNING_RATE) for network in made.twins]
    losses = []
    for x, y in batches(dtype):
        losses.append([criterion(made.hand(x), y), tensors.sgd_step(made.function, made.params, channels_last(x), y, LEARNING_RATE)])
        own.zero_grad()
        made.hand.backward(criterion.backward())
        own.step()
        losses[-1] += [modules.train_step(*pair, channels_last(x), y) for pair in zip(made.classes, optimizers, strict=True)]
        losses[-1] += [
            torch_modules.train_step(*pair, torch.from_numpy(x), torch.from_numpy(y)) for pair in zip(made.twins, theirs, strict=True)
        ]
    # sums in different orders, and what six steps make of it
    np.testing.assert_allclose(losses, np.repeat(np.array(losses)[:, :1], 6, axis=1), rtol={"float64": 1e-12, "float32": 1e-5}[dtype])
    assert losses[0][0] != losses[-1][0]
    # what was learned in TensorFlow goes back
    for weights in ([variable.numpy() for variable in made.params], *(network.get_weights() for network in made.classes)):
        compare_named("weights", to_torch(weights, made.hand.state_dict()), made.hand.state_dict())


def test_keras_own_loop_takes_the_same_steps(networks):
    made = networks("convnet", "float32")
    x, y = (np.concatenate(arrays) for arrays in zip(*batches("float32"), strict=True))
    fitted = made.classes[1]
    fitted.compile(keras.optimizers.SGD(LEARNING_RATE), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    fitted.fit(channels_last(x), y, batch_size=16, shuffle=False, verbose=0)
    for images, labels in batches("float32"):
        tensors.sgd_step(made.function, made.params, channels_last(images), labels, LEARNING_RATE)
    for weight, param in zip(fitted.get_weights(), made.params, strict=True):
        compare_arrays("weight", weight, param.numpy())


def test_what_tensorflow_learned_goes_on_in_pytorch(networks):
    made = networks("convnet", "float64")
    for x, y in batches("float64"):
        modules.train_step(made.classes[0], keras.optimizers.SGD(LEARNING_RATE), channels_last(x), y)
    made.hand.load_state_dict(to_torch(made.classes[0].get_weights(), made.hand.state_dict()))
    copy_weights(made.hand, made.twins[1])
    expected = made.classes[0](channels_last(x)).numpy()
    compare_arrays("hand-written", made.hand(x), expected)
    compare_arrays("PyTorch", made.twins[1](torch.from_numpy(x)).detach().numpy(), expected)


@pytest.mark.parametrize(
    ("make", "sizes"),
    [
        (modules.TwoLayerFC, (400, 10)),
        (sequential.two_layer_fc, (400, 10)),
        (modules.ThreeLayerConvNet, (32, 16, 10)),
        (sequential.three_layer_convnet, (32, 16, 10)),
    ],
)
def test_weights_begin_as_he_et_al_say_and_images_become_scores(make, sizes):
    network = make(*sizes)
    assert network(tf.zeros((64, 32, 32, 3))).shape == (64, 10)  # as the course asks
    for weight in network.get_weights():
        if weight.ndim == 1:
            assert not weight.any()
        else:
            expected = (2 / weight[..., 0].size) ** 0.5
            assert weight.std() == pytest.approx(expected, rel=0.1)


def test_a_random_weight_has_the_spread_of_its_fan_in():
    for shape, fan_in in (((500, 80), 500), ((5, 5, 8, 64), 200)):
        weight = tensors.random_weight(shape, tf.random.Generator.from_seed(0))
        assert weight.trainable
        assert weight.numpy().std() == pytest.approx((2 / fan_in) ** 0.5, rel=0.05)


def test_bare_tensors_learn_from_random_weights():
    generator = tf.random.Generator.from_seed(0)
    params = [
        *(tensors.random_weight((5, 5, C, 8), generator), tensors.zero_weight((8,))),
        *(tensors.random_weight((3, 3, 8, 4), generator), tensors.zero_weight((4,))),
        *(tensors.random_weight((H * W * 4, CLASSES), generator), tensors.zero_weight((CLASSES,))),
    ]
    x, y = next(batches("float32"))
    losses = [tensors.sgd_step(tensors.three_layer_convnet, params, channels_last(x), y, LEARNING_RATE) for _ in range(20)]
    assert losses[-1] < 0.1 * losses[0]  # sixteen images are learned by heart
