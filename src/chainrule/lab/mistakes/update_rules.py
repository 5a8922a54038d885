"""Mistakes in the update rules."""

import numpy as np

from chainrule.functional import adam, rmsprop, sgd, sgd_momentum
from chainrule.lab.mistake import Mistake

__all__ = ["MISTAKES"]


def moved(w, dw, config, *, rate=1e-2, step):
    """`sgd` with another step, a function of w, dw and the learning rate."""
    config = {} if config is None else config
    return step(w, dw, config.get("learning_rate", rate)), config


def momentum(w, dw, config, *, rate=1e-2, share=0.9, velocity=None, step=None, keep=None):
    """`sgd_momentum` with another new velocity, a function of (velocity, dw, momentum, learning_rate), step, or state to keep."""
    config = {} if config is None else config
    lr, mu = config.get("learning_rate", rate), config.get("momentum", share)
    old = config.get("velocity", np.zeros_like(w))
    new = mu * old - lr * dw if velocity is None else velocity(old, dw, mu, lr)
    next_w = w + (new if step is None else step(new, old, dw, mu, lr))
    config["velocity"] = new if keep is None else keep(new, next_w)
    return next_w, config


def root_mean_square(w, dw, config, *, rate=1e-2, decay=0.99, mean=None, root=None, step=None, keep=None):
    """`rmsprop` with another mean of squares, a function of (cache, dw, decay_rate), root, step, or state to keep."""
    config = {} if config is None else config
    lr, rho, epsilon = config.get("learning_rate", rate), config.get("decay_rate", decay), config.get("epsilon", 1e-8)
    old = config.get("cache", np.zeros_like(w))
    new = rho * old + (1 - rho) * dw**2 if mean is None else mean(old, dw, rho)
    below = np.sqrt(new) + epsilon if root is None else root(new, old, epsilon)
    config["cache"] = new if keep is None else keep(new)
    return w - (lr * dw / below if step is None else step(dw, below, lr)), config


def moments(w, dw, config, *, settings=None, m=None, v=None, count=None, m_hat=None, v_hat=None, root=None, step=None, keep=None):
    """`adam` with one of its steps put in.

    `settings` replaces defaults; `m` is a function of (m, dw, beta1, beta2), `v` of (v, dw, beta1, beta2, new m); `count` of t, gives t to
    use and t to keep; `m_hat` and `v_hat` are functions of (mean, beta1, beta2, t); `root` of (v_hat, epsilon); `step` of (m_hat, root,
    learning_rate, dw, old m); `keep` gives the means to keep from (m, v, m_hat, v_hat).
    """
    config = {} if config is None else config
    chosen = {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8} | (settings or {}) | config
    lr, beta1, beta2, epsilon = (chosen[name] for name in ("learning_rate", "beta1", "beta2", "epsilon"))
    old_m, old_v = config.get("m", np.zeros_like(w)), config.get("v", np.zeros_like(w))
    t, kept_t = (config.get("t", 0) + 1,) * 2 if count is None else count(config.get("t", 0))
    new_m = beta1 * old_m + (1 - beta1) * dw if m is None else m(old_m, dw, beta1, beta2)
    new_v = beta2 * old_v + (1 - beta2) * dw**2 if v is None else v(old_v, dw, beta1, beta2, new_m)
    corrected_m = new_m / (1 - beta1**t) if m_hat is None else m_hat(new_m, beta1, beta2, t)
    corrected_v = new_v / (1 - beta2**t) if v_hat is None else v_hat(new_v, beta1, beta2, t)
    below = np.sqrt(corrected_v) + epsilon if root is None else root(corrected_v, epsilon)
    config["m"], config["v"] = (new_m, new_v) if keep is None else keep(new_m, new_v, corrected_m, corrected_v)
    config["t"] = kept_t
    return w - (lr * corrected_m / below if step is None else step(corrected_m, below, lr, dw, old_m)), config


def modifying(rule):
    def changes_dw(w, dw, config=None):
        result = rule(w, dw, config)
        dw *= 0.5
        return result

    return changes_dw


def with_config_alone(rule, error):
    """Raises what is raised where None is taken for a dict."""

    def needs_config(w, dw, config=None):
        if config is None:
            raise error
        return rule(w, dw, config)

    return needs_config


def with_entries_alone(rule, *names):
    def needs_entries(w, dw, config=None):
        config = {} if config is None else config
        for name in names:
            if name not in config:
                raise KeyError(name)
        return rule(w, dw, config)

    return needs_entries


def ignoring(rule, setting, default):
    def deaf(w, dw, config=None):
        config = {} if config is None else config
        given = config.get(setting, default)
        config[setting] = default
        next_w, config = rule(w, dw, config)
        config[setting] = given
        return next_w, config

    return deaf


def giving_back(rule, *names):
    """A config that has these entries alone."""

    def gives_some(w, dw, config=None):
        next_w, config = rule(w, dw, config)
        return next_w, {name: config[name] for name in names}

    return gives_some


