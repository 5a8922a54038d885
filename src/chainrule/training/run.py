"""One training run on disk: its configuration, its metrics, its checkpoints, and the lock that keeps a second trainer out.

    runs/NAME/
        config.json          everything needed to start the run again
        metrics.jsonl        one line a logged step or epoch, appended
        checkpoints/last/    model.safetensors, optimizer.safetensors, state.json
        checkpoints/best/    the same

Whatever instant a writer is killed at, a complete checkpoint stays behind. A run folder may come from anyone: nothing in it is believed
before it is checked, and nothing is read or written through a symbolic link in it.
"""

import difflib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.training.history import History
from chainrule.training.storage import (
    decode_arrays,
    decode_json,
    encode_json,
    explained,
    read_file,
    read_json,
    save_arrays,
    sync_folder,
    write_json,
)

__all__ = ["KINDS", "Run", "RunSummary", "runs"]

KINDS = ("last", "best")
ARRAY_FILES = ("model.safetensors", "optimizer.safetensors")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
# `chainrule runs` holds the lock for a moment to see whether it is free; a trainer waits that long (seconds) before it gives up
LOCK_PATIENCE = 0.5


def _checked_name(name: str) -> str:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is no name for a run; use 1 to 100 letters (A-Z), digits, '.', '_' and '-', beginning with a letter, a digit or '_'"
        )
    return name


