import os
import signal
import threading

import pytest

from chainrule.training.interrupts import deferred_interrupt

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_waits_and_is_asked_for(number):
    with deferred_interrupt() as interrupt:
        assert not interrupt.requested
        os.kill(os.getpid(), number)
        assert interrupt.requested


@pytest.mark.parametrize("number", SIGNALS)
def test_the_second_signal_does_not_wait(number):
    with pytest.raises(KeyboardInterrupt), deferred_interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), number)
        pytest.fail("not reached")


def test_the_handlers_of_before_are_back_after_an_error_too():
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(OSError, match="disk"), deferred_interrupt():
        assert [signal.getsignal(number) for number in SIGNALS] != before
        raise OSError("disk")
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_in_another_thread_no_handler_is_set():
    seen = []

    def block():
        with deferred_interrupt() as interrupt:
            seen.append((interrupt.requested, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=block)
    thread.start()
    thread.join()
    assert seen == [(False, signal.getsignal(signal.SIGINT))]