def losing(rule, *names):
    """A new config, in which these entries are missing."""

    def gives_others(w, dw, config=None):
        next_w, config = rule(w, dw, config)
        return next_w, {name: value for name, value in config.items() if name not in names}

    return gives_others


def forgetting(rule, *names):
    def keeps_nothing(w, dw, config=None):
        config = {} if config is None else config
        next_w, new = rule(w, dw, dict(config))
        config.update({name: value for name, value in new.items() if name not in names})
        return next_w, config

    return keeps_nothing


def of_every_rule(function, rule, settings):
    """Mistakes that are made in all of them; `settings` are the defaults by name."""
    return (
        *(
            Mistake(
                function,
                "state",
                f"{name} is always the default, {default:g}; config may hold another one",
                ("Where do you read config?", f'{name} = config.get("{name}", {default:g})'),
                ignoring(rule, name, default),
            )
            for name, default in settings.items()
        ),
        *(
            Mistake(
                function,
                "state",
                f"config must hold {name}; if it does not, the default of the docstring holds",
                ("What does config hold in a call that sets nothing?", f'config.get("{name}", {default:g})'),
                with_entries_alone(rule, name),
            )
            for name, default in settings.items()
        ),
        Mistake(
            function,
            "mutation",
            "modifies dw; w alone may be updated in place, whoever computed the gradient may still need it",
            ("Which of your statements writes into dw? Augmented ones such as *= do.", "dw = learning_rate * dw makes a new array."),
            modifying(rule),
        ),
        *(
            Mistake(
                function,
                "state",
                "config is taken for a dict even if it is None, which is the default; begin with an empty one then",
                ("What is config in a call of only w and dw?", "if config is None: config = {}"),
                with_config_alone(rule, error),
            )
            for error in (
                TypeError("'NoneType' object is not subscriptable"),
                TypeError("'NoneType' object does not support item assignment"),
                TypeError("argument of type 'NoneType' is not iterable"),
                AttributeError("'NoneType' object has no attribute 'get'"),
                AttributeError("'NoneType' object has no attribute 'setdefault'"),
            )
        ),
    )


def of_rules_with_state(function, rule, settings, keys):
    listed = " and ".join(f'config["{key}"]' for key in keys)
    return (
        *of_every_rule(function, rule, settings),
        *(
            Mistake(
                function,
                "state",
                f"{listed} must be there already; at the first step it is not: begin with zeros like w",
                ("What does config hold at the very first step?", f'config.get("{key}", np.zeros_like(w)), and the same for others'),
                with_entries_alone(rule, key),
            )
            for key in keys
        ),
        Mistake(
            function,
            "state",
            f"{listed} is not kept: what this step computed is gone at the next one",
            ("What does the next step find in config?", f'Write it back before you return: config["{keys[0]}"] = ...'),
            forgetting(rule, *keys),
        ),
        Mistake(
            function,
            "state",
            "the config that is given back holds the state alone: the settings that were passed are gone at the next step",
            ("What does the next step find in config?", "Write the state into the config that was passed, and give that back."),
            giving_back(rule, *keys, *(["t"] if function == "adam" else [])),
        ),
        Mistake(
            function,
            "state",
            "the config that is given back is an empty one: the settings and the state are gone at the next step",
            ("What does the next step find in config?", "Write the state into the config that was passed, and give that back."),
            giving_back(rule),
        ),
    )


def catalogue(function, *entries):
    return tuple(Mistake(function, *entry) for entry in entries)


