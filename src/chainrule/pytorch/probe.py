"""A PyTorch network looked into, by autograd and hooks: the twin of `chainrule.nn.probe.HandProbe`."""

from contextlib import ExitStack, contextmanager

import numpy as np
import torch

from chainrule.nn.probe import AtLayer

__all__ = ["TorchProbe"]


class TorchProbe:
    """What visualizations ask of a network (`chainrule.nn.probe.Probe`), of a torch.nn.Module, wherever its parameters are.

    Raises
    ------
    TypeError
        It is no torch.nn.Module.
    """

    def __init__(self, module: torch.nn.Module):
        if not isinstance(module, torch.nn.Module):
            raise TypeError(f"the network is of type {type(module).__name__}; expected a Module of chainrule.nn or of torch.nn")
        self.module = module

    @property
    def dtype(self):
        return np.dtype(str(self._first.dtype).removeprefix("torch."))

    def scores(self, x):
        with _at_rest(self.module), torch.no_grad():
            return _array(self.module(self._taken(x)))

    def gradient(self, x, dscores):
        with _at_rest(self.module):
            image = self._taken(x).requires_grad_()
            return self._differentiated(self.module(image), image, dscores)

    def guided_gradient(self, x, dscores):
        with ExitStack() as hooks:
            for part in self.module.modules():
                if isinstance(part, torch.nn.ReLU):
                    hooks.enter_context(_changed(part, inplace=False))  # a hook on what is overwritten would be refused
                    hooks.callback(part.register_full_backward_hook(_only_positive).remove)
            return self.gradient(x, dscores)

    def layers(self, x, names=None, dscores=None):
        parts = dict(self.module.named_modules())
        if names is None:
            names = [name for name, part in parts.items() if not list(part.children())]
        outs, kinds = {}, {}

        def keep(name):
            def hook(part, inputs, out):
                # a copy, since an Identity puts out its input, which others use, too; and another for a layer that works in place
                outs[name], kinds[name] = out.clone(), type(part).__name__
                return outs[name].clone()

            return hook

        with _at_rest(self.module), ExitStack() as hooks:
            for name in names:
                hooks.callback(_named(self.module, parts, name).register_forward_hook(keep(name)).remove)
            scores = self.module(self._taken(x).requires_grad_())
            grads = [None] * len(outs)
            if dscores is not None:
                grads = torch.autograd.grad(scores, list(outs.values()), self._upstream(scores, dscores))
        return {
            name: AtLayer(kinds[name], _array(out), None if grad is None else _array(grad))
            for (name, out), grad in zip(outs.items(), grads, strict=True)
        }

    def gradient_from(self, x, name, dout):
        part = _named(self.module, dict(self.module.named_modules()), name)

        def stop(part, inputs, out):
            raise _ReachedError(out)

        with _at_rest(self.module), ExitStack() as hooks:
            hooks.callback(part.register_forward_hook(stop).remove)
            image = self._taken(x).requires_grad_()
            try:
                self.module(image)
            except _ReachedError as reached:
                return self._differentiated(reached.out, image, dout)
        raise ValueError(f"the network does not call {name}")

    def names(self):
        return [name for name, _ in self.module.named_modules()]

    def parameters(self):
        return {name: _array(parameter) for name, parameter in self.module.named_parameters()}

    def _differentiated(self, out, image, dout):
        (gradient,) = torch.autograd.grad(out, image, self._upstream(out, dout))
        return _array(out), _array(gradient)

    def _upstream(self, out, dout):
        return torch.as_tensor(dout(_array(out)), dtype=out.dtype, device=out.device)

    @property
    def _first(self):
        return next(self.module.parameters(), torch.zeros(0))

    def _taken(self, x):
        """x where the parameters are, in their dtype."""
        return torch.tensor(np.asarray(x, self.dtype), device=self._first.device)


class _ReachedError(Exception):
    """The layer that was asked for has put out `out`: nothing behind it needs to be computed."""

    def __init__(self, out):
        self.out = out


@contextmanager
def _at_rest(module):
    """Within the block the module is in eval mode, and no parameter takes a gradient."""
    with ExitStack() as changes:
        for part in module.modules():
            changes.enter_context(_changed(part, training=False))
        for parameter in module.parameters():
            changes.enter_context(_changed(parameter, requires_grad=False))
        yield


@contextmanager
def _changed(thing, **attributes):
    """Within the block `thing` has these attributes."""
    before = {name: getattr(thing, name) for name in attributes}
    for name, value in attributes.items():
        setattr(thing, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(thing, name, value)


def _only_positive(module, dx, dout):
    return tuple(torch.clamp(grad, min=0) for grad in dx)


def _named(module, parts, name):
    if name not in parts:
        raise ValueError(f"there is no {name} in this {type(module).__name__}")
    return parts[name]


def _array(tensor):
    return tensor.detach().cpu().numpy().copy()
