"""Frames of any rate and number of channels -> 16 kHz, mixed to one channel or each apart.

Knows frames and samples; nothing of files.  FFmpeg's own down-mix is not used: it takes a channel count without a
layout for a film's (and throws the fourth speaker of a conference away as its subwoofer), refuses odd counts, and
cancels opposed channels.
"""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np
import numpy.typing as npt

from transcribed.core.loudness import SILENT, STEP_SECONDS
from transcribed.core.types import SAMPLE_RATE

RATES = range(4_000, 384_001)  # Hz, of anything that records
Rows = npt.NDArray[np.int16]  # (channels, samples)

FAINT = 0.1  # of the loudest channel's power: a mix fainter than this has lost what was said

_STEP = int(STEP_SECONDS * SAMPLE_RATE)
_BLOCK = 600  # steps at a time, a minute
_FULL_SCALE_POWER = 32768.0**2


class Mixer:
    """Gathers frames of one shape into seconds, which is faster than one by one, and resamples them; then it mixes the
    channels, unless they are wanted apart.
    """

    def __init__(self, frame: av.AudioFrame, *, apart: bool = False) -> None:
        """Raises ValueError for a sample rate that no recorder has."""
        if frame.sample_rate not in RATES:
            raise ValueError(f"the sample rate turned to {frame.sample_rate} Hz")
        self._shape = _shape(frame)
        self._apart = apart
        self._fifo = av.AudioFifo()
        self._resampler = av.AudioResampler(format="s16", layout=frame.layout, rate=SAMPLE_RATE)

    def takes(self, frame: av.AudioFrame) -> bool:
        return self._shape == _shape(frame)

    def add(self, frame: av.AudioFrame) -> Iterator[Rows]:
        """What is ready."""
        frame.pts = None
        self._fifo.write(frame)
        while self._fifo.samples >= frame.sample_rate:
            yield from self._resampled(self._fifo.read(frame.sample_rate))

    def rest(self) -> Iterator[Rows]:
        """What was gathered and not yet given; the mixer is used up then."""
        if self._fifo.samples:
            yield from self._resampled(self._fifo.read())
        yield from self._resampled(None)

    def _resampled(self, frame: av.AudioFrame | None) -> Iterator[Rows]:
        for out in self._resampler.resample(frame):
            packed = out.to_ndarray().astype(np.int16, copy=False)  # planes beyond the eighth crash PyAV 18
            rows = packed.reshape(-1, out.layout.nb_channels).T
            yield rows if self._apart else mix_down(rows)[None]


def mix_down(channels: Rows) -> npt.NDArray[np.int16]:
    """int16 (channels, samples) -> int16 (samples,): their mean, or the loudest one where the mean has all but lost it.

    So that one speaker of eight is not eight times fainter, and a microphone wired the wrong way round silences nobody.
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
    """int16 samples at 16 kHz -> decibels below full scale of every step, 0 to 255; what is left at the end is one."""
    found = []
    for start in range(0, len(pcm), _STEP * _BLOCK):
        block = np.asarray(pcm[start : start + _STEP * _BLOCK], np.float32)
        padded = np.pad(block, (0, -len(block) % _STEP)).reshape(-1, _STEP)
        power = np.square(padded).mean(axis=1) / _FULL_SCALE_POWER
        found.append((-10 * np.log10(np.maximum(power, 1e-30))).clip(0, SILENT).round().astype(np.uint8).tobytes())
    return b"".join(found)


def _shape(frame: av.AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate
