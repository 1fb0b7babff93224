"""A worker on the simulated card, and what reads the card: executors as the dispatcher knows them.

The worker is the daemon's own `Worker`; only its device is not real.  While it recognizes, time passes for all.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from tests.benchmarks.card import (
    CONTEXT_BYTES,
    NOISE,
    WEIGHTS_BYTES,
    Allocator,
    Card,
    Formula,
    OutOfMemoryError,
    World,
)
from transcribed.core import events, telemetry
from transcribed.core.errors import TranscribedError, Unavailable
from transcribed.core.events import Event
from transcribed.core.telemetry import BatchMemorySample, Reading, WorkerProfile
from transcribed.core.types import Assignment, Hypothesis, Recognition, ReleaseMemory
from transcribed.pipeline.executors import Slot
from transcribed.recognition.worker import Model, Worker
from transcribed.recognition.worker_factory import CALIBRATION

SLOT = "cuda:0"
BOOT_SECONDS = 12.0  # imports, weights, canary, calibration
IDLE_EXIT_SECONDS = 900.0  # as configured by default
BACK_OFF_SECONDS = (5.0, 300.0)  # as factories.py has it
DEPTH = 2  # as factories.py has it
PIPE_SECONDS = 0.0005  # to another process
READING_SECONDS = 0.05  # two pipes and NVML between them

_HEARD = Hypothesis("words")


class Recognizer:
    """Half of a batch's memory at once, all of it in the middle; the sibling may come between."""

    dtype, word_lag_seconds = "bf16", 0.0

    def __init__(self, world: World, memory: Allocator, dice: random.Random) -> None:
        self._world, self._memory, self._dice = world, memory, dice
        self._formula = Formula()

    def recognize(self, segments, options) -> list[Hypothesis]:
        """`segments` stand for their own samples."""
        longest = max(s.seconds for s in segments)
        peak, taken = self.peak(len(segments) * longest, longest), 0
        until = self._world.now + self._formula.seconds(len(segments) * longest)
        try:
            for more in (peak // 2, peak - peak // 2):
                self._memory.allocate(more)
                taken += more
                self._world.run(self._world.now + (until - self._world.now) / (2 if taken < peak else 1))
        finally:
            self._memory.free(taken)
        return [_HEARD] * len(segments)

    def peak(self, padded_seconds: float, longest_seconds: float) -> int:
        noise = min(max(self._dice.gauss(0, 1), -3), 3) * NOISE
        return int((1 + noise) * self._formula.usual_bytes(padded_seconds, longest_seconds))


class Device:
    """An executor with one slot, that comes up, works, and leaves as LocalExecutor's do."""

    def __init__(
        self,
        world: World,
        card: Card,
        tell: Callable[[Event], None],
        ring: Callable[[], None],
        dice: random.Random,
        caches: bool = True,
    ) -> None:
        """`tell` hears of the worker; `ring` is called when there is an answer."""
        self._world, self._card, self._dice, self._caches = world, card, dice, caches
        self._tell, self._ring = tell, ring
        self._in_hand: deque[tuple[Future[Recognition], Assignment | ReleaseMemory]] = deque()
        self._worker: Worker | None = None
        self._memory = Allocator(card, world)
        self._booting, self._boot_at, self._failed_boots = False, 0.0, 0
        self._idle_since = 0.0
        self.watch: Callable[[bool], None] = lambda computing: None
        self.padded_seconds: list[float] = []  # of each batch
        self.predicted: list[float] = []  # of each batch: what it was expected to take, in parts of what it took

    def start(self) -> None: ...

    def stop(self, grace: float) -> None: ...

    def processes(self) -> list[int]:
        return [1] if self._worker or self._booting else []

    def idle(self) -> list[Slot]:
        takes = len(self._in_hand) < DEPTH if self._worker else not self._booting and self._boot_at <= self._world.now
        return [Slot(SLOT, self._worker is not None, len(self._in_hand))] if takes else []

    def submit(self, slot: Slot, request: Assignment | ReleaseMemory) -> Future[Recognition]:
        future: Future[Recognition] = Future()
        self._in_hand.append((future, request))
        if self._worker is None:
            self._booting = True
            self._world.after(BOOT_SECONDS, self._boot)
        elif len(self._in_hand) == 1:
            self._world.after(PIPE_SECONDS, self._work)
        return future

    @property
    def resting_bytes(self) -> int:
        return CONTEXT_BYTES + WEIGHTS_BYTES if self._worker else 0

    def _boot(self) -> None:
        """Weights and calibration; all or nothing, and at the end of its time."""
        self._booting = False
        self._memory = Allocator(self._card, self._world, self._caches)
        try:
            profile = self._profile()
        except OutOfMemoryError as error:
            self._gone()
            first, longest = BACK_OFF_SECONDS
            self._boot_at = self._world.now + min(longest, first * 2.0**self._failed_boots)
            self._failed_boots += 1
            self._tell(events.SlotUnavailable(SLOT, str(error)))
            self._in_hand.popleft()[0].set_exception(Unavailable(str(error)))
            self._ring()
            return
        recognizer = Recognizer(self._world, self._memory, self._dice)
        self._worker = Worker({"m": Model(recognizer, lambda: None)}, self._memory, profile, self._world)
        self._failed_boots = 0
        self._tell(events.WorkerReady(SLOT, profile))
        self._work()

    def _profile(self) -> WorkerProfile:
        if self._card.free < CONTEXT_BYTES:
            raise OutOfMemoryError("CUDA out of memory.")
        self._card.ours += CONTEXT_BYTES
        self._memory.allocate(WEIGHTS_BYTES)
        recognizer = Recognizer(self._world, self._memory, self._dice)
        samples = []
        for rows, seconds in CALIBRATION:
            peak = recognizer.peak(rows * seconds, seconds)
            self._memory.allocate(peak)
            self._memory.free(peak)
            samples.append(("m", BatchMemorySample(rows * seconds, seconds, peak)))
        self._memory.begin()
        return WorkerProfile("GPU-0", (("m", "bf16"),), "1", self._memory.footprint(), tuple(samples))

    def _work(self) -> None:
        """The first in hand; time passes."""
        assert self._worker
        future, request = self._in_hand[0]
        batch = request.batch if isinstance(request, Assignment) else None
        self.watch(batch is not None)
        try:
            answer = self._worker((request, list(batch.segments) if batch else []), lambda: None)
        except TranscribedError as error:
            future.set_exception(error)
        else:
            if isinstance(request, Assignment) and answer.footprint:
                taken = answer.footprint.peak - answer.footprint.resting
                self.predicted.append(request.need_bytes / taken)
                self.padded_seconds.append(request.batch.padded_seconds)
            future.set_result(answer)
        self._next()

    def _next(self) -> None:
        self._ring()
        self.watch(False)
        self._in_hand.popleft()
        self._idle_since = self._world.now
        if self._in_hand:
            self._world.at(self._world.now, self._work)
        else:
            self._world.after(IDLE_EXIT_SECONDS, self._leave)

    def _leave(self) -> None:
        if self._worker and not self._in_hand and self._world.now - self._idle_since >= IDLE_EXIT_SECONDS - 1e-6:
            self._gone()
            self._tell(events.WorkerExited(SLOT))

    def _gone(self) -> None:
        self._worker, self._card.ours = None, 0


class Monitor:
    """An executor that reads the card; what it answers is a little old already."""

    def __init__(self, world: World, card: Card, ring: Callable[[], None]) -> None:
        self._world, self._card, self._ring = world, card, ring
        self._busy = False

    def start(self) -> None: ...

    def stop(self, grace: float) -> None: ...

    def processes(self) -> list[int]:
        return []

    def idle(self) -> list[Slot]:
        return [] if self._busy else [Slot("nvml")]

    def submit(self, slot: Slot, request: frozenset[int]) -> Future[Reading]:
        future: Future[Reading] = Future()
        self._busy = True

        began_at = self._world.now
        self._world.after(READING_SECONDS / 2, lambda: self._read(future, began_at))
        return future

    def _read(self, future: Future[Reading], began_at: float) -> None:
        card = self._card
        told = telemetry.Card(SLOT, "GPU-0", "a card", card.total, card.free, card.total - card.free)
        self._world.after(READING_SECONDS / 2, lambda: self._answer(future, Reading((told,), at=began_at)))

    def _answer(self, future: Future[Reading], reading: Reading) -> None:
        self._busy = False
        future.set_result(reading)
        self._ring()
