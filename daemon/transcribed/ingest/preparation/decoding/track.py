"""Decode the packets of one audio track to 16 kHz, on the time of the recording, past whatever is damaged.

Knows packets and samples; nothing of containers, files or other tracks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import av
import numpy as np
from av.audio import AudioStream

from transcribed.core.types import SAMPLE_RATE
from transcribed.ingest.preparation.decoding.clock import Clock
from transcribed.ingest.preparation.decoding.gaps import GapFiller, Rows16
from transcribed.ingest.preparation.decoding.mixer import Downmix, Mixer, Rows

MAX_CHANNELS = 32
MARK_EVERY = 16  # packets are looked at for their mark
MARK_BYTES = 2  # of the header with which packets begin in formats that have one, such as ADTS
RESYNCHRONIZED = ("aac",)  # readers of other such formats find the next header themselves; FLAC's parser may crash here
_TAGS = (b"ID3", b"TAG", b"APE")  # between the parts of joined MP3s: neither sound nor damage
_FULL_SCALE = 32768.0


class TrackDecoder:
    """Turns packets into blocks of int16 (channels, samples), and counts what is missing."""

    def __init__(self, *, apart: bool = False, gain: float = 1.0) -> None:
        """Mix all channels to one, or keep them `apart`; raise the sound by the factor `gain`."""
        self.position = 0  # samples, of the sound so far
        self.packets = self.damaged = 0
        self.gaps: list[tuple[float, float]] = []  # stretches without a recording, in seconds
        self.peaks: list[float] = []  # of each block, before the gain; full scale is 1
        self._apart, self._gain = apart, gain
        self._channels = 0  # the number at the beginning, kept throughout
        self._filler = GapFiller()
        self._mixer: Mixer | None = None
        self.begin(0.0)

    @property
    def seconds(self) -> float:
        return self.position / SAMPLE_RATE

    def begin(self, origin: float, position: int = 0) -> None:
        """Begin a part of the file whose timestamp `origin`, in seconds, belongs at `position`, in samples.

        Silence before its first sound is no gap: in a film, the sound may begin later than the picture.
        """
        self._insert(position - self.position)
        self._clock = Clock(origin, self.seconds)
        self._last: tuple[av.AudioFrame, float | None] | None = None  # a frame and its timestamp
        self._mark: bytes | None = None  # with which every packet began; empty if they begin differently
        self._leading = True

    def decode(self, packet: av.Packet[AudioStream]) -> list[Rows16]:
        """Return the blocks that are ready.  A packet that cannot be decoded costs its own milliseconds."""
        self.packets += 1
        ready: list[Rows16] = []
        for frame in self._frames(packet):
            time = frame.time
            if self._last:
                ready += self._placed(*self._last, time)
            self._last = frame, time
        return ready

    def rest(self) -> list[Rows16]:
        """Return all that was decoded and not given yet."""
        ready = self._placed(*self._last, None) if self._last else []
        self._last = None
        return [*ready, *self._flush(), *self._filler.rest()]

    def _frames(self, packet: av.Packet[AudioStream]) -> list[av.AudioFrame]:
        try:
            frames = packet.decode()
        except av.EOFError:
            return []
        except av.FFmpegError:  # whichever: AAC and ALAC return others for damage than AVERROR_INVALIDDATA
            if bytes(packet)[:3] in _TAGS:
                return []
            self.damaged += 1
            return self._hidden_in(packet)
        if packet.size and self.packets % MARK_EVERY == 1:
            mark = bytes(packet)[:MARK_BYTES]
            self._mark = mark if self._mark in (None, mark) else b""
        if len(frames) > 1:
            self._clock.expect_less()
        return frames

    def _hidden_in(self, packet: av.Packet[AudioStream]) -> list[av.AudioFrame]:
        """Decode the packets that a damaged header has made one with its own, by how packets begin in this file."""
        data, context = bytes(packet), packet.stream.codec_context
        start = data.find(self._mark, 1) if self._mark and context.name in RESYNCHRONIZED else -1
        if start < 0:
            return []
        frames: list[av.AudioFrame] = []
        for hidden in (*context.parse(data[start:]), *context.parse()):
            with contextlib.suppress(av.FFmpegError):
                frames += context.decode(hidden)
        if frames:
            self._clock.expect_less()
        return frames

    def _placed(self, frame: av.AudioFrame, time: float | None, following: float | None) -> list[Rows16]:
        """Put a frame in its place; the timestamp of the next one tells whether its own can be believed."""
        seconds = frame.samples / frame.sample_rate if frame.sample_rate else 0.0
        placed = self._clock.place(time, seconds, following)
        ready: list[Rows16] = []
        if placed.after_gap or not (self._mixer and self._mixer.takes(frame)):
            ready = self._flush()
        if placed.after_gap:
            self._fill(round(placed.seconds * SAMPLE_RATE) - self.position)
        self._leading = False
        try:
            self._mixer = self._mixer or self._new_mixer(frame)
        except ValueError:  # a damaged header within the sound
            self.damaged += 1
            return ready
        return [*ready, *(each for rows in self._mixer.add(frame, placed.seconds) for each in self._given(rows))]

    def _new_mixer(self, frame: av.AudioFrame) -> Mixer:
        if frame.layout.nb_channels > MAX_CHANNELS:
            raise ValueError(f"{frame.layout.nb_channels} channels")
        return Mixer(frame, self.position, apart=self._apart)

    def _fill(self, samples: int) -> None:
        if samples > 0 and not self._leading:
            self.gaps.append((self.seconds, self.seconds + samples / SAMPLE_RATE))
        self._insert(samples)

    def _insert(self, samples: int) -> None:
        if samples > 0:
            self.position += samples
            self._filler.gap(samples)

    def _flush(self) -> list[Rows16]:
        mixer, self._mixer = self._mixer, None
        rows = mixer.rest() if mixer else None
        return [] if rows is None else list(self._given(rows))

    def _given(self, rows: Rows) -> Iterator[Rows16]:
        self.position += rows.shape[1]
        self._channels = self._channels or len(rows)
        self.peaks.append(float(max(rows.max(initial=0.0), -rows.min(initial=0.0))))
        scaled = np.rint(rows * np.float32(_FULL_SCALE * self._gain))
        whole = scaled.clip(-_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)
        return self._filler.add(_fitted(whole, self._channels))


def _fitted(rows: Rows16, channels: int) -> Rows16:
    """Return rows with as many channels as the file began with; any other number is mixed into the first channel."""
    if len(rows) == channels:
        return rows
    out = np.zeros((channels, rows.shape[1]), np.int16)
    out[0] = np.rint(Downmix()(rows.astype(np.float32))[0]).clip(-_FULL_SCALE, _FULL_SCALE - 1)
    return out
