"""Right update rules, none of them the library's."""

import math

import numpy as np


def in_place(w, dw, config=None):
    if config is None:
        config = {}
    config.setdefault("learning_rate", 1e-2)
    w -= config["learning_rate"] * dw
    return w, config


def one_by_one(w, dw, config=None):
    rate = (config or {}).get("learning_rate", 0.01)
    next_w = np.zeros(w.shape)
    for index in np.ndindex(w.shape):
        next_w[index] = w[index] - rate * dw[index]
    return next_w, config if config is not None else {}


def momentum_in_place(w, dw, config=None):
    config = dict() if config is None else config
    if "velocity" not in config:
        config["velocity"] = np.zeros_like(w)
    v = config["velocity"]
    v *= config.get("momentum", 0.9)
    v -= config.get("learning_rate", 1e-2) * dw
    w += v
    return w, config


def momentum_of_lists(w, dw, config=None):
    config = {} if config is None else config
    rate, share = config.get("learning_rate", 1e-2), config.get("momentum", 0.9)
    past = config.get("velocity")
    past = [0.0] * w.size if past is None else list(np.ravel(past))
    new = [share * v - rate * g for v, g in zip(past, dw.ravel(), strict=True)]
    config["velocity"] = np.reshape(new, w.shape)
    return np.reshape([a + b for a, b in zip(w.ravel(), new, strict=True)], w.shape), config


def rmsprop_as_difference(w, dw, config=None):
    """The mean moves towards the new square by 1 - decay_rate of the way."""
    config = {} if config is None else config
    cache = config.get("cache", 0)
    cache = cache + (1 - config.get("decay_rate", 0.99)) * (np.square(dw) - cache)
    config.update(cache=cache)
    return w - config.get("learning_rate", 1e-2) * np.divide(dw, config.get("epsilon", 1e-8) + cache**0.5), config


def rmsprop_in_place(w, dw, config=None):
    config = {} if config is None else config
    for name, default in {"learning_rate": 1e-2, "decay_rate": 0.99, "epsilon": 1e-8, "cache": np.zeros(w.shape)}.items():
        config.setdefault(name, default)
    config["cache"] *= config["decay_rate"]
    config["cache"] += (1 - config["decay_rate"]) * dw * dw
    w -= config["learning_rate"] * dw / (np.sqrt(config["cache"]) + config["epsilon"])
    return w, config


def adam_with_one_rate(w, dw, config=None):
    """As section 2 of the paper ends: both corrections in the learning rate."""
    config = {} if config is None else config
    beta1, beta2 = config.get("beta1", 0.9), config.get("beta2", 0.999)
    config["t"] = t = config.get("t", 0) + 1
    config["m"] = config.get("m", 0) * beta1 + dw - beta1 * dw
    config["v"] = config.get("v", 0) * beta2 + (dw - beta2 * dw) * dw
    rate = config.get("learning_rate", 1e-3) * math.sqrt(1 - beta2**t) / (1 - beta1**t)
    return w - rate * config["m"] / (np.sqrt(config["v"]) + config.get("epsilon", 1e-8)), config


def adam_with_products(w, dw, config=None):
    """t is a float, and the powers of beta are multiplied up in entries of its own."""
    config = config if config is not None else {}
    beta1, beta2 = config.setdefault("beta1", 0.9), config.setdefault("beta2", 0.999)
    m, v = config.setdefault("m", np.zeros(w.shape)), config.setdefault("v", np.zeros(w.shape))
    start = config.setdefault("t", 0.0)
    config["t"] = start + 1.0
    config["power1"] = config.get("power1", beta1**start) * beta1
    config["power2"] = config.get("power2", beta2**start) * beta2
    m[...] = beta1 * m + (1 - beta1) * dw
    v[...] = beta2 * v + (1 - beta2) * dw**2
    below = np.sqrt(v / (1 - config["power2"])) + config.setdefault("epsilon", 1e-8)
    w += -config.setdefault("learning_rate", 1e-3) * (m / (1 - config["power1"])) / below
    return w, config


def sgd_with_a_new_dict(w, dw, config=None):
    settings = {"learning_rate": 1e-2, **(config or {})}
    return w - settings["learning_rate"] * dw, settings


