"""`chainrule export`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from chainrule.cli.console import out, size
from chainrule.cli.options import DataFolder, RunsFolder

__all__ = ["EXAMPLES", "export"]

EXAMPLES = """Examples:

chainrule export fc

chainrule export fc --format safetensors --output fc.safetensors"""


def export(
    name: Annotated[str, typer.Argument(help="Name of a run.")],
    format: Annotated[
        Literal["onnx", "safetensors", "torch"],
        typer.Option(help="onnx: from pixels to scores, for any runtime; safetensors, torch: parameters by PyTorch's keys."),
    ] = "onnx",
    output: Annotated[Path | None, typer.Option(help="The file (default: in the folder of the run).")] = None,
    checkpoint: Annotated[Literal["best", "last"], typer.Option(help="Which parameters.")] = "best",
    runs: RunsFolder = Path("runs"),
    data_folder: DataFolder = None,
):
    """Write a trained network as a file that other programs read."""
    from chainrule.export import FORMATS, write_network
    from chainrule.training import Run, load_run

    run = Run.open(runs, name)
    settings, data, trainer = load_run(run, checkpoint=checkpoint, folder=data_folder, engine="hand")
    about = {"made by": f"chainrule, run {run.name}, {checkpoint} checkpoint", "model": settings.model}
    path = output or run.file(f"model.{FORMATS[format]}")
    write_network(trainer.model, data, path, format, about)
    out.print(f"{path}   {size(path.stat().st_size)}", markup=False)
