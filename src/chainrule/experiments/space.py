"""The space that a search goes through: what the model's arguments and the trainer's settings say is worth trying, or a person."""

import typing
from dataclasses import fields
from typing import Any

from chainrule.models import MODELS
from chainrule.recipes import RECIPES
from chainrule.search import Choices, Range
from chainrule.settings import OF_PYTORCH, OPTIMIZERS, Settings, model_arguments

__all__ = ["Space", "choice_text", "place", "search_space"]

Space = dict[str, Range | Choices]
# what says on which images and how something is computed, not what is learned
NOT_SEARCHED = {"data", "limit", "validation", "engine", "dtype", "seed", "statistics", "checkpoint_every", *OF_PYTORCH}
SPREAD = 30  # a learning rate is looked for from a default divided by this to one times it


def search_space(values: dict[str, Any], said: dict[str, str]) -> Space:
    """What to search, by name; what `values` fix is left out.

    Parameters
    ----------
    values : as for `Settings.from_dict`
    said : {name of a setting or an argument of the model: "0.001..0.1" or "adam, sgd"}, instead of what is worth trying by itself

    Raises
    ------
    ValueError
        A name is unknown or fixed, a value does not fit, or there is nothing to search.
    """
    settings = Settings.from_dict(values)
    fixed = values.keys() | values.get("model_arguments", {}).keys()
    space = {name: worth for name, worth in _worth_trying(settings).items() if name not in fixed}
    for name, text in said.items():
        name = _full_name(settings.model, name)
        if name in fixed:
            raise ValueError(f"{name} is fixed, so it cannot be searched; leave one of the two out")
        space[name] = _parsed(name, text, _kinds(settings.model)[name])
        for end in _ends(space[name]):
            try:
                Settings.from_dict(place(values, {name: end}))
            except ValueError as error:
                raise ValueError(f"--search {name}={text}: {error}") from error
    if "optimizer" in space and "lr" in space and "lr" not in said:
        rates = [OPTIMIZERS[name]["lr"] for name in typing.cast(Choices, space["optimizer"]).values]
        space["lr"] = Range(min(rates) / SPREAD, max(rates) * SPREAD, log=True)
    if not space:
        raise ValueError("everything is fixed; leave out what is to be searched, or name it: --search lr=0.001..0.1")
    return space


def place(values: dict[str, Any], chosen: dict[str, Any]) -> dict[str, Any]:
    """`values` with `chosen` over them, each name where `Settings.from_dict` wants it."""
    known = model_arguments(values["model"])
    arguments = {name: value for name, value in chosen.items() if name in known}
    settings = {name: value for name, value in chosen.items() if name not in known}
    return values | settings | {"model_arguments": values.get("model_arguments", {}) | arguments}


def choice_text(value: Any) -> str:
    """One of several values as text: databases hold no tuples."""
    return " ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value).lower()


def _worth_trying(settings) -> Space:
    space: Space = {"lr": Range(settings.lr / SPREAD, settings.lr * SPREAD, log=True)}
    recipe = RECIPES.get(settings.model, {})  # what a network is published with is not guessed anew
    for entry in fields(Settings):
        if entry.metadata.get("search") and entry.name not in recipe:
            space[entry.name] = entry.metadata["search"]
    batch_size = space.get("batch_size")
    if isinstance(batch_size, Choices) and settings.limit is not None:
        fitting = tuple(size for size in batch_size.values if size <= settings.limit)
        space |= {"batch_size": Choices(fitting or (settings.limit,))}
    for name, hint in typing.get_type_hints(MODELS[settings.model], include_extras=True).items():
        for worth in typing.get_args(hint)[2:]:  # of Annotated[kind, help, what is worth trying]
            if isinstance(worth, Range | Choices):
                space[name] = worth
    return space


def _kinds(model):
    """{name: type} of everything that can be searched."""
    arguments = model_arguments(model)
    hints = {name: kind for name, kind in typing.get_type_hints(MODELS[model]).items() if name in arguments}
    settings = typing.get_type_hints(Settings)
    return {entry.name: settings[entry.name] for entry in fields(Settings) if entry.metadata and entry.name not in NOT_SEARCHED} | hints


def _full_name(model, name):
    name = name.replace("-", "_")
    kinds = _kinds(model)
    for full in (name, f"{name}_dims", f"{name}_dim"):  # as the options are called
        if full in kinds:
            return full
    raise ValueError(f"--search {name}: it is neither a setting nor an argument of {model}; there are {', '.join(kinds)}")


def _parsed(name, text, kind) -> Range | Choices:
    """ "1e-4..0.1" or "adam, sgd" or "200, 400 200" (of tuples)."""
    options = typing.get_args(kind)
    low, dots, high = text.partition("..")
    try:
        if not dots:
            return Choices(tuple(_value(word.strip(), kind) for word in text.split(",")))
        if float in (kind, *options):
            bounds = float(low), float(high)
        elif int in (kind, *options) and typing.get_origin(kind) is not tuple:
            bounds = int(low), int(high)
        else:
            raise ValueError("only numbers have a range; give values: a, b, c")
    except ValueError as error:
        raise ValueError(f"--search {name}={text}: {error}; it must be a range, 0.001..0.1, or values, 0.1, 0.2") from None
    if not bounds[0] < bounds[1]:
        raise ValueError(f"--search {name}={text}: the first of a range must be less than the last")
    return Range(*bounds, log=bounds[0] > 0 and bounds[1] >= 10 * bounds[0])


def _value(word, kind):
    options = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        return () if word == "none" else tuple(_value(part, options[0]) for part in word.split())
    if word == "none" and type(None) in options:
        return None
    for number in (int, float):
        if number in (kind, *options):
            return number(word)
    if kind is bool:
        if word not in ("true", "false", "on", "off"):
            raise ValueError(f"{word!r} is neither on nor off")
        return word in ("true", "on")
    return word


def _ends(worth):
    return worth.values if isinstance(worth, Choices) else (worth.low, worth.high)
