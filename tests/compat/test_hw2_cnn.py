"""The homework's convolutional and residual networks, held against plain torch functions and counts by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from chainrule.compat.cs236781 import cnn  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    """The networks are too small to share among threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def names(sequential):
    return [type(layer).__name__ for layer in sequential]


def close(actual, expected):
    """Two float32 results of the same sums in another order: 1e-7 each, over some hundred terms and a few layers."""
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


# what the homework's notebook prints after torch.manual_seed(42), to four places
IN_THE_NOTEBOOK = [
    (
        {
            "out_classes": 10,
            "channels": [32] * 4,
            "pool_every": 2,
            "hidden_dims": [100] * 2,
            "conv_params": {"kernel_size": 3, "stride": 1, "padding": 1},
            "activation_type": "relu",
            "pooling_type": "max",
            "pooling_params": {"kernel_size": 2},
        },
        [0.0745, -0.1058, 0.0928, 0.0476, 0.0057, 0.0051, 0.0938, -0.0582, 0.0573, 0.0583],
    ),
    (
        {
            "out_classes": 10,
            "channels": [32] * 4,
            "pool_every": 2,
            "hidden_dims": [100] * 2,
            "conv_params": {"kernel_size": 5, "stride": 2, "padding": 3},
            "activation_type": "lrelu",
            "activation_params": {"negative_slope": 0.05},
            "pooling_type": "avg",
            "pooling_params": {"kernel_size": 3},
        },
        [0.0724, -0.0030, 0.0637, -0.0073, 0.0932, -0.0662, -0.0656, 0.0076, 0.0193, 0.0241],
    ),
    (
        {
            "out_classes": 3,
            "channels": [16] * 5,
            "pool_every": 3,
            "hidden_dims": [100],
            "conv_params": {"kernel_size": 2, "stride": 2, "padding": 2},
            "activation_type": "lrelu",
            "activation_params": {"negative_slope": 0.1},
            "pooling_type": "max",
            "pooling_params": {"kernel_size": 2},
        },
        [-0.0004, -0.0094, 0.0817],
    ),
]


@pytest.mark.parametrize(("arguments", "expected"), IN_THE_NOTEBOOK, ids=["3x3 relu max", "5x5 lrelu avg", "2x2 lrelu, two left over"])
def test_a_seed_gives_the_scores_that_the_notebook_expects(arguments, expected):
    torch.manual_seed(42)
    net = cnn.CNN((3, 100, 100), **arguments)
    scores = net(torch.ones(1, 3, 100, 100))
    torch.testing.assert_close(scores.detach(), torch.tensor([expected]), rtol=0, atol=1e-4)


def test_a_cnn_is_convolutions_pools_and_linear_layers():
    torch.manual_seed(0)
    net = cnn.CNN((2, 13, 8), 3, [4, 5, 6], 2, [7], {"kernel_size": (3, 1), "bias": False}, "tanh", None, "avg", {"kernel_size": 2})
    x = torch.randn(5, 2, 13, 8)
    weights = dict(net.named_parameters())
    assert {name: tuple(p.shape) for name, p in weights.items()} == {
        "feature_extractor.0.weight": (4, 2, 3, 1),
        "feature_extractor.2.weight": (5, 4, 3, 1),
        "feature_extractor.5.weight": (6, 5, 3, 1),
        "mlp.0.weight": (7, 6 * 2 * 4),  # 13 x 8, 11 x 8, 9 x 8, pooled to 4 x 4, 2 x 4
        "mlp.0.bias": (7,),
        "mlp.2.weight": (3, 7),
        "mlp.2.bias": (3,),
    }
    out = torch.tanh(F.conv2d(x, weights["feature_extractor.0.weight"]))
    out = torch.tanh(F.conv2d(out, weights["feature_extractor.2.weight"]))
    out = torch.tanh(F.conv2d(F.avg_pool2d(out, 2), weights["feature_extractor.5.weight"]))
    out = torch.tanh(F.linear(out.reshape(5, -1), weights["mlp.0.weight"], weights["mlp.0.bias"]))
    close(net(x), F.linear(out, weights["mlp.2.weight"], weights["mlp.2.bias"]))


