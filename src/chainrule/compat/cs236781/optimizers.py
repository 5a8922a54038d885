"""CS236781's optimizers: they change parameters in place, with the gradient of the loss plus reg times the parameter."""

import abc

import torch

from chainrule.functional import sgd, sgd_momentum

__all__ = ["MomentumSGD", "Optimizer", "RMSProp", "VanillaSGD"]


class Optimizer(abc.ABC):
    """An update rule over a list of parameters.

    Parameters
    ----------
    params : list of (tensor, gradient tensor), as the layers' `params()` gives it, or of tensors, whose `grad` is then taken
    learn_rate : factor of the step, default 1e-3
    reg : lambda of the penalty lambda / 2 * sum(p**2), default 0
    """

    def __init__(self, params, learn_rate=1e-3, reg=0):
        self._params = list(params)
        self.learn_rate = learn_rate
        self.reg = reg

    @property
    def params(self):
        """List of (tensor, gradient tensor or None)."""
        return [(entry, entry.grad) if isinstance(entry, torch.Tensor) else entry for entry in self._params]

    def zero_grad(self):
        """Set all gradients to zero, in place."""
        for _, dp in self.params:
            if dp is not None:
                dp.zero_()

    def step(self):
        """Change every parameter that has a gradient, in place."""
        for index, (p, dp) in enumerate(self.params):
            if dp is not None:
                w = p.detach().numpy()
                w[...] = self._updated(w, dp.detach().numpy() + self.reg * w, index)

    @abc.abstractmethod
    def _updated(self, w, dw, index):
        """The new value of the parameter w number `index`, from the gradient dw, penalty included."""


class VanillaSGD(Optimizer):
    """p - learn_rate * dp."""

    def _updated(self, w, dw, index):
        return sgd(w, dw, {"learning_rate": self.learn_rate})[0]


class MomentumSGD(Optimizer):
    """v = momentum * v - learn_rate * dp, then p + v; momentum in [0, 1), default 0.9."""

    def __init__(self, params, learn_rate=1e-3, reg=0, momentum=0.9):
        super().__init__(params, learn_rate, reg)
        self.momentum = momentum
        self._configs = [{"momentum": momentum} for _ in self._params]

    def _updated(self, w, dw, index):
        config = self._configs[index]
        config["learning_rate"] = self.learn_rate
        return sgd_momentum(w, dw, config)[0]


class RMSProp(Optimizer):
    """r = decay * r + (1 - decay) * dp**2, then p - learn_rate * dp / sqrt(r + eps).

    eps (default 1e-8) joins the sum under the root, as in the homework; cs231n's and PyTorch's rmsprop add it to the root.
    decay is in [0, 1), default 0.99.
    """

    def __init__(self, params, learn_rate=1e-3, reg=0, decay=0.99, eps=1e-8):
        super().__init__(params, learn_rate, reg)
        self.decay = decay
        self.eps = eps
        self._mean_squares = [0.0 for _ in self._params]

    def _updated(self, w, dw, index):
        r = self._mean_squares[index] = self.decay * self._mean_squares[index] + (1 - self.decay) * dw**2
        return w - self.learn_rate * dw / (r + self.eps) ** 0.5
