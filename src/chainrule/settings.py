"""Everything that defines a training run, as plain values: what the command line, a TOML file and a run's config.json say.

Plain Python, without NumPy, so that the command line knows its options at once; `chainrule.training.build` makes a Trainer of it.
"""

import copy
import dataclasses
import difflib
import inspect
import math
import types
import typing
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from chainrule.models import MODELS
from chainrule.recipes import RECIPES
from chainrule.search import Choices, Range

__all__ = ["OF_OPTIMIZER", "OF_PYTORCH", "OPTIMIZERS", "Settings", "model_arguments"]

# defaults of each update rule, over the general ones
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"lr": 0.05, "momentum": 0.9, "nesterov": False},
    "rmsprop": {"lr": 1e-3},
    "adam": {"lr": 1e-3},
    "adamw": {"lr": 1e-3},
    "adagrad": {"lr": 1e-2},
    "muon": {"lr": 0.02, "momentum": 0.95, "nesterov": True, "groups": {"vectors": {"optimizer": "adam"}}},
}
OF_OPTIMIZER = ("lr", "momentum", "nesterov", "groups")  # what suits one optimizer says nothing about another
OF_GROUP = {"ns_steps": int, "normalize_weights": bool, "epochs": float}  # what a group can say beside `optimizer` and the above

OF_PYTORCH = ("device", "amp", "channels_last", "compile", "accumulate")

NOT_GIVEN: Any = object()


