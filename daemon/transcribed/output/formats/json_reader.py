"""Read a transcript back from its JSON, so that it can be exported to other formats at any time.

No format needs the data missing from the file (samples, the position of each segment).  Knows JSON; nothing of folders.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, NotRequired, TypedDict

from msgspec import Meta

from transcribed.core.errors import Permanent
from transcribed.core.types import (
    SAMPLE_RATE,
    Audio,
    Hypothesis,
    Job,
    ModelFacts,
    Options,
    Preparation,
    RecordingOptions,
    Replacement,
    Segment,
    Source,
    Transcript,
    Utterance,
    Word,
)
from transcribed.output.formats.json import SCHEMA_VERSION, SourceDocument, source_of
from transcribed.system import documents
from transcribed.system.documents import Count

Seconds = Annotated[float, Meta(ge=0, le=1e7)]  # of a recording: sixteen weeks
Share = Annotated[float, Meta(ge=0, le=1)]


class _WordDocument(TypedDict):
    word: str
    start: Seconds
    end: Seconds
    probability: Share


class _SegmentDocument(TypedDict):
    start: Seconds
    end: Seconds
    speaker: NotRequired[str | None]
    text: str
    language: str | None
    emotion: str | None
    events: tuple[str, ...]
    confidence: Share | None
    words: list[_WordDocument]
    replacements: NotRequired[tuple[Replacement, ...]]
    raw: str


class _HashedSource(SourceDocument):
    sha256: str
    media: str


class _ModelDocument(TypedDict):
    name: str
    credit: NotRequired[str]
    caution: NotRequired[str | None]


class _OptionsDocument(TypedDict):
    language: str
    itn: bool


class _TranscriptDocument(TypedDict):
    duration: Seconds
    speech_seconds: Seconds
    left_out_seconds: Annotated[float, Meta(ge=-1e9, le=1e7)]  # negative where several channels hold speech at once
    damage: str | None
    left_out_loud_seconds: NotRequired[Seconds]
    unheard_tracks: NotRequired[Count]
    suspicion: NotRequired[str | None]
    title: NotRequired[str | None]
    speakers: NotRequired[tuple[str, ...]]
    name_fields: NotRequired[dict[str, str]]
    tags: NotRequired[dict[str, str]]
    source: _HashedSource
    model: _ModelDocument
    options: _OptionsDocument
    segments: list[_SegmentDocument]


class _Version(TypedDict):
    schema: Literal["transcribed.transcript"]
    schema_version: int


def read(text: str) -> Transcript:
    """Parse a JSON transcript.  Raise Permanent for JSON that is not ours, or is of a later version."""
    version = documents.parse(text, _Version)
    if version and version["schema_version"] > SCHEMA_VERSION:
        raise Permanent("The transcript was made by a later version of this program.", "Update the program.")
    document = documents.parse(text, _TranscriptDocument) if version else None
    source = source_of(document["source"]) if document else None
    if document is None or source is None:
        raise Permanent("The file is not a JSON transcript of this program.", "Name a recording, or its .json file.")
    return _transcript(document, source)


def _transcript(document: _TranscriptDocument, source: Source) -> Transcript:
    options = Options(document["model"]["name"], document["options"]["language"], document["options"]["itn"])
    return Transcript(
        Job(0, source, source.name, 0.0),
        _preparation(document, options),
        tuple(_utterance(segment) for segment in document["segments"]),
        document.get("suspicion"),
    )


def _preparation(document: _TranscriptDocument, options: Options) -> Preparation:
    samples = round(document["duration"] * SAMPLE_RATE)
    audio = Audio(Path(), samples)
    kept = samples - round(document["left_out_seconds"] * SAMPLE_RATE)
    return Preparation(
        audio,
        (Segment(0, 0, audio, 0, kept, round(document["speech_seconds"] * SAMPLE_RATE)),),
        document["source"]["sha256"],
        document["source"]["media"],
        RecordingOptions(options, title=document.get("title"), model=_facts(document["model"])),
        document["damage"],
        document.get("speakers", ()),
        tuple(document.get("name_fields", {}).items()),
        tuple(document.get("tags", {}).items()),
        loud_seconds=document.get("left_out_loud_seconds", 0.0),
        unheard_tracks=document.get("unheard_tracks", 0),
    )


def _facts(model: _ModelDocument) -> ModelFacts:
    return ModelFacts(caution=model.get("caution") or "", credit=model.get("credit", ""))


def _utterance(segment: _SegmentDocument) -> Utterance:
    words = (Word(w["word"].strip(), w["start"], w["end"], w["probability"]) for w in segment["words"])
    heard = Hypothesis(
        segment["text"],
        tuple(words),
        segment["language"],
        segment["emotion"],
        segment["events"],
        segment["confidence"],
        segment["raw"],
        segment.get("replacements", ()),
    )
    return Utterance(segment["start"], segment["end"], heard, segment.get("speaker"))
