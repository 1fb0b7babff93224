"""Decode the wanted tracks of an open file into the spool, and find the speech in them.

Knows one file, its tracks and its spool files; nothing of inboxes or of other jobs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from transcribed.core.errors import Incomplete, Permanent
from transcribed.core.types import ALL_TRACKS, BEST_TRACK, Audio, RecordingOptions, Segment
from transcribed.ingest.preparation.decoding.decoder import Damage, DecodeError, Decoder
from transcribed.ingest.preparation.decoding.rejection import unreadable
from transcribed.ingest.preparation.levels import levels_of, loud_seconds_outside
from transcribed.ingest.preparation.source_file import SourceFile
from transcribed.ingest.preparation.vad import Vad
from transcribed.state import spool

MIN_SECONDS = 0.1
MAX_TRACKS = 32

Heartbeat = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Sound:
    """What is in the spool of a job."""

    description: str  # of the media, for people
    tags: tuple[tuple[str, str], ...]
    damage: Damage | None
    audios: tuple[Audio, ...]  # by channel, or by track
    tracks: int  # that can be decoded
    unheard_tracks: int
    speakers: tuple[str, ...]  # their names, if there are several
    segments: tuple[Segment, ...] = ()
    levels: tuple[bytes, ...] = ()  # of each, if there are several
    loud_seconds: float = 0.0  # louder than the background, and in no segment


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """Where the sound goes, how long it may be, and what space it must leave."""

    folder: Path
    max_seconds: float
    min_free: float  # bytes, or below 1 a share


class Spooler:
    """Spools one job's file, as often as it takes."""

    def __init__(
        self,
        limits: SpoolLimits,
        job_id: int,
        file: SourceFile,
        name: str,
        requested: RecordingOptions,
        heartbeat: Heartbeat,
    ) -> None:
        self._limits, self._folder, self._job_id = limits, limits.folder, job_id
        self._file, self._name = file, name
        self._requested = requested
        self._heartbeat = heartbeat

    def sound(self, vad: Vad) -> Sound:
        """Spool what is wanted: all tracks, or the best; if nobody speaks in it, the first in which somebody does.

        Raise Incomplete or Permanent for a file without usable sound, Unavailable if the spool cannot be written.
        """
        everything = self._requested.tracks == ALL_TRACKS
        sound = self._tracks(vad, None if everything else (0,))
        if sound.segments or everything or sound.tracks == 1:
            return sound
        every = self._tracks(vad, None)
        spool.discard(self._folder, self._job_id)
        spoken = sorted({segment.channel for segment in every.segments})
        sound = self._tracks(vad, spoken[:1] or (0,))
        return replace(sound, unheard_tracks=every.unheard_tracks + len(spoken[1:]))

    def _tracks(self, vad: Vad, tracks: Sequence[int] | None) -> Sound:
        """Spool some tracks, or all (None), and find the speech in each channel of them."""
        sound, gain = self._decoded(tracks)
        if gain != 1.0:  # the first pass has found out that 16 bits cannot hold it as it is
            sound, _ = self._decoded(tracks, gain)
        if sound.audios[0].seconds < MIN_SECONDS:
            raise _nothing_in(sound.audios[0])
        return self._with_speech(sound, vad)

    def _decoded(self, tracks: Sequence[int] | None, gain: float = 1.0) -> tuple[Sound, float]:
        """Write the spool files.  Return them, and by how much the sound should be raised."""
        with self._decoder(gain) as decoder, self._writer() as writer:
            media = decoder.media
            wanted = range(min(MAX_TRACKS, len(media.tracks))) if tracks is None else tracks
            damage = self._write(decoder, wanted, writer)
            audios = writer.audios()
        known, chosen = len(media.tracks), [media.tracks[track] for track in wanted]
        unheard = known + media.undecodable_tracks - len(chosen)
        names = [track.name for track in chosen] if len(chosen) > 1 else _numbered("channel", len(audios))
        speakers = _speakers(names, self._requested.channels or ()) if len(audios) > 1 else ()
        described = chosen[0].description
        return Sound(described, media.tags, damage, audios, known, unheard, speakers), decoder.gain()

    def _writer(self) -> spool.Writer:
        return spool.Writer(self._folder, self._job_id, self._limits.min_free)

    def _decoder(self, gain: float) -> Decoder:
        asked = self._requested.tracks
        language = "" if asked in (ALL_TRACKS, BEST_TRACK) else asked
        try:
            return Decoder(self._file, self._name, language=language, gain=gain)
        except (*DecodeError, OSError) as error:
            self._file.raise_own_error()
            raise unreadable(self._file.head(), self._name, error) from error

    def _write(self, decoder: Decoder, tracks: Sequence[int], writer: spool.Writer) -> Damage | None:
        """Write all that can be decoded; return what is missing."""
        try:
            apart = self._requested.channels is not None and len(tracks) == 1
            for track, rows in decoder.blocks(tracks, apart=apart):
                writer.write(rows, tracks.index(track))
                self._check_length(decoder.seconds)
                self._heartbeat()
        except (*DecodeError, OSError) as error:
            self._file.raise_own_error()
            if decoder.seconds < MIN_SECONDS:
                raise unreadable(self._file.head(), self._name, error) from error
            sentence = f"Only the first {decoder.seconds:.1f} s could be decoded; the rest of the file is damaged."
            return Damage(sentence, cut_short=True)
        self._file.raise_own_error()
        return decoder.damage()

    def _check_length(self, seconds: float) -> None:
        if seconds > self._limits.max_seconds:
            hours = self._limits.max_seconds / 3600
            raise Permanent(
                f"The recording is longer than {hours:g} hours.", "Split it, or raise `max_hours` under [prepare]."
            )

    def _with_speech(self, sound: Sound, vad: Vad) -> Sound:
        """Find the segments with speech, channel by channel, and the levels of the channels if there are several."""
        index = itertools.count()
        segments: list[Segment] = []
        levels: list[bytes] = []
        loud = 0.0
        for channel, audio in enumerate(sound.audios):
            pcm: Any = np.memmap(audio.path, dtype="<i2", mode="r")
            regions = vad.detect(pcm, self._heartbeat)
            segments += [
                Segment(self._job_id, next(index), audio, found.start, found.stop, found.speech_samples, channel)
                for found in regions
            ]
            levels.append(levels_of(pcm))
            loud += loud_seconds_outside(levels[-1], ((found.start, found.stop) for found in regions))
        sound = replace(sound, segments=tuple(segments), loud_seconds=loud)
        return replace(sound, levels=tuple(levels)) if len(levels) > 1 else sound


def _numbered(what: str, count: int) -> list[str]:
    return [f"{what} {number + 1}" for number in range(count)]


def _speakers(names: Sequence[str], given: Sequence[str]) -> tuple[str, ...]:
    """Return a distinct name for each: those given, and then its own."""
    out = list(given[: len(names)])
    for name in names[len(out) :]:
        while name in out:
            name += "'"
        out.append(name)
    return tuple(out)


def _nothing_in(audio: Audio) -> Incomplete:
    if audio.samples == 0:
        return Incomplete("The file contains no sound.", "The recorder may have been stopped at once; record it again.")
    return Incomplete(f"The recording is only {audio.seconds:.2f} s long.", "At least 0.1 s is needed.")
