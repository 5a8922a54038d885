"""Mistakes in batch normalization."""

from dataclasses import dataclass

import numpy as np

from chainrule.functional import batchnorm_backward, batchnorm_forward
from chainrule.lab.mistake import Mistake

__all__ = ["MISTAKES", "WRONG_PARAMETERS", "Parts", "wrong_dx"]


def forward(
    x,
    gamma,
    beta,
    bn_param,
    *,
    mean=None,
    var=None,
    averaged_var=None,
    keep=None,
    std=None,
    test_std=None,
    x_hat=None,
    out=None,
    test_out=None,
    taken=None,
    averaged=("train",),
    start=0.0,
    store=None,
):
    """`batchnorm_forward` with one of its steps put in.

    Functions: `mean` of x; `var` of (x, mean); `averaged_var` of x, what enters the running variance; `keep` of (momentum, running, new),
    the new running average; `std` and `test_std` of (var, eps); `x_hat` of (x, mean, std); `out` and `test_out` of (x_hat, gamma, beta);
    `taken` of (mode, the batch's mean and variance, the running ones), those that x is normalized with; `store` of (running_mean,
    running_var, the old ones), what is written back. `averaged` are the modes in which the averages go on, `start` is the first running
    variance.
    """
    mode, eps, momentum = bn_param["mode"], bn_param.get("eps", 1e-5), bn_param.get("momentum", 0.9)
    running_mean = bn_param.get("running_mean", np.zeros(x.shape[1], x.dtype))
    running_var = bn_param.get("running_var", np.full(x.shape[1], start, x.dtype))
    old = running_mean, running_var
    mu = x.mean(axis=0) if mean is None else mean(x)
    v = x.var(axis=0) if var is None else var(x, mu)
    if mode in averaged:
        a = v if averaged_var is None else averaged_var(x)
        running_mean, running_var = (
            momentum * past + (1 - momentum) * new if keep is None else keep(momentum, past, new)
            for past, new in ((running_mean, mu), (running_var, a))
        )
    stored = (running_mean, running_var) if store is None else store(running_mean, running_var, *old)
    bn_param.update({name: value for name, value in zip(("running_mean", "running_var"), stored, strict=True) if value is not None})
    if taken is None:
        mu, v = (mu, v) if mode == "train" else (running_mean, running_var)
    else:
        mu, v = taken(mode, (mu, v), (running_mean, running_var))
    root = test_std if mode == "test" and test_std else std
    s = np.sqrt(v + eps) if root is None else root(v, eps)
    hat = (x - mu) / s if x_hat is None else x_hat(x, mu, s)
    last = test_out if mode == "test" and test_out else out
    return (gamma * hat + beta if last is None else last(hat, gamma, beta)), (mode, hat, s, gamma)


def with_defaults(**settings):
    """The right forward pass, for which bn_param has other settings than it says."""

    def deaf(x, gamma, beta, bn_param):
        given = dict(bn_param)
        result = batchnorm_forward(x, gamma, beta, param := given | settings)
        bn_param["running_mean"], bn_param["running_var"] = param["running_mean"], param["running_var"]
        return result

    return deaf


def given_to(bn_param, **averages):
    """bn_param with these averages."""
    bn_param.update(averages)
    return bn_param


def unbiased_variance(x, gamma, beta, bn_param):
    return forward(x, gamma, beta, bn_param, var=lambda x, mean: x.var(axis=0, ddof=1) if len(x) > 1 else x.var(axis=0))


def eps_outside_the_root(x, gamma, beta, bn_param):
    return forward(x, gamma, beta, bn_param, std=lambda var, eps: np.sqrt(var) + eps)


def without_eps(x, gamma, beta, bn_param):
    return forward(x, gamma, beta, bn_param, std=lambda var, eps: np.sqrt(var))


def without_the_root(x, gamma, beta, bn_param):
    return forward(x, gamma, beta, bn_param, std=lambda var, eps: var + eps)


def momentum_of_the_new(x, gamma, beta, bn_param):
    return forward(x, gamma, beta, bn_param, keep=lambda momentum, past, new: (1 - momentum) * past + momentum * new)


def averages_not_kept(x, gamma, beta, bn_param):
    return forward(x, gamma, beta, dict(bn_param))


def batch_statistics_in_test_mode(x, gamma, beta, bn_param):
    return forward(x, gamma, beta, bn_param, taken=lambda mode, batch, running: batch)


def over_the_features(x, gamma, beta, bn_param):
    std = np.sqrt(x.var(axis=1, keepdims=True) + bn_param.get("eps", 1e-5))
    x_hat = (x - x.mean(axis=1, keepdims=True)) / std
    if bn_param["mode"] == "test":
        return batchnorm_forward(x, gamma, beta, bn_param)
    for name in ("running_mean", "running_var"):
        bn_param.setdefault(name, np.zeros(x.shape[1], x.dtype))
    return gamma * x_hat + beta, (bn_param["mode"], x_hat, std, gamma)


def averages_in_place(x, gamma, beta, bn_param):
    given = {name: bn_param[name] for name in ("running_mean", "running_var") if name in bn_param}
    result = batchnorm_forward(x, gamma, beta, bn_param)
    for name, array in given.items():
        array[...] = bn_param[name]
        bn_param[name] = array
    return result


def averages_go_on(x, gamma, beta, bn_param):
    result = batchnorm_forward(x, gamma, beta, bn_param)
    if bn_param["mode"] == "test":
        momentum = bn_param.get("momentum", 0.9)
        bn_param["running_mean"] = momentum * bn_param["running_mean"] + (1 - momentum) * x.mean(axis=0)
        bn_param["running_var"] = momentum * bn_param["running_var"] + (1 - momentum) * x.var(axis=0)
    return result


