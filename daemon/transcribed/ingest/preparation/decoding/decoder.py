"""Decode an untrusted media file into blocks of 16 kHz audio, and tell what is missing of it.

Knows the recordings in a file and their tracks; nothing of jobs, folders or the spool.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import av
from av.audio import AudioStream
from av.container import InputContainer

from transcribed.core.errors import Incomplete, Permanent
from transcribed.ingest.preparation.decoding import container as containers
from transcribed.ingest.preparation.decoding.file_structure import MAX_PARTS, parts_of, restart
from transcribed.ingest.preparation.decoding.file_view import FileView, Part, Readable, read_at
from transcribed.ingest.preparation.decoding.gaps import Rows16
from transcribed.ingest.preparation.decoding.header_duration import mp3_seconds
from transcribed.ingest.preparation.decoding.headerless import headerless
from transcribed.ingest.preparation.decoding.track import TrackDecoder

HEAD_BYTES = 512
MAX_TOLD_SECONDS = 200 * 3600.0  # a header that claims more is wrong
MOST = 2 / 3  # of the packets; if more are damaged, what is left may be anything
MIN_GAPS_SECONDS = 0.5  # in all, to be worth telling
QUIET_PEAK, RAISED_PEAK = 10 ** (-40 / 20), 10 ** (-20 / 20)  # of full scale
MAX_GAIN = 100.0
_LOUDEST = 0.99  # of the blocks are no louder than what counts as the peak: a click does not count

DecodeError = (av.FFmpegError, ValueError, NotImplementedError, EOFError, MemoryError, UnicodeError)
"""The errors that FFmpeg and PyAV raise for bad input; some look like disk errors but are not."""


def libraries() -> str:
    """Return the versions of FFmpeg's libraries that PyAV brings for decoding: "libavcodec 62.11.100" and so on."""
    versions = {name: ".".join(map(str, parts)) for name, parts in av.library_versions.items()}
    return ", ".join(f"{name} {versions[name]}" for name in ("libavformat", "libavcodec", "libswresample"))


@dataclass(frozen=True, slots=True)
class Damage:
    sentence: str
    cut_short: bool = False  # the end is missing: the rest may still be on its way


