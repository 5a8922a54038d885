"""Probes of batch normalization."""

import numpy as np

from chainrule.lab.probing import Chain, Probe, pair, results

__all__ = ["CHAINS", "PROBES"]


def inputs(N, D, seed=0, dtype: type = np.float64, offset=2.0):
    """x (N, D), gamma and beta (D,), dout (N, D); none of them near 0 or 1 on the whole."""
    rng = np.random.default_rng(seed)
    scales = np.linspace(1.5, 3, D)
    x = offset + scales * rng.standard_normal((N, D))
    gamma, beta = rng.uniform(1.5, 2.5, D), rng.uniform(-2, -1, D)
    return tuple(array.astype(dtype) for array in (x, gamma, beta, rng.standard_normal((N, D))))


# three samples: of two, one goes up as the other goes down, and dx is 0 whatever dout is; the variances are 2 and 6
SMALL = (
    np.array([[1.0, 2.0], [1.0, 8.0], [4.0, 5.0]]),
    np.array([2.0, 3.0]),
    np.array([0.5, -1.0]),
    np.array([[1.0, 0.0], [0.5, 2.0], [-1.0, 1.0]]),
)


SMALL_AVERAGES = {"running_mean": np.array([1.0, 3.0]), "running_var": np.array([4.0, 0.25])}
AVERAGES = {"running_mean": np.array([1.0, 0.5, 2.0]), "running_var": np.array([4.0, 0.3, 1.5])}


def forward(x, gamma, beta, **bn_param):
    def observed(functions):
        given = {name: value.copy() for name, value in bn_param.items() if isinstance(value, np.ndarray)}
        param = bn_param | given
        out, _ = pair("batchnorm_forward", functions.batchnorm_forward(x.copy(), gamma.copy(), beta.copy(), param))
        return {
            "out": out,
            "running_mean": param.get("running_mean"),
            "running_var": param.get("running_var"),
            **{f"the array that was passed as {name}": array for name, array in given.items()},
        }

    return observed


def two_batches(functions):
    """The running averages after two batches, which the second test depends on."""
    param = {"mode": "train"}
    for seed in (1, 2):
        x, gamma, beta, _ = inputs(4, 3, seed)
        functions.batchnorm_forward(x, gamma, beta, param)
    out, _ = pair("batchnorm_forward", functions.batchnorm_forward(x, gamma, beta, {**param, "mode": "test"}))
    return {"out": out, "running_mean": param.get("running_mean"), "running_var": param.get("running_var")}


def backward(name, x, gamma, beta, dout, **bn_param):
    def observed(functions):
        _, cache = pair(
            "batchnorm_forward", functions.batchnorm_forward(x.copy(), gamma.copy(), beta.copy(), {"mode": "train", **bn_param})
        )
        return results(name, getattr(functions, name)(dout.copy(), cache), "dx", "dgamma", "dbeta")

    return observed


def backward_probes(name):
    return (
        Probe("3 samples of 2 features", backward(name, *SMALL), {"N": 3, "D": 2}),
        Probe(
            "3 samples, after a forward pass in mode 'test'",
            backward(name, *SMALL, mode="test", **SMALL_AVERAGES),
            {"N": 3, "D": 2},
            "after a forward pass in mode 'test', where mean and variance are constants",
            "mode",
        ),
        Probe("5 samples of 3 features", backward(name, *inputs(5, 3)), {"N": 5, "D": 3}),
        Probe("3 samples of 7 features", backward(name, *inputs(3, 7, 1)), {"N": 3, "D": 7}),
        Probe("as many samples as features", backward(name, *inputs(4, 4, 2)), {"N": 4, "D": 4}),
        Probe("eps = 0.5", backward(name, *inputs(5, 3), eps=0.5), {"N": 5, "D": 3}, "where eps is not small", "missing-term"),
        Probe(
            "after a forward pass in mode 'test'",
            backward(name, *inputs(5, 3), mode="test", **AVERAGES),
            {"N": 5, "D": 3},
            "after a forward pass in mode 'test', where mean and variance are constants",
            "mode",
        ),
        Probe("float32", backward(name, *inputs(6, 3, dtype=np.float32)), {"N": 6, "D": 3}, "in float32", "dtype"),
    )