def modifies_x(x, gamma, beta, bn_param):
    result = batchnorm_forward(x, gamma, beta, bn_param)
    x -= x.mean(axis=0) if bn_param["mode"] == "train" else bn_param["running_mean"]
    return result


def catalogue(function, *entries):
    return tuple(Mistake(function, *entry) for entry in entries)


FORWARD = catalogue(
    "batchnorm_forward",
    (
        "wrong-statistic",
        "the variance is the unbiased one, divided by N - 1; batch norm divides by N",
        ("By what is the sum of squares divided, and by what in the paper's algorithm 1?", "np.var divides by N unless ddof says else."),
        unbiased_variance,
    ),
    (
        "numerics",
        "eps is added to the standard deviation, outside the root; it belongs to the variance: sqrt(var + eps)",
        ("Look where eps stands in algorithm 1 of the paper.", "std = np.sqrt(var + eps)"),
        eps_outside_the_root,
    ),
    (
        "missing-term",
        "eps is not added to the variance; a feature that is constant over the batch divides by 0",
        ("What is the variance of a feature that is the same in all samples?", 'bn_param.get("eps", 1e-5) belongs to the variance.'),
        without_eps,
    ),
    (
        "mode",
        "eps is left out in mode 'test'; it is added to the running variance, as it is to that of the batch",
        ("Do both modes divide by the same expression?", "np.sqrt(running_var + eps)"),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, test_std=lambda var, eps: np.sqrt(var)),
    ),
    (
        "state",
        "eps is always the default, 1e-5; bn_param may hold another one",
        ("Where do you read bn_param?", 'eps = bn_param.get("eps", 1e-5)'),
        with_defaults(eps=1e-5),
    ),
    (
        "state",
        "momentum is always the default, 0.9; bn_param may hold another one",
        ("Where do you read bn_param?", 'momentum = bn_param.get("momentum", 0.9)'),
        with_defaults(momentum=0.9),
    ),
    (
        "wrong-statistic",
        "x is divided by the variance; it has to be divided by its root, the standard deviation",
        ("Which unit has the variance of x, if x is in metres?", "x_hat = (x - mean) / np.sqrt(var + eps)"),
        without_the_root,
    ),
    (
        "mode",
        "in mode 'test' x is divided by the running variance; it has to be divided by its root",
        ("Which unit has the variance of x, if x is in metres?", "np.sqrt(running_var + eps)"),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, test_std=lambda var, eps: var + eps),
    ),
    (
        "axis",
        "mean and variance are those of each sample, over its features; batch norm takes those of each feature, over the batch",
        ("What is normalized: a row of x or a column?", "The batch is axis 0."),
        over_the_features,
    ),
    (
        "axis",
        "mean and variance are those of all of x; each feature has its own, over the batch",
        ("What shape have mean and variance? One number for each feature.", "x.mean(axis=0), x.var(axis=0)"),
        lambda x, gamma, beta, bn_param: forward(
            x, gamma, beta, bn_param, mean=lambda x: np.full_like(x[0], x.mean()), var=lambda x, mean: np.full_like(x[0], x.var())
        ),
    ),
    (
        "missing-term",
        "the mean is not subtracted: x_hat = (x - mean) / std",
        ("What is the mean of x_hat over the batch? 0.", "Subtract the mean before you divide."),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, x_hat=lambda x, mean, std: x / std),
    ),
    (
        "scale",
        "x - mean is multiplied by the standard deviation; it has to be divided by it",
        ("What is the variance of x_hat over the batch? 1.", "x_hat = (x - mean) / std"),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, x_hat=lambda x, mean, std: (x - mean) * std),
    ),
    (
        "missing-term",
        "x - mean is not divided by the standard deviation",
        ("What is the variance of x_hat over the batch? 1.", "x_hat = (x - mean) / std"),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, x_hat=lambda x, mean, std: x - mean),
    ),
    (
        "wrong-statistic",
        "the variance is the mean of x**2; the mean has to be subtracted first: mean((x - mean)**2)",
        ("Does the variance of x change when 10 is added to all of x?", "np.mean((x - mean)**2, axis=0)"),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, var=lambda x, mean: (x**2).mean(axis=0)),
    ),
    (
        "scale",
        "the variance is the sum of squares; it has to be their mean, divided by N",
        ("Does the variance grow with the batch?", "np.mean((x - mean)**2, axis=0)"),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, var=lambda x, mean: ((x - mean) ** 2).sum(axis=0)),
    ),
    (
        "missing-term",
        "beta is not added: out = gamma * x_hat + beta",
        ("What is the mean of out over the batch?", "gamma * x_hat + beta"),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, out=lambda x_hat, gamma, beta: gamma * x_hat),
    ),
    (
        "missing-term",
        "gamma is left out: out = gamma * x_hat + beta",
        ("What is the standard deviation of out over the batch?", "gamma * x_hat + beta"),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, out=lambda x_hat, gamma, beta: x_hat + beta),
    ),
    (
        "missing-term",
        "out is x_hat; it still has to be scaled and shifted: gamma * x_hat + beta",
        ("What are gamma and beta for?", "gamma * x_hat + beta"),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, out=lambda x_hat, gamma, beta: x_hat),
    ),
    (
        "shape",
        "gamma and beta are in each other's place: gamma scales, beta shifts",
        ("Which of the two is the mean of out over the batch?", "gamma * x_hat + beta"),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, out=lambda x_hat, gamma, beta: beta * x_hat + gamma),
    ),
    (
        "scale",
        "beta is scaled by gamma, too; it is added last: gamma * x_hat + beta",
        ("What is the mean of out over the batch?", "First times gamma, then plus beta."),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, out=lambda x_hat, gamma, beta: gamma * (x_hat + beta)),
    ),
    (
        "mode",
        "gamma and beta are left out in mode 'test'; they belong to both modes",
        ("What are gamma and beta trained for?", "gamma * x_hat + beta, in mode 'test' as well"),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, test_out=lambda x_hat, gamma, beta: x_hat),
    ),
    (
        "state",
        "momentum weighs the new batch in the running averages; here it weighs the past: momentum * running + (1 - momentum) * batch",
        ("With momentum 0.9, how much of the running mean should be left after one batch?", "PyTorch has it the other way round."),
        momentum_of_the_new,
    ),
    (
        "state",
        "the running averages are those of the last batch: the past is dropped; momentum * running + (1 - momentum) * batch",
        ("With momentum 0.9, how much of the running mean should be left after one batch?", "Two terms, weighed by momentum."),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, keep=lambda momentum, past, new: new),
    ),
    (
        "state",
        "the past is not multiplied by momentum in the running averages, so that they grow: momentum * running + (1 - momentum) * batch",
        ("What is the running mean after very many batches of mean 1?", "The two weights add up to 1."),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, keep=lambda momentum, past, new: past + (1 - momentum) * new),
    ),
    (
        "state",
        "the new batch is not multiplied by 1 - momentum in the running averages: momentum * running + (1 - momentum) * batch",
        ("What is the running mean after very many batches of mean 1?", "The two weights add up to 1."),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, keep=lambda momentum, past, new: momentum * past + new),
    ),
    (
        "state",
        "the new batch always has the weight 0.9 in the running averages: momentum * running + (1 - momentum) * batch",
        ("With momentum 0.9, how much of the running mean should be left after one batch?", 'momentum = bn_param.get("momentum", 0.9)'),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, keep=lambda momentum, past, new: 0.1 * past + 0.9 * new),
    ),
    (
        "state",
        "the past is missing in the running averages: momentum * running + (1 - momentum) * batch",
        ("What does the running mean of the batches before come in with?", 'Read bn_param["running_mean"].'),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, keep=lambda momentum, past, new: (1 - momentum) * new),
    ),
    (
        "wrong-statistic",
        "the running variance averages standard deviations; it has to average variances",
        ("What does mode 'test' take the root of?", "momentum * running_var + (1 - momentum) * var"),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, averaged_var=lambda x: x.std(axis=0)),
    ),
    (
        "wrong-statistic",
        "the running variance has eps in it; eps is added when it is used",
        ("How often is eps added on the way to out in mode 'test'?", "momentum * running_var + (1 - momentum) * var"),
        lambda x, gamma, beta, bn_param: forward(
            x, gamma, beta, bn_param, averaged_var=lambda x: x.var(axis=0) + bn_param.get("eps", 1e-5)
        ),
    ),
    (
        "wrong-statistic",
        "the running variance averages the unbiased variance, as PyTorch's does; here it averages the one that x is normalized with",
        ("By what is the sum of squares divided that enters running_var? Here by N.", "Use var, the same as in std."),
        lambda x, gamma, beta, bn_param: forward(
            x, gamma, beta, bn_param, averaged_var=lambda x: x.var(axis=0, ddof=1) if len(x) > 1 else x.var(axis=0)
        ),
    ),
    (
        "state",
        "the running variance begins with ones, as in PyTorch; here both running averages begin with zeros",
        ("Which default does the docstring give?", 'bn_param.get("running_var", np.zeros(D))'),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, start=1.0),
    ),
    (
        "state",
        "both running averages begin with ones; here they begin with zeros",
        ("Which default does the docstring give?", 'bn_param.get("running_mean", np.zeros(D)), and the same for the variance'),
        lambda x, gamma, beta, bn_param: batchnorm_forward(
            x,
            gamma,
            beta,
            given_to(bn_param, **{name: bn_param.get(name, np.ones(x.shape[1], x.dtype)) for name in ("running_mean", "running_var")}),
        ),
    ),
    (
        "state",
        "both running averages begin with those of the first batch; here they begin with zeros",
        ("Which default does the docstring give?", 'bn_param.get("running_mean", np.zeros(D)), and the same for the variance'),
        lambda x, gamma, beta, bn_param: batchnorm_forward(
            x,
            gamma,
            beta,
            given_to(
                bn_param, running_mean=bn_param.get("running_mean", x.mean(axis=0)), running_var=bn_param.get("running_var", x.var(axis=0))
            ),
        ),
    ),
    (
        "wrong-statistic",
        "the running variance averages the means of the batches; it has to average their variances",
        ("What does mode 'test' take the root of?", "momentum * running_var + (1 - momentum) * var"),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, averaged_var=lambda x: x.mean(axis=0)),
    ),
    (
        "sign",
        "the new batch is subtracted in the running averages: momentum * running + (1 - momentum) * batch",
        ("What is the running mean after very many batches of mean 1?", "The two terms are added."),
        lambda x, gamma, beta, bn_param: forward(
            x, gamma, beta, bn_param, keep=lambda momentum, past, new: momentum * past - (1 - momentum) * new
        ),
    ),
    (
        "sign",
        "the new variance is subtracted in the running variance: momentum * running_var + (1 - momentum) * var",
        ("Can a variance be negative?", "The two terms are added."),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, averaged_var=lambda x: -x.var(axis=0)),
    ),
    (
        "wrong-statistic",
        "the running variance goes on from the running mean: momentum * running_var + (1 - momentum) * var",
        ("Which of the two averages is multiplied by momentum here?", 'bn_param["running_var"] goes on from its own past.'),
        lambda x, gamma, beta, bn_param: forward(
            x,
            gamma,
            beta,
            bn_param,
            store=lambda mean, var, old_mean, old_var: (mean, var + bn_param.get("momentum", 0.9) * (old_mean - old_var)),
        ),
    ),
    (
        "state",
        "running_mean and running_var are written back into each other's place",
        ("Which of the two entries holds the mean?", 'bn_param["running_mean"] = running_mean'),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, store=lambda mean, var, *old: (var, mean)),
    ),
    (
        "state",
        "the running variance is not updated; it has to go on in mode 'train' like the running mean",
        ("Which two averages does mode 'test' need?", "momentum * running_var + (1 - momentum) * var"),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, store=lambda mean, var, old_mean, old_var: (mean, old_var)),
    ),
    (
        "state",
        "the running mean is not updated; it has to go on in mode 'train' like the running variance",
        ("Which two averages does mode 'test' need?", "momentum * running_mean + (1 - momentum) * mean"),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, store=lambda mean, var, old_mean, old_var: (old_mean, var)),
    ),
    (
        "state",
        "the running averages are never updated; in mode 'train' they have to go on with every batch",
        ("What does mode 'test' normalize with?", "momentum * running_mean + (1 - momentum) * mean, and the same for the variance"),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, averaged=()),
    ),
    (
        "mode",
        "the running averages go on in mode 'test', too; a test must leave them as they are",
        ("Should the answer for an image depend on the images tested before it?", "Update them in mode 'train' alone."),
        averages_go_on,
    ),
    (
        "mode",
        "in mode 'test' x is normalized with mean and variance of the batch; the running averages are what they are kept for",
        ("What would happen to a single image at test time?", 'Use bn_param["running_mean"] and bn_param["running_var"] there.'),
        batch_statistics_in_test_mode,
    ),
    (
        "mode",
        "the mode is ignored: mode 'test' does all that mode 'train' does",
        ("What would happen to a single image at test time?", 'Look at bn_param["mode"].'),
        lambda x, gamma, beta, bn_param: forward(
            x, gamma, beta, bn_param, averaged=("train", "test"), taken=lambda mode, batch, running: batch
        ),
    ),
    (
        "mode",
        "in mode 'train' x is normalized with the running averages; mean and variance of the batch belong there",
        ("What is the mean of x_hat over the batch in mode 'train'? 0.", "The running averages are for mode 'test'."),
        lambda x, gamma, beta, bn_param: forward(x, gamma, beta, bn_param, taken=lambda mode, batch, running: running),
    ),
    (
        "mode",
        "the modes are swapped: mode 'train' normalizes with the running averages, mode 'test' with the batch",
        ("In which mode may the answer for one image depend on the others?", 'Look at the comparison with bn_param["mode"].'),
        lambda x, gamma, beta, bn_param: forward(
            x, gamma, beta, bn_param, taken=lambda mode, batch, running: running if mode == "train" else batch
        ),
    ),
    (
        "state",
        "the running averages are not written back into bn_param, so the next batch and the test do not find them",
        ("Where does the next call find the averages?", 'bn_param["running_mean"] = running_mean, and the same for the variance.'),
        averages_not_kept,
    ),
    (
        "mutation",
        "the arrays of the running averages are modified; put new ones into bn_param, whoever passed them may have kept them",
        (
            "Which of your statements writes into running_mean? Augmented ones such as *= do.",
            "running_mean = momentum * running_mean + ...",
        ),
        averages_in_place,
    ),
    (
        "mutation",
        "modifies x; whoever called it still needs x: make a new array",
        ("Which of your statements writes into x? Augmented ones such as -= do.", "x_centred = x - mean"),
        modifies_x,
    ),
)


