"""Resample frames of any rate and number of channels to 16 kHz, mixed to one channel or kept apart.

Knows frames, samples and where they belong; nothing of files.  FFmpeg's own down-mix is not used: it interprets a
channel count without a layout as a film's (and drops the fourth speaker of a conference as its subwoofer), rejects odd
counts, and cancels opposed channels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt

from transcribed.core.types import SAMPLE_RATE
from transcribed.ingest.preparation.decoding.clock import ROUNDED_SECONDS, STRETCH

RATES = range(4_000, 384_001)  # Hz, the rates of all recorders
DSD_RATES = range(352_800, 2_822_401)  # Hz, of bytes: those of DSD64 to DSD512
Rows = npt.NDArray[np.float32]  # (channels, samples), full scale is 1

OPPOSED = -0.2  # correlation with the channels before it from which a channel is taken to be wired the wrong way round
FADE_SAMPLES = 160  # over which the factors of the channels change from block to block

_FOLLOW_TIMESTAMPS = {
    "async": "1",
    "min_comp": str(ROUNDED_SECONDS),
    "min_hard_comp": "1000",  # seconds: nothing is dropped, and silence is put in by us
    "max_soft_comp": str(STRETCH),
}


class Mixer:
    """Collects frames of one shape into blocks of a second (faster than one by one), resamples them, following their
    times, and mixes the channels unless they are to be kept apart.
    """

    def __init__(self, frame: av.AudioFrame, position: int, *, apart: bool = False) -> None:
        """Begin at `position`, in samples of the output.  Raise ValueError for a rate that no recorder has."""
        if frame.sample_rate not in RATES and frame.sample_rate not in DSD_RATES:
            raise ValueError(f"the sample rate changed to {frame.sample_rate} Hz")
        self._shape = _shape(frame)
        self._rate, self._time_base = frame.sample_rate, Fraction(1, frame.sample_rate)
        self._end = 0.0  # seconds, of the last frame
        self._downmix = None if apart else Downmix()
        self._fifo = av.AudioFifo()
        begin = {"first_pts": str(round(position * self._rate / SAMPLE_RATE))}
        self._resampler = av.AudioResampler(
            "flt", frame.layout, SAMPLE_RATE, frame_size=SAMPLE_RATE, options=_FOLLOW_TIMESTAMPS | begin
        )

    def takes(self, frame: av.AudioFrame) -> bool:
        return self._shape == _shape(frame)

    def add(self, frame: av.AudioFrame, seconds: float) -> list[Rows]:
        """Add a frame that belongs `seconds` after the start of the recording; return the rows that are ready."""
        frame.pts = None  # the buffer wants timestamps without any gap, or none
        self._end = seconds + frame.samples / self._rate
        self._fifo.write(frame)
        ready: list[Rows] = []
        while self._fifo.samples >= self._rate:
            ready += self._resampled(self._rate)
        return ready

    def rest(self) -> Rows | None:
        """Return the remaining rows, if there are any; the mixer cannot be used after that."""
        rows = [*self._resampled(self._fifo.samples), *map(self._mixed, self._resampler.resample(None))]
        return np.concatenate(rows, axis=1) if rows else None

    def _resampled(self, samples: int) -> Iterator[Rows]:
        if not samples:
            return
        begin = self._end - self._fifo.samples / self._rate
        frame = self._fifo.read(samples)
        assert frame is not None
        frame.pts, frame.time_base = round(begin * self._rate), self._time_base
        yield from map(self._mixed, self._resampler.resample(frame))

    def _mixed(self, frame: av.AudioFrame) -> Rows:
        packed = frame.to_ndarray()  # float32, packed, since planes beyond the eighth crash PyAV 18
        rows: Rows = packed.astype(np.float32, copy=False).reshape(-1, frame.layout.nb_channels).T
        if not np.isfinite(rows.sum()):
            rows = np.nan_to_num(rows, nan=0.0, posinf=1.0, neginf=-1.0)
        return self._downmix(rows) if self._downmix else rows


class Downmix:
    """Mixes channels so that each is heard in the mix, whoever else speaks: their mean, as loud as the loudest of them.

    A channel that is wired the wrong way round would cancel others in the mean, so it is turned over.
    """

    def __init__(self) -> None:
        self._signs: npt.NDArray[np.float32] | None = None
        self._factors: npt.NDArray[np.float32] | None = None

    def __call__(self, rows: Rows) -> Rows:
        """Mix float32 (channels, samples) to (1, samples), about a second at a time."""
        if len(rows) == 1:
            return rows
        products = rows @ rows.T
        self._signs = _aligned(products, np.ones(len(rows), np.float32) if self._signs is None else self._signs)
        mean = self._signs / np.float32(len(rows))
        factors = mean * _gain(products, mean)
        before = factors if self._factors is None else self._factors
        self._factors = factors
        mix: Rows = np.matmul(factors, rows, dtype=np.float32)
        if not np.array_equal(before, factors):
            fade = np.linspace(1, 0, min(FADE_SAMPLES, len(mix)), dtype=np.float32)
            mix[: len(fade)] += fade * ((before - factors) @ rows[:, : len(fade)])
        return mix[None, :]


def _aligned(products: npt.NDArray[np.float32], signs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return a sign per channel with which none cancels those louder than itself; as before where it makes no odds.

    `products` are the scalar products of the channels with each other.
    """
    signs = signs.copy()
    powers = products.diagonal().tolist()
    with_sum, sum_power = np.zeros_like(signs), 0.0  # products with, and power of, the sum of the channels so far
    for channel in sorted(range(len(signs)), key=lambda channel: -powers[channel]):
        likeness = float(with_sum[channel])
        if abs(likeness) > -OPPOSED * math.sqrt(sum_power * powers[channel]):
            signs[channel] = math.copysign(1, likeness)
        sum_power = max(0.0, sum_power + powers[channel] + 2 * float(signs[channel]) * likeness)
        with_sum += signs[channel] * products[channel]
    return signs


def _gain(products: npt.NDArray[np.float32], mean: npt.NDArray[np.float32]) -> np.float32:
    """Return what makes the mix as loud as its loudest channel: up to the number of channels, where one speaks."""
    mixed = mean @ products @ mean
    loudest = products.diagonal().max()
    return np.float32(min(len(mean), np.sqrt(loudest / mixed))) if mixed > 0 else np.float32(1)


def _shape(frame: av.AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate
