"""One way of working on the simulated card, through one trace of files: what stands where the pipeline stands.

Batcher, Admission, Dispatcher and Worker are the daemon's own.  Knows no ledger, spool or outbox.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from tests.benchmarks.card import Card, Sibling, World
from tests.benchmarks.device import Device, Monitor
from tests.benchmarks.traces import OPTIONS, PRIORITIES, File, Trace
from tests.benchmarks.ways import Way
from transcribed.core import events, types
from transcribed.core.errors import OutOfMemory, Unavailable
from transcribed.core.mailbox import Mailbox
from transcribed.core.types import Batch
from transcribed.pipeline.intake import MAX_WAITING, PRIORITY_SHARE
from transcribed.pipeline.pipeline import TICK_SECONDS
from transcribed.pipeline.scheduling.dispatcher import Dispatcher
from transcribed.pipeline.scheduling.gpu_policy import Policy, Schedule, ScheduledPolicy

MIDNIGHT = 1_767_571_200.0  # 5 January 2026, UTC
LOOP_SECONDS = 0.001  # from an answer to the next decision
PREPARERS = 16  # cores
PREPARE_SECONDS, PREPARE_SPEED = 0.015, 500.0  # per file, and per second of audio: as measured of preparation
MAX_ACTIVE = 16 * PREPARERS + 48  # as daemon.py has it
QUIET_SECONDS = 5.0  # that a file must not change before it is taken: stability.py, on a local disk
BACKLOG_SECONDS = 4000.0  # of audio: a slot has its hands full, two batches of a second

# What is left to others: by day as by default, by night half as much.
SCHEDULE = Schedule(
    Policy(reserve=0.05),
    [ScheduledPolicy("0 6 * * *", Policy(reserve=0.1)), ScheduledPolicy("0 22 * * *", Policy(reserve=0.05))],
    UTC,
)


@dataclass
class Account:
    """What happened so far."""

    answered: int = 0  # segments
    twice: int = 0  # or of no file in hand
    lost: int = 0  # segments of files that failed
    audio_seconds: float = 0.0
    batches: int = 0
    ooms: int = 0
    ooms_alone: int = 0  # of a batch of one segment: the file's own
    not_begun: int = 0  # batches, since others had taken the memory
    waiting_seconds: float = 0.0  # of audio, prepared and not answered, now
    computing: bool = False
    waited: float = 0.0  # seconds in which work waited ...
    idle: float = 0.0  # ... and the device did nothing
    backlogged: float = 0.0  # seconds in which much waited ...
    backlogged_audio: float = 0.0  # ... and seconds of audio answered in them
    turnarounds: dict[int, float] = field(default_factory=dict)  # by file, from drop to transcript
    ended_at: dict[int, float] = field(default_factory=dict)
    now: float = 0.0

    def until(self, now: float) -> None:
        """What is now has been so since the last call."""
        seconds, self.now = now - self.now, now
        if self.waiting_seconds > 1e-3:
            self.waited += seconds
            self.idle += seconds * (not self.computing)
        if self.waiting_seconds >= BACKLOG_SECONDS:
            self.backlogged += seconds


class Run:
    """One way of working through one trace."""

    def __init__(self, way: Way, trace: Trace, seed: int) -> None:
        self.way, self.trace = way, trace
        self.world, self.card, self.account = World(), Card(), Account()
        self._mailbox, self._rung, self._due = Mailbox(), False, 0.0
        self.admission = way.admission(self.policy, trace.wishes)
        self.batcher = way.batcher()
        dice = random.Random(f"noise {seed}")
        self.device = Device(self.world, self.card, self._tell, self.ring, dice, way.caches)
        self.device.watch = self._computes
        monitor = Monitor(self.world, self.card, self.ring)
        self.dispatcher = Dispatcher(
            self._mailbox, self.batcher, self.admission, self.device, monitor, monotonic=self.world
        )
        self.sibling = Sibling(self.world, self.card, lambda: self.device.resting_bytes, self.reserve_bytes)
        self._hands = _Hands(self)
        self._handlers: dict[type, Callable[[Any], None]] = {
            events.Recognized: self._recognized,
            events.BatchFailed: self._failed,
        }

    def until_end(self, grace: float = 0.0) -> Run:
        """Plays the whole trace, and `grace` seconds more for what is not done by then."""
        for file in self.trace.files:
            self.world.at(file.came_at + QUIET_SECONDS, lambda file=file: self._hands.settled(file))
        for at, held in self.trace.wishes:
            self.world.at(at, lambda held=held: self.sibling.wants(held))
        self._tick()
        self.world.run(self.trace.seconds)
        while len(self.account.ended_at) < len(self.trace.files) and self.world.now < self.trace.seconds + grace:
            self.world.run(self.world.now + 1)
        self.account.until(self.world.now)
        return self

    def policy(self) -> Policy:
        return SCHEDULE.at(MIDNIGHT + self.trace.begins_at + self.world.now)

    def reserve_bytes(self) -> int:
        return self.policy().reserve_bytes(self.card.total)

    # --- the loop ------------------------------------------------------------------------------------

    def _tell(self, event: events.Event) -> None:
        self._mailbox.put(event)
        self.ring()

    def ring(self) -> None:
        if not self._rung:
            self._rung = True
            self.world.after(LOOP_SECONDS, self._turn)

    def _tick(self) -> None:
        """The loop turns at least so often."""
        if self._due <= self.world.now:
            self._turn()
        self.world.at(self._due, self._tick)

    def _turn(self) -> None:
        self._rung, self._due = False, self.world.now + TICK_SECONDS
        for event in self._mailbox.collect(0):
            if handle := self._handlers.get(type(event)):
                handle(event)
            else:
                self.dispatcher.handle(event)
        self.dispatcher.dispatch()
        self._hands.fill()

    def prepared(self, file: File) -> None:
        self.account.until(self.world.now)
        self.account.waiting_seconds += file.seconds
        self.batcher.add(OPTIONS[file.inbox], file.segments, self.world.now, PRIORITIES[file.inbox])
        self.ring()

    def _recognized(self, event: events.Recognized) -> None:
        self.dispatcher.on_recognized(event)
        account = self.account
        account.until(self.world.now)
        seconds = sum(s.seconds for s in event.batch.segments)
        account.batches += 1
        account.audio_seconds += seconds
        account.backlogged_audio += seconds * (account.waiting_seconds >= BACKLOG_SECONDS)
        for segment in event.batch.segments:
            self._hands.answered(segment)

    def _failed(self, event: events.BatchFailed) -> None:
        """As in the pipeline; but where nobody waits for room, a segment that does not fit fails its file."""
        self.dispatcher.on_batch_failed(event)
        batch, alone = event.batch, len(event.batch.segments) == 1
        refused = isinstance(event.error, OutOfMemory)
        self.account.ooms += refused
        self.account.ooms_alone += refused and alone
        self.account.not_begun += isinstance(event.error, Unavailable)
        if isinstance(event.error, Unavailable) or (refused and alone and self.way.waits):
            self.batcher.requeue(batch)
        elif not alone:
            self.batcher.requeue(*batch.halves())
        else:
            self._hands.lost(batch)

    def _computes(self, computing: bool) -> None:
        self.account.until(self.world.now)
        self.account.computing = computing


class _Hands:
    """The files that the pipeline has in hand, and those it has not yet taken: prepared in their turn, a few at a time.

    Which inbox is next, and how much may be in hand, is as in the pipeline; which cores are free is simulated.
    """

    def __init__(self, run: Run) -> None:
        self._run, self._world, self._account = run, run.world, run.account
        self._queues: dict[str, deque[File]] = {inbox: deque() for inbox in PRIORITIES}
        self._in_hand: Counter[str] = Counter()
        self._open: dict[int, tuple[File, set[int]]] = {}  # and what is not answered of each
        self._free_cores = PREPARERS

    def settled(self, file: File) -> None:
        self._queues[file.inbox].append(file)
        self._run.ring()

    def fill(self) -> None:
        while self._free_cores and self._has_room():
            waiting = [inbox for inbox in self._queues if self._queues[inbox]]
            if not waiting:
                return
            inbox = min(waiting, key=lambda inbox: self._in_hand[inbox] / PRIORITY_SHARE ** PRIORITIES[inbox])
            self._prepare(self._queues[inbox].popleft())

    def _has_room(self) -> bool:
        way = self._run.way
        return (way.any_files or len(self._open) < MAX_ACTIVE) and len(self._run.batcher) < MAX_WAITING

    def _prepare(self, file: File) -> None:
        self._free_cores -= 1
        self._in_hand[file.inbox] += 1
        self._open[file.id] = file, {s.index for s in file.segments}

        def ended() -> None:
            self._free_cores += 1
            self._run.prepared(file)

        self._world.after(PREPARE_SECONDS + file.seconds / PREPARE_SPEED, ended)

    def answered(self, segment: types.Segment) -> None:
        file, left = self._open.get(segment.job_id, (None, set()))
        if file is None or segment.index not in left:
            self._account.twice += 1
            return
        left.remove(segment.index)
        self._account.answered += 1
        self._account.waiting_seconds -= segment.seconds
        if not left:
            self._account.turnarounds[file.id] = self._world.now - file.came_at
            self._close(file)

    def lost(self, batch: Batch) -> None:
        """Their files have failed."""
        for segment in batch.segments:
            if segment.job_id in self._open:
                file, left = self._open[segment.job_id]
                self._account.lost += len(left)
                self._account.until(self._world.now)
                self._account.waiting_seconds -= sum(s.seconds for s in file.segments if s.index in left)
                self._close(file)

    def _close(self, file: File) -> None:
        self._account.ended_at[file.id] = self._world.now
        self._in_hand[file.inbox] -= 1
        del self._open[file.id]
