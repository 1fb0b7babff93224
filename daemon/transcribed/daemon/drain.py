"""Decide when `run --once` may exit: no work is due soon, or nothing has moved for a minute.

Called by the loop when nothing has happened for a while; changes nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from transcribed.ingest.watcher import InboxWatcher
from transcribed.pipeline.pipeline import Pipeline

SOON_SECONDS = 60.0
STUCK_SECONDS = 60.0


class DrainWatcher:
    def __init__(
        self, pipeline: Pipeline, watchers: Sequence[InboxWatcher], slots: Sequence[str], processes: int
    ) -> None:
        self._pipeline = pipeline
        self._watches = watchers
        self._slots = frozenset(slots)
        self._processes = processes
        self._stuck_since = math.inf

    def is_finished(self, now: float) -> bool:
        """Return True if `run --once` may exit; `now` on the monotonic clock."""
        return self._is_drained(time.time()) or self._is_stuck(now)

    def _is_drained(self, now: float) -> bool:
        if any(watcher.scanned_at is None or watcher.settling() for watcher in self._watches):
            return False
        due = self._pipeline.ledger.next_due()
        return not self._pipeline.active and (due is None or due > now + SOON_SECONDS)

    def _is_stuck(self, now: float) -> bool:
        """Return True if for STUCK_SECONDS no slot could accept work or space was short, and nothing else ran."""
        pipeline, dispatcher = self._pipeline, self._pipeline.dispatcher
        busy = pipeline.mailbox.outstanding or len(pipeline.preparer.idle()) < self._processes
        waits = pipeline.intake.obstacle or self._slots <= {*dispatcher.unavailable, *dispatcher.waits}
        stuck = waits and not busy
        self._stuck_since = min(self._stuck_since, now) if stuck else math.inf
        return now - self._stuck_since >= STUCK_SECONDS
