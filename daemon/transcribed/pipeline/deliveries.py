"""Hand outcomes to the outboxes, and try again later what an outbox could not take.

Knows finished jobs and the delivery; nothing of the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import structlog

from transcribed.core import events
from transcribed.core.backoff import backoff_seconds
from transcribed.core.mailbox import Mailbox, always
from transcribed.core.types import Job
from transcribed.output.delivery import Delivery
from transcribed.pipeline.active_job import ActiveJob

REDELIVER_SECONDS = (1.0, 60.0)  # first pause and longest

log = structlog.get_logger("transcribed")


class Deliveries:
    def __init__(self, mailbox: Mailbox, delivery: Delivery, monotonic: Callable[[], float]) -> None:
        self._mailbox = mailbox
        self._delivery = delivery
        self._monotonic = monotonic

    def start(self, active: ActiveJob) -> None:
        """Deliver the outcome of a job; Delivered or DeliveryFailed follows."""
        assert active.outcome is not None
        id, active.deliver_at = active.job.id, None
        active.deliveries += 1
        delivered = always(events.Delivered(id))
        self._mailbox.post(
            self._delivery.deliver(active.outcome), delivered, partial(events.DeliveryFailed, id), owed=True
        )

    def postpone(self, active: ActiveJob, error: BaseException) -> None:
        """Deliver again later; the answers are kept."""
        active.deliver_at = self._monotonic() + backoff_seconds(active.deliveries - 1, *REDELIVER_SECONDS)
        log.warning("delivery failed", job=active.job.id, attempt=active.deliveries, error=str(error))

    def start_due(self, all_active: Iterable[ActiveJob]) -> None:
        """Start the postponed deliveries that are due."""
        now = self._monotonic()
        for active in list(all_active):
            if active.deliver_at is not None and active.deliver_at <= now:
                self.start(active)

    def remove_note(self, job: Job) -> None:
        """Remove the note on an earlier failure of a job's file, which is no longer true."""
        removed, failed = always(events.Wake()), partial(_note_left, job.id)
        self._mailbox.post(self._delivery.remove_note(job), removed, failed)


def _note_left(job_id: int, error: BaseException) -> events.Wake:
    log.warning("note not removed", job=job_id, error=str(error))
    return events.Wake()
