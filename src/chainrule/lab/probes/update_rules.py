"""Probes of the update rules: single steps, several in a row, and the state in the config that they give back."""

import numpy as np

from chainrule.lab.probing import ContractError, Probe, results

__all__ = ["PROBES"]

W, DW, SECOND_DW = np.array([1.0, 2.0]), np.array([0.5, -2.0]), np.array([1.0, 1.5])
STATE = {"sgd": (), "sgd_momentum": ("velocity",), "rmsprop": ("cache",), "adam": ("m", "v", "t")}


def parameters(shape, steps=1, seed=0, dtype: type = np.float64):
    """w and so many gradients, of that shape."""
    rng = np.random.default_rng(seed)
    return rng.uniform(1, 2, shape).astype(dtype), [rng.standard_normal(shape).astype(dtype) for _ in range(steps)]


def step(functions, rule, w, dw, *config):
    """next_w and config of one step; the rule may change its w, and keeps its hands off our arrays otherwise."""
    got = results(rule, getattr(functions, rule)(w.copy(order="K"), dw.copy(order="K"), *config), "next_w", "config")
    if not isinstance(got["config"], dict):
        raise ContractError(f"{rule} gives back a config that is no dict")
    return np.array(got["next_w"]), got["config"]


def state_of(rule, w, config):
    """What the rule keeps for the next step; an entry that is not there counts as the 0 that the next step begins with."""
    return {f'config["{name}"]': config.get(name, 0 if name == "t" else np.zeros_like(w)) for name in STATE[rule]}


def in_a_row(rule, w, gradients, config, rates=()):
    """Steps, each with the config that the one before gave back: the passed dict or a new one, the settings and the state are in it."""

    def observed(functions):
        current = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in config.items()}
        next_w, seen = w, {}
        for number, dw in enumerate(gradients, 1):
            if rates:
                current["learning_rate"] = rates[number - 1]
            next_w, current = step(functions, rule, next_w, dw, current)
            seen["next_w" if len(gradients) == 1 else f"next_w of step {number}"] = next_w
        return seen | state_of(rule, w, current)

    return observed


def without_config(rule, w, gradients):
    """Steps from nothing, each with the config that the one before gave back."""

    def observed(functions):
        next_w, config = step(functions, rule, w, gradients[0])
        seen = {"next_w of step 1": next_w}
        for number, dw in enumerate(gradients[1:], 2):
            next_w, config = step(functions, rule, next_w, dw, config)
            seen[f"next_w of step {number}"] = next_w
        none, _ = step(functions, rule, w, gradients[1], None)
        return seen | {"next_w for config=None": none}

    return observed


def probes(rule, first, given, *more):
    """Those of every rule.

    Parameters
    ----------
    rule : its name
    first : config of the smallest one
    given : settings that are all different from the defaults, and the state (as numbers, for every parameter the same)
    more : further probes, small ones
    """

    def state(shape, dtype: type = np.float64):
        return {
            name: np.full(shape, value, dtype) if name in STATE[rule] and name != "t" else value
            for name, value in (given | {"learning_rate": 0.1}).items()
        }

    transposed, gradients = parameters((4, 3), 2, 5)
    return (
        Probe("one step on 2 parameters", in_a_row(rule, W, [DW], first)),
        *more,
        Probe("two steps on 2 parameters", in_a_row(rule, W, [DW, SECOND_DW], state(2))),
        Probe("two steps on 2 parameters, with the default settings", in_a_row(rule, W, [DW, SECOND_DW], {})),
        Probe("a matrix of 3 x 4 parameters", in_a_row(rule, *parameters((3, 4), 1, 1), state((3, 4))), {"3": 3, "4": 4}),
        Probe("as many rows as columns, two steps", in_a_row(rule, *parameters((3, 3), 2, 2), state((3, 3)))),
        Probe("three steps on a vector, with the default settings", in_a_row(rule, *parameters(5, 3, 3), {})),
        Probe("three steps without a config", without_config(rule, W, [DW, SECOND_DW, -DW]), {}, "where no config is passed", "state"),
        Probe(
            "parameters that are not contiguous in memory",
            in_a_row(rule, transposed.T, [dw.T for dw in gradients], state((3, 4))),
            {},
            "where w is a transposed array",
            "mutation",
        ),
        Probe(
            "the learning rate falls from 0.5 to 0.125",
            in_a_row(rule, *parameters((2, 2), 3, 6), {}, (0.5, 0.25, 0.125)),
            {},
            "where the learning rate changes",
            "state",
        ),
        Probe(
            "float32",
            in_a_row(rule, *parameters((4, 2), 2, 7, np.float32), state((4, 2), np.float32)),
            {},
            "in float32",
            "dtype",
        ),
    )


def small(rule, **config):
    return in_a_row(rule, W, [DW], config)


def at_rest(rule):
    """A parameter without a gradient, as a dead ReLU's, beside one that has one."""
    return Probe(
        "a gradient that is 0 for one parameter",
        in_a_row(rule, W, [np.array([0.0, -2.0])] * 2, {"learning_rate": 0.1}),
        {},
        "where a gradient is 0",
        "numerics",
    )


LARGE_EPSILON = "where epsilon is not small"

PROBES = {
    "sgd": probes("sgd", {"learning_rate": 0.1}, {}),
    "sgd_momentum": probes(
        "sgd_momentum",
        {"learning_rate": 0.1, "momentum": 0.5, "velocity": np.array([0.4, -0.2])},
        {"momentum": 0.7, "velocity": -0.3},
        Probe("momentum 0", in_a_row("sgd_momentum", W, [DW, -DW / 2], {"learning_rate": 0.1, "momentum": 0.0}), {}, "with momentum 0"),
    ),
    "rmsprop": probes(
        "rmsprop",
        {"learning_rate": 0.1, "decay_rate": 0.75, "cache": np.array([0.25, 4.0])},
        {"decay_rate": 0.6, "cache": 0.5},
        at_rest("rmsprop"),
        Probe(
            "epsilon 0.5", small("rmsprop", learning_rate=0.1, epsilon=0.5, cache=np.array([1.0, 2.0])), {}, LARGE_EPSILON, "missing-term"
        ),
    ),
    "adam": probes(
        "adam",
        {"learning_rate": 0.1, "beta1": 0.5, "beta2": 0.75, "m": np.array([0.5, 1.0]), "v": np.array([1.0, 4.0]), "t": 2},
        {"beta1": 0.6, "beta2": 0.8, "m": 0.2, "v": 0.5, "t": 4},
        at_rest("adam"),
        Probe(
            # so late that it does not matter whether epsilon is added before the correction or after it
            "epsilon 0.5, after 60 steps",
            small("adam", learning_rate=0.1, beta1=0.5, beta2=0.5, epsilon=0.5, m=np.array([0.5, 1.0]), v=np.array([1.0, 2.0]), t=60),
            {},
            LARGE_EPSILON,
            "missing-term",
        ),
    ),
}
