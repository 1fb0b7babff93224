"""The one loop.  Read this first: it is the whole life of a file, top to bottom.

Everything that happens elsewhere - a file settled, a file prepared, a batch recognized, an outcome delivered -
arrives here as an event in one mailbox, and is handled by one thread.  So nothing below needs a lock, the ledger has
one writer, and no stage knows that another exists.

A handler writes to the ledger before it changes anything in memory, so that guard.py can have it done again later
where the ledger refuses.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from transcribed import core, errors
from transcribed.active import Active
from transcribed.admission import Admission
from transcribed.batcher import Batcher
from transcribed.blame import Drop, Fail, Later, Rules, Verdict, verdict, worn_out
from transcribed.core import Batch, Event, Hypotheses, Job, Options, Outcome, Preparation, Segment, Source
from transcribed.executors import Executor
from transcribed.guard import Guard
from transcribed.ledger import Ledger
from transcribed.mailbox import Mailbox

REDELIVER_SECONDS = (1.0, 60.0)  # first pause and longest
MAX_UNDELIVERED = 1000  # of one inbox
RETIDY_SECONDS = 60.0
TICK_SECONDS = 1.0

log = structlog.get_logger("transcribed")


@dataclass(frozen=True, slots=True)
class Places:
    """What is agreed on a source and its folders; the daemon alone knows the configuration."""

    options_of: Callable[[Source], Options]
    deliver: Callable[[Outcome], Future[None]]
    tidy: Callable[[Job], Future[None]]
    discard: Callable[[int], None]  # the spooled audio of a job
    forget: Callable[[Source], None]  # a withdrawn version: should it come back, it is to be noticed again


@dataclass(kw_only=True)
class Pipeline:
    """`clock` tells seconds since the epoch, for the ledger; `observers` are called with each event after its turn."""

    mailbox: Mailbox
    ledger: Ledger
    places: Places
    preparer: Executor[Job, Preparation]
    batcher: Batcher
    admission: Admission
    recognizer: Executor[Batch, Hypotheses]
    rules: Rules
    observers: Sequence[Callable[[Event], None]] = ()
    max_active: int = 64
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic

    active: dict[int, Active] = field(default_factory=dict, init=False)
    benched: dict[str, str] = field(default_factory=dict, init=False)  # slots that cannot work, and why
    _guard: Guard = field(init=False)
    _tidy_at: float | None = field(default=None, init=False)  # when what could not be put away is tried again
    _stops: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._guard = Guard(self.ledger, self._handlers(), self.monotonic)

    def run(self, grace: float = 20.0) -> None:
        """Until told to stop; then at most `grace` seconds more, for what is running."""
        while not self._stops:
            self.step()
        stop_by = self.monotonic() + grace
        while self.mailbox.owed and self._stops == 1 and self.monotonic() < stop_by:
            self.step()

    def recover(self) -> None:
        """Before `run`: what the previous run had in hand waits again, and what it did not put away is put away."""
        self.ledger.recover()
        self._tidy_at = self.monotonic()

    def step(self, seconds: float = TICK_SECONDS) -> None:
        """Once around: give out what can be given, then handle what has happened within `seconds`."""
        self._guard.replay()
        if not self._stops and not self._guard.holds:
            for act in (self._retidy, self._redeliver, self._dispatch, self._activate):  # room is made from below
                self._guard.tries(act)
        for event in self.mailbox.collect(seconds):
            if isinstance(event, core.Stop):
                self._stops += 1
            else:
                self._guard.take(event)
            for observe in self.observers:
                observe(event)

    # --- downhill: file -> ledger -> prepare -> batch -> deliver -----------------------------------

    def _settled(self, event: core.Settled) -> None:
        """A settled file enters the ledger, once."""
        source = event.source
        if self.ledger.add(source, self.places.options_of(source), source.name, self.clock()):
            log.info("noticed", file=source.name, bytes=source.size)

    def _activate(self) -> None:
        """Idle preparers pull due jobs, as long as we care to hold more."""
        for slot in self.preparer.idle():
            if sum(active.outcome is None for active in self.active.values()) >= self.max_active:
                return
            job = self.ledger.activate(self.clock(), self.rules.forget_seconds, self._full())
            if job is None:
                return
            self.active[job.id] = Active(job)
            log.info("started", job=job.id, file=job.source.name)
            if tired := worn_out(job, self.rules):
                self._sentence(self.active[job.id], tired)
            else:
                self.mailbox.post(
                    self.preparer.submit(slot, job), partial(core.Prepared, job.id), partial(core.JobFailed, job.id)
                )

    def _full(self) -> list[Path]:
        """Inboxes with so many outcomes undelivered that no more are made for them; the others go on."""
        undelivered = Counter(a.job.source.inbox for a in self.active.values() if a.deliver_at is not None)
        return [inbox for inbox, count in undelivered.items() if count >= MAX_UNDELIVERED]

    def _prepared(self, event: core.Prepared) -> None:
        active, preparation = self.active[event.job_id], event.preparation
        active.prepared(preparation)
        self.batcher.add(active.job.options, preparation.segments)
        log.info("prepared", job=event.job_id, segments=len(preparation.segments))
        self._end_if_answered(active)  # at once where there is no speech

    def _dispatch(self) -> None:
        """Idle slots pull batches, each no larger than the slot has room for."""
        for slot in self.recognizer.idle():
            batch = self.batcher.next_batch(self.admission.room(slot.id))
            if batch is None:
                return
            self.mailbox.post(
                self.recognizer.submit(slot, batch),
                partial(core.Recognized, batch, slot.id),
                partial(core.BatchFailed, batch, slot.id),
                owed=True,
            )

    def _recognized(self, event: core.Recognized) -> None:
        self.admission.passed(event.slot)
        for segment, hypothesis in zip(event.batch.segments, event.hypotheses, strict=True):
            if not self._awaits(segment):
                continue
            active = self.active[segment.job_id]
            if active.asks_again(segment, hypothesis):  # alone: it may have been a fault of the batch
                self.batcher.put_back(Batch(active.job.options, (segment,)))
            else:
                active.answer(segment, hypothesis)
                self._end_if_answered(active)

    def _end_if_answered(self, active: Active) -> None:
        if (outcome := active.result()) is not None:
            self._end(active, outcome)

    def _end(self, active: Active, outcome: Outcome) -> None:
        """The job has its transcript, or the reason why not: it leaves for the outbox."""
        if self.ledger.find(active.job.source.path)[0].id != active.job.id:  # its words would replace newer ones
            self._sentence(active, Drop("A newer version of the file has been noticed; that one counts."))
            return
        active.outcome = outcome
        self.batcher.forget(active.job.id)
        self.places.discard(active.job.id)
        self._deliver(active)

    def _deliver(self, active: Active) -> None:
        assert active.outcome is not None
        id, active.deliver_at = active.job.id, None
        active.deliveries += 1
        self.mailbox.post(
            self.places.deliver(active.outcome),
            lambda _: core.Delivered(id),
            partial(core.DeliveryFailed, id),
            owed=True,
        )

    def _delivered(self, event: core.Delivered) -> None:
        """Recorded only now: a crash before this line repeats the work, and replaces the same files."""
        active = self.active[event.job_id]
        if isinstance(active.outcome, core.Failure):
            self.ledger.fail(event.job_id, self.clock(), active.outcome.reason)
            log.warning("failed", job=event.job_id, reason=active.outcome.reason)
        else:
            self.ledger.done(event.job_id, self.clock())
            log.info("done", job=event.job_id)
            self._tidy(active.job)
        del self.active[event.job_id]

    def _tidy(self, job: Job) -> None:
        """The source is moved or deleted only after its transcript is on disk and recorded."""
        self.mailbox.post(self.places.tidy(job), lambda _: core.Tidied(job.id), partial(core.TidyFailed, job.id))

    # --- when things go wrong ----------------------------------------------------------------------

    def _batch_failed(self, event: core.BatchFailed) -> None:
        """Halve it and try again, until a batch of one fails: then its job is to blame."""
        log.warning("batch failed", slot=event.slot, segments=len(event.batch.segments), error=str(event.error))
        if isinstance(event.error, errors.OutOfMemory):
            self.admission.refused(event.slot, event.batch.padded_seconds)
        wanted = Batch(event.batch.options, tuple(filter(self._awaits, event.batch.segments)))
        if len(event.batch.segments) > 1:
            self.batcher.put_back(*(half for half in wanted.halves() if half.segments))
        elif wanted.segments:
            self._job_failed(core.JobFailed(wanted.segments[0].job_id, event.error))

    def _awaits(self, segment: Segment) -> bool:
        active = self.active.get(segment.job_id)
        return active is not None and active.awaits(segment)

    def _job_failed(self, event: core.JobFailed) -> None:
        active = self.active.get(event.job_id)
        if active and active.outcome is None:
            self._sentence(active, verdict(event.error, active.job, self.clock(), self.rules))

    def _sentence(self, active: Active, judged: Verdict) -> None:
        id = active.job.id
        match judged:
            case Fail(reason, hint):
                self._end(active, core.Failure(active.job, reason, hint))
                return
            case Later(until, reason, blamed=True):
                self.ledger.blame(id, self.clock(), until, reason)
            case Later(until, reason):
                self.ledger.defer(id, until, reason)
            case Drop(reason):
                self.ledger.withdraw(id, self.clock(), reason)
                self.places.forget(active.job.source)
        log.info("put back" if isinstance(judged, Later) else "withdrawn", job=id, reason=judged.reason)
        self.batcher.forget(id)
        self.places.discard(id)
        del self.active[id]

    def _delivery_failed(self, event: core.DeliveryFailed) -> None:
        """The answers stay in hand; only the delivery is tried again."""
        active = self.active[event.job_id]
        if not isinstance(event.error, errors.Unavailable):
            active.outcome = None  # it cannot be written anywhere: judged like any other failure
            self._sentence(active, verdict(event.error, active.job, self.clock(), self.rules))
            return
        first, longest = REDELIVER_SECONDS
        active.deliver_at = self.monotonic() + min(longest, first * 2.0 ** min(active.deliveries - 1, 10))
        log.warning("not delivered", job=event.job_id, attempt=active.deliveries, error=str(event.error))

    def _tidy_failed(self, event: core.TidyFailed) -> None:
        log.warning("source not put away", job=event.job_id, error=str(event.error))
        self._tidy_at = self.monotonic() + RETIDY_SECONDS

    def _retidy(self) -> None:
        if self._tidy_at is not None and self._tidy_at <= self.monotonic():
            self._tidy_at = None
            for job in self.ledger.untidied():
                self._tidy(job)

    def _redeliver(self) -> None:
        now = self.monotonic()
        for active in list(self.active.values()):
            if active.deliver_at is not None and active.deliver_at <= now:
                self._deliver(active)

    def _slot_changed(self, event: core.SlotChanged) -> None:
        if event.error is None:
            self.benched.pop(event.slot, None)
        elif self.benched.get(event.slot) != event.error:
            self.benched[event.slot] = event.error
            log.error("slot cannot work", slot=event.slot, error=event.error)

    # --- the mailbox -------------------------------------------------------------------------------

    def _handlers(self) -> dict[type[Event], Callable[[Any], object]]:
        return {
            core.Settled: self._settled,
            core.Prepared: self._prepared,
            core.JobFailed: self._job_failed,
            core.Recognized: self._recognized,
            core.BatchFailed: self._batch_failed,
            core.Delivered: self._delivered,
            core.DeliveryFailed: self._delivery_failed,
            core.Tidied: lambda event: self.ledger.tidied(event.job_id),
            core.TidyFailed: self._tidy_failed,
            core.SlotChanged: self._slot_changed,
            core.Retry: lambda event: self.ledger.retry(event.path, event.options),
        }
