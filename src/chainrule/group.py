"""The processes that train one network together. Here: one alone; `chainrule.pytorch.group` has those that torchrun starts."""

import os

__all__ = ["Group", "started_processes"]


class Group:
    """One process alone.

    Attributes
    ----------
    rank, size : which of how many processes this is
    """

    rank, size = 0, 1

    def shared(self, network):
        """The network, whose gradients are the mean over all processes."""
        return network

    def sum(self, *values: float) -> list[float]:
        """Sums over all processes."""
        return list(values)

    def of_first(self, *values: float) -> list[float]:
        """The values of the first process."""
        return list(values)

    def leave(self):
        """When everything is done."""


def started_processes() -> int:
    """How many processes torchrun started together; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))
