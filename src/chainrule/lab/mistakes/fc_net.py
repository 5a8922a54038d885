"""Mistakes in fully connected networks of any depth."""
# ruff: noqa: NPY002 - as the library's, these networks draw from NumPy's global generator

from itertools import pairwise

import numpy as np

from chainrule.compat.cs231n.classifiers.fc_net import FullyConnectedNet
from chainrule.functional import affine_backward, affine_forward, relu_backward, relu_forward, softmax_loss, svm_loss
from chainrule.lab.mistake import Mistake

__all__ = ["MISTAKES"]


def network(**methods):
    """The library's class, but for these methods."""
    return type("FullyConnectedNet", (FullyConnectedNet,), methods)


def normal(shape, scale):
    return scale * np.random.randn(*shape)


def reseeded():
    """A class whose generator gets the same seed each time."""

    def __init__(self, *arguments, **named):
        state = np.random.get_state()
        np.random.seed(0)
        FullyConnectedNet.__init__(self, *arguments, **named)
        np.random.set_state(state)

    return network(__init__=__init__)


def constructing(*, shapes=lambda widths: list(pairwise(widths)), draw=normal, bias=np.zeros, kept=lambda dtype: dtype, default_scale=1e-2):
    """A class whose parameters are made in another way, or with other defaults.

    shapes : widths -> shapes of the weights
    draw : (shape, weight_scale) -> weights
    kept : dtype -> the one that is taken
    """

    def __init__(
        self,
        hidden_dims,
        input_dim=3 * 32 * 32,
        num_classes=10,
        dropout_keep_ratio=1,
        normalization=None,
        reg=0.0,
        weight_scale=default_scale,
        dtype=np.float32,
        seed=None,
    ):
        FullyConnectedNet.__init__(self, hidden_dims, input_dim, num_classes, reg=reg, weight_scale=weight_scale, dtype=kept(dtype))
        self.params = {}
        for layer, shape in enumerate(shapes([input_dim, *hidden_dims, num_classes]), start=1):
            self.params[f"W{layer}"] = draw(shape, weight_scale).astype(kept(dtype))
            self.params[f"b{layer}"] = bias(shape[1]).astype(kept(dtype))

    return network(__init__=__init__)


