"""`chainrule models`."""

import inspect
from typing import Annotated

import typer

from chainrule.cli.console import count, out, print_json

__all__ = ["EXAMPLES", "models"]

EXAMPLES = """Examples:

chainrule models

chainrule models --json"""


def models(json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")] = False):
    """What there is: name, one line, parameters of each model as it stands (for 32x32 colour images), its own options."""
    from chainrule import nn
    from chainrule.models import MODELS
    from chainrule.recipes import RECIPES
    from chainrule.settings import model_arguments

    rows = [
        {
            "name": name,
            "description": (inspect.getdoc(build) or "").partition("\n")[0],
            "parameters": sum(parameter.size for parameter in build(nn).parameters()),
            "arguments": {argument: entry.default for argument, entry in model_arguments(name).items()},
            "recipe": RECIPES.get(name, {}),
        }
        for name, build in MODELS.items()
    ]
    if json:
        print_json(rows)
        return
    from rich.table import Table

    table = Table("model", "what it is")
    table.add_column("parameters", justify="right")
    table.add_column("arguments")
    for row in rows:
        arguments = "\n".join(f"{name} = {value!r}" for name, value in row["arguments"].items())
        table.add_row(row["name"], row["description"].replace("[", "\\["), count(row["parameters"]), arguments)
    out.print(table)
    for row in rows:
        if row["recipe"]:
            shown = ", ".join(f"{name} {value}" for name, value in row["recipe"].items() if not isinstance(value, dict))
            out.print(f"{row['name']} has a recipe of its own: {shown}; any of it can be said otherwise", style="dim")
