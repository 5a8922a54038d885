"""A process that imports what checks take and then does nothing but fork: `python -m chainrule.lab.forkserver CHANNEL MODULE...`.

A fork has PyTorch at once, where a new interpreter needs seconds for it. No learner's code runs here, so that each fork begins clean.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path

__all__ = ["main"]


def main():
    channel = socket.socket(fileno=int(sys.argv[1]))
    gc.disable()  # PyTorch makes so many objects that looking for garbage among them takes a sixth of the time
    for name in sys.argv[2:]:
        with contextlib.suppress(ImportError):  # told where it is needed
            importlib.import_module(name)
    gc.freeze()  # nor is there any to be found among them later
    gc.enable()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no one waits for a keeper
    while True:
        message, descriptors, *_ = socket.recv_fds(channel, 4096, 2)
        if not message:  # whoever asked is gone
            return
        if os.fork() == 0:
            channel.close()
            _keep(json.loads(message), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _keep(asked, report, printed):
    """Let a child play the role that is asked for, and report how it ended; remove its folder, for whoever asked may have been killed."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        _play(asked, report, printed)
    end = threading.Thread(target=_end_with, args=(report, child), daemon=True)
    end.start()
    _, status = os.waitpid(child, 0)
    _say(report, ended=os.waitstatus_to_exitcode(status))
    end.join()
    shutil.rmtree(asked["folder"], ignore_errors=True)
    os._exit(0)


def _end_with(report, child):
    """End the child when nobody reads its report any more."""
    waiting = select.poll()
    waiting.register(report, 0)  # for the end of the other side alone
    waiting.poll()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)


def _play(asked, report, printed):
    code = 1
    try:
        os.setsid()
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        os.close(printed)
        _say(report, pid=os.getpid())
        importlib.import_module(f"chainrule.lab.{asked['role']}").main(Path(asked["folder"]), report)
        code = 0
    finally:
        os._exit(code)


def _say(report, **line):
    with contextlib.suppress(BrokenPipeError):
        os.write(report, f"\n{json.dumps(line)}\n".encode())  # a line that was cut off before it ends here


if __name__ == "__main__":
    main()
