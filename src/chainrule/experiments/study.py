"""A study as data: a question, the settings that all its cells share, and a grid of those that differ, over several seeds."""

import itertools
import math
import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from chainrule.models import MODELS
from chainrule.settings import Settings, model_arguments
from chainrule.training.storage import read_file

__all__ = ["MEASURES", "Cell", "Study", "condition_text", "read_study", "shipped_studies"]

SHIPPED = Path(__file__).parent / "studies"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
# what a study can be measured by, in words
MEASURES = {
    "val_accuracy": "validation accuracy of the best epoch",
    "test_accuracy": "test accuracy of the epoch that validation chose",
    "train_accuracy": "training accuracy in the last epoch",
    "train_loss": "training loss in the last epoch",
}
MOST = 10_000  # cells
KEYS = ("question", "source", "measure", "x", "seeds", "base", "grid", "full")


@dataclass(frozen=True)
class Cell:
    """One training of a study.

    Attributes
    ----------
    name : of its run: "depth-8_network-plain_seed-0"
    labels : {axis: its value, as text}
    seed : of everything random in it
    settings : Settings
    """

    name: str
    labels: dict[str, str]
    seed: int
    settings: Settings

    @property
    def condition(self) -> str:
        """Its values in words."""
        return condition_text(self.labels)


@dataclass(frozen=True)
class Study:
    """What `read_study` makes of a file.

    Attributes
    ----------
    name : that of the file
    question : what it answers
    source : whose question it is
    measure : one of MEASURES
    axes : {axis: its values, as text}, in the file's order
    x : the axis that the plot runs along
    cells : every combination, with every seed; seed by seed, so that a study that is stopped has all conditions
    """

    name: str
    question: str
    source: str
    measure: str
    axes: dict[str, list[str]]
    x: str
    cells: list[Cell]

    @property
    def seeds(self) -> list[int]:
        return sorted({cell.seed for cell in self.cells})


def condition_text(labels: dict[str, str]) -> str:
    """Values of the axes in words: "network plain, depth 8"."""
    return ", ".join(f"{axis} {label}" for axis, label in labels.items())


