"""`chainrule doctor`."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli.console import out, print_json
from chainrule.cli.options import RunsFolder

__all__ = ["EXAMPLES", "doctor"]

EXAMPLES = """Examples:

chainrule doctor

chainrule doctor --json"""


def doctor(
    json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")] = False,
    runs: RunsFolder = Path("runs"),
):
    """Versions, BLAS, threads, processor features, folders; what is missing, and what to do. Exit status 1 if something is broken."""
    findings = [*_versions(), *_computing(), *_folders(runs)]
    if json:
        print_json([{"what": what, "found": found, "advice": advice, "broken": broken} for what, found, advice, broken in findings])
    else:
        from rich.table import Table
        from rich.text import Text

        table = Table("", "found", "what to do")
        for what, found, advice, broken in findings:
            table.add_row(what, Text(found, style="red" if broken else ""), Text(advice))
        out.print(table)
    if any(broken for *_, broken in findings):
        raise typer.Exit(1)


# Each finding: (what, what was found, what to do about it or "", whether chainrule cannot work so).


def _versions():
    from chainrule.training.provenance import machine, versions

    found = versions()
    torch = found.pop("torch", None)
    yield "versions", ", ".join(f"{name} {version}" for name, version in found.items()), "", sys.version_info < (3, 11)
    yield "torch", torch or "not installed", "" if torch else "only twins need it: pip install chainrule[torch]", False
    optuna = importlib.util.find_spec("optuna") is not None
    yield (
        "optuna",
        "installed" if optuna else "not installed",
        "" if optuna else "for searches: pip install chainrule[tune]",
        False,
    )
    facts = machine()
    yield "machine", f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gib']} GiB, {facts['system']}", "", False


def _computing():
    import numpy as np
    import threadpoolctl

    np.ones((2, 2)) @ np.ones((2, 2))
    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    blas = ", ".join(f"{pool['internal_api']} {pool['version'] or ''} ({pool['num_threads']} threads)" for pool in pools)
    yield "BLAS", blas or "none that is known", "", False
    try:
        from chainrule import kernels

        facts = kernels.describe()
    except Exception as error:  # a broken compiler is what this command is there to find
        advice = "" if "NUMBA_" in str(error) else "reinstall: pip install --force-reinstall numba llvmlite"
        yield "kernels", f"{type(error).__name__}: {error}", advice, True
        return
    advice = "" if kernels.cache_is_kept() else "they are compiled by every process: set NUMBA_CACHE_DIR to a folder that can be written to"
    yield "kernels", ", ".join(f"{name} {value}" for name, value in facts.items()), advice, False


def _folders(runs):
    from chainrule.data import default_folder, find_cifar10

    cifar10 = find_cifar10()
    yield "CIFAR-10", str(cifar10 or f"not in {default_folder()}"), "" if cifar10 else "chainrule data get cifar10", False
    for what, folder in (("data folder", default_folder()), ("runs folder", runs)):
        existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
        if not existing.is_dir():
            yield what, f"{existing} is not a folder", "choose another with CHAINRULE_DATA or --runs", True
            continue
        free = shutil.disk_usage(existing).free / 2**30
        writable = os.access(existing, os.W_OK)
        advice = "" if writable else "choose another with CHAINRULE_DATA or --runs, or change its permissions"
        yield what, f"{folder.absolute()}, {free:.1f} GiB free" + ("" if writable else ", not writable"), advice, False
