"""Compute the pause before the next try: it doubles with each failure in a row.  Imports nothing of ours."""

from __future__ import annotations

MAX_DOUBLINGS = 30  # a float overflows after about a thousand


def backoff_seconds(failures: int, first: float, longest: float) -> float:
    """Return the pause in seconds; `failures` counts those in a row before the last one."""
    return min(longest, first * 2.0 ** min(failures, MAX_DOUBLINGS))
