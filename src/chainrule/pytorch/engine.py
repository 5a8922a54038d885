"""The engine that computes with PyTorch: the same four methods as `chainrule.training.engine.HandEngine`."""

import numpy as np
import torch

from chainrule.pytorch.nn import Dropout
from chainrule.pytorch.weights import to_arrays, to_tensors

__all__ = ["TorchEngine"]


class TorchEngine:
    """One training step, scores, and state of a PyTorch network; arrays in, arrays out.

    Parameters
    ----------
    model : torch.nn.Module
    criterion : module (scores, labels) -> loss
    optimizer : torch.optim.Optimizer
    clip_norm : greatest Euclidean norm of all gradients together; None for no clipping
    """

    def __init__(self, model, criterion, optimizer, *, clip_norm=None):
        self.model, self.criterion, self.optimizer, self.clip_norm = model, criterion, optimizer, clip_norm
        self.dtype = np.dtype(str(next(model.parameters()).dtype).removeprefix("torch."))
        self._dropouts = [module for module in model.modules() if isinstance(module, Dropout)]

    def step(self, images, labels, rng):
        """Forward, loss, backward, update. rng() makes the generator of this step's masks. Returns (loss, scores)."""
        if self._dropouts:
            generator = rng()
            for dropout in self._dropouts:
                dropout.rng = generator
        self.model.train()
        self.optimizer.zero_grad()
        scores = self.model(torch.from_numpy(images))
        loss = self.criterion(scores, torch.from_numpy(labels))
        loss.backward()
        if self.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.optimizer.step()
        return loss.item(), scores.detach().numpy()

    def evaluate(self, images, labels):
        """Loss and scores in eval mode: (loss, (N, C))."""
        self.model.eval()
        with torch.no_grad():
            scores = self.model(torch.from_numpy(images))
            return self.criterion(scores, torch.from_numpy(labels)).item(), scores.numpy()

    def model_state(self):
        return to_arrays(self.model.state_dict())

    def load_model_state(self, arrays):
        try:
            self.model.load_state_dict(to_tensors(arrays))
        except RuntimeError as error:
            raise ValueError(str(error)) from error

    def optimizer_state(self):
        """As `chainrule.optim.Optimizer.state_dict`: arrays instead of tensors."""
        state = self.optimizer.state_dict()
        return {"state": {index: to_arrays(entry) for index, entry in state["state"].items()}, "param_groups": state["param_groups"]}

    def load_optimizer_state(self, state):
        tensors = {index: to_tensors(entry) for index, entry in state["state"].items()}
        own = self.optimizer.state_dict()["param_groups"]
        groups = [{**group, **stored} for group, stored in zip(own, state["param_groups"], strict=True)]
        self.optimizer.load_state_dict({"state": tensors, "param_groups": groups})
