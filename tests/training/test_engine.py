import numpy as np
import pytest
import torch

from chainrule import nn, optim
from chainrule.training import HandEngine


def make_engine(*layers, lr=0.1, **options):
    model = nn.Sequential(*layers).reset_parameters(np.random.default_rng(0)).double()
    return HandEngine(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=lr), **options)


def batch(samples=5):
    rng = np.random.default_rng(1)
    return rng.standard_normal((samples, 2, 3)), rng.integers(4, size=samples)


def fresh():
    return np.random.default_rng(2)


def test_a_step_is_torchs():
    engine = make_engine(nn.Flatten(), nn.Linear(6, 7), nn.ReLU(), nn.Linear(7, 4))
    twin = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 7), torch.nn.ReLU(), torch.nn.Linear(7, 4)).double()
    twin.load_state_dict({name: torch.tensor(array) for name, array in engine.model_state().items()})
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
    images, labels = batch()
    for _ in range(3):
        loss, scores = engine.step(images, labels, fresh)
        optimizer.zero_grad()
        expected_scores = twin(torch.tensor(images))
        expected = torch.nn.functional.cross_entropy(expected_scores, torch.tensor(labels))
        expected.backward()
        optimizer.step()
        # sums of at most 7 products in another order
        assert loss == pytest.approx(expected.item(), rel=1e-13)
        np.testing.assert_allclose(scores, expected_scores.detach().numpy(), rtol=1e-12, atol=1e-13)
    for name, tensor in twin.state_dict().items():
        np.testing.assert_allclose(engine.model_state()[name], tensor.numpy(), rtol=1e-12, atol=1e-13)


def test_scores_are_not_overwritten_by_the_next_step():
    engine = make_engine(nn.Flatten(), nn.Linear(6, 4))
    images, labels = batch()
    _, first = engine.step(images, labels, fresh)
    before = first.copy()
    engine.step(images + 1, labels, fresh)
    np.testing.assert_array_equal(first, before)


def test_the_gradient_is_clipped_to_its_norm():
    images, labels = batch()
    free, clipped = make_engine(nn.Flatten(), nn.Linear(6, 4)), make_engine(nn.Flatten(), nn.Linear(6, 4), clip_norm=0.01)
    for engine in (free, clipped):
        engine.step(images, labels, fresh)
    change = {name: array - make_engine(nn.Flatten(), nn.Linear(6, 4)).model_state()[name] for name, array in clipped.model_state().items()}
    norm = np.sqrt(sum(np.sum(array**2) for array in change.values()))
    assert norm == pytest.approx(0.1 * 0.01, rel=1e-3)  # learning rate times norm; the factor has a 1e-6 in the denominator, as in torch


def test_dropout_takes_its_masks_from_the_generator_of_the_step():
    images, labels = batch()

    def loss(rng):
        return make_engine(nn.Flatten(), nn.Dropout(0.5), nn.Linear(6, 4)).step(images, labels, rng)[0]

    assert loss(fresh) == loss(fresh)
    assert loss(fresh) != loss(lambda: np.random.default_rng(3))


def test_a_network_without_dropout_asks_for_no_generator():
    def never():
        raise AssertionError("no mask is drawn")

    make_engine(nn.Flatten(), nn.Linear(6, 4)).step(*batch(), never)


def test_evaluation_uses_running_statistics_and_no_dropout():
    engine = make_engine(nn.Flatten(), nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(0.9), nn.Linear(5, 4))
    images, labels = batch()
    loss, scores = engine.evaluate(images, labels)
    alone = np.concatenate([engine.evaluate(images[i : i + 1], labels[i : i + 1])[1] for i in range(5)])
    np.testing.assert_allclose(scores, alone, rtol=1e-12)
    assert loss == engine.evaluate(images, labels)[0]


def test_state_goes_into_another_engine():
    images, labels = batch()
    first, second = (make_engine(nn.Flatten(), nn.Linear(6, 4)) for _ in range(2))
    first.step(images, labels, fresh)
    second.load_model_state(first.model_state())
    second.load_optimizer_state(first.optimizer_state())
    assert first.step(images, labels, fresh)[0] == second.step(images, labels, fresh)[0]


BAD_BATCHES = [
    (
        lambda x, y: (x[:, :, :2], y),
        ValueError,
        r"Linear: x has shape \(5, 4\); expected \(N, 6\)",
        "in layer 2 of 4, (1): Linear(in_features=6",
    ),
    (lambda x, y: (x.astype(np.float32), y), TypeError, "Linear: x is float32, the parameters are float64", "in layer 2 of 4, (1): Linear"),
    (lambda x, y: (x[:1], y[:1]), ValueError, "one value a feature; a variance needs two", "in layer 3 of 4, (2): BatchNorm1d(5"),
    (lambda x, y: (x, y + 1), ValueError, r"y\[\d\] is 4, but x has scores of 4 classes; expected labels from 0 to 3", None),
    (lambda x, y: (x, y[:4]), ValueError, r"y has shape \(4,\); expected \(5,\)", None),
    (lambda x, y: (x, y.astype(float)), TypeError, "y has dtype float64; expected integer labels", None),
]


@pytest.mark.parametrize(("spoil", "kind", "message", "where"), BAD_BATCHES)
def test_a_batch_that_does_not_fit_is_refused_with_the_layer(spoil, kind, message, where):
    engine = make_engine(nn.Flatten(), nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 4))
    images, labels = batch()
    labels[0] = 3
    with pytest.raises(kind, match=message) as error:
        engine.step(*spoil(images, labels), fresh)
    assert where is None or any(where in note for note in error.value.__notes__)


def test_an_empty_batch_is_refused():
    engine = make_engine(nn.Flatten(), nn.Linear(6, 4))
    with pytest.raises(ValueError, match=r"x has shape \(0, 4\); the mean over a batch needs at least one sample"):
        engine.step(np.empty((0, 2, 3)), np.empty(0, np.int64), fresh)
