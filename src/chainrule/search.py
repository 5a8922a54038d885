"""What of an argument is worth trying: plain values beside its declaration, for `chainrule tune`."""

from dataclasses import dataclass
from typing import Any

__all__ = ["Choices", "Range"]


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Parameters
    ----------
    low, high : whole numbers, or floating point ones
    log : as many from 1 to 10 as from 10 to 100
    """

    low: float
    high: float
    log: bool = False

    def __str__(self):
        return f"{self.low:g} to {self.high:g}" + (" (logarithmic)" if self.log else "")


@dataclass(frozen=True)
class Choices:
    """One of several values."""

    values: tuple[Any, ...]

    def __str__(self):
        return ", ".join(" ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value).lower() for value in self.values)
