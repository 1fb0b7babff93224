"""Choose which waiting segments form a batch.  Pure: no clock, no device, no I/O.

Every segment has a turn: the arrival time of its file, delayed in proportion to how much of that file precedes it.  So
the beginnings of all files go before the rest of a long one, and a short file never waits behind a long one.  As a turn
never moves, no segment starves.
"""

from __future__ import annotations

import math
from bisect import bisect, insort
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

from transcribed.core.types import Batch, Options, Segment
from transcribed.pipeline.scheduling.budget import BatchBudget, Refusal

PATIENCE = 10.0  # seconds that a segment yields to newer files, per second of its own file before it
ALTERNATE = 10.0  # seconds; queues whose first turns are no further apart alternate
SOON = 600.0  # seconds; a turn no further ahead counts as due: those of the first minute of a file
HEAD_START = 3600.0  # seconds; a file one priority level higher counts as having arrived that much earlier

Turn = tuple[float, int, Segment]  # time of the turn, and a count that breaks ties


class Batcher:
    """A queue of segments per set of options.

    The segment with the earliest turn leaves next, if there is room for it.  From the first `window` segments of its
    queue, those closest in length join it, as many as are worth their padding.
    """

    def __init__(self, max_segments: int = 64, window: int = 2048) -> None:
        self.max_segments = max_segments
        self.window = window
        self._lines: dict[Options, list[Turn]] = {}  # each sorted, none empty; last served comes last
        self._returned: deque[Batch] = deque()
        self._newest = -math.inf  # when the last file arrived
        self._count = 0

    def __len__(self) -> int:
        return sum(len(line) for line in self._lines.values()) + sum(len(b.segments) for b in self._returned)

    def add(self, options: Options, segments: Iterable[Segment], came_at: float = 0.0, priority: int = 0) -> None:
        """Queue a file's segments; `came_at` is its arrival, in seconds of any clock that all callers share."""
        self._newest = max(self._newest, came_at)
        turn = came_at - priority * HEAD_START
        for segment in segments:
            self._count += 1
            insort(self._lines.setdefault(options, []), (turn, self._count, segment))
            turn += PATIENCE * segment.seconds

    def requeue(self, *batches: Batch) -> None:
        """Take back batches that failed, or halves of one; they leave first, as they are or in smaller parts."""
        self._returned.extend(batch for batch in batches if batch.segments)

    def forget(self, job_id: int) -> None:
        """Drop every waiting segment of a job."""
        for options, line in list(self._lines.items()):
            kept = [turn for turn in line if turn[2].job_id != job_id]
            if len(kept) < len(line):
                self._replace(options, kept)
        returned, self._returned = self._returned, deque()
        self.requeue(*(batch.without(job_id) for batch in returned))

    def ahead(self) -> dict[int, float]:
        """Return, per job, how many seconds of audio leave up to and including its last segment."""
        left, gone = {}, 0.0
        returned = (segment for batch in self._returned for segment in batch.segments)
        turns = sorted(turn for line in self._lines.values() for turn in line)
        for segment in (*returned, *(turn[2] for turn in turns)):
            gone += segment.seconds
            left[segment.job_id] = gone
        return left

    def next_batch(self, budget: Callable[[Options], BatchBudget | Refusal]) -> Batch | None:
        """Take the next batch that fits into the budget for its options; None if nothing fits."""
        return self._next_returned(budget) or self._next_of_lines(budget)

    def _next_returned(self, budget: Callable[[Options], BatchBudget | Refusal]) -> Batch | None:
        """Take the first returned batch that fits, or as much of it as fits; the rest stays one batch."""
        for _ in range(len(self._returned)):
            batch = self._returned.popleft()
            found = budget(batch.options)
            count = _fitting_count(found, batch.segments) if isinstance(found, BatchBudget) else 0
            self.requeue(Batch(batch.options, batch.segments[count:]))
            if count:
                return Batch(batch.options, batch.segments[:count])
        return None

    def _next_of_lines(self, budget: Callable[[Options], BatchBudget | Refusal]) -> Batch | None:
        for options in self._order():
            found = budget(options)
            if isinstance(found, BatchBudget) and (chosen := self._chosen(options, found)):
                return Batch(options, tuple(chosen))
        return None

    def _order(self) -> list[Options]:
        """Order the queues by their first turn; those about as early as the earliest alternate."""
        firsts = {options: line[0][0] for options, line in self._lines.items()}
        earliest = min(firsts.values(), default=0.0)
        return sorted(firsts, key=lambda options: max(firsts[options], earliest + ALTERNATE))

    def _chosen(self, options: Options, budget: BatchBudget) -> list[Segment]:
        line = self._lines[options]
        near = line[: self.window]
        first = _fitting(budget, near)
        if first is None:
            return []
        chosen = self._companions(first, near, budget)
        leaving = {count for _, count, _ in chosen}
        line[: self.window] = [turn for turn in near if turn[1] not in leaving]
        self._replace(options, line, served=True)
        return [segment for _, _, segment in sorted(chosen)]

    def _companions(self, first: Turn, near: list[Turn], budget: BatchBudget) -> list[Turn]:
        """Select the segments of a batch: those whose turn is due; once all of these are in, others may fill it."""
        due = [turn for turn in near if turn[0] <= self._newest + SOON and turn is not first]
        chosen = self._joined([first], due, budget)
        leaving = {count for _, count, _ in chosen}
        if _fitting(budget, [turn for turn in due if turn[1] not in leaving]):
            return chosen
        return self._joined(chosen, [turn for turn in near if turn[1] not in leaving], budget)

    def _joined(self, chosen: list[Turn], others: list[Turn], budget: BatchBudget) -> list[Turn]:
        """Return `chosen` plus as many of the others, closest in length first, as maximize audio per device time."""
        longest, audio = max(turn[2].seconds for turn in chosen), sum(turn[2].seconds for turn in chosen)
        joined, count, worth = list(chosen), len(chosen), audio / (budget.overhead_seconds + len(chosen) * longest)
        length = longest
        for turn in sorted(others, key=lambda turn: abs(turn[2].seconds - length))[: self.max_segments - count]:
            longest = max(longest, turn[2].seconds)
            if not budget.fits(len(joined) + 1, longest):
                break
            joined.append(turn)
            audio += turn[2].seconds
            if (better := audio / (budget.overhead_seconds + len(joined) * longest)) > worth:
                count, worth = len(joined), better
        return joined[:count]

    def _replace(self, options: Options, line: list[Turn], *, served: bool = False) -> None:
        """Keep a queue unless it is empty; one that was served goes behind the others, so that they alternate."""
        if served or not line:
            self._lines.pop(options)
        if line:
            self._lines[options] = line


def _fitting_count(budget: BatchBudget, segments: Sequence[Segment]) -> int:
    """Return how many of the first segments fit together."""
    longest = list(accumulate((segment.seconds for segment in segments), max))
    return bisect(range(1, len(segments) + 1), 0, key=lambda n: not budget.fits(n, longest[n - 1]))


def _fitting(budget: BatchBudget, turns: Iterable[Turn]) -> Turn | None:
    """Return the first segment that fits alone.  Any longer than one that does not fit are skipped unchecked."""
    too_long = math.inf
    for turn in turns:
        if turn[2].seconds < too_long:
            if budget.fits(1, turn[2].seconds):
                return turn
            too_long = turn[2].seconds
    return None
