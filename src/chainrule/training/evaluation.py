"""How good a network is on a split: loss, accuracy, confusion matrix."""

from dataclasses import dataclass

import numpy as np

from chainrule.data import VIEWS

__all__ = ["Evaluation", "evaluate"]

BATCH_SIZE = 500


@dataclass(frozen=True)
class Evaluation:
    """Scores of a network on one split.

    Attributes
    ----------
    loss : mean over the samples (and their views, if there are several)
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


def evaluate(engine, data, split, *, tta: str = "none") -> Evaluation:
    """Run a split (of `data`) through an engine in eval mode, in batches.

    Parameters
    ----------
    tta : test-time augmentation, views of each image whose scores are averaged: "none", "mirror" (it and its mirror image), or
        "mirror-shift" (half of the weight to those two, half to both moved by a pixel along the diagonal, either way, as in airbench94)

    Raises
    ------
    ValueError
        The split is empty, or there is no such augmentation.
    """
    if not len(split):
        raise ValueError("the split to evaluate has no samples")
    if tta not in VIEWS:
        raise ValueError(f"tta is {tta!r}; it must be one of {', '.join(VIEWS)}")
    loss, scores = 0.0, []
    for images, labels in engine.in_order(data, split, BATCH_SIZE):
        batch_loss, batch_scores = engine.evaluate(images, labels, tta)
        loss += batch_loss * len(labels)
        scores.append(batch_scores)
    scores = np.concatenate(scores)
    accuracy = float(np.mean(scores.argmax(axis=1) == split.labels))
    return Evaluation(loss / len(split), accuracy, scores, split.labels)
