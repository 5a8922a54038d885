"""What a check does with somebody's functions, and what it sees: probes, and their outcomes as arrays by name.

A probe is run twice: with the learner's functions, in a process of their own, and with the library's. It draws its inputs from seeds, so
that both see the same ones. NumPy alone is imported here.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np

__all__ = ["Chain", "ContractError", "Outcome", "Probe", "Watch", "observe", "outcome", "pair", "results", "same"]


class ContractError(Exception):
    """A function gave back something else than its docstring says."""


@dataclass(frozen=True)
class Probe:
    """One question to a function.

    Attributes
    ----------
    title : what is special about its input, "a batch of 4 samples"
    observe : functions -> what came of them, arrays and numbers by name; `functions.affine_forward` is that function
    sizes : what a wrong factor may be, by name: {"N": 4}
    only : where the function is wrong if it is so in such probes alone, "in test mode"; "" for an ordinary one
    kind : of mistake in that case
    """

    title: str
    observe: Callable[[Any], Mapping[str, Any]]
    sizes: Mapping[str, float] = field(default_factory=dict)
    only: str = ""
    kind: str = "unknown"


@dataclass(frozen=True)
class Chain:
    """The values on the way to a result.

    Attributes
    ----------
    title : of the probe that they belong to
    result : the value that they lead to
    steps : () -> the right values on the way, by name and in order
    """

    title: str
    result: str
    steps: Callable[[], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Outcome:
    """What a probe saw.

    Attributes
    ----------
    values : arrays by name; None for what is None
    error : what went wrong instead, "" if nothing did
    fault : "contract" if the function gave back the wrong things, "unwritten", or the name of an exception
    place : "file:line" of the error in the learner's files
    changed : names of arguments that were modified
    unsteady : whether a second call, on the same input, gave other numbers
    local : arrays that the function had in its variables when it returned, by name
    within : the function in which the error was
    printed : what the first run printed, or its beginning
    """

    values: Mapping[str, np.ndarray | None] = field(default_factory=dict)
    error: str = ""
    fault: str = ""
    place: str = ""
    changed: tuple[str, ...] = ()
    unsteady: bool = False
    local: Mapping[str, np.ndarray] = field(default_factory=dict)
    within: str = ""
    printed: str = ""


class Watch:
    """Functions by name, for probes to call, and what they are called with and do to it.

    Parameters
    ----------
    functions : or classes
    may_change : names of arguments that may be modified
    methods : whether calls of the classes' methods are kept, too

    Attributes
    ----------
    functions : what a probe gets
    calls : the name and the arguments of every call, as they were before it
    changed : "x of relu_forward" for every array that a call modified
    """

    def __init__(self, functions: Mapping[str, Any], may_change: Iterable[str] = (), *, methods: bool = False):
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.changed: list[str] = []
        self._may_change = set(may_change)
        self._methods, self._inside = methods, False
        self.functions = SimpleNamespace(**{name: self._watched(name, code) for name, code in functions.items()})

    def _watched(self, name, code):
        if isinstance(code, type):
            return self._watched_class(code) if self._methods else code
        if not isinstance(code, FunctionType):
            return code
        names = code.__code__.co_varnames[: code.__code__.co_argcount]

        def called(*arguments, **named):
            given = {names[i] if i < len(names) else f"argument {i + 1}": value for i, value in enumerate(arguments)} | named
            self.calls.append((name, {argument: _copied(value) for argument, value in given.items()}))
            kept = {argument: _arrays_in(value, argument) for argument, value in given.items() if argument not in self._may_change}
            before = {argument: [array.copy() for array in arrays] for argument, arrays in kept.items()}
            try:
                result = code(*arguments, **named)
            except (AttributeError, TypeError) as error:
                if given.get("cache", 0) is None:
                    error.args = (f"{error}; the cache is None here: the forward pass has to keep what this one needs",)
                raise
            for argument, arrays in kept.items():
                told = f"{argument} of {name}"
                if told not in self.changed and not all(map(same, before[argument], arrays)):
                    self.changed.append(told)
            return result

        return called

    def _watched_class(self, code):
        methods = {name: method for name, method in vars(code).items() if isinstance(method, FunctionType)}
        public = {name: method for name, method in methods.items() if name == "__init__" or not name.startswith("_")}
        return type(code.__name__, (code,), {name: self._watched_method(code.__name__, name, method) for name, method in public.items()})

    def _watched_method(self, owner, name, method):
        names = method.__code__.co_varnames[1 : method.__code__.co_argcount]

        @wraps(method)  # Keras asks for the signature
        def called(instance, *arguments, **named):
            outermost, self._inside = not self._inside, True
            try:
                if outermost:
                    given = dict(zip(names, arguments, strict=False)) | named
                    values = {} if name == "__init__" else _parameters(instance)
                    told = owner if name == "__init__" else f"{owner}.{name}"
                    self.calls.append((told, {key: _copied(value) for key, value in (values | given).items()}))
                return method(instance, *arguments, **named)
            finally:
                self._inside = not outermost

        return called


def _parameters(network):
    """A network's parameters by name, as these classes keep them."""
    return dict(network.named_parameters()) if hasattr(network, "named_parameters") else dict(getattr(network, "params", {}))


