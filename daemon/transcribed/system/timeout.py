"""Do something that may hang, and wait for it no longer than so long: a dead share blocks whoever asks, for ever.

In a thread that is left behind where it hangs; what may crash, or must be somebody else, is asked in a process (aside).
Knows threads; nothing of what is done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Answer = TypeVar("Answer")


def call_with_timeout(seconds: float, act: Callable[[], Answer]) -> Answer:
    """Return or raise what `act` does; raise TimeoutError where it does neither in time."""
    return call_in_thread(act).result(seconds)


def call_in_thread(act: Callable[[], Answer]) -> Future[Answer]:
    """Begin `act` in a thread of its own, and return its future; the thread is left behind where it hangs."""
    future: Future[Answer] = Future()

    def run() -> None:
        try:
            future.set_result(act())
        except BaseException as error:  # raised where the future is waited for
            future.set_exception(error)

    threading.Thread(target=run, name="may hang", daemon=True).start()
    return future
