"""Update rules: one step of gradient descent on one array, rule(w, dw, config) -> (next_w, config) (CS231n's optim.py).

config is a dict with the settings and the state of the rule. What is missing is filled in, and the state is written into the very dict that
was passed, so that the next step finds it there. w, dw and the arrays of the state are left as they are.
Formulas and sources: docs/derivations/update_rules.md.
"""

import numpy as np

from chainrule.functional.checks import check_shape

__all__ = ["adam", "rmsprop", "sgd", "sgd_momentum"]


def sgd(w, dw, config=None):
    """Stochastic gradient descent: w - learning_rate * dw (Robbins & Monro 1951).

    Parameters
    ----------
    w : parameters, of any shape
    dw : gradient of the loss with respect to w, of the same shape
    config : dict with "learning_rate", default 1e-2

    Returns
    -------
    next_w : like w
    config : the dict that was passed, or a new one
    """
    check_shape("sgd", "dw", dw, w.shape, "the shape of w")
    config = {} if config is None else config
    learning_rate = float(config.setdefault("learning_rate", 1e-2))
    return w - learning_rate * dw, config


def sgd_momentum(w, dw, config=None):
    """Gradient descent with momentum (Polyak 1964; Sutskever et al. 2013, eq. 1 and 2).

    The gradient is multiplied by the learning rate before it enters the velocity; in PyTorch the velocity is, afterwards. The two agree as
    long as the learning rate does not change.

    Parameters
    ----------
    w : parameters, of any shape
    dw : gradient of the loss with respect to w, of the same shape
    config : dict with
        "learning_rate" : default 1e-2
        "momentum" : share of the velocity that is kept, in [0, 1), default 0.9
        "velocity" : like w, default zeros; replaced by the new one

    Returns
    -------
    next_w : like w
    config : the dict that was passed, or a new one
    """
    check_shape("sgd_momentum", "dw", dw, w.shape, "the shape of w")
    config = {} if config is None else config
    learning_rate = float(config.setdefault("learning_rate", 1e-2))
    momentum = float(config.setdefault("momentum", 0.9))
    velocity = config.get("velocity", np.zeros_like(w))
    check_shape("sgd_momentum", "config['velocity']", velocity, w.shape, "the shape of w")

    config["velocity"] = momentum * velocity - learning_rate * dw
    return w + config["velocity"], config


def rmsprop(w, dw, config=None):
    """Divide the gradient by a running root mean square of itself, elementwise (Tieleman & Hinton 2012, lecture 6.5).

    Parameters
    ----------
    w : parameters, of any shape
    dw : gradient of the loss with respect to w, of the same shape
    config : dict with
        "learning_rate" : default 1e-2
        "decay_rate" : weight of the past in the mean of squares, in [0, 1), default 0.99
        "epsilon" : added to the root, default 1e-8
        "cache" : mean of squares, like w, default zeros; replaced by the new one

    Returns
    -------
    next_w : like w
    config : the dict that was passed, or a new one
    """
    check_shape("rmsprop", "dw", dw, w.shape, "the shape of w")
    config = {} if config is None else config
    learning_rate = float(config.setdefault("learning_rate", 1e-2))
    decay_rate = float(config.setdefault("decay_rate", 0.99))
    epsilon = float(config.setdefault("epsilon", 1e-8))
    cache = config.get("cache", np.zeros_like(w))
    check_shape("rmsprop", "config['cache']", cache, w.shape, "the shape of w")

    config["cache"] = decay_rate * cache + (1 - decay_rate) * dw**2
    return w - learning_rate * dw / (np.sqrt(config["cache"]) + epsilon), config


def adam(w, dw, config=None):
    """Momentum and root mean square, both corrected for their start at zero (Kingma & Ba 2015, algorithm 1).

    Parameters
    ----------
    w : parameters, of any shape
    dw : gradient of the loss with respect to w, of the same shape
    config : dict with
        "learning_rate" : default 1e-3
        "beta1", "beta2" : weight of the past in the mean of gradients and of their squares, in [0, 1), default 0.9 and 0.999
        "epsilon" : added to the root, default 1e-8
        "m", "v" : the two means, like w, default zeros; replaced by the new ones
        "t" : number of steps taken so far, default 0; counted up before it is used

    Returns
    -------
    next_w : like w
    config : the dict that was passed, or a new one
    """
    check_shape("adam", "dw", dw, w.shape, "the shape of w")
    config = {} if config is None else config
    learning_rate = float(config.setdefault("learning_rate", 1e-3))
    beta1, beta2 = float(config.setdefault("beta1", 0.9)), float(config.setdefault("beta2", 0.999))
    epsilon = float(config.setdefault("epsilon", 1e-8))
    m, v = config.get("m", np.zeros_like(w)), config.get("v", np.zeros_like(w))
    check_shape("adam", "config['m']", m, w.shape, "the shape of w")
    check_shape("adam", "config['v']", v, w.shape, "the shape of w")

    t = config["t"] = config.get("t", 0) + 1
    config["m"] = beta1 * m + (1 - beta1) * dw
    config["v"] = beta2 * v + (1 - beta2) * dw**2
    m_hat = config["m"] / (1 - beta1**t)
    v_hat = config["v"] / (1 - beta2**t)
    return w - learning_rate * m_hat / (np.sqrt(v_hat) + epsilon), config
