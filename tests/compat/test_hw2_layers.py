"""The homework's layers against PyTorch's own, and by the homework's own comparison: autograd through the layers themselves."""

from itertools import pairwise

import pytest

torch = pytest.importorskip("torch")

from chainrule.compat.cs236781 import layers  # noqa: E402

N, D = 40, 12
# float32: unit roundoff 6e-8, sums of up to 40 terms of size 1 to 10, times ten
CLOSE = dict(rtol=1e-5, atol=1e-5)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(42)


def compare_with_autograd(layer, x, y=None):
    """Gradients of `backward` and those of PyTorch's graph through the same layer, as pairs: of the input, then of the parameters."""
    torch.manual_seed(1)
    z = layer(x, y=y)
    dz = torch.randn(*z.shape) if z.dim() > 0 else torch.tensor(1.0)
    dx = layer.backward(dz)
    for tensor, _ in [*layer.params(), (x, None)]:
        tensor.requires_grad = True
    torch.manual_seed(1)
    layer(x, y=y).backward(dz)
    return [(dx, x.grad)] + [(gradient, tensor.grad) for tensor, gradient in layer.params()]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (layers.ReLU(), torch.nn.ReLU()),
        (layers.LeakyReLU(alpha=0.1), torch.nn.LeakyReLU(0.1)),
        (layers.LeakyReLU(), torch.nn.LeakyReLU(0.01)),
        (layers.Sigmoid(), torch.nn.Sigmoid()),
        (layers.TanH(), torch.nn.Tanh()),
    ],
    ids=["relu", "leaky relu", "leaky relu by default", "sigmoid", "tanh"],
)
@pytest.mark.parametrize("shape", [(N, D), (3, 2, 4, 5)], ids=["rows", "images"])
def test_an_activation_is_pytorch_s(ours, theirs, shape):
    x = torch.randn(shape, requires_grad=True)
    dout = torch.randn(shape)
    out = theirs(x)
    out.backward(dout)
    torch.testing.assert_close(ours(x.detach()), out.detach(), **CLOSE)
    torch.testing.assert_close(ours.backward(dout), x.grad, **CLOSE)
    assert ours.params() == []


def test_linear_is_pytorch_s_with_the_same_weights():
    ours, theirs = layers.Linear(D, 7), torch.nn.Linear(D, 7)
    theirs.load_state_dict({"weight": ours.w, "bias": ours.b + 0.5})
    ours.b += 0.5
    x, dout = torch.randn(N, D, requires_grad=True), torch.randn(N, 7)
    out = theirs(x)
    out.backward(dout)
    torch.testing.assert_close(ours(x.detach()), out.detach(), **CLOSE)
    torch.testing.assert_close(ours.backward(dout), x.grad, **CLOSE)
    (w, dw), (b, db) = ours.params()
    assert (w.shape, b.shape) == ((7, D), (7,))
    torch.testing.assert_close(dw, theirs.weight.grad, **CLOSE)
    torch.testing.assert_close(db, theirs.bias.grad, **CLOSE)


def test_linear_draws_its_weights_from_pytorch_s_generator_with_the_given_deviation():
    torch.manual_seed(3)
    linear = layers.Linear(300, 200, wstd=0.4)
    assert linear.w.std().item() == pytest.approx(0.4, rel=0.02)  # 60000 draws: 0.3 %
    assert not linear.b.any()
    torch.manual_seed(3)
    assert torch.equal(layers.Linear(300, 200, wstd=0.4).w, linear.w)


def test_gradients_of_linear_add_up_in_the_same_tensors_until_they_are_zeroed():
    linear = layers.Linear(D, 7)
    (_, dw), (_, db) = linear.params()
    x, dout = torch.randn(N, D), torch.randn(N, 7)
    linear(x)
    linear.backward(dout)
    once = dw.clone(), db.clone()
    linear.backward(dout)
    torch.testing.assert_close(dw, 2 * once[0])
    torch.testing.assert_close(db, 2 * once[1])


def test_cross_entropy_is_pytorch_s():
    x, y = 10 * torch.randn(N, 5), torch.randint(5, (N,))
    loss_function = layers.CrossEntropyLoss()
    loss = loss_function(x, y)
    x.requires_grad = True
    expected = torch.nn.functional.cross_entropy(x, y)
    expected.backward()
    assert loss.shape == ()
    torch.testing.assert_close(loss, expected.detach(), **CLOSE)
    torch.testing.assert_close(loss_function.backward(), x.grad, **CLOSE)
    torch.testing.assert_close(loss_function.backward(torch.tensor(3.0)), 3 * x.grad, **CLOSE)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_the_homework_s_own_comparison_with_autograd_finds_no_difference(activation, training):
    mlp = layers.MLP(D, 5, [20] * 3, activation=activation, dropout=0.6)
    mlp.train(training)
    pairs = compare_with_autograd(mlp, torch.randn(N, D))
    assert len(pairs) == 1 + 8
    for ours, autograd in pairs:
        torch.testing.assert_close(ours, autograd, rtol=0, atol=0)  # one and the same backward pass


def test_the_comparison_works_on_a_loss_too():
    ((ours, autograd),) = compare_with_autograd(layers.CrossEntropyLoss(), torch.randn(N, 5), torch.randint(5, (N,)))
    assert torch.equal(ours, autograd)