@dataclass(frozen=True)
class Parts:
    """What the gradient of a normalization is made of in training; `axis` is the one that is normalized over."""

    dout: np.ndarray
    x_hat: np.ndarray
    std: np.ndarray
    gamma: np.ndarray
    axis: int

    @property
    def dx_hat(self):
        return self.dout * self.gamma

    @property
    def size(self):
        """How many elements are normalized together."""
        return self.dout.shape[self.axis]

    @property
    def first(self):
        return self.mean(self.dx_hat)

    @property
    def second(self):
        return self.mean(self.dx_hat * self.x_hat)

    def mean(self, values):
        return values.mean(axis=self.axis, keepdims=True)


def wrong_dx(size, other, elements):
    """What goes wrong in dx of a normalization: (kind, sentence, hints, dx), dx a function of `Parts`; constant statistics come first.

    Parameters
    ----------
    size, other : how many these are, "N" for batch norm, and the other size
    elements : what they are, "sample" for batch norm
    """
    three_ways = f"Along which ways does x reach the output? There are three, and two of them lead from every {elements} to every other."
    formula = "dx = (dx_hat - mean(dx_hat) - x_hat * mean(dx_hat * x_hat)) / std"
    return (
        (
            "missing-term",
            f"dx takes mean and variance for constants; both depend on every {elements} that they are taken of",
            (f"Does the mean change when one {elements} does?", "Two more terms belong to dx: through the mean, and through the variance."),
            lambda p: p.dx_hat / p.std,
        ),
        (
            "missing-term",
            "dx leaves out that the mean depends on x: - mean(dx_hat) / std is missing",
            (three_ways, "x_centred = x - mean(x): dx = dx_centred - mean(dx_centred)"),
            lambda p: (p.dx_hat - p.x_hat * p.second) / p.std,
        ),
        (
            "missing-term",
            "dx leaves out that the variance depends on x: - x_hat * mean(dx_hat * x_hat) / std is missing",
            (three_ways, f"std is a function of every {elements}: go through it, too."),
            lambda p: (p.dx_hat - p.first) / p.std,
        ),
        (
            "missing-term",
            "dx is dx_hat, the gradient of x_hat: the way from x_hat back to x is missing",
            (three_ways, "x_hat = (x - mean) / std, and mean and std are functions of x."),
            lambda p: p.dx_hat,
        ),
        (
            "missing-term",
            "dx lacks the factor gamma: out = gamma * x_hat + beta, so dx_hat = dout * gamma",
            ("What does dout pass first on its way back?", "dx_hat = dout * gamma, and everything else from dx_hat."),
            lambda p: (p.dout - p.mean(p.dout) - p.x_hat * p.mean(p.dout * p.x_hat)) / p.std,
        ),
        (
            "missing-term",
            "both means in dx are those of dout; they have to be those of dx_hat = dout * gamma",
            ("In which of the three terms does gamma stand?", formula),
            lambda p: (p.dx_hat - p.mean(p.dout) - p.x_hat * p.mean(p.dout * p.x_hat)) / p.std,
        ),
        (
            "missing-term",
            "the first mean in dx is that of dout; it has to be that of dx_hat = dout * gamma",
            ("In which of the three terms does gamma stand?", formula),
            lambda p: (p.dx_hat - p.mean(p.dout) - p.x_hat * p.second) / p.std,
        ),
        (
            "missing-term",
            "the second mean in dx is that of dout * x_hat; it has to be that of dx_hat * x_hat, where dx_hat = dout * gamma",
            ("In which of the three terms does gamma stand?", formula),
            lambda p: (p.dx_hat - p.first - p.x_hat * p.mean(p.dout * p.x_hat)) / p.std,
        ),
        (
            "scale",
            "dx has the factor gamma twice; dx_hat = dout * gamma holds it already",
            ("How often does gamma stand between x_hat and out?", formula),
            lambda p: p.gamma * (p.dx_hat - p.first - p.x_hat * p.second) / p.std,
        ),
        (
            "missing-term",
            "dx lacks the division by the standard deviation: x_hat = (x - mean) / std",
            ("By what was x - mean divided in the forward pass?", "All of dx is divided by std."),
            lambda p: p.dx_hat - p.first - p.x_hat * p.second,
        ),
        (
            "scale",
            "dx is divided by the variance; it has to be divided by its root (does the cache hold the variance where std is expected?)",
            ("By what was x - mean divided in the forward pass?", "All of dx is divided by std."),
            lambda p: (p.dx_hat - p.first - p.x_hat * p.second) / p.std**2,
        ),
        (
            "scale",
            "dx is multiplied by the standard deviation; it has to be divided by it: x_hat = (x - mean) / std",
            ("By what was x - mean divided in the forward pass?", "All of dx is divided by std."),
            lambda p: (p.dx_hat - p.first - p.x_hat * p.second) * p.std,
        ),
        (
            "sign",
            "the term of the mean has the wrong sign in dx: it is - mean(dx_hat) / std",
            ("With which sign does the mean stand in x - mean?", formula),
            lambda p: (p.dx_hat + p.first - p.x_hat * p.second) / p.std,
        ),
        (
            "sign",
            "the term of the variance has the wrong sign in dx: it is - x_hat * mean(dx_hat * x_hat) / std",
            ("Does 1 / std grow or fall with the variance?", "d(1 / std) / dvar = -1/2 * (var + eps)**(-3/2)"),
            lambda p: (p.dx_hat - p.first + p.x_hat * p.second) / p.std,
        ),
        (
            "sign",
            "dx has the wrong sign in both terms of the statistics: they are subtracted",
            ("What is dx if dout is the same number everywhere? 0.", formula),
            lambda p: (p.dx_hat + p.first + p.x_hat * p.second) / p.std,
        ),
        (
            "scale",
            "the term of the variance is twice too large in dx: the root gives a factor 1/2",
            ("What is the derivative of a square root?", "d(1 / std) / dvar = -1/2 * (var + eps)**(-3/2)"),
            lambda p: (p.dx_hat - p.first - 2 * p.x_hat * p.second) / p.std,
        ),
        (
            "scale",
            "the term of the variance is half as large as it should be in dx: the square gives a factor 2",
            ("What is the derivative of (x - mean)**2?", f"dvar / dx_centred = 2 * x_centred / {size}"),
            lambda p: (p.dx_hat - p.first - p.x_hat * p.second / 2) / p.std,
        ),
        (
            "wrong-statistic",
            "the term of the variance has a std too few below it: d(1 / std) / dvar = -1/2 * (var + eps)**(-3/2)",
            ("What is the derivative of v**(-1/2)?", "The exponent is -3/2, one less than -1/2."),
            lambda p: (p.dx_hat - p.first - p.std * p.x_hat * p.second) / p.std,
        ),
        (
            "wrong-statistic",
            "the derivative of 1 / std keeps the exponent -1/2: d(1 / std) / dvar = -1/2 * (var + eps)**(-3/2)",
            ("What is the derivative of v**(-1/2)?", "The exponent is -3/2, one less than -1/2."),
            lambda p: (p.dx_hat - p.first - p.std**2 * p.x_hat * p.second) / p.std,
        ),
        (
            "missing-term",
            "the term of the variance lacks its factor x_hat: - x_hat * mean(dx_hat * x_hat) / std",
            (
                "What is the derivative of the variance with respect to one x?",
                f"2 * (x - mean) / {size}: x_hat stands outside the mean, too.",
            ),
            lambda p: (p.dx_hat - p.first - p.second) / p.std,
        ),
        (
            "missing-term",
            "the mean in the term of the variance lacks x_hat: - x_hat * mean(dx_hat * x_hat) / std",
            ("By what does x_hat change when std does? By more, where x_hat is larger.", formula),
            lambda p: (p.dx_hat - p.first - p.x_hat * p.first) / p.std,
        ),
        (
            "missing-term",
            "the term of the mean is not divided by std in dx: it is - mean(dx_hat) / std",
            ("By what is x - mean divided?", "All three terms of dx are divided by std."),
            lambda p: (p.dx_hat - p.x_hat * p.second) / p.std - p.first,
        ),
        (
            "scale",
            f"the two sums in dx are not divided by {size}: they have to be means",
            ("What is the derivative of a mean with respect to one of its elements?", formula),
            lambda p: (p.dx_hat - p.size * (p.first + p.x_hat * p.second)) / p.std,
        ),
        (
            "scale",
            f"the first sum in dx is not divided by {size}: it is - mean(dx_hat) / std",
            ("What is the derivative of a mean with respect to one of its elements?", formula),
            lambda p: (p.dx_hat - p.size * p.first - p.x_hat * p.second) / p.std,
        ),
        (
            "scale",
            f"the second sum in dx is not divided by {size}: it is - x_hat * mean(dx_hat * x_hat) / std",
            ("What is the derivative of the variance, which is a mean, with respect to one x?", formula),
            lambda p: (p.dx_hat - p.first - p.size * p.x_hat * p.second) / p.std,
        ),
        (
            "scale",
            f"dx is {size} times too large: with sums in place of means, all of dx is divided by {size} * std",
            ("Which form of the formula is yours, with sums or with means?", f"With sums, 1 / {size} stands in front."),
            lambda p: p.size * (p.dx_hat - p.first - p.x_hat * p.second) / p.std,
        ),
        (
            "scale",
            f"dx is {size} times too small: with means in the formula there is no further division by {size}",
            ("Which form of the formula is yours, with sums or with means?", formula),
            lambda p: (p.dx_hat - p.first - p.x_hat * p.second) / p.std / p.size,
        ),
        (
            "missing-term",
            f"dx_hat lacks its factor {size} in the form ({size} * dx_hat - sum(dx_hat) - x_hat * sum(dx_hat * x_hat)) / ({size} * std)",
            ("Which form of the formula is yours, with sums or with means?", formula),
            lambda p: (p.dx_hat / p.size - p.first - p.x_hat * p.second) / p.std,
        ),
        (
            "wrong-statistic",
            f"the sums in dx are divided by {other}; there are {size} elements in each",
            (f"Over how many elements goes each sum? Which entry of the shape is {size}?", formula),
            lambda p: (p.dx_hat - (p.first + p.x_hat * p.second) * p.size**2 / p.dx_hat.size) / p.std,
        ),
        (
            "axis",
            "the means in dx are over all elements; they are over those that are normalized together",
            (f"Which elements does one mean of the forward pass see? The {size} of one {'row' if size == 'D' else 'column'}.", formula),
            lambda p: (p.dx_hat - p.dx_hat.mean() - p.x_hat * (p.dx_hat * p.x_hat).mean()) / p.std,
        ),
        (
            "axis",
            f"the means in dx are over the wrong axis: the forward pass took them over axis {1 if size == 'D' else 0}",
            ("Along which axis were the mean and the variance taken?", "The same axis, in both means of dx."),
            lambda p: (
                (
                    p.dx_hat
                    - p.dx_hat.mean(axis=1 - p.axis, keepdims=True)
                    - p.x_hat * (p.dx_hat * p.x_hat).mean(axis=1 - p.axis, keepdims=True)
                )
                / p.std
            ),
        ),
    )


