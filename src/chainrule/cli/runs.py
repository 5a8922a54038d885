"""`chainrule runs`."""

from pathlib import Path
from typing import Annotated, Literal

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
        for row in rows:
            if row["fault"]:
                out.print(f"{row['name']}: {row['fault']}", style="red", markup=False)


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


# column -> its justification; those of LESS_NEEDED are left out, in this order, where the screen is too narrow
COLUMNS: dict[str, Literal["left", "right"]] = {
    "run": "left",
    "model": "left",
    "data": "left",
    "engine": "left",
    "state": "left",
    "epochs": "right",
    "best val": "right",
    "time": "right",
    "created": "left",
}
LESS_NEEDED = ("created", "engine", "data")
SHORTEST_NAME = 8


def _table(rows):
    """As wide as the screen: first columns are left out, then names of runs are cut, then time and model are left out."""
    from rich.measure import Measurement
    from rich.table import Table

    cells = [_cells(row) for row in rows]
    longest = max(len("run"), *(len(row["name"]) for row in rows))

    def table(left_out, name_width):
        made = Table()
        kept = [column for column in COLUMNS if column not in left_out]
        for column in kept:
            width = name_width if column == "run" else None
            made.add_column(column, justify=COLUMNS[column], no_wrap=True, overflow="ellipsis", max_width=width)
        for row in cells:
            made.add_row(*(row.get(column, "") for column in kept))
        return made

    for left_out in ((), LESS_NEEDED[:1], LESS_NEEDED[:2], LESS_NEEDED, (*LESS_NEEDED, "time"), (*LESS_NEEDED, "time", "model")):
        excess = Measurement.get(out, out.options.update(max_width=10_000), table(left_out, longest)).maximum - out.width
        shortest = SHORTEST_NAME if set(LESS_NEEDED) <= set(left_out) else longest
        if longest - max(excess, 0) >= min(shortest, longest):
            break
    return table(left_out, max(1, longest - max(excess, 0)))


def _cells(row):
    """Column -> text of a row; of a run that cannot be read only the name and that."""
    from rich.markup import escape

    if row["fault"]:
        return {"run": escape(row["name"]), "state": f"[red]{row['state']}[/red]"}
    return {column: escape(row[column]) for column in ("model", "data", "engine")} | {
        "run": escape(row["name"]),
        "state": row["state"],
        "epochs": f"{row['epochs']}/{row['of']}",
        "best val": percent(row["best_val_accuracy"]) if row["best_val_accuracy"] is not None else "-",
        "time": f"{row['seconds']:.0f} s",
        "created": (row["created"] or "")[:16].replace("T", " "),
    }