def test_without_sizes_convolutions_preserve_the_image_and_pools_halve_it():
    net = cnn.ConvClassifier((3, 10, 12), 4, channels=[5] * 4, pool_every=2, hidden_dims=[6] * 2)
    assert net._n_features() == 5 * 2 * 3
    assert str(net) == (
        "CNN(\n"
        "  (feature_extractor): Sequential(\n"
        "    (0): Conv2d(3, 5, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n"
        "    (1): ReLU()\n"
        "    (2): Conv2d(5, 5, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n"
        "    (3): ReLU()\n"
        "    (4): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)\n"
        "    (5): Conv2d(5, 5, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n"
        "    (6): ReLU()\n"
        "    (7): Conv2d(5, 5, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n"
        "    (8): ReLU()\n"
        "    (9): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)\n"
        "  )\n"
        "  (mlp): Sequential(\n"
        "    (0): Linear(in_features=30, out_features=6, bias=True)\n"
        "    (1): ReLU()\n"
        "    (2): Linear(in_features=6, out_features=6, bias=True)\n"
        "    (3): ReLU()\n"
        "    (4): Linear(in_features=6, out_features=4, bias=True)\n"
        "  )\n"
        ")"
    )
    # (3 * 9 + 1) * 5 and three of (5 * 9 + 1) * 5; (30 + 1) * 6, (6 + 1) * 6, (6 + 1) * 4
    assert parameters(net) == 140 + 3 * 230 + 186 + 42 + 28


def test_other_arguments_of_a_convolution_leave_its_size_at_3_by_3():
    net = cnn.CNN((3, 8, 8), 2, [4], 1, [], {"stride": 2}, pooling_params={"stride": 1})
    assert str(net.feature_extractor[0]) == "Conv2d(3, 4, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))"
    assert net.feature_extractor[2].kernel_size == 2
    assert net._n_features() == 4 * 3 * 3


@given(channels=st.lists(st.integers(1, 4), min_size=1, max_size=5), pool_every=st.integers(1, 6), residual=st.booleans())
def test_there_is_a_pool_after_every_p_convolutions_and_none_after_those_left_over(channels, pool_every, residual):
    net = (cnn.ResNet if residual else cnn.CNN)((2, 32, 32), 3, channels, pool_every, [])
    pools = len(channels) // pool_every
    assert names(net.feature_extractor).count("MaxPool2d") == pools
    assert [m.out_channels for m in net.feature_extractor.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)] == channels
    assert net._n_features() == channels[-1] * (32 // 2**pools) ** 2
    assert net(torch.zeros(2, 2, 32, 32)).shape == (2, 3)
    if len(channels) % pool_every:
        assert names(net.feature_extractor)[-1] != "MaxPool2d"


def test_a_residual_block_is_two_paths_and_relu():
    torch.manual_seed(1)
    block = cnn.ResidualBlock(3, [6, 4], [3, 5], batchnorm=True, activation_type="lrelu", activation_params={"negative_slope": 0.2})
    norm = block.main_path[1]
    nn.init.uniform_(norm.weight, 0.5, 2)
    nn.init.uniform_(norm.bias, -1, 1)
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.5, 2)
    x = torch.randn(2, 3, 7, 9)
    first, last = block.main_path[0], block.main_path[3]

    def expected(training):
        out = F.conv2d(x, first.weight, first.bias, padding=1)
        out = F.batch_norm(out, norm.running_mean.clone(), norm.running_var.clone(), norm.weight, norm.bias, training)
        out = F.conv2d(F.leaky_relu(out, 0.2), last.weight, last.bias, padding=2)
        return (out + F.conv2d(x, block.shortcut_path[0].weight)).clamp(min=0)

    close(block.eval()(x), expected(training=False))
    close(block.train()(x), expected(training=True))


