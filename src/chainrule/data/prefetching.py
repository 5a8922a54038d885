"""Prepares the next item of an iterable in a thread while the consumer works on this one."""

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["prefetch"]

T = TypeVar("T")
_END = object()


def prefetch(iterable: Iterable[T]) -> Generator[T]:
    """Yield the items of `iterable` in their order, each computed while the consumer still has the one before.

    At most one item is ready ahead, so two are in memory at a time. An exception of `iterable` reaches the consumer with its traceback, in
    the place of the item. The thread starts with the first item and ends with the generator: after the last item, after an exception, or
    when the consumer leaves the loop (it then waits for the item being prepared) or calls `close()`.
    """
    iterator = iter(iterable)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch") as thread:
        upcoming = thread.submit(next, iterator, _END)
        while (item := upcoming.result()) is not _END:
            upcoming = thread.submit(next, iterator, _END)
            yield item  # type: ignore[misc]
