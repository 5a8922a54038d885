"""What is wrong with a function, from what probes saw of it: told by the catalogue, by its own variables, or by the difference itself.

First a catalogued mistake that gives the learner's numbers on every probe. Where there is none, what the difference looks like on all
probes together, and which of the values on the way the function's variables hold. Nothing is guessed: where none fits, it says so.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.lab.mistake import Mistake
from chainrule.lab.probing import Outcome, Probe, outcome
from chainrule.verification.diagnosis import likely_shape_mistake

__all__ = ["Finding", "diagnose", "differing", "matching"]

UNKNOWN = "no catalogued mistake gives these numbers, and the difference has no simple form"


@dataclass(frozen=True)
class Finding:
    """What is wrong.

    Attributes
    ----------
    kind : in `lab.mistake.KINDS`
    sentence : to the learner; begins in lower case, without a full stop
    hints : one after the other, on request
    probe : number of the first probe that shows it
    """

    kind: str
    sentence: str
    hints: tuple[str, ...]
    probe: int


def diagnose(
    function: str,
    topic: str,
    probes: Sequence[Probe],
    seen: Sequence[Outcome],
    expected: Sequence[Outcome],
    library: Mapping[str, Any],
    may_change: Sequence[str] = (),
) -> Finding | None:
    """What is wrong with a function, None if nothing is.

    Parameters
    ----------
    function : its name
    topic : module of `lab.probes` and `lab.mistakes`
    probes, seen, expected : each probe, with its outcome for the learner's functions and for the library's
    library : the library's functions that probes call, by name
    may_change : arguments that may be modified
    """
    wrong = [index for index, outcomes in enumerate(zip(seen, expected, strict=True)) if not alike(*outcomes)]
    if not wrong:
        return None
    mistakes = matching(function, topic, probes, seen, library, may_change)
    if mistakes:
        return _catalogued(mistakes, _visible(seen, expected, wrong))
    if finding := _catalogued_beside_another(function, topic, probes, seen, expected, library, may_change, wrong):
        return finding
    contract = [index for index in wrong if seen[index].fault == "contract"]
    if contract:
        return Finding("shape", seen[contract[0]].error, (), contract[0])
    if seen[wrong[0]].error:
        return None  # it raises; that is an error, not a wrong number
    raises = [index for index in wrong if seen[index].error]
    where = _where(probes, wrong)
    wrong = [index for index in wrong if not seen[index].error]
    kind, sentence, probe = (
        _changes_alone(function, seen, expected, wrong)
        or _form(probes, seen, expected, wrong)
        or _difference_and_way(topic, function, probes, seen, expected, wrong)
        or _unsteady(seen, wrong)
        or ("unknown", f"{_named(seen, expected, wrong)}; {UNKNOWN}", _visible(seen, expected, wrong))
    )
    if raises:
        first = seen[raises[0]]
        sentence += f"; and on {probes[raises[0]].title} it fails: {first.fault}: {first.error}{f' ({first.place})' if first.place else ''}"
    changed = _changed(function, seen)
    if changed and kind != "mutation":
        sentence += f"; and it modifies its argument {_listed(changed)}"
    return Finding(kind, where + sentence, (), probe)


def alike(seen: Outcome, expected: Outcome) -> bool:
    """Whether two outcomes are the same but for rounding."""
    if seen.error or expected.error:
        return (seen.fault, seen.error) == (expected.fault, expected.error)
    return not differing(seen, expected) and set(seen.changed) == set(expected.changed) and seen.unsteady == expected.unsteady


def differing(seen: Outcome, expected: Outcome) -> list[str]:
    """The names of the values that differ by more than rounding."""
    overall = max((np.abs(value[np.isfinite(value)]).max(initial=0) for value in expected.values.values() if value is not None), default=0)
    return [name for name, value in expected.values.items() if not _close(seen.values.get(name), value, overall)]


def _close(seen, expected, overall):
    if seen is None or expected is None:
        return seen is expected
    if seen.shape != expected.shape or _less_precise(seen, expected):
        return False
    if expected.dtype.kind != "f":
        return np.array_equal(seen, expected)
    finite = np.isfinite(expected)
    if not np.array_equal(np.isfinite(seen), finite) or not np.array_equal(seen[~finite], expected[~finite], equal_nan=True):
        return False
    # float32 sums in another order differ by some 1e-6 of the largest term; float64 has room for any rearrangement that is no mistake
    tolerance = 1e-3 if expected.dtype == np.float32 else 1e-6
    scale = max(np.abs(expected[finite]).max(initial=0), 1e-3 * overall)
    return bool(np.all(np.abs(seen[finite].astype(np.float64) - expected[finite]) <= tolerance * scale + 1e-9))


def _less_precise(seen, expected):
    """float32 where float64 belongs: three digits of every gradient check are gone."""
    return expected.dtype.kind == seen.dtype.kind == "f" and seen.dtype.itemsize < expected.dtype.itemsize


def matching(
    function: str, topic: str, probes: Sequence[Probe], seen: Sequence[Outcome], library: Mapping[str, Any], may_change: Sequence[str] = ()
) -> list[Mistake]:
    """The catalogued mistakes that give these outcomes on every probe."""
    found = []
    for mistake in importlib.import_module(f"chainrule.lab.mistakes.{topic}").MISTAKES:
        if mistake.function == function:
            functions = _functions(mistake, library)
            if all(_gives(probe, functions, may_change, each) for probe, each in zip(probes, seen, strict=True)):
                found.append(mistake)
    return found


def _functions(mistake, library):
    """The library's functions, with the mistake in the place of its own."""
    return {**library, mistake.function.partition(".")[0]: mistake.code, **(mistake.also or {})}