def test_a_long_sequence_is_pytorch_s():
    sizes = [D, 10, 20, 10, 1]
    ours, theirs = [], []
    for size, next_size in pairwise(sizes):
        linear, twin = layers.Linear(size, next_size, wstd=0.5), torch.nn.Linear(size, next_size)
        twin.load_state_dict({"weight": linear.w, "bias": linear.b})
        ours += [linear, layers.LeakyReLU(0.2)]
        theirs += [twin, torch.nn.LeakyReLU(0.2)]
    sequence, twins = layers.Sequential(*ours, layers.Sigmoid()), torch.nn.Sequential(*theirs, torch.nn.Sigmoid())
    x, dout = torch.randn(N, D, requires_grad=True), torch.randn(N, 1)
    out = twins(x)
    out.backward(dout)
    torch.testing.assert_close(sequence(x.detach()), out.detach(), **CLOSE)
    torch.testing.assert_close(sequence.backward(dout), x.grad, **CLOSE)
    for (_, gradient), parameter in zip(sequence.params(), twins.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad, **CLOSE)


def test_a_sequence_has_a_length_indices_slices_and_an_iterator():
    relu, linear, sigmoid = layers.ReLU(), layers.Linear(3, 2), layers.Sigmoid()
    sequence = layers.Sequential(relu, linear, sigmoid)
    assert len(sequence) == 3
    assert sequence[1] is linear
    assert sequence[-1] is sigmoid
    assert list(sequence) == [relu, linear, sigmoid]
    assert list(sequence[1:]) == [linear, sigmoid]


class TestDropout:
    def test_in_training_a_share_of_p_is_dropped_and_the_rest_scaled_so_that_the_mean_stays(self):
        x = torch.ones(500, 500)
        dropout = layers.Dropout(p=0.3)
        out = dropout(x)
        # 250000 draws: the share's deviation is 0.001
        assert (out == 0).float().mean().item() == pytest.approx(0.3, abs=0.006)
        torch.testing.assert_close(out[out != 0], torch.full_like(out[out != 0], 1 / 0.7))
        torch.testing.assert_close(dropout.backward(x), out)  # the gradient passes the same mask

    def test_otherwise_it_is_the_identity(self):
        dropout = layers.Dropout(p=0.3)
        dropout.train(False)
        x = torch.randn(N, D)
        assert torch.equal(dropout(x), x)
        assert torch.equal(dropout.backward(x), x)

    def test_masks_follow_pytorch_s_seed(self):
        dropout, x = layers.Dropout(), torch.ones(N, D)
        torch.manual_seed(5)
        first = dropout(x)
        assert not torch.equal(dropout(x), first)
        torch.manual_seed(5)
        assert torch.equal(dropout(x), first)

    @pytest.mark.parametrize("p", [-0.1, 1.0])
    def test_a_probability_that_keeps_nothing_or_is_none_is_refused(self, p):
        with pytest.raises(ValueError, match=rf"Dropout: p={p} is not in \[0, 1\); it is the probability to drop an element"):
            layers.Dropout(p)


class TestMLP:
    def test_dropout_follows_every_activation_and_linear_comes_last(self):
        mlp = layers.MLP(D, 5, [50] * 3, dropout=0.6)
        assert len(mlp.sequence) == 10
        for layer, following in zip(mlp.sequence, mlp.sequence[1:], strict=False):
            if str(layer).lower() == "relu":
                assert str(following).startswith("Dropout")
        assert str(mlp.sequence[-1]).startswith("Linear")
        assert len(layers.MLP(D, 5, [50] * 3).sequence) == 7

    def test_without_hidden_layers_it_is_one_linear_layer(self):
        assert len(layers.MLP(D, 5).sequence) == 1

    def test_wstd_reaches_every_linear_layer(self):
        mlp = layers.MLP(200, 200, [200], wstd=0.5)
        for layer in (mlp.sequence[0], mlp.sequence[-1]):
            assert layer.w.std().item() == pytest.approx(0.5, rel=0.05)

    def test_train_reaches_every_layer(self):
        mlp = layers.MLP(D, 5, [50], dropout=0.5)
        mlp.train(False)
        assert not any(layer.training_mode for layer in mlp.sequence)

    def test_an_unknown_activation_is_refused(self):
        with pytest.raises(ValueError, match="activation='gelu'; expected 'relu' or 'sigmoid'"):
            layers.MLP(D, 5, activation="gelu")


def test_layers_print_as_the_notebooks_expect():
    assert str(layers.ReLU()) == "ReLU"
    assert str(layers.Sigmoid()) == "Sigmoid"
    assert str(layers.TanH()) == "TanH"
    assert str(layers.LeakyReLU(0.2)) == "LeakyReLU(alpha=0.2)"
    assert str(layers.Dropout(0.4)) == "Dropout(p=0.4)"
    assert str(layers.Linear(3, 2)) == "Linear(in_features=3, out_features=2)"
    assert str(layers.Sequential(layers.ReLU())) == "Sequential\n\t[0] ReLU\n"
    assert str(layers.MLP(3, 2)).startswith("MLP, Sequential\n")


def test_a_slope_outside_its_range_is_refused():
    with pytest.raises(ValueError, match=r"LeakyReLU: alpha=1.5 is not in \[0, 1\)"):
        layers.LeakyReLU(1.5)
