"""How good a network is on a split: loss, accuracy, confusion matrix."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Evaluation", "evaluate"]

BATCH_SIZE = 500
TTA = ("none", "mirror", "mirror-shift")


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
    if tta not in TTA:
        raise ValueError(f"tta is {tta!r}; it must be one of {', '.join(TTA)}")
    loss, scores = 0.0, []
    for start in range(0, len(split), BATCH_SIZE):
        images = data.normalize(split.images[start : start + BATCH_SIZE], engine.dtype)
        labels = split.labels[start : start + BATCH_SIZE]
        batch_loss, batch_scores = _mean_over_views(engine, images, labels, tta)
        loss += batch_loss * len(labels)
        scores.append(batch_scores)
    scores = np.concatenate(scores)
    accuracy = float(np.mean(scores.argmax(axis=1) == split.labels))
    return Evaluation(loss / len(split), accuracy, scores, split.labels)


def _mean_over_views(engine, images, labels, tta):
    """Loss and scores, averaged over the views."""
    if tta == "none":
        return engine.evaluate(images, labels)
    loss, scores = 0.0, 0.0
    for weight, view in _views(images, tta):
        view_loss, view_scores = engine.evaluate(view, labels)
        loss, scores = loss + weight * view_loss, scores + view_scores.dtype.type(weight) * view_scores
    return loss, scores


def _views(images, tta):
    """(weight, images) of each view; the weights add up to 1."""
    if tta == "mirror":
        shown = [(0.5, images)]
    else:
        height, width = images.shape[2:]
        around = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
        shown = [(0.25, images), (0.125, around[:, :, :height, :width]), (0.125, around[:, :, 2:, 2:])]
    for weight, view in shown:
        yield weight, np.ascontiguousarray(view)
        yield weight, view[..., ::-1].copy()