def _gives(probe, functions, may_change, seen):
    """Whether functions give what was seen; most are told from it by their first run."""
    first = outcome(probe, functions, may_change, again=False)
    return alike(replace(seen, unsteady=False), first) and alike(seen, outcome(probe, functions, may_change))


def _catalogued(mistakes, probe):
    first, *others = mistakes
    if not others:
        return Finding(first.kind, first.sentence, first.hints, probe)
    sentences = "; or ".join(mistake.sentence for mistake in mistakes)
    return Finding(first.kind, f"one of these, which give the same numbers here: {sentences}", first.hints, probe)


def _catalogued_beside_another(function, topic, probes, seen, expected, library, may_change, wrong):
    """A catalogued mistake that gives what ordinary inputs show, where something else is wrong on special ones."""
    ordinary = [index for index in range(len(probes)) if not probes[index].only]
    if not set(ordinary) & set(wrong) or any(seen[index].error for index in ordinary):
        return None
    mistakes = matching(function, topic, [probes[index] for index in ordinary], [seen[index] for index in ordinary], library, may_change)
    if not mistakes:
        return None
    functions = _functions(mistakes[0], library)
    others = [index for index in wrong if probes[index].only and not _gives(probes[index], functions, may_change, seen[index])]
    if not others:  # it is right where the mistake is not: this is another one
        return None
    finding = _catalogued(mistakes, _visible(seen, expected, [index for index in ordinary if index in wrong]))
    places = _listed([*dict.fromkeys(probes[index].only for index in others)])
    return replace(finding, sentence=f"{finding.sentence}; and something else is wrong {places}")


def _visible(seen, expected, wrong):
    """The first probe whose numbers differ as they are printed, or else the first that is wrong."""
    for index in wrong:
        for name in differing(seen[index], expected[index]) if not seen[index].error else ():
            got, right = seen[index].values.get(name), expected[index].values[name]
            if not _same_shape(name, seen[index], expected[index]) or got.dtype != right.dtype or _short(got) != _short(right):
                return index
    return wrong[0]


def _changes_alone(function, seen, expected, wrong):
    """All numbers are right, but arguments are modified."""
    if any(not each.error and differing(each, right) for each, right in zip(seen, expected, strict=True)):
        return None
    changed = _changed(function, seen)
    if not changed:
        return None
    return "mutation", f"modifies its argument {_listed(changed)}; whoever called it still needs that array: work on a copy", wrong[0]


def _changed(function, seen):
    """The arguments that are modified, of other functions with their names."""
    return sorted({name.removesuffix(f" of {function}") for each in seen for name in each.changed})


def _unsteady(seen, wrong):
    """Two calls with the same arguments disagree."""
    if any(each.unsteady for each in seen):
        return "state", "gives other numbers when it is called again with the same arguments", wrong[0]
    return None