# what goes wrong in dgamma and dbeta of a normalization: (kind, sentence, hints, function of `Parts` that gives the two)
WRONG_PARAMETERS = (
    (
        "missing-term",
        "dgamma is the sum of dout; gamma is multiplied by x_hat, so it is the sum of dout * x_hat",
        ("What is the derivative of gamma * x_hat with respect to gamma?", "dgamma = (dout * x_hat).sum(axis=0)"),
        lambda p: (p.dout.sum(axis=0), p.dout.sum(axis=0)),
    ),
    (
        "missing-term",
        "dgamma is the sum of x_hat; it lacks dout: the sum of dout * x_hat",
        ("What is the derivative of gamma * x_hat with respect to gamma?", "dgamma = (dout * x_hat).sum(axis=0)"),
        lambda p: (p.x_hat.sum(axis=0), p.dout.sum(axis=0)),
    ),
    (
        "scale",
        "dgamma and dbeta are means over the batch; they have to be sums: the loss divided by N already",
        ("Does the loss know of every sample's share in gamma?", "dbeta = dout.sum(axis=0)"),
        lambda p: ((p.dout * p.x_hat).mean(axis=0), p.dout.mean(axis=0)),
    ),
    (
        "scale",
        "dgamma has the factor gamma; out is linear in gamma, so that dgamma is the sum of dout * x_hat",
        ("What is the derivative of gamma * x_hat with respect to gamma?", "Use dout here, not dx_hat."),
        lambda p: ((p.dx_hat * p.x_hat).sum(axis=0), p.dout.sum(axis=0)),
    ),
    (
        "scale",
        "dbeta has the factor gamma; beta is added after it, so that dbeta is the sum of dout",
        ("What is the derivative of out with respect to beta?", "Use dout here, not dx_hat."),
        lambda p: ((p.dout * p.x_hat).sum(axis=0), p.dx_hat.sum(axis=0)),
    ),
    (
        "scale",
        "dgamma and dbeta both have the factor gamma; they come from dout, not from dx_hat",
        ("What is the derivative of out with respect to beta?", "dx_hat is for dx alone."),
        lambda p: ((p.dx_hat * p.x_hat).sum(axis=0), p.dx_hat.sum(axis=0)),
    ),
    (
        "shape",
        "dgamma and dbeta are given back in each other's place: the order is dx, dgamma, dbeta",
        ("Which of the two is the sum of dout?", "return dx, dgamma, dbeta"),
        lambda p: (p.dout.sum(axis=0), (p.dout * p.x_hat).sum(axis=0)),
    ),
    (
        "axis",
        "dgamma and dbeta are not summed over the batch; every sample used the same gamma and beta",
        ("What shapes have gamma and dgamma? The same.", "sum(axis=0)"),
        lambda p: (p.dout * p.x_hat, p.dout),
    ),
    (
        "axis",
        "dgamma and dbeta are summed over axis 1; gamma has one number for each feature, so that the sum is over the batch, axis 0",
        ("What shapes have gamma and dgamma? The same.", "sum(axis=0)"),
        lambda p: ((p.dout * p.x_hat).sum(axis=1), p.dout.sum(axis=1)),
    ),
    (
        "axis",
        "dgamma is summed over axis 1, dbeta over axis 0; gamma has one number for each feature: both sums are over the batch, axis 0",
        ("What shapes have gamma and dgamma? The same.", "dgamma = (dout * x_hat).sum(axis=0)"),
        lambda p: ((p.dout * p.x_hat).sum(axis=1), p.dout.sum(axis=0)),
    ),
    (
        "axis",
        "dbeta is summed over axis 1, dgamma over axis 0; beta has one number for each feature: both sums are over the batch, axis 0",
        ("What shapes have beta and dbeta? The same.", "dbeta = dout.sum(axis=0)"),
        lambda p: ((p.dout * p.x_hat).sum(axis=0), p.dout.sum(axis=1)),
    ),
    (
        "scale",
        "dgamma is a mean over the batch; it has to be a sum, as dbeta is: the loss divided by N already",
        ("Does the loss know of every sample's share in gamma?", "dgamma = (dout * x_hat).sum(axis=0)"),
        lambda p: ((p.dout * p.x_hat).mean(axis=0), p.dout.sum(axis=0)),
    ),
    (
        "scale",
        "dbeta is a mean over the batch; it has to be a sum, as dgamma is: the loss divided by N already",
        ("Does the loss know of every sample's share in beta?", "dbeta = dout.sum(axis=0)"),
        lambda p: ((p.dout * p.x_hat).sum(axis=0), p.dout.mean(axis=0)),
    ),
    (
        "axis",
        "dgamma and dbeta are summed over all of dout; gamma has one number for each feature: sum over axis 0 alone",
        ("What shapes have gamma and dgamma? The same.", "sum(axis=0)"),
        lambda p: ((p.dout * p.x_hat).sum(), p.dout.sum()),
    ),
    (
        "shape",
        "dgamma and dbeta have shape (1, D); gamma and beta are (D,)",
        ("What does keepdims do?", "sum(axis=0), without keepdims"),
        lambda p: ((p.dout * p.x_hat).sum(axis=0, keepdims=True), p.dout.sum(axis=0, keepdims=True)),
    ),
    (
        "missing-term",
        "dgamma is a product of two sums; it is the sum of the products dout * x_hat",
        ("Which comes first, the product or the sum?", "(dout * x_hat).sum(axis=0)"),
        lambda p: (p.dout.sum(axis=0) * p.x_hat.sum(axis=0), p.dout.sum(axis=0)),
    ),
    (
        "missing-term",
        "dbeta is the sum of dout * x_hat; beta is added, so it is the sum of dout",
        ("What is the derivative of out with respect to beta?", "dbeta = dout.sum(axis=0)"),
        lambda p: ((p.dout * p.x_hat).sum(axis=0),) * 2,
    ),
)


