import numpy as np
import pytest
import sklearn.metrics
import torch

from chainrule.training import Evaluation, evaluate
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

    def evaluate(self, images, labels):
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
