"""Runs side by side: what they reached, in which settings they differ, and whether a difference is more than chance."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.training.charts import Series, line_chart
from chainrule.training.history import History
from chainrule.training.pages import duration_text, number_text, percent_text, percent_tick, render
from chainrule.training.run import Run
from chainrule.training.storage import write_file

__all__ = ["Comparison", "RunResult", "compare", "write_comparison"]

MOST = 8  # runs: as many lines as a chart has colours
INTERVAL = 1.96  # standard errors: 95 %


@dataclass(frozen=True)
class RunResult:
    """What a run reached.

    Attributes
    ----------
    name : of the run
    history : its epochs
    images : validation images that its accuracy was measured on
    seconds : of all its epochs
    difference : its best validation accuracy less that of the first run; None for the first
    noise : what of such a difference may be chance, a 95 % interval for as many images; None for the first
    """

    name: str
    history: History
    images: int
    seconds: float
    difference: float | None
    noise: float | None


@dataclass(frozen=True)
class Comparison:
    """Several runs.

    Attributes
    ----------
    results : of each, in the order given
    settings : {setting: its value in each run}, of those that differ; "-" where a run has no such setting
    """

    results: list[RunResult]
    settings: dict[str, list[Any]]


def compare(runs: list[Run]) -> Comparison:
    """Compare runs with the first of them.

    Raises
    ------
    ValueError
        There are fewer than two or too many, one comes twice, or one has no finished epoch.
    """
    names = [run.name for run in runs]
    if not 2 <= len(runs) <= MOST:
        raise ValueError(f"{len(runs)} run{'s' if len(runs) != 1 else ''} to compare; name 2 to {MOST}")
    if len(set(names)) < len(names):
        raise ValueError(f"a run is named twice: {', '.join(names)}; a comparison needs different ones")
    results = []
    for run in runs:
        history = run.history()
        best = history.best()
        if best is None:
            raise ValueError(f"run {run.name!r} has no finished epoch yet; there is nothing to compare")
        images, difference, noise = _images(run), None, None
        if results:
            first = results[0]
            accuracies = first.history.best()["val_accuracy"], best["val_accuracy"]
            difference = accuracies[1] - accuracies[0]
            # the runs may have seen the same images, which would make it less; how much, the accuracies alone do not tell
            noise = INTERVAL * math.sqrt(sum(p * (1 - p) / n for p, n in zip(accuracies, (first.images, images), strict=True)))
        results.append(RunResult(run.name, history, images, sum(history.column("seconds")), difference, noise))
    return Comparison(results, _differences([_flat(run.config.get("settings", {})) for run in runs]))


def write_comparison(comparison: Comparison, path: Path):
    """Write the page, whole or not at all: curves over one another, results, settings that differ.

    Raises
    ------
    OSError
        It could not be written; an earlier page is intact.
    """
    page = render(
        Path(__file__).with_name("comparison.html.jinja"),
        name=" against ".join(result.name for result in comparison.results),
        results=[_row(result) for result in comparison.results],
        charts=_charts(comparison.results),
        settings=[(name, [str(value) for value in values]) for name, values in comparison.settings.items()],
    )
    write_file(path, page, what="the comparison")


def _images(run):
    match run.config:
        case {"data": {"images": {"val": int(images)}}} if images > 0:
            return images
    raise ValueError(f"{run.path / 'config.json'} does not say on how many validation images the run was measured")


def _flat(settings, prefix=""):
    """Settings by name; those within others with a dot."""
    flat = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) and value else {prefix + name: value}
    return flat


def _differences(settings):
    names = dict.fromkeys(name for flat in settings for name in flat)
    values = {name: [flat.get(name, "-") for flat in settings] for name in names}
    return {name: row for name, row in values.items() if any(value != row[0] for value in row)}


def _row(result):
    best, last = result.history.best(), result.history.records[-1]
    assert best is not None
    return {
        "name": result.name,
        "best": percent_text(best["val_accuracy"]),
        "epoch": f"{best['epoch']} of {last['epoch']}",
        "difference": "" if result.difference is None else f"{100 * result.difference:+.1f}",
        "noise": "" if result.noise is None else f"± {100 * result.noise:.1f}",
        "verdict": verdict(result),
        "train_loss": number_text(last["train_loss"]),
        "train_accuracy": percent_text(last["train_accuracy"]),
        "time": duration_text(result.seconds),
    }


def verdict(result: RunResult) -> str:
    """What a difference amounts to, in words; nothing for the run that the others are held against."""
    if result.difference is None or result.noise is None:
        return ""
    if abs(result.difference) <= result.noise:
        return f"within the noise of {result.images:,} images"
    return "better" if result.difference > 0 else "worse"


def _charts(results):
    def lines(column):
        series = []
        for index, result in enumerate(results):
            x, y = (np.array(result.history.column(name), float) for name in ("epoch", column))
            series.append(Series(result.name, f"line-{index}", x, y))
        return series

    charts = (
        line_chart("Validation accuracy", lines("val_accuracy"), x_label="epoch", number=percent_text, tick=percent_tick),
        line_chart("Validation loss", lines("val_loss"), x_label="epoch", number=number_text, may_be_log=True),
        line_chart("Training accuracy", lines("train_accuracy"), x_label="epoch", number=percent_text, tick=percent_tick),
        line_chart("Training loss", lines("train_loss"), x_label="epoch", number=number_text, may_be_log=True),
    )
    return [chart for chart in charts if chart is not None]