def with_dx(dx, *, heeding=True):
    """`batchnorm_backward` with another dx, in mode 'train' alone if it is `heeding` the mode."""

    def backward(dout, cache):
        mode, x_hat, std, gamma = cache
        right = batchnorm_backward(dout, cache)
        return right if mode == "test" and heeding else (dx(Parts(dout, x_hat, std, gamma, 0)), *right[1:])

    return backward


def with_parameters(parameters):
    """`batchnorm_backward` with other dgamma and dbeta."""

    def backward(dout, cache):
        _, x_hat, std, gamma = cache
        return batchnorm_backward(dout, cache)[0], *parameters(Parts(dout, x_hat, std, gamma, 0))

    return backward


# for normalizations that are made of this one


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


def in_test_mode(dx):
    """`batchnorm_backward` with another dx, a function of `Parts`, in mode 'test'."""

    def backward(dout, cache):
        mode, x_hat, std, gamma = cache
        right = batchnorm_backward(dout, cache)
        return right if mode == "train" else (dx(Parts(dout, x_hat, std, gamma, 0)), *right[1:])

    return backward


def dgamma_with_gamma(dout, cache):
    """In mode 'train' also in the dx that is made from it."""
    mode, x_hat, std, gamma = cache
    dgamma, dbeta = (dout * x_hat * gamma).sum(axis=0), dout.sum(axis=0)
    if mode == "test":
        return dout * gamma / std, dgamma, dbeta
    return gamma / std * (dout - dbeta / len(dout) - x_hat * dgamma / len(dout)), dgamma, dbeta