SGD = (
    *of_every_rule("sgd", sgd, {"learning_rate": 1e-2}),
    *catalogue(
        "sgd",
        (
            "state",
            "the config that is given back is an empty one: the learning rate that was passed is gone at the next step",
            ("Which learning rate does the next step find in config?", "Give back the config that was passed."),
            giving_back(sgd),
        ),
        (
            "sign",
            "w moves along the gradient, uphill; the loss falls against it: w - learning_rate * dw",
            ("In which direction does the loss grow?", "Subtract the step."),
            lambda w, dw, config=None: moved(w, dw, config, step=lambda w, dw, lr: w + lr * dw),
        ),
        (
            "missing-term",
            "the learning rate is left out; the step is learning_rate * dw",
            ("How far does w move for a gradient of 1?", "w - learning_rate * dw"),
            lambda w, dw, config=None: moved(w, dw, config, step=lambda w, dw, lr: w - dw),
        ),
        (
            "scale",
            "the learning rate is applied twice; the step is learning_rate * dw",
            ("How far does w move for a gradient of 1 and a learning rate of 0.1?", "Multiply by it once."),
            lambda w, dw, config=None: moved(w, dw, config, step=lambda w, dw, lr: w - lr**2 * dw),
        ),
        (
            "scale",
            "dw is divided by the learning rate; it has to be multiplied by it",
            ("What becomes of the step when the learning rate gets smaller?", "w - learning_rate * dw"),
            lambda w, dw, config=None: moved(w, dw, config, step=lambda w, dw, lr: w - dw / lr),
        ),
        (
            "missing-term",
            "next_w is the step alone; it has to be added to w",
            ("Where does a parameter end that had a gradient of 0?", "w - learning_rate * dw, not -learning_rate * dw"),
            lambda w, dw, config=None: moved(w, dw, config, step=lambda w, dw, lr: -lr * dw),
        ),
        (
            "shape",
            "w and dw are in each other's place: the step is subtracted from w, and it is learning_rate times dw",
            ("Which of the two is the parameter?", "w - learning_rate * dw"),
            lambda w, dw, config=None: moved(w, dw, config, step=lambda w, dw, lr: dw - lr * w),
        ),
        (
            "scale",
            "the gradient is divided by the number of rows of w; the loss was a mean over the batch already, and w has no batch",
            ("What is the first axis of w?", "Use dw as it is."),
            lambda w, dw, config=None: moved(w, dw, config, step=lambda w, dw, lr: w - lr * dw / len(w)),
        ),
        (
            "wrong-statistic",
            "the step has the gradient's sign alone, not its size; it is learning_rate * dw",
            ("Should a parameter with a small gradient move as far as one with a large one?", "Leave out np.sign."),
            lambda w, dw, config=None: moved(w, dw, config, step=lambda w, dw, lr: w - lr * np.sign(dw)),
        ),
        (
            "wrong-statistic",
            "the gradient is divided by its norm; plain gradient descent takes it as it is",
            ("What happens to the size of the steps near a minimum, where the gradient gets small?", "w - learning_rate * dw"),
            lambda w, dw, config=None: moved(w, dw, config, step=lambda w, dw, lr: w - lr * dw / np.linalg.norm(dw)),
        ),
        (
            "scale",
            "without a learning rate in config the step is not 1e-2 times the gradient, which is the default, but 1e-3 times",
            ("Which default does the docstring give?", 'config.get("learning_rate", 1e-2)'),
            lambda w, dw, config=None: moved(w, dw, config, rate=1e-3, step=lambda w, dw, lr: w - lr * dw),
        ),
    ),
)

