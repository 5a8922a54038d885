"""Inverted dropout: zero elements at random, scale up the others; in test mode, pass x on (Srivastava et al. 2014, section 10)."""

import numpy as np

from chainrule.functional.checks import check_floating, check_mode

__all__ = ["dropout_backward", "dropout_forward"]


def dropout_forward(x, dropout_param):
    """Keep every element with probability p and divide it by p, so that its expectation stays; in mode 'test' return x itself.

    Parameters
    ----------
    x : array of any shape, floating point
    dropout_param : dict with
        "p" : probability to *keep* an element, in (0, 1]; `torch.nn.Dropout` takes the probability to drop it
        "mode" : 'train' or 'test', required
        "seed" : optional; gives the mask that NumPy's global generator would draw after `np.random.seed(seed)`, which is how CS231n
            draws it, but leaves the global generator alone
        "rng" : optional, used without a seed; anything with `random(shape)`, such as a `np.random.Generator`. Without either the mask
            is drawn from a fresh, unpredictable generator

    Returns
    -------
    out : like x
    cache : (dropout_param, mask); the mask is like x, 0 or 1 / p, and None in mode 'test'

    Raises
    ------
    TypeError
        If x is not floating point.
    ValueError
        If the mode is unknown or p outside (0, 1].
    """
    p, mode, seed = float(dropout_param["p"]), dropout_param.get("mode"), dropout_param.get("seed")
    check_mode("dropout_forward", "dropout_param", mode)
    check_floating("dropout_forward", "x", x)
    if not 0 < p <= 1:
        raise ValueError(f"dropout_forward: dropout_param['p'] is {p}; expected the probability to keep an element, in (0, 1]")
    if mode == "test":
        return x, (dropout_param, None)

    if seed is not None:
        uniform = np.random.RandomState(seed).rand(*x.shape)
    else:
        rng = dropout_param.get("rng")
        uniform = (np.random.default_rng() if rng is None else rng).random(x.shape)
    mask = np.asarray(uniform < p, x.dtype) / p
    return x * mask, (dropout_param, mask)


def dropout_backward(dout, cache):
    """Gradient of `dropout_forward`: dx like x. Derivation: docs/derivations/dropout.md."""
    _, mask = cache
    return dout if mask is None else dout * mask
