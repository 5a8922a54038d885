"""Mistakes in the two-layer network."""
# ruff: noqa: NPY002 - as the library's, these networks draw from NumPy's global generator

from dataclasses import replace

import numpy as np

from chainrule.compat.hlcv.two_layernet import TwoLayerNet
from chainrule.lab.mistake import Mistake

__all__ = ["MISTAKES"]


def network(**methods):
    """The library's class, but for these methods."""
    return type("TwoLayerNet", (TwoLayerNet,), methods)


def constructing(change):
    """A class whose parameters are changed once they are made: change(params, sizes, std) -> the entries that are other ones."""

    def __init__(self, input_size, hidden_size, output_size, std=1e-4):
        TwoLayerNet.__init__(self, input_size, hidden_size, output_size, std)
        self.params |= change(self.params, (input_size, hidden_size, output_size), std)

    return network(__init__=__init__)


def uniform(params, sizes, std):
    return {name: std * np.random.rand(*params[name].shape) for name in ("W1", "W2")}


def centred_uniform(params, sizes, std):
    return {name: std * np.random.uniform(-1, 1, params[name].shape) for name in ("W1", "W2")}


def with_one_seed(params, sizes, std):
    rng = np.random.default_rng(0)
    return {name: std * rng.standard_normal(params[name].shape) for name in ("W1", "W2")}


def with_the_same_seeds(params, sizes, std):
    return {name: std * np.random.default_rng(0).standard_normal(params[name].shape) for name in ("W1", "W2")}


def other_default():
    def __init__(self, input_size, hidden_size, output_size, std=1e-2):
        TwoLayerNet.__init__(self, input_size, hidden_size, output_size, std)

    return network(__init__=__init__)


INIT = tuple(
    Mistake("TwoLayerNet.__init__", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "state",
            "the weights are all 0: every hidden unit computes the same and gets the same gradient, for ever; draw them at random",
            ("What tells one hidden unit from another at the start?", "std * np.random.randn(input_size, hidden_size)"),
            constructing(lambda params, sizes, std: {name: 0 * params[name] for name in ("W1", "W2")}),
        ),
        (
            "transpose",
            "the weights are transposed; they are (D, H) and (H, C), inputs by outputs, for X @ W1",
            ("Which shape has X @ W1?", "np.random.randn(input_size, hidden_size)"),
            constructing(lambda params, sizes, std: {name: params[name].T for name in ("W1", "W2")}),
        ),
        (
            "scale",
            "std is not used: the weights have deviation 1",
            ("What is np.std of W1, and what was asked for?", "std * np.random.randn(...)"),
            constructing(lambda params, sizes, std: {name: params[name] / std for name in ("W1", "W2")}),
        ),
        (
            "scale",
            "the deviation of the weights is the root of std: std is a deviation, not a variance",
            ("What is np.std of W1, and what was asked for?", "std * np.random.randn(...)"),
            constructing(lambda params, sizes, std: {name: params[name] / np.sqrt(std) for name in ("W1", "W2")}),
        ),
        (
            "scale",
            "the deviation of the weights is std**2: std is multiplied in twice",
            ("What is np.std of W1, and what was asked for?", "std * np.random.randn(...)"),
            constructing(lambda params, sizes, std: {name: params[name] * std for name in ("W1", "W2")}),
        ),
        (
            "wrong-statistic",
            "the weights are uniform between 0 and std, all of them positive; draw them from a normal distribution",
            ("What is the mean of W1?", "np.random.randn, not np.random.rand."),
            constructing(uniform),
        ),
        (
            "wrong-statistic",
            "the weights are uniform between -std and std; draw them from a normal distribution of deviation std",
            ("How are the numbers of W1 spread? Look at a histogram.", "std * np.random.randn(...)"),
            constructing(centred_uniform),
        ),
        (
            "wrong-statistic",
            "the weights are the absolute values of normal numbers, all of them positive; they have to be of both signs",
            ("What is the mean of W1?", "std * np.random.randn(...), as it is."),
            constructing(lambda params, sizes, std: {name: np.abs(params[name]) for name in ("W1", "W2")}),
        ),
        (
            "wrong-statistic",
            "the mean of the weights is 1: np.random.normal(1, std) has it as its first argument; it has to be 0",
            ("What is the mean of W1?", "np.random.normal(0, std, size)"),
            constructing(lambda params, sizes, std: {name: 1 + params[name] for name in ("W1", "W2")}),
        ),
        (
            "scale",
            "std is used for W1 alone; W2 has deviation 1",
            ("What is np.std of W2, and what was asked for?", "The same std belongs to both."),
            constructing(lambda params, sizes, std: {"W2": params["W2"] / std}),
        ),
        (
            "state",
            "the biases begin with random numbers; they begin with zeros",
            ("What does the docstring say of the biases?", "np.zeros(hidden_size)"),
            constructing(lambda params, sizes, std: {name: std * np.random.randn(*params[name].shape) for name in ("b1", "b2")}),
        ),
        (
            "state",
            "the biases begin with another number than 0; they begin with zeros",
            ("What does the docstring say of the biases?", "np.zeros(hidden_size)"),
            constructing(lambda params, sizes, std: {"b1": np.ones_like(params["b1"]), "b2": np.ones_like(params["b2"])}),
        ),
        (
            "shape",
            "the biases have shapes (1, H) and (1, C); expected (H,) and (C,)",
            ("What does the docstring say of their shapes?", "np.zeros(hidden_size)"),
            constructing(lambda params, sizes, std: {"b1": params["b1"][None], "b2": params["b2"][None]}),
        ),
        (
            "shape",
            "b1 has one number for each input; it belongs to the hidden units: (H,)",
            ("To what is b1 added?", "np.zeros(hidden_size)"),
            constructing(lambda params, sizes, std: {"b1": np.zeros(sizes[0])}),
        ),
        (
            "shape",
            "the biases are single numbers; there is one for each hidden unit and each class: (H,) and (C,)",
            ("To what is b1 added?", "np.zeros(hidden_size)"),
            constructing(lambda params, sizes, std: {"b1": np.zeros(()), "b2": np.zeros(())}),
        ),
        (
            "state",
            "every network begins with the same numbers: a seed that is fixed inside of the constructor; a second network has other ones",
            ("What are the weights of a second network?", "Set no seed here: whoever makes the network does, with np.random.seed."),
            constructing(with_one_seed),
        ),
        (
            "state",
            "every weight is drawn from a new generator with the same seed, so that W1 and W2 hold the same numbers, in every network",
            ("What are W1.ravel()[:3] and W2.ravel()[:3]?", "Set no seed here: whoever makes the network does, with np.random.seed."),
            constructing(with_the_same_seeds),
        ),
        (
            "dtype",
            "the parameters are float32; here they are float64, for the gradient checks",
            ("What is params['W1'].dtype?", "NumPy makes float64 by itself."),
            constructing(lambda params, sizes, std: {name: value.astype(np.float32) for name, value in params.items()}),
        ),
        (
            "scale",
            "std is another number if it is not given; its default is 1e-4",
            ("What does the signature say?", "Leave the signature as it was."),
            other_default(),
        ),
    )
)