def test_dropout_normalization_and_activation_stand_between_two_convolutions():
    block = cnn.ResidualBlock(3, [6, 4] * 2, [3, 5] * 2, batchnorm=True, dropout=0.2)
    assert names(block.main_path) == ["Conv2d", "Dropout2d", "BatchNorm2d", "ReLU"] * 3 + ["Conv2d"]
    assert [layer.p for layer in block.main_path if isinstance(layer, nn.Dropout2d)] == [0.2] * 3
    assert [layer.kernel_size[0] for layer in block.main_path if isinstance(layer, nn.Conv2d)] == [3, 5, 3, 5]
    assert str(block.shortcut_path) == "Sequential(\n  (0): Conv2d(3, 4, kernel_size=(1, 1), stride=(1, 1), bias=False)\n)"
    plain = cnn.ResidualBlock(4, [6, 4], [1, 3])
    assert names(plain.main_path) == ["Conv2d", "ReLU", "Conv2d"]
    assert names(plain.shortcut_path) == ["Identity"]


@given(
    inputs=st.integers(1, 4),
    convolutions=st.lists(st.tuples(st.integers(1, 4), st.sampled_from([1, 3, 5, 7])), min_size=1, max_size=4),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
)
def test_a_residual_block_preserves_the_size_of_the_image(inputs, convolutions, size):
    channels, kernel_sizes = zip(*convolutions, strict=True)
    block = cnn.ResidualBlock(inputs, channels, kernel_sizes)
    out = block(torch.randn(2, inputs, *size))
    assert out.shape == (2, channels[-1], *size)
    assert out.min() >= 0
    shortcut = inputs * channels[-1] if inputs != channels[-1] else 0
    sizes = zip([inputs, *channels], channels, kernel_sizes, strict=False)
    assert parameters(block) == shortcut + sum((d * k**2 + 1) * c for d, c, k in sizes)


def test_gradients_reach_the_input_through_the_shortcut_where_the_main_path_is_zero():
    block = cnn.ResidualBlock(3, [5, 3], [3, 3])
    nn.init.zeros_(block.main_path[-1].weight)
    nn.init.zeros_(block.main_path[-1].bias)
    x = torch.randn(2, 3, 4, 5, requires_grad=True)
    dout = torch.randn(2, 3, 4, 5)
    block(x).backward(dout)
    torch.testing.assert_close(x.grad, dout * (x > 0), rtol=0, atol=0)


def test_a_bottleneck_has_the_parameters_that_the_homework_asks_to_count():
    # 256 -> 64 of 1 x 1, 64 -> 64 of 3 x 3, 64 -> 256 of 1 x 1
    assert parameters(cnn.ResidualBottleneckBlock(256, [64], [3])) == 257 * 64 + (64 * 9 + 1) * 64 + 65 * 256 == 70_016
    assert parameters(cnn.ResidualBlock(256, [256] * 2, [3] * 2)) == 2 * (256 * 9 + 1) * 256 == 1_180_160


def test_a_bottleneck_is_a_residual_block_between_two_projections():
    block = cnn.ResidualBottleneckBlock(10, [5, 2], [3, 5], batchnorm=True, dropout=0.1, activation_type="lrelu")
    twin = cnn.ResidualBlock(10, [5, 5, 2, 10], [1, 3, 5, 1], batchnorm=True, dropout=0.1, activation_type="lrelu")
    assert isinstance(block, cnn.ResidualBlock)
    assert str(block) == str(twin).replace("ResidualBlock", "ResidualBottleneckBlock")
    assert names(block.shortcut_path) == ["Identity"]


def test_a_resnet_is_a_residual_block_before_each_pool():
    torch.manual_seed(2)
    net = cnn.ResNet((3, 8, 8), 4, [5, 6, 7], 2, [9], batchnorm=True, activation_type="lrelu", pooling_type="avg").eval()
    assert names(net.feature_extractor) == ["ResidualBlock", "AvgPool2d", "ResidualBlock"]
    assert "LeakyReLU" in names(net.feature_extractor[0].main_path)
    assert names(net.mlp) == ["Linear", "LeakyReLU", "Linear"]
    x = torch.randn(2, 3, 8, 8)
    first, _, last = net.feature_extractor
    out = F.avg_pool2d(first(x), 2)
    out = torch.relu(F.conv2d(out, last.main_path[0].weight, last.main_path[0].bias, padding=1) + last.shortcut_path(out))
    close(net(x), net.mlp(out.reshape(2, -1)))
    # first block: 3 -> 5 -> 6 with 5 scales and 5 shifts, shortcut 3 -> 6; last: 6 -> 7 and its shortcut; 7 * 4 * 4 features
    first, last = (27 + 1) * 5 + 10 + (45 + 1) * 6 + 18, (54 + 1) * 7 + 42
    assert parameters(net) == first + last + (112 + 1) * 9 + (9 + 1) * 4


