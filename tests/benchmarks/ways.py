"""Ways of working to compare ours with: they stand where Batcher and Admission stand."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from tests.benchmarks.card import CONTEXT_BYTES, WEIGHTS_BYTES, Formula
from tests.benchmarks.device import DEPTH
from tests.benchmarks.traces import SPEED, TOTAL_BYTES
from transcribed.config.settings import RecognizeSettings
from transcribed.core.types import Batch, Options, Segment
from transcribed.daemon.factories import MAX_SEGMENTS, PADDED_SECONDS
from transcribed.pipeline.scheduling.admission import Admission, BatchLimits
from transcribed.pipeline.scheduling.batcher import Batcher
from transcribed.pipeline.scheduling.budget import BatchBudget, Refusal
from transcribed.pipeline.scheduling.gpu_policy import Policy

BATCH_SECONDS = RecognizeSettings().batch_seconds
FIXED_SEGMENTS = 8  # S3's batch, after its tuning
FILE_SECONDS = 60.0  # of padded audio, of one file: batch_size_s in SenseVoice's own examples
SHARE = 0.75  # of the card: S1's fixed share
UNCHECKED = -TOTAL_BYTES  # a reserve with which a worker finds every batch to fit, and keeps all it has

Wishes = Sequence[tuple[float, int]]


@dataclass(frozen=True)
class Way:
    """How batches are made and admitted."""

    admission: Callable[[Callable[[], Policy], Wishes], Admission]
    batcher: Callable[[], Batcher]
    knows: bool = False  # what the sibling will hold: what it could hold beside ours
    caches: bool = True  # whether its allocator keeps what it used
    any_files: bool = False  # whether any number of files may be in hand
    waits: bool = True  # whether a segment refused by the device waits for room; else its file has failed


class Careless(Admission):
    """A fixed room, whatever is free."""

    def __init__(self, room: BatchBudget) -> None:
        super().__init__(BatchLimits())
        self._room = room

    def budget(self, slot, options, now):
        return self._room

    def obstacle(self, slot, now):
        return None

    def should_release(self, slot):
        return False

    def reserve_bytes(self, slot):
        return 0

    def on_success(self, slot, batch, seconds, footprint): ...

    def on_out_of_memory(self, slot, padded_seconds, now): ...


class Oracle(Careless):
    """Knows what a batch will take and what the sibling will hold while it runs; leaves the same reserve."""

    def __init__(self, policy: Callable[[], Policy], wishes: Wishes, padded_seconds: float) -> None:
        super().__init__(BatchBudget(padded_seconds))
        self._now_policy = policy
        self._wishes, self._place, self._padded = wishes, 0, padded_seconds
        self._horizon = (DEPTH + 1) * Formula().seconds(padded_seconds)

    def budget(self, slot, options, now):
        reserve = self._now_policy().reserve_bytes(TOTAL_BYTES)
        free = TOTAL_BYTES - CONTEXT_BYTES - WEIGHTS_BYTES - self._most_wanted(now) - reserve
        return BatchBudget(self._padded, free, UNCHECKED, Formula()) if free > 0 else Refusal("The sibling has it all.")

    def _most_wanted(self, now: float) -> int:
        """By the sibling, until a batch given out now has ended; what it cannot have beside our weights, it has not."""
        wishes = self._wishes
        while self._place + 1 < len(wishes) and wishes[self._place + 1][0] <= now:
            self._place += 1
        most, place = 0, self._place
        while place < len(wishes) and wishes[place][0] <= now + self._horizon:
            most, place = max(most, wishes[place][1]), place + 1
        return most


class Lines:
    """Segments leave in the order in which they came, `most` at a time; those of unlike keys do not mix."""

    def __init__(self, key: Callable[[Options, Segment], Hashable], most: int, padded_seconds: float, turns: bool):
        """`turns`: whether a line that was served goes behind the others; else it is ended first."""
        self._key, self._most, self._padded, self._turns = key, most, padded_seconds, turns
        self._lines: dict[Hashable, tuple[Options, deque[Segment]]] = {}
        self._returned: deque[Batch] = deque()

    def __len__(self) -> int:
        return sum(len(line) for _, line in self._lines.values()) + sum(len(b.segments) for b in self._returned)

    def add(self, options, segments, came_at=0.0, priority=0):
        for segment in segments:
            self._lines.setdefault(self._key(options, segment), (options, deque()))[1].append(segment)

    def requeue(self, *batches):
        self._returned.extend(batch for batch in batches if batch.segments)

    def next_batch(self, room):
        if self._returned:
            return self._returned.popleft()
        if not self._lines or not isinstance(room(next(iter(self._lines.values()))[0]), BatchBudget):
            return None
        key = next(iter(self._lines))
        options, line = self._lines.pop(key)
        chosen = [line.popleft()]
        longest = chosen[0].seconds
        while line and len(chosen) < self._most:
            longest = max(longest, line[0].seconds)
            if (len(chosen) + 1) * longest > self._padded:
                break
            chosen.append(line.popleft())
        if line:
            self._lines = self._lines | {key: (options, line)} if self._turns else {key: (options, line)} | self._lines
        return Batch(options, tuple(chosen))


class Alike:
    """Batches of segments that are equally long, within a twentieth: no padding, no thought of who waits how long."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lines: dict[tuple[Options, int], list[Segment]] = {}
        self._returned: deque[Batch] = deque()

    def __len__(self) -> int:
        return sum(map(len, self._lines.values())) + sum(len(b.segments) for b in self._returned)

    def add(self, options, segments, came_at=0.0, priority=0):
        for segment in segments:
            self._lines.setdefault((options, round(20 * math.log(segment.seconds))), []).append(segment)

    def requeue(self, *batches):
        self._returned.extend(batch for batch in batches if batch.segments)

    def next_batch(self, room):
        """Of the line in which most seconds wait."""
        if self._returned:
            return self._returned.popleft()
        key = max(self._lines, key=lambda key: len(self._lines[key]) * math.exp(key[1] / 20), default=None)
        if key is None or not isinstance(there := room(key[0]), BatchBudget):
            return None
        line = self._lines[key]
        fitting = min(self._most, there.rows(max(segment.seconds for segment in line)))
        chosen, kept = line[:fitting], line[fitting:]
        if kept:
            self._lines[key] = kept
        else:
            del self._lines[key]
        return Batch(key[0], tuple(chosen)) if chosen else None


