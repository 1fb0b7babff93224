"""Decode an untrusted media file into blocks of 16 kHz audio, by FFmpeg through PyAV.

FFmpeg is given one nameless stream of bytes and a short list of formats, and headers are checked before anything is
allocated for them.  Knows media; nothing of jobs, folders or the spool.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import av
import av.logging
import numpy as np
from av.audio import AudioStream
from av.container import InputContainer

from transcribed.core.errors import Incomplete, Permanent
from transcribed.core.text import printable
from transcribed.core.types import SAMPLE_RATE
from transcribed.ingest.preparation import header_duration
from transcribed.ingest.preparation.mixer import RATES, Mixer, Rows, mix_down

# Formats that people record in, none that refers to other files or addresses: no hls, concat, sdp, image2, lavfi, tty.
FORMATS = (
    "wav,w64,aiff,au,caf,flac,mp3,ogg,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf,avi,mpegts,mpeg,flv,amr,amrnb,amrwb,aac,ac3,"
    "eac3,dts,ape,wv,tta,tak,gsm,dsf,dss,rm,dhav,voc,nistspeech,ircam,oma,mpc,mpc8,loas,sox,qcp,ilbc"
)
MAX_CHANNELS = 32
TAGS = ("title", "artist", "album", "comment", "description", "creation_time", "date", "location")
MAX_TAG = 500  # characters
MAX_DAMAGED_PACKETS = 1000
MIN_GAP_SECONDS, MAX_GAP_SECONDS = 0.5, 3600.0  # a longer jump means that the file's clock is broken
MAX_DECLARED_SECONDS = 200 * 3600.0  # a header that claims more is wrong
_TAGS = (b"ID3", b"TAG", b"APE")  # between the parts of joined MP3s: neither sound nor damage
_EXACT_DURATION = {"flac", "mov", "matroska"}  # their headers state the duration; other formats guess

DecodeError = (av.FFmpegError, ValueError, NotImplementedError, EOFError, MemoryError, UnicodeError)
"""The errors that FFmpeg and PyAV raise for bad input; some look like disk errors but are not."""


def libraries() -> str:
    """Return the versions of FFmpeg's libraries that PyAV brings for decoding: "libavcodec 62.11.100" and so on."""
    versions = {name: ".".join(map(str, parts)) for name, parts in av.library_versions.items()}
    return ", ".join(f"{name} {versions[name]}" for name in ("libavformat", "libavcodec", "libswresample"))


@dataclass(frozen=True, slots=True)
class Media:
    """A file's description of itself."""

    description: str  # container and codec, for people
    tags: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Damage:
    sentence: str
    cut_short: bool = False  # the end is missing: the rest may still be on its way


class Decoder:
    """One pass over one file.  After `blocks` is exhausted, `damage` describes what could not be decoded."""

    def __init__(self, file: header_duration.Readable, *, apart: bool = False) -> None:
        """Mix all channels to one, or keep them `apart`.

        Raise one of DecodeError if the file is not media, and Permanent for media that cannot be used.
        """
        av.logging.set_level(None)  # a damaged file can write megabytes of log
        self._declared_seconds = header_duration.declared_seconds(file)
        file.seek(0)
        self._container: InputContainer = av.open(
            file, mode="r", container_options={"format_whitelist": FORMATS}, metadata_errors="replace"
        )
        self._stream = _audio_stream(self._container)
        self._gaps: list[tuple[float, float]] = []  # stretches without a recording, in seconds
        self._damaged_packets = 0
        self._samples = 0
        self._apart, self._channels = apart, 0  # set to the number at the beginning of the file
        self.media = Media(self._describe(), _tags(self._container, self._stream))

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    @property
    def seconds(self) -> float:
        """The length decoded so far."""
        return self._samples / SAMPLE_RATE

    def blocks(self) -> Iterator[Rows]:
        """Yield 16 kHz int16 (channels, samples), about a second at a time.

        Where the file's own clock jumps ahead, insert silence, so that later audio keeps its time.  When the format
        changes midway, flush the old mixer and start a new one.
        """
        mixer: Mixer | None = None
        clock = _Clock()
        for frame in self._frames():
            hole = clock.gap_before(frame)
            if mixer and (hole or not mixer.takes(frame)):
                yield from self._counted(mixer.rest())
                mixer = None
            if hole:
                self._gaps.append((self.seconds, self.seconds + hole))
                yield from self._counted(_silence(hole))
            mixer = mixer or Mixer(frame, apart=self._apart)
            yield from self._counted(mixer.add(frame))
        if mixer:
            yield from self._counted(mixer.rest())

    def damage(self) -> Damage | None:
        """Return what is known to be missing of the sound, else None."""
        told = self._declared_seconds or self._header_seconds()
        if told and self.seconds + 1.0 < 0.95 * told < MAX_DECLARED_SECONDS:
            return Damage(f"The file should be {told:.0f} s long, but it ends after {self.seconds:.0f} s.", True)
        if self._gaps:
            return Damage(_describe_gaps(self._gaps))
        if self._damaged_packets:
            places = (
                "1 damaged place was" if self._damaged_packets == 1 else f"{self._damaged_packets} damaged places were"
            )
            return Damage(f"{places} skipped; words may be missing there.")
        return None

    def _frames(self) -> Iterator[av.AudioFrame]:
        for packet in self._packets():
            try:
                yield from packet.decode()
            except av.InvalidDataError:
                if bytes(packet)[:3] in _TAGS:
                    continue
                self._damaged_packets += 1
                if self._damaged_packets > MAX_DAMAGED_PACKETS:
                    raise

    def _packets(self) -> Iterator[av.Packet[AudioStream]]:
        try:
            yield from self._container.demux(self._stream)
        except IndexError:  # PyAV 18 trips over a stream that began in the middle, once it has read the last packet
            return

    def _counted(self, blocks: Iterator[Rows]) -> Iterator[Rows]:
        for rows in blocks:
            self._channels = self._channels or len(rows)
            self._samples += rows.shape[1]
            yield _fitted(rows, self._channels)

    def _describe(self) -> str:
        context = self._stream.codec_context
        container = self._container.format.name.split(",")[0]
        tracks = len(self._container.streams.audio)
        track = f", track {self._container.streams.audio.index(self._stream) + 1} of {tracks}" if tracks > 1 else ""
        return f"{container} ({context.name}), {context.sample_rate} Hz, {context.layout.name}{track}"

    def _header_seconds(self) -> float | None:
        exact = self._container.format.name.split(",")[0] in _EXACT_DURATION
        return self._container.duration / av.time_base if exact and self._container.duration else None


