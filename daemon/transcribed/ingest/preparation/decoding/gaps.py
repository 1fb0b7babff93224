"""Fill gaps in sound with silence, where it is quiet: a short gap must not part a word.

Knows samples; nothing of timestamps or files.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from transcribed.core.types import SAMPLE_RATE

Rows16 = npt.NDArray[np.int16]  # (channels, samples)

SHORT = SAMPLE_RATE  # a gap of up to a second may be moved ...
REACH = SAMPLE_RATE // 4  # ... by a quarter of one
_STEP = SAMPLE_RATE // 100


class GapFiller:
    """Passes blocks on, each once the next has come, so that a gap can be put into either of them."""

    def __init__(self) -> None:
        self._held: Rows16 | None = None
        self._missing = 0
        self._channels = 1

    def gap(self, samples: int) -> None:
        """Remember that samples are missing before the next block."""
        self._missing += samples

    def add(self, rows: Rows16) -> Iterator[Rows16]:
        """Add a block; yield what is in order before it."""
        if self._held is not None and 0 < self._missing <= SHORT:
            self._held, rows = _parted_where_quiet(self._held, rows)
        self._channels = len(rows)
        yield from self.rest()
        self._held = rows

    def rest(self) -> Iterator[Rows16]:
        """Yield all that is left."""
        if self._held is not None:
            yield self._held
        silence = np.zeros((self._channels, min(SAMPLE_RATE, self._missing)), np.int16)  # the same for each second
        for start in range(0, self._missing, SAMPLE_RATE):
            yield silence[:, : self._missing - start]
        self._held, self._missing = None, 0


def _parted_where_quiet(before: Rows16, after: Rows16) -> tuple[Rows16, Rows16]:
    """Move the border between two blocks to the quietest place within REACH of it."""
    reach = min(REACH, before.shape[1], after.shape[1])
    near = np.concatenate((before[:, before.shape[1] - reach :], after[:, :reach]), axis=1)
    at = _quietest(near)
    return (
        np.concatenate((before[:, : before.shape[1] - reach], near[:, :at]), axis=1),
        np.concatenate((near[:, at:], after[:, reach:]), axis=1),
    )


def _quietest(rows: Rows16) -> int:
    """Return the middle of the two steps with the least power; of several alike, that nearest to the middle."""
    steps = rows.shape[1] // _STEP
    if steps < 2:
        return int(rows.shape[1]) // 2
    powers = np.square(rows[:, : steps * _STEP].astype(np.float64)).reshape(len(rows), steps, _STEP).sum(axis=(0, 2))
    places = np.arange(1, steps)  # between two of them
    best = np.lexsort((abs(places * _STEP - rows.shape[1] // 2), powers[:-1] + powers[1:]))[0]
    return _STEP * (1 + int(best))
