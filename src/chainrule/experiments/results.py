"""What the cells of a study reached: means over seeds with their intervals, what of a difference is chance, and the finding in words."""

import csv
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.experiments.study import MEASURES, Cell, Study, condition_text
from chainrule.training.pages import number_text, percent_text
from chainrule.training.storage import read_json, write_file

__all__ = [
    "Condition",
    "Outcome",
    "best_condition",
    "conditions",
    "difference",
    "finding",
    "mean_text",
    "outcome",
    "outcomes_so_far",
    "result_file",
    "write_csv",
]

CONFIDENCE = 0.95
COLUMNS = ("val_accuracy", "test_accuracy", "train_accuracy", "train_loss", "best_epoch", "epochs", "parameters", "seconds")


@dataclass(frozen=True)
class Outcome:
    """What became of a cell.

    Attributes
    ----------
    cell : Cell
    values : {"val_accuracy": ..., "seconds": ...}; empty if it failed
    error : why it failed, or None
    """

    cell: Cell
    values: dict[str, Any]
    error: str | None


@dataclass(frozen=True)
class Condition:
    """A combination of the axes, over its seeds.

    Attributes
    ----------
    labels : {axis: value, as text}
    finished : cells of the seeds that finished
    values : of the study's measure, one for each of them
    errors : of the seeds that failed
    unfinished : seeds that are not trained yet
    parameters : numbers that are learned; None if no seed finished
    seconds : mean training time
    """

    labels: dict[str, str]
    finished: tuple[Cell, ...]
    values: tuple[float, ...]
    errors: tuple[str, ...]
    unfinished: int
    parameters: int | None
    seconds: float

    @property
    def name(self) -> str:
        return condition_text(self.labels)

    @property
    def mean(self) -> float:
        return float(np.mean(self.values)) if self.values else math.nan

    @property
    def interval(self) -> float:
        """Half the width of the 95 % interval of the mean, by Student's t; NaN with less than two seeds."""
        n = len(self.values)
        return _t(n - 1) * float(np.std(self.values, ddof=1)) / math.sqrt(n) if n > 1 else math.nan


def result_file(folder: Path, name: str) -> Path:
    """Where it is kept what became of the cell `name`."""
    return folder / "results" / f"{name}.json"


def outcome(folder: Path, cell: Cell) -> Outcome | None:
    """What became of a cell; None while it is not finished.

    Raises
    ------
    ValueError
        The file is not a result, or that of other settings.
    """
    path = result_file(folder, cell.name)
    try:
        kept = read_json(path)
    except FileNotFoundError:
        return None
    match kept:
        case {"status": "finished", "settings": dict(settings), **values} if all(
            isinstance(values.get(name), int | float) for name in COLUMNS
        ):
            error = None
        case {"status": "failed", "settings": dict(settings), "error": str(error)}:
            values = {}
        case _:
            raise ValueError(f"{path} is not the result of a cell; delete it, and the cell is trained again")
    if settings != json.loads(json.dumps(cell.settings.to_dict())):
        raise ValueError(f"{path} was reached with other settings than the study has now; delete it, or choose another folder")
    return Outcome(cell, values, error)


def outcomes_so_far(study: Study, folder: Path) -> list[Outcome]:
    """What became of the cells that are finished or failed, in the study's order. Raises as `outcome`."""
    return [found for cell in study.cells if (found := outcome(folder, cell)) is not None]


def conditions(study: Study, outcomes: list[Outcome]) -> list[Condition]:
    """What each combination of the axes reached, in the study's order."""
    by_name = {outcome.cell.name: outcome for outcome in outcomes}
    seeds: dict[tuple[str, ...], list[Cell]] = {}
    for cell in study.cells:
        seeds.setdefault(tuple(cell.labels.values()), []).append(cell)
    found = []
    for cells in seeds.values():
        own = [by_name[cell.name] for cell in cells if cell.name in by_name]
        finished = [outcome for outcome in own if outcome.error is None]
        found.append(
            Condition(
                labels=cells[0].labels,
                finished=tuple(outcome.cell for outcome in finished),
                values=tuple(outcome.values[study.measure] for outcome in finished),
                errors=tuple(outcome.error for outcome in own if outcome.error is not None),
                unfinished=len(cells) - len(own),
                parameters=finished[0].values["parameters"] if finished else None,
                seconds=float(np.mean([outcome.values["seconds"] for outcome in finished])) if finished else math.nan,
            )
        )
    return found


