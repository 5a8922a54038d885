"""`chainrule explore`."""

from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli.console import announce_compilation, out
from chainrule.cli.networks import DEFAULT, Checkpoint, Engine, NetworkName, Weights
from chainrule.cli.options import DataFolder, RunsFolder

__all__ = ["EXAMPLES", "explore"]

EXAMPLES = """Examples:

chainrule explore

chainrule explore --network fc --port 0 --no-browser

chainrule explore --weights squeezenet1_1.pth --engine torch"""


def explore(
    network: NetworkName = DEFAULT,
    weights: Weights = None,
    engine: Engine = "hand",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes any that is free.")] = 7860,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
    runs: RunsFolder = Path("runs"),
    data_folder: DataFolder = None,
    checkpoint: Checkpoint = "best",
):
    """Look inside on a page in the browser: scores, saliency, activations, fooling images as they form; offline, for this machine alone."""
    from chainrule.visualization.explorer import Explorer, serve

    announce_compilation()
    explorer = Explorer(network, weights=weights, engine=engine, runs=runs, data_folder=data_folder, checkpoint=checkpoint)

    def announce(address):
        out.print(f"{address} (Ctrl-C ends it)", markup=False)
        if browser and out.is_terminal:
            typer.launch(address)

    serve(explorer, port=port, announce=announce)
