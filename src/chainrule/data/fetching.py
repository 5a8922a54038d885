"""A file of known checksum from the net: an address becomes a file that was checked, or one sentence on what went wrong."""

import errno
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["Report", "check_file", "exclusively", "fetch"]

Report = Callable[[int, int], None]  # of (bytes so far, bytes in all, 0 if unknown)


@contextmanager
def exclusively(folder: Path, lock: str, space: str) -> Iterator[None]:
    """Make `folder`, and be the only process that puts something into it: others wait.

    Parameters
    ----------
    lock : name of the file that is locked
    space : how much a full disk lacks, for that error: "CIFAR-10 takes 184 MB"
    """
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / lock):
            yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise OSError(
                errno.ENOSPC, f"no space left in {folder}; {space}; make room or set CHAINRULE_DATA to another folder, and try again"
            ) from error  # fmt: skip
        raise


def check_file(path: Path, checksum: str) -> None:
    """Refuse a file, brought by hand, that is not the one it should be; `checksum` as for `fetch`."""
    algorithm, _, expected = checksum.partition(":")
    if not (found := _sum(path, algorithm)).startswith(expected):
        raise ValueError(f"{path} has the {algorithm} {found}; expected {expected}; remove it and try again, and it is downloaded")


def fetch(address: str, folder: Path, checksum: str, *, otherwise: str, progress: Report | None = None) -> Path:
    """The file at `address`, downloaded into `folder` and checked; one that lies there whole, of an interrupted call, is used.

    Parameters
    ----------
    checksum : "md5:..." or "sha256:...", all hexadecimal digits or the first of them
    otherwise : what one can do without the net, for errors: "fetch it by other means and put it into FOLDER"
    progress : called with (bytes so far, bytes in all, 0 if unknown)

    Raises
    ------
    ConnectionError
        if the download fails.
    ValueError
        if the file has another checksum; it is not kept.
    """
    import pooch
    import requests  # pooch's own way to the net: its exceptions come through

    algorithm, _, expected = checksum.partition(":")
    path = folder / address.rpartition("/")[2]
    if path.is_file() and not _sum(path, algorithm).startswith(expected):
        path.unlink()
    pooch.get_logger().setLevel(logging.WARNING)  # it would announce each download on stderr
    downloader = pooch.HTTPDownloader(
        progressbar=_Progress(progress) if progress else False,  # pyright: ignore[reportArgumentType]: annotated bool, documented any
        chunk_size=_Progress.CHUNK,
        headers={"Accept-Encoding": "identity"},  # the file as it is, not unpacked on the way
    )
    try:
        # no checksum for pooch: it knows whole ones only
        pooch.retrieve(address, None, fname=path.name, path=folder, downloader=downloader)  # pyright: ignore[reportArgumentType]
    except requests.RequestException as error:
        raise ConnectionError(f"could not download {address}: {_reason(error, address)}; try again, or {otherwise}") from error
    if not (found := _sum(path, algorithm)).startswith(expected):
        path.unlink()
        raise ValueError(
            f"{address}: expected the {algorithm} {expected}, found {found}; "
            "the download was damaged, or the file is another one; try again"
        )  # fmt: skip
    return path


def _sum(path: Path, algorithm: str) -> str:
    import pooch

    return pooch.file_hash(str(path), alg=algorithm)


def _reason(error, address: str) -> str:
    """In a few words, why a download failed."""
    import requests

    host = urlsplit(address).hostname
    match error:
        case requests.HTTPError(response=requests.Response(status_code=status, reason=reason)):
            return f"{host} answered {status} ({reason})"
        case requests.Timeout():
            return f"{host} does not answer"
        case requests.exceptions.SSLError():
            return f"the certificate of {host} could not be verified"
        case requests.ConnectionError():
            return f"cannot reach {host}"
        case requests.exceptions.ChunkedEncodingError():
            return f"the connection to {host} broke off"
    return str(error)


class _Progress:
    """What pooch calls a progress bar, for a plain function."""

    CHUNK = 1 << 18  # bytes

    def __init__(self, report: Report):
        self.total = 0
        self._report, self._done = report, 0

    def update(self, size: int) -> None:
        self._done = min(self._done + size, self.total) if self.total else self._done + size
        self._report(self._done, self.total)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        """Nothing to close."""