def _setting(default, help, *, low=None, above=None, high=None, search=None):
    metadata = {"default": default, "help": help, "low": low, "above": above, "high": high, "search": search}
    return field(default=NOT_GIVEN, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """One run. Every field is an option of `chainrule train`; its help, range, default and what is worth trying are in its metadata.

    What is not given has the default of the model (`chainrule.recipes`), else that of the optimizer (`OPTIMIZERS`), else the general one.
    A recipe's rates are those of its optimizer: with another one they do not count.

    `groups`, which only a file can give, are parameters with an optimizer or values of their own: "vectors" (one axis or none), "matrices",
    "filters" (three axes or more), or a pattern of names ("0.bias", "*.bias"), with any of optimizer, lr, momentum, nesterov, weight_decay;
    ns_steps and normalize_weights, of Muon; and epochs, at the end of which the group's share of a triangular schedule has come to 0. A
    parameter belongs to the first group that it fits.

    Raises
    ------
    ValueError
        A value has the wrong type or is out of range; an argument is not one of the model's.
    """

    model: str
    model_arguments: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = NOT_GIVEN
    data: Literal["digits", "cifar10"] = _setting("digits", "dataset")
    limit: int | None = _setting(None, "train on this many images only", low=1)
    validation: int | None = _setting(None, "images of CIFAR-10 held out for validation (default: 1,000)", low=1)
    engine: Literal["hand", "torch"] = _setting("hand", "what computes: the hand-written engine, or its PyTorch twin")
    dtype: Literal["float32", "float64"] = _setting("float32", "of parameters and activations")
    device: str = _setting("auto", "where PyTorch computes: cpu, cuda, cuda:1, mps; auto takes the best there is")
    amp: Literal["none", "bf16", "fp16"] = _setting("none", "PyTorch's mixed precision: products in half of the digits, weights in all")
    channels_last: bool = _setting(False, "PyTorch's memory format for images in which channels lie last (with amp on a GPU, faster)")
    compile: bool = _setting(False, "have torch.compile make one program of the network first, which takes a minute")
    accumulate: int = _setting(1, "parts of each batch that PyTorch computes one after another, to need less memory", low=1)
    weight_scale: float | None = _setting(
        None, "standard deviation of the first weights, biases then being 0 (default: each layer's own, torch's)", above=0
    )
    loss: Literal["cross-entropy", "hinge"] = _setting("cross-entropy", "loss function")
    label_smoothing: float = _setting(0.0, "share of the target spread over all classes", low=0, high=0.99)
    optimizer: Literal["sgd", "rmsprop", "adam", "adamw", "adagrad", "muon"] = _setting(
        "adam", "update rule; muon is for weights, and leaves biases and norms to adam"
    )
    lr: float | None = _setting(None, "learning rate (default: 0.05 for sgd, 0.01 for adagrad, 0.02 for muon, else 0.001)", above=0)
    momentum: float = _setting(0.9, "of sgd and muon (there 0.95)", low=0, high=1)
    nesterov: bool = _setting(False, "Nesterov's momentum, for sgd and muon (there on)")
    weight_decay: float = _setting(0.0, "on weights, not on biases and norms", low=0, search=Range(1e-6, 0.1, log=True))
    clip_norm: float | None = _setting(None, "greatest norm of the gradient", above=0)
    ema: float | None = _setting(None, "evaluate and keep an exponential average of the weights, with this decay", low=0, high=0.999999)
    schedule: Literal["constant", "step", "exponential", "cosine", "triangular", "one-cycle"] = _setting(
        "constant", "how the learning rate goes", search=Choices(("constant", "cosine", "one-cycle"))
    )
    gamma: float = _setting(0.1, "factor of the step schedule, and of the exponential one over the whole run", above=0, high=1)
    step_epochs: int = _setting(10, "epochs between the drops of the step schedule", low=1)
    warmup_epochs: float = _setting(0.0, "epochs over which the learning rate rises linearly first", low=0)
    epochs: int = _setting(10, "passes over the training images", low=1)
    batch_size: int | None = _setting(100, "images an update (at most limit)", low=1, search=Choices((50, 100, 200)))
    augment: bool = _setting(False, "random shifts of the training images, and flips (not of digits: mirrored ones are other signs)")
    flip: Literal["random", "alternate", "none"] = _setting("random", "flips of augment: at random, or in every other epoch")
    shift: int | None = _setting(None, "greatest shift of augment, pixels (default: an eighth of the image's side)", low=0)
    border: Literal["zero", "reflect"] = _setting("zero", "what a shift brings in: the mean colour, or the image mirrored at its border")
    cutout: int = _setting(0, "side of a square that is blanked in every training image, pixels", low=0)
    tta: Literal["none", "mirror", "mirror-shift"] = _setting("none", "views of each test image whose scores are averaged in the end")
    patience: int | None = _setting(None, "stop after this many epochs without better validation accuracy", low=1)
    statistics: bool = _setting(False, "log activations, gradients and dead units of every layer each epoch")
    seed: int = _setting(0, "of initialisation, split, order, augmentation and dropout", low=0)
    checkpoint_every: float = _setting(10.0, "seconds between checkpoints within an epoch", low=0)

    def __post_init__(self):
        if not isinstance(self.model, str) or self.model not in MODELS:
            raise ValueError(f"there is no model {self.model!r}{_nearest(self.model, MODELS)}; there are {', '.join(MODELS)}")
        hints = typing.get_type_hints(type(self))
        for entry in fields(self):
            if entry.metadata and getattr(self, entry.name) is not NOT_GIVEN:
                self._set(entry.name, _checked(entry.name, getattr(self, entry.name), hints[entry.name]))
                _check_range(entry, getattr(self, entry.name))
        self._set("model_arguments", _checked_model_arguments(self.model, self.model_arguments))
        if self.groups is not NOT_GIVEN:
            self._set("groups", _checked_groups(self.groups, hints))
        for name, default in self._defaults().items():
            if getattr(self, name) is NOT_GIVEN or getattr(self, name) is None:
                self._set(name, default)
        if self.label_smoothing and self.loss != "cross-entropy":
            raise ValueError(f"label_smoothing is {self.label_smoothing}, but the {self.loss} loss has none; use the cross-entropy loss")
        if self.validation is not None and self.data != "cifar10":
            raise ValueError(f"validation is {self.validation}, but the split of {self.data} is fixed; leave it out")
        if self.warmup_epochs and self.schedule == "one-cycle":
            raise ValueError(f"warmup_epochs is {self.warmup_epochs}, but the one-cycle schedule has a warm-up of its own; leave it out")
        if self.statistics and self.engine != "hand":
            raise ValueError("statistics are those of the hand-written layers; use engine = hand, or leave statistics out")
        if self.engine == "hand":
            general = _general_defaults()
            for name in OF_PYTORCH:
                if getattr(self, name) != general[name] and (name, self.device) != ("device", "cpu"):
                    raise ValueError(f"{name} = {getattr(self, name)} is for PyTorch; use engine = torch, or leave it out")
        if self.amp != "none" and self.dtype != "float32":
            raise ValueError(f"amp = {self.amp} computes with fewer digits than dtype = {self.dtype} asks for; leave one of them out")
        if self.batch_size is not None and self.accumulate > self.batch_size:
            raise ValueError(f"accumulate is {self.accumulate}, more parts than the {self.batch_size} images of a batch")
        if self.schedule != "triangular" and (short := [name for name, group in self.groups.items() if "epochs" in group]):
            raise ValueError(f"group {short[0]!r} has epochs of its own, which are for schedule = triangular, not {self.schedule}")

    def _set(self, name, value):
        object.__setattr__(self, name, value)  # the class is frozen for everybody else

    def _defaults(self) -> dict[str, Any]:
        """The values of all fields for which nothing is given, or None."""
        general: dict[str, Any] = _general_defaults() | {"groups": {}}
        recipe = dict(RECIPES.get(self.model, {}))
        if self.optimizer not in (NOT_GIVEN, recipe.get("optimizer")):
            recipe = {name: value for name, value in recipe.items() if name not in OF_OPTIMIZER}
        optimizer = recipe.get("optimizer", general["optimizer"]) if self.optimizer is NOT_GIVEN else self.optimizer
        defaults = copy.deepcopy(general | OPTIMIZERS[optimizer] | recipe)
        if isinstance(self.limit, int):
            defaults["batch_size"] = min(defaults["batch_size"], self.limit)
        return defaults

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

    def with_engine(self, engine: str) -> "Settings":
        """The same run computed by another engine; what is PyTorch's alone goes back to its defaults for the hand-written one."""
        general = _general_defaults()
        return dataclasses.replace(self, engine=engine, **({name: general[name] for name in OF_PYTORCH} if engine == "hand" else {}))

    def without_effect(self) -> list[str]:
        """A sentence for each value that is not the default, but that nothing reads."""
        optimizer, schedule = ("optimizer", ("sgd", "muon")), ("schedule", ("step", "exponential"))
        readers = {"momentum": optimizer, "nesterov": optimizer, "gamma": schedule, "step_epochs": ("schedule", ("step",))}
        readers |= {name: ("augment", (True,)) for name in ("flip", "shift", "border")}
        defaults = self._defaults()
        return [
            f"{name} = {getattr(self, name)} has no effect: it is for {what} = {' or '.join(map(str, kinds))}, not {getattr(self, what)}"
            for name, (what, kinds) in readers.items()
            if getattr(self, name) != defaults[name] and getattr(self, what) not in kinds
        ]


def _general_defaults() -> dict[str, Any]:
    return {entry.name: entry.metadata["default"] for entry in fields(Settings) if entry.metadata}


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


def _checked_groups(given, hints):
    if not isinstance(given, dict) or not all(isinstance(group, dict) for group in given.values()):
        raise ValueError(f"groups is {given!r}; it must be names of parameters with settings, such as {{'*.bias': {{'lr': 0.1}}}}")
    ranges = {entry.name: entry for entry in fields(Settings)}
    kinds = {name: hints[name] for name in ("optimizer", "lr", "momentum", "nesterov", "weight_decay")} | OF_GROUP
    checked = {}
    for place, group in given.items():
        checked[place] = {}
        for name, value in group.items():
            if name not in kinds:
                raise ValueError(f"group {place!r} has no setting {name!r}{_nearest(name, kinds)}; it takes {', '.join(kinds)}")
            try:
                checked[place][name] = _checked(name, value, kinds[name])
                if name in OF_GROUP and not value > 0 and kinds[name] is not bool:
                    raise ValueError(f"{name} is {value}; it must be above 0")
                if name not in OF_GROUP:
                    _check_range(ranges[name], value)
            except ValueError as error:
                raise ValueError(f"group {place!r}: {error}") from None
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
