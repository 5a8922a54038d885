"""`chainrule experiment`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from chainrule.cli.console import err, out, percent, print_json
from chainrule.cli.options import DataFolder

__all__ = ["EXAMPLES", "app"]

EXAMPLES = """Examples:

chainrule experiment list

chainrule experiment show depth

chainrule experiment run depth --data cifar10 --workers 2

chainrule experiment run update-rules --data digits --seeds 2

chainrule experiment run mine.toml"""

app = typer.Typer(help="Architecture studies: a question, a grid over several seeds, and what chance leaves of the answer.")

Name = Annotated[str, typer.Argument(help="Name of a study (`chainrule experiment list`), or a TOML file of your own: mine.toml.")]
Full = Annotated[bool, typer.Option("--full", help="At full size, for days or GPUs, instead of some ten minutes on two cores.")]
Seeds = Annotated[int | None, typer.Option(min=1, help="Seeds of each cell (default: what the study says).")]
Folder = Annotated[Path, typer.Option("--experiments", help="Folder of all studies.", envvar="CHAINRULE_EXPERIMENTS")]


@app.command("list", epilog="Example:\n\nchainrule experiment list")
def list_studies(json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")] = False):
    """Table of the studies that come with chainrule."""
    from chainrule.experiments import read_study, shipped_studies

    studies = [read_study(name) for name in shipped_studies()]
    if json:
        print_json([{"name": study.name, "question": study.question, "cells": len(study.cells), "axes": study.axes} for study in studies])
        return
    from rich.table import Table

    table = Table("study", "it asks")
    table.add_column("cells", justify="right")
    for study in studies:
        table.add_row(study.name, study.question, str(len(study.cells)))
    out.print(table)


@app.command(epilog="Example:\n\nchainrule experiment show depth")
def show(name: Name, full: Full = False, seeds: Seeds = None, experiments: Folder = Path("experiments")):
    """What a study asks and varies, and how far it is."""
    from chainrule.experiments import MEASURES, read_study
    from chainrule.experiments.results import outcomes_so_far

    study = read_study(name, full=full, seeds=seeds)
    out.print(study.question, markup=False)
    if study.source:
        out.print(f"from      {study.source}", markup=False)
    out.print(f"measure   {MEASURES[study.measure]}")
    for axis, labels in study.axes.items():
        out.print(f"{axis:<9} {', '.join(labels)}", markup=False)
    out.print(f"seeds     {len(study.seeds)}, so {len(study.cells)} cells")
    folder = experiments / study.name
    if folder.is_dir():
        try:
            outcomes = outcomes_so_far(study, folder)
        except ValueError:
            out.print(f"so far    {folder} has results of it with other settings (--epochs, --limit, ...)", markup=False)
            return
        failed = sum(found.error is not None for found in outcomes)
        out.print(f"so far    {len(outcomes)} cells are done" + (f", {failed} of them failed" if failed else ""))
        if outcomes:
            _print_results(study, outcomes)


@app.command(epilog=EXAMPLES)
def run(
    name: Name,
    full: Full = False,
    seeds: Seeds = None,
    workers: Annotated[int, typer.Option(min=1, help="Cells at a time, each in a process of its own; the cores are divided.")] = 1,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of each worker (default: cores / workers).")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Train those cells again that failed.")] = False,
    data: Annotated[Literal["digits", "cifar10"] | None, typer.Option(help="Dataset, instead of the study's.")] = None,
    engine: Annotated[Literal["hand", "torch"] | None, typer.Option(help="What computes, instead of what the study says.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs, instead of the study's.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Training images, instead of the study's number.")] = None,
    experiments: Folder = Path("experiments"),
    data_folder: DataFolder = None,
):
    """Train what is not yet trained of a study; then table, plots and page.

    It can be stopped and goes on where it was; several commands on one machine share the work. More --seeds enlarge a study.
    """
    import sys

    from chainrule.experiments import check_study, prepare_folder, read_study, run_study, write_csv, write_page

    over: dict[str, Any] = {"data": data, "engine": engine, "epochs": epochs, "limit": limit}
    over = {key: value for key, value in over.items() if value is not None}
    study = read_study(name, full=full, seeds=seeds, settings=over)
    check_study(study, data_folder)
    folder = prepare_folder(study, experiments)
    out.print(f"{study.name}: {len(study.cells)} cells, {workers} at a time", markup=False)
    progress = _Progress(study, folder, retry)
    how = {"workers": workers, "threads": threads, "data_folder": data_folder, "retry": retry}
    try:
        outcomes = run_study(study, folder, on_end=progress.end, **how)
    except KeyboardInterrupt:
        err.print("\nstopped; the same command goes on", markup=False)
        raise
    _print_results(study, outcomes)
    table = write_csv(study, folder, outcomes)
    page = write_page(study, folder, outcomes, command="chainrule " + " ".join(sys.argv[1:]))
    out.print(f"table   {table}", markup=False)
    out.print(f"page    {page}", markup=False)
    if failed := sum(found.error is not None for found in outcomes):
        err.print(f"{failed} of {len(outcomes)} cells failed; --retry trains them again", markup=False)
        raise typer.Exit(1 if failed == len(outcomes) else 0)


class _Progress:
    """A line for each cell that ends."""

    def __init__(self, study, folder, retry):
        from chainrule.experiments.results import outcomes_so_far

        self._total = len(study.cells)
        self._ended = sum(not (retry and found.error) for found in outcomes_so_far(study, folder))

    def end(self, outcome):
        self._ended += 1
        place = f"{self._ended:{len(str(self._total))}d}/{self._total}"
        condition = outcome.cell.condition
        if outcome.error is not None:
            out.print(f"{place}   {condition}, seed {outcome.cell.seed}   failed: {outcome.error}", style="red", markup=False)
            return
        values = outcome.values
        out.print(
            f"{place}   train {percent(values['train_accuracy']):>7}   val {percent(values['val_accuracy']):>7}   "
            f"{values['seconds']:6.1f} s   {condition}, seed {outcome.cell.seed}",
            markup=False,
        )


def _print_results(study, outcomes):
    from rich.markup import escape
    from rich.table import Table

    from chainrule.experiments import MEASURES, conditions, finding
    from chainrule.experiments.results import mean_text
    from chainrule.training.pages import duration_text

    table = Table(*map(escape, study.axes), title=f"{study.name}: {MEASURES[study.measure]}", title_justify="left", title_style="bold")
    for column in ("mean", "parameters", "time"):
        table.add_column(column, justify="right")
    found = conditions(study, outcomes)
    for condition in found:
        parameters = "" if condition.parameters is None else f"{condition.parameters:,}"
        table.add_row(*map(escape, condition.labels.values()), mean_text(study, condition), parameters, duration_text(condition.seconds))
    out.print(table)
    for sentence in finding(study, found):
        out.print(sentence, markup=False)
