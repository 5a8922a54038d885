"""Mistakes in the three-layer convolutional network."""
# ruff: noqa: NPY002 - weights come from NumPy's global generator

import numpy as np

from chainrule.compat.cs231n.classifiers.plain_cnn import ThreeLayerConvNet
from chainrule.functional import (
    affine_backward,
    affine_forward,
    conv_backward_im2col,
    conv_forward_im2col,
    max_pool_backward_naive,
    max_pool_forward_naive,
    relu_backward,
    relu_forward,
    softmax_loss,
)
from chainrule.lab.mistake import Mistake

__all__ = ["MISTAKES"]

DEFAULTS = {
    "input_dim": (3, 32, 32),
    "num_filters": 32,
    "filter_size": 7,
    "hidden_dim": 100,
    "num_classes": 10,
    "weight_scale": 1e-3,
    "reg": 0.0,
    "dtype": np.float32,
}


def initialized(change):
    """The network, with a change of it once it is made; `change` is told how it was made."""

    class Wrong(ThreeLayerConvNet):
        def __init__(self, **options):
            super().__init__(**options)
            change(self, DEFAULTS | options)

    return Wrong


def with_params(change):
    """The network, with other parameters: those that `change` gives, by name."""
    return initialized(lambda model, made: model.params.update(change(model.params, made)))


def drawn(*shape, made):
    return (made["weight_scale"] * np.random.randn(*shape)).astype(made["dtype"])


def with_features(count):
    """The network, with another number of rows in W2: a function of how it was made."""
    return with_params(lambda params, made: {"W2": drawn(count(made), made["hidden_dim"], made=made)})


def of_image(rows_and_columns):
    return lambda made: made["num_filters"] * int(np.prod(rows_and_columns(*made["input_dim"][1:], made["filter_size"])))


def set_reg(model, made):
    model.reg = 0.0


def set_double(model, made):
    model.params = {name: value.astype(np.float64) for name, value in model.params.items()}


def biases(draw):
    return with_params(lambda params, made: {name: draw(params[name], made) for name in ("b1", "b2", "b3")})


def weights(draw):
    return with_params(lambda params, made: {name: draw(params[name], made) for name in ("W1", "W2", "W3")})


def with_a_seed(w, made, rng=None):
    rng = rng or np.random.default_rng(0)
    return (made["weight_scale"] * rng.standard_normal(w.shape)).astype(made["dtype"])


def with_one_seed(params, made):
    rng = np.random.default_rng(0)
    return {name: with_a_seed(params[name], made, rng) for name in ("W1", "W2", "W3")}