class _Clock:
    """Follows the timestamps of frames, to find gaps."""

    def __init__(self) -> None:
        self._expected: float | None = None

    def gap_before(self, frame: av.AudioFrame) -> float:
        """Return the seconds missing before this frame; 0 if there is no gap, or its timestamp is implausible."""
        seconds = frame.samples / frame.sample_rate if frame.sample_rate else 0.0
        at = frame.time
        if at is None or math.isnan(at):  # the stream has no time base
            if self._expected is not None:
                self._expected += seconds
            return 0.0
        hole = 0.0 if self._expected is None else at - self._expected
        self._expected = at + seconds
        return hole if MIN_GAP_SECONDS <= hole <= MAX_GAP_SECONDS else 0.0


def _audio_stream(container: InputContainer) -> AudioStream:
    """Return the best audio track.

    Its header is checked before anything is allocated for it (a rate of 1.7 GHz costs 1.9 GB).
    """
    if not container.streams.audio:
        what = "a video without sound" if container.streams.video else "not a recording"
        raise Permanent("The file has no audio track.", f"It is {what}; nothing can be transcribed.")
    best = container.streams.best("audio")
    stream = best if isinstance(best, AudioStream) else container.streams.audio[0]
    context = stream.codec_context
    if context is None:  # FFmpeg does not know the codec
        raise Permanent(
            "The audio of the file is in a format that cannot be decoded.", "Convert the file to WAV, FLAC or MP3."
        )
    if context.sample_rate not in RATES or not 1 <= context.channels <= MAX_CHANNELS:
        raise Incomplete(
            f"The file's header claims {context.channels} channels at {context.sample_rate} Hz.",
            "The header is damaged; record or export the file again.",
        )
    return stream


def _tags(container: InputContainer, stream: AudioStream) -> tuple[tuple[str, str], ...]:
    """Return the tags that describe a recording: the container's, then the track's (Ogg has only these)."""
    found = {key.casefold(): value for key, value in (*stream.metadata.items(), *container.metadata.items())}
    told = ((tag, " ".join(printable(found[tag]).split())[:MAX_TAG]) for tag in TAGS if tag in found)
    return tuple((tag, text) for tag, text in told if text)


def _silence(seconds: float) -> Iterator[Rows]:
    left = int(seconds * SAMPLE_RATE)
    while left > 0:
        count = min(left, SAMPLE_RATE)
        yield np.zeros((1, count), np.int16)
        left -= count


def _fitted(rows: Rows, channels: int) -> Rows:
    """Return rows with as many channels as the file began with; any other number is mixed into the first channel."""
    if len(rows) == channels:
        return rows
    out = np.zeros((channels, rows.shape[1]), np.int16)
    out[0] = mix_down(rows)
    return out


def _describe_gaps(holes: list[tuple[float, float]]) -> str:
    if len(holes) == 1:
        return f"Nothing is recorded from {_clock_time(holes[0][0])} to {_clock_time(holes[0][1])}."
    total = sum(stop - start for start, stop in holes)
    return (
        f"Nothing is recorded in {len(holes)} places, {total:.0f} s in all; the first is at {_clock_time(holes[0][0])}."
    )


def _clock_time(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


# First bytes of files that are no media, but are often dropped.
_OTHER = (
    (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\xd0\xcf\x11\xe0", b"{\\rtf"),
    (b"PK\x03\x04", b"7z\xbc\xaf", b"Rar!", b"\x1f\x8b"),
    (b"#EXTM3U", b"ffconcat", b"[playlist]", b"v=0"),
)


def unreadable(head: bytes, error: BaseException) -> Incomplete:
    """Describe a file that could not be decoded in plain words, judging by its first bytes."""
    documents, archives, playlists = _OTHER
    if head.lstrip()[:1] == b"<" or head.startswith(documents) or head[8:12] == b"WEBP" or head[4:10] == b"ftyphe":
        return Incomplete("The file is a document or a picture, not a recording.", "Drop audio or video files only.")
    if head.startswith(archives):
        return Incomplete(
            "The file is an archive or an office document, not a recording.",
            "Unpack it, and drop the recordings themselves.",
        )
    if head.startswith(playlists):
        return Incomplete("The file is a playlist, not a recording.", "Drop the recordings themselves.")
    if not any(head):
        return Incomplete(
            "The file begins with zeros instead of audio.", "The copy was probably interrupted; copy the file again."
        )
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or all(byte >= 32 or byte in b"\t\r\n\f\x1b" for byte in head):
        return Incomplete("The file is text, not a recording.", "Drop audio or video files only.")
    detail = str(getattr(error, "strerror", None) or error or type(error).__name__)[:100]
    return Incomplete(
        "The file is damaged, or not audio or video that can be decoded.",
        f"Play it on your own computer.  If it plays, convert it to WAV, FLAC or MP3.  (FFmpeg: {detail})",
    )