MOMENTUM = (
    *of_rules_with_state("sgd_momentum", sgd_momentum, {"learning_rate": 1e-2, "momentum": 0.9}, ["velocity"]),
    *catalogue(
        "sgd_momentum",
        (
            "scale",
            "the velocity is made of bare gradients, as in PyTorch; here the learning rate enters it: "
            "velocity = momentum * velocity - learning_rate * dw",
            ("What is in config['velocity'] after a first step with learning rate 0.1 and gradient 1?", "next_w = w + velocity"),
            lambda w, dw, config=None: momentum(
                w, dw, config, velocity=lambda v, dw, mu, lr: mu * v + dw, step=lambda v, old, dw, mu, lr: -lr * v
            ),
        ),
        (
            "sign",
            "the gradient enters the velocity with a plus, so that w moves uphill; velocity = momentum * velocity - learning_rate * dw",
            ("In which direction does the loss fall?", "The gradient is subtracted."),
            lambda w, dw, config=None: momentum(w, dw, config, velocity=lambda v, dw, mu, lr: mu * v + lr * dw),
        ),
        (
            "sign",
            "the velocity is subtracted from w, though the gradient entered it with a minus already; next_w = w + velocity",
            ("How often is the gradient's sign turned on the way to next_w?", "w + velocity"),
            lambda w, dw, config=None: momentum(w, dw, config, step=lambda v, old, dw, mu, lr: -v),
        ),
        (
            "sign",
            "the velocity has the wrong sign in config; it is the step itself, so that next_w = w + velocity",
            ("By what does w change, and what is in config['velocity']?", "velocity = momentum * velocity - learning_rate * dw"),
            lambda w, dw, config=None: momentum(
                w, dw, config, velocity=lambda v, dw, mu, lr: mu * v + lr * dw, step=lambda v, old, dw, mu, lr: -v
            ),
        ),
        (
            "missing-term",
            "the past velocity is left out: this is plain gradient descent; velocity = momentum * velocity - learning_rate * dw",
            ("Where does the velocity of the step before come in?", 'Read config["velocity"].'),
            lambda w, dw, config=None: momentum(w, dw, config, velocity=lambda v, dw, mu, lr: -lr * dw),
        ),
        (
            "missing-term",
            "the past velocity is not multiplied by momentum, so it never fades",
            ("What is the velocity after many steps without a gradient?", "momentum * velocity - learning_rate * dw"),
            lambda w, dw, config=None: momentum(w, dw, config, velocity=lambda v, dw, mu, lr: v - lr * dw),
        ),
        (
            "off-by-one",
            "w moves by the velocity of the step before; the new one has to be computed first",
            ("Does the gradient of this step move w in this step?", "Update the velocity, then add it to w."),
            lambda w, dw, config=None: momentum(w, dw, config, step=lambda v, old, dw, mu, lr: old),
        ),
        (
            "missing-term",
            "this is Nesterov's momentum, which looks a step ahead; here next_w = w + velocity",
            ("How often does momentum multiply on the way to next_w?", "Add the new velocity to w, and nothing else."),
            lambda w, dw, config=None: momentum(w, dw, config, step=lambda v, old, dw, mu, lr: mu * v - lr * dw),
        ),
        (
            "missing-term",
            "the gradient is added to w a second time, beside the velocity that holds it already",
            ("How far does w move in the first step?", "next_w = w + velocity"),
            lambda w, dw, config=None: momentum(w, dw, config, step=lambda v, old, dw, mu, lr: v - lr * dw),
        ),
        (
            "scale",
            "the gradient is multiplied by 1 - momentum, as in a mean; it enters the velocity with the learning rate alone",
            ("How far does w move in the first step?", "velocity = momentum * velocity - learning_rate * dw"),
            lambda w, dw, config=None: momentum(w, dw, config, velocity=lambda v, dw, mu, lr: mu * v - (1 - mu) * lr * dw),
        ),
        (
            "scale",
            "momentum multiplies the gradient, too; it is the share of the past velocity alone",
            ("What remains of the step for momentum 0? Plain gradient descent.", "momentum * velocity - learning_rate * dw"),
            lambda w, dw, config=None: momentum(w, dw, config, velocity=lambda v, dw, mu, lr: mu * (v - lr * dw)),
        ),
        (
            "wrong-statistic",
            "momentum and 1 - momentum are swapped; momentum is the share of the past that is kept",
            ("What should momentum 0 give? Plain gradient descent.", "momentum * velocity - learning_rate * dw"),
            lambda w, dw, config=None: momentum(w, dw, config, velocity=lambda v, dw, mu, lr: (1 - mu) * v - lr * dw),
        ),
        (
            "missing-term",
            "the learning rate is left out; velocity = momentum * velocity - learning_rate * dw",
            ("How far does w move in the first step?", "The gradient is multiplied by the learning rate."),
            lambda w, dw, config=None: momentum(w, dw, config, velocity=lambda v, dw, mu, lr: mu * v - dw),
        ),
        (
            "scale",
            "the learning rate is applied twice, to the gradient and to the velocity; next_w = w + velocity",
            ("How far does w move in the first step?", "The velocity has the learning rate in it already."),
            lambda w, dw, config=None: momentum(w, dw, config, step=lambda v, old, dw, mu, lr: lr * v),
        ),
        (
            "state",
            'config["velocity"] keeps next_w; it has to keep the velocity',
            ("What will the next step multiply by momentum?", 'config["velocity"] = velocity'),
            lambda w, dw, config=None: momentum(w, dw, config, keep=lambda v, next_w: next_w),
        ),
        (
            "scale",
            "without a learning rate in config it is not 1e-2, which is the default, but 1e-3",
            ("Which default does the docstring give?", 'config.get("learning_rate", 1e-2)'),
            lambda w, dw, config=None: momentum(w, dw, config, rate=1e-3),
        ),
        (
            "scale",
            "without a momentum in config it is not 0.9, which is the default, but 0",
            ("Which default does the docstring give?", 'config.get("momentum", 0.9)'),
            lambda w, dw, config=None: momentum(w, dw, config, share=0),
        ),
    ),
)

