"""`chainrule report`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from chainrule.cli.console import announce_compilation, out
from chainrule.cli.options import DataFolder, RunsFolder

__all__ = ["EXAMPLES", "report"]

EXAMPLES = """Examples:

chainrule report fc

chainrule report fc --split test --checkpoint last"""


def report(
    name: Annotated[str, typer.Argument(help="Name of a run.")],
    split: Annotated[Literal["val", "test"], typer.Option(help="Images for the confusion matrix and the samples.")] = "val",
    checkpoint: Annotated[Literal["best", "last"], typer.Option(help="Which parameters.")] = "best",
    runs: RunsFolder = Path("runs"),
    data_folder: DataFolder = None,
):
    """Write report.html: curves, configuration, confusion matrix, samples, first-layer weights, in one page that opens offline."""
    from chainrule.training import Run, load_run
    from chainrule.visualization.report import write_report

    announce_compilation()
    run = Run.open(runs, name)
    _, data, trainer = load_run(run, checkpoint=checkpoint, folder=data_folder)
    out.print(str(write_report(run, data, trainer.engine, split=split, checkpoint=checkpoint)), markup=False)
