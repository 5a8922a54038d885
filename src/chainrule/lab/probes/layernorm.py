"""Probes of layer normalization."""

import numpy as np

from chainrule.lab.probes.batchnorm import inputs
from chainrule.lab.probing import Chain, Probe, pair, results

__all__ = ["CHAINS", "PROBES"]

# three features: of two, one goes up as the other goes down, and dx is 0 whatever dout is; the variances are 2 and 6
SMALL = (
    np.array([[1.0, 1.0, 4.0], [2.0, 8.0, 5.0]]),
    np.array([2.0, 3.0, 1.5]),
    np.array([0.5, -1.0, 2.0]),
    np.array([[1.0, 0.5, -1.0], [0.0, 2.0, 1.0]]),
)


def forward(x, gamma, beta, **ln_param):
    def observed(functions):
        return {"out": pair("layernorm_forward", functions.layernorm_forward(x.copy(), gamma.copy(), beta.copy(), dict(ln_param)))[0]}

    return observed


def backward(x, gamma, beta, dout, **ln_param):
    def observed(functions):
        _, cache = pair("layernorm_forward", functions.layernorm_forward(x.copy(), gamma.copy(), beta.copy(), dict(ln_param)))
        return results("layernorm_backward", functions.layernorm_backward(dout.copy(), cache), "dx", "dgamma", "dbeta")

    return observed


PROBES = {
    "layernorm_forward": (
        Probe("2 samples of 3 features", forward(*SMALL[:3]), {"N": 2, "D": 3}),
        Probe("5 samples of 3 features", forward(*inputs(5, 3)[:3]), {"N": 5, "D": 3}),
        Probe("3 samples of 7 features", forward(*inputs(3, 7, 1)[:3]), {"N": 3, "D": 7}),
        Probe("as many samples as features", forward(*inputs(4, 4, 2)[:3]), {"N": 4, "D": 4}),
        Probe("one sample", forward(*inputs(1, 5, 3)[:3]), {"N": 1, "D": 5}, "for a single sample", "wrong-statistic"),
        Probe("eps = 0.5", forward(*inputs(5, 3)[:3], eps=0.5), {"N": 5, "D": 3}, "where eps is not small", "missing-term"),
        Probe(
            "ln_param with the mode of a batch norm",
            forward(*inputs(5, 3)[:3], mode="test"),
            {"N": 5, "D": 3},
            "where ln_param has the mode 'test'",
            "mode",
        ),
        Probe("float32", forward(*inputs(6, 3, dtype=np.float32)[:3]), {"N": 6, "D": 3}, "in float32", "dtype"),
    ),
    "layernorm_backward": (
        Probe("2 samples of 3 features", backward(*SMALL), {"N": 2, "D": 3}),
        Probe("5 samples of 3 features", backward(*inputs(5, 3)), {"N": 5, "D": 3}),
        Probe("3 samples of 7 features", backward(*inputs(3, 7, 1)), {"N": 3, "D": 7}),
        Probe("as many samples as features", backward(*inputs(4, 4, 2)), {"N": 4, "D": 4}),
        Probe("one sample", backward(*inputs(1, 5, 3)), {"N": 1, "D": 5}, "for a single sample", "wrong-statistic"),
        Probe("eps = 0.5", backward(*inputs(5, 3), eps=0.5), {"N": 5, "D": 3}, "where eps is not small", "missing-term"),
        Probe("float32", backward(*inputs(6, 3, dtype=np.float32)), {"N": 6, "D": 3}, "in float32", "dtype"),
    ),
}


def forward_chain():
    x, gamma, _, _ = SMALL
    mean, var = x.mean(axis=1, keepdims=True), x.var(axis=1, keepdims=True)
    std = np.sqrt(var + 1e-5)
    x_hat = (x - mean) / std
    return {"mean": mean, "variance": var, "std": std, "x_hat": x_hat, "gamma * x_hat": gamma * x_hat}


def backward_chain():
    _, gamma, _, dout = SMALL
    dx_hat, x_hat = dout * gamma, forward_chain()["x_hat"]
    return {"dx_hat": dx_hat, "mean of dx_hat": dx_hat.mean(axis=1), "mean of dx_hat * x_hat": (dx_hat * x_hat).mean(axis=1)}


CHAINS = {
    "layernorm_forward": (Chain("2 samples of 3 features", "out", forward_chain),),
    "layernorm_backward": (Chain("2 samples of 3 features", "dx", backward_chain),),
}