RMSPROP = (
    *of_rules_with_state("rmsprop", rmsprop, {"learning_rate": 1e-2, "decay_rate": 0.99, "epsilon": 1e-8}, ["cache"]),
    *catalogue(
        "rmsprop",
        (
            "numerics",
            "epsilon is added to the mean of squares, inside the root; it belongs outside: sqrt(cache) + epsilon",
            ("Where does the docstring put epsilon?", "np.sqrt(cache) + epsilon"),
            lambda w, dw, config=None: root_mean_square(w, dw, config, root=lambda new, old, epsilon: np.sqrt(new + epsilon)),
        ),
        (
            "missing-term",
            "epsilon is left out; a parameter whose gradient has always been 0 becomes 0 / 0",
            ("What is the root where the gradient was always 0?", "Divide by np.sqrt(cache) + epsilon."),
            lambda w, dw, config=None: root_mean_square(w, dw, config, root=lambda new, old, epsilon: np.sqrt(new)),
        ),
        (
            "wrong-statistic",
            "decay_rate weighs the new square in the mean; here it weighs the past: decay_rate * cache + (1 - decay_rate) * dw**2",
            ("With decay_rate 0.99, how much of the mean should be left after one step?", "Swap the two weights."),
            lambda w, dw, config=None: root_mean_square(w, dw, config, mean=lambda c, dw, rho: (1 - rho) * c + rho * dw**2),
        ),
        (
            "missing-term",
            "the gradient is not squared in the mean; cache is the mean of dw**2",
            ("What is the root of a mean of gradients, where they are negative?", "decay_rate * cache + (1 - decay_rate) * dw**2"),
            lambda w, dw, config=None: root_mean_square(w, dw, config, mean=lambda c, dw, rho: rho * c + (1 - rho) * dw),
        ),
        (
            "wrong-statistic",
            "the mean is one of absolute values; cache is the mean of dw**2",
            ("What does the first S of RMS stand for?", "decay_rate * cache + (1 - decay_rate) * dw**2"),
            lambda w, dw, config=None: root_mean_square(w, dw, config, mean=lambda c, dw, rho: rho * c + (1 - rho) * np.abs(dw)),
        ),
        (
            "missing-term",
            "the root is left out: dw is divided by the mean of squares; the step is dw over its root mean square",
            ("What is the step if all gradients are ten times larger? The same.", "np.sqrt(cache) + epsilon"),
            lambda w, dw, config=None: root_mean_square(w, dw, config, root=lambda new, old, epsilon: new + epsilon),
        ),
        (
            "off-by-one",
            "dw is divided by the root of the cache before this step, which is 0 at the first one; update the cache first",
            ("Which is computed first, the step or the new cache?", "The new cache is what the step is divided by."),
            lambda w, dw, config=None: root_mean_square(w, dw, config, root=lambda new, old, epsilon: np.sqrt(old) + epsilon),
        ),
        (
            "wrong-statistic",
            "the squares are summed up, as in AdaGrad; RMSProp forgets the past: decay_rate * cache + (1 - decay_rate) * dw**2",
            ("What becomes of the steps after very many of them?", "Take the running mean with decay_rate."),
            lambda w, dw, config=None: root_mean_square(w, dw, config, mean=lambda c, dw, rho: c + dw**2),
        ),
        (
            "missing-term",
            "the new square lacks its weight: decay_rate * cache + (1 - decay_rate) * dw**2",
            ("What is the cache after many steps with gradient 1? The mean of ones.", "The two weights add up to 1."),
            lambda w, dw, config=None: root_mean_square(w, dw, config, mean=lambda c, dw, rho: rho * c + dw**2),
        ),
        (
            "missing-term",
            "the past lacks its weight: decay_rate * cache + (1 - decay_rate) * dw**2",
            ("What is the cache after many steps with gradient 1? The mean of ones.", "The two weights add up to 1."),
            lambda w, dw, config=None: root_mean_square(w, dw, config, mean=lambda c, dw, rho: c + (1 - rho) * dw**2),
        ),
        (
            "axis",
            "the squares are averaged over all parameters; each parameter has a mean of its own, over the steps",
            ("What shape has the cache?", "dw**2 elementwise, no sum and no mean over it"),
            lambda w, dw, config=None: root_mean_square(
                w, dw, config, mean=lambda c, dw, rho: rho * c + (1 - rho) * np.full_like(dw, np.mean(dw**2))
            ),
        ),
        (
            "missing-term",
            "dw is not divided by the root mean square: this is plain gradient descent, the cache is kept for nothing",
            ("What is the cache used for?", "w - learning_rate * dw / (np.sqrt(cache) + epsilon)"),
            lambda w, dw, config=None: root_mean_square(w, dw, config, step=lambda dw, below, lr: lr * dw),
        ),
        (
            "missing-term",
            "the learning rate is left out; the step is learning_rate * dw / (sqrt(cache) + epsilon)",
            ("What does the learning rate do in your function?", "Multiply the step by it."),
            lambda w, dw, config=None: root_mean_square(w, dw, config, step=lambda dw, below, lr: dw / below),
        ),
        (
            "sign",
            "w moves along the gradient, uphill; subtract learning_rate * dw / (sqrt(cache) + epsilon)",
            ("In which direction does the loss grow?", "Subtract the step."),
            lambda w, dw, config=None: root_mean_square(w, dw, config, step=lambda dw, below, lr: -lr * dw / below),
        ),
        (
            "scale",
            "dw is multiplied by the root mean square; it has to be divided by it",
            ("Which parameters should move further, those with small gradients or those with large ones?", "Divide."),
            lambda w, dw, config=None: root_mean_square(w, dw, config, step=lambda dw, below, lr: lr * dw * below),
        ),
        (
            "state",
            'config["cache"] keeps the root; it has to keep the mean of squares itself',
            ("What will the next step average with its squares?", "Take the root for the step alone."),
            lambda w, dw, config=None: root_mean_square(w, dw, config, keep=np.sqrt),
        ),
        (
            "scale",
            "without a decay_rate in config it is not 0.99, which is the default, but 0.9",
            ("Which default does the docstring give?", 'config.get("decay_rate", 0.99)'),
            lambda w, dw, config=None: root_mean_square(w, dw, config, decay=0.9),
        ),
        (
            "scale",
            "without a learning rate in config it is not 1e-2, which is the default, but 1e-3",
            ("Which default does the docstring give?", 'config.get("learning_rate", 1e-2)'),
            lambda w, dw, config=None: root_mean_square(w, dw, config, rate=1e-3),
        ),
    ),
)