def momentum_with_a_new_dict(w, dw, config=None):
    settings = {"learning_rate": 1e-2, "momentum": 0.9, "velocity": np.zeros_like(w)} | (config or {})
    velocity = settings["momentum"] * settings["velocity"] - settings["learning_rate"] * dw
    return w + velocity, {**settings, "velocity": velocity}


def rmsprop_with_a_new_dict(w, dw, config=None):
    config = dict(config or {})
    lr, rho, eps = config.get("learning_rate", 1e-2), config.get("decay_rate", 0.99), config.get("epsilon", 1e-8)
    config["cache"] = rho * config.get("cache", np.zeros_like(w)) + (1 - rho) * dw**2
    return w - lr * dw / (np.sqrt(config["cache"]) + eps), config


def adam_with_a_new_dict(w, dw, config=None):
    old = {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "m": 0 * w, "v": 0 * w, "t": 0, **(config or {})}
    beta1, beta2, t = old["beta1"], old["beta2"], old["t"] + 1
    m, v = beta1 * old["m"] + (1 - beta1) * dw, beta2 * old["v"] + (1 - beta2) * dw**2
    step = m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + old["epsilon"])
    return w - old["learning_rate"] * step, old | {"m": m, "v": v, "t": t}


def momentum_with_setdefault(w, dw, config=None):
    if config is None:
        config = {}
    config.setdefault("learning_rate", 1e-2)
    config.setdefault("momentum", 0.9)
    v = config.setdefault("velocity", np.zeros_like(w))
    v = config["momentum"] * v - config["learning_rate"] * dw
    config["velocity"] = v
    return w + v, config


def rmsprop_with_setdefault(w, dw, config=None):
    if config is None:
        config = {}
    config.setdefault("learning_rate", 1e-2)
    config.setdefault("decay_rate", 0.99)
    config.setdefault("epsilon", 1e-8)
    config.setdefault("cache", np.zeros_like(w))
    config["cache"] = config["decay_rate"] * config["cache"] + (1 - config["decay_rate"]) * dw**2
    return w - config["learning_rate"] * dw / (np.sqrt(config["cache"]) + config["epsilon"]), config


def adam_with_setdefault(w, dw, config=None):
    if config is None:
        config = {}
    config.setdefault("learning_rate", 1e-3)
    config.setdefault("beta1", 0.9)
    config.setdefault("beta2", 0.999)
    config.setdefault("epsilon", 1e-8)
    config.setdefault("m", np.zeros_like(w))
    config.setdefault("v", np.zeros_like(w))
    config.setdefault("t", 0)
    config["t"] += 1
    config["m"] *= config["beta1"]
    config["m"] += (1 - config["beta1"]) * dw
    config["v"] *= config["beta2"]
    config["v"] += (1 - config["beta2"]) * dw**2
    m_hat = config["m"] / (1 - config["beta1"] ** config["t"])
    v_hat = config["v"] / (1 - config["beta2"] ** config["t"])
    w -= config["learning_rate"] * m_hat / (np.sqrt(v_hat) + config["epsilon"])
    return w, config


def emptying(rule):
    """The passed dict is emptied: the new one has all."""

    def rule_with_another_dict(w, dw, config=None):
        passed = {} if config is None else config
        next_w, new = rule(w, dw, dict(passed))
        passed.clear()
        return next_w, new

    return rule_with_another_dict


RIGHT = [
    ("in place", {"sgd": in_place, "sgd_momentum": momentum_in_place, "rmsprop": rmsprop_in_place}),
    ("one by one", {"sgd": one_by_one, "sgd_momentum": momentum_of_lists}),
    ("as a difference", {"rmsprop": rmsprop_as_difference}),
    ("with one rate", {"adam": adam_with_one_rate}),
    ("with products of beta, in place", {"adam": adam_with_products}),
    (
        "with a new dict",
        {
            "sgd": sgd_with_a_new_dict,
            "sgd_momentum": momentum_with_a_new_dict,
            "rmsprop": rmsprop_with_a_new_dict,
            "adam": adam_with_a_new_dict,
        },
    ),
    (
        "with setdefault",
        {"sgd": in_place, "sgd_momentum": momentum_with_setdefault, "rmsprop": rmsprop_with_setdefault, "adam": adam_with_setdefault},
    ),
    ("the passed dict emptied", {"rmsprop": emptying(rmsprop_with_a_new_dict), "adam": emptying(adam_with_a_new_dict)}),
]
