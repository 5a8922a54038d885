"""Processes for checks: started by forking one that has imported what they need."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

__all__ = ["MEMORY", "STARTING", "Child", "ForkServer"]

STARTING = 60.0  # seconds for the interpreter, NumPy, and PyTorch where it is needed
MEMORY = 1 << 30  # bytes, on top of what the interpreter takes
PRINTED = 1 << 20  # bytes of output


class ForkServer:
    """Starts processes that have imported what they need: `lab.forkserver`, begun with the first of them.

    Parameters
    ----------
    modules : to import, once
    """

    def __init__(self, modules: Sequence[str]):
        self._modules = [*modules]
        self._process: subprocess.Popen | None = None
        self._channel: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error):
        self.close()

    def close(self) -> None:
        """End the process that forks; those that it made are ended by whoever started them."""
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._channel = None

    def begin(self) -> None:
        """Start importing, if that has not begun."""
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "chainrule.lab.forkserver", str(theirs.fileno()), *self._modules],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                env=_environment(),
            )

    @contextlib.contextmanager
    def child(self, role: str, request: Mapping[str, Any]) -> Iterator["Child"]:
        """A process that runs `main` of that module of the labs; it is ended when the context is left."""
        self.begin()
        assert self._channel is not None
        with tempfile.TemporaryDirectory(prefix="chainrule-lab-") as name:
            folder = Path(name)
            (folder / "request.json").write_text(
                json.dumps({"printed": PRINTED, "output": str(folder / "printed"), "stacks": str(folder / "stacks"), **request})
            )
            ours, theirs = socket.socketpair()
            with ours, theirs, (folder / "printed").open("wb") as printed:
                message = json.dumps({"role": role, "folder": name}).encode()
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # nothing will come from it, which is told
                    socket.send_fds(self._channel, [message], [theirs.fileno(), printed.fileno()])
                theirs.close()
                child = Child(ours, folder / "stacks")
                try:
                    yield child
                finally:
                    child.kill()


class Child:
    """A process at work: what it reports, and how it ended.

    Attributes
    ----------
    stacks : the file in which it writes where it is, before its time is up
    status : its exit status, or minus the signal that ended it; None as long as it runs, or if it never did
    late : whether it was ended for being late
    """

    def __init__(self, report: socket.socket, stacks: Path):
        self.stacks = stacks
        self.status: int | None = None
        self.late = False
        self._report = report
        self._pid = 0
        self._kept = b""
        self._whole: list[bytes] = []
        self._ready = select.poll()
        self._ready.register(report, select.POLLIN)

    def next(self, deadline: float) -> dict[str, Any] | None:
        """Its next line, None if it has ended or says nothing until then."""
        while True:
            while self._whole:
                with contextlib.suppress(ValueError, AttributeError):  # a line that was cut off, or is none of ours
                    line = json.loads(self._whole.pop(0))
                    self._pid = self._pid or line.get("pid", 0)  # the first is said before a learner's code runs
                    if "ended" in line:
                        self.status = line["ended"]
                        return None
                    if "pid" not in line:
                        return line
            part = b""
            if self._ready.poll(1000 * max(0.0, deadline - time.monotonic())):
                with contextlib.suppress(ConnectionResetError):
                    part = self._report.recv(1 << 16)
            if not part:
                return None
            *self._whole, self._kept = (self._kept + part).split(b"\n")

    def lines(self, starting: float, seconds: float, started: str) -> Iterator[dict[str, Any] | None]:
        """Its lines; None if it has ended, or is late: the time begins anew with every line that has `started`, "" for any line."""
        deadline = time.monotonic() + starting
        while (line := self.next(deadline)) is not None:
            if not started or started in line:
                deadline = time.monotonic() + seconds
            asked = time.monotonic()
            yield line
            deadline += time.monotonic() - asked  # what is done with a line is not the process's time
        yield None

    def send(self, line: bytes) -> None:
        """Let it have a line, if it is still there to read it."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._report.sendall(line + b"\n")

    def kill(self) -> None:
        """End it and all that it has started, and wait for its end."""
        if not self._pid:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGKILL)
        if self.status is None:
            self.late = True
            deadline = time.monotonic() + 10
            while self.next(deadline) is not None:
                pass


def _environment():
    """One thread: the arrays are small, and each thread's stack counts as memory. TensorFlow keeps to them and to the CPU, too."""
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    tensorflow = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    return {**os.environ, **threads, **tensorflow, "PYTHONHASHSEED": "0", "MPLBACKEND": "Agg", "PYTHONFAULTHANDLER": ""}
