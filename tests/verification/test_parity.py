"""Parity with PyTorch holds for right networks; planted differences are found and named."""

import numpy as np
import pytest

from chainrule import models, nn, optim
from chainrule.training.engine import HandEngine
from chainrule.verification import ParityError, check_parity, check_training_parity, compare_arrays, compare_named
from chainrule.verification.parity import biases_without_influence

ONES = np.ones((2, 3))


# --- arrays ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "passes", "fails"), [(np.float64, 9e-11, 2e-10), (np.float32, 9e-5, 2e-4)])
def test_the_tolerance_is_relative_to_the_greatest_entry_and_comes_from_the_dtype(dtype, passes, fails):
    expected = np.array([1e-3, -4.0], dtype)
    assert compare_arrays("w", expected + np.array([4 * passes, 0], dtype), expected) == pytest.approx(passes, rel=1e-3)
    with pytest.raises(ParityError, match=r"w\[0\] is"):
        compare_arrays("w", expected + np.array([4 * fails, 0], dtype), expected)


def test_a_difference_is_reported_with_index_both_values_and_tolerance():
    actual = ONES.copy()
    actual[1, 2], actual[0, 0] = 1.5, 1.25
    with pytest.raises(ParityError) as raised:
        compare_arrays("gradient of 3.weight", actual, ONES)
    assert str(raised.value) == (
        "gradient of 3.weight[1, 2] is 1.5, expected 1: a difference of 0.5, the greatest of 2 among 6 entries; "
        "1e-10 is allowed, 1e-10 of the greatest entry, 1"
    )


@pytest.mark.parametrize(
    ("actual", "expected", "message"),
    [
        (np.ones((1, 3)), np.ones(3), r"w has shape \(1, 3\), expected \(3,\)"),
        (np.ones(3, np.float32), np.ones(3), "w is float32, expected float64"),
        (np.array([1.0, np.nan]), np.ones(2), r"w\[1\] is nan, expected 1.0"),
        (np.ones(2), np.array([np.inf, 1.0]), r"w\[0\] is 1.0, expected inf"),
        (np.array([np.inf]), np.array([-np.inf]), r"w\[0\] is inf, expected -inf"),
        (np.array([np.inf]), np.array([np.nan]), r"w\[0\] is inf, expected nan"),
        (np.array([3]), np.array([4]), r"w\[0\] is 3, expected 4"),
    ],
)
def test_arrays_that_differ_in_kind_are_rejected(actual, expected, message):
    with pytest.raises(ParityError, match=message):
        compare_arrays("w", actual, expected)


@pytest.mark.parametrize("same", [np.zeros(3), np.zeros((0, 2)), np.array([np.inf, np.nan, -np.inf]), np.array(5), np.array(2.5)])
def test_equal_arrays_have_no_error(same):
    assert compare_arrays("w", same.copy(), same) == 0


def test_a_scale_is_what_small_arrays_are_held_against():
    rounding = np.array([3e-17, -1e-17])
    with pytest.raises(ParityError):
        compare_arrays("dbias", rounding, -rounding)
    compare_arrays("dbias", rounding, -rounding, scale=1.0)


def test_names_must_be_the_same():
    assert compare_named("state", {"w": ONES}, {"w": ONES}) == {"state w": 0}
    with pytest.raises(ParityError, match="state b is missing; state c was not expected"):
        compare_named("state", {"w": ONES, "c": ONES}, {"w": ONES, "b": ONES})


# --- networks -------------------------------------------------------------------------------------------------------------------------

torch = pytest.importorskip("torch", reason="PyTorch is the twin here")
pytorch = pytest.importorskip("chainrule.pytorch")

REFERENCE = nn.namespace(nn.REFERENCE)
RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.standard_normal((7, 3, 4, 4)), RNG.integers(0, 10, 7)


def build(namespace, **options):
    return models.fully_connected(namespace, image=(3, 4, 4), hidden_dims=(16, 12), **options)


@pytest.mark.parametrize("namespace", [pytest.param(nn, id="kernels"), pytest.param(REFERENCE, id="reference")])
@pytest.mark.parametrize("labels", [None, LABELS], ids=["random dout", "cross-entropy"])
@pytest.mark.parametrize("options", [{}, {"normalization": "batch", "dropout": 0.3}, {"normalization": "layer"}], ids=str)
def test_a_network_agrees_with_its_twin(options, labels, namespace):
    report = check_parity(build(namespace, **options), build(pytorch.nn, **options), IMAGES, labels)
    assert report.error <= report.tolerance == 1e-10
    assert ("loss of scores" in report.errors) == (labels is not None)
    for expected in ("output of 1", "output of 1 (eval)", "gradient of x", "gradient of 1.weight", "gradient of 1.weight (eval)"):
        assert expected in report.errors and expected in str(report)
    if options.get("normalization") == "batch":
        assert "state 2.running_var" in report.errors


