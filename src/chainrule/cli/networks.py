"""What the commands share that look at images through a trained network: its options, and how it is loaded."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from chainrule.cli.console import announce_compilation, download_bar

__all__ = ["DEFAULT", "Checkpoint", "Engine", "NetworkName", "Photo", "Weights", "open_network"]

DEFAULT = "squeezenet1_1"
NetworkName = Annotated[str, typer.Option("--network", help="A published network (squeezenet1_0, squeezenet1_1, resnet18), or a run.")]
# readable=False: whether a file can be read is asked once, when it is read
Photo = Annotated[Path, typer.Argument(readable=False, help="Image file, of any common format.")]
Weights = Annotated[Path | None, typer.Option(readable=False, help="File with weights for a published network, of PyTorch or safetensors.")]
Checkpoint = Annotated[Literal["best", "last"], typer.Option(help="Which parameters of a run.")]
Engine = Annotated[Literal["hand", "torch"], typer.Option(help="What computes.")]


def open_network(name, engine, weights, runs, data_folder, checkpoint):
    """The network of `chainrule.visualization.load_network`; says what is downloaded and compiled."""
    from chainrule.visualization import load_network

    announce_compilation()
    with download_bar(f"downloading the weights of {name}, once; they are kept") as progress:
        return load_network(
            name, engine=engine, weights=weights, runs=runs, checkpoint=checkpoint, data_folder=data_folder, progress=progress
        )