def _difference_and_way(topic, function, probes, seen, expected, wrong):
    told = _difference(probes, seen, expected, wrong)
    way = _values_on_the_way(topic, function, probes, seen, expected)
    if way is not None:
        kind, sentence = told or ("unknown", _named(seen, expected, wrong))
        told = kind, f"{sentence}; {way}"
    return told and (*told, _visible(seen, expected, wrong))


def _values_on_the_way(topic, function, probes, seen, expected):
    """Which of the values on the way to a wrong result the function's variables hold, and the next that none holds."""
    chains = getattr(importlib.import_module(f"chainrule.lab.probes.{topic}"), "CHAINS", {})
    for chain in chains.get(function, ()):
        index = next(i for i, probe in enumerate(probes) if probe.title == chain.title)
        if chain.result not in differing(seen[index], expected[index]):
            continue
        steps = chain.steps()
        holders = {
            step: next((name for name, held in seen[index].local.items() if _holds(held, value)), "") for step, value in steps.items()
        }
        right = [f"{step} (`{holder}`)" for step, holder in holders.items() if holder]
        if right:
            last = max(number for number, holder in enumerate(holders.values()) if holder)
            following = [step for number, step in enumerate(steps) if number > last] or [step for step in steps if not holders[step]]
            told = f"on the way to {chain.result} you have the right {_listed(right)}, so the mistake is elsewhere"
            return told + (f"; {following[0]} would be {_short(steps[following[0]])} for {chain.title}" if following else "")
    return None


def _holds(held, value):
    return held.size == value.size and np.allclose(held.reshape(value.shape), value, rtol=1e-6, atol=1e-9)


def _form(probes, seen, expected, wrong):
    """A value of another shape or dtype, or one that is not finite: in the first probe that is wrong; of other ordinary ones the shape."""
    for index in [wrong[0], *(index for index in wrong[1:] if not probes[index].only)]:
        for name in differing(seen[index], expected[index]):
            told = _shape(name, seen[index], expected[index])
            if told and (index == wrong[0] or told[0] not in ("numerics", "dtype")):
                return *told, index
    return None


def _difference(probes, seen, expected, wrong):
    """What the difference looks like, of the first value that is wrong."""
    names = differing(seen[wrong[0]], expected[wrong[0]])
    if not names:
        return None
    also = [
        index
        for index in wrong
        if names[0] in differing(seen[index], expected[index]) and _same_shape(names[0], seen[index], expected[index])
    ]
    told = _numbers(names[0], probes, seen, expected, also)
    if told is None and len({probes[index].only for index in wrong}) == 1 and probes[wrong[0]].only:
        return probes[wrong[0]].kind, _named(seen, expected, wrong)
    return told


def _same_shape(name, seen, expected):
    got, right = seen.values.get(name), expected.values[name]
    return got is not None and right is not None and got.shape == right.shape


def _where(probes, wrong):
    """What the probes that show it have in common, if others do not."""
    places = {probes[index].only for index in wrong}
    (place,) = places if len(places) == 1 else ("",)
    return f"is right otherwise, but wrong {place}: " if place else ""


def _shape(name, seen, expected):
    got, right = seen.values.get(name), expected.values[name]
    if right is None:
        return "unknown", f"{name} should not be there"
    if got is None:
        return "shape", f"{name} is None; expected shape {right.shape}"
    if got.shape != right.shape:
        how = likely_shape_mistake(got, right.shape)
        if ".reshape" in how and not _near(got.reshape(right.shape).astype(np.float64), right):
            how = ""
        kind = "transpose" if "transposed" in how else "axis" if "sum over" in how else "broadcasting" if got.size > right.size else "shape"
        return kind, f"{name} has shape {got.shape}; expected {right.shape}{': ' if how else ''}{how}"
    if right.dtype.kind == "f" and got.dtype.kind in "iu":
        return "dtype", f"{name} has dtype {got.dtype}, which rounds to integers; expected {right.dtype}"
    if _less_precise(got, right):
        return "dtype", f"{name} has dtype {got.dtype} for inputs of {right.dtype}; expected theirs"
    bad = ~np.isfinite(got) & np.isfinite(right)
    if bad.any():
        return "numerics", f"{name} is {got[bad].flat[0]} where {_short(right[bad].flat[0])} is right"
    return None


