"""Queue everything that happens elsewhere for the one run loop to handle.  Knows events and futures; no jobs."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from transcribed.core.events import Event, Wake

Answer = TypeVar("Answer")


def always(event: Event) -> Callable[[object], Event]:
    """Return a function that maps any result to `event`: for a future whose result carries no information."""
    return lambda _: event


class Mailbox:
    """Event queue: any thread may put; one thread collects."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[tuple[Event, bool]] = queue.SimpleQueue()
        self.outstanding = 0  # futures still pending that are worth waiting for before exit

    def put(self, event: Event) -> None:
        self._events.put((event, False))

    def post(
        self,
        future: Future[Answer],
        done: Callable[[Answer], Event],
        failed: Callable[[BaseException], Event],
        *,
        owed: bool = False,
    ) -> None:
        """Put an event when the future ends: `done` of its result or `failed` of its error.

        Only the collecting thread may call this.
        """
        self.outstanding += owed

        def ring(ended: Future[Answer]) -> None:
            if ended.cancelled():  # the daemon is shutting down
                return
            error = ended.exception()
            self._events.put((failed(error) if error else done(ended.result()), owed))

        future.add_done_callback(ring)

    def collect(self, seconds: float) -> list[Event]:
        """Sleep until something happens, at most `seconds`.  Return the events, or one Wake if there were none."""
        letters = []
        try:
            letters.append(self._events.get(timeout=seconds))
            while True:
                letters.append(self._events.get_nowait())
        except queue.Empty:
            self.outstanding -= sum(owed for _, owed in letters)
            return [event for event, _ in letters] or [Wake()]
