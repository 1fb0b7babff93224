"""Let become of each source what was agreed, once its transcript is on disk and recorded; again later what fails.

Knows jobs that are done; nothing of how they came to be.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import structlog

from transcribed.core import events
from transcribed.core.mailbox import Mailbox, always
from transcribed.core.types import Job
from transcribed.output.delivery import Delivery
from transcribed.state.ledger import Ledger

RETRY_SECONDS = 60.0

log = structlog.get_logger("transcribed")


class SourceCleanup:
    def __init__(self, mailbox: Mailbox, ledger: Ledger, delivery: Delivery, monotonic: Callable[[], float]) -> None:
        self._mailbox = mailbox
        self._ledger = ledger
        self._delivery = delivery
        self._monotonic = monotonic
        self._done: list[Job] = []
        self._recover_at: float | None = None  # when what the ledger holds as not put away is tried again

    def recover(self) -> None:
        """What an earlier run did not put away is put away."""
        self._recover_at = self._monotonic()

    def add(self, job: Job) -> None:
        self._done.append(job)

    def run(self) -> None:
        """Sources are moved or deleted only after their transcripts are on disk and recorded there."""
        if self._recover_at is not None and self._recover_at <= self._monotonic():
            self._recover_at, self._done = None, self._ledger.pending_cleanup()
        if self._done:
            self._ledger.sync()
        done, self._done = self._done, []
        for job in done:
            cleaned_up = always(events.SourceCleanedUp(job.id))
            self._mailbox.post(self._delivery.clean_up(job), cleaned_up, partial(events.SourceCleanupFailed, job.id))

    def failed(self, event: events.SourceCleanupFailed) -> None:
        log.warning("source not put away", job=event.job_id, error=str(event.error))
        self._recover_at = self._monotonic() + RETRY_SECONDS
