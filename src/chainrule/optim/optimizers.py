"""Optimizers with the arguments, the arithmetic and the state names of torch.optim; the update rules are in `chainrule.kernels.updates`."""

from typing import Any

import numpy as np

from chainrule import kernels
from chainrule.optim.flat import FlatGroup

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop"]


class Optimizer:
    """Parameter groups, each in one flat buffer, and their state.

    A subclass names its state in `state_names` (a function of the group) and defines `update(group, data, grad, state, steps)`, which
    changes flat arrays in place; `steps` counts the updates before this one. (One that looks at the parameters one by one overrides
    `update_group`.) `stores_steps` says whether torch stores that number, and `stores_unused` whether it stores the state of a parameter
    that was never updated.

    Parameters
    ----------
    params : parameters, or dictionaries {"params": parameters, "lr": ..., ...} whose entries override the defaults
    defaults : the settings of a group that does not set them
    """

    stores_steps = True
    stores_unused = False

    def __init__(self, params, defaults):
        params = list(params)
        if not params:
            raise ValueError(f"{type(self).__name__}: the list of parameters is empty")
        groups: list[dict[str, Any]] = params if isinstance(params[0], dict) else [{"params": params}]
        self.defaults = defaults
        self.param_groups = []
        for group in groups:
            unknown = group.keys() - defaults.keys() - {"params"}
            if unknown:
                raise ValueError(
                    f"{type(self).__name__}: unknown setting {sorted(unknown)[0]!r} in a group; there are {', '.join(defaults)}"
                )
            group = {**defaults, **group, "params": list(group.get("params", ()))}
            if not group["params"]:
                raise ValueError(f"{type(self).__name__}: group {len(self.param_groups)} has no parameters; leave it out")
            self.check(group)
            self.param_groups.append(group)
        everything = [id(parameter) for group in self.param_groups for parameter in group["params"]]
        if len(set(everything)) < len(everything):
            raise ValueError(f"{type(self).__name__}: a parameter appears twice; each may be in one group only")
        self._flats = [FlatGroup(group["params"]) for group in self.param_groups]
        self._steps = [[0] * len(group["params"]) for group in self.param_groups]
        self._states = [{} for _ in self.param_groups]  # name -> (flat array, its views)

    def check(self, group):
        """Refuse settings out of range; the message names them."""
        for name, value in group.items():
            if name in ("lr", "weight_decay", "eps", "lr_decay", "alpha", "momentum", "initial_accumulator_value") and not value >= 0:
                raise ValueError(f"{type(self).__name__}: {name} is {value}; it must be at least 0")

    def state_names(self, group) -> tuple[str, ...]:
        raise NotImplementedError

    def initial_value(self, group, name) -> float:
        return 0.0

    def update(self, group, data, grad, state, steps):
        raise NotImplementedError

    def zero_grad(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def step(self):
        """Update every parameter that has a gradient."""
        for group, flat, steps, state in zip(self.param_groups, self._flats, self._steps, self._states, strict=True):
            flat.gather()
            self._make_state(group, flat, state)
            self.update_group(group, flat, state, steps)

    def update_group(self, group, flat, state, steps):
        """Update the parameters of one group that have a gradient; `state` is name -> (flat array, its views), `steps` one a parameter."""
        for span, count in flat.spans(steps):
            self.update(group, flat.data[span], flat.grad[span], {name: array[span] for name, (array, _) in state.items()}, count)

    def state_dict(self):
        """{"state": {index: {name: array}}, "param_groups": [...]} as torch.optim's, parameters numbered in order; arrays are copies."""
        state, groups, index = {}, [], 0
        for group, flat, steps, arrays in zip(self.param_groups, self._flats, self._steps, self._states, strict=True):
            groups.append({**group, "params": list(range(index, index + len(steps)))})
            self._make_state(group, flat, arrays)
            for position, count in enumerate(steps):
                entry = {"step": np.array(count, np.float32)} if self.stores_steps else {}
                entry |= {name: views[position].copy() for name, (_, views) in arrays.items()}
                if entry and (count or self.stores_unused):
                    state[index + position] = entry
            index += len(steps)
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict):
        """Take over state and settings from `state_dict()` of the same kind of optimizer, ours or torch's.

        Settings that only torch has (foreach, fused, ...) are ignored; if something does not fit, nothing is changed.

        Raises
        ------
        ValueError
            The groups differ in size, state is missing or of another kind of optimizer, a shape differs, or a setting is out of range.
        """
        stored_groups = state_dict["param_groups"]
        sizes, own = [len(group["params"]) for group in stored_groups], [len(group["params"]) for group in self.param_groups]
        if sizes != own:
            raise ValueError(f"{type(self).__name__}: the state has groups of {sizes} parameters, this optimizer of {own}")
        taken = self.defaults.keys() | {"initial_lr"}
        settings = [{key: value for key, value in stored.items() if key in taken} for stored in stored_groups]
        entries = iter([state_dict["state"].get(index, {}) for index in range(sum(own))])
        entries = [[next(entries) for _ in range(size)] for size in own]
        for number, (group, changes) in enumerate(zip(self.param_groups, settings, strict=True)):
            self.check(group | changes)
            for position, entry in enumerate(entries[number]):
                self._check_entry(group | changes, entry, group["params"][position], sum(own[:number]) + position)

        for number, group in enumerate(self.param_groups):
            group.update(settings[number])
            self._states[number] = arrays = {}
            self._make_state(group, self._flats[number], arrays)
            for position, entry in enumerate(entries[number]):
                self._steps[number][position] = int(entry.get("step", 1 if entry else 0))
                for name in arrays.keys() & entry.keys():
                    arrays[name][1][position][...] = entry[name]

    def _check_entry(self, group, entry, parameter, index):
        if not entry:
            return
        expected = {*self.state_names(group), *(("step",) if self.stores_steps else ())}
        if entry.keys() != expected:
            given, wanted = ", ".join(sorted(entry)), ", ".join(sorted(expected))
            raise ValueError(
                f"{type(self).__name__}: the state of parameter {index} has {given or 'nothing'}; expected {wanted or 'nothing'}"
            )
        for name in self.state_names(group):
            if np.shape(entry[name]) != parameter.shape:
                shapes = f"has shape {np.shape(entry[name])}; the parameter has {parameter.shape}"
                raise ValueError(f"{type(self).__name__}: {name} of parameter {index} {shapes}")

    def _make_state(self, group, flat, state):
        for name in self.state_names(group):
            if name not in state:
                state[name] = flat.zeros()
                if value := self.initial_value(group, name):
                    for view in state[name][1]:
                        view[...] = value

    def __repr__(self):
        lines = [f"{type(self).__name__} ("]
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            lines += [f"    {key}: {value}" for key, value in sorted(group.items()) if key != "params"]
        return "\n".join([*lines, ")"])


