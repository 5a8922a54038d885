"""`chainrule lab`."""

import contextlib
import signal
import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from chainrule.cli.console import err, out, percent
from chainrule.cli.output import checked_output

__all__ = ["EXAMPLES", "app"]

EXAMPLES = """Examples:

chainrule lab list

chainrule lab start normalization work/

chainrule lab check work/

chainrule lab check work/ batchnorm_forward --hint --hint

chainrule lab check work/ --watch"""

app = typer.Typer(
    help="Write the library yourself: workspaces, checks that say what is wrong, and what is handed in.", no_args_is_help=True
)

Folder = Annotated[Path, typer.Argument(show_default=False, help="The workspace (default: this folder, or the one in it).")]


@app.command("list", epilog="Example:\n\nchainrule lab list work/")
def list_labs(
    folder: Annotated[Path, typer.Argument(show_default=False, help="A workspace, to see what is done in it.")] = Path(),
):
    """The nine labs, one of them in PyTorch or in TensorFlow: what each asks for, and what is done."""
    from rich.table import Table

    from chainrule.lab.checking import check_workspace
    from chainrule.lab.labs import LABS
    from chainrule.lab.workspace import MANIFEST, find_workspace

    done = {}
    if (folder / MANIFEST).is_file() or folder != Path():
        workspace = find_workspace(folder)
        verdicts = list(check_workspace(workspace))
        for lab in workspace.labs:
            files = {file.name for file in lab.files}
            statuses = [verdict.status for verdict in verdicts if verdict.file in files]
            done[lab.name] = f"{statuses.count('right')} of {len(statuses)} right"
    table = Table("lab", "you write", *(["done"] if done else []))
    for lab in LABS:
        table.add_row(lab.name, lab.asks, *([done.get(lab.name, "not started")] if done else []))
    out.print(table)


@app.command("start", epilog="Example:\n\nchainrule lab start normalization work/")
def start(
    name: Annotated[str, typer.Argument(help="Name of the lab.")],
    folder: Annotated[Path, typer.Argument(help="A new folder, or a workspace that the lab is added to.")],
    solutions: Annotated[bool, typer.Option("--solutions", help="For instructors: with solutions and answers.")] = False,
):
    """Make a workspace: the notebook, and the files to write."""
    from chainrule.lab.labs import find_lab
    from chainrule.lab.workspace import start

    for path in start(find_lab(name), folder, solutions=solutions):
        out.print(str(path), markup=False)


