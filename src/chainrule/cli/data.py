"""`chainrule data`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from chainrule.cli.console import download_bar, out

__all__ = ["app"]

app = typer.Typer(help="Datasets on disk.", no_args_is_help=True)


@app.command(epilog="Example:\n\nchainrule data get cifar10")
def get(
    name: Annotated[Literal["cifar10"], typer.Argument(help="Name of a dataset.")],
    folder: Annotated[Path | None, typer.Option(help="Where to put it (default: CHAINRULE_DATA, or your data folder).")] = None,
    binary: Annotated[bool, typer.Option("--binary", help="Fetch the binary archive instead of the Python one.")] = False,
    url: Annotated[str | None, typer.Option(help="Folder of the archives, for a mirror; the official checksums hold there, too.")] = None,
):
    """Download, check and unpack a dataset; or use the folder that is there already."""
    from chainrule.data import describe, get_cifar10
    from chainrule.data.download import URL

    with download_bar() as progress:
        path = get_cifar10(folder, kind="binary" if binary else "python", url=url or URL, progress=progress)
    description = describe(path)
    out.print(f"{name} is in {path}", markup=False)
    if description.official is False:
        out.print("the files are whole, but not the official ones: compare accuracies only with runs on the same files")
    elif description.official is None:
        out.print("the files are whole; there are no official checksums for them one by one")
