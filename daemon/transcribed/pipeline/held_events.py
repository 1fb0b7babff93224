"""Hold events that the ledger could not record (disk full), and handle them later as if they had just arrived.

Knows the ledger's trouble and the handler of events; nothing of what the handler does, except that it writes to the
ledger first.
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


class HeldEvents:
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
        """Handle an event now, or queue it behind those already held."""
        if isinstance(event, Wake):
            return
        if self._held or not self.attempt(lambda: self._handle(event)):
            self._held.append(event)

    def replay(self) -> None:
        """Handle the held events if the retry is due."""
        if self._held and self._monotonic() >= self._retry_at:
            waiting, self._held = self._held, deque()
            for event in waiting:
                self.handle(event)

    def attempt(self, act: Callable[[], object]) -> bool:
        """Run an action that writes to the ledger; return False if the ledger could not be written."""
        before = self._ledger.trouble
        try:
            act()
        except Unavailable as error:
            if before is None:
                log.error("intake paused", error=str(error), hint=error.hint)
            self._retry_at = self._monotonic() + RETRY_SECONDS
            return False
        if before and self._ledger.trouble is None:
            log.info("intake resumed")
            self._ledger.keep_ballast()
        return True
