import numpy as np
import pytest
import torch

from chainrule import nn as library

SCORES = np.random.default_rng(3).standard_normal((7, 5)) * 4
LABELS = np.array([0, 4, 2, 2, 1, 3, 0])
CASES = [
    ("CrossEntropyLoss", {}),
    ("CrossEntropyLoss", {"label_smoothing": 0.1}),
    ("CrossEntropyLoss", {"label_smoothing": 1.0}),
    ("MultiMarginLoss", {}),
    ("MultiMarginLoss", {"margin": 0.3}),
]
# a sum of 35 terms: 10 * sqrt(35) times the unit roundoff, 6e-8 or 1.1e-16
TOLERANCE = {np.float32: 4e-6, np.float64: 1e-14}


def assert_like_torch(loss, twin, scores, target, tolerance):
    tensor = torch.from_numpy(np.array(scores, order="C")).requires_grad_()
    expected = twin(tensor, torch.from_numpy(target))
    expected.backward()
    value = loss(scores, target)
    assert type(value) is float
    # a small loss is a difference of scores, and errs as they do
    assert value == pytest.approx(expected.item(), rel=tolerance, abs=tolerance * float(np.abs(scores).max()))
    dscores = loss.backward()  # so does a small gradient: it is a difference of probabilities, or of scores, over N
    assert dscores.dtype == scores.dtype
    np.testing.assert_allclose(dscores, tensor.grad.numpy(), rtol=tolerance, atol=tolerance / len(scores))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [7, 1])
@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_classification_losses_are_torchs(nn, name, options, rows, dtype):
    twin = getattr(torch.nn, name)(**options)
    assert_like_torch(getattr(nn, name)(**options), twin, SCORES[:rows].astype(dtype), LABELS[:rows], TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(7, 5), (1, 1), (6,), (2, 3, 4)], ids=str)
def test_mse_is_torchs(nn, rng, shape, dtype):
    scores, target = rng.standard_normal(shape).astype(dtype), rng.standard_normal(shape).astype(dtype)
    assert_like_torch(nn.MSELoss(), torch.nn.MSELoss(), scores, target, TOLERANCE[dtype])


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
@pytest.mark.parametrize("view", [np.asfortranarray, lambda x: np.repeat(x, 2, axis=1)[:, ::2]], ids=["Fortran", "strided"])
def test_scores_of_any_memory_layout_give_the_same(nn, name, options, view):
    assert_like_torch(getattr(nn, name)(**options), getattr(torch.nn, name)(**options), view(SCORES), LABELS, 1e-14)


def test_scores_of_a_million_are_no_trouble(nn):
    assert_like_torch(nn.CrossEntropyLoss(), torch.nn.CrossEntropyLoss(), 1e6 * SCORES, LABELS, 1e-14)


@pytest.mark.parametrize("name", ["CrossEntropyLoss", "MultiMarginLoss"])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 5, 0]), r"y\[1\] is 5, but x has scores of 5 classes; expected labels from 0 to 4"),
        (np.array([0, 1, -1]), r"y\[2\] is -1, but x has scores of 5 classes"),
        (np.array([0, 1]), r"y has shape \(2,\); expected \(3,\)"),
        (np.array([[0], [1], [2]]), r"y has shape \(3, 1\); expected \(3,\)"),
        (np.array([0.0, 1.0, 2.0]), "y has dtype float64; expected integer labels"),
    ],
    ids=["too large", "negative", "too few", "a column", "floats"],
)
def test_labels_that_do_not_fit_are_refused(nn, name, labels, message):
    with pytest.raises((ValueError, TypeError), match=message):
        getattr(nn, name)()(SCORES[:3], labels)


def test_an_empty_batch_is_refused(nn):
    with pytest.raises(ValueError, match="the mean over a batch needs at least one sample"):
        nn.CrossEntropyLoss()(SCORES[:0], LABELS[:0])


def test_mse_refuses_shapes_that_would_broadcast(nn):
    with pytest.raises(ValueError, match=r"y has shape \(3,\); expected \(3, 1\)"):
        nn.MSELoss()(np.zeros((3, 1)), np.zeros(3))


@pytest.mark.parametrize("name", ["CrossEntropyLoss", "MultiMarginLoss", "MSELoss"])
def test_backward_before_forward_is_refused(nn, name):
    with pytest.raises(RuntimeError, match=f"^{name}: backward was called before forward$"):
        getattr(nn, name)().backward()


@pytest.mark.parametrize("label_smoothing", [-0.1, 1.1, float("nan")])
def test_a_label_smoothing_out_of_range_is_refused(label_smoothing):
    with pytest.raises(ValueError, match=f"^CrossEntropyLoss: label_smoothing is {label_smoothing}; it must be at least 0 and at most 1$"):
        library.CrossEntropyLoss(label_smoothing=label_smoothing)


@pytest.mark.parametrize("name", ["CrossEntropyLoss", "MultiMarginLoss", "MSELoss"])
def test_text_is_torchs(name):
    assert repr(getattr(library, name)()) == repr(getattr(torch.nn, name)())