def relu(before):
    return np.maximum(before, 0)


def softmax(scores, axis=1):
    exp = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return exp / exp.sum(axis=axis, keepdims=True)


def overflowing_softmax(scores):
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


def label_probabilities(p, y):
    return p[np.arange(len(y)), y]


def less_the_labels(p, y):
    dscores = p.copy()
    dscores[np.arange(len(y)), y] -= 1
    return dscores / len(y)


def squares(params):
    return np.sum(params["W1"] ** 2) + np.sum(params["W2"] ** 2)


def computing(**steps):
    """A class whose loss has these steps put in; they are kept, to be put into another class with others."""
    return network(loss=loss_of(**steps), steps=steps)


def loss_of(
    *,
    hidden=lambda X, W, b: X @ W + b,
    activation=relu,
    scores=lambda hidden, W, b: hidden @ W + b,
    probabilities=softmax,
    without_labels=lambda p, scores: p,
    surprise=lambda p, y: -np.log(label_probabilities(p, y)).mean(),
    penalty=squares,
    dscores=less_the_labels,
    slope=lambda before: before > 0,
    penalty_slope=lambda W: 2 * W,
    gradients=lambda grads, forward: {},
):
    """`TwoLayerNet.loss` with one of its steps put in."""

    def loss(self, X, y=None, reg=0.0):
        W1, b1, W2, b2 = (self.params[name] for name in ("W1", "b1", "W2", "b2"))
        before = hidden(X, W1, b1)
        after = activation(before)
        s = scores(after, W2, b2)
        p = probabilities(s)
        if y is None:
            return without_labels(p, s)
        value = surprise(p, y) + reg * penalty(self.params)
        ds = dscores(p, y)
        dbefore = (ds @ W2.T) * slope(before)
        grads = {
            "W1": X.T @ dbefore + reg * penalty_slope(W1),
            "b1": dbefore.sum(axis=0),
            "W2": after.T @ ds + reg * penalty_slope(W2),
            "b2": ds.sum(axis=0),
        }
        known = {"X": X, "before": before, "after": after, "ds": ds, "dbefore": dbefore, "reg": reg, "params": self.params}
        return value, grads | gradients(grads, known)

    return loss


def mean_biases(grads, known):
    return {name: grads[name] / len(known["X"]) for name in ("b1", "b2")}


def divided_again(grads, known):
    """All that comes from the loss is divided by N once more."""
    N, reg, params = len(known["X"]), known["reg"], known["params"]
    weights = {name: (grads[name] - 2 * reg * params[name]) / N + 2 * reg * params[name] for name in ("W1", "W2")}
    return weights | mean_biases(grads, known)


def penalized_biases(grads, known):
    return {name: grads[name] + 2 * known["reg"] * known["params"][name] for name in ("b1", "b2")}


def without_the_mask_for_b1(grads, known):
    return {"b1": (known["ds"] @ known["params"]["W2"].T).sum(axis=0)}


def w2_before_relu(grads, known):
    return {"W2": known["before"].T @ known["ds"] + 2 * known["reg"] * known["params"]["W2"]}