class Run:
    """A run folder. Made by `Run.create`, opened by `Run.open`; whoever writes metrics or checkpoints holds `lock()`.

    Attributes
    ----------
    path : the folder
    name : its name
    config : dict, the content of config.json
    """

    def __init__(self, path: Path):
        self.path = path
        self.name = path.name
        self.config: dict[str, Any] = self._read_config()
        self._locked = False
        self._metrics: int | None = None  # descriptor of metrics.jsonl, open while the lock is held
        self._metrics_end = 0  # where its next line begins

    def __repr__(self):
        return f"Run({str(self.path)!r})"

    @classmethod
    def create(cls, root: str | os.PathLike, name: str | None, config: dict[str, Any], *, stem: str = "run") -> "Run":
        """Make the folder of a new run, with its config.json, in one step: no other process sees it unfinished or gets the same name.

        Parameters
        ----------
        root : the folder of all runs; made if missing
        name : 1 to 100 of A-Z a-z 0-9 . _ -; None for "STEM-N" with the first number that is greater than all used
        config : what `encode_json` takes
        stem : "MODEL-DATA", used when `name` is None

        Raises
        ------
        FileExistsError : if there is a run of that name; the message names --resume and --name
        """
        if not isinstance(config, dict):
            raise TypeError(f"the configuration of a run is a dict, not {type(config).__name__}")
        root = Path(root)
        cls.check_new(root, name)
        root.mkdir(parents=True, exist_ok=True)
        path = _next_path(root, stem) if name is None else root / _checked_name(name)
        folder = root / f".new-{secrets.token_hex(8)}"
        folder.mkdir()
        try:
            write_json(folder / "config.json", config, what="the configuration")
            while not _claimed(folder, path):
                if name is not None:
                    raise _name_taken(root, name)
                path = _next_path(root, stem)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        sync_folder(root)
        return cls(path)

    @staticmethod
    def check_new(root: str | os.PathLike, name: str | None) -> None:
        """Raise what `create` would for this folder and name, before the work that leads there; nothing is made."""
        root = Path(root)
        if name is not None:
            path = root / _checked_name(name)
            if os.path.lexists(path) and (not path.is_dir() or any(path.iterdir())):
                raise _name_taken(root, name)
        existing = next(folder for folder in (root, *root.absolute().parents) if folder.exists())
        _check_is_folder(existing)
        if not os.access(existing, os.W_OK):
            raise PermissionError(f"nothing can be written in {existing}; choose another folder with --runs, or change its permissions")

    @classmethod
    def open(cls, root: str | os.PathLike, name: str) -> "Run":
        """The run `name` under `root`. FileNotFoundError names similar runs; ValueError says what is wrong with its config.json."""
        path = Path(root) / _checked_name(name)
        if not path.is_dir():
            near = difflib.get_close_matches(name, [entry.name for entry in _folders(Path(root))])
            hint = f"; did you mean {' or '.join(near)}?" if near else "; `chainrule runs` lists what there is"
            raise FileNotFoundError(f"there is no run {name!r} in {root}{hint}")
        return cls(path)

    def file(self, *parts: str) -> Path:
        """The path of a file or folder of this run, "report.html" or "checkpoints", "last"; ValueError if a symbolic link lies on the way.

        The run folder itself may be a link that the user made. Inside it chainrule makes none, so one there could only lead a reader or
        writer out of the folder.
        """
        path = self.path
        for part in parts:
            path = path / part
            if path.is_symlink():
                raise ValueError(
                    f"{path} is a symbolic link to {os.readlink(path)}; nothing is read or written through links inside a run: "
                    "put the file itself there, or remove the link"
                )
        return path

    def _read_config(self) -> dict[str, Any]:
        path = self.file("config.json")
        try:
            config = read_json(path)
        except FileNotFoundError:
            raise FileNotFoundError(f"{self.path} has no config.json: it is not a run of chainrule, or not a whole one") from None
        if not isinstance(config, dict):
            raise ValueError(f"{path}: expected an object {{...}} of settings, found a {type(config).__name__}")
        return config

    # --- the lock -----------------------------------------------------------------------------------------------------------------------

    @contextmanager
    def lock(self) -> Iterator["Run"]:
        """Hold the run while training it; the kernel lets go of it if the process dies, by kill -9 too.

        Raises
        ------
        BlockingIOError : if another process (or another Run of this one) trains it, with its process id
        """
        descriptor = os.open(self.file(".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        try:
            patience_ends = time.monotonic() + LOCK_PATIENCE
            while not _flocked(descriptor, fcntl.LOCK_EX):
                if time.monotonic() > patience_ends:
                    holder = os.pread(descriptor, 20, 0).decode("ascii", "replace") or "unknown"
                    raise BlockingIOError(
                        f"run {self.name!r} is being trained by another process (pid {holder}); wait for it or stop it, "
                        "or choose another --name"
                    )
                time.sleep(0.02)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            self._locked = True
            try:
                yield self
            finally:
                self._locked = False
                if self._metrics is not None:
                    os.close(self._metrics)
                    self._metrics = None
        finally:
            os.close(descriptor)  # lets go of the lock

    def is_locked(self) -> bool:
        """Whether some process trains this run now. Needs permission to read only."""
        try:
            descriptor = os.open(self.file(".lock"), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return False
        try:
            return not _flocked(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    def _must_be_locked(self) -> None:
        if not self._locked:
            raise RuntimeError(f"run {self.name!r} is written without its lock; write inside `with run.lock():`")

    # --- metrics.jsonl ------------------------------------------------------------------------------------------------------------------

    def log(self, record: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl, at once (a killed process loses none) and whole.

        Raises
        ------
        OSError : if it cannot be written (disk full); the lines before it are intact, and the file ends with the last of them
        """
        descriptor = self._opened_metrics()
        line = encode_json(record, name="record") + b"\n"
        try:
            written = os.write(descriptor, line)
            if written < len(line):  # the disk is full, or a limit reached, within this line
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            os.ftruncate(descriptor, self._metrics_end)
            raise explained(
                error, f"could not append to {self.path / 'metrics.jsonl'}: {error.strerror}; the earlier lines are intact"
            ) from error
        self._metrics_end += written

    def metrics(self) -> list[dict[str, Any]]:
        """The records of metrics.jsonl, oldest first. A last line that a killed writer left unfinished is not one.

        Raises
        ------
        ValueError : for a broken line, with its number
        """
        path = self.file("metrics.jsonl")
        if not path.exists():
            return []
        records = []
        *lines, _unfinished = read_file(path).split(b"\n")
        for number, line in enumerate(lines, start=1):
            record = decode_json(line, path, first_line=number)
            if not isinstance(record, dict):
                raise ValueError(f"{path}, line {number}: expected an object {{...}}, found a {type(record).__name__}")
            records.append(record)
        return records

    def history(self) -> History:
        """The finished epochs among the records of metrics.jsonl. Raises as `metrics`."""
        return History(record for record in self.metrics() if "epoch" in record)

    def metrics_offset(self) -> int:
        """Bytes of metrics.jsonl that hold whole lines; a checkpoint stores it, and `truncate_metrics` goes back there."""
        if self._metrics is not None:
            return self._metrics_end
        path = self.file("metrics.jsonl")
        return read_file(path).rfind(b"\n") + 1 if path.exists() else 0

    def truncate_metrics(self, offset: int) -> None:
        """Forget the lines of metrics.jsonl after `offset`, a value of `metrics_offset`: they come again when training goes on from there.

        Raises
        ------
        ValueError : if no line ends at `offset`: the file is not the one that the checkpoint was saved with
        """
        descriptor = self._opened_metrics()
        line_ends = offset == 0 or (0 < offset <= self._metrics_end and os.pread(descriptor, 1, offset - 1) == b"\n")
        if not line_ends:
            raise ValueError(
                f"{self.path / 'metrics.jsonl'} does not belong to the checkpoint: it should have a line that ends at byte {offset}, "
                f"but is another file of {self._metrics_end} bytes; put the file back that was saved with it"
            )
        os.ftruncate(descriptor, offset)
        self._metrics_end = offset

    def _opened_metrics(self) -> int:
        """The descriptor of metrics.jsonl, opened for appending after its last whole line."""
        self._must_be_locked()
        if self._metrics is None:
            path = self.file("metrics.jsonl")
            end = self.metrics_offset()
            self._metrics = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            os.ftruncate(self._metrics, end)
            self._metrics_end = end
        return self._metrics

    # --- checkpoints --------------------------------------------------------------------------------------------------------------------

    def save_checkpoint(self, kind: str, model: Mapping[str, Any], optimizer: Mapping[str, Any], state: dict[str, Any]) -> None:
        """Save parameters, the optimizer's arrays and everything else, in the place of the earlier checkpoint of this kind.

        The new folder is written whole beside the old one (KIND.new), and swapped in by two renames (KIND to KIND.previous, KIND.new to
        KIND): at every instant KIND or KIND.previous is complete.

        Parameters
        ----------
        kind : "last" or "best"
        model, optimizer : arrays by name, as `save_arrays` takes them
        state : what `encode_json` takes; {"complete": True} marks a finished run in the list of runs

        Raises
        ------
        OSError : if it cannot be written (disk full); the earlier checkpoint is intact
        """
        self._must_be_locked()
        if not isinstance(state, dict):
            raise TypeError(f"the state of a checkpoint is a dict, not {type(state).__name__}")
        current, previous, new = (self._checkpoint_path(kind, suffix) for suffix in ("", ".previous", ".new"))
        try:
            if self._metrics is not None:
                os.fsync(self._metrics)  # the state refers to a position in there
            if not current.parent.exists():
                current.parent.mkdir()
                sync_folder(self.path)
            if new.exists():  # left by a writer that was killed
                shutil.rmtree(new)
            _write_checkpoint(new, (model, optimizer), state)
            if current.exists():
                if previous.exists():  # likewise
                    shutil.rmtree(previous)
                current.rename(previous)
            new.rename(current)
        except BaseException as error:
            shutil.rmtree(new, ignore_errors=True)
            if not isinstance(error, OSError):
                raise
            left = "the earlier one is intact" if current.exists() or previous.exists() else "there is no earlier one"
            raise explained(error, f"checkpoint {kind!r} of run {self.name!r} was not saved, {left}: {error}") from error
        sync_folder(current.parent)
        shutil.rmtree(previous, ignore_errors=True)

    def load_checkpoint(self, kind: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, Any]]:
        """The arrays of the model, those of the optimizer, and the state of a checkpoint; while it is being trained, too.

        Raises
        ------
        FileNotFoundError : if there is none of this kind
        ValueError : if a file is broken, or does not belong to the others
        """

        def read(folder: Path):
            state, files = self._read_state(folder)
            model, optimizer = (self._read_arrays(folder, name, files) for name in ARRAY_FILES)
            return model, optimizer, state

        return self._read_checkpoint(kind, read)

    def load_state(self, kind: str) -> dict[str, Any]:
        """The state of a checkpoint alone, without its arrays. Raises as `load_checkpoint`."""
        return self._read_checkpoint(kind, lambda folder: self._read_state(folder)[0])

    def checkpoints(self) -> tuple[str, ...]:
        """The kinds of checkpoint that there are: of "last", "best"."""
        return tuple(kind for kind in KINDS if any(self._checkpoint_path(kind, suffix).exists() for suffix in ("", ".previous")))

    def _checkpoint_path(self, kind: str, suffix: str) -> Path:
        if kind not in KINDS:
            raise ValueError(f"there is no kind of checkpoint {kind!r}; the kinds are {' and '.join(KINDS)}")
        return self.file("checkpoints", kind + suffix)

    def _checkpoint_folder(self, kind: str) -> tuple[Path, tuple[int, int]]:
        """Where the checkpoint lies now, and which one it is."""
        # A trainer between its two renames has moved KIND to KIND.previous; one that is through them by now has KIND again
        for suffix in ("", ".previous", ""):
            folder = self._checkpoint_path(kind, suffix)
            with suppress(FileNotFoundError):
                status = folder.stat()
                return folder, (status.st_ino, status.st_mtime_ns)  # a number is used again when its folder is gone; then the time differs
        there = "; ".join(f"there is another: --checkpoint {other}" for other in self.checkpoints())
        raise FileNotFoundError(
            f"run {self.name!r} has no checkpoint {kind!r} in {self.path / 'checkpoints'}; {there or 'it was stopped before the first'}"
        )

    def _read_checkpoint(self, kind: str, read: Callable[[Path], Any]) -> Any:
        """What `read` makes of the checkpoint's folder; read again if the trainer put its next checkpoint there meanwhile."""
        while True:
            found = self._checkpoint_folder(kind)
            try:
                return read(found[0])
            except (OSError, ValueError) as error:
                if self._checkpoint_folder(kind) != found:
                    continue
                if isinstance(error, FileNotFoundError):
                    raise ValueError(f"checkpoint {kind!r} of run {self.name!r} is not whole: {error.filename} is missing") from None
                raise

    def _read_state(self, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        """The state of the checkpoint in `folder`, and what is known there about its array files."""
        path = self.file("checkpoints", folder.name, "state.json")
        match read_json(path):
            case {"state": dict(state), "files": dict(files)}:
                return state, files
        raise ValueError(f'{path}: expected an object with "state" and "files", each an object')

    def _read_arrays(self, folder: Path, name: str, files: dict[str, Any]) -> dict[str, np.ndarray]:
        path = self.file("checkpoints", folder.name, name)
        match files.get(name):
            case {"bytes": int(size), "sha256": str(checksum)}:
                pass
            case _:
                raise ValueError(f"{folder / 'state.json'}: size and checksum of {name} are missing")
        found = path.stat().st_size
        if found != size:
            raise ValueError(f"{path} has {found:,} bytes, but state.json was saved with one of {size:,}: it is truncated or another's")
        data = read_file(path)
        if hashlib.sha256(data).hexdigest() != checksum:
            raise ValueError(f"{path} is not the file that state.json was saved with (its SHA-256 differs): it is damaged or another's")
        return decode_arrays(data, path)[0]  # of these very bytes: the trainer may have put another file there


def _flocked(descriptor: int, operation: int) -> bool:
    """Whether the lock could be taken now. The kernel frees it when the descriptor closes, however its process ends."""
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_checkpoint(folder: Path, arrays: tuple[Mapping[str, Any], ...], state: dict[str, Any]) -> None:
    """Write a whole checkpoint into `folder`, which must not exist, and force it to the disk."""
    folder.mkdir()
    files = {}
    for name, content in zip(ARRAY_FILES, arrays, strict=True):
        save_arrays(folder / name, content, what="the checkpoint")
        data = read_file(folder / name)
        files[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    write_json(folder / "state.json", {"state": state, "files": files}, what="the checkpoint")


def _claimed(folder: Path, path: Path) -> bool:
    """Rename `folder` to `path`, unless something is there (an empty folder apart): the kernel decides who of two comes first."""
    try:
        folder.rename(path)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            return False
        raise
    return True


def _next_path(root: Path, stem: str) -> Path:
    """root/STEM-N, N one more than the greatest used."""
    used = (re.fullmatch(re.escape(stem) + r"-([0-9]{1,9})", entry.name) for entry in root.iterdir())
    return root / _checked_name(f"{stem}-{max((int(match[1]) for match in used if match), default=0) + 1}")


def _name_taken(root: Path, name: str) -> FileExistsError:
    return FileExistsError(f"run {name!r} is already in {root}; continue it with --resume {name}, or choose another --name")


def _check_is_folder(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise NotADirectoryError(f"{root} is not a folder; name the folder of all runs with --runs")


def _folders(root: Path) -> list[Path]:
    """The folders of runs under `root`, by name; without those that are being made (.new-...)."""
    _check_is_folder(root)
    if not root.is_dir():
        return []
    return sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))


@dataclass(frozen=True)
class RunSummary:
    """What the list of runs shows of one.

    Attributes
    ----------
    created : when its config.json was written, local time
    config : its configuration
    checkpoints : the kinds that there are
    state : of its last checkpoint; None before the first
    locked : a process trains it now
    complete : that state has {"complete": True}
    fault : why it cannot be read, or None; what could not be read before the fault showed is None, empty or False
    """

    name: str
    path: Path
    created: datetime | None = None
    config: dict[str, Any] | None = None
    checkpoints: tuple[str, ...] = ()
    state: dict[str, Any] | None = None
    locked: bool = False
    fault: str | None = None

    @property
    def complete(self) -> bool:
        return self.state is not None and self.state.get("complete") is True


def runs(root: str | os.PathLike) -> list[RunSummary]:
    """The runs under `root`, oldest first; those that cannot be read come last, each with its fault. [] if there is no such folder."""
    summaries = [_summary(path) for path in _folders(Path(root))]
    return sorted(summaries, key=lambda run: (run.created is None, run.created.timestamp() if run.created else 0, run.name))


def _summary(path: Path) -> RunSummary:
    known: dict[str, Any] = {}
    try:
        run = Run.open(path.parent, path.name)
        known["config"] = run.config
        known["created"] = datetime.fromtimestamp(run.file("config.json").stat().st_mtime).astimezone()
        known["locked"] = run.is_locked()
        known["checkpoints"] = run.checkpoints()
        known["state"] = run.load_state("last") if "last" in known["checkpoints"] else None
    except (OSError, ValueError, OverflowError) as error:  # OverflowError: a time that no calendar has
        known["fault"] = str(error)
    return RunSummary(path.name, path, **known)