def _copied(value):
    if isinstance(value, dict):
        return {name: _copied(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_copied(entry) for entry in value]
    if hasattr(value, "detach"):  # a tensor
        return value.detach().clone()
    if hasattr(value, "read_value"):  # a variable of TensorFlow; its tensors never change
        return value.numpy()
    return value.copy() if isinstance(value, np.ndarray) else value


def _arrays_in(value, argument):
    """The array that an argument is; of a cache those that are in it, for whoever calls a second backward pass needs them again."""
    if isinstance(value, np.ndarray):
        return [value]
    if argument != "cache":
        return []
    inside = value if isinstance(value, tuple | list) else value.values() if isinstance(value, dict) else ()
    return [array for entry in inside for array in _arrays_in(entry, argument)]


def same(first: np.ndarray | None, second: np.ndarray | None) -> bool:
    """Whether two arrays are equal, or both None; not a number equals itself."""
    if first is None or second is None:
        return first is second
    return np.array_equal(first, second, equal_nan=first.dtype.kind == "f" and second.dtype.kind == "f")


def pair(function: str, result: Any) -> tuple[Any, Any]:
    """(out, cache), once the result is known to be two things."""
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise ContractError(f"{function} gives back {_described(result)}; expected a pair (out, cache)")
    out, cache = result
    return _no_list("out", out), cache


def results(function: str, result: Any, *names: str) -> dict[str, Any]:
    """What a function gave back, by name, once it is known to be so many things."""
    if len(names) == 1:
        if isinstance(result, tuple | list) and len(result) == 1:
            result = result[0]
        if isinstance(result, tuple | list):
            raise ContractError(f"{function} gives back {_described(result)}; expected {names[0]} alone")
        return {names[0]: result}
    if not isinstance(result, tuple | list) or len(result) != len(names):
        raise ContractError(f"{function} gives back {_described(result)}; expected {', '.join(names)}")
    return {name: _no_list(name, value) for name, value in zip(names, result, strict=True)}


def _no_list(name: str, value: Any) -> Any:
    if isinstance(value, tuple | list) and not _is_tuple_of_one(value):
        raise ContractError(f"{name} is a {type(value).__name__}; expected an array")
    return value


def _is_tuple_of_one(value: Any) -> bool:
    """Which a comma too many makes of an array."""
    return type(value) is tuple and len(value) == 1 and isinstance(value[0], np.ndarray)


def observe(probe: Probe, functions: Any) -> dict[str, np.ndarray | None]:
    """The values of one run of a probe.

    Raises
    ------
    ContractError
        One of them is no array of numbers.
    Exception
        Whatever the functions raise.
    """
    with np.errstate(all="ignore"):  # a number that is not finite is seen in what comes back
        return _arrays(probe.observe(functions))


def outcome(probe: Probe, functions: Mapping[str, Any], may_change: Iterable[str] = (), *, again: bool = True) -> Outcome:
    """What a probe sees of functions that can be trusted to come back; with `again`, whether a second run sees the same."""
    watch = Watch(functions, may_change)
    try:
        values = observe(probe, watch.functions)
        second = observe(probe, watch.functions) if again else values
    except ContractError as error:
        return Outcome(error=str(error), fault="contract", changed=tuple(watch.changed))
    except Exception as error:
        return Outcome(error=str(error) or "without a message", fault=type(error).__name__, changed=tuple(watch.changed))
    return Outcome(values, changed=tuple(watch.changed), unsteady=any(not same(values[name], second.get(name)) for name in values))


def _arrays(values: Mapping[str, Any]) -> dict[str, np.ndarray | None]:
    """Values as arrays of numbers, copied."""
    converted: dict[str, np.ndarray | None] = {}
    for name, value in values.items():
        if value is None:
            converted[name] = None
            continue
        if _is_tuple_of_one(value):
            raise ContractError(f"{name} is a tuple of one thing; expected an array: is there a comma too many at the end of a line?")
        try:
            array = np.array(_off_the_graph(value))
        except ValueError:
            array = np.array(None)
        if array.dtype.kind not in "biuf":
            raise ContractError(f"{name} is {_described(value)}; expected an array of numbers")
        converted[name] = array
    return converted


def _off_the_graph(value: Any) -> Any:
    """A tensor's values; anything else as it is."""
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value


def _described(value: Any) -> str:
    if value is None:
        return "None (is the return missing?)"
    if isinstance(value, np.ndarray):
        return f"one array of shape {value.shape}" if value.dtype.kind in "biuf" else f"an array of {value.dtype}"
    if isinstance(value, tuple | list):
        return f"{len(value)} {'thing' if len(value) == 1 else 'things'}"
    return f"{'an' if type(value).__name__[0] in 'aeiou' else 'a'} {type(value).__name__}"
