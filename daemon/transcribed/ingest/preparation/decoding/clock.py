"""Place decoded frames on the time of the recording, as a player would, by their timestamps.  Pure.

Small differences, of rounding, of a lost packet or of a clock that runs slow or fast, are left to the resampler, which
stretches the sound by up to STRETCH (mixer.py).  What is larger is a gap, to be filled with silence.  Knows numbers;
nothing of frames or files.
"""

from __future__ import annotations

import math
from typing import NamedTuple

STRETCH = 0.1  # of the sound's length, at most, by which the resampler makes up for a difference
ROUNDED_SECONDS = 0.02  # a smaller difference changes nothing: timestamps are rounded, and jitter on a network
MIN_GAP_SECONDS = 0.1
MAX_GAP_SECONDS = 3600.0  # a longer jump means that the file's clock is broken
MAX_OVERLAP_SECONDS = 0.5  # so does a jump back by more: joined files often begin again at 0


class Placed(NamedTuple):
    """Where a frame belongs."""

    seconds: float  # from the start of the recording
    after_gap: bool  # the sound before it ends too early for it


class Clock:
    """Follows the timestamps of one track."""

    def __init__(self, origin: float, position: float = 0.0) -> None:
        """Begin where the timestamp `origin` means `position`; both in seconds."""
        self._offset = origin - position
        self._expected = origin
        self._uncounted = False
        self._behind = 0.0  # seconds by which the sound given so far is behind its timestamps; negative: ahead

    def expect_less(self) -> None:
        """Let a timestamp be too early, once: frames came to light that the file's reader has not counted."""
        self._uncounted = True

    def place(self, timestamp: float | None, seconds: float, following: float | None = None) -> Placed:
        """Place the next frame, `seconds` long; without a timestamp (None or NaN) it follows the one before.

        So it does with a timestamp that makes no sense to the one of the frame `following` it, which does.
        """
        at = self._expected if timestamp is None or math.isnan(timestamp) else timestamp
        if following is not None and _is_odd(at, seconds, following, self._expected):
            at = self._expected
        step = at - self._expected
        if self._uncounted and step < -ROUNDED_SECONDS:
            self._offset += step
            self._uncounted = False
        elif step > MAX_GAP_SECONDS:
            self._offset += step
        else:
            self._behind += step
        if self._behind < -MAX_OVERLAP_SECONDS:
            self._offset += self._behind
            self._behind = 0.0
        gap = self._behind >= MIN_GAP_SECONDS
        if self._behind:
            self._behind = 0.0 if gap else _nearer_to_zero(self._behind, STRETCH * seconds)
        self._expected = at + seconds
        return Placed(at - self._offset, gap)


def _is_odd(at: float, seconds: float, following: float, expected: float) -> bool:
    """Return whether a frame is far from where it should be, and the one after it is not."""
    return abs(at - expected) >= MIN_GAP_SECONDS > abs(following - expected - seconds)


def _nearer_to_zero(number: float, step: float) -> float:
    return math.copysign(max(0.0, abs(number) - step), number)
