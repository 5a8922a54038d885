"""Optimizers around another one, with a second copy of the parameters: Lookahead, and the exponential moving average."""

from copy import deepcopy

__all__ = ["EMA", "Lookahead"]


class _WithCopies:
    """What both have in common: an inner optimizer (of `chainrule.optim` or of torch), and one more array for each parameter.

    The copies are made at the first step, and stored as `copies_name` beside the inner optimizer's state. Only + - * are used on the data,
    so that they may be arrays or tensors.
    """

    copies_name: str

    def __init__(self, optimizer):
        self.optimizer = optimizer
        self.copies: list | None = None  # one a parameter, in order

    @property
    def param_groups(self):
        return self.optimizer.param_groups

    def zero_grad(self):
        self.optimizer.zero_grad()

    def parameters(self):
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def copy_parameters(self):
        self.copies = [deepcopy(parameter.data) for parameter in self.parameters()]

    def state_dict(self):
        """The inner optimizer's, with one more entry for each parameter."""
        inner = self.optimizer.state_dict()
        state = {index: dict(inner["state"].get(index, {})) for index in range(len(self.parameters()))}
        for index, copy in enumerate(self.copies or ()):
            state[index][self.copies_name] = deepcopy(copy)
        return {"state": {index: entry for index, entry in state.items() if entry}, "param_groups": inner["param_groups"]}

    def load_state_dict(self, state_dict):
        """Take over what `state_dict` gave.

        Raises
        ------
        ValueError
            The copies are missing for some parameters, have another shape, or the rest does not fit the inner optimizer.
        """
        parameters, state = self.parameters(), state_dict["state"]
        given = [state.get(index, {}).get(self.copies_name) for index in range(len(parameters))]
        missing = [index for index, copy in enumerate(given) if copy is None]
        if 0 < len(missing) < len(given) or (missing and any(state.values())):
            raise ValueError(f"{type(self).__name__}: the state of parameter {missing[0]} has no {self.copies_name}")
        for index, (copy, parameter) in enumerate(zip(given, parameters, strict=True)):
            if copy is not None and tuple(copy.shape) != tuple(parameter.shape):
                shapes = f"has shape {tuple(copy.shape)}; the parameter has {tuple(parameter.shape)}"
                raise ValueError(f"{type(self).__name__}: {self.copies_name} of parameter {index} {shapes}")
        inner = {index: {name: array for name, array in entry.items() if name != self.copies_name} for index, entry in state.items()}
        inner = {index: entry for index, entry in inner.items() if entry}
        self.optimizer.load_state_dict({"state": inner, "param_groups": state_dict["param_groups"]})
        if missing:
            self.copies = None
            return
        self.copy_parameters()  # their memory order
        for copy, array in zip(self.copies or (), given, strict=True):
            copy[...] = array

    def __repr__(self):
        return f"{type(self).__name__} around {self.optimizer!r}"


class Lookahead(_WithCopies):
    """k steps forward, 1 step back (Zhang, Lucas, Hinton & Ba 2019, algorithm 1).

    Every k steps of the inner optimizer, slow weights go the share alpha of the way to the fast ones, and the fast ones begin there again.
    The inner optimizer keeps its state.

    Parameters
    ----------
    optimizer : the inner optimizer, of `chainrule.optim` or of torch
    k : steps of it between two of the slow weights (default 5)
    alpha : share of the way, above 0 and at most 1 (default 0.5)
    """

    copies_name = "slow"

    def __init__(self, optimizer, k=5, alpha=0.5):
        super().__init__(optimizer)
        if k < 1:
            raise ValueError(f"Lookahead: k is {k}; it must be at least 1")
        if not 0 < alpha <= 1:
            raise ValueError(f"Lookahead: alpha is {alpha}; it must be above 0 and at most 1")
        self.k, self.alpha = k, alpha
        self._steps = 0  # since the slow weights last moved

    def step(self):
        if self.copies is None:
            self.copy_parameters()
        self.optimizer.step()
        self._steps = (self._steps + 1) % self.k
        if self._steps:
            return
        for parameter, slow in zip(self.parameters(), self.copies or (), strict=True):
            slow += self.alpha * (parameter.data - slow)
            parameter.data[...] = slow

    def state_dict(self):
        state = super().state_dict()
        state["param_groups"] = [{**group, "lookahead_steps": self._steps} for group in state["param_groups"]]
        return state

    def load_state_dict(self, state_dict):
        groups = [dict(group) for group in state_dict["param_groups"]]
        steps = [group.pop("lookahead_steps", None) for group in groups]
        if not all(isinstance(count, int) and 0 <= count < self.k for count in steps):
            raise ValueError(f"Lookahead: lookahead_steps of the state is {steps[0]}; it must be 0 to {self.k - 1}")
        super().load_state_dict({"state": state_dict["state"], "param_groups": groups})
        self._steps = steps[0]


class EMA(_WithCopies):
    """An exponential moving average of the weights, which scores better than the weights themselves (Polyak & Juditsky 1992).

    average = decay * average + (1 - decay) * weights after every step, from the weights after the first one: the arithmetic of
    torch.optim.swa_utils.AveragedModel with get_ema_multi_avg_fn(decay). Training itself is not changed. Buffers, the running statistics of
    batch normalization, are not averaged.

    Parameters
    ----------
    optimizer : the inner optimizer, of `chainrule.optim` or of torch
    decay : share of the average that is kept, at least 0 and below 1 (default 0.999)
    """

    copies_name = "average"

    def __init__(self, optimizer, decay=0.999):
        super().__init__(optimizer)
        if not 0 <= decay < 1:
            raise ValueError(f"EMA: decay is {decay}; it must be at least 0 and below 1")
        self.decay = decay

    def step(self):
        self.optimizer.step()
        if self.copies is None:
            self.copy_parameters()
            return
        for parameter, average in zip(self.parameters(), self.copies, strict=True):
            average += (1 - self.decay) * (parameter.data - average)

    def swap(self):
        """Exchange weights and averages, in place: call it before an evaluation, and after."""
        for parameter, average in zip(self.parameters(), self.copies or (), strict=self.copies is not None):
            weights = deepcopy(parameter.data)
            parameter.data[...] = average
            average[...] = weights
