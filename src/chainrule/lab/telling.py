"""Verdicts in words and as JSON."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.lab.checking import Verdict

__all__ = ["MARKS", "as_json", "as_text", "summary"]

WIDTH = 100
PRINTED = 60  # numbers of an array; --json has those of larger ones
MARKS = {"right": "right", "wrong": "wrong", "error": "error", "unwritten": "not written"}


def as_text(verdict: Verdict, *, hints: int = 0, width: int = 32) -> list[str]:
    """The lines on one function: its state, what is wrong, so many hints, and the example."""
    place = f"   {verdict.file}:{verdict.line}" if verdict.line else f"   {verdict.file}"
    lines = [f"{verdict.function:<{width}}   {MARKS[verdict.status]:<11}{place}"]
    if verdict.sentence:
        lines.append(f"    {verdict.sentence}")
    if verdict.remark:
        lines.append(f"    {verdict.remark}")
    lines += [f"    hint {number}: {hint}" for number, hint in enumerate(verdict.hints[:hints], 1)]
    if hints > len(verdict.hints) and verdict.status in ("wrong", "error"):
        alone = "the example" if verdict.example else "the sentence"
        lines.append(f"    {'there are no more hints' if verdict.hints else f'there is no hint for it; {alone} is what there is'}")
    if verdict.example is not None:
        lines += _example(verdict.example)
    if verdict.printed:
        lines += ["    it printed:", *(f"      {line}" for line in verdict.printed.splitlines())]
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
        "printed": verdict.printed or None,
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
    calls = [[f"      {function}", *_listed({name: _written(value) for name, value in given.items()})] for function, given in example.calls]
    shown = [call for number, call in enumerate(calls) if call not in calls[:number]]
    lines = [f"    the smallest example, {example.title}:", *(line for call in shown for line in call)]
    small = {name for name, right in example.expected.items() if _is_small(right) and _is_small(example.yours[name])}
    if small:
        for word, values in (("yours", example.yours), ("expected", example.expected)):
            lines.append(f"      {word}")
            lines += _listed({name: _written(values[name]) + _dtype(example, name, values) for name in values if name in small})
    lines += [f"      {_places(name, example)}" for name in example.expected if name not in small]
    return lines


def _is_small(value):
    return value is None or value.size <= PRINTED


def _dtype(example, name, values):
    """Where that is the difference."""
    yours, expected = example.yours[name], example.expected[name]
    return f"   {values[name].dtype}" if yours is not None and expected is not None and yours.dtype != expected.dtype else ""


def _places(name, example):
    """Where two arrays too large to be printed differ."""
    yours, expected = example.yours[name], example.expected[name]
    both = f"{name}: yours is {_written(yours)}, expected {_written(expected)}"
    if yours is None or expected is None or yours.shape != expected.shape:
        return both
    apart = np.argwhere(~np.isclose(yours, expected, rtol=1e-5, atol=1e-8))
    if not len(apart):
        return both
    first = tuple(apart[0])
    place = ", ".join(str(index) for index in first)
    told = f"{name}, {expected.shape}, differs in {len(apart)} of {expected.size} places"
    return f"{told}; {name}[{place}] is {yours[first]:.6g}, expected {expected[first]:.6g}"


def _listed(values):
    lines = []
    width = max((len(name) for name in values), default=0)
    for name, value in values.items():
        first, *rest = value.splitlines() or [""]
        lines.append(f"        {name:<{width}} = {first}")
        lines += [f"{'':{width + 11}}{line}" for line in rest]
    return lines


def _written(value) -> str:
    if isinstance(value, np.ndarray):
        if value.size > PRINTED:
            return f"{value.dtype} of shape {value.shape}"
        text = np.array2string(value, precision=4, suppress_small=True, threshold=PRINTED, max_line_width=WIDTH)
        return "\n".join(line for line in text.splitlines() if line.strip())
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name!r}: {_written(entry)}" for name, entry in value.items()) + "}"
    if isinstance(value, tuple | list):
        separator = ",\n " if any(isinstance(entry, np.ndarray) for entry in value) else ", "
        return "[" + separator.join(_written(entry).replace("\n", "\n ") for entry in value) + "]"
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
