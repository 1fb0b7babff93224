"""Measure the loudness of spooled audio, and of what nobody transcribes.  Knows samples; nothing of files."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from transcribed.core.loudness import SILENT, STEP_SECONDS
from transcribed.core.types import SAMPLE_RATE

FLOOR_SHARE = 0.1  # of a recording is no louder than its background
LOUD_DECIBELS = 12  # above the background
AUDIBLE_DECIBELS = 60  # below full scale; what is quieter is no sound that anybody made

_STEP = int(STEP_SECONDS * SAMPLE_RATE)
_BLOCK = 600  # steps at a time, a minute
_FULL_SCALE_POWER = 32768.0**2


def levels_of(pcm: npt.NDArray[np.int16]) -> bytes:
    """Measure int16 samples at 16 kHz: decibels below full scale per step, 0 to 255; the remainder makes one more."""
    found = []
    for start in range(0, len(pcm), _STEP * _BLOCK):
        block = np.asarray(pcm[start : start + _STEP * _BLOCK], np.float32)
        padded = np.pad(block, (0, -len(block) % _STEP)).reshape(-1, _STEP)
        power = np.square(padded).mean(axis=1) / _FULL_SCALE_POWER
        found.append((-10 * np.log10(np.maximum(power, 1e-30))).clip(0, SILENT).round().astype(np.uint8).tobytes())
    return b"".join(found)


def loud_seconds_outside(levels: bytes, regions: Iterable[tuple[int, int]]) -> float:
    """Return how many seconds are clearly louder than the background, outside of the regions (samples) to recognize.

    `levels` are those of `levels_of`.  The detector is the only witness of what it leaves out: this is another.
    """
    below = np.frombuffer(levels, np.uint8).astype(np.int16)
    if not len(below):
        return 0.0
    background = np.quantile(below, 1 - FLOOR_SHARE)
    loud = below <= min(background - LOUD_DECIBELS, AUDIBLE_DECIBELS)
    for start, stop in regions:
        loud[start // _STEP : -(-stop // _STEP)] = False
    return float(loud.sum() * STEP_SECONDS)
