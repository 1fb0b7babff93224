"""Run the one loop.  Read this first: it is the whole life of a file, top to bottom.

Everything that happens elsewhere - a file settled, a file prepared, a batch recognized, an outcome delivered -
arrives here as an event in one mailbox, and is handled by one thread.  So nothing below needs a lock, the ledger has
one writer, and no stage knows that another exists.

A handler writes to the ledger before it changes anything in memory, so that held_events.py can repeat it later if the
ledger cannot be written.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from transcribed.core import errors, events, types
from transcribed.core.mailbox import Mailbox
from transcribed.core.provenance import made_with
from transcribed.core.types import Batch, Hypothesis, Job, Outcome, Preparation, Segment
from transcribed.output.delivery import Delivery
from transcribed.pipeline.active_job import ActiveJob, neutral_options
from transcribed.pipeline.deliveries import Deliveries
from transcribed.pipeline.executors import Executor
from transcribed.pipeline.held_events import HeldEvents
from transcribed.pipeline.inboxes import Inboxes
from transcribed.pipeline.intake import Intake
from transcribed.pipeline.retry_policy import Discard, Fail, Retry, RetryDecision, RetryPolicy, decide
from transcribed.pipeline.scheduling.batcher import Batcher
from transcribed.pipeline.scheduling.dispatcher import Dispatcher
from transcribed.pipeline.source_cleanup import SourceCleanup
from transcribed.state.ledger import Ledger
from transcribed.state.spool import Spool

TICK_SECONDS = 1.0

log = structlog.get_logger("transcribed")


@dataclass(kw_only=True)
class Pipeline:
    """The loop and its collaborators.

    `clock` returns seconds since the epoch, for the ledger; `observers` are called with each event once it is handled.
    """

    mailbox: Mailbox
    ledger: Ledger
    inboxes: Inboxes
    delivery: Delivery
    spool: Spool
    preparer: Executor[Job, Preparation]
    batcher: Batcher
    dispatcher: Dispatcher
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    observers: Sequence[Callable[[events.Event], None]] = ()
    max_active: int = 64
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic

    active: dict[int, ActiveJob] = field(default_factory=dict, init=False)
    _held_events: HeldEvents = field(init=False)
    intake: Intake = field(init=False)
    _cleanup: SourceCleanup = field(init=False)
    _deliveries: Deliveries = field(init=False)
    _stops: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._cleanup = SourceCleanup(self.mailbox, self.ledger, self.delivery, self.monotonic)
        self._deliveries = Deliveries(self.mailbox, self.delivery, self.monotonic)
        stages = (self.mailbox, self.ledger, self.inboxes, self.spool, self.preparer)
        self.intake = Intake(*stages, self.retry_policy, self.max_active, self.clock)
        self._held_events = HeldEvents(self.ledger, self._handle, self.monotonic)

    @property
    def is_stopping(self) -> bool:
        """Return True once a Stop event has arrived."""
        return self._stops > 0

    def finish(self, grace: float) -> None:
        """After a Stop event, wait at most `grace` seconds for running work; a second Stop ends the wait."""
        stop_by = self.monotonic() + grace
        while self.mailbox.outstanding and self._stops == 1 and self.monotonic() < stop_by:
            self.step()

    def recover(self) -> None:
        """Queue the jobs that the previous run left unfinished, and schedule its pending source cleanup.

        Call before the first step.
        """
        self.ledger.recover()
        self._cleanup.recover()

    def step(self, seconds: float = TICK_SECONDS) -> bool:
        """Go around once: start all work that can start, then handle the events that arrive within `seconds`.

        The last stage comes first, because it makes room for the others.  Return whether any event arrived, not
        counting readings of the cards.
        """
        self._held_events.replay()
        if not self._stops and not self._held_events.is_blocked:
            for act in (self._cleanup.run, self._redeliver, self.dispatcher.dispatch, self._take_in):
                self._held_events.attempt(act)
        happened = self.mailbox.collect(seconds)
        for event in happened:
            if isinstance(event, events.Stop):
                self._stops += 1
            elif not self.dispatcher.handle(event):
                self._held_events.handle(event)
            for observe in self.observers:
                observe(event)
        return not all(isinstance(event, events.Wake | events.Measured) for event in happened)

    # --- downhill: file -> ledger -> prepare -> batch -> deliver -----------------------------------

    def _settled(self, event: events.Settled) -> None:
        """Enter a settled file into the ledger, once."""
        source = event.source
        if self.ledger.add(source, self.inboxes.output_name(source), self.clock(), returned=event.returned):
            log.info("noticed", file=source.name, bytes=source.size)

    def _take_in(self) -> None:
        self.intake.run(self.active, len(self.batcher))

    def _prepared(self, event: events.Prepared) -> None:
        active, preparation = self.active[event.job_id], event.preparation
        if preparation.cut_short:
            judged = self._decide(active.job, errors.Incomplete(preparation.damage or ""))
            if isinstance(judged, Retry):  # the rest may still be on its way
                self._apply(active, judged)
                return
        active.set_preparation(preparation)
        priority = self.inboxes.priorities.get(active.job.source.inbox, 0)
        self.batcher.add(preparation.requested.options, active.waiting.values(), self.clock(), priority)
        log.info("prepared", job=event.job_id, segments=len(preparation.segments), known=len(preparation.known))
        self._end_if_answered(active)  # at once if there is no speech

    def _recognized(self, event: events.Recognized) -> None:
        self.dispatcher.on_recognized(event)
        taken: dict[int, list[tuple[Segment, Hypothesis]]] = defaultdict(list)
        for segment, hypothesis in zip(event.batch.segments, event.recognition.hypotheses, strict=True):
            if not self._awaits(segment):
                continue
            active = self.active[segment.job_id]
            if active.should_retry_segment(segment, hypothesis):  # alone, as the batch may have been at fault
                self.batcher.requeue(Batch(neutral_options(event.batch.options), (segment,)))
            else:
                taken[segment.job_id].append((segment, active.answer(segment, hypothesis)))
        for id, answers in taken.items():
            if preparation := self.active[id].preparation:
                self.spool.keep_answers(preparation, answers)
        for id in {segment.job_id for segment in event.batch.segments} & self.active.keys():
            self._end_if_answered(self.active[id])

    def _end_if_answered(self, active: ActiveJob) -> None:
        if active.outcome is None and (outcome := active.result()) is not None:
            self._end(active, outcome)

    def _end(self, active: ActiveJob, outcome: Outcome) -> None:
        """Deliver a job's transcript, or its failure, to the outbox."""
        if not self._is_newest(active.job):  # its transcript would replace a newer one
            self._apply(active, Discard("A newer version of the file has arrived and is transcribed instead."))
            return
        active.outcome = outcome
        self.batcher.forget(active.job.id)
        self.spool.discard(active.job.id)
        self._deliveries.start(active)

    def _is_newest(self, job: Job) -> bool:
        newest = next(iter(self.ledger.find(job.source.path)), job)
        return newest.id == job.id

    def _delivered(self, event: events.Delivered) -> None:
        """Record the outcome, only now: a crash before this line repeats the work and replaces the same files."""
        active = self.active[event.job_id]
        match active.outcome:
            case types.Failure(reason=reason):
                self.ledger.fail(event.job_id, self.clock(), reason)
                log.warning("failed", job=event.job_id, reason=reason)
            case types.Transcript(preparation=preparation, suspicion=suspicion):
                doubtful = suspicion is not None and not active.outcome.text
                kept = preparation.cut_short or doubtful  # its sender may still have the rest, or somebody hear words
                self.ledger.done(event.job_id, self.clock(), made_with(preparation.requested), suspicion, keep=kept)
                log.info("done", job=event.job_id, **({"suspicion": suspicion} if suspicion else {}))
                if not kept:
                    self._cleanup.add(active.job)
        self._forget(active)

    def _forget(self, active: ActiveJob) -> None:
        if active.preparation:
            self.spool.drop_answers(active.preparation)
        del self.active[active.job.id]

    # --- when things go wrong ----------------------------------------------------------------------

    def _batch_failed(self, event: events.BatchFailed) -> None:
        """Halve the batch and retry, until a batch of one segment fails: then its job is to blame.

        No job is blamed for a batch that was not started or did not fit into memory: that batch waits for room.
        """
        log.warning("batch failed", slot=event.slot, segments=len(event.batch.segments), error=str(event.error))
        self.dispatcher.on_batch_failed(event)
        wanted = Batch(event.batch.options, tuple(filter(self._awaits, event.batch.segments)))
        alone = len(event.batch.segments) == 1
        if isinstance(event.error, errors.AudioLost):
            for id in {segment.job_id for segment in wanted.segments}:
                self._job_failed(events.JobFailed(id, event.error))
        elif isinstance(event.error, errors.Unavailable) or (alone and isinstance(event.error, errors.OutOfMemory)):
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
            self._apply(active, self._decide(active.job, event.error))

    def _decide(self, job: Job, error: BaseException) -> RetryDecision:
        return decide(error, job, self.clock(), self.retry_policy, self.inboxes.grace_seconds(job.source))

    def _apply(self, active: ActiveJob, judged: RetryDecision) -> None:
        id = active.job.id
        match judged:
            case Fail(reason, hint):
                self.inboxes.note_failure(active.job.source, self.clock())
                self._end(active, types.Failure(active.job, reason, hint))
                return
            case Retry(until, reason, counts_as_failure=True):
                self.ledger.record_failure(id, self.clock(), until, reason)
            case Retry(until, reason):
                self.ledger.defer(id, until, reason)
            case Discard(reason):
                self.ledger.withdraw(id, self.clock(), reason)
                self.inboxes.forget(active.job.source)
                if self._is_newest(active.job):
                    self._deliveries.remove_note(active.job)
        log.info("job queued again" if isinstance(judged, Retry) else "withdrawn", job=id, reason=judged.reason)
        self.batcher.forget(id)
        self.spool.discard(id)
        del self.active[id]

    def _delivery_failed(self, event: events.DeliveryFailed) -> None:
        """Retry the delivery only; the answers are kept."""
        active = self.active[event.job_id]
        if not isinstance(event.error, errors.Unavailable):
            active.outcome = None  # no outbox can take it: decided like any other error
            self._apply(active, self._decide(active.job, event.error))
            return
        self._deliveries.postpone(active, event.error)

    def _redeliver(self) -> None:
        self._deliveries.start_due(self.active.values())

    # --- the mailbox -------------------------------------------------------------------------------

    def _handle(self, event: events.Event) -> None:
        """Handle an event that may write to the ledger."""
        match event:
            case events.Settled():
                self._settled(event)
            case events.Prepared():
                self._prepared(event)
            case events.JobFailed():
                self._job_failed(event)
            case events.Recognized():
                self._recognized(event)
            case events.BatchFailed():
                self._batch_failed(event)
            case events.Delivered():
                self._delivered(event)
            case events.DeliveryFailed():
                self._delivery_failed(event)
            case events.SourceCleanedUp() | events.SourceCleanupPending() | events.SourceCleanupFailed():
                self._cleanup.handle(event)
            case events.RetryRequested(path, done):
                self.ledger.retry(path, done=done)
            case events.SpoolListed(job_ids):
                for job_id in job_ids - self.active.keys():
                    self.spool.discard(job_id)
            case events.RowsOutdated(job_ids, before):
                self.ledger.prune(job_ids, before)
            case events.CheckpointLedger():
                self.ledger.checkpoint()
            case _:
                raise TypeError(f"{type(event).__name__} is handled nowhere.")
