"""Say how long to wait before the next try, doubling with each failure in a row.  Imports nothing of ours."""

from __future__ import annotations

MAX_DOUBLINGS = 30  # a float holds no more than a thousand


def backoff_seconds(failures: int, first: float, longest: float) -> float:
    """Return the pause after so many failures before the last one."""
    return min(longest, first * 2.0 ** min(failures, MAX_DOUBLINGS))