INIT = tuple(
    Mistake("FullyConnectedNet.__init__", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "state",
            "the weights are all 0: every hidden unit computes the same and gets the same gradient, for ever; draw them at random",
            ("What tells one hidden unit from another at the start?", "weight_scale * np.random.randn(fan_in, fan_out)"),
            constructing(draw=lambda shape, scale: np.zeros(shape)),
        ),
        (
            "transpose",
            "the weights are transposed; they are (inputs, outputs) of their layer, for x @ W",
            ("Which shape has x @ W1?", "np.random.randn(fan_in, fan_out)"),
            constructing(draw=lambda shape, scale: normal(shape[::-1], scale)),
        ),
        (
            "scale",
            "weight_scale is not used: the weights have deviation 1",
            ("What is np.std of W1, and what was asked for?", "weight_scale * np.random.randn(...)"),
            constructing(draw=lambda shape, scale: normal(shape, 1.0)),
        ),
        (
            "scale",
            "the deviation of the weights is the root of weight_scale, which is a deviation, not a variance",
            ("What is np.std of W1, and what was asked for?", "weight_scale * np.random.randn(...)"),
            constructing(draw=lambda shape, scale: normal(shape, np.sqrt(scale))),
        ),
        (
            "scale",
            "the weights are scaled by 1 / sqrt(inputs), and weight_scale is not used; here it alone says the deviation",
            ("What is np.std of W1, and what was asked for?", "weight_scale * np.random.randn(...)"),
            constructing(draw=lambda shape, scale: normal(shape, 1 / np.sqrt(shape[0]))),
        ),
        (
            "scale",
            "the weights are scaled by sqrt(2 / inputs), and weight_scale is not used; here it alone says the deviation",
            ("What is np.std of W1, and what was asked for?", "weight_scale * np.random.randn(...)"),
            constructing(draw=lambda shape, scale: normal(shape, np.sqrt(2 / shape[0]))),
        ),
        (
            "wrong-statistic",
            "the weights are uniform between 0 and weight_scale, all of them positive; draw them from a normal distribution",
            ("What is the mean of W1?", "np.random.randn, not np.random.rand."),
            constructing(draw=lambda shape, scale: scale * np.random.rand(*shape)),
        ),
        (
            "wrong-statistic",
            "the weights are uniform between -weight_scale and weight_scale; draw them from a normal distribution of that deviation",
            ("How are the numbers of W1 spread? Look at a histogram.", "weight_scale * np.random.randn(...)"),
            constructing(draw=lambda shape, scale: np.random.uniform(-scale, scale, shape)),
        ),
        (
            "wrong-statistic",
            "the mean of the weights is 1: np.random.normal(1, scale) has it as its first argument; it has to be 0",
            ("What is the mean of W1?", "np.random.normal(0, weight_scale, size)"),
            constructing(draw=lambda shape, scale: 1 + normal(shape, scale)),
        ),
        (
            "state",
            "every network begins with the same numbers: a seed that is fixed inside of the constructor; a second network has other ones",
            ("What are the weights of a second network?", "Set no seed here: whoever makes the network does, with np.random.seed."),
            reseeded(),
        ),
        (
            "state",
            "every weight is drawn from a new generator with the same seed, so that weights hold the same numbers, in every network",
            ("What are W1.ravel()[:3] and W2.ravel()[:3]?", "Set no seed here: whoever makes the network does, with np.random.seed."),
            constructing(draw=lambda shape, scale: scale * np.random.default_rng(0).standard_normal(shape)),
        ),
        (
            "state",
            "the biases begin with random numbers; they begin with zeros",
            ("Where do the biases have to break a symmetry that the weights leave?", "np.zeros(fan_out)"),
            constructing(bias=np.random.randn),
        ),
        (
            "state",
            "the biases begin with another number than 0; they begin with zeros",
            ("Which scores should a network of tiny weights have?", "np.zeros(fan_out)"),
            constructing(bias=np.ones),
        ),
        (
            "shape",
            "the biases have shape (1, outputs); expected (outputs,)",
            ("Which shape does affine_forward expect b to have?", "np.zeros(fan_out)"),
            constructing(bias=lambda size: np.zeros((1, size))),
        ),
        (
            "shape",
            "the last layer has as many outputs as the last hidden layer; it has one for each class",
            ("How many scores has a sample?", "Put num_classes at the end of the widths."),
            constructing(shapes=lambda widths: list(pairwise([*widths[:-1], widths[-2]]))),
        ),
        (
            "shape",
            "every layer takes input_dim numbers; a layer takes what the one before it gives",
            ("How many numbers does the second layer get?", "widths = [input_dim, *hidden_dims, num_classes], in pairs."),
            constructing(shapes=lambda widths: [(widths[0], fan_out) for fan_out in widths[1:]]),
        ),
        (
            "off-by-one",
            "one hidden layer is left out, the last one",
            ("How many layers has a network with one hidden layer?", "len(hidden_dims) + 1 layers, the last one to the classes."),
            constructing(shapes=lambda widths: list(pairwise([*widths[:-2], widths[-1]] if len(widths) > 2 else widths))),
        ),
        (
            "dtype",
            "the parameters are float32 whatever dtype is; gradient checks ask for float64",
            ("What is params['W1'].dtype, and what was asked for?", ".astype(dtype)"),
            constructing(kept=lambda dtype: np.float32),
        ),
        (
            "scale",
            "weight_scale is another number if it is not given; its default is 1e-2",
            ("What does the signature say?", "Leave the signature as it was."),
            constructing(default_scale=1e-3),
        ),
    )
)


