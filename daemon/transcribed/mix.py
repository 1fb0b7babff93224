"""Frames of any rate and number of channels -> 16 kHz mono.

Knows frames and samples; nothing of files.  FFmpeg's own down-mix is not used: it takes a channel count without a
layout for a film's (and throws the fourth speaker of a conference away as its subwoofer), refuses odd counts, and
cancels opposed channels.
"""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np
import numpy.typing as npt

from transcribed.core import SAMPLE_RATE

RATES = range(4_000, 384_001)  # Hz, of anything that records
FAINT = 0.1  # of the loudest channel's power: a mix fainter than this has lost what was said


class Mixer:
    """Gathers frames of one shape into seconds, which is faster than one by one, resamples and mixes them."""

    def __init__(self, frame: av.AudioFrame) -> None:
        """Raises ValueError for a sample rate that no recorder has."""
        if frame.sample_rate not in RATES:
            raise ValueError(f"the sample rate turned to {frame.sample_rate} Hz")
        self._shape = _shape(frame)
        self._fifo = av.AudioFifo()
        self._resampler = av.AudioResampler(format="s16", layout=frame.layout, rate=SAMPLE_RATE)

    def takes(self, frame: av.AudioFrame) -> bool:
        return self._shape == _shape(frame)

    def add(self, frame: av.AudioFrame) -> Iterator[bytes]:
        """What is ready: s16le."""
        frame.pts = None
        self._fifo.write(frame)
        while self._fifo.samples >= frame.sample_rate:
            yield from self._resampled(self._fifo.read(frame.sample_rate))

    def rest(self) -> Iterator[bytes]:
        """What was gathered and not yet given; the mixer is used up then."""
        if self._fifo.samples:
            yield from self._resampled(self._fifo.read())
        yield from self._resampled(None)

    def _resampled(self, frame: av.AudioFrame | None) -> Iterator[bytes]:
        for out in self._resampler.resample(frame):
            packed = out.to_ndarray().astype(np.int16, copy=False)  # planes beyond the eighth crash PyAV 18
            yield mixed(packed.reshape(-1, out.layout.nb_channels).T).tobytes()


def mixed(channels: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
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


def _shape(frame: av.AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate
