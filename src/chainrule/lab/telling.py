"""Verdicts in words and as JSON."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.lab.checking import Verdict

__all__ = ["as_json", "as_text", "summary"]

WIDTH = 100
MARKS = {"right": "right", "wrong": "wrong", "error": "error", "unwritten": "not written"}


def as_text(verdict: Verdict, *, hints: int = 0, width: int = 32) -> list[str]:
    """The lines on one function: its state, what is wrong, so many hints, and the example."""
    place = f"   {verdict.file}:{verdict.line}" if verdict.status in ("wrong", "error") and verdict.line else ""
    lines = [f"{verdict.function:<{width}}   {MARKS[verdict.status]}{place}"]
    if verdict.sentence:
        lines.append(f"    {verdict.sentence}")
    if verdict.remark:
        lines.append(f"    {verdict.remark}")
    lines += [f"    hint {number}: {hint}" for number, hint in enumerate(verdict.hints[:hints], 1)]
    if hints > len(verdict.hints) and verdict.status == "wrong":
        lines.append(f"    {'there are no more hints' if verdict.hints else 'there is no hint for it; the example is what there is'}")
    if verdict.example is not None:
        lines += _example(verdict.example)
    return lines


def summary(verdicts: Sequence[Verdict]) -> str:
    """How many functions are in which state."""
    counts = {word: sum(verdict.status == status for verdict in verdicts) for status, word in MARKS.items()}
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"{len(verdicts)} {'function' if len(verdicts) == 1 else 'functions'}: {told}"


def as_json(verdict: Verdict, *, hints: int = 0) -> dict[str, Any]:
    """The verdict for programs: numbers as lists, None where there is nothing to say."""
    example = verdict.example
    return {
        "function": verdict.function,
        "file": verdict.file,
        "line": verdict.line,
        "status": verdict.status,
        "kind": verdict.kind or None,
        "sentence": verdict.sentence or None,
        "remark": verdict.remark or None,
        "hints": list(verdict.hints[:hints]),
        "example": None
        if example is None
        else {
            "title": example.title,
            "calls": [
                {"function": name, "arguments": {key: _plain(value) for key, value in given.items()}} for name, given in example.calls
            ],
            "yours": {name: _plain(value) for name, value in example.yours.items()},
            "expected": {name: _plain(value) for name, value in example.expected.items()},
        },
    }


def _example(example):
    lines = [f"    the smallest example, {example.title}:"]
    for function, given in example.calls:
        lines.append(f"      {function}({', '.join(given)}, ...)" if not given else f"      {function}")
        lines += _listed(given, 8)
    for word, values in (("yours", example.yours), ("expected", example.expected)) if example.expected else ():
        lines.append(f"      {word}")
        lines += _listed(values, 8)
    return lines


def _listed(values, indent):
    lines = []
    width = max((len(name) for name in values), default=0)
    for name, value in values.items():
        first, *rest = _written(value).splitlines() or [""]
        lines.append(f"{'':{indent}}{name:<{width}} = {first}")
        lines += [f"{'':{indent + width + 3}}{line}" for line in rest]
    return lines


def _written(value) -> str:
    if isinstance(value, np.ndarray):
        return np.array2string(value, precision=4, suppress_small=True, threshold=40, edgeitems=2, max_line_width=WIDTH)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name!r}: {_written(entry)}" for name, entry in value.items()) + "}"
    return repr(value)


def _plain(value):
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)  # JSON has no word for it
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)
