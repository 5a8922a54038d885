"""Mistakes in layer normalization."""

import numpy as np

from chainrule.functional import layernorm_backward, layernorm_forward
from chainrule.lab.mistake import Mistake
from chainrule.lab.mistakes.batchnorm import WRONG_PARAMETERS, Parts, wrong_dx

__all__ = ["MISTAKES"]


def forward(x, gamma, beta, ln_param, *, mean=None, var=None, std=None, x_hat=None, out=None, axis=1, keepdims=True):
    """`layernorm_forward` with one of its steps put in.

    Functions: `mean` of x; `var` of (x, mean); `std` of (var, eps); `x_hat` of (x, mean, std); `out` of (x_hat, gamma, beta).
    """
    eps = ln_param.get("eps", 1e-5)
    mu = x.mean(axis=axis, keepdims=keepdims) if mean is None else mean(x)
    v = x.var(axis=axis, keepdims=keepdims) if var is None else var(x, mu)
    s = np.sqrt(v + eps) if std is None else std(v, eps)
    hat = (x - mu) / s if x_hat is None else x_hat(x, mu, s)
    return (gamma * hat + beta if out is None else out(hat, gamma, beta)), (hat, s, gamma)


def with_running_averages(x, gamma, beta, ln_param):
    """Batch norm's two modes, copied."""
    if ln_param.get("mode") == "test":
        zeros = np.zeros((len(x), 1), x.dtype)
        return forward(x, gamma, beta, ln_param, mean=lambda x: zeros, var=lambda x, mean: zeros)
    return layernorm_forward(x, gamma, beta, ln_param)


def with_a_mode_alone(x, gamma, beta, ln_param):
    if "mode" not in ln_param:
        raise KeyError("mode")
    return layernorm_forward(x, gamma, beta, ln_param)


def modifies_x(x, gamma, beta, ln_param):
    result = layernorm_forward(x, gamma, beta, ln_param)
    x -= x.mean(axis=1, keepdims=True)
    return result


def catalogue(function, *entries):
    return tuple(Mistake(function, *entry) for entry in entries)


