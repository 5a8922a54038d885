"""Mistakes in batch normalization."""

import numpy as np

from chainrule.functional import batchnorm_backward
from chainrule.lab.mistake import Mistake

__all__ = ["MISTAKES"]


def forward(x, gamma, beta, bn_param, *, mean=None, var=None, averaged_var=None, keep=None, std=None, axis=0, test=None):
    """`batchnorm_forward`, with one of its steps put in: each a function of the batch."""
    eps, momentum = bn_param.get("eps", 1e-5), bn_param.get("momentum", 0.9)
    zeros = np.zeros(x.shape[1], x.dtype)
    running_mean, running_var = bn_param.get("running_mean", zeros), bn_param.get("running_var", zeros)
    if bn_param["mode"] == "train" or test == "batch":
        mu = x.mean(axis=axis, keepdims=axis == 1) if mean is None else mean(x)
        v = x.var(axis=axis, keepdims=axis == 1) if var is None else var(x, mu)
    else:
        mu, v = running_mean, running_var
    if bn_param["mode"] == "train" and axis == 0:
        a = v if averaged_var is None else averaged_var(x)
        if keep is None:
            running_mean, running_var = momentum * running_mean + (1 - momentum) * mu, momentum * running_var + (1 - momentum) * a
        else:
            running_mean, running_var = keep(momentum, running_mean, mu), keep(momentum, running_var, a)
    bn_param["running_mean"], bn_param["running_var"] = running_mean, running_var
    s = np.sqrt(v + eps) if std is None else std(v, eps)
    x_hat = (x - mu) / s
    return gamma * x_hat + beta, (bn_param["mode"], x_hat, s, gamma)


def unbiased_variance(x, gamma, beta, bn_param):
    return forward(x, gamma, beta, bn_param, var=lambda x, mean: x.var(axis=0, ddof=1) if len(x) > 1 else x.var(axis=0))


def eps_outside_the_root(x, gamma, beta, bn_param):
    return forward(x, gamma, beta, bn_param, std=lambda var, eps: np.sqrt(var) + eps)


def without_eps(x, gamma, beta, bn_param):
    return forward(x, gamma, beta, bn_param, std=lambda var, eps: np.sqrt(var))


def without_the_root(x, gamma, beta, bn_param):
    return forward(x, gamma, beta, bn_param, std=lambda var, eps: var + eps)


def over_the_features(x, gamma, beta, bn_param):
    return forward(x, gamma, beta, bn_param, axis=1)


def momentum_of_the_new(x, gamma, beta, bn_param):
    return forward(x, gamma, beta, bn_param, keep=lambda momentum, past, new: (1 - momentum) * past + momentum * new)


def batch_statistics_in_test_mode(x, gamma, beta, bn_param):
    return forward(x, gamma, beta, bn_param, test="batch")


def averages_not_kept(x, gamma, beta, bn_param):
    return forward(x, gamma, beta, dict(bn_param))


def mean_as_constant(dout, cache):
    mode, x_hat, std, gamma = cache
    dx, dgamma, dbeta = batchnorm_backward(dout, cache)
    if mode == "train":
        dx = gamma / std * (dout - x_hat * (dout * x_hat).mean(axis=0))
    return dx, dgamma, dbeta


def variance_as_constant(dout, cache):
    mode, _, std, gamma = cache
    dx, dgamma, dbeta = batchnorm_backward(dout, cache)
    if mode == "train":
        dx = gamma / std * (dout - dout.mean(axis=0))
    return dx, dgamma, dbeta


def statistics_as_constants(dout, cache):
    _, _, std, gamma = cache
    _, dgamma, dbeta = batchnorm_backward(dout, cache)
    return dout * gamma / std, dgamma, dbeta


def without_gamma(dout, cache):
    mode, x_hat, std, gamma = cache
    dx, _, _ = batchnorm_backward(dout, (mode, x_hat, std, np.ones_like(gamma)))
    return dx, *batchnorm_backward(dout, cache)[1:]


def without_the_deviation(dout, cache):
    dx, dgamma, dbeta = batchnorm_backward(dout, cache)
    return dx * cache[2], dgamma, dbeta


def dgamma_without_x_hat(dout, cache):
    dx, _, dbeta = batchnorm_backward(dout, cache)
    return dx, dout.sum(axis=0), dbeta


def test_mode_as_training(dout, cache):
    return batchnorm_backward(dout, ("train", *cache[1:]))


def means_over_the_batch(dout, cache):
    dx, dgamma, dbeta = batchnorm_backward(dout, cache)
    return dx, dgamma / len(dout), dbeta / len(dout)