@app.command("check", epilog="Examples:\n\nchainrule lab check work/ --watch\n\nchainrule lab check work/ batchnorm_forward --hint")
def check(
    folder: Annotated[Path, typer.Argument(show_default=False, help="The workspace (may be left out in it).")] = Path(),
    functions: Annotated[list[str] | None, typer.Argument(help="Names of functions, files or labs (default: all).")] = None,
    hint: Annotated[int, typer.Option("--hint", count=True, help="Give a hint for what is wrong; twice for a plainer one.")] = 0,
    watch: Annotated[bool, typer.Option("--watch", help="Check again at every save, until Ctrl-C.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
):
    """Each function: not written, right, or wrong, and what is wrong.

    Exit status 1 if a function is wrong or fails.
    """
    from chainrule.lab.checking import Servers

    workspace, names = _meant(folder, functions or [])
    if json:
        fine = _print_json(workspace, names, hint)
    else:
        with Servers() as servers:
            fine = _print_verdicts(workspace, names, hint, servers)
            if watch:
                _watch(workspace, names, hint, servers)
    raise typer.Exit(0 if fine else 1)


@app.command("train", epilog="Example:\n\nchainrule lab train work/ --epochs 10")
def train(
    folder: Folder = Path(),
    lab: Annotated[str | None, typer.Option(help="Which lab of the workspace (default: all that have something to train).")] = None,
    data: Annotated[Literal["digits", "cifar10"], typer.Option(help="Dataset.")] = "digits",
    limit: Annotated[int | None, typer.Option(min=50, help="Training images (default: all; 2,000 of CIFAR-10).")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Of the first weights, the batches and dropout.")] = 0,
    output: Annotated[Path | None, typer.Option(help="The picture (default: training.png in the workspace).")] = None,
):
    """Train real networks with your functions in place of the library's, and once more with the library's."""
    from rich.markup import escape
    from rich.progress import Progress

    from chainrule.lab.labs import find_lab
    from chainrule.lab.training import TRAINABLE, picture, train
    from chainrule.lab.workspace import find_workspace

    workspace = find_workspace(folder)
    path = checked_output(output or workspace.folder / "training.png", ".png")
    asked = (find_lab(lab),) if lab else workspace.labs
    if asked[0] not in workspace.labs:
        raise ValueError(f"{workspace.folder} has no lab {lab}; it has {', '.join(each.name for each in workspace.labs)}")
    labs = [each for each in asked if each.name in TRAINABLE]
    if not labs:
        raise ValueError(f"there is nothing to train in {', '.join(each.name for each in asked)}; there is in {', '.join(TRAINABLE)}")
    if limit is None and data == "cifar10":
        limit = 2000
    runs = []
    for each in labs:
        with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
            tasks = {}

            def advance(run, who, step, bar=bar, tasks=tasks):
                key = run.title, who
                if key not in tasks:
                    tasks[key] = bar.add_task(escape(f"{run.title}, {who}"), total=run.steps)
                bar.update(tasks[key], completed=step)

            found = train(workspace, each, data=data, limit=limit, epochs=epochs, seed=seed, progress=advance)
        for run in found:
            out.print(f"{run.title}\n    with your {', '.join(run.uses)}: {run.verdict()}", markup=False, soft_wrap=True)
            if told := [f"{who} {percent(run.accuracy[who])}" for who in ("yours", "library") if who in run.accuracy]:
                out.print(f"    validation accuracy after {epochs} {'epoch' if epochs == 1 else 'epochs'}: {', '.join(told)}", markup=False)
        runs += found
    if not runs:
        raise ValueError(
            f"nothing of {', '.join(each.name for each in labs)} is written yet that a network could use: it takes a forward and its "
            "backward pass, an update rule, or a network"
        )
    picture(runs, path)
    out.print(f"picture  {path}", markup=False)
    raise typer.Exit(1 if any(run.fault for run in runs) else 0)


@app.command("submit", epilog="Example:\n\nchainrule lab submit work/ --name a2")
def submit(
    folder: Folder = Path(),
    name: Annotated[str, typer.Option(help="What the names of both files begin with.")] = "a2",
    output: Annotated[Path | None, typer.Option(help="Folder for both (default: the workspace).")] = None,
    execute: Annotated[
        bool, typer.Option("--execute/--no-execute", help="Run the notebooks, or hand in what they were saved with.")
    ] = True,
    allow_errors: Annotated[
        bool, typer.Option("--allow-errors", help="Hand in what there is, with the errors of cells that fail.")
    ] = False,
):
    """Run and check the notebooks, and make what is handed in: a zip of the code and one PDF."""
    from chainrule.lab.execution import CellsFailed
    from chainrule.lab.submission import submit
    from chainrule.lab.workspace import find_workspace

    workspace = find_workspace(folder)
    with _ended_in_order(), err.status("") as status:
        try:
            made = submit(workspace, name=name, folder=output, execute=execute, allow_errors=allow_errors, progress=status.update)
        except CellsFailed as error:
            raise ValueError(f"{error}\n--allow-errors hands in what there is, with these errors") from error
        status.update("the functions")
        unfinished = list(_unfinished(workspace))
    for warning in [*made.warnings, *unfinished]:
        err.print(f"warning: {warning}", markup=False, highlight=False, soft_wrap=True)
    out.print(f"zip  {made.zip}", markup=False, soft_wrap=True)
    if made.pdf is not None:
        out.print(f"pdf  {made.pdf}", markup=False, soft_wrap=True)


@contextlib.contextmanager
def _ended_in_order():
    """SIGTERM, and SIGHUP of a terminal that is closed, leave the block by an exception, so that what it started and wrote goes with it."""

    def end(number, frame):
        raise SystemExit(128 + number)  # as a shell tells it

    default = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) == signal.SIG_DFL]  # nohup ignores one
    for number in default:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in default:
            signal.signal(number, signal.SIG_DFL)


def _unfinished(workspace):
    """Sentences on functions that are handed in wrong or not written."""
    from chainrule.lab.checking import check_workspace
    from chainrule.lab.telling import MARKS

    verdicts = [verdict for verdict in check_workspace(workspace) if verdict.status != "right"]
    for status in dict.fromkeys(verdict.status for verdict in verdicts):
        names = ", ".join(verdict.function for verdict in verdicts if verdict.status == status)
        yield f"{MARKS[status]}: {names}"


def _meant(folder, functions):
    """The workspace, and names of functions; a first name that is no folder is one if it is known, or there is a workspace here."""
    from chainrule.lab.labs import NAMES
    from chainrule.lab.workspace import find_workspace

    if folder.exists() or len(folder.parts) > 1:
        return find_workspace(folder), functions
    try:
        return find_workspace(Path()), [str(folder), *functions]
    except ValueError:
        if folder.name.partition(".")[0] in NAMES:
            raise
        return find_workspace(folder), functions


def _print_json(workspace, functions, hints):
    import json

    from chainrule.lab.checking import check_workspace
    from chainrule.lab.telling import MARKS, as_json

    verdicts = list(check_workspace(workspace, functions))
    told = [as_json(verdict, hints=hints) for verdict in verdicts]
    counts = {status: sum(verdict.status == status for verdict in verdicts) for status in MARKS}
    labs = [lab.name for lab in workspace.labs]
    out.print_json(json.dumps({"workspace": str(workspace.folder), "labs": labs, "counts": counts, "functions": told}))
    return all(verdict.fine for verdict in verdicts)


def _print_verdicts(workspace, functions, hints, servers, files=()):
    from chainrule.lab.checking import check_workspace
    from chainrule.lab.telling import as_text, summary

    verdicts = []
    for verdict in check_workspace(workspace, functions, files=files, servers=servers):
        verdicts.append(verdict)
        out.print("\n".join(as_text(verdict, hints=hints)), markup=False, highlight=False, soft_wrap=True)
    if verdicts:
        out.print(summary(verdicts), markup=False)
    return all(verdict.fine for verdict in verdicts)


def _watch(workspace, functions, hints, servers):
    """Check a file's functions, and those of the files that import it, whenever it is saved."""
    from chainrule.lab.checking import importers

    def saved():
        stats = {file.name: path.stat() for file in workspace.files if (path := workspace.folder / file.name).is_file()}
        return {name: (stat.st_mtime_ns, stat.st_size) for name, stat in stats.items()}

    seen = before = saved()
    out.print("waiting for the next save; Ctrl-C ends", markup=False)
    while True:
        time.sleep(0.05)
        now = saved()
        if now == before != seen:  # and nothing is being written any more
            changed = [file.name for file in workspace.files if seen.get(file.name) != now.get(file.name)]
            seen = now
            out.print(f"\n{time.strftime('%H:%M:%S')}   {', '.join(changed)}", markup=False)
            _print_verdicts(workspace, functions, hints, servers, [*changed, *importers(workspace, changed)])
        before = now