FORWARD = catalogue(
    "layernorm_forward",
    (
        "axis",
        "mean and variance are those of each feature, over the batch, as in batch norm; here they are those of each sample, over its row",
        ("What is normalized: a row of x or a column?", "x.mean(axis=1, keepdims=True)"),
        lambda x, gamma, beta, ln_param: forward(x, gamma, beta, ln_param, axis=0),
    ),
    (
        "axis",
        "the mean is over the batch; layer norm takes that of each sample, over its row",
        ("Along which axis are mean and variance taken? Along the same.", "x.mean(axis=1, keepdims=True)"),
        lambda x, gamma, beta, ln_param: forward(x, gamma, beta, ln_param, mean=lambda x: x.mean(axis=0)),
    ),
    (
        "axis",
        "the variance is over the batch; layer norm takes that of each sample, over its row",
        ("Along which axis are mean and variance taken? Along the same.", "x.var(axis=1, keepdims=True)"),
        lambda x, gamma, beta, ln_param: forward(x, gamma, beta, ln_param, var=lambda x, mean: x.var(axis=0)),
    ),
    (
        "axis",
        "mean and variance are those of all of x; each sample has its own",
        ("Should the answer for one sample depend on the others?", "x.mean(axis=1, keepdims=True)"),
        lambda x, gamma, beta, ln_param: forward(x, gamma, beta, ln_param, mean=np.mean, var=lambda x, mean: np.var(x)),
    ),
    (
        "broadcasting",
        "mean and variance have shape (N,), which NumPy lines up with the columns of x; keep them as (N, 1)",
        ("Which axis of x does an array of shape (N,) meet? The last one.", "x.mean(axis=1, keepdims=True), and the same for the variance"),
        lambda x, gamma, beta, ln_param: forward(x, gamma, beta, ln_param, keepdims=False),
    ),
    (
        "broadcasting",
        "gamma and beta are laid along the samples; each feature has its own, so that (D,) meets the last axis as it is",
        ("What shape has gamma, and which axis of x_hat should it meet?", "gamma * x_hat + beta, without a new axis"),
        lambda x, gamma, beta, ln_param: forward(
            x, gamma, beta, ln_param, out=lambda x_hat, gamma, beta: gamma[:, None] * x_hat + beta[:, None]
        ),
    ),
    (
        "wrong-statistic",
        "the variance is the unbiased one, divided by D - 1; layer norm divides by D",
        ("By what is the sum of squares divided, and by what in the paper's equation 3?", "np.var divides by D unless ddof says else."),
        lambda x, gamma, beta, ln_param: forward(x, gamma, beta, ln_param, var=lambda x, mean: x.var(axis=1, ddof=1, keepdims=True)),
    ),
    (
        "wrong-statistic",
        "the variance is the mean of x**2; the mean has to be subtracted first: mean((x - mean)**2)",
        ("Does the variance of a row change when 10 is added to all of it?", "np.mean((x - mean)**2, axis=1, keepdims=True)"),
        lambda x, gamma, beta, ln_param: forward(x, gamma, beta, ln_param, var=lambda x, mean: (x**2).mean(axis=1, keepdims=True)),
    ),
    (
        "scale",
        "the variance is the sum of squares; it has to be their mean, divided by D",
        ("Does the variance grow with the row?", "np.mean((x - mean)**2, axis=1, keepdims=True)"),
        lambda x, gamma, beta, ln_param: forward(
            x, gamma, beta, ln_param, var=lambda x, mean: ((x - mean) ** 2).sum(axis=1, keepdims=True)
        ),
    ),
    (
        "scale",
        "the sum of squares is divided by N; a row has D elements",
        ("Over how many elements goes the sum?", "np.mean((x - mean)**2, axis=1, keepdims=True)"),
        lambda x, gamma, beta, ln_param: forward(
            x, gamma, beta, ln_param, var=lambda x, mean: ((x - mean) ** 2).sum(axis=1, keepdims=True) / len(x)
        ),
    ),
    (
        "wrong-statistic",
        "x is divided by the variance; it has to be divided by its root, the standard deviation",
        ("Which unit has the variance of x, if x is in metres?", "x_hat = (x - mean) / np.sqrt(var + eps)"),
        lambda x, gamma, beta, ln_param: forward(x, gamma, beta, ln_param, std=lambda var, eps: var + eps),
    ),
    (
        "numerics",
        "eps is added to the standard deviation, outside the root; it belongs to the variance: sqrt(var + eps)",
        ("What does the docstring say that eps is added to?", "std = np.sqrt(var + eps)"),
        lambda x, gamma, beta, ln_param: forward(x, gamma, beta, ln_param, std=lambda var, eps: np.sqrt(var) + eps),
    ),
    (
        "missing-term",
        "eps is not added to the variance; a row whose elements are all the same divides by 0",
        ("What is the variance of a row of equal numbers?", 'ln_param.get("eps", 1e-5) belongs to the variance.'),
        lambda x, gamma, beta, ln_param: forward(x, gamma, beta, ln_param, std=lambda var, eps: np.sqrt(var)),
    ),
    (
        "state",
        "eps is always the default, 1e-5; ln_param may hold another one",
        ("Where do you read ln_param?", 'eps = ln_param.get("eps", 1e-5)'),
        lambda x, gamma, beta, ln_param: layernorm_forward(x, gamma, beta, {}),
    ),
    (
        "missing-term",
        "the mean is not subtracted: x_hat = (x - mean) / std",
        ("What is the mean of a row of x_hat? 0.", "Subtract the mean before you divide."),
        lambda x, gamma, beta, ln_param: forward(x, gamma, beta, ln_param, x_hat=lambda x, mean, std: x / std),
    ),
    (
        "missing-term",
        "x - mean is not divided by the standard deviation",
        ("What is the variance of a row of x_hat? 1.", "x_hat = (x - mean) / std"),
        lambda x, gamma, beta, ln_param: forward(x, gamma, beta, ln_param, x_hat=lambda x, mean, std: x - mean),
    ),
    (
        "scale",
        "x - mean is multiplied by the standard deviation; it has to be divided by it",
        ("What is the variance of a row of x_hat? 1.", "x_hat = (x - mean) / std"),
        lambda x, gamma, beta, ln_param: forward(x, gamma, beta, ln_param, x_hat=lambda x, mean, std: (x - mean) * std),
    ),
    (
        "missing-term",
        "beta is not added: out = gamma * x_hat + beta",
        ("What is beta for?", "gamma * x_hat + beta"),
        lambda x, gamma, beta, ln_param: forward(x, gamma, beta, ln_param, out=lambda x_hat, gamma, beta: gamma * x_hat),
    ),
    (
        "missing-term",
        "gamma is left out: out = gamma * x_hat + beta",
        ("What is gamma for?", "gamma * x_hat + beta"),
        lambda x, gamma, beta, ln_param: forward(x, gamma, beta, ln_param, out=lambda x_hat, gamma, beta: x_hat + beta),
    ),
    (
        "missing-term",
        "out is x_hat; it still has to be scaled and shifted: gamma * x_hat + beta",
        ("What are gamma and beta for?", "gamma * x_hat + beta"),
        lambda x, gamma, beta, ln_param: forward(x, gamma, beta, ln_param, out=lambda x_hat, gamma, beta: x_hat),
    ),
    (
        "shape",
        "gamma and beta are in each other's place: gamma scales, beta shifts",
        ("Which of the two is added?", "gamma * x_hat + beta"),
        lambda x, gamma, beta, ln_param: forward(x, gamma, beta, ln_param, out=lambda x_hat, gamma, beta: beta * x_hat + gamma),
    ),
    (
        "scale",
        "beta is scaled by gamma, too; it is added last: gamma * x_hat + beta",
        ("What is out where x_hat is 0?", "First times gamma, then plus beta."),
        lambda x, gamma, beta, ln_param: forward(x, gamma, beta, ln_param, out=lambda x_hat, gamma, beta: gamma * (x_hat + beta)),
    ),
    (
        "mode",
        "in mode 'test' running averages are used, as in batch norm; layer norm does the same in both modes",
        ("Does the mean of a row depend on other samples?", "Leave out the modes and the running averages."),
        with_running_averages,
    ),
    (
        "mode",
        "ln_param must have a mode; layer norm does the same in training and in the test, and ln_param may be empty",
        ("Which entries of ln_param does the docstring name?", 'Do not read ln_param["mode"].'),
        with_a_mode_alone,
    ),
    (
        "mutation",
        "modifies x; whoever called it still needs x: make a new array",
        ("Which of your statements writes into x? Augmented ones such as -= do.", "x_centred = x - mean"),
        modifies_x,
    ),
)