FORWARD = (
    Mistake(
        "batchnorm_forward",
        "wrong-statistic",
        "the variance is the unbiased one, divided by N - 1; batch norm divides by N",
        ("By what is the sum of squares divided, and by what in the paper's algorithm 1?", "np.var divides by N unless ddof says else."),
        unbiased_variance,
    ),
    Mistake(
        "batchnorm_forward",
        "numerics",
        "eps is added to the standard deviation, outside the root; it belongs to the variance: sqrt(var + eps)",
        ("Look where eps stands in algorithm 1 of the paper.", "std = np.sqrt(var + eps)"),
        eps_outside_the_root,
    ),
    Mistake(
        "batchnorm_forward",
        "missing-term",
        "eps is not added to the variance; a feature that is constant over the batch divides by 0",
        ("What is the variance of a feature that is the same in all samples?", 'bn_param.get("eps", 1e-5) belongs to the variance.'),
        without_eps,
    ),
    Mistake(
        "batchnorm_forward",
        "wrong-statistic",
        "x is divided by the variance; it has to be divided by its root, the standard deviation",
        ("Which unit has the variance of x, if x is in metres?", "x_hat = (x - mean) / np.sqrt(var + eps)"),
        without_the_root,
    ),
    Mistake(
        "batchnorm_forward",
        "axis",
        "mean and variance are those of each sample, over its features; batch norm takes those of each feature, over the batch",
        ("What is normalized: a row of x or a column?", "The batch is axis 0."),
        over_the_features,
    ),
    Mistake(
        "batchnorm_forward",
        "state",
        "momentum weighs the new batch in the running averages; here it weighs the past: momentum * running + (1 - momentum) * batch",
        ("With momentum 0.9, how much of the running mean should be left after one batch?", "PyTorch has it the other way round."),
        momentum_of_the_new,
    ),
    Mistake(
        "batchnorm_forward",
        "mode",
        "in mode 'test' x is normalized with mean and variance of the batch; the running averages are what they are kept for",
        ("What would happen to a single image at test time?", 'Use bn_param["running_mean"] and bn_param["running_var"] there.'),
        batch_statistics_in_test_mode,
    ),
    Mistake(
        "batchnorm_forward",
        "state",
        "the running averages are not written back into bn_param, so the next batch and the test do not find them",
        ("Where does the next call find the averages?", 'bn_param["running_mean"] = running_mean, and the same for the variance.'),
        averages_not_kept,
    ),
)


BACKWARD = tuple(
    Mistake(function, kind, sentence, hints, code)
    for function in ("batchnorm_backward", "batchnorm_backward_alt")
    for kind, sentence, hints, code in (
        (
            "missing-term",
            "dx leaves out that the mean depends on x: - mean(dx_hat) / std is missing",
            ("Along which ways does x reach the output? There are three.", "x_centred = x - mean(x): dx = dx_centred - mean(dx_centred)"),
            mean_as_constant,
        ),
        (
            "missing-term",
            "dx leaves out that the variance depends on x: - x_hat * mean(dx_hat * x_hat) / std is missing",
            ("Along which ways does x reach the output? There are three.", "std is a function of every sample: go through it, too."),
            variance_as_constant,
        ),
        (
            "missing-term",
            "dx takes mean and variance for constants, which they are in mode 'test' alone; both depend on every sample",
            ("Does the mean change when one sample does?", "Two more terms belong to dx: through the mean, and through the variance."),
            statistics_as_constants,
        ),
        (
            "missing-term",
            "dx lacks the factor gamma: out = gamma * x_hat + beta, so dx_hat = dout * gamma",
            ("What does dout pass first on its way back?", "dx_hat = dout * gamma, and everything else from dx_hat."),
            without_gamma,
        ),
        (
            "missing-term",
            "dx lacks the division by the standard deviation: x_hat = (x - mean) / std",
            ("By what was x - mean divided in the forward pass?", "All of dx is divided by std."),
            without_the_deviation,
        ),
        (
            "missing-term",
            "dgamma is the sum of dout; gamma is multiplied by x_hat, so it is the sum of dout * x_hat",
            ("What is the derivative of gamma * x_hat with respect to gamma?", "dgamma = (dout * x_hat).sum(axis=0)"),
            dgamma_without_x_hat,
        ),
        (
            "scale",
            "dgamma and dbeta are means over the batch; they have to be sums: the loss divided by N already",
            ("Does the loss know of every sample's share in gamma?", "dbeta = dout.sum(axis=0)"),
            means_over_the_batch,
        ),
        (
            "mode",
            "after a forward pass in mode 'test' dx still goes through mean and variance of the batch, which are constants there",
            ("Does out depend on the mean of this batch in mode 'test'?", "Keep the mode in the cache; dx = dout * gamma / std there."),
            test_mode_as_training,
        ),
    )
)

MISTAKES = (*FORWARD, *BACKWARD)
