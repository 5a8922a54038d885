"""`chainrule compare`."""

from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli.console import out, percent, print_json
from chainrule.cli.options import RunsFolder

__all__ = ["EXAMPLES", "compare"]

EXAMPLES = """Examples:

chainrule compare fc-hand fc-torch

chainrule compare plain residual bottleneck --json"""


def compare(
    names: Annotated[list[str], typer.Argument(help="Names of two runs or more; the first is what the others are held against.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON document instead of tables and a page.")] = False,
    runs: RunsFolder = Path("runs"),
):
    """Runs side by side: what they reached, how far that is more than chance, settings that differ, curves on one page."""
    from chainrule.training import Run
    from chainrule.training.comparison import compare as compared
    from chainrule.training.comparison import verdict, write_comparison

    comparison = compared([Run.open(runs, name) for name in names])
    if json:
        results = [
            {
                "name": result.name,
                "best": result.history.best(),
                "last": result.history.records[-1],
                "seconds": result.seconds,
                "difference": result.difference,
                "noise": result.noise,
            }
            for result in comparison.results
        ]
        print_json({"runs": results, "settings": comparison.settings})
        return
    from rich.table import Table

    table = Table("run", title="Best validation accuracy", title_justify="left", title_style="bold")
    for column in ("accuracy", "epoch", "difference", "noise", "time"):
        table.add_column(column, justify="right")
    table.add_column("that is")
    for result in comparison.results:
        best = result.history.best()
        assert best is not None
        of_first = ["", ""] if result.difference is None else [f"{100 * result.difference:+.1f}", f"± {100 * (result.noise or 0):.1f}"]
        epoch = f"{best['epoch']} of {len(result.history)}"
        table.add_row(result.name, percent(best["val_accuracy"]), epoch, *of_first, f"{result.seconds:.0f} s", verdict(result))
    out.print(table)
    if comparison.settings:
        settings = Table("setting", *names, title="Settings that differ", title_justify="left", title_style="bold")
        for setting, values in comparison.settings.items():
            settings.add_row(setting, *map(str, values))
        out.print(settings)
    else:
        out.print("their settings are the same")
    page = runs / f"compare-{'-'.join(names)}.html"
    write_comparison(comparison, page)
    out.print(f"page    {page}", markup=False)
