"""Run a call that may hang, and wait for it only so long: a dead share blocks its caller for ever.

It runs in a thread, which is left behind if it hangs; calls that may crash, or need another user, run in a process
(isolated_call.py).  Knows threads; nothing of the calls.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Answer = TypeVar("Answer")


def call_with_timeout(seconds: float, act: Callable[[], Answer]) -> Answer:
    """Return or raise what `act` does; raise TimeoutError if it does neither in time."""
    return call_in_thread(act).result(seconds)


def call_in_thread(act: Callable[[], Answer], name: str = "may hang") -> Future[Answer]:
    """Start `act` in a thread of its own, and return its future; a thread that hangs is left behind."""
    future: Future[Answer] = Future()

    def run() -> None:
        try:
            future.set_result(act())
        except BaseException as error:  # raised again by Future.result()
            future.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