def _ours(policy, wishes):
    limits = BatchLimits(PADDED_SECONDS[1], BATCH_SECONDS)
    return Admission(limits, policy, boot_bytes=CONTEXT_BYTES + 2 * WEIGHTS_BYTES)


def _share(policy, wishes):
    return Careless(BatchBudget(math.inf, SHARE * TOTAL_BYTES - WEIGHTS_BYTES, UNCHECKED, Formula()))


def _anything(policy, wishes):
    return Careless(BatchBudget(math.inf))


def _knowing(policy, wishes):
    return Oracle(policy, wishes, SPEED * BATCH_SECONDS)


def _usual():
    return Batcher(MAX_SEGMENTS[1])


WAYS = {
    "ours": Way(_ours, _usual),
    "75 % of the card": Way(_share, lambda: Batcher(1024, window=1024), waits=False),
    "8 segments": Way(
        _anything, lambda: Lines(lambda options, _: options, FIXED_SEGMENTS, math.inf, True), waits=False
    ),
    "one file": Way(_anything, lambda: Lines(lambda _, s: s.job_id, 10_000, FILE_SECONDS, False), waits=False),
    "oracle": Way(_knowing, _usual, caches=False, knows=True),
    "oracle, sorted": Way(_knowing, lambda: Alike(1024), caches=False, knows=True, any_files=True),
}
