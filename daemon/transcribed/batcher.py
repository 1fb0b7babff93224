"""Choose which waiting segments go together.  Pure: no clock, no device, no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice

from transcribed.core import Batch, Options, Segment


class Batcher:
    """One first-in-first-out line per set of options.

    The oldest segment always leaves next, so nothing starves; it is joined by those of its line, within `window`,
    closest to it in length, so little is lost to padding.  Lines take turns.
    """

    def __init__(self, max_segments: int = 64, window: int = 256) -> None:
        self.max_segments = max_segments
        self.window = window
        self._lines: dict[Options, deque[Segment]] = {}
        self._returned: deque[Batch] = deque()

    def __len__(self) -> int:
        return sum(len(line) for line in self._lines.values()) + sum(len(b.segments) for b in self._returned)

    def add(self, options: Options, segments: Iterable[Segment]) -> None:
        line = deque(segments)
        if line:
            self._lines.setdefault(options, deque()).extend(line)

    def put_back(self, *batches: Batch) -> None:
        """Take back batches that failed, or halves of one; they leave first, as they are."""
        self._returned.extend(batches)

    def forget(self, job_id: int) -> None:
        """Drop every waiting segment of a job."""
        for options, line in list(self._lines.items()):
            self._keep(options, deque(s for s in line if s.job_id != job_id))
        self._returned = deque(b for b in (b.without(job_id) for b in self._returned) if b.segments)

    def next_batch(self, room: float) -> Batch | None:
        """The next batch whose padded seconds fit in `room`.

        A segment longer than the whole room goes alone: waiting would never help it.
        """
        if self._returned:
            return self._returned.popleft()
        if not self._lines:
            return None
        options, line = next(iter(self._lines.items()))
        oldest = line.popleft()
        near = [line.popleft() for _ in range(min(self.window, len(line)))]
        chosen = self._companions(oldest, near, room)
        line.extendleft(reversed([s for place, s in enumerate(near) if place not in chosen]))
        self._keep(options, line)
        return Batch(options, (oldest, *(near[place] for place in sorted(chosen))))

    def _companions(self, oldest: Segment, near: list[Segment], room: float) -> set[int]:
        """The places in `near` that join the oldest, closest in length first, as long as the padded batch fits."""
        chosen: set[int] = set()
        longest = oldest.seconds
        closest = sorted(enumerate(near), key=lambda place: abs(place[1].seconds - oldest.seconds))
        for place, segment in islice(closest, self.max_segments - 1):
            longest = max(longest, segment.seconds)
            if (len(chosen) + 2) * longest > room:
                break
            chosen.add(place)
        return chosen

    def _keep(self, options: Options, line: deque[Segment]) -> None:
        """Re-insert a line behind the others, so that lines take turns."""
        self._lines.pop(options, None)
        if line:
            self._lines[options] = line
