"""Loss functions as modules: forward(scores, target) -> float, backward() -> gradient of the scores."""

from chainrule.nn.module import Module

__all__ = ["CrossEntropyLoss", "MSELoss", "MultiMarginLoss"]


class _Loss(Module):
    def backward(self):
        """Gradient of the loss with respect to the scores, shaped like them."""
        return self.cached()


class CrossEntropyLoss(_Loss):
    """Mean over the batch of -log softmax(scores)[label].

    Parameters
    ----------
    label_smoothing : share of the target spread evenly over all classes, in [0, 1] (default 0; Szegedy et al. 2016, section 7)
    """

    def __init__(self, *, label_smoothing=0.0):
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"CrossEntropyLoss: label_smoothing is {label_smoothing}; it must be at least 0 and at most 1")
        self.label_smoothing = label_smoothing

    def forward(self, scores, labels):
        """scores (N, C) and labels (N,), integers in [0, C)."""
        loss, self._cache = self.functions.softmax_loss(scores, labels, label_smoothing=self.label_smoothing)
        return float(loss)


class MultiMarginLoss(_Loss):
    """Multi-class hinge loss, the mean over batch *and classes* as in PyTorch: svm_loss of the functional contract divided by C.

    Parameters
    ----------
    margin : by which the right score must exceed the others (default 1)
    """

    def __init__(self, *, margin=1.0):
        self.margin = margin

    def forward(self, scores, labels):
        """scores (N, C) and labels (N,), integers in [0, C)."""
        loss, dscores = self.functions.svm_loss(scores, labels, margin=self.margin)
        classes = scores.shape[1]
        self._cache = dscores / classes
        return float(loss) / classes


class MSELoss(_Loss):
    """Mean of the squared differences over all elements."""

    def forward(self, scores, target):
        """scores and target, arrays of one shape."""
        loss, self._cache = self.functions.mse_loss(scores, target)
        return float(loss)
