"""How good a network is on a split: loss, accuracy, confusion matrix."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Evaluation", "evaluate"]

BATCH_SIZE = 500


@dataclass(frozen=True)
class Evaluation:
    """Scores of a network on one split.

    Attributes
    ----------
    loss : mean over the samples
    accuracy : share of right predictions, in [0, 1]
    scores : (N, classes)
    labels : (N,)
    """

    loss: float
    accuracy: float
    scores: np.ndarray
    labels: np.ndarray

    @property
    def predictions(self) -> np.ndarray:
        """The class of the greatest score, (N,)."""
        return self.scores.argmax(axis=1)

    def confusion(self) -> np.ndarray:
        """(classes, classes) counts: row = label, column = prediction."""
        classes = self.scores.shape[1]
        return np.bincount(self.labels * classes + self.predictions, minlength=classes * classes).reshape(classes, classes)

    def per_class(self) -> np.ndarray:
        """Share of each class's samples that are predicted right (recall), (classes,); NaN for a class without samples."""
        confusion = self.confusion()
        total = confusion.sum(axis=1)
        return np.divide(confusion.diagonal(), total, out=np.full(len(total), np.nan), where=total > 0)


def evaluate(engine, data, split) -> Evaluation:
    """Run a split (of `data`) through an engine in eval mode, in batches.

    Raises
    ------
    ValueError
        The split is empty.
    """
    if not len(split):
        raise ValueError("the split to evaluate has no samples")
    loss, scores = 0.0, []
    for start in range(0, len(split), BATCH_SIZE):
        images = data.normalize(split.images[start : start + BATCH_SIZE], engine.dtype)
        labels = split.labels[start : start + BATCH_SIZE]
        batch_loss, batch_scores = engine.evaluate(images, labels)
        loss += batch_loss * len(labels)
        scores.append(batch_scores)
    scores = np.concatenate(scores)
    accuracy = float(np.mean(scores.argmax(axis=1) == split.labels))
    return Evaluation(loss / len(split), accuracy, scores, split.labels)
