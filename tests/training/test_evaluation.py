import numpy as np
import pytest
import sklearn.metrics
import torch

from chainrule import nn, optim, pytorch
from chainrule.data import VIEWS, Dataset, Split, batches, view
from chainrule.pytorch.batches import view as torch_view
from chainrule.training import Evaluation, HandEngine, evaluate
from chainrule.training.evaluation import BATCH_SIZE


@pytest.fixture
def evaluation():
    rng = np.random.default_rng(0)
    return Evaluation(1.0, 0.5, rng.standard_normal((50, 4)), rng.integers(3, size=50))  # no sample of class 3


def test_the_confusion_matrix_is_scikit_learns(evaluation):
    expected = sklearn.metrics.confusion_matrix(evaluation.labels, evaluation.predictions, labels=range(4))
    np.testing.assert_array_equal(evaluation.confusion(), expected)


def test_accuracy_per_class_is_recall_and_nan_where_there_is_nothing(evaluation):
    expected = sklearn.metrics.recall_score(evaluation.labels, evaluation.predictions, labels=range(3), average=None)
    np.testing.assert_allclose(evaluation.per_class()[:3], expected, rtol=1e-15)
    assert np.isnan(evaluation.per_class()[3])


class LinearScores:
    """An engine whose scores are known."""

    dtype = np.dtype(np.float64)

    def in_order(self, data, split, batch_size):
        return batches(data, split, batch_size, seed=None, dtype=self.dtype)

    def evaluate(self, images, labels, tta):
        scores = images.reshape(len(images), -1)[:, :3]
        return torch.nn.functional.cross_entropy(torch.tensor(scores), torch.tensor(labels)).item(), scores


@pytest.mark.parametrize("batch_size", [1, 7, 20, BATCH_SIZE])
def test_batches_do_not_change_the_result(blobs, monkeypatch, batch_size):
    monkeypatch.setattr("chainrule.training.evaluation.BATCH_SIZE", batch_size)
    found = evaluate(LinearScores(), blobs, blobs.test)
    scores = blobs.normalize(blobs.test.images, np.float64).reshape(20, -1)[:, :3]
    expected = torch.nn.functional.cross_entropy(torch.tensor(scores), torch.tensor(blobs.test.labels)).item()
    assert found.loss == pytest.approx(expected, rel=1e-14)  # the order of 20 additions
    assert found.accuracy == np.mean(scores.argmax(axis=1) == blobs.test.labels)
    np.testing.assert_array_equal(found.labels, blobs.test.labels)


def airbench_scores(images, net):
    """Test-time augmentation as airbench94 writes it, on tensors."""

    def mirror(inputs):
        return 0.5 * net(inputs) + 0.5 * net(inputs.flip(-1))

    padded = torch.nn.functional.pad(images, (1, 1, 1, 1), "reflect")
    height, width = images.shape[2:]
    moved = [mirror(padded[:, :, :height, :width]), mirror(padded[:, :, 2:, 2:])]
    return {"mirror": mirror(images), "mirror-shift": 0.5 * mirror(images) + 0.5 * torch.stack(moved).mean(0)}


def make_engine(library):
    """A network of one convolution in float64, the same for both engines."""
    ours, twin = (names.Sequential(names.Conv2d(2, 3, 3), names.Flatten(), names.Linear(18, 3)).double() for names in (nn, pytorch.nn))
    pytorch.copy_weights(ours.reset_parameters(np.random.default_rng(1)), twin)
    if library is nn:
        return HandEngine(ours, nn.CrossEntropyLoss(), optim.SGD(ours.parameters()))
    return pytorch.TorchEngine(twin, pytorch.nn.CrossEntropyLoss(), pytorch.optim.SGD(twin.parameters()))


@pytest.mark.parametrize("library", [nn, pytorch.nn], ids=["hand", "torch"])
@pytest.mark.parametrize("tta", ["mirror", "mirror-shift"])
def test_scores_are_averaged_over_the_views_as_airbench_does(monkeypatch, tta, library):
    monkeypatch.setattr("chainrule.training.evaluation.BATCH_SIZE", 4)
    rng = np.random.default_rng(0)
    split = Split(rng.standard_normal((10, 2, 5, 4)), rng.integers(3, size=10))
    data = Dataset("some", split, split, split, ("a", "b", "c"))
    found = evaluate(make_engine(library), data, split, tta=tta)
    images = torch.from_numpy(data.normalize(split.images, np.float64))
    expected = airbench_scores(images, make_engine(pytorch.nn).model)[tta].detach().numpy()
    np.testing.assert_allclose(found.scores, expected, rtol=0, atol=1e-14)  # sums of at most 18 numbers around 1, over 6 views
    assert found.accuracy == np.mean(expected.argmax(axis=1) == split.labels)


def test_the_weights_of_the_views_add_up_to_one():
    assert [sum(weight for weight, _, _ in views) for views in VIEWS.values()] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("look", VIEWS["mirror-shift"], ids=str)
def test_a_view_of_tensors_is_that_of_arrays(look):
    images = np.random.default_rng(0).standard_normal((2, 3, 5, 4))
    np.testing.assert_array_equal(torch_view(torch.from_numpy(images), look.shift, look.mirrored), view(images, look.shift, look.mirrored))


def test_another_augmentation_is_refused(blobs):
    with pytest.raises(ValueError, match="tta is 'flip'; it must be one of none, mirror, mirror-shift"):
        evaluate(LinearScores(), blobs, blobs.test, tta="flip")
