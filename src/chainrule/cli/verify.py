"""`chainrule verify`."""

from typing import Annotated

import typer

from chainrule.cli.console import announce_compilation, out, print_json
from chainrule.cli.options import Model, given_settings, with_settings

__all__ = ["EXAMPLES", "verify"]

EXAMPLES = """Examples:

chainrule verify fully-connected

chainrule verify fully-connected --hidden 50 30 --normalization layer --dropout 0.2

chainrule verify resnet --blocks 1 1 --bottleneck"""

# What is not said: images smaller than CIFAR's, and a network smaller than the model's own where that would take many minutes.
IMAGE = (3, 8, 8)
IMAGES = {"speedrun": (3, 13, 13)}
ARGUMENTS = {"speedrun": {"widths": (8, 12)}}


@with_settings()
def verify(
    model: Model,
    image: Annotated[
        tuple[int, int, int] | None,
        typer.Option(help="Channels, height and width of the images (default: 3 8 8, for speedrun 3 13 13).", show_default=False),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=2, help="Images in the batch.")] = 6,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, images and upstream gradients.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="One JSON document instead of tables.")] = False,
    **options,
):
    """Prove a network: numerical gradients of every layer, parity with its PyTorch twin. Exit status 1 if anything is wrong.

    A proof needs no large network: speedrun has two blocks, of 8 and 12 channels, unless it is given others.
    """
    import numpy as np

    from chainrule import nn
    from chainrule.models import MODELS
    from chainrule.settings import Settings

    announce_compilation()
    given = given_settings(model, options)
    settings = Settings.from_dict(given | {"model_arguments": ARGUMENTS.get(model, {}) | given.get("model_arguments", {})})
    image = image or IMAGES.get(model, IMAGE)
    rng = np.random.default_rng(seed)
    arguments = {"image": image, "classes": 10, **settings.model_arguments}
    network = MODELS[model](nn, **arguments).reset_parameters(rng).double()
    images, labels = rng.standard_normal((batch_size, *image)), rng.integers(10, size=batch_size)

    rows = [*_gradients(network, images, seed), *_parity(MODELS[model], arguments, network, images, labels, seed)]
    if json:
        print_json(rows)
    else:
        _print(model, arguments, rows)
    if any(row["fault"] for row in rows):
        raise typer.Exit(1)


def _gradients(network, images, seed):
    """A row for every gradient of every layer, against central differences at the layer's own activations."""
    from chainrule.verification import GradientError, check_module, layer_inputs

    for name, layer, x in layer_inputs(network, images, seed=seed):
        where = f"{name} {type(layer).__name__}"
        try:
            report = check_module(layer, x, seed=seed, max_checks=50)
        except GradientError as error:
            yield _row("numerical gradient", where, fault=str(error))
            continue
        for array in report.arrays:
            yield _row("numerical gradient", f"{where} {array.name}", array.error, array.tolerance)


def _parity(build, arguments, network, images, labels, seed):
    """Rows for the comparison with PyTorch: one pass, and 50 training steps with each optimizer."""
    try:
        from chainrule import pytorch
    except ImportError as error:
        yield _row("parity with PyTorch", "not compared", note=str(error))
        return
    import copy

    from chainrule import nn, optim
    from chainrule.training import HandEngine
    from chainrule.verification import ParityError, check_parity, check_training_parity

    twin = build(pytorch.nn, **arguments).double()
    try:
        report = check_parity(network, twin, images, labels, seed=seed)
    except ParityError as error:
        yield _row("parity with PyTorch", "one pass", fault=str(error))
        return
    kinds = {f"output of {name}": f"{name} {type(module).__name__} output" for name, module in network.named_modules()}
    together: dict[str, list[float]] = {}
    for name, error in report.errors.items():
        whole = "the same in eval mode" if name.endswith("(eval)") else "state_dict after it" if name.startswith("state ") else None
        together.setdefault(whole or kinds.get(name, name), []).append(error)
    for name, errors in together.items():
        yield _row("parity with PyTorch", name if len(errors) == 1 else f"{name}, {len(errors)} arrays", max(errors), report.tolerance)
    for name in ("SGD", "RMSprop", "Adam", "AdamW", "Adagrad"):
        ours, theirs = copy.deepcopy(network), copy.deepcopy(twin)
        engine = HandEngine(ours, nn.CrossEntropyLoss(), getattr(optim, name)(ours.parameters(), lr=1e-3))
        other = pytorch.TorchEngine(theirs, pytorch.nn.CrossEntropyLoss(), getattr(pytorch.optim, name)(theirs.parameters(), lr=1e-3))
        try:
            report = check_training_parity(engine, other, [(images, labels)] * 50, seed=seed)
        except ParityError as error:
            yield _row("parity with PyTorch", f"50 steps of {name}", fault=str(error))
            continue
        yield _row("parity with PyTorch", f"50 steps of {name}", report.error, report.tolerance)


def _row(check, what, error=None, tolerance=None, *, fault=None, note=None):
    return {"check": check, "what": what, "error": error, "tolerance": tolerance, "fault": fault, "note": note}


def _print(model, arguments, rows):
    from rich.table import Table
    from rich.text import Text

    out.print(f"{model}: {', '.join(f'{name} = {value!r}' for name, value in arguments.items())}", markup=False)
    for check in dict.fromkeys(row["check"] for row in rows):
        table = Table("what", title=check, title_justify="left", title_style="bold")
        table.add_column("greatest relative error", justify="right")
        table.add_column("allowed", justify="right")
        table.add_column("")
        for row in rows:
            if row["check"] != check:
                continue
            if row["error"] is None:
                table.add_row(row["what"], "", "", Text(row["fault"] or row["note"], style="red" if row["fault"] else "yellow"))
            else:
                table.add_row(row["what"], f"{row['error']:.1e}", f"{row['tolerance']:.0e}", Text("ok", style="green"))
        out.print(table)
    faults = sum(row["fault"] is not None for row in rows)
    made = sum(row["note"] is None for row in rows)
    complete = made == len(rows)
    result = f"{faults} of {made} checks failed" if faults else f"{'all ' if complete else ''}{made} checks passed"
    without = "" if complete else "; parity with PyTorch not compared (pip install chainrule[torch])"
    out.print(result + without, style="red" if faults else "green" if complete else "yellow", markup=False)
