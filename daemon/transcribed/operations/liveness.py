"""Check that our own threads make progress; otherwise systemd's watchdog gets no ping.

Only trouble that a restart would cure counts.  A hung share, a full disk and a missing card are reported and waited
for: a restart would not bring them back.  The loop needs no check: it is the caller.  Knows threads by the progress
they report.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

STALL_SECONDS = 900.0  # a walk through a million files takes a minute


class ScanningThread(Protocol):
    """A thread that scans one inbox again and again."""

    @property
    def name(self) -> str: ...

    @property
    def local(self) -> bool: ...

    @property
    def last_progress_at(self) -> float: ...

    def is_alive(self) -> bool: ...


class Thread(Protocol):
    @property
    def name(self) -> str: ...

    def is_alive(self) -> bool: ...


def first_stalled_thread(walkers: Sequence[ScanningThread], threads: Sequence[Thread], now: float) -> str | None:
    """Return a sentence about the first thread that has ended or hangs, or None; `now` on the monotonic clock."""
    for thread in (*walkers, *threads):
        if not thread.is_alive():
            return f"The thread {thread.name} has ended."
    for walker in walkers:
        if walker.local and now - walker.last_progress_at > STALL_SECONDS:
            return f"The thread {walker.name} has hung for {(now - walker.last_progress_at) / 60:.0f} minutes."
    return None