def shipped_studies() -> list[str]:
    """Names of the studies that come with chainrule."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def read_study(name: str | Path, *, full: bool = False, seeds: int | None = None, settings: dict[str, Any] | None = None) -> Study:
    """A study from its TOML file.

    Parameters
    ----------
    name : of a shipped study, or the path of a file that ends in .toml
    full : at full size, with what the file says under [full]
    seeds : so many of them, 0, 1, ... (default: what the file says)
    settings : values over those that all cells share, such as {"data": "digits"}

    Raises
    ------
    OSError, ValueError
        There is no such study, the file cannot be read, or it says something wrong; the message names the file and the cell.
    """
    path = Path(name) if str(name).endswith(".toml") else SHIPPED / f"{name}.toml"
    if path.parent == SHIPPED and not path.exists():
        raise ValueError(f"there is no study {str(name)!r}; there are {', '.join(shipped_studies())}, or give a file: mine.toml")
    try:
        values = tomllib.loads(read_file(path).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a TOML file: {error}") from error
    try:
        if "full" in values and not full:
            _study(path.stem, values, True, 1, {})  # a mistake there is said now, not in a year
        return _study(path.stem, values, full, seeds, settings or {})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _study(name, values, full, seeds, over):
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a study; use small letters, digits and '-'")
    _check_keys(values, KEYS, "of a study")
    head = _head(values)
    base, grid, count = _size(values, full)
    count = count if seeds is None else seeds
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ValueError(f"seeds is {count!r}; it must be a whole number, at least 1")
    if not grid:
        raise ValueError("[grid] is empty; give at least one setting with several values: lr = [0.1, 0.01]")
    axes = {axis: _choices(axis, choices) for axis, choices in grid.items()}
    if over.get("data", base.get("data")) != base.get("data"):  # how many images there are to take is a matter of the data
        base = {key: value for key, value in base.items() if key not in ("limit", "validation")}
    varied = {key for choices in axes.values() for choice in choices.values() for key in choice}
    if "seed" in base or "seed" in varied:
        raise ValueError("seed is set; a study goes over seeds by itself: seeds = 3")
    if fixed := sorted(over.keys() & varied):
        raise ValueError(f"{', '.join(fixed)} is what this study varies; it cannot be set for all of it")
    x = values.get("x", next(iter(axes)))
    if x not in list(axes):
        raise ValueError(f"x is {x!r}; it must be an axis of [grid]: {', '.join(axes)}")
    number = count * math.prod(map(len, axes.values()))
    if number > MOST:
        raise ValueError(f"it has {number:,} cells; a study may have {MOST:,}: take fewer values or seeds")
    conditions = [dict(zip(axes, labels, strict=True)) for labels in itertools.product(*axes.values())]
    return Study(
        name=name + ("-full" if full else ""),
        **head,
        axes={axis: list(choices) for axis, choices in axes.items()},
        x=x,
        cells=[_cell(labels, axes, seed, _joined(base, over)) for seed in range(count) for labels in conditions],
    )


def _head(values):
    """What a study asks, after whom, and how it measures the answer."""
    head = {"question": "", "source": "", "measure": "val_accuracy"}
    head |= {key: values[key] for key in head if key in values}
    for key, value in head.items():
        if not isinstance(value, str):
            raise ValueError(f"{key} is {value!r}; it must be text")
    if not head["question"]:
        raise ValueError("it has no question; say what the study is to answer")
    if head["measure"] not in MEASURES:
        raise ValueError(f"measure is {head['measure']!r}; it must be one of {', '.join(MEASURES)}")
    return head


def _size(values, full):
    """Shared settings, axes and number of seeds, in the small size or the full one."""
    base, grid, seeds = _table(values, "base"), _table(values, "grid"), values.get("seeds", 3)
    if not full:
        return base, grid, seeds
    larger = _table(values, "full")
    if not larger:
        raise ValueError("it has no [full] size")
    _check_keys(larger, ("base", "grid", "seeds"), "under [full]")
    axes = _table(larger, "grid")
    if new := axes.keys() - grid.keys():
        raise ValueError(f"[full.grid] has {', '.join(sorted(new))}, which [grid] has not")
    return _joined(base, _table(larger, "base")), grid | axes, larger.get("seeds", seeds)


def _choices(axis, choices):
    """{label: {setting: value}} of an axis, which is a list of values of the setting it is named after, or a table of named settings."""
    if isinstance(choices, list) and choices:
        labelled = [(_label(value), {axis: value}) for value in choices]
    elif isinstance(choices, dict) and choices and all(isinstance(choice, dict) for choice in choices.values()):
        labelled = [(label, _joined({}, choice)) for label, choice in choices.items()]
    else:
        labelled = []
    if len({_slug(label).lower() for label, _ in labelled}) < len(labelled):
        written = ", ".join(label for label, _ in labelled)
        raise ValueError(f"two values of axis {axis!r} are written alike: {written}; name them so that letters (A-Z) or digits differ")
    if labelled:
        return dict(labelled)
    raise ValueError(f"axis {axis!r} of [grid] is {choices!r}; it must be a list of values, or a table of named settings")


def _label(value):
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return " ".join(map(_label, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cell(labels, axes, seed, base):
    values = base
    for axis, label in labels.items():
        values = _joined(values, axes[axis][label])
    condition = condition_text(labels)
    try:
        settings = Settings.from_dict({**_sorted_out(values), "seed": seed})
    except ValueError as error:
        raise ValueError(f"the cell {condition}: {error}") from error
    name = "_".join(f"{_slug(axis)}-{_slug(label)}" for axis, label in labels.items()) + f"_seed-{seed}"
    if len(name) > 100:
        raise ValueError(f"the cell {condition} has a name of {len(name)} letters; name its values in a table, with shorter ones")
    return Cell(name, labels, seed, settings)


def _sorted_out(values):
    """Flat names as `Settings.from_dict` takes them: what is no setting is an argument of the model; "none" there is None."""
    names = {entry.name for entry in fields(Settings)}
    settings = {key: value for key, value in values.items() if key in names}
    arguments = {key: None if value == "none" else value for key, value in values.items() if key not in names}
    known = model_arguments(settings["model"]) if settings.get("model") in tuple(MODELS) else {}
    for key in arguments:
        if known and key not in known:
            raise ValueError(
                f"{key!r} is neither a setting (`chainrule train --help` lists them) nor an argument of {settings['model']}, "
                f"which takes {', '.join(known)}"
            )
    return settings | ({"model_arguments": arguments} if arguments else {})


def _joined(values, over):
    """`values` with `over` over them, those under model_arguments beside the others."""
    flat = {}
    for part in (values, over):
        for key, value in part.items():
            flat |= value if key == "model_arguments" and isinstance(value, dict) else {key: value}
    return flat


def _table(values, key):
    table = values.get(key, {})
    if not isinstance(table, dict):
        raise ValueError(f"{key} is {table!r}; it must be a table: [{key}]")
    return dict(table)


def _check_keys(values, known, where):
    if unknown := sorted(values.keys() - set(known)):
        raise ValueError(f"unknown key {', '.join(map(repr, unknown))}; the keys {where} are {', '.join(known)}")


def _slug(text):
    """As a part of the name of a run."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text.replace("e+", "e")).strip("-") or "none"
