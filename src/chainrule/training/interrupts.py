"""Ctrl-C and SIGTERM that wait for a good moment."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Interrupt", "deferred_interrupt"]


class Interrupt:
    """Whether somebody asked to stop; who sees `requested` finishes what is at hand and leaves."""

    requested = False


@contextmanager
def deferred_interrupt() -> Iterator[Interrupt]:
    """Within the block, Ctrl-C and SIGTERM only set `requested`, so that no half of an update is saved; a second one does not wait.

    Signals are delivered to the main thread: in another one nothing changes, and `requested` stays False.

    Raises
    ------
    KeyboardInterrupt
        At the second signal, wherever the block is.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def request(number, frame):
        if interrupt.requested:
            raise KeyboardInterrupt
        interrupt.requested = True

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
