"""Mistakes in the softmax and the SVM loss."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.functional import softmax_loss, svm_loss
from chainrule.lab.mistake import Mistake

__all__ = ["MISTAKES"]


def softmax(x, axis=1):
    exp = np.exp(x - x.max(axis=axis, keepdims=True))
    return exp / exp.sum(axis=axis, keepdims=True)


def cross_entropy(p, y):
    """Loss and gradient from probabilities, however they were made."""
    N = len(p)
    loss = -np.log(p[np.arange(N), y]).mean()
    dx = p.copy()
    dx[np.arange(N), y] -= 1
    return loss, dx / N


def with_loss(function, change):
    """The function with another loss: (loss, x, y) -> loss."""

    def wrong(x, y):
        loss, dx = function(x, y)
        return change(loss, x, y), dx

    return wrong


def with_dx(function, change):
    """The function with another gradient: (dx, x, y) -> dx."""

    def wrong(x, y):
        loss, dx = function(x, y)
        return loss, change(dx, x, y)

    return wrong


def surprises(x, y):
    """-log p of the labels, (N,)."""
    shifted = x - x.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(x)), y]


def overflowing_softmax(x, axis=1):
    return np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)


def overflowing(x, y):
    return cross_entropy(overflowing_softmax(x), y)


def logarithm_of_zero(x, y):
    return cross_entropy(softmax(x), y)


@dataclass(frozen=True)
class Style:
    """A way to write the softmax loss, right but for large scores.

    Attributes
    ----------
    also : what to say of it beside another mistake
    function : (x, y) -> loss, dx
    probabilities : (x, axis) -> p
    surprises : (x, y) -> -log p of the labels
    """

    also: str
    function: Callable[..., Any]
    probabilities: Callable[..., Any]
    surprises: Callable[..., Any]


def surprises_of(probabilities):
    return lambda x, y: -np.log(probabilities(x)[np.arange(len(x)), y])


FINITE = Style("", softmax_loss, softmax, surprises)
STYLES = (
    FINITE,
    Style(
        "; and a probability that rounds to 0 has the logarithm -infinite: write log p = shifted - log(sum(exp(shifted)))",
        logarithm_of_zero,
        softmax,
        surprises_of(softmax),
    ),
    Style(
        "; and exp overflows for scores of some 700: subtract each row's maximum first",
        overflowing,
        overflowing_softmax,
        surprises_of(overflowing_softmax),
    ),
)


def sums(function):
    def wrong(x, y):
        loss, dx = function(x, y)
        return loss * len(x), dx * len(x)

    return wrong


def columns_reduced(p, y):
    p[:, y] -= 1
    return p / len(p)


def of_all_classes(style, x):
    """-log p, summed over the classes, (N,)."""
    return np.sum([style.surprises(x, np.full(len(x), c)) for c in range(x.shape[1])], axis=0)


def label_alone(dx, x, y):
    kept = np.zeros_like(dx)
    kept[np.arange(len(x)), y] = dx[np.arange(len(x)), y]
    return kept


def shifted_by_one_number(x, y):
    exp = np.exp(x - x.max())
    return cross_entropy(exp / exp.sum(axis=1, keepdims=True), y)


def shifted_by_the_columns(x, y):
    exp = np.exp(x - x.max(axis=0))
    return cross_entropy(exp / exp.sum(axis=1, keepdims=True), y)


def over_everything(x, y):
    exp = np.exp(x - x.max())
    return cross_entropy(exp / exp.sum(), y)


def without_exp(x, y):
    return cross_entropy(np.abs(x) / np.abs(x).sum(axis=1, keepdims=True), y)


def shifting_in_place(function):
    def wrong(x, y):
        x -= x.max(axis=1, keepdims=True)
        return function(x, y)

    return wrong


def in_float32(function):
    def wrong(x, y):
        loss, dx = function(x, y)
        return np.float32(loss), dx.astype(np.float32)

    return wrong


def without_keepdims(exp):
    return lambda x, y: cross_entropy(exp(x) / exp(x).sum(axis=1), y)


def maximum_without_keepdims(x, y):
    return softmax_loss(x - x.max(axis=1), y)


def shifting_all_in_place(x, y):
    x -= x.max()
    exp = np.exp(x)
    return cross_entropy(exp / exp.sum(axis=1, keepdims=True), y)


# (kind, sentence, hints, Style -> function)
OF_EACH_STYLE = (
    (
        "missing-term",
        "dx is p / N: the 1 is not subtracted at the labels, dx = (p - [class is y]) / N",
        ("In which direction should the score of the label go?", "dx[np.arange(N), y] -= 1"),
        lambda style: with_dx(style.function, lambda dx, x, y: style.probabilities(x) / len(x)),
    ),
    (
        "sign",
        "the 1 is added at the labels; it is subtracted: dx = (p - [class is y]) / N",
        ("In which direction should the score of the label go?", "dx[np.arange(N), y] -= 1"),
        lambda style: with_dx(style.function, lambda dx, x, y: (style.probabilities(x) + np.eye(x.shape[1], dtype=x.dtype)[y]) / len(x)),
    ),
    (
        "missing-term",
        "dx at the labels is -1 / N: p is replaced there (=); 1 has to be subtracted from it (-=)",
        ("What is dx of a label whose probability is 1 already? It is 0.", "dx[np.arange(N), y] -= 1"),
        lambda style: with_dx(
            style.function, lambda dx, x, y: np.where(np.eye(x.shape[1], dtype=x.dtype)[y] > 0, -1, style.probabilities(x)) / len(x)
        ),
    ),
    (
        "scale",
        "dx is p / N, less 1 at the labels; the 1 is divided by N, too: (p - [class is y]) / N",
        ("Of what is dx the gradient: of the mean, or of the sum?", "First subtract 1 at the labels, then divide all of dx by N."),
        lambda style: with_dx(style.function, lambda dx, x, y: style.probabilities(x) / len(x) - np.eye(x.shape[1], dtype=x.dtype)[y]),
    ),
    (
        "broadcasting",
        "dx[:, y] -= 1 takes 1 from these columns in every row; each row has one label: dx[np.arange(N), y] -= 1",
        ("How many numbers of dx does your line change?", "Index rows and columns together: np.arange(N), y."),
        lambda style: with_dx(style.function, lambda dx, x, y: columns_reduced(style.probabilities(x), y)),
    ),
    (
        "missing-term",
        "dx is 0 but for the labels; the other scores have a gradient, too, p / N: raising them lowers the label's probability",
        ("Does the probability of the label depend on the other scores?", "Begin with dx = p, then subtract 1 at the labels."),
        lambda style: with_dx(style.function, label_alone),
    ),
    (
        "scale",
        "the loss is taken with the logarithm to base 2; it is the natural one, np.log, whose derivative dx is",
        ("Which logarithm has the derivative 1 / p?", "loss = -np.log(p[np.arange(N), y]).mean()"),
        lambda style: with_loss(style.function, lambda loss, x, y: loss / float(np.log(2))),
    ),
    (
        "scale",
        "the loss is taken with the logarithm to base 10; it is the natural one, np.log, whose derivative dx is",
        ("Which logarithm has the derivative 1 / p?", "loss = -np.log(p[np.arange(N), y]).mean()"),
        lambda style: with_loss(style.function, lambda loss, x, y: loss / float(np.log(10))),
    ),
    (
        "wrong-statistic",
        "the loss sums -log(p) over all classes; only the probability of the label counts",
        ("Which entry of a row of p does the cross-entropy look at?", "p[np.arange(N), y] is (N,)."),
        lambda style: with_loss(style.function, lambda loss, x, y: of_all_classes(style, x).mean()),
    ),
    (
        "wrong-statistic",
        "the loss is the mean of -log(p) over all classes; only the probability of the label counts",
        ("Which entry of a row of p does the cross-entropy look at?", "p[np.arange(N), y] is (N,)."),
        lambda style: with_loss(style.function, lambda loss, x, y: of_all_classes(style, x).mean() / x.shape[1]),
    ),
    (
        "broadcasting",
        "p[:, y] picks the columns of all labels in every row, (N, N) numbers; each row has one label: p[np.arange(N), y]",
        ("Which shape has p[:, y]?", "Index rows and columns together: np.arange(N), y."),
        lambda style: with_loss(
            style.function, lambda loss, x, y: np.mean([style.surprises(x, np.full(len(x), label)).mean() for label in y])
        ),
    ),
    (
        "scale",
        "loss and dx are C times too small: they are divided by N * C; the loss is a mean over the batch alone",
        ("Over how many terms does the loss take its mean?", "Divide by N, not by the number of all scores."),
        lambda style: lambda x, y: tuple(value / x.shape[1] for value in style.function(x, y)),
    ),
    (
        "scale",
        "the loss is C times too small: it is divided by N * C; it is a mean over the batch alone",
        ("Over how many terms does the loss take its mean?", "Divide by N, not by the number of all scores."),
        lambda style: with_loss(style.function, lambda loss, x, y: loss / x.shape[1]),
    ),
)

# the same, of what does not depend on how the logarithm is taken
OF_SHIFTED_AND_NOT = (
    (
        "missing-term",
        "the logarithm is missing: the loss is the mean of -log(p) at the labels, not of -p",
        ("What is the loss of a sample whose label has probability 1? It is 0.", "loss = -np.log(p[np.arange(N), y]).mean()"),
        lambda style: with_loss(style.function, lambda loss, x, y: -np.exp(-style.surprises(x, y)).mean()),
    ),
    (
        "axis",
        "the probabilities add up to 1 over the batch; they have to do so over the classes of each sample, axis 1",
        ("What are the sums of the rows of p?", "exp.sum(axis=1, keepdims=True)"),
        lambda style: lambda x, y: cross_entropy(style.probabilities(x, axis=0), y),
    ),
)

SOFTMAX = (
    *(
        Mistake("softmax_loss", kind, sentence + style.also, hints, make(style))
        for style in STYLES
        for kind, sentence, hints, make in (*OF_EACH_STYLE, *(OF_SHIFTED_AND_NOT if style is not STYLES[1] else ()))
    ),
    *(
        Mistake(
            "softmax_loss",
            "broadcasting",
            f"the sum of the exponentials has shape (N,), which NumPy lines up with the columns; keep it as (N, 1){also}",
            ("Which axis of x does an array of shape (N,) meet? The last one.", "exp.sum(axis=1, keepdims=True)"),
            without_keepdims(exp),
        )
        for also, exp in (("", lambda x: np.exp(x - x.max(axis=1, keepdims=True))), (STYLES[2].also, np.exp))
    ),
    Mistake(
        "softmax_loss",
        "broadcasting",
        "the maximum of each row has shape (N,), which NumPy lines up with the columns; keep it as (N, 1)",
        ("Which axis of x does an array of shape (N,) meet? The last one.", "x.max(axis=1, keepdims=True)"),
        maximum_without_keepdims,
    ),
    Mistake(
        "softmax_loss",
        "mutation",
        "the scores themselves are shifted (x -= ...), which the caller sees, and by the largest of the batch: take each row's own maximum",
        ("What has x become after the call?", "shifted = x - x.max(axis=1, keepdims=True)"),
        shifting_all_in_place,
    ),
    Mistake(
        "softmax_loss",
        "axis",
        "the exponentials are divided by the sum of all of them; each row is divided by its own sum: axis=1, keepdims=True",
        ("What are the sums of the rows of p?", "exp.sum(axis=1, keepdims=True)"),
        over_everything,
    ),
    Mistake(
        "softmax_loss",
        "missing-term",
        "the scores are divided by their sum without exp; the softmax is exp(x) / sum(exp(x))",
        ("What is the probability of a class with a negative score?", "p = exp(x) / exp(x).sum(axis=1, keepdims=True)"),
        without_exp,
    ),
    Mistake(
        "softmax_loss",
        "axis",
        "the maximum over the batch is subtracted, which changes the probabilities; it has to be one number for each row",
        ("Which shift of the scores leaves the softmax as it is?", "x - x.max(axis=1, keepdims=True)"),
        shifted_by_the_columns,
    ),
    Mistake(
        "softmax_loss",
        "numerics",
        "exp overflows for scores of some 700: subtract each row's maximum first, which changes no probability",
        ("What is np.exp(1000)?", "shifted = x - x.max(axis=1, keepdims=True)"),
        overflowing,
    ),
    Mistake(
        "softmax_loss",
        "numerics",
        "the largest score of the whole batch is subtracted; a row far below it has no exponentials left: take each row's own maximum",
        ("What is np.exp(-2000), and a sum of such numbers?", "x.max(axis=1, keepdims=True)"),
        shifted_by_one_number,
    ),
    Mistake(
        "softmax_loss",
        "numerics",
        "a probability that rounds to 0 has the logarithm -infinite; write log p = shifted - log(sum(exp(shifted))) instead of np.log(p)",
        ("What is np.log(0)?", "The logarithm of a quotient is a difference, and the exp in it goes away."),
        logarithm_of_zero,
    ),
    Mistake(
        "softmax_loss",
        "numerics",
        "a small number is added to p against log(0), which bounds the loss; log p = shifted - log(sum(exp(shifted))) needs none",
        ("What is the loss where the label's score is 1000 below the others?", "The logarithm of a quotient is a difference."),
        with_loss(softmax_loss, lambda loss, x, y: -np.log(np.exp(-surprises(x, y)) + 1e-8).mean()),
    ),
)


def violations(x, y, margin=1.0):
    """max(0, x_c - x_y + margin), with 0 at the label; and its indicator."""
    margins = np.maximum(0, x - x[np.arange(len(x)), y][:, None] + margin)
    margins[np.arange(len(x)), y] = 0
    return margins, (margins > 0).astype(x.dtype)


def slopes(indicator, y):
    dx = indicator.copy()
    dx[np.arange(len(y)), y] = 0
    dx[np.arange(len(y)), y] = -dx.sum(axis=1)
    return dx / len(y)


def without_margin(x, y):
    margins, indicator = violations(x, y, 0.0)
    return margins.sum() / len(x), slopes(indicator, y)


def margin_subtracted(x, y):
    margins, indicator = violations(x, y, -1.0)
    return margins.sum() / len(x), slopes(indicator, y)


def other_way_round(x, y):
    N = len(x)
    margins = np.maximum(0, x[np.arange(N), y][:, None] - x + 1)
    margins[np.arange(N), y] = 0
    return margins.sum() / N, -slopes((margins > 0).astype(x.dtype), y)


def squared(x, y):
    margins, _ = violations(x, y)
    dx = 2 * margins
    dx[np.arange(len(x)), y] = -dx.sum(axis=1)
    return (margins**2).sum() / len(x), dx / len(x)


def worst_class_alone(x, y):
    margins, _ = violations(x, y)
    indicator = np.zeros_like(x)
    rows, worst = np.arange(len(x)), margins.argmax(axis=1)
    indicator[rows, worst] = margins[rows, worst] > 0
    return margins.max(axis=1).mean(), slopes(indicator, y)


def not_cut_at_zero(x, y):
    margins = x - x[np.arange(len(x)), y][:, None] + 1
    margins[np.arange(len(x)), y] = 0
    return margins.sum() / len(x), slopes(np.ones_like(x), y)


def own_class_counted(x, y):
    margins, indicator = violations(x, y)
    loss = margins.sum() / len(x) + 1
    dx = slopes(indicator, y)
    dx[np.arange(len(x)), y] += 1 / len(x)
    return loss, dx


def mean_over_the_classes(x, y):
    loss, dx = svm_loss(x, y)
    return loss / x.shape[1], dx / x.shape[1]


def label_once(dx, x, y):
    _, indicator = violations(x, y)
    indicator[np.arange(len(x)), y] = -1
    return indicator / len(x)


def label_set(dx, x, y):
    """-1 for the label of a sample that violates a margin."""
    _, indicator = violations(x, y)
    indicator[np.arange(len(x)), y] = -indicator.max(axis=1)
    return indicator / len(x)


def other_way_round_but_for_dx(x, y):
    loss, dx = other_way_round(x, y)
    return loss, -dx


def all_slopes(dx, x, y):
    return slopes(np.ones_like(x), y)


def label_left_out(dx, x, y):
    return violations(x, y)[1] / len(x)


def exact_margins_counted(dx, x, y):
    margins = x - x[np.arange(len(x)), y][:, None] + 1
    return slopes((margins >= 0).astype(x.dtype), y)


def margins_for_slopes(dx, x, y):
    margins, _ = violations(x, y)
    margins[np.arange(len(x)), y] = -margins.sum(axis=1)
    return margins / len(x)


def columns_of_labels(x, y):
    """x - x[:, y] is an error unless N = C or N = 1."""
    N = len(x)
    margins = np.maximum(0, x - x[:, y] + 1)
    margins[np.arange(N), y] = 0
    return margins.sum() / N, slopes((margins > 0).astype(x.dtype), y)


def labels_zeroed_by_column(x, y):
    N = len(x)
    margins = np.maximum(0, x - x[np.arange(N), y][:, None] + 1)
    margins[:, y] = 0
    return margins.sum() / N, slopes((margins > 0).astype(x.dtype), y)


def label_subtracted_in_place(x, y):
    x -= x[np.arange(len(x)), y][:, None]
    return svm_loss(x, y)


SVM = (
    Mistake(
        "svm_loss",
        "missing-term",
        "the label's own class is counted, which adds 1 to the loss and to the label's slope; c runs over the other classes",
        ("What is x_c - x_y + 1 for c = y?", "Set the margins at the labels to 0 before the sum."),
        own_class_counted,
    ),
    Mistake(
        "svm_loss",
        "missing-term",
        "the label's own class is counted in the loss, which is 1 too large; c runs over the other classes",
        ("What is x_c - x_y + 1 for c = y?", "Set the margins at the labels to 0 before the sum."),
        with_loss(svm_loss, lambda loss, x, y: loss + 1),
    ),
    Mistake(
        "svm_loss",
        "missing-term",
        "the margin is missing: max(0, x_c - x_y + 1), so that the label has to win by 1",
        ("What is the loss if all scores are the same?", "Add the margin inside of max."),
        without_margin,
    ),
    Mistake(
        "svm_loss",
        "sign",
        "the margin is subtracted; it is added: max(0, x_c - x_y + 1)",
        ("What is the loss if all scores are the same?", "A class counts unless it is at least 1 below the label."),
        margin_subtracted,
    ),
    Mistake(
        "svm_loss",
        "sign",
        "the difference is the wrong way round: x_y - x_c + 1 is large where the label wins; it is x_c - x_y + 1",
        ("What should the loss be where the label has by far the highest score?", "margins = x - x_label + 1"),
        other_way_round,
    ),
    Mistake(
        "svm_loss",
        "scale",
        "the margins are squared; here they count as they are",
        ("How does the loss grow if a score grows by 1?", "loss = margins.sum() / N, and the slope of each is 1."),
        squared,
    ),
    Mistake(
        "svm_loss",
        "wrong-statistic",
        "only the class with the largest margin counts; here it is the sum over all classes",
        ("How many classes can violate the margin of a sample?", "margins.sum(axis=1), not max."),
        worst_class_alone,
    ),
    Mistake(
        "svm_loss",
        "missing-term",
        "the margins are not cut off at 0: classes far below the label make the loss smaller; max(0, ...) is missing",
        ("Can this loss be negative?", "np.maximum(0, x - x_label + 1), and no slope where it is 0."),
        not_cut_at_zero,
    ),
    Mistake(
        "svm_loss",
        "scale",
        "loss and dx are divided by C, too, as in torch.nn.MultiMarginLoss; here it is a sum over the classes",
        ("Over what does the docstring take the mean?", "Divide by N alone."),
        mean_over_the_classes,
    ),
    Mistake(
        "svm_loss",
        "missing-term",
        "dx of the label is -1 for each sample; it is minus the number of classes that violate the margin",
        ("In how many terms of the sum is the label's score?", "dx[rows, y] = -(margins > 0).sum(axis=1)"),
        with_dx(svm_loss, label_once),
    ),
    Mistake(
        "svm_loss",
        "missing-term",
        "dx of the label is set to -1 / N by each violated margin (=); each of them takes 1 / N more from it (-=)",
        ("In how many terms of the sum is the label's score?", "dx[i, y[i]] -= 1 / N in the loop over the classes"),
        with_dx(svm_loss, label_set),
    ),
    Mistake(
        "svm_loss",
        "sign",
        "the difference is the wrong way round in the margins, x_y - x_c + 1, while dx is that of x_c - x_y + 1: write it so there, too",
        ("What should the loss be where the label has by far the highest score?", "margins = x - x_label + 1"),
        other_way_round_but_for_dx,
    ),
    Mistake(
        "svm_loss",
        "missing-term",
        "dx counts margins that are met, too; only those that are violated have a slope",
        ("Does the loss change with a score far below the label's?", "dx = (margins > 0).astype(x.dtype)"),
        with_dx(svm_loss, all_slopes),
    ),
    Mistake(
        "svm_loss",
        "missing-term",
        "dx of the label is 0; its score is in every term, with a minus",
        ("In which direction should the score of the label go?", "dx[rows, y] = -(margins > 0).sum(axis=1)"),
        with_dx(svm_loss, label_left_out),
    ),
    Mistake(
        "svm_loss",
        "missing-term",
        "dx holds the margins themselves; the slope of max(0, m) is 1 where m is positive, however large it is",
        ("How does the loss grow if a score grows by a little?", "dx = (margins > 0).astype(x.dtype)"),
        with_dx(svm_loss, margins_for_slopes),
    ),
    Mistake(
        "svm_loss",
        "off-by-one",
        "a margin that is met exactly adds to dx (>= 0); it adds nothing (> 0), as in PyTorch",
        ("What does the docstring say of a margin that is met exactly?", "margins > 0"),
        with_dx(svm_loss, exact_margins_counted),
    ),
    Mistake(
        "svm_loss",
        "broadcasting",
        "x[:, y] picks the columns of all labels in every row, (N, N) numbers; each row has one label: x[np.arange(N), y]",
        ("Which shape has x[:, y]?", "Index rows and columns together, then [:, np.newaxis]."),
        columns_of_labels,
    ),
    Mistake(
        "svm_loss",
        "broadcasting",
        "margins[:, y] = 0 empties these columns in every row; each row has one label: margins[np.arange(N), y] = 0",
        ("How many numbers does your line change?", "Index rows and columns together: np.arange(N), y."),
        labels_zeroed_by_column,
    ),
    Mistake(
        "svm_loss",
        "mutation",
        "the scores themselves are changed (x -= ...), which the caller sees; make a new array",
        ("What has x become after the call?", "margins = x - x_label + 1"),
        label_subtracted_in_place,
    ),
)

SOFTMAX_MUTATION = tuple(
    Mistake(
        "softmax_loss",
        "mutation",
        f"the scores themselves are shifted (x -= ...), which the caller sees; make a new array{style.also}",
        ("What has x become after the call?", "shifted = x - x.max(axis=1, keepdims=True)"),
        shifting_in_place(style.function),
    )
    for style in STYLES[:2]
)

COMMON = tuple(
    Mistake(name, kind, sentence + also, hints, code)
    for name, function, also in (*(("softmax_loss", style.function, style.also) for style in STYLES), ("svm_loss", svm_loss, ""))
    for kind, sentence, hints, code in (
        (
            "scale",
            "loss and dx are N times too large: they are sums over the batch and have to be means",
            ("Should the loss double if every sample comes twice?", "Divide both by N."),
            sums(function),
        ),
        (
            "scale",
            "dx is N times too large: the loss is a mean over the batch, so its gradient is divided by N, too",
            ("Of what is dx the gradient: of the mean, or of the sum?", "dx /= N"),
            with_dx(function, lambda dx, x, y: dx * len(x)),
        ),
        (
            "scale",
            "the loss is N times too large: it is a sum over the batch and has to be a mean",
            ("Should the loss double if every sample comes twice?", "loss /= N"),
            with_loss(function, lambda loss, x, y: loss * len(x)),
        ),
        (
            "scale",
            "dx is N times too small: it is divided by N twice",
            ("How often do you divide by N on the way?", "Divide the gradient of the sum by N, once."),
            with_dx(function, lambda dx, x, y: dx / len(x)),
        ),
        (
            "scale",
            "dx is C times too small: it is a mean over all scores; the loss is a mean over the batch alone",
            ("Over how many terms does the loss take its mean?", "Divide by N, not by the number of all scores."),
            with_dx(function, lambda dx, x, y: dx / x.shape[1]),
        ),
        (
            "scale",
            "dx is divided by the number of classes; the loss is a mean over the batch, so it is N that divides",
            ("Over how many terms does the loss take its mean?", "N = x.shape[0], C = x.shape[1]"),
            with_dx(function, lambda dx, x, y: dx * len(x) / x.shape[1]),
        ),
        (
            "sign",
            "the loss has the wrong sign",
            ("Can this loss be negative?", "A probability's logarithm is negative, and a violated margin counts as a positive number."),
            with_loss(function, lambda loss, x, y: -loss),
        ),
        (
            "sign",
            "dx has the wrong sign: the score of the label has a negative gradient, for the loss falls when it grows",
            ("In which direction does the loss fall?", "The gradient points to where the loss grows."),
            with_dx(function, lambda dx, x, y: -dx),
        ),
        (
            "off-by-one",
            "labels are taken as if they began at 1 (y - 1); they begin at 0",
            ("Which labels are there for C classes?", "Index with y as it is."),
            lambda x, y, function=function: function(x, (y - 1) % x.shape[1]),
        ),
        (
            "transpose",
            "dx is transposed; it has to have the shape of the scores, (N, C)",
            ("Which shape has x?", "dx has a row for each sample."),
            with_dx(function, lambda dx, x, y: dx.T),
        ),
    )
)
DTYPE = tuple(
    Mistake(
        function.__name__,
        "dtype",
        "loss and dx are float32 even for float64 scores, which costs the gradient checks their digits",
        ("What is the dtype of dx?", "Leave the dtype to NumPy, or take x.dtype."),
        in_float32(function),
    )
    for function in (softmax_loss, svm_loss)
)
PER_SAMPLE = (
    *(
        Mistake(
            "softmax_loss",
            "shape",
            f"the loss is one number for each sample; it has to be their mean{style.also}",
            ("Which shape has a loss?", "Take the mean over the batch."),
            with_loss(style.function, lambda loss, x, y, style=style: style.surprises(x, y)),
        )
        for style in STYLES
    ),
    Mistake(
        "svm_loss",
        "shape",
        "the loss is one number for each sample; it has to be their mean",
        ("Which shape has a loss?", "Take the mean over the batch."),
        with_loss(svm_loss, lambda loss, x, y: violations(x, y)[0].sum(axis=1)),
    ),
)

MISTAKES = (*SOFTMAX, *SOFTMAX_MUTATION, *SVM, *COMMON, *DTYPE, *PER_SAMPLE)
