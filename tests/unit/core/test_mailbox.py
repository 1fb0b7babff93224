"""The mailbox: whatever happens elsewhere arrives once, in order, and what is owed is counted until it has come."""

from concurrent.futures import Future

from transcribed.core.events import Delivered, JobFailed, Stop, Wake
from transcribed.core.mailbox import Mailbox, always


def test_all_that_has_happened_is_collected_at_once_and_in_order():
    mailbox = Mailbox()
    for id in (3, 1, 2):
        mailbox.put(Delivered(id))
    assert mailbox.collect(0) == [Delivered(3), Delivered(1), Delivered(2)]
    assert mailbox.collect(0) == [Wake()]


def test_a_future_brings_its_result_its_error_or_nothing_if_it_was_dropped():
    mailbox = Mailbox()
    futures = [Future() for _ in range(3)]
    for future in futures:
        mailbox.post(future, Delivered, lambda error: JobFailed(1, error), owed=True)
    assert mailbox.outstanding == 3
    error = OSError("gone")
    futures[0].set_result(7)
    futures[1].set_exception(error)
    futures[2].cancel()
    assert mailbox.collect(0) == [Delivered(7), JobFailed(1, error)]
    assert mailbox.outstanding == 1


def test_only_what_is_owed_keeps_the_daemon_from_stopping():
    mailbox = Mailbox()
    future = Future()
    mailbox.post(future, always(Stop()), lambda error: Wake())
    assert mailbox.outstanding == 0
    future.set_result(None)
    assert mailbox.collect(0) == [Stop()]
    assert mailbox.outstanding == 0
