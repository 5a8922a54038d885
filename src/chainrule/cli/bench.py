"""`chainrule bench`."""

import contextlib
import functools
import importlib.util
from typing import Annotated

import typer

from chainrule.cli.console import err, out, print_json

__all__ = ["EXAMPLES", "bench"]

EXAMPLES = """Examples:

chainrule bench

chainrule bench --only steps --networks three-layer-convnet resnet --rounds 9

chainrule bench --only scaling account first-step --networks speedrun

chainrule bench --only squeezenet --engines torch

chainrule bench --ladder --threads 1"""

TABLES = ("layers", "steps", "squeezenet", "scaling", "account", "first-step")
RIVALS = ("torch", "tensorflow", "numpy", "loops")


def bench(
    only: Annotated[list[str] | None, typer.Option(help=f"Tables: {', '.join(TABLES)} (default: layers steps).")] = None,
    ladder: Annotated[bool, typer.Option("--ladder", help="One convolution, from naive loops to the last kernel, instead.")] = False,
    networks: Annotated[list[str] | None, typer.Option(help="Networks of all tables but layers and squeezenet (default: all).")] = None,
    engines: Annotated[list[str] | None, typer.Option(help=f"Rivals: {', '.join(RIVALS)} (default: all that are installed).")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contender; README's tables have 9.")] = 3,
    seconds: Annotated[float, typer.Option(min=0, help="Length of a turn; at least three runs.")] = 0.3,
    threads: Annotated[int | None, typer.Option(min=1, help="Of every contender (default: one for each processor).")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document instead of tables.")] = False,
):
    """Time layers and whole training steps: hand-written, PyTorch, course-style NumPy, in turns. Some minutes; close other programs."""
    from chainrule.benchmarks.steps import NETWORKS
    from chainrule.training.provenance import machine, versions

    _known("networks", networks, tuple(NETWORKS))
    wanted = ["ladder"] if ladder else _known("only", only, TABLES) or ["layers", "steps"]
    _check_installed(_known("engines", engines, RIVALS))
    threads = threads or machine()["cores"]
    results = {"machine": machine(), "versions": versions(), "threads": threads, "rounds": rounds}
    if not json:
        facts = results["machine"]
        out.print(f"{facts['processor']}, {threads} threads of each contender; {', '.join(map(' '.join, results['versions'].items()))}")
    with _progress() as progress:
        options = {"threads": threads, "seconds": seconds, "progress": progress}
        for table in wanted:
            results[table] = _measure(table, networks, engines, rounds, options)
            if not json:
                _SHOW[table](results[table])
    if json:
        print_json(results)


def _known(option, given, possible):
    unknown = [value for value in given or [] if value not in possible]
    if unknown:
        raise ValueError(f"--{option} {unknown[0]}: there is no such thing; there are {', '.join(possible)}")
    return given


def _check_installed(engines):
    """A rival that was asked for must be there; without being asked, it is said that PyTorch is not."""
    advice = {
        "torch": "PyTorch is not installed: pip install chainrule[torch]",
        "tensorflow": "TensorFlow is not installed: pip install chainrule[tensorflow]",
    }
    for engine, message in advice.items():
        if importlib.util.find_spec(engine) is not None:
            continue
        if engines and engine in engines:
            raise ValueError(f"--engines {engine}: {message}")
        if engine == "torch" and not engines:
            err.print(f"{message}; compared without it", style="yellow", markup=False)


@contextlib.contextmanager
def _progress():
    """A function that shows what happens now: on a terminal in one line that changes, elsewhere line by line."""
    if not err.is_terminal:
        yield functools.cache(lambda text: err.print(text, style="dim", markup=False))  # each text once
        return
    with err.status("") as status:
        yield status.update


def _measure(table, networks, engines, rounds, options):
    from chainrule.benchmarks import account, ladder, layers, squeezenet, steps

    if table == "ladder":
        layer, between = ladder.run(rounds=rounds, **options)
        return {"layer": layer, "between": between}
    if table == "layers":
        return layers.run(list(layers.LAYERS), engines, rounds=rounds, **options)
    if table == "squeezenet":
        return {name: squeezenet.run(name, engines, rounds=rounds, **options) for name in squeezenet.CASES}
    names = networks or list(steps.NETWORKS)
    if table == "steps":
        return {name: steps.run(name, engines, rounds=rounds, **options) for name in names}
    if table == "scaling":
        return {name: steps.scaling(name, rounds=rounds, **options) for name in names}
    if table == "account":
        return {name: account.run(name, **options) for name in names}
    return {name: steps.first_steps(name, threads=options["threads"], progress=options["progress"]) for name in names}


# --- tables -------------------------------------------------------------------------------------------------------------------------


def _table(title, *columns, words=2):
    """A table whose first columns hold words, the others numbers."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < words else "right")
    return table


def _times(row):
    low, high = row["ratio_range"]
    return [_ms(row["median_ms"]), _ms(row["best_ms"]), f"{row['ratio']:.2f}", f"{low:.2f} - {high:.2f}"]


def _ms(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" if value >= 100 else f"{value:.2f}"


def _name(contender, rows, names):
    """PyTorch's better memory format is the one that counts."""
    formats = [rival for rival in rows if rival.startswith("torch")]
    counts = len(formats) == 2 and contender == min(formats, key=lambda rival: rows[rival]["ratio"])
    return names[contender] + (" *" if counts else "")


def _show_layers(results):
    from chainrule.benchmarks.layers import BATCH, CONTENDERS

    table = _table(
        f"Single layers, forward and backward, float32, {BATCH} images",
        "layer",
        "engine",
        "median ms",
        "best ms",
        "time / ours",
        "range",
        "GFLOP/s",
    )
    for name, rows in results.items():
        for contender, row in rows.items():
            label = _name(contender, rows, CONTENDERS)
            speed = f"{row['gflops']:.0f}" if "gflops" in row else ""
            table.add_row(name if contender == "hand" else "", label, *_times(row), speed, end_section=contender == list(rows)[-1])
    out.print(table)
    out.print(
        "64, 32 -> 128, 3: 64 channels of 32 x 32, 128 filters of 3 x 3. GFLOP/s count the operations of the direct way, also where "
        "Winograd's algorithm has fewer. * PyTorch's better memory format."
    )


def _show_steps(results):
    from chainrule.benchmarks.steps import CONTENDERS, NETWORKS

    table = _table("One training step, float32", "network", "engine", "median ms", "best ms", "time / ours", "range", "peak MiB")
    for name, rows in results.items():
        network = NETWORKS[name]
        for contender, row in rows.items():
            label = f"{network.title}, batch {network.batch}" if contender == "hand" else ""
            memory = "" if contender == "loops" else f"{row['peak_mib']:.0f}"
            table.add_row(label, _name(contender, rows, CONTENDERS), *_times(row), memory, end_section=contender == list(rows)[-1])
    out.print(table)
    out.print("* PyTorch's better memory format. The loops are timed on one image, and the time multiplied by the batch.")


def _show_squeezenet(results):
    from chainrule.benchmarks.squeezenet import CASES, CONTENDERS

    title = "SqueezeNet at 224 x 224, forward and backward with the gradient of the image, float32"
    table = _table(title, "gradients", "engine", "median ms", "best ms", "time / ours", "range", "peak MiB")
    for name, rows in results.items():
        case = CASES[name]
        for contender, row in rows.items():
            label = f"{'image alone' if case.frozen else 'all'}, batch {case.batch}" if contender == "hand" else ""
            table.add_row(
                label, _name(contender, rows, CONTENDERS), *_times(row), f"{row['peak_mib']:.0f}", end_section=contender == list(rows)[-1]
            )
    out.print(table)
    out.print("* PyTorch's better memory format.")


def _show_scaling(results):
    columns = ("network", "all, ms", "one, ms", "speedup", "range", "best runs, ms", "speedup")
    table = _table("All threads against one, chainrule", *columns, words=1)
    for name, rows in results.items():
        several, one = rows["threads"], rows["one-thread"]
        best = several["best_ms"], one["best_ms"]  # what the machine does besides, it does to two processors more often than to one
        median, of_best = (_ms(several["median_ms"]), _ms(one["median_ms"])), f"{best[1] / best[0]:.2f}"
        table.add_row(name, *median, *_times(one)[2:], " ".join(map(_ms, best)), of_best)
    out.print(table)


def _show_account(results):
    columns = ("network", "step ms", "arithmetic ms", "memory ms", "calls ms", "rest ms", "page faults", "GFLOP", "MB moved")
    table = _table("What a training step's time is for", *columns, words=1)
    for name, row in results.items():
        parts = [row["arithmetic_ms"], row["memory_ms"], row["calls_ms"]]
        parts.append(row["step_ms"] - sum(parts))
        shares = [f"{part:.2f} ({part / row['step_ms']:.0%})" for part in parts]
        table.add_row(name, _ms(row["step_ms"]), *shares, f"{row['page_faults']:.0f}", f"{row['gflop']:.1f}", f"{row['megabytes']:.0f}")
    out.print(table)
    speeds = [(row["peak_gflops"], row["gigabytes_per_s"]) for row in results.values()]
    peak, bandwidth = (max(values) for values in zip(*speeds, strict=True))
    out.print(
        f"Arithmetic at {peak:.0f} GFLOP/s, the register tile's peak here; memory at {bandwidth:.1f} GB/s, a copy's. A rest below 0 means "
        "that caches save traffic, or that traffic and arithmetic overlap."
    )


def _show_first_step(results):
    table = _table(
        "From the start of a process to the end of its first training step, seconds",
        "network",
        "kernels compiled",
        "from the cache",
        "PyTorch",
        words=1,
    )
    for name, row in results.items():
        table.add_row(name, *(f"{row[kind]:.1f}" if kind in row else "" for kind in ("compiled", "cached", "torch")))
    out.print(table)


def _show_ladder(results):
    from chainrule.benchmarks.ladder import BETWEEN, RUNGS

    titles = {
        "layer": "3x3 convolution, 64 -> 64 channels, 16 images of 32 x 32, forward, float32",
        "between": "With ReLU and 2x2 max pooling behind it, forward and backward",
    }
    for part, rungs in {"layer": RUNGS, "between": BETWEEN}.items():
        table = _table(titles[part], "rung", "median ms", "GFLOP/s", "times the one before", words=1)
        for rung, row in results[part].items():
            factor = f"{row['factor']:.3g}" if "factor" in row else ""
            table.add_row(rungs[rung], _ms(row["median_ms"]), f"{row['gflops']:.3g}", factor)
        out.print(table)


_SHOW = {
    "layers": _show_layers,
    "steps": _show_steps,
    "squeezenet": _show_squeezenet,
    "scaling": _show_scaling,
    "account": _show_account,
    "first-step": _show_first_step,
    "ladder": _show_ladder,
}