def test_bottlenecks_stand_where_a_group_ends_with_the_channels_it_begins_with():
    net = cnn.ResNet((3, 32, 32), 5, [8, 2, 8] * 3 + [8, 8], 3, [6], activation_type="tanh", batchnorm=True, dropout=0.1, bottleneck=True)
    blocks = [layer for layer in net.feature_extractor if not isinstance(layer, nn.MaxPool2d)]
    assert names(blocks) == ["ResidualBlock", *["ResidualBottleneckBlock"] * 2, "ResidualBlock"]  # two convolutions have no inner one
    inner = [(m.in_channels, m.out_channels, m.kernel_size[0]) for m in blocks[1].main_path if isinstance(m, nn.Conv2d)]
    assert inner == [(8, 2, 1), (2, 2, 3), (2, 8, 1)]
    assert names(cnn.ResNet((3, 32, 32), 5, [8, 2, 8] * 2, 3, []).feature_extractor)[2] == "ResidualBlock"


@pytest.mark.parametrize(
    ("network", "settings"),
    [
        (cnn.CNN, {}),
        (cnn.ResNet, {"batchnorm": True}),
        (cnn.ResNet, {"bottleneck": True}),
        (cnn.YourCNN, {"dropout": 0.0}),
        (cnn.YourCNN, {"dropout": 0.0, "bottleneck": True, "batchnorm": False}),
    ],
    ids=["CNN", "ResNet", "bottlenecks", "YourCNN", "YourCNN with bottlenecks"],
)
def test_every_parameter_has_a_gradient_and_a_batch_is_learnt_by_heart(network, settings):
    torch.manual_seed(3)
    net = network((3, 8, 8), 4, [6, 4, 6] * 2, 3, [16], activation_type="lrelu", **settings)
    x, y = torch.randn(16, 3, 8, 8), torch.arange(16) % 4
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []
    assert losses[-1] < 0.1 < 1 < losses[0]


def test_your_cnn_has_short_blocks_normalized_to_their_ends():
    net = cnn.YourCNN((3, 20, 12), 4, [5] * 5 + [6] * 3, 5, [7])
    assert names(net.feature_extractor) == [*["ResidualBlock"] * 3, "MaxPool2d", *["ResidualBlock"] * 2]
    blocks = [layer for layer in net.feature_extractor if isinstance(layer, cnn.ResidualBlock)]
    two, one = ["Conv2d", "Dropout2d", "BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d"], ["Conv2d", "BatchNorm2d"]
    assert [names(block.main_path) for block in blocks] == [two, two, one, two, one]
    assert net(torch.randn(2, 3, 20, 12)).shape == (2, 4)
    plain = cnn.YourCNN((3, 20, 12), 4, [5] * 4, 4, [7], batchnorm=False, dropout=0.0)
    assert [names(block.main_path) for block in plain.feature_extractor[:2]] == [["Conv2d", "ReLU", "Conv2d"]] * 2
    bottlenecks = cnn.YourCNN((3, 20, 12), 4, [6, 2, 6] * 3, 9, [7], bottleneck=True)
    assert names(bottlenecks.feature_extractor)[:3] == ["ResidualBlock", *["ResidualBottleneckBlock"] * 2]


def test_building_a_network_draws_its_weights_alone_and_leaves_the_running_statistics():
    torch.manual_seed(5)
    net = cnn.ResNet((3, 8, 8), 4, [5, 6], 2, [7], batchnorm=True, dropout=0.5)
    after = torch.rand(3)
    torch.manual_seed(5)
    cnn.ResidualBlock(3, [5, 6], [3, 3], batchnorm=True, dropout=0.5)
    nn.Linear(6 * 4 * 4, 7), nn.Linear(7, 4)
    assert torch.equal(after, torch.rand(3))
    norm = net.feature_extractor[0].main_path[2]
    assert (norm.num_batches_tracked, norm.running_mean.any()) == (0, False)
    assert all(module.training for module in net.modules())
    assert net._n_features() == 96
    assert all(module.training for module in net.modules())


