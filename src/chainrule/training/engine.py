"""The engine of hand-written networks: one training step, scores, and state. PyTorch's is `chainrule.pytorch.TorchEngine`."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from chainrule.data import VIEWS, batches, prefetch, view
from chainrule.group import Group
from chainrule.kernels.workspace import Workspace
from chainrule.nn import Conv2d, Dropout
from chainrule.nn.plan import Plan
from chainrule.optim import clip_grad_norm_

__all__ = ["Engine", "HandEngine"]


class Engine(Protocol):
    """What the Trainer asks of an engine; arrays in, arrays out.

    Attributes
    ----------
    model : the network, of chainrule.nn or torch.nn
    defers : whether a step returns before it is computed: its loss, its scores and what is counted among them are then tensors on the
        device, and `float` and `int` wait for them
    """

    model: Any
    dtype: np.dtype
    group: Group
    defers: bool

    def batches(self, data, split, batch_size, **how) -> Iterator[tuple[Any, Any]]: ...
    def in_order(self, data, split, batch_size) -> Iterator[tuple[Any, Any]]: ...
    def step(self, images, labels, rng) -> tuple[Any, Any]: ...
    def count_right(self, scores, labels) -> Any: ...
    def evaluate(self, images, labels, tta="none") -> tuple[float, np.ndarray]: ...
    def model_state(self) -> dict[str, np.ndarray]: ...
    def load_model_state(self, arrays: dict[str, np.ndarray]): ...
    def optimizer_state(self) -> dict: ...
    def load_optimizer_state(self, state: dict): ...


class HandEngine:
    """One training step, scores, and state of a network of `chainrule.nn`.

    Parameters
    ----------
    model : Module
    criterion : loss module (scores, labels) -> float, with backward() -> gradient of the scores
    optimizer : Optimizer over the model's parameters
    clip_norm : greatest Euclidean norm of all gradients together; None for no clipping
    """

    defers = False

    def __init__(self, model, criterion, optimizer, *, clip_norm=None):
        self.model, self.criterion, self.optimizer, self.clip_norm = model, criterion, optimizer, clip_norm
        self.dtype, self.group = next(model.parameters()).dtype, Group()
        self._dropouts = [module for module in model.modules() if isinstance(module, Dropout)]
        self._plan, self._workspace = Plan(model), Workspace()
        self._channels_last = any(isinstance(module, Conv2d) for module in model.modules())

    def batches(self, data, split, batch_size, **how):
        """The rest of an epoch, as `chainrule.data.batches`, each prepared while the one before is in use."""
        return prefetch(batches(data, split, batch_size, dtype=self.dtype, channels_last=self._channels_last, **how))

    def in_order(self, data, split, batch_size):
        """The whole split as it is stored, in batches: (normalized images, labels)."""
        return batches(data, split, batch_size, seed=None, dtype=self.dtype)

    @np.errstate(over="ignore", invalid="ignore")  # the Trainer looks at the loss
    def step(self, images, labels, rng):
        """Forward, loss, backward, update.

        Parameters
        ----------
        images : (N, C, H, W) of the model's dtype
        labels : (N,) integers
        rng : function without arguments that makes the generator of this step's dropout masks; called only where there are any

        Returns
        -------
        loss : float, before the update
        scores : (N, classes)
        """
        if self._dropouts:
            generator = rng()
            for dropout in self._dropouts:
                dropout.rng = generator
        if not self.model.training:  # walking through the modules takes longer than a small layer
            self.model.train()
        self.optimizer.zero_grad()
        with self._workspace:
            scores = self._plan.forward(images)
            loss = self.criterion(scores, labels)
            self._plan.backward(self.criterion.backward())
        if self.clip_norm is not None:
            clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.optimizer.step()
        return loss, scores

    def count_right(self, scores, labels):
        """How many images have their greatest score at their label."""
        return int(np.count_nonzero(scores.argmax(axis=1) == labels))

    @np.errstate(over="ignore", invalid="ignore")
    def evaluate(self, images, labels, tta="none"):
        """Loss and scores in eval mode, averaged over the views of `chainrule.data.VIEWS[tta]`: (loss, (N, classes))."""
        self.model.eval()
        loss, mean = 0.0, 0.0
        for weight, shift, mirrored in VIEWS[tta]:
            with self._workspace:
                scores = self._plan.evaluate(view(images, shift, mirrored))
            loss, mean = loss + weight * self.criterion(scores, labels), mean + weight * scores
        return loss, mean

    def model_state(self):
        return self.model.state_dict()

    def load_model_state(self, arrays):
        self.model.load_state_dict(arrays)

    def optimizer_state(self):
        return self.optimizer.state_dict()

    def load_optimizer_state(self, state):
        self.optimizer.load_state_dict(state)
