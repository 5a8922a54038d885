"""`chainrule runs`."""

from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli.console import out, percent, print_json
from chainrule.cli.options import RunsFolder

__all__ = ["EXAMPLES", "runs"]

EXAMPLES = """Examples:

chainrule runs

chainrule runs --json --runs experiments/"""


def runs(
    json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")] = False,
    runs: RunsFolder = Path("runs"),
):
    """Table of the runs on disk."""
    from chainrule.training import runs as list_runs

    rows = [_row(summary) for summary in list_runs(runs)]
    if json:
        print_json(rows)
    elif not rows:
        out.print(f"no runs in {runs}; `chainrule train fully-connected` makes one", markup=False)
    else:
        out.print(_table(rows))


def _row(summary):
    row = {"name": summary.name, "created": summary.created and summary.created.isoformat(timespec="seconds"), "fault": summary.fault}
    if summary.fault is not None:
        return row | {"state": "unreadable"}
    settings, state = summary.config.get("settings"), summary.state or {"epoch": 0, "seconds": 0.0, "best": None}
    match settings, state:
        case (
            {"model": str(model), "data": str(data), "engine": str(engine), "epochs": int(of)},
            {"epoch": int(epoch), "seconds": float(seconds), "best": None | {"val_accuracy": float()} as best},
        ):
            return row | {
                "state": "training" if summary.locked else "finished" if summary.complete else "stopped",
                "model": model,
                "data": data,
                "engine": engine,
                "epochs": epoch,
                "of": of,
                "best_val_accuracy": best and best["val_accuracy"],
                "seconds": seconds,
            }
    return row | {"state": "unreadable", "fault": "its config.json or state.json is not that of a training run"}


def _table(rows):
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    table.add_column("run", no_wrap=True)
    for column in ("model", "data", "engine", "state"):
        table.add_column(column)
    for column in ("epochs", "best val", "time"):
        table.add_column(column, justify="right")
    table.add_column("created")
    for row in rows:
        if row["fault"]:
            table.add_row(row["name"], "", "", "", f"[red]{row['state']}[/red]", "", "", "", escape(row["fault"]))
            continue
        best = percent(row["best_val_accuracy"]) if row["best_val_accuracy"] is not None else "-"
        when = (row["created"] or "")[:16].replace("T", " ")
        what = [escape(row[key]) for key in ("name", "model", "data", "engine")]
        table.add_row(*what, row["state"], f"{row['epochs']}/{row['of']}", best, f"{row['seconds']:.0f} s", when)
    return table
