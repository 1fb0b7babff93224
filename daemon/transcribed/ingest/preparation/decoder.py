"""A stranger's media file -> blocks of 16 kHz audio, by FFmpeg through PyAV.

FFmpeg is given one nameless stream of bytes, a short list of formats, and headers are judged before anything is built
on them. Knows media; nothing of jobs, folders or the spool.
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

# What people record in, and nothing that names other files or addresses: no hls, concat, sdp, image2, lavfi, tty.
FORMATS = (
    "wav,w64,aiff,au,caf,flac,mp3,ogg,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf,avi,mpegts,mpeg,flv,amr,amrnb,amrwb,aac,ac3,"
    "eac3,dts,ape,wv,tta,tak,gsm,dsf,dss,rm,dhav,voc,nistspeech,ircam,oma,mpc,mpc8,loas,sox,qcp,ilbc"
)
MAX_CHANNELS = 32
TAGS = ("title", "artist", "album", "comment", "description", "creation_time", "date", "location")
MAX_TAG = 500  # characters
MAX_DAMAGED_PACKETS = 1000
MIN_GAP_SECONDS, MAX_GAP_SECONDS = 0.5, 3600.0  # a longer jump of a file's clock is taken for a broken clock
MAX_DECLARED_SECONDS = 200 * 3600.0  # a header that claims more is wrong
_TAGS = (b"ID3", b"TAG", b"APE")  # between the parts of joined MP3s: no sound, and no damage
_EXACT_DURATION = {"flac", "mov", "matroska"}  # their headers say how long they are; others guess

DecodeError = (av.FFmpegError, ValueError, NotImplementedError, EOFError, MemoryError, UnicodeError)
"""What FFmpeg and PyAV raise for bad input; some look like errors of the disk and are none."""


def libraries() -> str:
    """Those of FFmpeg that decode, as PyAV brings them: "libavcodec 62.11.100" and so on."""
    versions = {name: ".".join(map(str, parts)) for name, parts in av.library_versions.items()}
    return ", ".join(f"{name} {versions[name]}" for name in ("libavformat", "libavcodec", "libswresample"))


@dataclass(frozen=True, slots=True)
class Media:
    """What a file tells of itself."""

    description: str  # container and codec, for people
    tags: tuple[tuple[str, str], ...]


class Decoder:
    """One pass over one file.  After `blocks` is exhausted, `damage` says what was lost on the way."""

    def __init__(self, file: header_duration.Readable, *, apart: bool = False) -> None:
        """All channels are mixed to one, or kept `apart`.

        Raises one of DecodeError for what is no media, and Permanent for media that cannot be used.
        """
        av.logging.set_level(None)  # a damaged file can write megabytes of log
        self._declared_seconds = header_duration.declared_seconds(file)
        file.seek(0)
        self._container: InputContainer = av.open(
            file, mode="r", container_options={"format_whitelist": FORMATS}, metadata_errors="replace"
        )
        self._stream = _audio_stream(self._container)
        self._gaps: list[tuple[float, float]] = []  # where nothing is recorded, in seconds
        self._damaged_packets = 0
        self._samples = 0
        self._apart, self._channels = apart, 0  # as many as there are at the beginning
        self.media = Media(self._describe(), _tags(self._container, self._stream))

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    @property
    def seconds(self) -> float:
        """How much has been decoded."""
        return self._samples / SAMPLE_RATE

    def blocks(self) -> Iterator[Rows]:
        """16 kHz int16 (channels, samples), about a second at a time.

        Where the file's own clock jumps ahead, silence is put, so that what follows keeps its time.  When the format
        changes on the way, what was gathered leaves first and a new mixer begins.
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

    def damage(self) -> str | None:
        """A sentence, when it is known that not all of the sound was decoded."""
        told = self._declared_seconds or self._header_seconds()
        if told and self.seconds + 1.0 < 0.95 * told < MAX_DECLARED_SECONDS:
            return f"The file should last {told:.0f} s, but it ends after {self.seconds:.0f} s."
        if self._gaps:
            return _describe_gaps(self._gaps)
        if self._damaged_packets:
            places = (
                "1 damaged place was" if self._damaged_packets == 1 else f"{self._damaged_packets} damaged places were"
            )
            return f"{places} skipped; words may be missing there."
        return None

    def _frames(self) -> Iterator[av.AudioFrame]:
        for packet in self._container.demux(self._stream):
            try:
                yield from packet.decode()
            except av.InvalidDataError:
                if bytes(packet)[:3] in _TAGS:
                    continue
                self._damaged_packets += 1
                if self._damaged_packets > MAX_DAMAGED_PACKETS:
                    raise

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
    """Follows the times that frames carry, to find where some are missing."""

    def __init__(self) -> None:
        self._expected: float | None = None

    def gap_before(self, frame: av.AudioFrame) -> float:
        """Seconds missing before this frame; 0 where it follows on, or its time cannot be believed."""
        seconds = frame.samples / frame.sample_rate if frame.sample_rate else 0.0
        at = frame.time
        if at is None or math.isnan(at):  # as it is without a time base
            if self._expected is not None:
                self._expected += seconds
            return 0.0
        hole = 0.0 if self._expected is None else at - self._expected
        self._expected = at + seconds
        return hole if MIN_GAP_SECONDS <= hole <= MAX_GAP_SECONDS else 0.0


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


def _tags(container: InputContainer, stream: AudioStream) -> tuple[tuple[str, str], ...]:
    """Those that say what a recording is; of the container before those of the track (Ogg has only these)."""
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
    """With as many channels as the file began with; where it goes on with others, all of them are in the first."""
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


# Not media, but often dropped: their first bytes.
_OTHER = (
    (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\xd0\xcf\x11\xe0", b"{\\rtf"),
    (b"PK\x03\x04", b"7z\xbc\xaf", b"Rar!", b"\x1f\x8b"),
    (b"#EXTM3U", b"ffconcat", b"[playlist]", b"v=0"),
)


def unreadable(head: bytes, error: BaseException) -> Incomplete:
    """What a person would call a file that could not be decoded, from its first bytes."""
    documents, archives, playlists = _OTHER
    if head.lstrip()[:1] == b"<" or head.startswith(documents) or head[8:12] == b"WEBP" or head[4:10] == b"ftyphe":
        return Incomplete("It is a document or a picture, not a recording.", "Drop audio or video files only.")
    if head.startswith(archives):
        return Incomplete(
            "It is an archive or an office document, not a recording.", "Unpack it, and drop the recordings themselves."
        )
    if head.startswith(playlists):
        return Incomplete("It is a playlist, not a recording.", "Drop the recordings themselves.")
    if not any(head):
        return Incomplete("It begins with nothing but zeros.", "The copy was probably broken off; copy it again.")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or all(byte >= 32 or byte in b"\t\r\n\f\x1b" for byte in head):
        return Incomplete("It is a text, not a recording.", "Drop audio or video files only.")
    detail = str(getattr(error, "strerror", None) or error or type(error).__name__)[:100]
    return Incomplete(
        "It is damaged, or no audio or video that can be decoded.",
        f"Play it on your own computer; if it plays, convert it to WAV, FLAC or MP3.  (FFmpeg: {detail})",
    )
