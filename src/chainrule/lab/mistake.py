"""One entry of the catalogue of mistakes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

__all__ = ["KINDS", "Kind", "Mistake"]

Kind = Literal[
    "scale",
    "sign",
    "transpose",
    "axis",
    "missing-term",
    "wrong-statistic",
    "mode",
    "mutation",
    "off-by-one",
    "broadcasting",
    "state",
    "numerics",
    "dtype",
    "cache",
    "shape",
    "unknown",
]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True)
class Mistake:
    """A wrong way to write a function, and what to say to somebody who has written it so.

    Attributes
    ----------
    function : name of the function that is wrong
    kind : what sort of mistake it is, one of KINDS
    sentence : what is wrong, to the learner, in one sentence that begins in lower case
    hints : what to ask oneself, then what to do; given one by one
    code : the wrong function, for a method a class that has it; it goes with the library's other ones
    also : further functions of the learner's that make up the same mistake, by name: a forward pass that leaves the wrong cache
    """

    function: str
    kind: str
    sentence: str
    hints: tuple[str, ...]
    code: Callable[..., Any]
    also: Mapping[str, Callable[..., Any]] | None = None
