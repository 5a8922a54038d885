"""The plots of a study, by matplotlib: the measure along its x axis with intervals, and the course of training, the mean over seeds."""

import io
import math
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.experiments.results import Condition
from chainrule.experiments.study import MEASURES, Study
from chainrule.training.run import Run
from chainrule.training.storage import write_file

__all__ = ["course_plot", "result_plot", "write_plots"]

COLOURS = ("#3b78c4", "#d2691e", "#2a9070", "#a857ad", "#9a7d10", "#c2476a", "#1f8c9b", "#7a808a")  # readable on a light and a dark page
MARKS = "osD^vPX*"
INK = "#010203"  # stands for the colour of text of the page that a plot is put on
STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # a name with $ is a name
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "chainrule",  # the same plot is the same file
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#88888840",
    "legend.frameon": False,
} | {name: INK for name in ("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color")}


def result_plot(study: Study, found: list[Condition]) -> str:
    """The study's measure along x, mean and 95 % interval over seeds and a dot for each, a line for each value of the other axes; SVG."""

    def draw(figure):
        axes = figure.subplots()
        places = study.axes[study.x]
        lines = _lines(study, found)
        for index, (name, conditions) in enumerate(lines.items()):
            x = np.array([places.index(condition.labels[study.x]) for condition in conditions])
            x = x + 0.04 * (index - (len(lines) - 1) / 2)  # beside one another, or the whiskers hide each other
            means = np.array([_shown(study, condition.mean) for condition in conditions])
            intervals = np.array([_shown(study, condition.interval) for condition in conditions])
            colour, mark = COLOURS[index % len(COLOURS)], MARKS[index % len(MARKS)]
            axes.errorbar(x, means, np.nan_to_num(intervals), color=colour, marker=mark, capsize=4, label=name)
            for place, condition in zip(x, conditions, strict=True):
                axes.scatter([place] * len(condition.values), [_shown(study, value) for value in condition.values], 9, colour, alpha=0.5)
        axes.set_xticks(range(len(places)), places)
        axes.set_xlabel(study.x)
        axes.set_ylabel(_measure(study))
        if study.measure != "train_loss":  # what lies beyond is no accuracy
            low, high = axes.get_ylim()
            axes.set_ylim(max(low, 0), min(high, 100))
        elif all(value > 0 for condition in found for value in condition.values):
            axes.set_yscale("log")
        if len(lines) > 1:
            title = ", ".join(axis for axis in study.axes if axis != study.x)
            figure.legend(*axes.get_legend_handles_labels(), title=title, loc="outside right upper")

    return _svg(draw, (8.4, 4.4), f"{MEASURES[study.measure]} by {study.x}: mean and 95 % interval over {len(study.seeds)} seeds")


def course_plot(study: Study, folder: Path, found: list[Condition]) -> str:
    """Validation accuracy by epoch, the mean over seeds: a panel for each value of the other axes, a line for each x; SVG."""
    lines = _lines(study, found)
    columns = min(3, len(lines))
    rows = math.ceil(len(lines) / columns)
    places = study.axes[study.x]

    def draw(figure):
        from matplotlib import colormaps
        from matplotlib.ticker import MaxNLocator

        shades = colormaps["viridis"](np.linspace(0.05, 0.85, len(places)))
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for panel, (name, conditions) in zip(panels, lines.items(), strict=False):
            panel.set_title(name, fontsize="medium")
            for condition in conditions:
                curve, place = _course(folder, condition), condition.labels[study.x]
                panel.plot(np.arange(1, len(curve) + 1), 100 * curve, color=shades[places.index(place)], marker=".", label=place)
        for panel in panels[len(lines) :]:
            panel.set_visible(False)
        panels[0].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        figure.supxlabel("epoch", fontsize="medium", color=INK)
        figure.supylabel("validation accuracy, %", fontsize="medium", color=INK)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, title=study.x, loc="outside right upper")

    return _svg(draw, (2.6 * columns + 2.2, 2.5 * rows + 1), f"validation accuracy by epoch, the mean over {len(study.seeds)} seeds")


def write_plots(study: Study, folder: Path, found: list[Condition]) -> dict[str, str]:
    """Write folder/result.svg and course.svg; returns the same for a page, with text in the page's colour."""
    plots = {"result": result_plot(study, found), "course": course_plot(study, folder, found)}
    for name, svg in plots.items():
        write_file(folder / f"{name}.svg", svg.replace(INK, "#333333").encode("utf-8"), what="the plot")
    return {name: svg[svg.index("<svg") :].replace(INK, "currentColor") for name, svg in plots.items()}


def _lines(study, found) -> dict[str, list[Condition]]:
    """Conditions that differ along x alone, by what the others are."""
    lines: dict[str, list[Condition]] = {}
    for condition in found:
        others = [label for axis, label in condition.labels.items() if axis != study.x]
        lines.setdefault(", ".join(others), []).append(condition)
    return lines


def _course(folder, condition):
    """Validation accuracy by epoch, the mean over the seeds that are finished; (epochs,)."""
    kept = [cell.name for cell in condition.finished if (folder / "runs" / cell.name).is_dir()]  # a person may have deleted others
    curves = [Run.open(folder / "runs", name).history().column("val_accuracy") for name in kept]
    shortest = min(map(len, curves), default=0)
    return np.mean([curve[:shortest] for curve in curves], axis=0) if curves else np.zeros(0)


def _shown(study, value):
    return value if study.measure == "train_loss" else 100 * value


def _measure(study):
    return study.measure.replace("train", "training").replace("val", "validation").replace("_", " ") + (
        "" if study.measure == "train_loss" else ", %"
    )


def _svg(draw, size, title) -> str:
    """What `draw` puts on a figure of so many inches."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Title": title, "Date": None, "Creator": "chainrule"})
    return file.getvalue()
