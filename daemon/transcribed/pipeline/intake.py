"""Start jobs: idle preparers pull those that are due, as long as the limits on work in progress allow it.

Knows the ledger and the preparers; nothing of what happens to a job once it is prepared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import structlog

from transcribed.core import events
from transcribed.core.mailbox import Mailbox
from transcribed.core.types import Job, Preparation
from transcribed.pipeline.active_job import ActiveJob
from transcribed.pipeline.executors import Executor, Slot
from transcribed.pipeline.inboxes import Inboxes
from transcribed.pipeline.retry_policy import RetryPolicy, exceeded_starts
from transcribed.state.ledger import Ledger
from transcribed.state.spool import Spool

MAX_UNDELIVERED = 1000  # per inbox
MAX_WAITING = 40_000  # segments, some 100 hours of audio: 12 GB of spool
PRIORITY_SHARE = 4.0  # how many times more files an inbox may have in progress than one a priority level below

log = structlog.get_logger("transcribed")


class Intake:
    def __init__(
        self,
        mailbox: Mailbox,
        ledger: Ledger,
        inboxes: Inboxes,
        spool: Spool,
        preparer: Executor[Job, Preparation],
        retry_policy: RetryPolicy,
        max_active: int,
        clock: Callable[[], float],
    ) -> None:
        self.obstacle: str | None = None  # why no file is started: too little disk space
        self._mailbox = mailbox
        self._ledger = ledger
        self._inboxes = inboxes
        self._spool = spool
        self._preparer = preparer
        self._retry_policy = retry_policy
        self._max_active = max_active
        self._clock = clock
        self._taken: list[tuple[Slot, Job]] = []  # jobs whose start is not on disk yet

    def run(self, active: dict[int, ActiveJob], waiting_segments: int) -> None:
        """Give each idle preparer a due job, and add it to `active`.  Raise Unavailable if the ledger fails."""
        self._check_space()
        for slot in self._preparer.idle() if not (self._taken or self.obstacle) else ():
            in_progress = sum(one.outcome is None for one in active.values())
            if in_progress >= self._max_active or waiting_segments >= MAX_WAITING:
                break
            if (job := self._next_job(active)) is None:
                break
            active[job.id] = ActiveJob(job)
            self._taken.append((slot, job))
        self._start()

    def _check_space(self) -> None:
        before, self.obstacle = self.obstacle, self._spool.space_shortage()
        if bool(before) != bool(self.obstacle):
            log.warning("intake resumed" if before else "intake paused", reason=self.obstacle)

    def _start(self) -> None:
        """Sync the starts of the taken jobs, then submit them: no file that crashes the machine is retried forever."""
        if self._taken:
            self._ledger.sync()
        while self._taken:
            slot, job = self._taken.pop(0)
            log.info("started", job=job.id, file=job.source.name)
            if error := exceeded_starts(job, self._retry_policy):
                self._mailbox.put(events.JobFailed(job.id, error))
            else:
                prepared, failed = partial(events.Prepared, job.id), partial(events.JobFailed, job.id)
                self._mailbox.post(self._preparer.submit(slot, job), prepared, failed)

    def _next_job(self, active: dict[int, ActiveJob]) -> Job | None:
        """Take a job from the inbox with the least in progress, weighted by priority; None if nothing is due.

        An inbox with MAX_UNDELIVERED undelivered jobs is skipped.
        """
        in_progress = Counter(one.job.source.inbox for one in active.values() if one.outcome is None)
        undelivered = Counter(one.job.source.inbox for one in active.values() if one.deliver_at is not None)
        priorities, window = self._inboxes.priorities, self._retry_policy.failure_window_seconds
        inboxes = [inbox for inbox in priorities if undelivered[inbox] < MAX_UNDELIVERED]
        inboxes.sort(key=lambda inbox: in_progress[inbox] / PRIORITY_SHARE ** priorities[inbox])
        jobs = (self._ledger.activate(inbox, self._clock(), window) for inbox in inboxes)
        return next((job for job in jobs if job), None)