def _numbers(name, probes, seen, expected, wrong):
    """A constant factor, a transpose, a swap with another result, or an offset; the same one on all probes."""
    if expected[wrong[0]].values[name].dtype.kind == "b" and expected[wrong[0]].values[name].ndim == 0:
        return "unknown", f"{name}: {bool(seen[wrong[0]].values[name])}; expected {bool(expected[wrong[0]].values[name])}"
    pairs = [(seen[i].values[name].astype(np.float64), expected[i].values[name].astype(np.float64)) for i in wrong]
    if all(not got.any() for got, _ in pairs):
        return "missing-term", f"{name} is zero everywhere"
    found = [_factor(got, right) for got, right in pairs]
    factors = [factor for factor in found if factor is not None]
    if len(factors) == len(pairs) and (
        any(right.size > 1 for _, right in pairs) or (len(pairs) > 1 and np.ptp(factors) < 1e-6 * abs(factors[0]))
    ):  # any number is another one times something
        return _scale(name, factors, [probes[i].sizes for i in wrong])
    wide = [(got, right) for got, right in pairs if max(got.shape, default=1) > 1]
    if wide and all(got.ndim == 2 and got.shape[0] == got.shape[1] and _near(got.T, right) for got, right in wide):
        return "transpose", f"{name} is transposed"
    for other in expected[wrong[0]].values:
        if other != name and all(_near(got, expected[i].values[other]) for i, (got, _) in zip(wrong, pairs, strict=True)):
            return "shape", f"{name} holds what {other} should be; are they given back in the wrong order?"
    offsets = [np.mean(got - right) for got, right in pairs]
    if all(got.size > 1 and _near(got - offset, right) for (got, right), offset in zip(pairs, offsets, strict=True)):
        return "missing-term", f"{name} is off by the same number everywhere, {_short(offsets[0])} for {probes[wrong[0]].title}"
    inside = [(got[..., 1:-1, 1:-1], right[..., 1:-1, 1:-1]) for got, right in pairs if got.ndim == 4 and min(got.shape[2:]) > 2]
    if inside and len(inside) == len(pairs) and all(_near(got, right) for got, right in inside):
        return "off-by-one", f"{name} is right inside the image, but wrong at its border"
    return None


def _near(got, right):
    right = np.asarray(right, np.float64) if right is not None else None
    return right is not None and got.shape == right.shape and np.allclose(got, right, rtol=0, atol=1e-5 * np.abs(right).max(initial=1e-9))


def _factor(got, right):
    square = np.vdot(right, right)
    if not square or not np.isfinite(square):
        return None
    factor = np.vdot(right, got) / square
    return factor if factor and _near(got / factor, right) else None


def _scale(name, factors, sizes):
    """What one factor a probe has to do with the sizes of that probe."""
    if np.allclose(factors, -1):
        return "sign", f"{name} has the wrong sign"
    for symbol in sizes[0]:
        if not all(symbol in size for size in sizes):
            continue
        values = np.array([size[symbol] for size in sizes], float)
        meaning = f"{symbol} = {sizes[0][symbol]:g} for the first that shows it"
        if np.ptp(values) or len(values) == 1:
            if np.allclose(factors, values):
                return "scale", f"{name} is {symbol} times too large ({meaning}): a division by {symbol} is missing"
            if np.allclose(factors, 1 / values):
                return "scale", f"{name} is {symbol} times too small ({meaning}): it is divided by {symbol} once too often"
    if np.ptp(factors) < 1e-6 * abs(factors[0]):
        factor = float(factors[0])
        size = f"{abs(factor):.6g} times too large" if abs(factor) > 1 else f"{1 / abs(factor):.6g} times too small"
        return "scale", f"{name} is {size}{', and has the wrong sign' if factor < 0 else ''}"
    listed = ", ".join(f"{factor:.4g}" for factor in factors[:4])
    return "scale", f"{name} is the right one times a number that depends on the input: {listed}"


def _named(seen, expected, wrong):
    """The values that are wrong in the first such probe, and those that are so in none."""
    names = differing(seen[wrong[0]], expected[wrong[0]])
    anywhere = {name for index in wrong for name in differing(seen[index], expected[index])}
    right = [name for name in expected[wrong[0]].values if name not in anywhere]
    return f"{_listed(names)} {'is' if len(names) == 1 else 'are'} wrong" + (f" ({', '.join(right)} right)" if right else "")


def _listed(names):
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _short(value):
    return np.array2string(np.asarray(value), precision=4, threshold=12, suppress_small=True).replace("\n", "")
