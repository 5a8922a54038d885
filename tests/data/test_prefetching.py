import gc
import threading
import time
import traceback

import pytest

from chainrule.data import prefetch


def workers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    gc.collect()
    assert workers() == []


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_items_come_in_their_order(count):
    assert list(prefetch(range(count))) == list(range(count))


def test_none_and_exceptions_are_items_like_others():
    items = [None, StopIteration, ValueError("an item"), ()]
    assert list(prefetch(items)) == items


def test_the_next_item_is_prepared_while_the_consumer_works():
    prepared = threading.Event()

    def source():
        yield 0
        prepared.set()
        yield 1

    items = prefetch(source())
    assert next(items) == 0
    assert prepared.wait(5)  # nobody asked for it yet
    assert list(items) == [1]


def test_at_most_one_item_is_ready_ahead():
    made = []

    def source():
        for i in range(10):
            made.append(i)
            yield i

    for i in prefetch(source()):
        time.sleep(0.01)  # time enough to run ahead
        assert len(made) <= i + 2


def test_an_exception_comes_at_its_place_with_its_traceback():
    def source_that_breaks():
        yield 0
        yield 1
        raise LookupError("the disk is gone")

    items = prefetch(source_that_breaks())
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(LookupError, match="the disk is gone") as raised:
        next(items)
    assert "source_that_breaks" in "".join(traceback.format_exception(raised.value))
    assert list(items) == []


def test_the_thread_ends_when_the_consumer_leaves_the_loop():
    for item in prefetch(iter(range(1000))):
        if item == 3:
            break
    gc.collect()
    assert workers() == []


def test_the_thread_ends_when_the_consumer_raises():
    def consume():
        for _ in prefetch(iter(range(1000))):
            raise KeyError("in the loop")

    with pytest.raises(KeyError):
        consume()


def test_the_thread_ends_at_close():
    items = prefetch(iter(range(1000)))
    next(items)
    assert len(workers()) == 1
    items.close()
    assert workers() == []


def test_the_source_is_closed_when_the_consumer_stops():
    closed = []

    def source():
        try:
            while True:
                yield 0
        finally:
            closed.append(True)

    items = prefetch(source())
    next(items)
    items.close()
    del items
    gc.collect()
    assert closed == [True]


def test_without_a_consumer_nothing_starts():
    items = prefetch(iter(range(3)))
    assert workers() == []
    del items
