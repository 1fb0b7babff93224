"""Apply the inbox's after-success action (keep, move, delete) to each source once its transcript is durable.

Actions that failed, or must wait, are tried again.  Knows finished jobs; nothing of how they were finished.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import structlog

from transcribed.core import events
from transcribed.core.mailbox import Mailbox
from transcribed.core.types import Job
from transcribed.output.delivery import Delivery
from transcribed.state.ledger import Ledger

RETRY_SECONDS = 60.0

Ended = events.SourceCleanedUp | events.SourceCleanupPending

log = structlog.get_logger("transcribed")


class SourceCleanup:
    def __init__(self, mailbox: Mailbox, ledger: Ledger, delivery: Delivery, monotonic: Callable[[], float]) -> None:
        self._mailbox = mailbox
        self._ledger = ledger
        self._delivery = delivery
        self._monotonic = monotonic
        self._done: list[Job] = []
        self._recover_at: float | None = None  # when the actions still pending in the ledger are retried

    def recover(self) -> None:
        """Schedule the actions that an earlier run left pending."""
        self._recover_at = self._monotonic()

    def add(self, job: Job) -> None:
        self._done.append(job)

    def run(self) -> None:
        """Move or delete the sources of finished jobs, once their transcripts are on disk and the ledger is synced."""
        if self._recover_at is not None and self._recover_at <= self._monotonic():
            self._recover_at, self._done = None, self._ledger.pending_cleanup()
        if self._done:
            self._ledger.sync()
        done, self._done = self._done, []
        for job in done:
            ended, failed = partial(_ended, job.id), partial(events.SourceCleanupFailed, job.id)
            self._mailbox.post(self._delivery.clean_up(job), ended, failed)

    def handle(self, event: Ended | events.SourceCleanupFailed) -> None:
        """Record that an action is complete, or try it again later."""
        if isinstance(event, events.SourceCleanedUp):
            self._ledger.cleaned_up(event.job_id)
            return
        if isinstance(event, events.SourceCleanupFailed):
            log.warning("source cleanup failed", job=event.job_id, error=str(event.error))
        if self._recover_at is None:
            self._recover_at = self._monotonic() + RETRY_SECONDS


def _ended(job_id: int, complete: bool) -> Ended:
    return events.SourceCleanedUp(job_id) if complete else events.SourceCleanupPending(job_id)
