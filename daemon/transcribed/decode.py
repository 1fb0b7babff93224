"""A stranger's media file -> blocks of 16 kHz mono, by FFmpeg through PyAV.

FFmpeg is given one nameless stream of bytes, a short list of formats, and headers are judged before anything is built on them.
Knows media; nothing of jobs, folders or the spool.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import av
import av.logging
from av.audio import AudioStream
from av.container import InputContainer

from transcribed.core import SAMPLE_RATE, Incomplete, Permanent

# What people record in, and nothing that names other files or addresses: no hls, concat, sdp, image2, lavfi, tty.
FORMATS = (
    "wav,w64,aiff,au,caf,flac,mp3,ogg,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf,avi,mpegts,mpeg,flv,amr,amrnb,amrwb,aac,ac3,"
    "eac3,dts,ape,wv,tta,tak,gsm,dsf,dss,rm,dhav,voc,nistspeech,ircam,oma,mpc,mpc8,loas,sox,qcp,ilbc"
)
RATES = range(4_000, 384_001)  # Hz
MAX_CHANNELS = 32
MAX_DAMAGED_PACKETS = 1000
_EXACT_DURATION = {"flac", "mov", "matroska"}  # their headers say how long they are; others guess

DecodeError = (av.FFmpegError, ValueError, NotImplementedError, EOFError, MemoryError, UnicodeError)
"""What FFmpeg and PyAV raise for bad input; some look like errors of the disk and are none."""


class Readable(Protocol):
    def read(self, count: int) -> bytes: ...
    def seek(self, offset: int, whence: int = 0) -> int: ...
    def tell(self) -> int: ...


class Decoder:
    """One pass over one file.  After `blocks` is exhausted, `damage` says what was lost on the way."""

    def __init__(self, file: Readable) -> None:
        """Raises one of DecodeError for what is no media, and Permanent for media that cannot be used."""
        av.logging.set_level(None)  # a damaged file can write megabytes of log
        self._container: InputContainer = av.open(
            file, mode="r", container_options={"format_whitelist": FORMATS}, metadata_errors="replace"
        )
        self._stream = _audio_stream(self._container)
        self._damaged_packets = 0
        self._samples = 0
        self.media = self._describe()

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    @property
    def seconds(self) -> float:
        """How much has been decoded."""
        return self._samples / SAMPLE_RATE

    def blocks(self) -> Iterator[bytes]:
        """16 kHz mono s16le, about a second at a time; all channels are mixed to one.

        Frames are gathered before they are resampled: 1.1 to 2.3 times faster than frame by frame.  When the format changes
        on the way, what was gathered leaves first and a new resampler begins.
        """
        mixer: _Mixer | None = None
        for frame in self._frames():
            if mixer is None or not mixer.takes(frame):
                yield from self._counted(mixer.rest() if mixer else ())
                mixer = _Mixer(frame)
            yield from self._counted(mixer.add(frame))
        yield from self._counted(mixer.rest() if mixer else ())

    def damage(self) -> str | None:
        """A sentence, when it is known that not all of the sound was decoded."""
        declared = self._declared_seconds()
        if declared and declared > 1.05 * self.seconds + 1.0:
            return f"The file should last {declared:.0f} s, but it ends after {self.seconds:.0f} s."
        if self._damaged_packets:
            return f"{self._damaged_packets} damaged places were skipped; words may be missing there."
        return None

    def _frames(self) -> Iterator[av.AudioFrame]:
        for packet in self._container.demux(self._stream):
            try:
                yield from packet.decode()
            except av.InvalidDataError:
                self._damaged_packets += 1
                if self._damaged_packets > MAX_DAMAGED_PACKETS:
                    raise

    def _counted(self, blocks: Iterator[bytes] | tuple[()]) -> Iterator[bytes]:
        for block in blocks:
            self._samples += len(block) // 2
            yield block

    def _describe(self) -> str:
        context = self._stream.codec_context
        container = self._container.format.name.split(",")[0]
        return f"{container} ({context.name}), {context.sample_rate} Hz, {context.layout.name}"

    def _declared_seconds(self) -> float | None:
        exact = self._container.format.name.split(",")[0] in _EXACT_DURATION
        return self._container.duration / av.time_base if exact and self._container.duration else None


class _Mixer:
    """Gathers frames of one shape, mixes them to mono and resamples them."""

    def __init__(self, frame: av.AudioFrame) -> None:
        if frame.sample_rate not in RATES:
            raise ValueError(f"the sample rate turned to {frame.sample_rate} Hz")
        self._shape = _shape(frame)
        self._fifo = av.AudioFifo()
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)

    def takes(self, frame: av.AudioFrame) -> bool:
        return self._shape == _shape(frame)

    def add(self, frame: av.AudioFrame) -> Iterator[bytes]:
        frame.pts = None
        self._fifo.write(frame)
        while self._fifo.samples >= frame.sample_rate:
            yield from self._resampled(self._fifo.read(frame.sample_rate))

    def rest(self) -> Iterator[bytes]:
        if self._fifo.samples:
            yield from self._resampled(self._fifo.read())
        yield from self._resampled(None)

    def _resampled(self, frame: av.AudioFrame | None) -> Iterator[bytes]:
        for out in self._resampler.resample(frame):
            yield out.to_ndarray().tobytes()


def _shape(frame: av.AudioFrame) -> tuple[Any, ...]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _audio_stream(container: InputContainer) -> AudioStream:
    """The best audio track, its header judged before anything is built on it (a rate of 1.7 GHz costs 1.9 GB)."""
    if not container.streams.audio:
        what = "a video without sound" if container.streams.video else "no recording"
        raise Permanent("It has no audio track.", f"It is {what}; nothing can be transcribed.")
    best = container.streams.best("audio")
    stream = best if isinstance(best, AudioStream) else container.streams.audio[0]
    context = stream.codec_context
    if context is None:  # so it is for codecs that FFmpeg does not know
        raise Permanent("Its audio is in a format that cannot be decoded.", "Convert it to WAV, FLAC or MP3.")
    if context.sample_rate not in RATES or not 1 <= context.channels <= MAX_CHANNELS:
        raise Incomplete(
            f"Its header speaks of {context.channels} channels at {context.sample_rate} Hz.",
            "The header is damaged; record or export it again.",
        )
    return stream


def unreadable(head: bytes, error: BaseException) -> Incomplete:
    """What a person would call a file that could not be decoded, from its first bytes."""
    if head.lstrip()[:1] == b"<" or head.startswith((b"%PDF", b"PK\x03\x04", b"\x89PNG", b"\xff\xd8\xff", b"GIF8")):
        return Incomplete("It is a document or a picture, not a recording.", "Drop audio or video files only.")
    if head.startswith((b"#EXTM3U", b"ffconcat", b"[playlist]", b"v=0")):
        return Incomplete("It is a playlist, not a recording.", "Drop the recordings themselves.")
    if not any(head):
        return Incomplete("It begins with nothing but zeros.", "The copy was probably broken off; copy it again.")
    if all(byte >= 32 or byte in b"\t\r\n\f\x1b" for byte in head):
        return Incomplete("It is a text, not a recording.", "Drop audio or video files only.")
    detail = str(getattr(error, "strerror", None) or error or type(error).__name__)[:100]
    return Incomplete(
        "It is damaged, or no audio or video that can be decoded.",
        f"Play it on your own computer; if it plays, convert it to WAV, FLAC or MP3.  (FFmpeg: {detail})",
    )