def penalty_on_the_way_back(grads, known):
    """dhidden from a W2 that is scaled by the step of the penalty: W2 was overwritten by its gradient."""
    dbefore = (known["ds"] @ grads["W2"].T) * (known["before"] > 0)
    return {"W1": known["X"].T @ dbefore + 2 * known["reg"] * known["params"]["W1"], "b1": dbefore.sum(axis=0)}


def changing_parameters(self, X, y=None, reg=0.0):
    result = TwoLayerNet.loss(self, X, y, reg)
    if y is not None:
        for name, grad in result[1].items():
            self.params[name] = self.params[name] - 1e-3 * grad
    return result


def centring_in_place(self, X, y=None, reg=0.0):
    result = TwoLayerNet.loss(self, X, y, reg)
    X -= X.mean(axis=0)
    return result


def keeping_the_first_parameters(self, X, y=None, reg=0.0):
    self.first = getattr(self, "first", None) or {name: value.copy() for name, value in self.params.items()}
    held, self.params = self.params, self.first
    try:
        return TwoLayerNet.loss(self, X, y, reg)
    finally:
        self.params = held


LOSS = tuple(
    Mistake("TwoLayerNet.loss", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "mode",
            "without labels the scores come back; here it is the probabilities, their softmax",
            ("What do the rows add up to?", "exp(scores) / sum(exp(scores)) along axis 1"),
            computing(without_labels=lambda p, scores: scores),
        ),
        (
            "mode",
            "without labels exp(scores) comes back, not divided by its sum over the classes; the probabilities of a sample add up to 1",
            ("What do the rows add up to?", "exp(scores) / sum(exp(scores)) along axis 1"),
            computing(without_labels=lambda p, scores: np.exp(scores)),
        ),
        (
            "mode",
            "without labels exp of the shifted scores comes back, not divided by its sum over the classes: "
            "the probabilities of a sample add up to 1",
            ("What do the rows add up to?", "exp / exp.sum(axis=1, keepdims=True)"),
            computing(without_labels=lambda p, scores: np.exp(scores - scores.max(axis=1, keepdims=True))),
        ),
        (
            "missing-term",
            "exp(scores) is not divided by its sum over the classes, neither in what comes back nor in loss and gradients",
            ("What do the rows of your probabilities add up to?", "exp / exp.sum(axis=1, keepdims=True)"),
            computing(probabilities=np.exp),
        ),
        (
            "missing-term",
            "exp of the shifted scores is not divided by its sum over the classes, neither in what comes back nor in loss and gradients",
            ("What do the rows of your probabilities add up to?", "exp / exp.sum(axis=1, keepdims=True)"),
            computing(probabilities=lambda scores: np.exp(scores - scores.max(axis=1, keepdims=True))),
        ),
        (
            "axis",
            "exp(scores) is divided by the sum over the whole batch; it is that of each sample's classes: axis=1, keepdims=True",
            ("What does each row of your probabilities add up to?", "exp.sum(axis=1, keepdims=True)"),
            computing(probabilities=lambda scores: np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()),
        ),
        (
            "mode",
            "without labels the logarithms of the probabilities come back; here it is the probabilities",
            ("What do the rows add up to?", "Return them before the logarithm is taken."),
            computing(without_labels=lambda p, scores: np.log(p)),
        ),
        (
            "mode",
            "without labels the predicted labels come back; here it is all probabilities, (N, C)",
            ("Which shape does the docstring promise?", "argmax belongs into predict."),
            computing(without_labels=lambda p, scores: p.argmax(axis=1)),
        ),
        (
            "missing-term",
            "the loss lacks the penalty, reg * (sum(W1**2) + sum(W2**2))",
            ("How does the loss change with reg?", "loss += reg * (np.sum(W1**2) + np.sum(W2**2))"),
            computing(penalty=lambda params: 0.0),
        ),
        (
            "missing-term",
            "the gradients of W1 and W2 lack that of the penalty, 2 * reg * W",
            ("What is the derivative of reg * W**2?", 'grads["W1"] += 2 * reg * W1, and the same for W2.'),
            computing(penalty_slope=lambda W: 0 * W),
        ),
        (
            "missing-term",
            "the penalty is left out of the loss and of the gradients",
            ("How do loss and gradients change with reg?", "loss += reg * sum(W**2), and 2 * reg * W for the gradients."),
            computing(penalty=lambda params: 0.0, penalty_slope=lambda W: 0 * W),
        ),
        (
            "scale",
            "the penalty is 0.5 * reg * sum(W**2), with reg * W as its gradient, as in CS231n; here it has no factor 1/2",
            ("What does the first line of the class say about the factor?", "reg * sum(W**2), and 2 * reg * W."),
            computing(penalty=lambda params: 0.5 * squares(params), penalty_slope=lambda W: W),
        ),
        (
            "scale",
            "the gradient of the penalty lacks the factor 2: the derivative of reg * W**2 is 2 * reg * W",
            ("What is the derivative of W**2?", 'grads["W1"] += 2 * reg * W1'),
            computing(penalty_slope=lambda W: W),
        ),
        (
            "scale",
            "the loss has half of the penalty, while the gradients have all of it; here it has no factor 1/2",
            ("What does the first line of the class say about the factor?", "loss += reg * (np.sum(W1**2) + np.sum(W2**2))"),
            computing(penalty=lambda params: 0.5 * squares(params)),
        ),
        (
            "missing-term",
            "the penalty counts W2 alone; both weights are penalized",
            ("Which weights are in the sum?", "W1, too: in the loss and in its gradient."),
            computing(
                penalty=lambda params: np.sum(params["W2"] ** 2),
                gradients=lambda grads, known: {"W1": grads["W1"] - 2 * known["reg"] * known["params"]["W1"]},
            ),
        ),
        (
            "missing-term",
            "the penalty counts W1 alone; both weights are penalized",
            ("Which weights are in the sum?", "W2, too: in the loss and in its gradient."),
            computing(
                penalty=lambda params: np.sum(params["W1"] ** 2),
                gradients=lambda grads, known: {"W2": grads["W2"] - 2 * known["reg"] * known["params"]["W2"]},
            ),
        ),
        (
            "missing-term",
            "the biases are penalized, too; the penalty is that of the weights alone",
            ("Which parameters does the formula of the penalty have?", "Leave b1 and b2 out of it, in the loss and in the gradients."),
            computing(
                penalty=lambda params: squares(params) + np.sum(params["b1"] ** 2) + np.sum(params["b2"] ** 2), gradients=penalized_biases
            ),
        ),
        (
            "wrong-statistic",
            "the penalty takes the root of the sum of squares, np.linalg.norm; it is the sum itself",
            ("What is the derivative of the norm? It is not 2 * W.", "np.sum(W1**2)"),
            computing(penalty=lambda params: np.sqrt(np.sum(params["W1"] ** 2)) + np.sqrt(np.sum(params["W2"] ** 2))),
        ),
        (
            "wrong-statistic",
            "the penalty sums absolute values; it is a sum of squares",
            ("What is the formula of the penalty?", "np.sum(W1**2)"),
            computing(penalty=lambda params: np.abs(params["W1"]).sum() + np.abs(params["W2"]).sum(), penalty_slope=np.sign),
        ),
        (
            "wrong-statistic",
            "the penalty is a mean of the squares; it is their sum",
            ("Over how many terms is divided in the formula of the penalty?", "np.sum(W1**2), not np.mean."),
            computing(penalty=lambda params: np.mean(params["W1"] ** 2) + np.mean(params["W2"] ** 2)),
        ),
        (
            "sign",
            "the penalty is subtracted from the loss; it has to be added",
            ("Should large weights make the loss larger or smaller?", "loss += reg * ..."),
            computing(penalty=lambda params: -squares(params)),
        ),
        (
            "numerics",
            "exp overflows for scores of some 700: subtract each row's maximum first, which changes no probability",
            ("What is np.exp(1000)?", "shifted = scores - scores.max(axis=1, keepdims=True)"),
            computing(probabilities=overflowing_softmax),
        ),
        (
            "axis",
            "the probabilities add up to 1 over the batch; they have to do so over the classes of each sample, axis 1",
            ("What do the rows add up to?", "exp.sum(axis=1, keepdims=True)"),
            computing(probabilities=lambda scores: softmax(scores, axis=0)),
        ),
        (
            "scale",
            "the loss is N times too large: the cross-entropies are summed over the batch; take their mean",
            ("Should the loss double if every sample comes twice?", "Divide by the number of samples."),
            computing(surprise=lambda p, y: -np.log(label_probabilities(p, y)).sum()),
        ),
        (
            "sign",
            "the cross-entropy has the wrong sign: it is the mean of -log(p)",
            ("What is the sign of log(p)?", "loss = -np.log(p[np.arange(N), y]).mean()"),
            computing(surprise=lambda p, y: np.log(label_probabilities(p, y)).mean()),
        ),
        (
            "missing-term",
            "the logarithm is missing: the loss is the mean of -log(p) at the labels, not of -p",
            ("What is the loss of a sample whose label has probability 1? It is 0.", "loss = -np.log(p[np.arange(N), y]).mean()"),
            computing(surprise=lambda p, y: -label_probabilities(p, y).mean()),
        ),
        (
            "broadcasting",
            "p[:, y] picks the columns of all labels in every row, (N, N) numbers; each row has one label: p[np.arange(N), y]",
            ("Which shape has p[:, y]?", "Index rows and columns together: np.arange(N), y."),
            computing(surprise=lambda p, y: -np.log(p[:, y]).mean()),
        ),
        (
            "scale",
            "the gradients of the cross-entropy are N times too large: the loss is a mean, so dscores is divided by N",
            ("Of what are these the gradients: of the mean, or of the sum?", "dscores /= N"),
            computing(dscores=lambda p, y: less_the_labels(p, y) * len(y)),
        ),
        (
            "scale",
            "the gradients of the cross-entropy are divided by N twice: dscores is, and the sums over the batch are once more",
            ("How often do you divide by N on the way?", "Divide dscores, and nothing after it."),
            computing(gradients=divided_again),
        ),
        (
            "scale",
            "the gradients of the biases are means over the batch; dscores is divided by N already, so they are sums",
            ("How often do you divide by N on the way?", "dscores.sum(axis=0)"),
            computing(gradients=mean_biases),
        ),
        (
            "missing-term",
            "dscores is p / N: the 1 is not subtracted at the labels, (p - [class is y]) / N",
            ("In which direction should the score of the label go?", "dscores[np.arange(N), y] -= 1"),
            computing(dscores=lambda p, y: p / len(y)),
        ),
        (
            "sign",
            "dscores has the wrong sign: it is (p - [class is y]) / N",
            ("In which direction does the loss fall?", "The gradient points to where the loss grows."),
            computing(dscores=lambda p, y: -less_the_labels(p, y)),
        ),
        (
            "missing-term",
            "the way back through ReLU is missing: dhidden has to be 0 where the hidden unit was",
            ("Does the loss depend on W1 through a unit that is 0?", "dhidden = (dscores @ W2.T) * (hidden > 0)"),
            computing(slope=np.ones_like),
        ),
        (
            "missing-term",
            "the gradient of b1 leaves out ReLU's mask, which that of W1 has",
            ("Does the loss depend on the bias of a unit that is 0?", "Mask dhidden first, then take both from it."),
            computing(gradients=without_the_mask_for_b1),
        ),
        (
            "missing-term",
            "dhidden is multiplied by the hidden values; it has to be multiplied by ReLU's derivative, 1 where they are positive",
            ("What is the slope of ReLU at 3?", "dhidden * (hidden > 0)"),
            computing(slope=relu),
        ),
        (
            "missing-term",
            "the hidden layer lacks ReLU, both ways",
            ("What is a network of two affine layers without anything in between?", "hidden = np.maximum(X @ W1 + b1, 0)"),
            computing(activation=lambda before: before, slope=np.ones_like),
        ),
        (
            "missing-term",
            "the hidden layer lacks ReLU in the forward pass",
            ("Can a hidden value be negative?", "hidden = np.maximum(X @ W1 + b1, 0)"),
            computing(activation=lambda before: before),
        ),
        (
            "missing-term",
            "the hidden layer has a sigmoid; here it is ReLU",
            ("What does the first line of the class say of the layers?", "hidden = np.maximum(X @ W1 + b1, 0)"),
            computing(
                activation=lambda before: 1 / (1 + np.exp(-before)), slope=lambda before: np.exp(-before) / (1 + np.exp(-before)) ** 2
            ),
        ),
        (
            "missing-term",
            "the scores go through ReLU, too; only the hidden layer does",
            ("Can a score be negative?", "scores = hidden @ W2 + b2"),
            computing(scores=lambda hidden, W, b: relu(hidden @ W + b)),
        ),
        (
            "missing-term",
            "b1 is not added: hidden = relu(X @ W1 + b1)",
            ("What are the hidden values of an X of zeros?", "X @ W1 + b1"),
            computing(hidden=lambda X, W, b: X @ W),
        ),
        (
            "missing-term",
            "b2 is not added: scores = hidden @ W2 + b2",
            ("What are the scores where all hidden values are 0?", "hidden @ W2 + b2"),
            computing(scores=lambda hidden, W, b: hidden @ W),
        ),
        (
            "missing-term",
            "neither b1 nor b2 is added: hidden = relu(X @ W1 + b1), scores = hidden @ W2 + b2",
            ("What are the scores of an X of zeros?", "Each affine layer adds its bias."),
            computing(hidden=lambda X, W, b: X @ W, scores=lambda hidden, W, b: hidden @ W),
        ),
        (
            "cache",
            "the gradient of W2 comes from the hidden values before ReLU; the second layer saw those after it",
            ("What did W2 multiply in the forward pass?", "hidden.T @ dscores, with hidden after ReLU."),
            computing(gradients=w2_before_relu),
        ),
        (
            "state",
            "the name W2 stands for its gradient already when dhidden is computed from it; dhidden = dscores @ W2.T takes the weights",
            ("Which array does the name W2 stand for in that line?", "Give the gradient a name of its own, dW2."),
            computing(gradients=penalty_on_the_way_back),
        ),
        (
            "shape",
            'the gradients of the two biases are exchanged: grads["b1"] has the length of b2',
            ("Which shape has b1?", "b1 comes from dhidden, b2 from dscores."),
            computing(gradients=lambda grads, known: {"b1": grads["b2"], "b2": grads["b1"]}),
        ),
        (
            "transpose",
            "the gradients of W1 and W2 are transposed; they have to have the shapes of the weights: X.T @ dhidden, hidden.T @ dscores",
            ("Which shape has W1?", "(D, N) @ (N, H) is (D, H)."),
            computing(gradients=lambda grads, known: {name: grads[name].T for name in ("W1", "W2")}),
        ),
        (
            "shape",
            "the gradients of the biases have shapes (1, H) and (1, C); they have to have those of the biases: leave out keepdims",
            ("Which shape has b1?", "dhidden.sum(axis=0)"),
            computing(gradients=lambda grads, known: {name: grads[name][None] for name in ("b1", "b2")}),
        ),
        (
            "mutation",
            "the parameters are changed by the call; loss only computes, the step belongs into train",
            ("Are two calls with the same X and y the same?", "Return the gradients, and leave self.params alone."),
            network(loss=changing_parameters),
        ),
        (
            "mutation",
            "the call changes X itself (X -= ...), which the caller sees; make a new array",
            ("What has X become after the call?", "Work on a copy of X."),
            network(loss=centring_in_place),
        ),
        (
            "state",
            "the parameters are those of an earlier call: they have to be read from self.params each time",
            ("What does loss compute after self.params has been changed?", 'W1 = self.params["W1"] at the start of loss.'),
            network(loss=keeping_the_first_parameters),
        ),
    )
)


