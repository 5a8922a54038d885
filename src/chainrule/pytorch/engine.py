"""The engine that computes with PyTorch: the same methods as `chainrule.training.engine.HandEngine`."""

import numpy as np
import torch

from chainrule.data import VIEWS, batches, prefetch
from chainrule.group import Group
from chainrule.pytorch.batches import DeviceBatches, view
from chainrule.pytorch.devices import autocast, check_compiler
from chainrule.pytorch.group import gradients_shared
from chainrule.pytorch.nn import Dropout
from chainrule.pytorch.weights import to_arrays, to_tensors

__all__ = ["TorchEngine"]

LOSS_SCALE = "loss_scale"


class TorchEngine:
    """One training step, scores, and state of a PyTorch network; arrays in, arrays out. The network computes where its parameters are.

    On a GPU a step returns when everything is queued that it consists of (with fp16, which looks at the gradients first, later), so that
    the next batch is prepared meanwhile. What waits is `float(loss)`.

    Parameters
    ----------
    model : torch.nn.Module
    criterion : module (scores, labels) -> mean loss
    optimizer : torch.optim.Optimizer, or a chain or an average of such from `chainrule.optim`
    clip_norm : greatest Euclidean norm of all gradients together; None for no clipping
    amp : "none", or mixed precision (Micikevicius et al. 2018): "bf16", or "fp16", whose loss is scaled so that small gradients survive
    compile : have torch.compile make one program of the forward pass and one of the backward pass
    accumulate : into how many parts a batch is divided, whose gradients are added up. Without batch norm and dropout the sum is that of the
        whole batch.
    group : the processes that train this network together (default: this one alone), each on its share of every batch

    Raises
    ------
    ValueError
        The device cannot compute with `amp`, or there is nothing to compile with.
    """

    def __init__(self, model, criterion, optimizer, *, clip_norm=None, amp="none", compile=False, accumulate=1, group=None):
        self.model, self.criterion, self.optimizer, self.clip_norm = model, criterion, optimizer, clip_norm
        self.accumulate, self.group = accumulate, group or Group()
        first = next(model.parameters())
        self.device, self.dtype = first.device, np.dtype(str(first.dtype).removeprefix("torch."))
        self.defers = self.device.type != "cpu"
        self._autocast = autocast(self.device, amp)
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=amp == "fp16")
        if compile:
            check_compiler(self.device)
        self._network = self.group.shared(torch.compile(model, dynamic=False) if compile else model)
        self._channels_last = any(parameter.ndim == 4 and _is_channels_last(parameter) for parameter in model.parameters())
        self._dropouts = [module for module in model.modules() if isinstance(module, Dropout)]
        self._resident: DeviceBatches | None = None

    def batches(self, data, split, batch_size, **how):
        """The rest of an epoch, as `chainrule.data.batches`; on a GPU the images lie there, and are changed there."""
        if self.device.type == "cpu":
            return prefetch(batches(data, split, batch_size, dtype=self.dtype, share=(self.group.rank, self.group.size), **how))
        if self._resident is None or self._resident.split is not split:
            self._resident = DeviceBatches(data, split, self.device, self.dtype)
        return self._resident.batches(batch_size, share=(self.group.rank, self.group.size), **how)

    def in_order(self, data, split, batch_size):
        """The whole split as it is stored, in batches: (normalized images, labels); on a GPU they lie there."""
        if self.device.type == "cpu":
            return batches(data, split, batch_size, seed=None, dtype=self.dtype)
        return DeviceBatches(data, split, self.device, self.dtype).batches(batch_size, seed=None)

    def step(self, images, labels, rng):
        """Forward, loss, backward, update. rng() makes the generator of this step's masks. Returns (loss, scores), as `defers` says."""
        of_all = int(self.group.sum(len(labels))[0])  # images of the whole batch
        weight = len(labels) * self.group.size / of_all  # so that the mean over processes is that over all images
        if self._dropouts:
            generator = rng()
            for dropout in self._dropouts:
                dropout.rng, dropout.share = generator, (self.group.rank, self.group.size, of_all)
        self.model.train()
        self.optimizer.zero_grad()
        images, labels = self._placed(images), self._there(labels)
        parts = min(self.accumulate, len(images))
        total, scores = 0.0, []
        for number, (part, wanted) in enumerate(zip(images.tensor_split(parts), labels.tensor_split(parts), strict=True), 1):
            with gradients_shared(self._network, self.group, number == parts):
                with self._autocast():
                    own = self._network(part)
                    loss = self.criterion(own, wanted) * (len(part) / len(images))
                self._scaler.scale(weight * loss).backward()
            total += loss.detach()
            scores.append(own.detach())
        if self.clip_norm is not None:
            self._scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        with self._autocast():  # for the products of Muon
            self._scaler.step(self.optimizer)
        self._scaler.update()
        if self.defers:
            return total, torch.cat(scores)
        return float(total), _array(torch.cat(scores))

    def count_right(self, scores, labels):
        """How many images have their greatest score at their label, as `defers` says."""
        if self.defers:
            return torch.count_nonzero(scores.argmax(dim=1) == self._there(labels))
        return int(np.count_nonzero(scores.argmax(axis=1) == labels))

    def evaluate(self, images, labels, tta="none"):
        """Loss and scores in eval mode, averaged over the views of `chainrule.data.VIEWS[tta]`: (loss, (N, C))."""
        self.model.eval()
        images, labels = torch.as_tensor(images).to(self.device, non_blocking=True), self._there(labels)
        losses, mean = [], 0.0
        with torch.no_grad(), self._autocast():
            for weight, shift, mirrored in VIEWS[tta]:
                scores = self.model(self._placed(view(images, shift, mirrored).contiguous()))
                losses.append(weight * self.criterion(scores, labels))
                mean = mean + weight * _wide(scores)
        return sum(map(float, losses)), _array(mean)

    def model_state(self):
        return to_arrays(self.model.state_dict())

    def load_model_state(self, arrays):
        try:
            self.model.load_state_dict(to_tensors(arrays))
        except RuntimeError as error:
            raise ValueError(str(error)) from error

    def optimizer_state(self):
        """As `chainrule.optim.Optimizer.state_dict`: arrays instead of tensors. What fp16 scales the loss by is with the first group."""
        state = self.optimizer.state_dict()
        first, *others = state["param_groups"]
        if self._scaler.is_enabled():
            first = {**first, LOSS_SCALE: self._scaler.get_scale()}
        return {"state": {index: to_arrays(entry) for index, entry in state["state"].items()}, "param_groups": [first, *others]}

    def load_optimizer_state(self, state):
        tensors = {index: to_tensors(entry) for index, entry in state["state"].items()}
        own = self.optimizer.state_dict()["param_groups"]
        groups = [{**group, **stored} for group, stored in zip(own, state["param_groups"], strict=True)]
        scale = groups[0].pop(LOSS_SCALE, None)
        if scale is not None:
            self._scaler = torch.amp.GradScaler(self.device.type, init_scale=scale, enabled=self._scaler.is_enabled())
        self.optimizer.load_state_dict({"state": tensors, "param_groups": groups})

    def _there(self, labels):
        return torch.as_tensor(labels).to(self.device, non_blocking=True)

    def _placed(self, images):
        form = torch.channels_last if self._channels_last else torch.preserve_format
        return torch.as_tensor(images).to(self.device, non_blocking=True, memory_format=form)


def _is_channels_last(parameter):
    return parameter.shape[1] > 1 and parameter.is_contiguous(memory_format=torch.channels_last) and not parameter.is_contiguous()


def _wide(scores):
    return scores.float() if scores.dtype in (torch.bfloat16, torch.float16) else scores


def _array(scores):
    return _wide(scores).cpu().numpy()