def computing(
    *,
    activation=relu_forward,
    slope=relu_backward,
    relu_on_the_scores=False,
    relu_on_the_input=False,
    last_cache_first=False,
    loss_of=softmax_loss,
    without_labels=lambda scores: scores,
    dscores=lambda dscores: dscores,
    penalized=lambda layers: layers,
    penalty=lambda w: 0.5 * np.sum(w**2),
    penalty_slope=lambda w: w,
    biases=False,
    times=lambda layers: 1,
    reg_of=lambda net: net.reg,
    change=lambda grads, N: {},
):
    """A class whose loss has one of its steps put in."""

    def loss(self, X, y=None):
        last = self.num_layers
        hidden, caches = X.astype(self.dtype), []
        if relu_on_the_input:
            hidden = np.maximum(hidden, 0)
        for layer in range(1, last):
            before, affine_cache = affine_forward(hidden, self.params[f"W{layer}"], self.params[f"b{layer}"])
            hidden, relu_cache = activation(before)
            caches.append((affine_cache, relu_cache))
        scores, cache = affine_forward(hidden, self.params[f"W{last}"], self.params[f"b{last}"])
        scores, scores_cache = relu_forward(scores) if relu_on_the_scores else (scores, None)
        if y is None:
            return without_labels(scores)
        value, ds = loss_of(scores, y)
        ds = dscores(ds)
        if relu_on_the_scores:
            ds = relu_backward(ds, scores_cache)
        grads = {}
        dhidden, grads[f"W{last}"], grads[f"b{last}"] = affine_backward(ds, cache)
        for layer in range(last - 1, 0, -1):
            affine_cache, relu_cache = caches[layer - 1]
            if last_cache_first:
                relu_cache = caches[last - 1 - layer][1]
            dhidden, grads[f"W{layer}"], grads[f"b{layer}"] = affine_backward(slope(dhidden, relu_cache), affine_cache)
        reg = reg_of(self)
        for layer in penalized(list(range(1, last + 1))):
            for name in (f"W{layer}", *([f"b{layer}"] if biases else [])):
                value += reg * penalty(self.params[name]) * times(last)
                grads[name] = grads[name] + reg * penalty_slope(self.params[name])
        return value, grads | change(grads, len(X))

    return network(loss=loss)


def softmax(scores):
    exp = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


def linear(x):
    return x.copy(), x


def sums(scores, y):
    loss, dscores = softmax_loss(scores, y)
    return loss * len(y), dscores * len(y)


def keeping_the_first_reg():
    def __init__(self, *arguments, **named):
        FullyConnectedNet.__init__(self, *arguments, **named)
        self.first_reg = self.reg

    return type("FullyConnectedNet", (computing(reg_of=lambda net: net.first_reg),), {"__init__": __init__})


def changing_parameters(self, X, y=None):
    result = FullyConnectedNet.loss(self, X, y)
    if y is not None:
        for name, grad in result[1].items():
            self.params[name] = self.params[name] - 1e-3 * grad
    return result


def centring_in_place(self, X, y=None):
    result = FullyConnectedNet.loss(self, X, y)
    X -= X.mean(axis=0)
    return result


def keeping_the_first_parameters(self, X, y=None):
    self.first = getattr(self, "first", None) or {name: value.copy() for name, value in self.params.items()}
    held, self.params = self.params, self.first
    try:
        return FullyConnectedNet.loss(self, X, y)
    finally:
        self.params = held


def in_the_first_dtype(self, X, y=None):
    """Everything rounded to float32 on the way in and out."""
    held = self.params
    self.params = {name: value.astype(np.float32) for name, value in held.items()}
    self.dtype, dtype = np.float32, self.dtype
    try:
        return FullyConnectedNet.loss(self, X, y)
    finally:
        self.params, self.dtype = held, dtype


