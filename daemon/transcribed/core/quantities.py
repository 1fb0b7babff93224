"""Format amounts for people, and resolve limits that may be shares.  Imports nothing of ours."""

from __future__ import annotations


def gib(count: float) -> str:
    """Return bytes in GiB, never below zero."""
    return f"{max(0.0, count) / 2**30:.1f} GiB"


def size(count: float) -> str:
    """Return bytes in GiB, or in MiB below 1 GiB."""
    return gib(count) if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def of_total(limit: float, total: float) -> float:
    """Return a limit in the unit of `total`: a limit below 1 is a share of it."""
    return limit * total if limit < 1 else limit
