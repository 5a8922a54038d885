"""`chainrule summary`."""

from typing import Annotated

import typer

from chainrule.cli.console import count, out, print_json, size
from chainrule.cli.options import Model, given_settings, with_settings

__all__ = ["EXAMPLES", "summary"]

EXAMPLES = """Examples:

chainrule summary fully-connected

chainrule summary fully-connected --hidden 512 256 --normalization batch --image 1 8 8 --batch-size 200"""


@with_settings()
def summary(
    model: Model,
    image: Annotated[tuple[int, int, int], typer.Option(help="Channels, height and width of an image.")] = (3, 32, 32),
    classes: Annotated[int, typer.Option(min=2, help="Number of classes.")] = 10,
    batch_size: Annotated[int, typer.Option(min=1, help="Images in a batch.")] = 100,
    json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")] = False,
    **options,
):
    """A network layer by layer: shapes, parameters, operations, memory of activations."""
    from chainrule import nn
    from chainrule.models import MODELS
    from chainrule.nn.summary import summarize
    from chainrule.settings import Settings

    settings = Settings.from_dict(given_settings(model, options))
    network = MODELS[model](nn, image=image, classes=classes, **settings.model_arguments)
    rows = summarize(network, (batch_size, *image))
    if json:
        print_json([vars(row) for row in rows])
        return
    from rich.table import Table

    table = Table("", "layer", "output shape")
    for column in ("parameters", "operations", "activations"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(row.name, row.layer, str(row.shape), count(row.parameters), count(row.operations), size(row.activation_bytes))
    table.add_section()
    total = [sum(getattr(row, name) for row in rows) for name in ("parameters", "operations", "activation_bytes")]
    table.add_row("", "all", "", count(total[0]), count(total[1]), size(total[2]))
    out.print(table)
    out.print(
        f"operations: multiplications and additions of one forward pass of {batch_size} images; a training step takes about three times "
        "as many",
        style="dim",
    )
