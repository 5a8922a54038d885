"""Everything that defines a training run, as plain values: what the command line, a TOML file and a run's config.json say.

Plain Python, without NumPy, so that the command line knows its options at once; `chainrule.training.build` makes a Trainer of it.
"""

import dataclasses
import difflib
import inspect
import math
import types
import typing
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from chainrule.models import MODELS

__all__ = ["Settings", "model_arguments"]

BATCH_SIZE = 100
LEARNING_RATES = {"sgd": 0.05, "rmsprop": 1e-3, "adam": 1e-3, "adamw": 1e-3, "adagrad": 1e-2}


def _setting(default, help, *, low=None, above=None, high=None):
    return field(default=default, metadata={"help": help, "low": low, "above": above, "high": high})


@dataclass(frozen=True)
class Settings:
    """One run. Every field is an option of `chainrule train`; its help and its range are in the field's metadata.

    Raises
    ------
    ValueError
        A value has the wrong type or is out of range; an argument is not one of the model's.
    """

    model: str
    model_arguments: dict[str, Any] = field(default_factory=dict)
    data: Literal["digits", "cifar10"] = _setting("digits", "dataset")
    limit: int | None = _setting(None, "train on this many images only", low=1)
    engine: Literal["hand", "torch"] = _setting("hand", "what computes: the hand-written engine, or its PyTorch twin")
    dtype: Literal["float32", "float64"] = _setting("float32", "of parameters and activations")
    loss: Literal["cross-entropy", "hinge"] = _setting("cross-entropy", "loss function")
    label_smoothing: float = _setting(0.0, "share of the target spread over all classes", low=0, high=0.99)
    optimizer: Literal["sgd", "rmsprop", "adam", "adamw", "adagrad"] = _setting("adam", "update rule")
    lr: float | None = _setting(None, "learning rate (default: 0.05 for sgd, 0.01 for adagrad, else 0.001)", above=0)
    momentum: float = _setting(0.9, "of sgd", low=0, high=1)
    nesterov: bool = _setting(False, "Nesterov's momentum, for sgd")
    weight_decay: float = _setting(0.0, "on weights, not on biases and norms", low=0)
    clip_norm: float | None = _setting(None, "greatest norm of the gradient", above=0)
    schedule: Literal["constant", "step", "exponential", "cosine", "one-cycle"] = _setting("constant", "how the learning rate goes")
    gamma: float = _setting(0.1, "factor of the step schedule, and of the exponential one over the whole run", above=0, high=1)
    step_epochs: int = _setting(10, "epochs between the drops of the step schedule", low=1)
    warmup_epochs: float = _setting(0.0, "epochs over which the learning rate rises linearly first", low=0)
    epochs: int = _setting(10, "passes over the training images", low=1)
    batch_size: int | None = _setting(None, "images an update (default: 100, or limit where that is less)", low=1)
    augment: bool = _setting(False, "random shifts of the training images, and flips (not of digits: mirrored ones are other signs)")
    cutout: int = _setting(0, "side of a square that is blanked in every training image, pixels", low=0)
    patience: int | None = _setting(None, "stop after this many epochs without better validation accuracy", low=1)
    statistics: bool = _setting(False, "log activations, gradients and dead units of every layer each epoch")
    seed: int = _setting(0, "of initialisation, split, order, augmentation and dropout", low=0)
    checkpoint_every: float = _setting(10.0, "seconds between checkpoints within an epoch", low=0)

    def __post_init__(self):
        if not isinstance(self.model, str) or self.model not in MODELS:
            raise ValueError(f"there is no model {self.model!r}{_nearest(self.model, MODELS)}; there are {', '.join(MODELS)}")
        hints = typing.get_type_hints(type(self))
        for entry in fields(self):
            if entry.metadata:
                object.__setattr__(self, entry.name, _checked(entry.name, getattr(self, entry.name), hints[entry.name]))
                _check_range(entry, getattr(self, entry.name))
        object.__setattr__(self, "model_arguments", _checked_model_arguments(self.model, self.model_arguments))
        if self.lr is None:
            object.__setattr__(self, "lr", LEARNING_RATES[self.optimizer])
        if self.batch_size is None:
            object.__setattr__(self, "batch_size", min(BATCH_SIZE, self.limit or BATCH_SIZE))
        if self.label_smoothing and self.loss != "cross-entropy":
            raise ValueError(f"label_smoothing is {self.label_smoothing}, but the {self.loss} loss has none; use the cross-entropy loss")
        if self.warmup_epochs and self.schedule == "one-cycle":
            raise ValueError(f"warmup_epochs is {self.warmup_epochs}, but the one-cycle schedule has a warm-up of its own; leave it out")
        if self.statistics and self.engine != "hand":
            raise ValueError("statistics are those of the hand-written layers; use engine = hand, or leave statistics out")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Settings":
        """Settings from a TOML or JSON file.

        Raises
        ------
        ValueError
            A key is unknown (the message names the nearest), `model` is missing, or a value does not fit.
        """
        if not isinstance(values, dict):
            raise ValueError(f"the settings are {values!r}; they must be names with values")
        names = [entry.name for entry in fields(cls)]
        for key in values:
            if key not in names:
                hint = _place_of_argument(key) or _nearest(key, names) or "; `chainrule train --help` lists what there is"
                raise ValueError(f"unknown setting {key!r}{hint}")
        if "model" not in values:
            raise ValueError(f"the settings name no model; add model = one of {', '.join(MODELS)}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """All values, as they go into config.json."""
        return dataclasses.asdict(self)

    def without_effect(self) -> list[str]:
        """A sentence for each value that is not the default, but that nothing reads."""
        optimizer, schedule = ("optimizer", ("sgd",)), ("schedule", ("step", "exponential"))
        readers = {"momentum": optimizer, "nesterov": optimizer, "gamma": schedule, "step_epochs": ("schedule", ("step",))}
        defaults = {entry.name: entry.default for entry in fields(self)}
        return [
            f"{name} = {getattr(self, name)} has no effect: it is for {what} = {' or '.join(kinds)}, not {getattr(self, what)}"
            for name, (what, kinds) in readers.items()
            if getattr(self, name) != defaults[name] and getattr(self, what) not in kinds
        ]


def model_arguments(model: str) -> dict[str, inspect.Parameter]:
    """The arguments of a model beyond image and classes, by name."""
    signature = inspect.signature(MODELS[model])
    return {name: entry for name, entry in signature.parameters.items() if entry.kind is inspect.Parameter.KEYWORD_ONLY}


# --- checks -----------------------------------------------------------------------------------------------------------------------


def _checked_model_arguments(model, given):
    if not isinstance(given, dict):
        raise ValueError(f"model_arguments is {given!r}; it must be names with values, such as {{'hidden_dims': [100]}}")
    known = model_arguments(model)
    checked = {name: entry.default for name, entry in known.items()}
    hints = typing.get_type_hints(MODELS[model])
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"{model} has no argument {name!r}{_nearest(name, known)}; it takes {', '.join(known)}")
        checked[name] = _checked(name, value, hints[name])
    return checked


def _place_of_argument(name):
    """A hint if `name` is an argument of a model, or the option `--hidden` of hidden_dims; else ""."""
    for argument in (argument for model in reversed(MODELS) for argument in model_arguments(model)):
        if name in (argument, argument.removesuffix("_dims").removesuffix("_dim")):
            return f" (an argument of the model goes under model_arguments{'' if name == argument else f', as {argument}'})"
    return ""


def _checked(name, value, kind):
    """`value` as `kind` (a type, Literal, `X | None` or tuple[X, ...]), or an error that says what was expected."""
    origin, options = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        if value not in options:
            raise ValueError(f"{name} is {value!r}{_nearest(value, options)}; it must be one of {', '.join(map(str, options))}")
        return value
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _checked(name, value, options[0])
    if origin is tuple:
        values = value if isinstance(value, list | tuple) else [value]
        return tuple(_checked(name, entry, options[0]) for entry in values)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        expected = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[kind]
        raise ValueError(f"{name} is {value!r}; it must be {expected}")
    if kind is float and not math.isfinite(value):
        raise ValueError(f"{name} is {value}; it must be a finite number")
    return value


def _check_range(entry, value):
    low, above, high = (entry.metadata[key] for key in ("low", "above", "high"))
    if value is None:
        return
    if low is not None and not value >= low:
        raise ValueError(f"{entry.name} is {value}; it must be at least {low}")
    if above is not None and not value > above:
        raise ValueError(f"{entry.name} is {value}; it must be above {above}")
    if high is not None and not value <= high:
        raise ValueError(f"{entry.name} is {value}; it must be at most {high}")


def _nearest(word, words):
    close = difflib.get_close_matches(str(word), list(map(str, words)), n=2)
    return f" (did you mean {' or '.join(close)}?)" if close else ""
