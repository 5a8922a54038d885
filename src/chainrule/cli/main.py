"""`chainrule`: the commands together, and how errors look."""

import os
import sys
from typing import Annotated

import typer

from chainrule.cli import (
    bench,
    compare,
    data,
    doctor,
    evaluate,
    experiment,
    explore,
    export,
    lab,
    models,
    predict,
    report,
    runs,
    summary,
    train,
    tune,
    verify,
    visualize,
)
from chainrule.cli.console import show_warnings
from chainrule.cli.options import ManyValues
from chainrule.messages import EXPLAINED, sentence

__all__ = ["app", "main"]

app = typer.Typer(
    name="chainrule",
    help="Deep learning written out by hand: train, compare and look inside networks whose every backward pass is readable code.",
    epilog="Example:\n\nchainrule train fully-connected",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data.app, name="data")
app.command(name="models", epilog=models.EXAMPLES)(models.models)
app.command(name="train", cls=ManyValues, epilog=train.EXAMPLES)(train.train)
app.command(name="evaluate", epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.command(name="runs", epilog=runs.EXAMPLES)(runs.runs)
app.command(name="compare", epilog=compare.EXAMPLES)(compare.compare)
app.add_typer(experiment.app, name="experiment")
app.command(name="tune", cls=ManyValues, epilog=tune.EXAMPLES)(tune.tune)
app.command(name="export", epilog=export.EXAMPLES)(export.export)
app.command(name="predict", epilog=predict.EXAMPLES)(predict.predict)
app.add_typer(visualize.app, name="visualize", epilog=visualize.EXAMPLES)
app.add_typer(lab.app, name="lab", epilog=lab.EXAMPLES)
app.command(name="explore", epilog=explore.EXAMPLES)(explore.explore)
app.command(name="report", epilog=report.EXAMPLES)(report.report)
app.command(name="verify", cls=ManyValues, epilog=verify.EXAMPLES)(verify.verify)
app.command(name="summary", cls=ManyValues, epilog=summary.EXAMPLES)(summary.summary)
app.command(name="bench", cls=ManyValues, epilog=bench.EXAMPLES)(bench.bench)
app.command(name="doctor", epilog=doctor.EXAMPLES)(doctor.doctor)


def _print_version(wanted: bool):
    if wanted:
        from importlib.metadata import version

        print(f"chainrule {version('chainrule')}")
        raise typer.Exit


@app.callback()
def _options(
    traceback: Annotated[bool, typer.Option("--traceback", help="On an error, show where in the code it came from.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")] = False,
):
    if traceback:
        os.environ["CHAINRULE_TRACEBACK"] = "1"


def main():
    """Run the command line. Exit status: 0 done, 1 an error that a message explains, 2 wrong usage, 130 interrupted."""
    show_warnings()
    try:
        app(prog_name="chainrule")
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `chainrule runs | head` is no error
        sys.exit(1)
    except EXPLAINED as error:
        missing_module = isinstance(error, ImportError) and error.name is not None  # ours name what to install, and no module
        if missing_module or os.environ.get("CHAINRULE_TRACEBACK"):
            raise
        print("\n".join([f"error: {sentence(error)}", *getattr(error, "__notes__", ())]), file=sys.stderr)
        sys.exit(1)