class Decoder:
    """Passes over one file.  After `blocks` is exhausted, `damage` and `gain` describe what was decoded."""

    def __init__(self, file: Readable, name: str = "", *, language: str = "", gain: float = 1.0) -> None:
        """Prefer a track in `language`; raise the sound by the factor `gain`.

        Raise one of DecodeError if the file is not media, and Permanent for media that cannot be used.
        """
        self._file, self._language, self._gain = file, language, gain
        size = file.seek(0, os.SEEK_END)
        alone = headerless(name, read_at(file, 0, HEAD_BYTES), size)
        self._parts = [alone] if alone else parts_of(file, size)
        self._container = self._open(self._parts[0])
        self.media = containers.describe(self._container, containers.audio_tracks(self._container, language))
        self._tracks: list[TrackDecoder] = []
        self._last_packet = 0
        self._missing: list[Damage] = []

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    @property
    def seconds(self) -> float:
        """The length decoded so far, of the longest track."""
        return max((track.seconds for track in self._tracks), default=0.0)

    def blocks(self, tracks: Sequence[int] = (0,), *, apart: bool = False) -> Iterator[tuple[int, Rows16]]:
        """Yield the number of a track, as listed in `media.tracks`, and 16 kHz int16 (channels, samples) of it.

        All its channels are mixed to one, or kept `apart`.  A block is about a second.  Tracks are at their times:
        where the file's clock says that nothing was recorded, there is silence.
        """
        self._tracks = [TrackDecoder(apart=apart, gain=self._gain) for _ in tracks]
        error: Exception | None = None
        for number, part in enumerate(self._parts):  # which may become more
            begin = self.seconds
            try:
                if number:
                    self._container.close()
                    self._container = self._open(part)
                yield from self._part(tracks, anew=error is None)
                error = None
            except DecodeError as caught:
                error = caught
            except (Permanent, Incomplete) as caught:  # of a part that was joined, not of the file
                error = ValueError(str(caught))
            for track, decoder in zip(tracks, self._tracks, strict=True):
                yield from ((track, rows) for rows in decoder.rest())
            if number + 1 == len(self._parts) < MAX_PARTS and (rest := self._rest(part)):
                self._parts.append(rest)
            if error and number + 1 == len(self._parts):
                raise error
            self._missing += self._of_part(part, tracks[0], begin, error)

    def damage(self) -> Damage | None:
        """Return what is known to be missing of the sound, else None."""
        first = self._tracks[0]
        found = [*self._missing, *_of_packets(first), *_of_gaps(first.gaps)]
        if not found:
            return None
        return Damage(" ".join(each.sentence for each in found), any(each.cut_short for each in found))

    def gain(self) -> float:
        """Return by how much to raise the sound so that 16 bits can hold it: 1 unless it is very quiet throughout."""
        peaks = sorted(peak for track in self._tracks for peak in track.peaks)
        loud = peaks[int(_LOUDEST * (len(peaks) - 1))] if peaks else 0.0
        return min(MAX_GAIN, RAISED_PEAK / loud) if 0 < loud < QUIET_PEAK else 1.0

    def _open(self, part: Part) -> InputContainer:
        return containers.open_container(FileView(self._file, part))

    def _part(self, tracks: Sequence[int], anew: bool) -> Iterator[tuple[int, Rows16]]:
        """Decode one recording of the file, whose tracks all begin `anew`, where the longest ended so far."""
        streams = self._streams(tracks)
        self._last_packet = 0  # offset in the part
        position = max(decoder.position for decoder in self._tracks)
        for decoder in self._tracks if anew else ():
            decoder.begin(containers.start_seconds(self._container), position)
        numbered = zip(streams, zip(tracks, self._tracks, strict=True), strict=True)
        by_stream = {stream.index: pair for stream, pair in numbered}
        for packet in self._packets(streams):
            self._last_packet = max(self._last_packet, packet.pos or 0)
            track, decoder = by_stream[packet.stream.index]
            for rows in decoder.decode(packet):
                yield track, rows

    def _packets(self, streams: list[AudioStream]) -> Iterator[av.Packet[AudioStream]]:
        """Yield all packets, also those behind a place where the container is damaged."""
        broken: av.FFmpegError | None = None
        while True:
            try:
                for packet in cast("Iterator[av.Packet[AudioStream]]", self._container.demux(*streams)):
                    if broken and packet.size:
                        broken, self._tracks[0].damaged = None, self._tracks[0].damaged + 1
                    yield packet
            except IndexError:  # PyAV 18 trips over a stream that began in the middle, once it has read all
                return
            except av.FFmpegError as error:
                if broken:
                    raise
                broken = error
                continue
            if broken:
                raise broken
            return

    def _rest(self, part: Part) -> Part | None:
        """Return what lies behind the last packet of a part, if a reader can begin there."""
        return restart(self._file, self._container.format.name, part.start + self._last_packet + 1, part.stop)

    def _streams(self, tracks: Sequence[int]) -> list[AudioStream]:
        found = containers.audio_tracks(self._container, self._language)
        return [found[min(track, len(found) - 1)] for track in tracks]

    def _of_part(self, part: Part, track: int, begin: float, error: Exception | None) -> Iterator[Damage]:
        """Yield what is missing of a recording that begins at `begin` seconds, by what its headers tell."""
        seconds = self._tracks[0].seconds - begin
        if error:
            yield Damage(f"The sound breaks off at {_clock_time(begin + seconds)}, and begins anew.")
            return
        told = containers.told_seconds(self._container, self._streams([track])[0]) or seconds * part.told_share
        if self._container.format.name == "mp3":
            told = mp3_seconds(FileView(self._file, part)) or told
        if seconds + 1.0 < 0.95 * told < MAX_TOLD_SECONDS:
            whole = begin + told
            yield Damage(f"The file should be {whole:.0f} s long, but it ends after {begin + seconds:.0f} s.", True)


def _of_packets(track: TrackDecoder) -> Iterator[Damage]:
    if track.damaged > MOST * track.packets:
        yield Damage(f"{track.damaged} of {track.packets} parts of the file could not be decoded.", True)
    elif track.damaged:
        places = "1 damaged place was" if track.damaged == 1 else f"{track.damaged} damaged places were"
        yield Damage(f"{places} skipped; words may be missing there.")


def _of_gaps(gaps: list[tuple[float, float]]) -> Iterator[Damage]:
    total = sum(stop - start for start, stop in gaps)
    if total < MIN_GAPS_SECONDS:
        return
    first = _clock_time(gaps[0][0])
    if len(gaps) == 1:
        yield Damage(f"Nothing is recorded from {first} to {_clock_time(gaps[0][1])}.")
    else:
        yield Damage(f"Nothing is recorded in {len(gaps)} places, {total:.0f} s in all; the first is at {first}.")


def _clock_time(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