def difference(first: Condition, second: Condition) -> tuple[float, float]:
    """Mean of the first less that of the second, and half of its 95 % interval (Welch 1947); the latter NaN with less than two seeds."""
    gain = first.mean - second.mean
    if min(len(first.values), len(second.values)) < 2:
        return gain, math.nan
    parts = [float(np.var(own.values, ddof=1)) / len(own.values) for own in (first, second)]
    variance = sum(parts)
    if variance == 0:
        return gain, 0.0
    freedom = variance**2 / sum(part**2 / (len(own.values) - 1) for part, own in zip(parts, (first, second), strict=True))
    return gain, _t(freedom) * math.sqrt(variance)


def best_condition(study: Study, found: list[Condition]) -> Condition | None:
    """The one with the highest mean, or the lowest of losses; None if no seed finished."""
    choose = min if study.measure == "train_loss" else max
    return choose((condition for condition in found if condition.values), key=lambda condition: condition.mean, default=None)


def finding(study: Study, found: list[Condition]) -> list[str]:
    """What a study says, in sentences that are computed: the best, what cannot be told from it, what is worse, what failed."""
    best, said = best_condition(study, found), []
    if best is not None:
        rank = "least" if study.measure == "train_loss" else "highest"
        said.append(f"The {rank} {MEASURES[study.measure]} has {best.name}: {mean_text(study, best)}.")
        rest = [condition for condition in found if condition.values and condition is not best]
        compared = [(condition, *difference(best, condition)) for condition in rest]
        if any(math.isnan(noise) for *_, noise in compared):
            said.append("With one seed of a condition nothing can be said about chance.")
        else:
            equal = [condition.name for condition, gain, noise in compared if abs(gain) <= noise]
            if equal:
                said.append(f"Within the noise of {len(study.seeds)} seeds of it: {'; '.join(equal)}.")
            gains = [abs(gain) for _, gain, noise in compared if abs(gain) > noise]
            if gains:
                span = " to ".join(dict.fromkeys(points_text(study, gain) for gain in (min(gains), max(gains))))
                said.append(f"The {'other falls' if len(gains) == 1 else f'other {len(gains)} fall'} behind by {span}, more than chance.")
    failed = [(condition.name, len(condition.errors), condition.errors[0].split(";")[0]) for condition in found if condition.errors]
    said += [f"Failed: {name}, {count} of {len(study.seeds)} ({error})." for name, count, error in failed]
    if unfinished := sum(condition.unfinished for condition in found):
        said.append(f"{unfinished} of {len(study.cells)} cells are not trained yet.")
    return said


def value_text(study: Study, value: float) -> str:
    """A value of the study's measure, with its unit."""
    return number_text(value) if study.measure == "train_loss" else percent_text(value)


def points_text(study: Study, difference: float, noise: float | None = None) -> str:
    """A difference of two values, with half of its interval and its unit: -4.2 ± 1.1 points."""
    write = number_text if study.measure == "train_loss" else lambda value: f"{100 * value:.1f}"
    text = write(difference) + ("" if noise is None else f" ± {write(noise)}")
    return text if study.measure == "train_loss" else f"{text}\N{NO-BREAK SPACE}points"


def mean_text(study: Study, condition: Condition) -> str:
    """Mean and interval: 54.2 ± 0.8 %."""
    if not condition.values:
        return "failed" if condition.errors else "–"
    if math.isnan(condition.interval):
        return value_text(study, condition.mean)
    if study.measure == "train_loss":
        return f"{condition.mean:.3f} ± {condition.interval:.3f}"
    return f"{100 * condition.mean:.1f} ± {100 * condition.interval:.1f}\N{NO-BREAK SPACE}%"


def write_csv(study: Study, folder: Path, outcomes: list[Outcome]) -> Path:
    """Write folder/results.csv, a line for each cell that is finished or failed."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*study.axes, "seed", "status", *COLUMNS, "error"])
    for outcome in outcomes:
        status = "finished" if outcome.error is None else "failed"
        values = [outcome.values.get(name, "") for name in COLUMNS]
        writer.writerow([*outcome.cell.labels.values(), outcome.cell.seed, status, *values, outcome.error or ""])
    path = folder / "results.csv"
    write_file(path, text.getvalue().encode("utf-8"), what="the table")
    return path


def _t(freedom):
    """Student's t that so many degrees of freedom exceed, either way, with probability 1 - CONFIDENCE."""
    from scipy.stats import t

    return float(t.ppf((1 + CONFIDENCE) / 2, freedom))
