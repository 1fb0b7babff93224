"""Decide when a file has stopped changing.

Knows observations and a clock that is passed in; never touches a disk, and knows nothing of watchdog or the ledger.

A file has settled when its size, time and inode stayed the same over the quiet window, counted from the last change
that *we* saw (a copy may carry any mtime), and so did a sample of its bytes, taken in the middle of the window and at
its end (writes through mmap change no mtime).  A file whose sampled tail is all zeros looks preallocated, as Windows
copies and recorders leave it; it must stay quiet four times as long.  There is no timeout: a file that grows for days
is pending for days.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from transcribed.core.types import Source

PREALLOCATED_FACTOR = 4


@dataclass(frozen=True, slots=True)
class Observation:
    """A file as it was at one moment."""

    source: Source
    sample: bytes  # a digest of bytes from its head, middle and tail
    blank_tail: bool  # the last sampled bytes are zeros
    being_written: bool  # a process is known to have it open for writing


@dataclass(slots=True)
class _Pending:
    source: Source
    since: float
    first_seen: float
    sample: bytes | None = field(default=None)  # taken in the middle of the window
    look_at: float = field(default=0.0)


class StabilityTracker:
    """The files of one inbox that may still be changing."""

    def __init__(self, quiet_seconds: float) -> None:
        self.quiet_seconds = quiet_seconds
        self._pending: dict[Path, _Pending] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, path: Path) -> bool:
        return path in self._pending

    def track(self, source: Source, now: float) -> None:
        """Start the quiet window of a file, or restart it if the file has changed."""
        pending = self._pending.get(source.path)
        if pending is None:
            self._pending[source.path] = self._restarted(source, now, now)
        elif pending.source != source:
            self._pending[source.path] = self._restarted(source, now, pending.first_seen)

    def due(self, now: float) -> list[Path]:
        """Return the files that must be observed now."""
        return [path for path, pending in self._pending.items() if pending.look_at <= now]

    def check(self, path: Path, seen: Observation | None, now: float) -> Source | None:
        """Compare a due file with its last observation (None: it is gone).  Return it once it has settled."""
        pending = self._pending[path]
        if seen is None:
            del self._pending[path]
        elif seen.source != pending.source or pending.sample not in (None, seen.sample) or seen.being_written:
            self._pending[path] = self._restarted(seen.source, now, pending.first_seen)
        elif pending.sample is None:
            pending.sample = seen.sample
            pending.look_at = pending.since + self._window(seen)
        elif now >= pending.since + self._window(seen):
            del self._pending[path]
            return seen.source
        else:
            pending.look_at = pending.since + self._window(seen)
        return None

    def next_check_in(self, now: float) -> float | None:
        """Seconds until a file must be observed; None when nothing is pending."""
        if not self._pending:
            return None
        return max(0.0, min(p.look_at for p in self._pending.values()) - now)

    def pending(self) -> Iterator[tuple[Path, float]]:
        """Return the pending files, each with the time it was first seen."""
        return ((path, p.first_seen) for path, p in list(self._pending.items()))

    def _restarted(self, source: Source, now: float, first_seen: float) -> _Pending:
        return _Pending(source, now, first_seen, None, now + self.quiet_seconds / 2)

    def _window(self, seen: Observation) -> float:
        return self.quiet_seconds * (PREALLOCATED_FACTOR if seen.blank_tail else 1)