def test_both_networks_are_left_as_they_are():
    model, twin = build(nn), build(pytorch.nn)
    before = model[1].weight.data.copy(), twin[1].weight.detach().clone()
    check_parity(model, twin, IMAGES)
    assert np.array_equal(before[0], model[1].weight.data) and model[1].weight.dtype == np.float32
    assert torch.equal(before[1], twin[1].weight) and twin[1].weight.grad is None
    assert "forward" not in vars(model[1]) and "forward" not in vars(twin[1])


class WithoutMean(nn.BatchNorm1d):
    def backward(self, dout):
        return super().backward(dout) + dout.mean(axis=0)


class OwnMomentum(nn.BatchNorm1d):
    def __init__(self, *arguments):
        super().__init__(*arguments, momentum=0.2)


class Shifted(nn.ReLU):
    def forward(self, x):
        return super().forward(x) + 1e-8 * (not self.training)


def with_normalization(namespace, normalization, activation):
    return namespace.Sequential(namespace.Flatten(), namespace.Linear(48, 16), normalization(16), activation(), namespace.Linear(16, 10))


@pytest.mark.parametrize(
    ("normalization", "activation", "message"),
    [
        (WithoutMean, nn.ReLU, r"^gradient of (x|1.weight|1.bias)\["),
        (OwnMomentum, nn.ReLU, r"^state 2.running_mean\[\d+\] is \S+, expected"),
        (nn.BatchNorm1d, Shifted, r"^output of 3\[\d+, \d+\] is"),
        (nn.BatchNorm1d, nn.LeakyReLU, r"^output of 3\[\d+, \d+\] is -\S+, expected 0:"),
    ],
)
def test_a_planted_difference_is_found_and_named(normalization, activation, message):
    twin = with_normalization(pytorch.nn, pytorch.nn.BatchNorm1d, pytorch.nn.ReLU)
    with pytest.raises(ParityError, match=message):
        check_parity(with_normalization(nn, normalization, activation), twin, IMAGES, LABELS)


# --- training -------------------------------------------------------------------------------------------------------------------------


def engines(optimizer, twin_optimizer, **options):
    model, twin = build(nn, **options).double(), build(pytorch.nn, **options).double()
    return (
        HandEngine(model, nn.CrossEntropyLoss(), optimizer(model.parameters())),
        pytorch.TorchEngine(twin, torch.nn.CrossEntropyLoss(), twin_optimizer(twin.parameters())),
    )


BATCHES = [(RNG.standard_normal((8, 3, 4, 4)), RNG.integers(0, 10, 8)) for _ in range(20)]


@pytest.mark.parametrize("options", [{}, {"normalization": "batch", "dropout": 0.3}], ids=str)
@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_training_agrees_step_by_step(name, options):
    report = check_training_parity(*engines(getattr(optim, name), getattr(torch.optim, name), **options), BATCHES)
    assert report.error <= report.tolerance == 1e-10
    assert "loss of step 19" in report.errors and "trained 1.weight" in report.errors


def test_another_learning_rate_shows_after_the_first_step():
    pair = engines(lambda parameters: optim.SGD(parameters, lr=0.1), lambda parameters: torch.optim.SGD(parameters, lr=0.11))
    with pytest.raises(ParityError, match=r"^loss of step 1 is"):
        check_training_parity(*pair, BATCHES)


def test_other_dropout_masks_show_at_once():
    hand, twin = engines(optim.SGD, torch.optim.SGD, dropout=0.5)
    step = hand.step
    hand.step = lambda x, labels, rng: step(x, labels, lambda: np.random.default_rng(99))
    with pytest.raises(ParityError, match=r"^loss of step 0 is"):
        check_training_parity(hand, twin, BATCHES)


def test_a_difference_that_the_loss_does_not_show_is_found_at_the_end():
    hand, twin = engines(optim.SGD, torch.optim.SGD, normalization="batch")
    hand.model[2].momentum = 0.3  # running statistics are not used in training
    with pytest.raises(ParityError, match=r"^trained 2.running_"):
        check_training_parity(hand, twin, BATCHES)


def test_training_agrees_where_a_norm_takes_the_bias_of_a_convolution_off_again():
    pytorch = pytest.importorskip("chainrule.pytorch", reason="the twin needs PyTorch")

    def network(library):
        return library.Sequential(library.Conv2d(2, 3, 3), library.BatchNorm2d(3), library.ReLU(), library.Flatten(), library.Linear(12, 4))

    ours, twin = network(nn).double(), network(pytorch.nn).double()
    assert biases_without_influence(ours) == ["0.bias", "1.running_mean"]
    rng = np.random.default_rng(0)
    batches = [(rng.standard_normal((5, 2, 4, 4)), rng.integers(4, size=5)) for _ in range(20)]
    engine = HandEngine(ours, nn.CrossEntropyLoss(), optim.Adagrad(ours.parameters(), lr=0.1))
    other = pytorch.TorchEngine(twin, pytorch.nn.CrossEntropyLoss(), pytorch.optim.Adagrad(twin.parameters(), lr=0.1))
    assert "trained 0.bias" not in check_training_parity(engine, other, batches).errors