def with_dx(dx):
    """`layernorm_backward` with another dx."""

    def backward(dout, cache):
        x_hat, std, gamma = cache
        return dx(Parts(dout, x_hat, std, gamma, 1)), *layernorm_backward(dout, cache)[1:]

    return backward


def with_parameters(parameters):
    """`layernorm_backward` with other dgamma and dbeta."""

    def backward(dout, cache):
        x_hat, std, gamma = cache
        return layernorm_backward(dout, cache)[0], *parameters(Parts(dout, x_hat, std, gamma, 1))

    return backward


def without_keepdims(p):
    return (p.dx_hat - p.dx_hat.mean(axis=1) - p.x_hat * (p.dx_hat * p.x_hat).mean(axis=1)) / p.std


def modifies_dout(dout, cache):
    gradients = layernorm_backward(dout, cache)
    dout *= cache[2]
    return gradients


def caching(what):
    """The right forward pass, which leaves other x_hat, std and gamma: from (x, x_hat, std, gamma)."""

    def also(x, gamma, beta, ln_param):
        out, kept = layernorm_forward(x, gamma, beta, ln_param)
        return out, what(x, *kept)

    return {"layernorm_forward": also}


BACKWARD = catalogue(
    "layernorm_backward",
    *((*told, with_dx(dx)) for *told, dx in wrong_dx("D", "N", "feature")),
    *((*told, with_parameters(parameters)) for *told, parameters in WRONG_PARAMETERS),
    (
        "missing-term",
        "gamma stands in front of the means, as in batch norm's short formula; here it differs along the row and belongs inside",
        ("Is gamma the same for all elements that are averaged?", "dx_hat = dout * gamma first, and both means from dx_hat."),
        with_dx(lambda p: p.gamma * (p.dout - p.mean(p.dout) - p.x_hat * p.mean(p.dout * p.x_hat)) / p.std),
    ),
    (
        "broadcasting",
        "the means in dx have shape (N,), which NumPy lines up with the columns; keep them as (N, 1)",
        ("Which axis of dout does an array of shape (N,) meet? The last one.", "mean(axis=1, keepdims=True)"),
        with_dx(without_keepdims),
    ),
    (
        "mutation",
        "modifies dout; whoever called it may still need dout: make a new array",
        ("Which of your statements writes into dout? Augmented ones such as *= do.", "dx_hat = dout * gamma"),
        modifies_dout,
    ),
    (
        "cache",
        "the std that backward divides by lacks eps: x_hat was made with sqrt(var + eps), and the cache has to hold that",
        ("Do forward and backward divide by the same number?", "Put np.sqrt(var + eps) into the cache."),
        layernorm_backward,
        caching(lambda x, x_hat, std, gamma: (x_hat, x.std(axis=1, keepdims=True), gamma)),
    ),
    (
        "cache",
        "backward has x where it needs x_hat: the cache has to hold the normalized x",
        ("By what was gamma multiplied in the forward pass?", "Put x_hat into the cache."),
        layernorm_backward,
        caching(lambda x, x_hat, std, gamma: (x, std, gamma)),
    ),
    (
        "cache",
        "backward has x - mean where it needs x_hat: the cache has to hold x_hat, which is divided by std",
        ("By what was gamma multiplied in the forward pass?", "Put x_hat into the cache, or divide by std in backward."),
        layernorm_backward,
        caching(lambda x, x_hat, std, gamma: (x_hat * std, std, gamma)),
    ),
    (
        "cache",
        "backward has gamma * x_hat where it needs x_hat: keep x_hat before it is scaled",
        ("By what was gamma multiplied in the forward pass?", "Give x_hat a name of its own in forward."),
        layernorm_backward,
        caching(lambda x, x_hat, std, gamma: (gamma * x_hat, std, gamma)),
    ),
)

MISTAKES = (*FORWARD, *BACKWARD)
