"""The 1,000 classes of ImageNet by their names, and how a person names one."""

import difflib
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

__all__ = ["find_class", "imagenet_classes"]

_SHOWN = 8  # candidates in an error


@cache
def imagenet_classes() -> tuple[str, ...]:
    """All names of each class, in the order of the indices: "tabby, tabby cat" is number 281. Source and licence head the file."""
    lines = Path(__file__).with_name("imagenet_classes.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if not line.startswith("#"))


def find_class(classes: Sequence[str], text: str) -> int:
    """The index of the class that `text` names; upper and lower case are the same.

    Parameters
    ----------
    classes : the names of each class, separated by commas
    text : an index ("281"), all names ("tabby, tabby cat"), one of them ("tabby cat"), words of one ("garden spider"), or a part of one,
        if it fits one class only

    Raises
    ------
    ValueError
        naming the classes that fit, or those that are spelled almost so, each with its index.
    """
    wanted = " ".join(text.split()).casefold()
    if re.fullmatch(r"-?[0-9]+", wanted):
        if not 0 <= int(wanted) < len(classes):
            raise ValueError(f"class {wanted} does not exist; there are 0 to {len(classes) - 1}")
        return int(wanted)
    words = re.compile(rf"\b{re.escape(wanted)}\b")
    rules: list[Callable[[str], object]] = [
        lambda line: line == wanted,
        lambda line: wanted in line.split(", "),
        words.search,
        lambda line: wanted in line,
    ]
    for fits in rules if wanted else ():
        found = [index for index, line in enumerate(classes) if fits(line.casefold())]
        if len(found) > 1:
            raise ValueError(f"{text!r} fits {len(found)} classes: {_listed(classes, found)}; name one in full, or by its number")
        if found:
            return found[0]
    raise ValueError(f"no class is called {text!r}{_near(classes, wanted)}")


def _near(classes, wanted):
    owner = {name: index for index, line in enumerate(classes) for name in line.casefold().split(", ")}
    near = dict.fromkeys(owner[name] for name in difflib.get_close_matches(wanted, owner, n=5))
    return f"; did you mean {_listed(classes, list(near))}?" if near else ""


def _listed(classes, indices):
    more = f"; and {len(indices) - _SHOWN} more" if len(indices) > _SHOWN else ""
    return "; ".join(f"{index} {classes[index]}" for index in indices[:_SHOWN]) + more