class SGD(Optimizer):
    """Stochastic gradient descent with momentum (Sutskever et al. 2013; torch.optim.SGD's form, in which lr multiplies the velocity).

    Parameters
    ----------
    params : parameters or groups of them
    lr : learning rate (default 1e-3)
    momentum : share of the velocity that is kept, 0 (default) for none
    dampening : 1 - weight of the new gradient in the velocity (default 0)
    weight_decay : added to the gradient times the parameter (default 0)
    nesterov : look ahead along the velocity (needs momentum and no dampening)
    maximize : go up instead of down
    """

    stores_steps = False

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, *, maximize=False):
        defaults = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, {**defaults, "maximize": maximize})

    def check(self, group):
        super().check(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("SGD: nesterov needs momentum > 0 and dampening 0")

    def state_names(self, group):
        return ("momentum_buffer",) if group["momentum"] else ()

    def update(self, group, data, grad, state, steps):
        momentum, dampening = group["momentum"], group["dampening"] if steps else 0.0  # the first velocity is the gradient itself
        velocity = state.get("momentum_buffer", grad)
        settings = (group["lr"], momentum, dampening, group["weight_decay"], group["nesterov"], group["maximize"])
        kernels.sgd(data, grad, velocity, *settings)


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1); weight decay is added to the gradient.

    Parameters
    ----------
    params : parameters or groups of them
    lr : learning rate (default 1e-3)
    betas : decay of the averages of the gradient and of its square (default 0.9 and 0.999)
    eps : added to the root of the averaged square, after bias correction (default 1e-8)
    weight_decay : added to the gradient times the parameter (default 0)
    amsgrad : divide by the root of the greatest average so far (Reddi et al. 2018)
    maximize : go up instead of down
    """

    decoupled = False

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False, *, maximize=False):
        defaults = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
        super().__init__(params, {**defaults, "maximize": maximize})

    def check(self, group):
        super().check(group)
        if not all(0 <= beta < 1 for beta in group["betas"]):
            raise ValueError(f"{type(self).__name__}: betas are {tuple(group['betas'])}; each must be at least 0 and below 1")

    def state_names(self, group):
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if group["amsgrad"] else ("exp_avg", "exp_avg_sq")

    def update(self, group, data, grad, state, steps):
        beta1, beta2 = group["betas"]
        correction1, correction2 = 1 - beta1 ** (steps + 1), 1 - beta2 ** (steps + 1)
        kernels.adam(
            data, grad, state["exp_avg"], state["exp_avg_sq"], state.get("max_exp_avg_sq"),
            group["lr"], beta1, beta2, group["eps"], group["weight_decay"], self.decoupled, group["maximize"], correction1, correction2,
        )  # fmt: skip


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019): the parameter shrinks by lr * weight_decay, the averages do not see it.

    Arguments as `Adam`; weight_decay is 1e-2 by default.
    """

    decoupled = True

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, *, maximize=False):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)