LOSS = tuple(
    Mistake("FullyConnectedNet.loss", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "mode",
            "without labels the probabilities come back; here it is the scores",
            ("What does the docstring promise without y?", "Return what the last affine layer gives."),
            computing(without_labels=softmax),
        ),
        (
            "mode",
            "without labels the predicted labels come back; here it is all scores, (N, C)",
            ("What does the docstring promise without y?", "Return what the last affine layer gives."),
            computing(without_labels=lambda scores: scores.argmax(axis=1)),
        ),
        (
            "missing-term",
            "the scores go through ReLU, too; the last layer is an affine layer alone",
            ("Can a score be negative?", "affine_forward for the last layer, affine_relu_forward for those before."),
            computing(relu_on_the_scores=True),
        ),
        (
            "missing-term",
            "the input goes through ReLU, too; the first layer sees X as it is",
            ("What becomes of the negative numbers of X?", "ReLU comes after each affine layer but the last."),
            computing(relu_on_the_input=True),
        ),
        (
            "missing-term",
            "the hidden layers lack ReLU, both ways",
            ("What is a network of affine layers without anything in between?", "affine_relu_forward, affine_relu_backward."),
            computing(activation=linear, slope=lambda dout, cache: dout),
        ),
        (
            "missing-term",
            "the hidden layers lack ReLU in the forward pass",
            ("Can a hidden value be negative?", "affine_relu_forward for the hidden layers."),
            computing(activation=linear),
        ),
        (
            "missing-term",
            "the way back leaves out ReLU: affine_backward alone; the hidden layers need affine_relu_backward",
            ("Which function was called in the forward pass of this layer?", "affine_relu_backward(dhidden, cache)"),
            computing(slope=lambda dout, cache: dout),
        ),
        (
            "cache",
            "the caches are taken in the order of the forward pass; back it is the last one first",
            ("Which layer's cache does the first step back need?", "caches.pop(), or caches[layer - 1] with the layers counted down."),
            computing(last_cache_first=True),
        ),
        (
            "missing-term",
            "the loss is that of the SVM; here it is the softmax loss",
            ("What does the first line of the class end with?", "softmax_loss(scores, y)"),
            computing(loss_of=svm_loss),
        ),
        (
            "scale",
            "loss and gradients of the data are N times too large: they are sums over the batch and have to be means",
            ("Should the loss double if every sample comes twice?", "softmax_loss divides by N already."),
            computing(loss_of=sums),
        ),
        (
            "scale",
            "the gradients of the data are divided by N once more; softmax_loss did it already",
            ("How often do you divide by N on the way?", "Give affine_backward the dscores as they come."),
            computing(dscores=lambda dscores: dscores / len(dscores)),
        ),
        (
            "scale",
            "the gradients of the data are N times too large: softmax_loss divided by N, and something multiplied again",
            ("Does N appear in your loss method?", "Give affine_backward the dscores as they come."),
            computing(dscores=lambda dscores: dscores * len(dscores)),
        ),
        (
            "sign",
            "the gradients of the data have the wrong sign",
            ("In which direction does the loss fall?", "Give affine_backward the dscores as they come."),
            computing(dscores=lambda dscores: -dscores),
        ),
        (
            "missing-term",
            "the loss lacks the penalty, 0.5 * reg * sum(W**2) over all weights",
            ("How does the loss change with reg?", "loss += 0.5 * self.reg * np.sum(W**2), for each layer."),
            computing(penalty=lambda w: 0.0),
        ),
        (
            "missing-term",
            "the gradients of the weights lack that of the penalty, reg * W",
            ("What is the derivative of 0.5 * reg * W**2?", 'grads["W1"] += self.reg * self.params["W1"], for each layer.'),
            computing(penalty_slope=lambda w: 0 * w),
        ),
        (
            "missing-term",
            "the penalty is left out of the loss and of the gradients",
            ("How do loss and gradients change with reg?", "loss += 0.5 * self.reg * sum(W**2), and self.reg * W for the gradients."),
            computing(penalized=lambda layers: []),
        ),
        (
            "scale",
            "the penalty is reg * sum(W**2), with 2 * reg * W as its gradient; here it has the factor 1/2",
            ("What does the docstring of the class say about the factor?", "0.5 * reg * sum(W**2), and reg * W."),
            computing(penalty=lambda w: np.sum(w**2), penalty_slope=lambda w: 2 * w),
        ),
        (
            "scale",
            "the loss has twice the penalty: the factor 1/2 is missing there, while the gradients have it right",
            ("What does the docstring of the class say about the factor?", "loss += 0.5 * self.reg * np.sum(W**2)"),
            computing(penalty=lambda w: np.sum(w**2)),
        ),
        (
            "scale",
            "the gradient of the penalty is 2 * reg * W; with the factor 1/2 in the loss it is reg * W",
            ("What is the derivative of 0.5 * W**2?", "grads += self.reg * W"),
            computing(penalty_slope=lambda w: 2 * w),
        ),
        (
            "scale",
            "the gradient of the penalty is 0.5 * reg * W; the 2 of the square takes the 1/2 away: it is reg * W",
            ("What is the derivative of 0.5 * W**2?", "grads += self.reg * W"),
            computing(penalty_slope=lambda w: 0.5 * w),
        ),
        (
            "missing-term",
            "the penalty counts the last layer's weights alone; all weights are penalized",
            ("Which weights are in the sum? Is the line inside of the loop?", "One term for each layer, in loss and gradients."),
            computing(penalized=lambda layers: layers[-1:]),
        ),
        (
            "off-by-one",
            "the penalty leaves out the last layer's weights; all weights are penalized",
            ("Where does your loop over the layers end?", "range(1, self.num_layers + 1)"),
            computing(penalized=lambda layers: layers[:-1]),
        ),
        (
            "missing-term",
            "the penalty counts the first layer's weights alone; all weights are penalized",
            ("Which weights are in the sum?", "One term for each layer, in loss and gradients."),
            computing(penalized=lambda layers: layers[:1]),
        ),
        (
            "off-by-one",
            "the penalty leaves out the first layer's weights; all weights are penalized",
            ("Where does your loop over the layers begin?", "range(1, self.num_layers + 1)"),
            computing(penalized=lambda layers: layers[1:]),
        ),
        (
            "scale",
            "the loss has the penalty once for each layer: the sum over all weights is added inside of the loop over the layers",
            ("How often is the penalty added?", "Add each layer's own weights in the loop, or all of them after it."),
            computing(times=lambda layers: layers),
        ),
        (
            "missing-term",
            "the biases are penalized, too; the penalty is that of the weights alone",
            ("Which parameters does the formula of the penalty have?", "Leave the biases out of it, in the loss and in the gradients."),
            computing(biases=True),
        ),
        (
            "wrong-statistic",
            "the penalty takes the root of the sum of squares, np.linalg.norm; it is half of the sum itself",
            ("What is the derivative of the norm? It is not W.", "0.5 * self.reg * np.sum(W**2)"),
            computing(penalty=lambda w: 0.5 * np.sqrt(np.sum(w**2))),
        ),
        (
            "wrong-statistic",
            "the penalty sums absolute values; it is half of a sum of squares",
            ("What is the formula of the penalty?", "0.5 * self.reg * np.sum(W**2)"),
            computing(penalty=lambda w: np.abs(w).sum(), penalty_slope=np.sign),
        ),
        (
            "sign",
            "the penalty is subtracted from the loss; it has to be added",
            ("Should large weights make the loss larger or smaller?", "loss += 0.5 * self.reg * np.sum(W**2)"),
            computing(penalty=lambda w: -0.5 * np.sum(w**2)),
        ),
        (
            "scale",
            "the gradients of the biases are means over the batch; dscores is divided by N already, so they are sums",
            ("How often do you divide by N on the way?", "affine_backward gives them as they have to be."),
            computing(change=lambda grads, N: {name: grad / N for name, grad in grads.items() if name[0] == "b"}),
        ),
        (
            "transpose",
            "the gradients of the weights are transposed; they have to have the shapes of the weights",
            ("Which shape has W1?", "affine_backward gives them as they have to be."),
            computing(change=lambda grads, N: {name: grad.T for name, grad in grads.items() if name[0] == "W"}),
        ),
        (
            "state",
            "reg is that of the constructor; it has to be read from self.reg at each call",
            ("What does net.reg = 1 change?", "Use self.reg in loss."),
            keeping_the_first_reg(),
        ),
        (
            "state",
            "the parameters are those of an earlier call: they have to be read from self.params each time",
            ("What does loss compute after net.params has been changed?", 'self.params["W1"] in loss, at each call.'),
            network(loss=keeping_the_first_parameters),
        ),
        (
            "mutation",
            "the parameters are changed by the call; loss only computes, the step belongs to the update rule",
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
            "dtype",
            "everything is computed in float32 whatever dtype is; gradient checks ask for float64",
            ("What is the dtype of the gradients, and what was asked for?", "X.astype(self.dtype)"),
            network(loss=in_the_first_dtype),
        ),
    )
)

MISTAKES = (*INIT, *LOSS)
