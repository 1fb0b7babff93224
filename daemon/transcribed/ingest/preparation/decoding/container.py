"""Open media files by FFmpeg, through PyAV: the formats that are taken, and the tracks, by their own description.

FFmpeg is given one nameless stream of bytes and a list of formats, and headers are checked before anything is allocated
for them.  Knows containers and tracks; nothing of what is decoded from them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import av
import av.logging
from av.audio import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from transcribed.core.errors import Incomplete, Permanent
from transcribed.core.text import printable
from transcribed.ingest.preparation.decoding.file_view import FileView
from transcribed.ingest.preparation.decoding.mixer import DSD_RATES, RATES
from transcribed.ingest.preparation.decoding.track import MAX_CHANNELS

# Formats that people record in or are sent, none that refers to other files or addresses: no hls, dash, concat, imf,
# sdp, rtsp, image2, lavfi, and no text.
FORMATS = (
    # files of recorders, phones and programs
    "wav,w64,aiff,au,caf,flac,mp3,ogg,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf,avi,flv,amr,amrnb,amrwb,aac,ac3,eac3,"
    "dts,dtshd,ape,wv,tta,tak,gsm,dsf,iff,wsd,dss,rm,dhav,voc,nistspeech,nistsphere,ircam,oma,aea,mpc,mpc8,loas,sox,qcp,"
    "ilbc,codec2,shn,bonk,osq,rka,qoa,ast,avr,hcom,pvf,sds,sol,xwma,smjpeg,"
    # broadcast, discs, video recorders and cameras
    "mpegts,mpeg,mxf,gxf,lxf,dv,wtv,ty,pva,nuv,nut,nsv,truehd,mlp,s337m,spdif,adx,adp,laf,ivr,lc3"
)
TAGS = ("title", "artist", "album", "comment", "description", "creation_time", "date", "location")
MAX_TAG, MAX_NAME = 500, 60  # characters
_OWN_DURATION = {"flac", "mov"}  # their headers state how long each track is; other formats guess
_MATROSKA_DURATION = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Track:
    """An audio track that can be decoded."""

    name: str
    description: str  # container and codec, for people


@dataclass(frozen=True, slots=True)
class Media:
    """A file's description of itself."""

    tracks: tuple[Track, ...]  # the best first
    undecodable_tracks: int
    tags: tuple[tuple[str, str], ...]


def open_container(file: FileView) -> InputContainer:
    """Open a file, or what its view says that it is.  Raise one of FFmpeg's errors if it is no media."""
    av.logging.set_level(None)  # a damaged file can write megabytes of log
    options = {"format_whitelist": file.format or FORMATS, **file.options}
    return av.open(file, mode="r", format=file.format, container_options=options, metadata_errors="replace")


def audio_tracks(container: InputContainer, language: str = "") -> list[AudioStream]:
    """Return the audio tracks that can be decoded: those in the language first, then FFmpeg's choice, then the others.

    Their headers are checked before anything is allocated for them (a rate of 1.7 GHz costs 1.9 GB).  Raise Permanent
    or Incomplete if there is none.
    """
    streams = container.streams.audio
    if not streams:
        what = "a video without sound" if container.streams.video else "not a recording"
        raise Permanent("The file has no audio track.", f"It is {what}; nothing can be transcribed.")
    known = [stream for stream in streams if stream.codec_context is not None]
    if not known:
        raise Permanent(
            "The audio of the file is in a format that cannot be decoded.", "Convert the file to WAV, FLAC or MP3."
        )
    sane = [stream for stream in known if _is_sane(stream)]
    if not sane:
        context = known[0].codec_context
        raise Incomplete(
            f"The file's header claims {context.channels} channels at {context.sample_rate} Hz.",
            "The header is damaged; record or export the file again.",
        )
    best = container.streams.best("audio")
    return sorted(sane, key=lambda stream: (not (language and speaks(stream, language)), stream is not best))


def speaks(stream: AudioStream, language: str) -> bool:
    """Return whether a track says that it is in a language; "de", "deu" and "ger" are the same."""
    from langcodes import Language
    from langcodes.tag_parser import LanguageTagError

    try:
        told = Language.get(stream.metadata.get("language", "und"))
    except LanguageTagError:
        return False
    return bool(told.language == Language.get(language).language)


def describe(container: InputContainer, tracks: list[AudioStream]) -> Media:
    """Describe the tracks, and return the tags that go with the first of them."""
    described = tuple(_track(container, stream) for stream in tracks)
    return Media(described, len(container.streams.audio) - len(tracks), _tags(container, tracks[0]))


def start_seconds(container: InputContainer) -> float:
    """Return the timestamp from which players count: that of the first thing in the file, picture or sound."""
    return container.start_time / av.time_base if container.start_time is not None else 0.0


def told_seconds(container: InputContainer, stream: AudioStream) -> float | None:
    """Return how long the header says that a track is; None if it does not, or only guesses."""
    name = container.format.name.split(",")[0]
    if name in _OWN_DURATION and stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if name == "matroska" and (told := _MATROSKA_DURATION.match(stream.metadata.get("DURATION", ""))):
        return int(told[1]) * 3600 + int(told[2]) * 60 + float(told[3]) - start_seconds(container)
    alone = len(container.streams) == sum(map(_is_cover, container.streams)) + 1
    return container.duration / av.time_base if name in {"mov", "matroska"} and alone and container.duration else None


def _is_cover(stream: object) -> bool:
    return bool(getattr(stream, "disposition", Disposition(0)) & Disposition.attached_pic)


def _is_sane(stream: AudioStream) -> bool:
    context = stream.codec_context
    rates = DSD_RATES if context.name.startswith("dsd") else RATES
    return context.sample_rate in rates and 1 <= context.channels <= MAX_CHANNELS


def _track(container: InputContainer, stream: AudioStream) -> Track:
    """Name a track by its title, or else by its number."""
    every, context = container.streams.audio, stream.codec_context
    number = every.index(stream) + 1
    title = " ".join(printable(stream.metadata.get("title", "")).split())[:MAX_NAME]
    format = container.format.name.split(",")[0]
    place = f", track {number} of {len(every)}" if len(every) > 1 else ""
    description = f"{format} ({context.name}), {context.sample_rate} Hz, {context.layout.name}{place}"
    return Track(title or f"track {number}", description)


def _tags(container: InputContainer, stream: AudioStream) -> tuple[tuple[str, str], ...]:
    """Return the tags that describe a recording: the container's, then the track's (Ogg has only these)."""
    found = {key.casefold(): value for key, value in (*stream.metadata.items(), *container.metadata.items())}
    told = ((tag, " ".join(printable(found[tag]).split())[:MAX_TAG]) for tag in TAGS if tag in found)
    return tuple((tag, text) for tag, text in told if text)
