"""Probes of batch normalization."""

import numpy as np

from chainrule.lab.probing import Probe, pair, results

__all__ = ["CHAINS", "PROBES"]


def inputs(N, D, seed=0, dtype: type = np.float64, offset=2.0):
    """x (N, D), gamma and beta (D,), dout (N, D); none of them near 0 or 1 on the whole."""
    rng = np.random.default_rng(seed)
    scales = np.linspace(1.5, 3, D)
    x = offset + scales * rng.standard_normal((N, D))
    gamma, beta = rng.uniform(1.5, 2.5, D), rng.uniform(-2, -1, D)
    return tuple(array.astype(dtype) for array in (x, gamma, beta, rng.standard_normal((N, D))))


SMALL = np.array([[1.0, 2.0], [3.0, 8.0]]), np.array([2.0, 3.0]), np.array([0.5, -1.0]), np.array([[1.0, 0.0], [0.5, 2.0]])


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
    averages = {"running_mean": np.array([1.0, 0.5, 2.0]), "running_var": np.array([4.0, 0.3, 1.5])}
    return (
        Probe("2 samples of 2 features", backward(name, *SMALL), {"N": 2, "D": 2}),
        Probe("5 samples of 3 features", backward(name, *inputs(5, 3)), {"N": 5, "D": 3}),
        Probe("3 samples of 7 features", backward(name, *inputs(3, 7, 1)), {"N": 3, "D": 7}),
        Probe("as many samples as features", backward(name, *inputs(4, 4, 2)), {"N": 4, "D": 4}),
        Probe("eps = 0.5", backward(name, *inputs(5, 3), eps=0.5), {"N": 5, "D": 3}, "where eps is not small", "missing-term"),
        Probe(
            "after a forward pass in mode 'test'",
            backward(name, *inputs(5, 3), mode="test", **averages),
            {"N": 5, "D": 3},
            "after a forward pass in mode 'test', where mean and variance are constants",
            "mode",
        ),
        Probe("float32", backward(name, *inputs(6, 3, dtype=np.float32)), {"N": 6, "D": 3}, "in float32", "dtype"),
    )


AVERAGES = {"running_mean": np.array([1.0, 0.5, 2.0]), "running_var": np.array([4.0, 0.3, 1.5])}

PROBES = {
    "batchnorm_forward": (
        Probe("2 samples of 2 features", forward(*SMALL[:3], mode="train"), {"N": 2, "D": 2}),
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
        Probe("eps = 0.5", forward(*inputs(5, 3)[:3], mode="train", eps=0.5), {"N": 5, "D": 3}, "where eps is not small", "missing-term"),
        Probe("mode 'test'", forward(*inputs(5, 3)[:3], mode="test", **AVERAGES), {"N": 5, "D": 3}, "in mode 'test'", "mode"),
        Probe("one sample in mode 'test'", forward(*inputs(1, 3)[:3], mode="test", **AVERAGES), {"N": 1, "D": 3}, "in mode 'test'", "mode"),
        Probe("float32", forward(*inputs(6, 3, dtype=np.float32)[:3], mode="train"), {"N": 6, "D": 3}, "in float32", "dtype"),
    ),
    "batchnorm_backward": backward_probes("batchnorm_backward"),
    "batchnorm_backward_alt": backward_probes("batchnorm_backward_alt"),
}


def forward_chain():
    """On the way of `batchnorm_forward`, for the probe "2 samples of 2 features"."""
    x, gamma, _, _ = SMALL
    mean, var = x.mean(axis=0), x.var(axis=0)
    std = np.sqrt(var + 1e-5)
    x_hat = (x - mean) / std
    return {"mean": mean, "variance": var, "std": std, "x_hat": x_hat, "gamma * x_hat": gamma * x_hat}


CHAINS = {"batchnorm_forward": ("2 samples of 2 features", forward_chain)}
