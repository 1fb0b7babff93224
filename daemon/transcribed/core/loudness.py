"""Loudness of a channel, ten times a second: its storage format, and the mean used to compare channels.  Pure.

One byte a step, decibels below full scale, so that twelve hours take 0.4 MB; levels.py writes them.  Knows no words.
"""

from __future__ import annotations

import math

STEP_SECONDS = 0.1
SILENT = 255


def level(levels: bytes, start: float, stop: float) -> float:
    """Return the mean power from `start` to `stop` seconds, in decibels of full scale (0 or less)."""
    first = int(start / STEP_SECONDS)
    steps = levels[first : max(first + 1, math.ceil(stop / STEP_SECONDS))]
    if not steps:
        return -float(SILENT)
    return 10 * math.log10(sum(10 ** (-step / 10) for step in steps) / len(steps))
