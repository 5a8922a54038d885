"""The processes that torchrun started to train one network together, each on its share of every batch."""

from contextlib import contextmanager, nullcontext

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from chainrule.group import Group, started_processes

__all__ = ["TorchGroup", "join_group"]


class TorchGroup(Group):
    """What torchrun started, talking over NCCL on GPUs and over gloo elsewhere.

    Raises
    ------
    ConnectionError
        In all methods: another process of the group has ended.
    """

    def __init__(self, device: torch.device):
        self._device = device
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def shared(self, network):
        return DistributedDataParallel(network)

    def sum(self, *values):
        return self._reduced(values, dist.all_reduce)

    def of_first(self, *values):
        return self._reduced(values, lambda numbers: dist.broadcast(numbers, 0))

    def leave(self):
        self.sum(0)  # who leaves early takes the connection from the others
        dist.destroy_process_group()

    def _reduced(self, values, reduce):
        numbers = torch.tensor(values, dtype=torch.float64, device=self._device)
        with reported_loss(self):
            reduce(numbers)
        return numbers.tolist()


@contextmanager
def reported_loss(group: Group):
    """Say it in a sentence when another process of the group has been lost."""
    try:
        yield
    except RuntimeError as error:
        if group.size > 1 and (isinstance(error, dist.DistError) or "gloo" in str(error)):
            raise ConnectionError(f"process {group.rank} of {group.size}: another process of the group has ended") from error
        raise


@contextmanager
def gradients_shared(network, group: Group, now: bool):
    """Around a forward and a backward pass of what `TorchGroup.shared` gave: whether this pass averages the gradients over all processes.

    Those of the passes before it, which only add up here, go with them.
    """
    with reported_loss(group), nullcontext() if now or not isinstance(network, DistributedDataParallel) else network.no_sync():
        yield


def join_group(device: torch.device) -> Group:
    """The group that torchrun says this process is one of; itself alone without torchrun."""
    return Group() if started_processes() == 1 else TorchGroup(device)