def test_the_names_of_earlier_years_are_the_same_networks():
    assert (cnn.ConvClassifier, cnn.ResNetClassifier, cnn.YourCodeNet) == (cnn.CNN, cnn.ResNet, cnn.YourCNN)


NETWORK = {"in_size": (3, 8, 8), "out_classes": 4, "channels": [5, 6], "pool_every": 2, "hidden_dims": [7]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_size": (8, 8)}, r"CNN: in_size is \(8, 8\); expected \(channels, height, width\)"),
        ({"in_size": (3, 8, 0)}, r"CNN: in_size is \(3, 8, 0\); expected a tuple of whole numbers, each at least 1"),
        ({"out_classes": 0}, "CNN: out_classes is 0; expected a whole number, at least 1"),
        ({"channels": []}, "CNN: channels is empty; give at least one number"),
        ({"channels": 5}, "CNN: channels is 5; expected a tuple of whole numbers"),
        ({"pool_every": 1.5}, "CNN: pool_every is 1.5; expected a whole number"),
        ({"hidden_dims": [7, -1]}, r"CNN: hidden_dims is \[7, -1\]; expected"),
        ({"activation_type": "swish"}, "CNN: activation_type='swish'; expected 'relu' or 'lrelu' or 'tanh' or 'sigmoid'"),
        ({"pooling_type": "min"}, "CNN: pooling_type='min'; expected 'max' or 'avg'"),
        (
            {"channels": [5] * 4, "pool_every": 1},
            r"CNN: an image of \(3, 8, 8\) gets too small on its way through 4 convolutions with a pool after every 1 \(.*1x1.*\); use",
        ),
        (
            {"conv_params": {"kernel_size": 9}},
            r"CNN: an image of \(3, 8, 8\) gets too small on its way through 2 convolutions with a pool after every 2 \(.*9 x 9.*\); use",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_arguments_that_make_no_network_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        cnn.CNN(**NETWORK | arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, [4], [3]), "ResidualBlock: in_channels is 0"),
        ((3, [], []), "ResidualBlock: channels is empty"),
        ((3, [4, 5], [3]), "ResidualBlock: 2 channels but 1 kernel_sizes; each convolution needs one of each"),
        ((3, [4, 5], [3, 4]), "ResidualBlock: kernel size 4 is even; only an odd one can preserve the size of the image"),
        ((3, [4], [3], False, 1.0), r"ResidualBlock: dropout=1.0 is not in \[0, 1\); it is the probability to drop a channel"),
        ((3, [4], [3], False, 0.0, "none"), "ResidualBlock: activation_type='none'; expected 'relu' or"),
    ],
    ids=["in_channels", "no channels", "lengths", "even", "dropout", "activation"],
)
def test_arguments_that_make_no_residual_block_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        cnn.ResidualBlock(*arguments)


def test_a_bottleneck_without_an_inner_convolution_is_refused():
    with pytest.raises(ValueError, match="ResidualBottleneckBlock: inner_channels is empty"):
        cnn.ResidualBottleneckBlock(8, [], [])
    with pytest.raises(ValueError, match="ResidualBottleneckBlock: 4 channels but 3 kernel_sizes"):
        cnn.ResidualBottleneckBlock(8, [2, 2], [3])


def test_unknown_arguments_are_refused():
    with pytest.raises(TypeError, match="batch_norm"):
        cnn.ResidualBlock(3, [4], [3], batch_norm=True)
    with pytest.raises(TypeError, match="batch_norm"):
        cnn.ResNet(**NETWORK, batch_norm=True)


def test_images_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"ResNet: images are \(2, 3, 8, 9\); expected \(N, 3, 8, 8\)"):
        cnn.ResNet(**NETWORK)(torch.zeros(2, 3, 8, 9))