class RMSprop(Optimizer):
    """RMSprop (Hinton 2012, lecture 6e of the Coursera course); eps is added outside the root, as in PyTorch.

    Parameters
    ----------
    params : parameters or groups of them
    lr : learning rate (default 1e-2)
    alpha : decay of the average of the squared gradient (default 0.99)
    eps : added to the root of that average (default 1e-8)
    weight_decay : added to the gradient times the parameter (default 0)
    momentum : share of the velocity that is kept, 0 (default) for none
    centered : divide by the root of the variance instead (Graves 2013)
    maximize : go up instead of down
    """

    def __init__(self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False, *, maximize=False):
        defaults = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum, "centered": centered}
        super().__init__(params, {**defaults, "maximize": maximize})

    def state_names(self, group):
        names = ("square_avg",)
        names += ("momentum_buffer",) if group["momentum"] else ()
        return names + (("grad_avg",) if group["centered"] else ())

    def update(self, group, data, grad, state, steps):
        kernels.rmsprop(
            data, grad, state["square_avg"], state.get("momentum_buffer"), state.get("grad_avg"),
            group["lr"], group["alpha"], group["eps"], group["weight_decay"], group["momentum"], group["maximize"],
        )  # fmt: skip


class Adagrad(Optimizer):
    """Adagrad (Duchi, Hazan & Singer 2011).

    Parameters
    ----------
    params : parameters or groups of them
    lr : learning rate (default 1e-2)
    lr_decay : lr is divided by 1 + lr_decay * (number of updates before) (default 0)
    weight_decay : added to the gradient times the parameter (default 0)
    initial_accumulator_value : the sum of squares starts here (default 0)
    eps : added to the root of the sum (default 1e-10)
    maximize : go up instead of down
    """

    stores_unused = True

    def __init__(self, params, lr=1e-2, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10, *, maximize=False):
        defaults = {"lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay, "initial_accumulator_value": initial_accumulator_value}
        super().__init__(params, {**defaults, "eps": eps, "maximize": maximize})

    def state_names(self, group):
        return ("sum",)

    def initial_value(self, group, name):
        return group["initial_accumulator_value"]

    def update(self, group, data, grad, state, steps):
        lr = group["lr"] / (1 + steps * group["lr_decay"])
        kernels.adagrad(data, grad, state["sum"], lr, group["eps"], group["weight_decay"], group["maximize"])
