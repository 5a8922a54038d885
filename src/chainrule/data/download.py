"""Downloads CIFAR-10, checks it, and puts it in its place in one step, so that it is there whole or not at all."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from chainrule.data.archives import extract
from chainrule.data.cifar10_files import FOLDERS, Kind, default_folder, describe, file_names, find_cifar10
from chainrule.data.fetching import Report, check_file, exclusively, fetch

__all__ = ["ARCHIVES", "CHECKSUMS", "URL", "get_cifar10"]

URL = "https://www.cs.toronto.edu/~kriz/"
ARCHIVES: dict[Kind, str] = {"python": "cifar-10-python.tar.gz", "binary": "cifar-10-binary.tar.gz"}
CHECKSUMS: dict[str, str] = {
    "cifar-10-python.tar.gz": "md5:c58f30108f718f92721af3b95e74349a",
    "cifar-10-binary.tar.gz": "md5:c32a1d4ab5d03f1284b67883e8d87530",
}

_LARGEST = 1 << 26  # bytes; a batch file has 31 MB


def get_cifar10(
    folder: Path | str | None = None,
    *,
    kind: Kind = "python",
    url: str = URL,
    checksums: Mapping[str, str] = CHECKSUMS,
    progress: Report | None = None,
) -> Path:
    """The folder with CIFAR-10: the one that is there already, or else downloaded (170 MB), checked and unpacked (184 MB).

    An archive that somebody has put into `folder` by hand is used instead of a download. Two processes may call this at once: one
    downloads, the other waits. After an interruption, call it again.

    Parameters
    ----------
    folder : where cifar-10-batches-py or cifar-10-batches-bin is, or is to be (default: CHAINRULE_DATA, else the user's data folder)
    kind : which of the two official archives to download, "python" (default) or "binary"; they hold the same images
    url : where the archives are (default: the author's page)
    checksums : archive name -> "md5:..." or "sha256:..." (default: the official ones)
    progress : called with (bytes so far, bytes in all, 0 if unknown) during the download

    Returns
    -------
    The folder with the batches.

    Raises
    ------
    ConnectionError
        if the download fails.
    ValueError
        if the archive has another checksum, holds anything unexpected, or its files are no CIFAR-10; or files already there are damaged.
    FileExistsError
        if a folder of that name lacks files: what is in it is not ours to delete.
    """
    if kind not in ARCHIVES:
        raise ValueError(f"kind is {kind!r}; expected 'python' or 'binary'")
    folder = default_folder() if folder is None else Path(folder).expanduser()
    if (found := find_cifar10(folder)) is not None:
        return describe(found).folder

    with exclusively(folder, ".cifar-10.lock", "CIFAR-10 takes 360 MB while it is unpacked and 184 MB then"):
        if (found := find_cifar10(folder)) is not None:  # another process was faster
            return describe(found).folder
        target = folder / FOLDERS[kind]
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            missing = [name for name in file_names(kind) if not (target / name).is_file()]
            raise FileExistsError(f"{target} is there but lacks {', '.join(missing)}; complete it, or remove it and try again")
        _get(folder, target, kind, url, checksums, progress)
    return target


def _get(folder: Path, target: Path, kind: Kind, url: str, checksums: Mapping[str, str], progress: Report | None) -> None:
    """Everything unfinished lies in one hidden folder, which only the holder of the lock touches; the last step is a rename."""
    scratch = folder / ".cifar-10-download"
    scratch.mkdir(exist_ok=True)
    unpacked = scratch / FOLDERS[kind]
    for left_over in scratch.iterdir():  # of a process that was killed; a whole archive may stay, its checksum is checked again
        if left_over.is_dir():
            shutil.rmtree(left_over)
        elif left_over.name not in ARCHIVES.values():
            left_over.unlink()
    try:
        archive = _archive(folder, scratch, ARCHIVES[kind], url, checksums[ARCHIVES[kind]], progress)
        members = {f"{FOLDERS[kind]}/{name}": _LARGEST for name in file_names(kind)}
        extract(archive, unpacked, members, optional={f"{FOLDERS[kind]}/readme.html": _LARGEST})
        describe(unpacked)
        unpacked.rename(target)
        (scratch / ARCHIVES[kind]).unlink(missing_ok=True)  # it was good, and is not needed any more
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
        if not any(scratch.iterdir()):
            scratch.rmdir()


def _archive(folder: Path, scratch: Path, name: str, url: str, checksum: str, progress: Report | None) -> Path:
    if (brought := folder / name).is_file():
        check_file(brought, checksum)
        return brought
    otherwise = f"fetch the archive by other means and put it into {folder}"
    return fetch(f"{url.rstrip('/')}/{name}", scratch, checksum, otherwise=otherwise, progress=progress)
