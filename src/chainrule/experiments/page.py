"""The page of a study: the question, the finding with its spread over seeds, plots, every number, and how to repeat it."""

import math
from pathlib import Path

from chainrule.experiments.plots import write_plots
from chainrule.experiments.results import Outcome, best_condition, conditions, difference, finding, mean_text, points_text, value_text
from chainrule.experiments.study import MEASURES, Study
from chainrule.training.pages import duration_text, render
from chainrule.training.provenance import machine, versions
from chainrule.training.storage import write_file

__all__ = ["write_page"]


def write_page(study: Study, folder: Path, outcomes: list[Outcome], *, command: str) -> Path:
    """Write folder/report.html, whole or not at all, and the plots beside it.

    Parameters
    ----------
    study, folder : as for `run_study`
    outcomes : of `run_study`
    command : what runs the study again
    """
    found = conditions(study, outcomes)
    best = best_condition(study, found)
    page = render(
        Path(__file__).with_name("study.html.jinja"),
        name=study.name,
        question=study.question,
        source=study.source,
        measure=MEASURES[study.measure],
        finding=finding(study, found),
        seeds=len(study.seeds),
        axes=list(study.axes),
        plots=write_plots(study, folder, found),
        rows=[_row(study, condition, best) for condition in found],
        settings=_shared_settings(study),
        command=command,
        seconds=duration_text(sum(outcome.values.get("seconds", 0.0) for outcome in outcomes)),
        machine=machine(),
        versions=versions(),
    )
    path = folder / "report.html"
    write_file(path, page, what="the page of the study")
    return path


def _row(study, condition, best):
    behind = ""
    if best is not None and condition is not best and condition.values:
        gain, noise = difference(condition, best)
        behind = points_text(study, gain) if math.isnan(noise) else points_text(study, gain, noise)
    return {
        "labels": list(condition.labels.values()),
        "mean": mean_text(study, condition),
        "values": ", ".join(value_text(study, value) for value in condition.values),
        "behind": behind,
        "best": condition is best,
        "failed": "; ".join(condition.errors),
        "parameters": "–" if condition.parameters is None else f"{condition.parameters:,}",
        "seconds": duration_text(condition.seconds),
    }


def _shared_settings(study):
    """What all cells have in common and is not the default of the settings."""
    first, *others = [cell.settings.to_dict() for cell in study.cells]
    arguments = first["model_arguments"].items()
    shared = {name: value for name, value in first.items() if name != "model_arguments" and all(other[name] == value for other in others)}
    shared |= {name: value for name, value in arguments if all(other["model_arguments"].get(name) == value for other in others)}
    return [(name, str(value)) for name, value in shared.items() if value not in (None, False, "none", {})]
