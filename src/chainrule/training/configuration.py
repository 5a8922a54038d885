"""Where the settings of a run come from: a file and what was said beside it, or a run that goes on."""

import tomllib
from pathlib import Path
from typing import Any

from chainrule.settings import OF_OPTIMIZER, OF_PYTORCH, OPTIMIZERS, Settings
from chainrule.training.storage import read_file, read_json, write_json

__all__ = ["combine", "continued_settings", "read_settings", "store_end"]


def read_settings(path: Path, model: str | None = None) -> dict[str, Any]:
    """The checked values in a TOML file or a run's config.json.

    Parameters
    ----------
    path : ends in .json for the latter
    model : that of a file that names none

    Raises
    ------
    OSError, ValueError
        The file cannot be read, or says something wrong; the message names it.
    """
    if path.suffix == ".json":
        values = read_json(path)
        if isinstance(values, dict) and "settings" in values:  # a run's config.json
            values = values["settings"]
    else:
        try:
            values = tomllib.loads(read_file(path).decode("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not a TOML file: {error}") from error
    if model:
        Settings(model)  # a wrong name is not the file's fault
        values = {"model": model} | values if isinstance(values, dict) else values
    try:
        Settings.from_dict(values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return values


def combine(values: dict[str, Any], given: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Values of a file, and over them those that were given; and remarks on what of the file does not count.

    Another model keeps nothing of the file's model arguments, and another optimizer nothing that was for the file's.

    Parameters
    ----------
    values : of `read_settings`, or empty
    given : what was said beside the file, as for `Settings.from_dict`
    """
    values, given, remarks = dict(values), dict(given), []
    arguments, said = values.pop("model_arguments", {}), given.pop("model_arguments", {})
    if arguments and given.get("model", values["model"]) != values["model"]:
        remarks.append(f"{', '.join(arguments)} of the file belong to its model {values['model']}, and do not count for {given['model']}")
        arguments = {}
    before = Settings.from_dict(values).optimizer if values else ""
    if values and given.get("optimizer", before) != before:
        lr = values.get("lr")
        if lr not in (None, OPTIMIZERS[before]["lr"]) and "lr" not in given:
            remarks.append(f"lr = {lr:g} of the file was for {before}; {given['optimizer']} begins with its own default")
        values = {name: value for name, value in values.items() if name not in OF_OPTIMIZER}
    return values | given | {"model_arguments": arguments | said}, remarks


def continued_settings(run, given: dict[str, Any]) -> Settings:
    """Settings of a run that goes on: its own, but for a later end, another time between checkpoints, and what computes, and where.

    Parameters
    ----------
    run : Run
    given : what was said beside it, as for `Settings.from_dict`

    Raises
    ------
    ValueError
        Something else was said; the message names the differences.
    """
    old = Settings.from_dict(run.config.get("settings", {}))
    new = Settings.from_dict(combine(old.with_engine(given.get("engine", old.engine)).to_dict(), given)[0])
    free = {"checkpoint_every", "engine", *OF_PYTORCH}
    # the rates of the other schedules depend on where the end is, also those of the steps already made
    reason = ""
    if new.epochs > old.epochs:
        if old.schedule not in ("constant", "step"):
            reason = f" (the {old.schedule} schedule depends on where the end is, also in the epochs already made)"
        elif old.warmup_epochs >= old.epochs:
            reason = " (the warm-up was planned to fill the whole run)"
        else:
            free.add("epochs")
    before, now = old.to_dict(), new.to_dict()
    differences = [f"{key} was {before[key]!r}, now {now[key]!r}" for key in before if before[key] != now[key] and key not in free]
    if differences:
        raise ValueError(f"run {run.name!r} cannot go on with other settings: {'; '.join(differences)}{reason}; start a new run instead")
    return new


def store_end(run, settings: Settings):
    """Write a later end into config.json, so that it still repeats the whole run."""
    if run.config["settings"].get("epochs") != settings.epochs:
        run.config["settings"]["epochs"] = settings.epochs
        write_json(run.file("config.json"), run.config, what="the configuration")