PROBES = {
    "batchnorm_forward": (
        Probe("3 samples of 2 features", forward(*SMALL[:3], mode="train"), {"N": 3, "D": 2}),
        # so early because with the default eps a mistake with it is hardly seen in the numbers
        Probe(
            "3 samples, eps = 0.5", forward(*SMALL[:3], mode="train", eps=0.5), {"N": 3, "D": 2}, "where eps is not small", "missing-term"
        ),
        Probe("3 samples in mode 'test'", forward(*SMALL[:3], mode="test", **SMALL_AVERAGES), {"N": 3, "D": 2}, "in mode 'test'", "mode"),
        Probe(
            "3 samples, running averages so far, momentum 0.5",
            forward(*SMALL[:3], mode="train", momentum=0.5, **SMALL_AVERAGES),
            {"N": 3, "D": 2},
            "where there are running averages already",
            "state",
        ),
        Probe("5 samples of 3 features", forward(*inputs(5, 3)[:3], mode="train"), {"N": 5, "D": 3}),
        Probe("3 samples of 7 features", forward(*inputs(3, 7, 1)[:3], mode="train"), {"N": 3, "D": 7}),
        Probe("as many samples as features", forward(*inputs(4, 4, 2)[:3], mode="train"), {"N": 4, "D": 4}),
        Probe(
            "running averages so far, momentum 0.7",
            forward(*inputs(5, 3)[:3], mode="train", momentum=0.7, **AVERAGES),
            {"N": 5, "D": 3},
            "where there are running averages already",
            "state",
        ),
        Probe("two batches, then mode 'test'", two_batches, {"N": 4, "D": 3}, "from the second batch on", "state"),
        Probe("mode 'test'", forward(*inputs(5, 3)[:3], mode="test", **AVERAGES), {"N": 5, "D": 3}, "in mode 'test'", "mode"),
        Probe("one sample in mode 'test'", forward(*inputs(1, 3)[:3], mode="test", **AVERAGES), {"N": 1, "D": 3}, "in mode 'test'", "mode"),
        Probe("float32", forward(*inputs(6, 3, dtype=np.float32)[:3], mode="train"), {"N": 6, "D": 3}, "in float32", "dtype"),
    ),
    "batchnorm_backward": backward_probes("batchnorm_backward"),
    "batchnorm_backward_alt": backward_probes("batchnorm_backward_alt"),
}


def forward_chain():
    x, gamma, _, _ = SMALL
    mean, var = x.mean(axis=0), x.var(axis=0)
    std = np.sqrt(var + 1e-5)
    x_hat = (x - mean) / std
    return {"mean": mean, "variance": var, "std": std, "x_hat": x_hat, "gamma * x_hat": gamma * x_hat}


def backward_chain():
    x, gamma, _, dout = SMALL
    steps = forward_chain()
    dx_hat = dout * gamma
    dvar = -0.5 * (dx_hat * (x - steps["mean"])).sum(axis=0) / steps["std"] ** 3
    return {"dx_hat": dx_hat, "gradient of the variance": dvar, "gradient of the mean": -dx_hat.sum(axis=0) / steps["std"]}


def formula_chain():
    _, gamma, _, dout = SMALL
    dx_hat, x_hat = dout * gamma, forward_chain()["x_hat"]
    return {"dx_hat": dx_hat, "mean of dx_hat": dx_hat.mean(axis=0), "mean of dx_hat * x_hat": (dx_hat * x_hat).mean(axis=0)}


CHAINS = {
    "batchnorm_forward": (Chain("3 samples of 2 features", "out", forward_chain),),
    "batchnorm_backward": (Chain("3 samples of 2 features", "dx", backward_chain),),
    "batchnorm_backward_alt": (Chain("3 samples of 2 features", "dx", formula_chain),),
}
