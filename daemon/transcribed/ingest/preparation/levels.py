"""Measure the loudness of spooled audio.  Knows samples; nothing of files, channels or speech."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from transcribed.core.loudness import SILENT, STEP_SECONDS
from transcribed.core.types import SAMPLE_RATE

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
