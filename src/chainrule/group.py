"""The processes that train one network together. Here: one alone; `chainrule.pytorch.group` has those that torchrun starts."""

__all__ = ["Group"]


class Group:
    """One process alone.

    Attributes
    ----------
    rank, size : which of how many processes this is
    """

    rank, size = 0, 1

    def sum(self, *values: float) -> list[float]:
        """Sums over all processes."""
        return list(values)

    def of_first(self, *values: float) -> list[float]:
        """The values of the first process."""
        return list(values)

    def leave(self):
        """When everything is done."""