INITIAL = tuple(
    Mistake("ThreeLayerConvNet.__init__", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "shape",
            "the weight W2 takes the image as it is before the pooling; that halves rows and columns: F * (H // 2) * (W // 2)",
            ("How many numbers has an image when it reaches W2?", "num_filters * (H // 2) * (W // 2)"),
            with_features(of_image(lambda H, W, size: (H, W))),
        ),
        (
            "shape",
            "the weight W2 takes an image whose rows alone are halved by the pooling; columns are, too: F * (H // 2) * (W // 2)",
            ("What is the shape of an image after a 2 x 2 pooling?", "num_filters * (H // 2) * (W // 2)"),
            with_features(lambda made: made["num_filters"] * made["input_dim"][1] * made["input_dim"][2] // 2),
        ),
        (
            "shape",
            "the weight W2 takes an image that the convolution has made smaller; the padding keeps its size: F * (H // 2) * (W // 2)",
            ("How large is the output for stride 1 and pad (filter_size - 1) // 2?", "num_filters * (H // 2) * (W // 2)"),
            with_features(of_image(lambda H, W, size: ((H - size + 1) // 2, (W - size + 1) // 2))),
        ),
        (
            "shape",
            "the weight W2 takes a square image; rows and columns are H // 2 and W // 2",
            ("What is input_dim?", "C, H, W = input_dim"),
            with_features(of_image(lambda H, W, size: (H // 2, H // 2))),
        ),
        (
            "shape",
            "the weight W2 takes the channels of the image; after the convolution it has as many as there are filters",
            ("How many channels has the output of the convolution?", "num_filters * (H // 2) * (W // 2)"),
            with_features(lambda made: made["input_dim"][0] * (made["input_dim"][1] // 2) * (made["input_dim"][2] // 2)),
        ),
        (
            "transpose",
            "the weight W1 is (C, F, filter_size, filter_size); expected the filters first: (F, C, filter_size, filter_size)",
            ("Which shape of w does the convolution take?", "(num_filters, C, filter_size, filter_size)"),
            with_params(lambda params, made: {"W1": params["W1"].swapaxes(0, 1)}),
        ),
        (
            "shape",
            "the weight W1 is (F, filter_size, filter_size); a filter has as many channels as the image: (F, C, filter_size, filter_size)",
            ("How many numbers has one filter?", "(num_filters, C, filter_size, filter_size)"),
            with_params(lambda params, made: {"W1": params["W1"][:, 0].copy()}),
        ),
        (
            "transpose",
            "the weights W2 and W3 are transposed; an affine layer's weight is (numbers in, numbers out)",
            ("Which shape of w does the affine layer take?", "W3 is (hidden_dim, num_classes)."),
            with_params(lambda params, made: {"W2": params["W2"].T, "W3": params["W3"].T}),
        ),
        (
            "shape",
            "the biases are rows, (1, M); expected (M,)",
            ("Which shape of b do the layers take?", "np.zeros(hidden_dim)"),
            biases(lambda b, made: b[None]),
        ),
        (
            "missing-term",
            "the biases are drawn at random; they begin at zero",
            ("What breaks the symmetry of two filters, if not their biases?", "np.zeros"),
            biases(lambda b, made: drawn(*b.shape, made=made)),
        ),
        (
            "missing-term",
            "the biases are one; they begin at zero",
            ("Is it np.ones or np.zeros?", "np.zeros"),
            biases(lambda b, made: np.ones_like(b)),
        ),
        (
            "scale",
            "the weights are not scaled: their standard deviation is 1, and should be weight_scale",
            ("What is the standard deviation of np.random.randn?", "weight_scale * np.random.randn(...)"),
            weights(lambda w, made: w / made["weight_scale"]),
        ),
        (
            "scale",
            "the weights' variance is weight_scale; their standard deviation has to be",
            ("What is the standard deviation of a * np.random.randn(...)?", "weight_scale * np.random.randn(...)"),
            weights(lambda w, made: w / made["weight_scale"] ** 0.5),
        ),
        (
            "wrong-statistic",
            "the weights are drawn evenly from 0 to weight_scale; they have to be normal with mean 0",
            ("Which numbers does np.random.rand give, and which np.random.randn?", "weight_scale * np.random.randn(...)"),
            weights(lambda w, made: (made["weight_scale"] * np.random.rand(*w.shape)).astype(w.dtype)),
        ),
        (
            "state",
            "every network begins with the same numbers: a seed that is fixed inside of the constructor; a second network has other ones",
            ("What are the weights of a second network?", "Set no seed here: whoever makes the network does, with np.random.seed."),
            with_params(with_one_seed),
        ),
        (
            "state",
            "every weight is drawn from a new generator with the same seed, so that weights hold the same numbers, in every network",
            ("What are W1.ravel()[:3] and W2.ravel()[:3]?", "Set no seed here: whoever makes the network does, with np.random.seed."),
            weights(with_a_seed),
        ),
        (
            "missing-term",
            "the weights are zero, so that all filters stay the same; they have to be drawn at random",
            ("What is the gradient of two filters that are equal?", "weight_scale * np.random.randn(...)"),
            weights(lambda w, made: np.zeros_like(w)),
        ),
        (
            "state",
            "reg is not kept: it is 0 whatever was given",
            ("Where does loss find reg?", "self.reg = reg"),
            initialized(set_reg),
        ),
        (
            "dtype",
            "the parameters are float64 whatever dtype is",
            ("Which dtype does np.random.randn give?", "for every parameter: value.astype(dtype)"),
            initialized(set_double),
        ),
    )
)


def with_loss(**steps):
    """The network, with one of the steps of `loss` put in.

    Parameters
    ----------
    relu1, relu2, relu3 : whether there is one after convolution, first and last affine layer
    relu1_back, relu2_back : whether it is in the backward pass
    scores_of : scores -> what is given back without labels
    objective : (scores, y) -> (loss, dscores)
    penalty : (params, reg) -> what is added to the loss
    decay : (name, parameter, reg) -> what is added to its gradient
    after : grads -> what is given back for them
    reg : factor of the penalty, if not the network's
    """

    class Wrong(ThreeLayerConvNet):
        def loss(self, X, y=None):
            return _loss(self, X, y, **steps)

    return Wrong


def all_squares(params, reg):
    return sum(0.5 * reg * np.sum(params[name] ** 2) for name in ("W1", "W2", "W3"))


def all_weights(name, value, reg):
    return reg * value if name.startswith("W") else 0 * value


def _loss(
    model,
    X,
    y,
    *,
    relu1=True,
    relu2=True,
    relu3=False,
    relu1_back=True,
    relu2_back=True,
    scores_of=None,
    objective=softmax_loss,
    penalty=all_squares,
    decay=all_weights,
    after=None,
    reg=None,
):
    params = model.params
    conv_param = {"stride": 1, "pad": (params["W1"].shape[2] - 1) // 2}
    convolved, conv_cache = conv_forward_im2col(X.astype(model.dtype), params["W1"], params["b1"], conv_param)
    positive, positive_cache = relu_forward(convolved)
    pooled, pool_cache = max_pool_forward_naive(positive if relu1 else convolved, {"pool_height": 2, "pool_width": 2, "stride": 2})
    hidden, hidden_cache = affine_forward(pooled, params["W2"], params["b2"])
    active, active_cache = relu_forward(hidden)
    scores, scores_cache = affine_forward(active if relu2 else hidden, params["W3"], params["b3"])
    rectified, rectified_cache = relu_forward(scores)
    if relu3:
        scores = rectified
    if y is None:
        return scores if scores_of is None else scores_of(scores)
    loss, dscores = objective(scores, y)
    grads = {}
    if relu3:
        dscores = relu_backward(dscores, rectified_cache)
    dactive, grads["W3"], grads["b3"] = affine_backward(dscores, scores_cache)
    dhidden = relu_backward(dactive, active_cache) if relu2 and relu2_back else dactive
    dpooled, grads["W2"], grads["b2"] = affine_backward(dhidden, hidden_cache)
    dpositive = max_pool_backward_naive(dpooled, pool_cache)
    dconvolved = relu_backward(dpositive, positive_cache) if relu1 and relu1_back else dpositive
    _, grads["W1"], grads["b1"] = conv_backward_im2col(dconvolved, conv_cache)
    reg = model.reg if reg is None else reg
    loss += penalty(params, reg)
    grads = {name: grad + decay(name, params[name], reg) for name, grad in grads.items()}
    return loss, grads if after is None else after(grads)


def probabilities(scores):
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def summed(scores, y):
    loss, dscores = softmax_loss(scores, y)
    return loss * len(y), dscores * len(y)


def mean_loss_summed_gradient(scores, y):
    loss, dscores = softmax_loss(scores, y)
    return loss, dscores * len(y)


def squares_without_half(params, reg):
    return 2 * all_squares(params, reg)


def squares_of(*names):
    return lambda params, reg: sum(0.5 * reg * np.sum(params[name] ** 2) for name in names)


def decay_of(*names):
    return lambda name, value, reg: reg * value if name in names else 0 * value


EVERYTHING = ("W1", "b1", "W2", "b2", "W3", "b3")
LOSS = tuple(
    Mistake("ThreeLayerConvNet.loss", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "missing-term",
            "the ReLU after the convolution is left out",
            ("What comes between convolution and pooling?", "conv - relu - pool - affine - relu - affine"),
            with_loss(relu1=False),
        ),
        (
            "missing-term",
            "the ReLU between the two affine layers is left out; without it they are one",
            ("What comes after the first affine layer?", "conv - relu - pool - affine - relu - affine"),
            with_loss(relu2=False),
        ),
        (
            "missing-term",
            "both ReLUs are left out; without them the network is linear but for the maximum",
            ("What comes after the convolution, and what after the first affine layer?", "conv - relu - pool - affine - relu - affine"),
            with_loss(relu1=False, relu2=False),
        ),
        (
            "missing-term",
            "a ReLU follows the last affine layer, too; scores may be negative",
            ("What is the score of a class that is unlikely?", "scores = hidden @ W3 + b3"),
            with_loss(relu3=True),
        ),
        (
            "missing-term",
            "the backward pass leaves out the ReLU after the convolution: dW1 and db1 count pixels that it has set to zero",
            ("Which layers were passed between W1 and the pooling?", "d *= convolved > 0, before the convolution's backward pass"),
            with_loss(relu1_back=False),
        ),
        (
            "missing-term",
            "the backward pass leaves out the ReLU between the affine layers: all gradients below it count values that it has set to zero",
            ("Which layers were passed between W2 and W3?", "d *= hidden > 0, before the backward pass of W2"),
            with_loss(relu2_back=False),
        ),
        (
            "missing-term",
            "the backward pass leaves out both ReLUs",
            ("Which layers were passed between W1 and W3?", "Every layer of the forward pass has its backward pass, in reverse order."),
            with_loss(relu1_back=False, relu2_back=False),
        ),
        (
            "shape",
            "without labels the softmax probabilities are given back; expected the scores",
            ("What does the docstring promise for y=None?", "return scores, before the softmax"),
            with_loss(scores_of=probabilities),
        ),
        (
            "shape",
            "without labels the classes are given back; expected the scores (N, num_classes)",
            ("What does the docstring promise for y=None?", "return scores, without argmax"),
            with_loss(scores_of=lambda scores: scores.argmax(axis=1)),
        ),
        (
            "scale",
            "loss and gradients are sums over the batch; the softmax loss is the mean",
            ("Does the loss grow with the number of images?", "loss / N, and dscores / N"),
            with_loss(objective=summed),
        ),
        (
            "scale",
            "the loss is the mean over the batch, but its gradients are those of the sum",
            ("What is the derivative of loss / N?", "dscores / N"),
            with_loss(objective=mean_loss_summed_gradient),
        ),
        (
            "missing-term",
            "reg has no effect: the loss lacks 0.5 * reg * sum(W**2), the gradients reg * W, for all three weights",
            ("Where does reg stand in your loss?", "loss += 0.5 * self.reg * np.sum(W**2), and grads += self.reg * W"),
            with_loss(reg=0.0),
        ),
        (
            "missing-term",
            "the loss has its penalty, but the gradients lack theirs: reg * W for all three weights",
            ("What is the derivative of 0.5 * reg * sum(W**2)?", "grads[name] += self.reg * self.params[name]"),
            with_loss(decay=decay_of()),
        ),
        (
            "missing-term",
            "the gradients have their penalty, but the loss lacks 0.5 * reg * sum(W**2) for all three weights",
            ("Of which loss is reg * W the gradient?", "loss += 0.5 * self.reg * np.sum(W**2)"),
            with_loss(penalty=squares_of()),
        ),
        (
            "scale",
            "the penalty of the loss lacks the factor 0.5; with it reg * W is its gradient",
            ("What is the derivative of reg * sum(W**2)?", "0.5 * self.reg * np.sum(W**2)"),
            with_loss(penalty=squares_without_half),
        ),
        (
            "scale",
            "the gradients have 2 * reg * W; the penalty 0.5 * reg * sum(W**2) gives reg * W",
            ("What is the derivative of 0.5 * reg * W**2?", "grads[name] += self.reg * self.params[name]"),
            with_loss(decay=lambda name, value, reg: 2 * all_weights(name, value, reg)),
        ),
        (
            "scale",
            "the gradients have 0.5 * reg * W; the penalty 0.5 * reg * sum(W**2) gives reg * W",
            ("What is the derivative of 0.5 * reg * W**2?", "grads[name] += self.reg * self.params[name]"),
            with_loss(decay=lambda name, value, reg: 0.5 * all_weights(name, value, reg)),
        ),
        (
            "scale",
            "loss and gradients have the penalty reg * sum(W**2), twice as large as 0.5 * reg * sum(W**2)",
            ("Which factor does the docstring give the penalty?", "0.5 * self.reg * np.sum(W**2), and self.reg * W"),
            with_loss(penalty=squares_without_half, decay=lambda name, value, reg: 2 * all_weights(name, value, reg)),
        ),
        (
            "missing-term",
            "the convolution's weights have no penalty; all three weights have",
            ("Which weights are in the sum of squares?", "W1, W2 and W3"),
            with_loss(penalty=squares_of("W2", "W3"), decay=decay_of("W2", "W3")),
        ),
        (
            "missing-term",
            "the last layer's weights have no penalty; all three weights have",
            ("Which weights are in the sum of squares?", "W1, W2 and W3"),
            with_loss(penalty=squares_of("W1", "W2"), decay=decay_of("W1", "W2")),
        ),
        (
            "missing-term",
            "the biases have a penalty, too; the weights alone have",
            ("Which parameters are in the sum of squares?", "W1, W2 and W3, but no b"),
            with_loss(penalty=squares_of(*EVERYTHING), decay=decay_of(*EVERYTHING)),
        ),
        (
            "sign",
            "the gradients' penalty is subtracted; reg * W is added, so that a step of gradient descent makes weights smaller",
            ("Which sign has reg * W in the gradient, and which in the step?", "grads[name] += self.reg * self.params[name]"),
            with_loss(decay=lambda name, value, reg: -all_weights(name, value, reg)),
        ),
        (
            "missing-term",
            "the gradients of the biases are missing from grads",
            ("Which keys has params?", "grads has all of them: W1, b1, W2, b2, W3, b3."),
            with_loss(after=lambda grads: {name: grad for name, grad in grads.items() if name.startswith("W")}),
        ),
        (
            "sign",
            "all gradients have the wrong sign",
            ("What is the derivative of the softmax loss with respect to the scores?", "dscores = p, less 1 at the label, divided by N"),
            with_loss(after=lambda grads: {name: -grad for name, grad in grads.items()}),
        ),
    )
)

MISTAKES = (*INITIAL, *LOSS)
