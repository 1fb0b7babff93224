"""Resample frames of any rate and number of channels to 16 kHz, mixed to one channel or kept apart.

Knows frames and samples; nothing of files.  FFmpeg's own down-mix is not used: it interprets a channel count without a
layout as a film's (and drops the fourth speaker of a conference as its subwoofer), rejects odd counts, and cancels
opposed channels.
"""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np
import numpy.typing as npt

from transcribed.core.loudness import SILENT, STEP_SECONDS
from transcribed.core.types import SAMPLE_RATE

RATES = range(4_000, 384_001)  # Hz, the rates of all recorders
Rows = npt.NDArray[np.int16]  # (channels, samples)

FAINT = 0.1  # of the loudest channel's power: a fainter mix has lost the speech

_STEP = int(STEP_SECONDS * SAMPLE_RATE)
_BLOCK = 600  # steps at a time, a minute
_FULL_SCALE_POWER = 32768.0**2


class Mixer:
    """Collects frames of one shape into blocks of a second, resamples them (faster than one by one), and mixes the
    channels unless they are to be kept apart.
    """

    def __init__(self, frame: av.AudioFrame, *, apart: bool = False) -> None:
        """Raise ValueError for a sample rate that no recorder has."""
        if frame.sample_rate not in RATES:
            raise ValueError(f"the sample rate changed to {frame.sample_rate} Hz")
        self._shape = _shape(frame)
        self._apart = apart
        self._fifo = av.AudioFifo()
        self._resampler = av.AudioResampler(format="s16", layout=frame.layout, rate=SAMPLE_RATE)

    def takes(self, frame: av.AudioFrame) -> bool:
        return self._shape == _shape(frame)

    def add(self, frame: av.AudioFrame) -> Iterator[Rows]:
        """Add a frame; yield the rows that are ready."""
        frame.pts = None
        self._fifo.write(frame)
        while self._fifo.samples >= frame.sample_rate:
            yield from self._resampled(self._fifo.read(frame.sample_rate))

    def rest(self) -> Iterator[Rows]:
        """Yield the remaining rows; the mixer cannot be used after that."""
        if self._fifo.samples:
            yield from self._resampled(self._fifo.read())
        yield from self._resampled(None)

    def _resampled(self, frame: av.AudioFrame | None) -> Iterator[Rows]:
        for out in self._resampler.resample(frame):
            packed = out.to_ndarray().astype(np.int16, copy=False)  # planes beyond the eighth crash PyAV 18
            rows = packed.reshape(-1, out.layout.nb_channels).T
            yield rows if self._apart else mix_down(rows)[None]


def mix_down(channels: Rows) -> npt.NDArray[np.int16]:
    """Mix int16 (channels, samples) to int16 (samples,): the mean, or the loudest channel if that nearly cancels out.

    So one speaker of eight is not eight times fainter, and a microphone with reversed polarity silences nobody.
    """
    chosen: npt.NDArray[np.int16] = channels[0]
    if len(channels) > 1:
        rows = channels.astype(np.float32, order="C")
        mean = rows.sum(axis=0) / np.float32(len(rows))
        powers = np.einsum("cs,cs->c", rows, rows)
        loudest = int(powers.argmax())
        faint = np.einsum("s,s->", mean, mean) < FAINT * powers[loudest]
        chosen = channels[loudest] if faint else np.rint(mean).astype(np.int16)
    return chosen


def levels_of(pcm: npt.NDArray[np.int16]) -> bytes:
    """Measure int16 samples at 16 kHz: decibels below full scale per step, 0 to 255; the remainder makes one more."""
    found = []
    for start in range(0, len(pcm), _STEP * _BLOCK):
        block = np.asarray(pcm[start : start + _STEP * _BLOCK], np.float32)
        padded = np.pad(block, (0, -len(block) % _STEP)).reshape(-1, _STEP)
        power = np.square(padded).mean(axis=1) / _FULL_SCALE_POWER
        found.append((-10 * np.log10(np.maximum(power, 1e-30))).clip(0, SILENT).round().astype(np.uint8).tobytes())
    return b"".join(found)


def _shape(frame: av.AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate
