"""`chainrule evaluate`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from chainrule.cli.console import announce_compilation, out, percent, print_json
from chainrule.cli.options import DataFolder, RunsFolder

__all__ = ["EXAMPLES", "evaluate"]

EXAMPLES = """Examples:

chainrule evaluate fc --split test

chainrule evaluate fc --checkpoint last --json

chainrule evaluate speedrun-cifar10-1 --tta mirror-shift"""


def evaluate(
    name: Annotated[str, typer.Argument(help="Name of a run.")],
    split: Annotated[Literal["train", "val", "test"], typer.Option(help="Which images.")] = "test",
    checkpoint: Annotated[Literal["best", "last"], typer.Option(help="Which parameters.")] = "best",
    tta: Annotated[
        Literal["none", "mirror", "mirror-shift"],
        typer.Option(help="Average the scores of each image and its mirror image, and of both moved by a pixel."),
    ] = "none",
    json: Annotated[bool, typer.Option("--json", help="One JSON document instead of tables.")] = False,
    runs: RunsFolder = Path("runs"),
    data_folder: DataFolder = None,
):
    """Accuracy, loss, accuracy of each class and confusion matrix of a run."""
    from rich.measure import Measurement

    from chainrule.training import Run, load_run

    announce_compilation()
    run = Run.open(runs, name)
    _, data, trainer = load_run(run, checkpoint=checkpoint, folder=data_folder)
    evaluation = trainer.evaluate(split, tta=tta)
    if json:
        print_json(
            {
                "run": name,
                "checkpoint": checkpoint,
                "split": split,
                "tta": tta,
                "images": len(evaluation.labels),
                "loss": evaluation.loss,
                "accuracy": evaluation.accuracy,
                "classes": list(data.classes),
                "per_class": [None if value != value else value for value in evaluation.per_class().tolist()],
                "confusion": evaluation.confusion().tolist(),
            }
        )
        return
    views = "" if tta == "none" else f", with test-time augmentation ({tta})"
    out.print(f"{name} ({checkpoint} checkpoint) on {len(evaluation.labels):,} {split} images of {data.name}{views}", markup=False)
    out.print(f"accuracy {percent(evaluation.accuracy)}   loss {evaluation.loss:.4f}")
    table = _confusion_table(evaluation, data.classes)
    if (width := Measurement.get(out, out.options.update(max_width=10_000), table).maximum) > out.width:
        table = _accuracy_table(evaluation, data.classes)
    out.print(table)
    if width > out.width:
        out.print(f"the confusion matrix needs a screen of {width} columns; --json has it, too", style="dim")


def _accuracy_table(evaluation, classes):
    from rich.table import Table

    table = Table("class")
    table.add_column("right", justify="right")
    for name, share in zip(classes, evaluation.per_class(), strict=True):
        table.add_row(name, _share(share))
    return table


def _share(share):
    return percent(share) if share == share else "-"  # NaN: there is no image of the class


def _confusion_table(evaluation, classes):
    from rich.table import Table

    table = Table(title="row: label, column: prediction", title_justify="left", title_style="dim")
    table.add_column("class")
    table.add_column("right", justify="right")
    for name in classes:
        table.add_column(name[:5], justify="right")
    rows = zip(classes, evaluation.per_class(), evaluation.confusion(), strict=True)
    for index, (name, share, counts) in enumerate(rows):
        cells = [f"[bold]{number}[/bold]" if column == index else str(number) for column, number in enumerate(counts)]
        table.add_row(name, _share(share), *cells)
    return table