# what is wrong beside an exp that overflows, which many write first
OVERFLOWING = tuple(
    replace(
        mistake,
        sentence=f"{mistake.sentence}; and exp overflows for scores of some 700: subtract each row's maximum first",
        code=computing(**mistake.code.steps, probabilities=overflowing_softmax),
    )
    for mistake in LOSS
    if mistake.kind != "mode" and "probabilities" not in getattr(mistake.code, "steps", {"probabilities": None})
)


def drawn(N, size):
    batch = np.random.choice(N, size)
    return batch, batch


def drawn_apart(N, size):
    return np.random.choice(N, size), np.random.choice(N, size)


def first_ones(N, size):
    return (np.arange(min(size, N)),) * 2


def all_of_them(N, size):
    return (np.arange(N),) * 2


def without_replacement(N, size):
    return (np.random.choice(N, size, replace=False),) * 2


def last_never_drawn(N, size):
    return (np.random.choice(max(N - 1, 1), size),) * 2


def plainly(w, dw, learning_rate):
    return w - learning_rate * dw


def training(
    *,
    draw=drawn,
    once=False,
    regularized=lambda reg: reg,
    step_on=("W1", "b1", "W2", "b2"),
    update=plainly,
    epoch=lambda N, size: max(N // size, 1),
    measure=lambda step, epoch: step % epoch == 0,
    decay=lambda rate, factor, step, measured: rate * factor if measured else rate,
    kept=lambda step, epoch: True,
    loss_after=False,
    measured_before=False,
    accuracy=lambda predicted, labels: np.mean(predicted == labels),
    exchanged=False,
    val_on_batch=False,
):
    """A class whose training has one of its steps put in."""

    def train(
        self, X, y, X_val, y_val, learning_rate=1e-3, learning_rate_decay=0.95, reg=5e-6, num_iters=100, batch_size=200, verbose=False
    ):
        steps_per_epoch = epoch(len(X), batch_size)
        losses, train_accuracies, val_accuracies = [], [], []
        rows = draw(len(X), batch_size)
        for step in range(num_iters):
            inputs, labels = rows if once else draw(len(X), batch_size)
            X_batch, y_batch = X[inputs], y[labels]
            loss, grads = self.loss(X_batch, y_batch, reg=regularized(reg))
            for name in step_on:
                self.params[name] = update(self.params[name], grads[name], learning_rate)
            if loss_after:
                loss, _ = self.loss(X_batch, y_batch, reg=regularized(reg))
            if kept(step, steps_per_epoch):
                losses.append(loss)
            measured = measure(step, steps_per_epoch)
            if measured:
                train_accuracies.append(accuracy(self.predict(X_batch), y_batch))
                val_accuracies.append(train_accuracies[-1] if val_on_batch else accuracy(self.predict(X_val), y_val))
            learning_rate = decay(learning_rate, learning_rate_decay, step, measured)
        if exchanged:
            train_accuracies, val_accuracies = val_accuracies, train_accuracies
        return {"loss_history": losses, "train_acc_history": train_accuracies, "val_acc_history": val_accuracies}

    return network(train=train)


TRAIN = tuple(
    Mistake("TwoLayerNet.train", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "state",
            "the learning rate stays the same: it is not multiplied by learning_rate_decay after an epoch",
            ("How large is the rate in the last step?", "learning_rate *= learning_rate_decay where the accuracies are measured."),
            training(decay=lambda rate, factor, step, measured: rate),
        ),
        (
            "state",
            "the learning rate decays after every step; it decays once an epoch",
            ("How large is the rate after 100 steps?", "Multiply it where the accuracies are measured."),
            training(decay=lambda rate, factor, step, measured: rate * factor),
        ),
        (
            "scale",
            "the learning rate is divided by its decay and grows; it is multiplied",
            ("Is the rate of the last step smaller than that of the first?", "learning_rate *= learning_rate_decay"),
            training(decay=lambda rate, factor, step, measured: rate / factor if measured else rate),
        ),
        (
            "off-by-one",
            "accuracies are measured, and the rate decays, at the end of each epoch alone; the first time is after the first step",
            ("Is step % steps_per_epoch 0 at the first step?", "Count steps from 0: if step % steps_per_epoch == 0."),
            training(measure=lambda step, epoch: (step + 1) % epoch == 0),
        ),
        (
            "off-by-one",
            "accuracies are measured, and the rate decays, after every step; it is once an epoch",
            ("How many steps has an epoch?", "if step % max(len(X) // batch_size, 1) == 0"),
            training(measure=lambda step, epoch: True),
        ),
        (
            "off-by-one",
            "nothing is measured after the first step, and the rate does not decay there; it begins with step 0",
            ("Is step % steps_per_epoch 0 at the first step?", "if step % steps_per_epoch == 0, for step 0, too."),
            training(measure=lambda step, epoch: step > 0 and step % epoch == 0),
        ),
        (
            "shape",
            "an epoch has len(X) // batch_size steps, which is 0 where the batch is larger than the data; it has at least one",
            ("What is 3 // 5, and what happens if you divide by it?", "max(len(X) // batch_size, 1)"),
            training(epoch=lambda N, size: N // size),
        ),
        (
            "scale",
            "an epoch is taken to have as many steps as there are samples; it has len(X) // batch_size",
            ("After how many steps has every sample been seen once, on average?", "max(len(X) // batch_size, 1)"),
            training(epoch=lambda N, size: N),
        ),
        (
            "sign",
            "the parameters go up the gradient; they have to go down: w -= learning_rate * dw",
            ("Does the loss fall?", "Subtract the gradient."),
            training(update=lambda w, dw, rate: w + rate * dw),
        ),
        (
            "missing-term",
            "the parameters are never changed: the gradients are not used",
            ("Does the loss fall?", 'self.params["W1"] -= learning_rate * grads["W1"], and so on.'),
            training(update=lambda w, dw, rate: w),
        ),
        (
            "missing-term",
            "the gradients are subtracted without the learning rate",
            ("By how much do the parameters change with a rate of 0?", "w -= learning_rate * dw"),
            training(update=lambda w, dw, rate: w - dw),
        ),
        (
            "missing-term",
            "the weights learn, but the biases stay as they are; all four parameters take a step",
            ("What is b2 after training?", "for name in self.params: ..."),
            training(step_on=("W1", "W2")),
        ),
        (
            "missing-term",
            "only the second layer learns; all four parameters take a step",
            ("What is W1 after training?", "for name in self.params: ..."),
            training(step_on=("W2", "b2")),
        ),
        (
            "missing-term",
            "reg does not reach loss, so that nothing is penalized",
            ("With which reg is self.loss called?", "self.loss(X_batch, y_batch, reg)"),
            training(regularized=lambda reg: 0.0),
        ),
        (
            "wrong-statistic",
            "every step takes the first samples; a batch is drawn at random",
            ("Which samples are never learned from?", "np.random.choice(len(X), batch_size)"),
            training(draw=first_ones),
        ),
        (
            "wrong-statistic",
            "every step takes all samples; a batch has batch_size of them, drawn at random",
            ("Which shape has X_batch?", "batch = np.random.choice(len(X), batch_size), then X[batch] and y[batch]."),
            training(draw=all_of_them),
        ),
        (
            "state",
            "the batch is drawn once, before the loop, and is the same in every step; draw one in each",
            ("Which samples are never learned from?", "Draw inside of the loop."),
            training(once=True),
        ),
        (
            "wrong-statistic",
            "inputs and labels are drawn on their own, so that labels belong to other samples",
            ("Which label goes with X_batch[0]?", "Draw the rows once, and take X[batch] and y[batch]."),
            training(draw=drawn_apart),
        ),
        (
            "shape",
            "the batch is drawn without replacement (replace=False), which fails where it is larger than the data",
            ("What does np.random.choice(5, 200, replace=False) do?", "np.random.choice(len(X), batch_size) draws with replacement."),
            training(draw=without_replacement),
        ),
        (
            "off-by-one",
            "the last sample is never drawn: random integers end before their upper bound",
            ("Which numbers does np.random.randint(0, N - 1) give?", "np.random.choice(len(X), batch_size)"),
            training(draw=last_never_drawn),
        ),
        (
            "state",
            "loss_history holds the loss after the step's update; it is the loss that the gradients come from",
            ("How often is self.loss called in a step?", "Append the loss that came with the gradients."),
            training(loss_after=True),
        ),
        (
            "shape",
            "loss_history has one loss an epoch; it has that of every step",
            ("How long is loss_history after num_iters steps?", "Append outside of the if."),
            training(kept=lambda step, epoch: step % epoch == 0),
        ),
        (
            "scale",
            "the accuracies are in percent; they are shares, in [0, 1]",
            ("What does the docstring say of their range?", "np.mean(predicted == labels)"),
            training(accuracy=lambda predicted, labels: 100 * np.mean(predicted == labels)),
        ),
        (
            "scale",
            "the accuracies count the right predictions; divide by the number of samples",
            ("What does the docstring say of their range?", "np.mean, not np.sum."),
            training(accuracy=lambda predicted, labels: np.sum(predicted == labels)),
        ),
        (
            "wrong-statistic",
            "the share of wrong predictions is given as accuracy; it is that of the right ones",
            ("What is the accuracy if all predictions are right?", "np.mean(predicted == labels)"),
            training(accuracy=lambda predicted, labels: np.mean(predicted != labels)),
        ),
        (
            "shape",
            "train_acc_history and val_acc_history are exchanged",
            ("On which samples is each measured?", "predict(X_batch) belongs to train_acc_history."),
            training(exchanged=True),
        ),
        (
            "wrong-statistic",
            "val_acc_history holds the accuracy on the batch; it is that on X_val and y_val",
            ("On which samples is it measured?", "np.mean(self.predict(X_val) == y_val)"),
            training(val_on_batch=True),
        ),
    )
)


def scores(self, X, activation=relu, b1=True, b2=True):
    hidden = activation(X @ self.params["W1"] + b1 * self.params["b1"])
    return hidden @ self.params["W2"] + b2 * self.params["b2"]


PREDICT = tuple(
    Mistake("TwoLayerNet.predict", kind, sentence, hints, network(predict=predict))
    for kind, sentence, hints, predict in (
        (
            "axis",
            "the greatest probability is looked for along the batch, axis 0; it is that of each sample, axis 1",
            ("How many labels come out for one sample?", "argmax(axis=1)"),
            lambda self, X: self.loss(X).argmax(axis=0),
        ),
        (
            "axis",
            "the greatest score is looked for along the batch, axis 0; it is that of each sample, axis 1",
            ("How many labels come out for one sample?", "argmax(axis=1)"),
            lambda self, X: scores(self, X).argmax(axis=0),
        ),
        (
            "axis",
            "argmax without an axis gives one number, the place of the greatest of all probabilities; it is taken for each sample: axis=1",
            ("How many labels come out for 9 samples?", "argmax(axis=1)"),
            lambda self, X: self.loss(X).argmax(),
        ),
        (
            "axis",
            "argmax without an axis gives one number, the place of the greatest of all scores; it is taken for each sample: axis=1",
            ("How many labels come out for 9 samples?", "argmax(axis=1)"),
            lambda self, X: scores(self, X).argmax(),
        ),
        (
            "wrong-statistic",
            "the greatest probability itself comes back; it is the class that has it: argmax, not max",
            ("Are your labels integers?", "probabilities.argmax(axis=1)"),
            lambda self, X: self.loss(X).max(axis=1),
        ),
        (
            "wrong-statistic",
            "the greatest score itself comes back; it is the class that has it: argmax, not max",
            ("Are your labels integers?", "scores.argmax(axis=1)"),
            lambda self, X: scores(self, X).max(axis=1),
        ),
        (
            "sign",
            "the class of the smallest probability comes back; it is that of the greatest: argmax",
            ("How sure is the network of your labels?", "argmax, not argmin."),
            lambda self, X: scores(self, X).argmin(axis=1),
        ),
        (
            "shape",
            "all probabilities come back, (N, C); it is one label for each sample: their argmax along axis 1",
            ("Which shape does the docstring promise?", "self.loss(X).argmax(axis=1)"),
            lambda self, X: self.loss(X),
        ),
        (
            "shape",
            "all scores come back, (N, C); it is one label for each sample: their argmax along axis 1",
            ("Which shape does the docstring promise?", "scores.argmax(axis=1)"),
            lambda self, X: scores(self, X),
        ),
        (
            "shape",
            "the labels come back as vectors of 0 and 1, (N, C); it is one integer for each sample",
            ("Which shape does the docstring promise?", "argmax(axis=1) gives the integers."),
            lambda self, X: np.eye(len(self.params["b2"]))[scores(self, X).argmax(axis=1)],
        ),
        (
            "shape",
            "the labels have shape (N, 1); it is (N,): leave out keepdims",
            ("Which shape does the docstring promise?", "argmax(axis=1)"),
            lambda self, X: scores(self, X).argmax(axis=1)[:, None],
        ),
        (
            "off-by-one",
            "the labels begin at 1; they begin at 0, as argmax gives them",
            ("Which labels are there for C classes?", "Return argmax as it is."),
            lambda self, X: scores(self, X).argmax(axis=1) + 1,
        ),
        (
            "missing-term",
            "the hidden layer lacks ReLU here, while loss has it",
            ("Does predict compute the same scores as loss?", "np.maximum(X @ W1 + b1, 0), or call self.loss(X)."),
            lambda self, X: scores(self, X, activation=lambda before: before).argmax(axis=1),
        ),
        (
            "missing-term",
            "b1 is left out here, while loss has it",
            ("Does predict compute the same scores as loss?", "np.maximum(X @ W1 + b1, 0), or call self.loss(X)."),
            lambda self, X: scores(self, X, b1=False).argmax(axis=1),
        ),
        (
            "missing-term",
            "b2 is left out here, while loss has it",
            ("Does predict compute the same scores as loss?", "hidden @ W2 + b2, or call self.loss(X)."),
            lambda self, X: scores(self, X, b2=False).argmax(axis=1),
        ),
        (
            "missing-term",
            "b1 and b2 are left out here, while loss has them",
            ("Does predict compute the same scores as loss?", "Add both biases, or call self.loss(X)."),
            lambda self, X: scores(self, X, b1=False, b2=False).argmax(axis=1),
        ),
        (
            "missing-term",
            "the label is the number of the largest hidden unit; it is that of the largest score, behind W2",
            ("How many values has the array whose argmax you take, H or C?", "hidden @ W2 + b2, then argmax."),
            lambda self, X: relu(X @ self.params["W1"] + self.params["b1"]).argmax(axis=1),
        ),
    )
)

MISTAKES = (*INIT, *LOSS, *OVERFLOWING, *TRAIN, *PREDICT)
