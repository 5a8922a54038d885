"""`chainrule predict`."""

from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli.console import err, out, print_json
from chainrule.cli.networks import DEFAULT, Checkpoint, Engine, NetworkName, Weights, open_network
from chainrule.cli.options import DataFolder, RunsFolder
from chainrule.messages import sentence

__all__ = ["EXAMPLES", "predict"]

EXAMPLES = """Examples:

chainrule predict photo.jpg

chainrule predict photo.jpg cat.png --network resnet18 --top 3

chainrule predict photo.jpg --weights squeezenet1_1.pth --json

chainrule predict photo.jpg --network resnet-cifar10-1"""


def predict(
    images: Annotated[list[Path], typer.Argument(readable=False, help="Image files, of any common format.")],
    network: NetworkName = DEFAULT,
    weights: Weights = None,
    engine: Engine = "hand",
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = 5,
    json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a list.")] = False,
    runs: RunsFolder = Path("runs"),
    data_folder: DataFolder = None,
    checkpoint: Checkpoint = "best",
):
    """The classes that a network sees in images, with their probabilities. The published weights are downloaded once."""
    if not any(path.exists() for path in images):  # before weights are fetched for them
        raise ValueError(f"there is no {images[0]}; name image files")
    loaded = open_network(network, engine, weights, runs, data_folder, checkpoint)
    results = []
    for path in images:
        try:
            results.append({"image": str(path), "classes": _most_probable(loaded, path, top)})
        except (OSError, ValueError) as error:
            results.append({"image": str(path), "error": sentence(error)})
    if json:
        print_json(results)
    for result in results:
        if "error" in result:
            err.print(f"error: {result['error']}", markup=False)
        elif not json:
            out.print(result["image"], markup=False)
            for found in result["classes"]:
                out.print(f"{100 * found['probability']:7.1f} %  {found['index']:>4}  {found['name']}", markup=False)
    if any("error" in result for result in results):
        raise typer.Exit(1)


def _most_probable(network, path, top):
    from chainrule.visualization import read_image

    (probabilities,) = network.probabilities(network.prepare(read_image(path)))
    order = (-probabilities).argsort(kind="stable")[:top]
    return [{"index": int(index), "name": network.classes[index], "probability": float(probabilities[index])} for index in order]