ADAM = (
    *of_rules_with_state("adam", adam, {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}, ["m", "v"]),
    *catalogue(
        "adam",
        (
            "off-by-one",
            "t is counted up after it is used, so that the first step divides by 1 - beta**0 = 0; count first",
            ("What is t in the first step?", 'config["t"] += 1 comes before the correction'),
            lambda w, dw, config=None: moments(w, dw, config, count=lambda t: (t, t + 1)),
        ),
        (
            "off-by-one",
            "t is counted up twice a step, before it is used and after",
            ("What is config['t'] after three steps?", "Count in one place alone."),
            lambda w, dw, config=None: moments(w, dw, config, count=lambda t: (t + 1, t + 2)),
        ),
        (
            "off-by-one",
            "t is one too large where it is used: the first step is t = 1",
            ("What is t in the first step?", "t = t + 1 once, then 1 - beta1**t"),
            lambda w, dw, config=None: moments(w, dw, config, count=lambda t: (t + 2, t + 1)),
        ),
        (
            "state",
            'config["t"] is not written back: the next step counts from the same number again, and corrects m and v as this one did',
            ("What is config['t'] after three steps?", 'config["t"] = t'),
            lambda w, dw, config=None: moments(w, dw, config, count=lambda t: (t + 1, t)),
        ),
        (
            "off-by-one",
            "t is neither counted up nor written back; the first step is t = 1",
            ("What is t in the first step, and in the second?", 'config["t"] += 1 before it is used'),
            lambda w, dw, config=None: moments(w, dw, config, count=lambda t: (t, t)),
        ),
        (
            "missing-term",
            "the means are not corrected for their start at zero: m_hat = m / (1 - beta1**t), v_hat = v / (1 - beta2**t)",
            ("What is m after one step with gradient 1, and what should a mean of one number be?", "Correct both, for the step alone."),
            lambda w, dw, config=None: moments(w, dw, config, m_hat=lambda m, b1, b2, t: m, v_hat=lambda v, b1, b2, t: v),
        ),
        (
            "missing-term",
            "v is not corrected for its start at zero: v_hat = v / (1 - beta2**t)",
            ("How large is the first step, with learning rate 0.1?", "Correct m and v, each with its own beta."),
            lambda w, dw, config=None: moments(w, dw, config, v_hat=lambda v, b1, b2, t: v),
        ),
        (
            "missing-term",
            "m is not corrected for its start at zero: m_hat = m / (1 - beta1**t)",
            ("How large is the first step, with learning rate 0.1?", "Correct m and v, each with its own beta."),
            lambda w, dw, config=None: moments(w, dw, config, m_hat=lambda m, b1, b2, t: m),
        ),
        (
            "missing-term",
            "the correction divides by 1 - beta; it is 1 - beta**t, which is near 1 after many steps",
            ("How much correction is due after a million steps?", "m / (1 - beta1**t)"),
            lambda w, dw, config=None: moments(
                w, dw, config, m_hat=lambda m, b1, b2, t: m / (1 - b1), v_hat=lambda v, b1, b2, t: v / (1 - b2)
            ),
        ),
        (
            "numerics",
            "the correction has beta * t; it is a power: 1 - beta**t",
            ("What share of m is left of its start at zero after t steps?", "In Python the power is **."),
            lambda w, dw, config=None: moments(
                w, dw, config, m_hat=lambda m, b1, b2, t: m / (1 - b1 * t), v_hat=lambda v, b1, b2, t: v / (1 - b2 * t)
            ),
        ),
        (
            "scale",
            "the means are multiplied by 1 - beta**t; they have to be divided by it: they are too small at the start",
            ("Is m too small or too large after one step?", "m / (1 - beta1**t)"),
            lambda w, dw, config=None: moments(
                w, dw, config, m_hat=lambda m, b1, b2, t: m * (1 - b1**t), v_hat=lambda v, b1, b2, t: v * (1 - b2**t)
            ),
        ),
        (
            "wrong-statistic",
            "v is corrected with beta1; its own is beta2",
            ("Which beta did v decay with?", "v / (1 - beta2**t)"),
            lambda w, dw, config=None: moments(w, dw, config, v_hat=lambda v, b1, b2, t: v / (1 - b1**t)),
        ),
        (
            "wrong-statistic",
            "m is corrected with beta2; its own is beta1",
            ("Which beta did m decay with?", "m / (1 - beta1**t)"),
            lambda w, dw, config=None: moments(w, dw, config, m_hat=lambda m, b1, b2, t: m / (1 - b2**t)),
        ),
        (
            "wrong-statistic",
            "m is a mean with beta2; beta2 belongs to the squares, in v: beta1 * m + (1 - beta1) * dw",
            ("Which of the two means has the longer memory?", "m has beta1 (0.9), v has beta2 (0.999)."),
            lambda w, dw, config=None: moments(w, dw, config, m=lambda m, dw, b1, b2: b2 * m + (1 - b2) * dw),
        ),
        (
            "wrong-statistic",
            "m is a mean with beta2, and is corrected with it; beta2 belongs to the squares: m has beta1 in both places",
            ("Which of the two means has the longer memory?", "m has beta1 (0.9), v has beta2 (0.999)."),
            lambda w, dw, config=None: moments(
                w, dw, config, m=lambda m, dw, b1, b2: b2 * m + (1 - b2) * dw, m_hat=lambda m, b1, b2, t: m / (1 - b2**t)
            ),
        ),
        (
            "wrong-statistic",
            "v is a mean with beta1; beta1 belongs to the gradients, in m: beta2 * v + (1 - beta2) * dw**2",
            ("Which of the two means has the longer memory?", "m has beta1 (0.9), v has beta2 (0.999)."),
            lambda w, dw, config=None: moments(w, dw, config, v=lambda v, dw, b1, b2, m: b1 * v + (1 - b1) * dw**2),
        ),
        (
            "wrong-statistic",
            "v is a mean with beta1, and is corrected with it; beta1 belongs to the gradients: v has beta2 in both places",
            ("Which of the two means has the longer memory?", "m has beta1 (0.9), v has beta2 (0.999)."),
            lambda w, dw, config=None: moments(
                w, dw, config, v=lambda v, dw, b1, b2, m: b1 * v + (1 - b1) * dw**2, v_hat=lambda v, b1, b2, t: v / (1 - b1**t)
            ),
        ),
        (
            "wrong-statistic",
            "beta1 and beta2 are swapped: beta1 is for the gradients, beta2 for their squares",
            ("Which of the two means has the longer memory?", "m has beta1 (0.9), v has beta2 (0.999)."),
            lambda w, dw, config=None: moments(
                w,
                dw,
                config,
                m=lambda m, dw, b1, b2: b2 * m + (1 - b2) * dw,
                v=lambda v, dw, b1, b2, m: b1 * v + (1 - b1) * dw**2,
                m_hat=lambda m, b1, b2, t: m / (1 - b2**t),
                v_hat=lambda v, b1, b2, t: v / (1 - b1**t),
            ),
        ),
        (
            "wrong-statistic",
            "beta weighs the new value in both means; it weighs the past: beta1 * m + (1 - beta1) * dw",
            ("With beta1 0.9, how much of m should be left after one step?", "Swap the weights."),
            lambda w, dw, config=None: moments(
                w, dw, config, m=lambda m, dw, b1, b2: (1 - b1) * m + b1 * dw, v=lambda v, dw, b1, b2, m: (1 - b2) * v + b2 * dw**2
            ),
        ),
        (
            "missing-term",
            "the gradient lacks its weight in m: beta1 * m + (1 - beta1) * dw",
            ("What is m after many steps with gradient 1? The mean of ones.", "The two weights add up to 1."),
            lambda w, dw, config=None: moments(w, dw, config, m=lambda m, dw, b1, b2: b1 * m + dw),
        ),
        (
            "missing-term",
            "the square lacks its weight in v: beta2 * v + (1 - beta2) * dw**2",
            ("What is v after many steps with gradient 1? The mean of ones.", "The two weights add up to 1."),
            lambda w, dw, config=None: moments(w, dw, config, v=lambda v, dw, b1, b2, m: b2 * v + dw**2),
        ),
        (
            "missing-term",
            "the gradient is not squared in v: beta2 * v + (1 - beta2) * dw**2",
            ("What is the root of v, where the gradients are negative?", "v is the mean of squares."),
            lambda w, dw, config=None: moments(w, dw, config, v=lambda v, dw, b1, b2, m: b2 * v + (1 - b2) * dw),
        ),
        (
            "wrong-statistic",
            "v is a mean of squares of m; it has to be one of squares of dw",
            ("Which quantity is squared in algorithm 1?", "beta2 * v + (1 - beta2) * dw**2"),
            lambda w, dw, config=None: moments(w, dw, config, v=lambda v, dw, b1, b2, m: b2 * v + (1 - b2) * m**2),
        ),
        (
            "state",
            "config keeps the corrected means; the correction is for this step alone, the next one goes on from m and v",
            ("What will the next step multiply by beta1?", "Keep m and v; use m_hat and v_hat in the step."),
            lambda w, dw, config=None: moments(w, dw, config, keep=lambda m, v, m_hat, v_hat: (m_hat, v_hat)),
        ),
        (
            "state",
            'config["m"] keeps m_hat; the correction is for this step alone, the next one goes on from m itself',
            ("What will the next step multiply by beta1?", 'config["m"] = m; use m_hat in the step.'),
            lambda w, dw, config=None: moments(w, dw, config, keep=lambda m, v, m_hat, v_hat: (m_hat, v)),
        ),
        (
            "state",
            'config["v"] keeps v_hat; the correction is for this step alone, the next one goes on from v itself',
            ("What will the next step multiply by beta2?", 'config["v"] = v; use v_hat in the step.'),
            lambda w, dw, config=None: moments(w, dw, config, keep=lambda m, v, m_hat, v_hat: (m, v_hat)),
        ),
        (
            "missing-term",
            "the root is left out: m_hat is divided by sqrt(v_hat) + epsilon",
            ("What is the step if all gradients are ten times larger? The same.", "np.sqrt(v_hat) + epsilon"),
            lambda w, dw, config=None: moments(w, dw, config, root=lambda v, epsilon: v + epsilon),
        ),
        (
            "numerics",
            "epsilon is added to v_hat, inside the root; it belongs outside: sqrt(v_hat) + epsilon",
            ("Where does algorithm 1 put epsilon?", "np.sqrt(v_hat) + epsilon"),
            lambda w, dw, config=None: moments(w, dw, config, root=lambda v, epsilon: np.sqrt(v + epsilon)),
        ),
        (
            "missing-term",
            "epsilon is left out; a parameter whose gradient has always been 0 becomes 0 / 0",
            ("What is v_hat where the gradient was always 0?", "Divide by np.sqrt(v_hat) + epsilon."),
            lambda w, dw, config=None: moments(w, dw, config, root=lambda v, epsilon: np.sqrt(v)),
        ),
        (
            "sign",
            "w moves along the gradient, uphill; subtract learning_rate * m_hat / (sqrt(v_hat) + epsilon)",
            ("In which direction does the loss grow?", "Subtract the step."),
            lambda w, dw, config=None: moments(w, dw, config, step=lambda m, below, lr, dw, old: -lr * m / below),
        ),
        (
            "missing-term",
            "the learning rate is left out; the step is learning_rate * m_hat / (sqrt(v_hat) + epsilon)",
            ("How large is the first step? As large as the learning rate.", "Multiply the step by it."),
            lambda w, dw, config=None: moments(w, dw, config, step=lambda m, below, lr, dw, old: m / below),
        ),
        (
            "missing-term",
            "the gradient itself is divided by the root of v_hat; it has to be its mean, m_hat",
            ("What is m used for?", "learning_rate * m_hat / (np.sqrt(v_hat) + epsilon)"),
            lambda w, dw, config=None: moments(w, dw, config, step=lambda m, below, lr, dw, old: lr * dw / below),
        ),
        (
            "off-by-one",
            "w moves by m of the step before; m has to be updated first",
            ("Does the gradient of this step move w in this step?", "Compute the new m, then m_hat from it."),
            lambda w, dw, config=None: moments(w, dw, config, step=lambda m, below, lr, dw, old: lr * old / below),
        ),
        (
            "missing-term",
            "the step is not divided by the root of v_hat: this is momentum alone, v is kept for nothing",
            ("What is v used for?", "learning_rate * m_hat / (np.sqrt(v_hat) + epsilon)"),
            lambda w, dw, config=None: moments(w, dw, config, step=lambda m, below, lr, dw, old: lr * m),
        ),
        (
            "scale",
            "without a learning rate in config it is not 1e-3, which is the default, but 1e-2",
            ("Which default does the docstring give?", 'config.get("learning_rate", 1e-3)'),
            lambda w, dw, config=None: moments(w, dw, config, settings={"learning_rate": 1e-2}),
        ),
        (
            "scale",
            "without a beta2 in config it is not 0.999, which is the default, but 0.99",
            ("Which default does the docstring give?", 'config.get("beta2", 0.999)'),
            lambda w, dw, config=None: moments(w, dw, config, settings={"beta2": 0.99}),
        ),
        (
            "state",
            'config["m"] is kept, but config["v"] is not: the next step begins again with v = 0',
            ("Which three entries does the next step need?", 'config["v"] = v'),
            forgetting(adam, "v"),
        ),
        (
            "state",
            'config["v"] is kept, but config["m"] is not: the next step begins again with m = 0',
            ("Which three entries does the next step need?", 'config["m"] = m'),
            forgetting(adam, "m"),
        ),
        (
            "state",
            'config["t"] must be there already; at the first step it is not: begin with 0',
            ("What does config hold at the very first step?", 'config.get("t", 0) + 1'),
            with_entries_alone(adam, "t"),
        ),
        (
            "state",
            'the config that is given back has no "t": the next step begins to count anew',
            ("Which three entries does the next step need?", "Give back m, v and t, with the settings that were passed."),
            losing(adam, "t"),
        ),
        (
            "state",
            "the config that is given back has m and v alone: the settings that were passed and t are gone at the next step",
            ("What does the next step find in config?", "Write the state into the config that was passed, and give that back."),
            giving_back(adam, "m", "v"),
        ),
    ),
)

MISTAKES = (*SGD, *MOMENTUM, *RMSPROP, *ADAM)