def modifies_dout(dout, cache):
    gradients = batchnorm_backward(dout, cache)
    dout *= cache[3]
    return gradients


def caching(what):
    """The right forward pass, which leaves other x_hat, std and gamma in mode 'train': from (x, x_hat, std, gamma, bn_param)."""

    def also(x, gamma, beta, bn_param):
        out, (mode, *kept) = batchnorm_forward(x, gamma, beta, bn_param)
        return out, (mode, *(what(x, *kept, bn_param) if mode == "train" else kept))

    return {"batchnorm_forward": also}


def in_both_modes(train, test):
    """`batchnorm_backward` with another dx in both modes, functions of `Parts`."""

    def backward(dout, cache):
        mode, x_hat, std, gamma = cache
        parts = Parts(dout, x_hat, std, gamma, 0)
        return (train if mode == "train" else test)(parts), *batchnorm_backward(dout, cache)[1:]

    return backward


OF_EACH_BACKWARD = (
    (
        "missing-term",
        "dx lacks the factor gamma in both modes: out = gamma * x_hat + beta, so dx_hat = dout * gamma",
        ("What does dout pass first on its way back?", "dx_hat = dout * gamma, and everything else from dx_hat."),
        in_both_modes(
            lambda p: (p.dout - p.mean(p.dout) - p.x_hat * p.mean(p.dout * p.x_hat)) / p.std,
            lambda p: p.dout / p.std,
        ),
    ),
    (
        "scale",
        "dx is multiplied by the standard deviation in both modes; it has to be divided by it: x_hat = (x - mean) / std",
        ("By what was x - mean divided in the forward pass?", "All of dx is divided by std."),
        in_both_modes(lambda p: (p.dx_hat - p.first - p.x_hat * p.second) * p.std, lambda p: p.dx_hat * p.std),
    ),
    (
        "missing-term",
        "dx lacks the division by the standard deviation in both modes: x_hat = (x - mean) / std",
        ("By what was x - mean divided in the forward pass?", "All of dx is divided by std."),
        in_both_modes(lambda p: p.dx_hat - p.first - p.x_hat * p.second, lambda p: p.dx_hat),
    ),
    (
        "scale",
        "dx is divided by the variance in both modes; it has to be divided by its root (does the cache hold the variance?)",
        ("By what was x - mean divided in the forward pass?", "All of dx is divided by std."),
        in_both_modes(lambda p: (p.dx_hat - p.first - p.x_hat * p.second) / p.std**2, lambda p: p.dx_hat / p.std**2),
    ),
    (
        "scale",
        "dx has the factor gamma twice, in both modes; dx_hat = dout * gamma holds it already",
        ("How often does gamma stand between x_hat and out?", "All of dx comes from dx_hat."),
        in_both_modes(lambda p: p.gamma * (p.dx_hat - p.first - p.x_hat * p.second) / p.std, lambda p: p.gamma * p.dx_hat / p.std),
    ),
    *((*told, with_dx(dx)) for *told, dx in wrong_dx("N", "D", "sample")),
    *(
        (kind, f"{sentence}; and mode 'test', where mean and variance are constants, is not told apart", hints, with_dx(dx, heeding=False))
        for kind, sentence, hints, dx in wrong_dx("N", "D", "sample")[1:]
    ),
    *((*told, with_parameters(parameters)) for *told, parameters in WRONG_PARAMETERS),
    (
        "mode",
        "after a forward pass in mode 'test' dx still goes through mean and variance of the batch, which are constants there",
        ("Does out depend on the mean of this batch in mode 'test'?", "Keep the mode in the cache; dx = dout * gamma / std there."),
        lambda dout, cache: batchnorm_backward(dout, ("train", *cache[1:])),
    ),
    (
        "mode",
        "after a forward pass in mode 'test' dx still has the terms of mean and variance, which are constants there: dx = dx_hat / std",
        ("Does out depend on the mean of this batch in mode 'test'?", "Keep the mode in the cache; dx = dout * gamma / std there."),
        with_dx(lambda p: (p.dx_hat - p.first - p.x_hat * p.second) / p.std, heeding=False),
    ),
    (
        "mode",
        "after a forward pass in mode 'test' dx is dout * gamma; x was divided by the running deviation there: dout * gamma / std",
        ("What is out in mode 'test', written with x?", "gamma * (x - running_mean) / std + beta"),
        in_test_mode(lambda p: p.dx_hat),
    ),
    (
        "mode",
        "after a forward pass in mode 'test' dx is dout / std; it lacks gamma: dout * gamma / std",
        ("What is out in mode 'test', written with x?", "gamma * (x - running_mean) / std + beta"),
        in_test_mode(lambda p: p.dout / p.std),
    ),
    (
        "mode",
        "after a forward pass in mode 'test' dx is dout; it is dout * gamma / std",
        ("What is out in mode 'test', written with x?", "gamma * (x - running_mean) / std + beta"),
        in_test_mode(lambda p: p.dout.copy()),
    ),
    (
        "mode",
        "after a forward pass in mode 'test' dx is 0; mean and variance are constants there, but x is none: dout * gamma / std",
        ("Does out change with x in mode 'test'?", "gamma * (x - running_mean) / std + beta"),
        in_test_mode(lambda p: np.zeros_like(p.dout)),
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
        batchnorm_backward,
        caching(lambda x, x_hat, std, gamma, bn_param: (x_hat, x.std(axis=0), gamma)),
    ),
    (
        "cache",
        "backward has x where it needs x_hat: the cache has to hold the normalized x",
        ("By what was gamma multiplied in the forward pass?", "Put x_hat into the cache."),
        batchnorm_backward,
        caching(lambda x, x_hat, std, gamma, bn_param: (x, std, gamma)),
    ),
    (
        "cache",
        "backward has x - mean where it needs x_hat: the cache has to hold x_hat, which is divided by std",
        ("By what was gamma multiplied in the forward pass?", "Put x_hat into the cache, or divide by std in backward."),
        batchnorm_backward,
        caching(lambda x, x_hat, std, gamma, bn_param: (x_hat * std, std, gamma)),
    ),
    (
        "cache",
        "backward has gamma * x_hat where it needs x_hat: keep x_hat before it is scaled",
        ("By what was gamma multiplied in the forward pass?", "Give x_hat a name of its own in forward."),
        batchnorm_backward,
        caching(lambda x, x_hat, std, gamma, bn_param: (gamma * x_hat, std, gamma)),
    ),
    (
        "cache",
        "backward divides by the running deviation in mode 'train': the cache has to hold the deviation of the batch",
        ("By what was x - mean divided in mode 'train'?", "Put the batch's std into the cache there."),
        batchnorm_backward,
        caching(lambda x, x_hat, std, gamma, bn_param: (x_hat, np.sqrt(bn_param["running_var"] + bn_param.get("eps", 1e-5)), gamma)),
    ),
)

MISTAKES = (
    *FORWARD,
    *catalogue("batchnorm_backward", *OF_EACH_BACKWARD),
    *catalogue(
        "batchnorm_backward_alt",
        *OF_EACH_BACKWARD,
        (
            "scale",
            "dgamma has the factor gamma, and dx, which is made from it, is wrong with it; out is linear in gamma: sum dout * x_hat",
            ("What is the derivative of gamma * x_hat with respect to gamma?", "Use dout for dgamma, not dx_hat."),
            dgamma_with_gamma,
        ),
    ),
)
