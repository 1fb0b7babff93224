"""Keep events that the ledger could not take, its disk being full, and handle them later as if they had only now come.

Knows the ledger's trouble and what handles an event; nothing of what that does, but that it writes to the ledger first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import structlog

from transcribed.core.errors import Unavailable
from transcribed.core.events import Event, Wake
from transcribed.state.ledger import Ledger

RETRY_SECONDS = 5.0

log = structlog.get_logger("transcribed")


class EventReplay:
    def __init__(self, ledger: Ledger, handle: Callable[[Event], object], monotonic: Callable[[], float]) -> None:
        self._ledger = ledger
        self._handle = handle
        self._monotonic = monotonic
        self._held: deque[Event] = deque()
        self._retry_at = 0.0

    @property
    def is_blocked(self) -> bool:
        return bool(self._held)

    def handle(self, event: Event) -> None:
        """Handle an event now, or keep it behind those that wait."""
        if isinstance(event, Wake):
            return
        if self._held or not self.attempt(lambda: self._handle(event)):
            self._held.append(event)

    def replay(self) -> None:
        """Handle what was kept, if it is time."""
        if self._held and self._monotonic() >= self._retry_at:
            waiting, self._held = self._held, deque()
            for event in waiting:
                self.handle(event)

    def attempt(self, act: Callable[[], object]) -> bool:
        """Do something that writes to the ledger; False if the ledger could not take it."""
        before = self._ledger.trouble
        try:
            act()
        except Unavailable as error:
            if before is None:
                log.error("intake stops", error=str(error), hint=error.hint)
            self._retry_at = self._monotonic() + RETRY_SECONDS
            return False
        if before and self._ledger.trouble is None:
            log.info("intake goes on")
            self._ledger.keep_ballast()
        return True
