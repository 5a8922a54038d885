"""Options that come from what the library already says: the fields of Settings, and the arguments of the models."""

import inspect
import typing
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from chainrule.models import MODELS
from chainrule.recipes import RECIPES
from chainrule.settings import Settings, model_arguments

__all__ = ["DataFolder", "ManyValues", "Model", "RunsFolder", "as_options", "given_settings", "with_settings"]

RunsFolder = Annotated[Path, typer.Option("--runs", help="Folder of all runs.", envvar="CHAINRULE_RUNS")]
DataFolder = Annotated[
    Path | None, typer.Option("--data-folder", help="Where the dataset lies (default: CHAINRULE_DATA, or your data folder).")
]
NONE = "none"  # how the command line spells None, of an argument with choices
Model = Annotated[str, typer.Argument(help="Name of a model; `chainrule models` lists them.")]


class ManyValues(TyperCommand):
    """Accepts several values after an option that may be repeated: `--hidden 512 256` is `--hidden 512 --hidden 256`."""

    def parse_args(self, ctx, args):
        repeatable = {flag for option in self.params if getattr(option, "multiple", False) for flag in option.opts}
        expanded, flag, first = [], None, None
        for arg in args:
            self._refuse_commas(ctx, flag if arg not in repeatable else None, arg, repeatable)
            if arg in repeatable:
                flag, first = arg, None
            elif flag and first is None:
                first = arg
            elif flag and _is_another(arg, first):
                expanded.append(flag)
            else:
                flag = None
            expanded.append(arg)
        return super().parse_args(ctx, expanded)

    @staticmethod
    def _refuse_commas(ctx, flag, arg, repeatable):
        """`--hidden 10,20` and `--hidden=10,20` are no numbers; say how several are written."""
        before, equals, value = arg.partition("=")
        if equals and before in repeatable:
            flag, arg = before, value
        if flag and "," in arg and "=" not in arg:  # --search lr=0.1,0.2 is one value
            several = " ".join(arg.replace(",", " ").split())
            raise typer.BadParameter(f"{arg!r}; separate several by spaces: {flag} {several}", ctx=ctx, param_hint=f"'{flag}'")


def _is_another(arg, first):
    """Whether `arg` goes on with the list that `first` began: numbers after a number, words after a word."""
    return arg.isdigit() if first.isdigit() else not arg.startswith("-")


def with_settings(*kinds: str):
    """Decorator: give a command an option for every field of Settings and every argument of a model.

    The command takes them as `**options`; `given_settings` turns them into a dictionary for `Settings.from_dict`.

    Parameters
    ----------
    kinds : "training" for the fields of Settings; the models' arguments are always there
    """

    def decorate(command):
        signature = inspect.signature(command)
        own = [parameter for parameter in signature.parameters.values() if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
        options = [*_model_options(), *(_settings_options() if "training" in kinds else [])]
        command.__signature__ = signature.replace(parameters=own + options)
        hints = typing.get_type_hints(command, include_extras=True)
        command.__annotations__ = {**hints, **{option.name: option.annotation for option in options}}
        return command

    return decorate


def given_settings(model: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """What was said on the command line, as values for `Settings.from_dict`; what was not said is left out."""
    said = {name: value for name, value in options.items() if value is not None and value != []}
    settings: dict[str, Any] = {"model": model} if model else {}
    known = {_option_name(name): (name, entry) for name, entry in model_arguments(model).items()} if model in MODELS else {}
    arguments = {}
    for option in _model_option_names().keys() & said.keys():
        value = said.pop(option)
        name, entry = known.get(option, (option, None))
        single = entry is not None and not isinstance(entry.default, tuple) and isinstance(value, list) and len(value) == 1
        arguments[name] = None if value == NONE else value[0] if single else value
    if arguments:
        settings["model_arguments"] = arguments
    return settings | said


def as_options(values: dict[str, Any]) -> list[str]:
    """Values for `Settings.from_dict` as they are written behind `chainrule train`; the inverse of `given_settings`."""
    settings = {name: value for name, value in values.items() if name not in ("model", "model_arguments")}
    arguments = {_option_name(name): value for name, value in values.get("model_arguments", {}).items()}
    words = [values["model"]]
    for name, value in (settings | arguments).items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif value is None and name in settings:
            continue
        elif isinstance(value, list | tuple):
            words += [flag, *map(str, value)] if value else []
        else:
            words += [flag, NONE if value is None else str(value)]
    return words


def _settings_options():
    hints = typing.get_type_hints(Settings)
    for entry in fields(Settings):
        if entry.metadata:
            text = entry.metadata["help"] + _described_defaults(entry)
            yield _option(entry.name, hints[entry.name], f"--{entry.name.replace('_', '-')}", text, "Training")


def _described_defaults(entry):
    """The general default of a setting, and those of the models that have their own."""
    default = entry.metadata["default"]
    own = [f"{model}: {_word(recipe[entry.name])}" for model, recipe in RECIPES.items() if entry.name in recipe]
    general = [] if default in (None, False) else [f"default: {default}"]
    return f" ({'; '.join(general + own)})" if general or own else ""


def _word(value):
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


def _option_name(argument):
    """hidden_dims and hidden_dim are both `--hidden`."""
    return argument.removesuffix("_dims").removesuffix("_dim")


def _model_option_names():
    """Name of an option -> the models that take it, each with its own name of the argument."""
    takers: dict[str, dict[str, str]] = {}
    for model in MODELS:
        for argument in model_arguments(model):
            takers.setdefault(_option_name(argument), {})[model] = argument
    return takers


def _model_options():
    for name, takers in _model_option_names().items():
        hints = [typing.get_type_hints(MODELS[model], include_extras=True)[argument] for model, argument in takers.items()]
        kinds = [typing.get_args(hint)[:2] for hint in hints]  # of Annotated[kind, help, what is worth trying]
        kind, text = max(kinds, key=lambda entry: _breadth(entry[0]))
        if type(None) in typing.get_args(kind) and _choices(kind):
            kind = Literal[*_choices(kind), NONE] | None  # pyright: ignore[reportOperatorIssue]
        yield _option(name, kind, f"--{name.replace('_', '-')}", f"{text} ({', '.join(takers)})", "Model")


def _breadth(kind):
    """How much an option of this kind takes: several values where one model takes several, and the choices of the model with the most."""
    return typing.get_origin(kind) is tuple, len(_choices(kind))


def _choices(kind):
    return [word for option in (kind, *typing.get_args(kind)) if typing.get_origin(option) is Literal for word in typing.get_args(option)]


def _option(name, kind, flag, text, panel):
    """A Typer option that is None (or an empty list) unless given, so that a file's value stands."""
    options = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        kind, default = list[options[0] if options[0] in (int, float) else str], []
    else:
        kind, default = (kind if type(None) in options else kind | None), None
    flags = (f"{flag}/--no-{flag[2:]}",) if bool in (kind, *typing.get_args(kind)) else (flag,)
    option = typer.Option(*flags, help=text[0].upper() + text[1:] + ".", rich_help_panel=panel, show_default=False)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])
