"""The one loop.  Read this first: it is the whole life of a file, top to bottom.

Everything that happens elsewhere - a file settled, a file prepared, a batch recognized, an outcome delivered -
arrives here as an event in one mailbox, and is handled by one thread.  So nothing below needs a lock, the ledger has
one writer, and no stage knows that another exists.

A handler writes to the ledger before it changes anything in memory, so that event_replay.py can have it done again
later where the ledger refuses.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from transcribed.core import errors, events, types
from transcribed.core.events import Event
from transcribed.core.mailbox import Mailbox
from transcribed.core.provenance import made_with
from transcribed.core.types import Batch, Hypothesis, Job, Outcome, Preparation, Segment
from transcribed.pipeline.active_job import ActiveJob, neutral_options
from transcribed.pipeline.event_replay import EventReplay
from transcribed.pipeline.executors import Executor, Slot
from transcribed.pipeline.ports import Places
from transcribed.pipeline.retry_policy import Discard, Fail, Retry, RetryDecision, RetryPolicy, decide, exceeded_starts
from transcribed.pipeline.scheduling.batcher import Batcher
from transcribed.pipeline.scheduling.dispatcher import Dispatcher
from transcribed.pipeline.source_cleanup import SourceCleanup
from transcribed.state.ledger import Ledger

REDELIVER_SECONDS = (1.0, 60.0)  # first pause and longest
MAX_UNDELIVERED = 1000  # of one inbox
MAX_WAITING = 40_000  # segments, some 100 hours of audio: 12 GB of spool
PRIORITY_SHARE = 4.0  # how many more files an inbox has in hand than one of the next lower priority
TICK_SECONDS = 1.0

log = structlog.get_logger("transcribed")


@dataclass(kw_only=True)
class Pipeline:
    """`clock` tells seconds since the epoch, for the ledger; `observers` are called with each event after its turn."""

    mailbox: Mailbox
    ledger: Ledger
    places: Places
    preparer: Executor[Job, Preparation]
    batcher: Batcher
    dispatcher: Dispatcher
    retry_policy: RetryPolicy
    observers: Sequence[Callable[[Event], None]] = ()
    max_active: int = 64
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic

    active: dict[int, ActiveJob] = field(default_factory=dict, init=False)
    obstacle: str | None = field(default=None, init=False)  # why no file is begun, for want of space
    _replay: EventReplay = field(init=False)
    _taken: list[tuple[Slot, Job]] = field(default_factory=list, init=False)  # jobs whose start is not on disk yet
    _cleanup: SourceCleanup = field(init=False)
    _stops: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._cleanup = SourceCleanup(self.mailbox, self.ledger, lambda job: self.places.tidy(job), self.monotonic)
        self._replay = EventReplay(self.ledger, self._handlers(), self.monotonic)

    def run(self, grace: float = 20.0) -> None:
        """Until told to stop; then at most `grace` seconds more, for what is running."""
        while not self._stops:
            self.step()
        stop_by = self.monotonic() + grace
        while self.mailbox.outstanding and self._stops == 1 and self.monotonic() < stop_by:
            self.step()

    def recover(self) -> None:
        """Before `run`: what the previous run had in hand waits again, and what it did not put away is put away."""
        self.ledger.recover()
        self._cleanup.recover()

    def step(self, seconds: float = TICK_SECONDS) -> None:
        """Once around: give out what can be given, then handle what has happened within `seconds`."""
        self._replay.replay()
        if not self._stops and not self._replay.is_blocked:
            upward = (self._cleanup.run, self._redeliver, self.dispatcher.dispatch, self._activate)
            for act in upward:  # room is made from below
                self._replay.attempt(act)
        for event in self.mailbox.collect(seconds):
            if isinstance(event, events.Stop):
                self._stops += 1
            else:
                self._replay.handle(event)
            for observe in self.observers:
                observe(event)

    # --- downhill: file -> ledger -> prepare -> batch -> deliver -----------------------------------

    def _settled(self, event: events.Settled) -> None:
        """A settled file enters the ledger, once."""
        source = event.source
        if self.ledger.add(source, self.places.output_of(source), self.clock()):
            log.info("noticed", file=source.name, bytes=source.size)

    def _activate(self) -> None:
        """Idle preparers pull due jobs, as long as we care to hold more and there is space for their audio."""
        self._check_space()
        for slot in self.preparer.idle() if not (self._taken or self.obstacle) else ():
            in_hand = sum(active.outcome is None for active in self.active.values())
            if in_hand >= self.max_active or len(self.batcher) >= MAX_WAITING:
                break
            if (job := self._next_job()) is None:
                break
            self.active[job.id] = ActiveJob(job)
            self._taken.append((slot, job))
        self._start()

    def _check_space(self) -> None:
        before, self.obstacle = self.obstacle, self.places.obstacle()
        if bool(before) != bool(self.obstacle):
            log.warning("intake goes on" if before else "intake stops", reason=self.obstacle)

    def _start(self) -> None:
        """That it was started is on disk before a file is touched: one that ends the machine is not tried for ever."""
        if self._taken:
            self.ledger.sync()
        while self._taken:
            slot, job = self._taken.pop(0)
            log.info("started", job=job.id, file=job.source.name)
            if tired := exceeded_starts(job, self.retry_policy):
                self._apply(self.active[job.id], tired)
            else:
                self.mailbox.post(
                    self.preparer.submit(slot, job), partial(events.Prepared, job.id), partial(events.JobFailed, job.id)
                )

    def _next_job(self) -> Job | None:
        """Of the inbox that has least in hand, for its priority; one with very many outcomes undelivered must wait."""
        in_hand = Counter(a.job.source.inbox for a in self.active.values() if a.outcome is None)
        undelivered = Counter(a.job.source.inbox for a in self.active.values() if a.deliver_at is not None)
        inboxes = [i for i in self.places.priorities if undelivered[i] < MAX_UNDELIVERED]
        inboxes.sort(key=lambda i: in_hand[i] / PRIORITY_SHARE ** self.places.priorities[i])
        jobs = (
            self.ledger.activate(inbox, self.clock(), self.retry_policy.failure_window_seconds) for inbox in inboxes
        )
        return next((job for job in jobs if job), None)

    def _prepared(self, event: events.Prepared) -> None:
        active, preparation = self.active[event.job_id], event.preparation
        active.set_preparation(preparation)
        priority = self.places.priorities.get(active.job.source.inbox, 0)
        self.batcher.add(preparation.requested.options, active.waiting.values(), self.clock(), priority)
        log.info("prepared", job=event.job_id, segments=len(preparation.segments), known=len(preparation.known))
        self._end_if_answered(active)  # at once where there is no speech

    def _recognized(self, event: events.Recognized) -> None:
        self.dispatcher.on_recognized(event)
        taken: dict[int, list[tuple[Segment, Hypothesis]]] = defaultdict(list)
        for segment, hypothesis in zip(event.batch.segments, event.recognition.hypotheses, strict=True):
            if not self._awaits(segment):
                continue
            active = self.active[segment.job_id]
            if active.should_retry_segment(segment, hypothesis):  # alone: it may have been a fault of the batch
                self.batcher.requeue(Batch(neutral_options(event.batch.options), (segment,)))
            else:
                taken[segment.job_id].append((segment, active.answer(segment, hypothesis)))
        for id, answers in taken.items():
            if preparation := self.active[id].preparation:
                self.places.keep_answers(preparation, answers)
        for id in {segment.job_id for segment in event.batch.segments} & self.active.keys():
            self._end_if_answered(self.active[id])

    def _end_if_answered(self, active: ActiveJob) -> None:
        if active.outcome is None and (outcome := active.result()) is not None:
            self._end(active, outcome)

    def _end(self, active: ActiveJob, outcome: Outcome) -> None:
        """The job has its transcript, or the reason why not: it leaves for the outbox."""
        if self.ledger.find(active.job.source.path)[0].id != active.job.id:  # its words would replace newer ones
            self._apply(active, Discard("A newer version of the file has been noticed; that one counts."))
            return
        active.outcome = outcome
        self.batcher.forget(active.job.id)
        self.places.discard(active.job.id)
        self._deliver(active)

    def _deliver(self, active: ActiveJob) -> None:
        assert active.outcome is not None
        id, active.deliver_at = active.job.id, None
        active.deliveries += 1
        delivered = partial(_always, events.Delivered(id))
        self.mailbox.post(self.places.deliver(active.outcome), delivered, partial(events.DeliveryFailed, id), owed=True)

    def _delivered(self, event: events.Delivered) -> None:
        """Recorded only now: a crash before this line repeats the work, and replaces the same files."""
        active = self.active[event.job_id]
        match active.outcome:
            case types.Failure(reason=reason):
                self.ledger.fail(event.job_id, self.clock(), reason)
                log.warning("failed", job=event.job_id, reason=reason)
            case types.Transcript(preparation=preparation, suspicion=suspicion):
                self.ledger.done(event.job_id, self.clock(), made_with(preparation.requested), suspicion)
                log.info("done", job=event.job_id, **({"suspicion": suspicion} if suspicion else {}))
                self._cleanup.add(active.job)
        self._forget(active)

    def _forget(self, active: ActiveJob) -> None:
        if active.preparation:
            self.places.drop_answers(active.preparation)
        del self.active[active.job.id]

    # --- when things go wrong ----------------------------------------------------------------------

    def _batch_failed(self, event: events.BatchFailed) -> None:
        """Halve it and try again, until a batch of one fails: then its job is to blame.

        Nobody is blamed for what was not begun, or for want of memory: it waits for room.
        """
        log.warning("batch failed", slot=event.slot, segments=len(event.batch.segments), error=str(event.error))
        self.dispatcher.on_batch_failed(event)
        wanted = Batch(event.batch.options, tuple(filter(self._awaits, event.batch.segments)))
        alone = len(event.batch.segments) == 1
        if isinstance(event.error, errors.Unavailable) or (alone and isinstance(event.error, errors.OutOfMemory)):
            self.batcher.requeue(wanted)
        elif not alone:
            self.batcher.requeue(*wanted.halves())
        elif wanted.segments:
            self._job_failed(events.JobFailed(wanted.segments[0].job_id, event.error))

    def _awaits(self, segment: Segment) -> bool:
        active = self.active.get(segment.job_id)
        return active is not None and active.awaits(segment)

    def _job_failed(self, event: events.JobFailed) -> None:
        active = self.active.get(event.job_id)
        if active and active.outcome is None:
            self._apply(active, decide(event.error, active.job, self.clock(), self.retry_policy))

    def _apply(self, active: ActiveJob, judged: RetryDecision) -> None:
        id = active.job.id
        match judged:
            case Fail(reason, hint):
                self._end(active, types.Failure(active.job, reason, hint))
                return
            case Retry(until, reason, counts_as_failure=True):
                self.ledger.record_failure(id, self.clock(), until, reason)
            case Retry(until, reason):
                self.ledger.defer(id, until, reason)
            case Discard(reason):
                self.ledger.withdraw(id, self.clock(), reason)
                self.places.forget(active.job.source)
        log.info("put back" if isinstance(judged, Retry) else "withdrawn", job=id, reason=judged.reason)
        self.batcher.forget(id)
        self.places.discard(id)
        del self.active[id]

    def _delivery_failed(self, event: events.DeliveryFailed) -> None:
        """The answers stay in hand; only the delivery is tried again."""
        active = self.active[event.job_id]
        if not isinstance(event.error, errors.Unavailable):
            active.outcome = None  # it cannot be written anywhere: judged like any other failure
            self._apply(active, decide(event.error, active.job, self.clock(), self.retry_policy))
            return
        first, longest = REDELIVER_SECONDS
        active.deliver_at = self.monotonic() + min(longest, first * 2.0 ** min(active.deliveries - 1, 10))
        log.warning("not delivered", job=event.job_id, attempt=active.deliveries, error=str(event.error))

    def _redeliver(self) -> None:
        now = self.monotonic()
        for active in list(self.active.values()):
            if active.deliver_at is not None and active.deliver_at <= now:
                self._deliver(active)

    # --- the mailbox -------------------------------------------------------------------------------

    def _handlers(self) -> dict[type[Event], Callable[[Any], object]]:
        return {
            events.Settled: self._settled,
            events.Prepared: self._prepared,
            events.JobFailed: self._job_failed,
            events.Recognized: self._recognized,
            events.BatchFailed: self._batch_failed,
            events.Delivered: self._delivered,
            events.DeliveryFailed: self._delivery_failed,
            **self._cleanup.handlers(),
            **self.dispatcher.handlers(),
            events.RetryRequested: lambda event: self.ledger.retry(event.path, done=event.done),
            events.SpoolListed: lambda event: [*map(self.places.discard, event.job_ids - self.active.keys())],
            events.RowsOutdated: lambda event: self.ledger.prune(event.job_ids, event.before),
            events.CheckpointLedger: lambda event: self.ledger.checkpoint(),
        }


def _always(event: Event, _: None) -> Event:
    return event
