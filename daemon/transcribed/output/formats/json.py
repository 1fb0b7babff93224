"""Render JSON for programs: a superset of Whisper's ({text, language, segments: [{id, start, end, text, words}]}).

Every file states its schema; within a version, fields are added but never renamed.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from msgspec import Meta

from transcribed import __version__
from transcribed.core.provenance import made_with
from transcribed.core.text import join, spans_of
from transcribed.core.types import Hypothesis, RecordingOptions, Source, Transcript, Utterance, Word
from transcribed.output.layout import Style
from transcribed.output.transcript import language_of
from transcribed.system import documents
from transcribed.system.documents import Count

SCHEMA = "transcribed.transcript"
SCHEMA_VERSION = 1


def render(transcript: Transcript, style: Style) -> str:
    return json.dumps(_document(transcript), ensure_ascii=False, indent=1) + "\n"


class SourceDocument(TypedDict):
    """Which version of which file a transcript was made from."""

    inbox: str
    path: str
    size: Count
    mtime_ns: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
    inode: Annotated[int, Meta(ge=0, le=2**63 - 1)]


class _Origin(TypedDict):
    schema: Literal["transcribed.transcript"]
    source: SourceDocument


def read_source(data: bytes) -> Source | None:
    """Return the file version that a transcript was made from; None for JSON that is not ours or was tampered with."""
    found = documents.skim(data, _Origin)
    return source_of(found["source"]) if found else None


def source_of(document: SourceDocument) -> Source | None:
    """Return the version that is described; None if no file can have its name, or not in its inbox."""
    inbox, path = Path(document["inbox"]), Path(document["path"])
    try:
        unnameable = b"\0" in os.fsencode(path)
    except UnicodeEncodeError:
        return None
    if unnameable or ".." in path.parts or inbox not in path.parents:
        return None
    return Source(inbox, path, document["size"], document["mtime_ns"], document["inode"])


def _document(transcript: Transcript) -> dict[str, Any]:
    preparation = transcript.preparation
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "software": f"transcribed {__version__}",
        "text": join(u.hypothesis.text for u in transcript.utterances if u.hypothesis.text),
        "language": language_of(transcript),
        "duration": round(preparation.audio.seconds, 3),
        "speech_seconds": round(preparation.speech_seconds, 2),
        "left_out_seconds": round(preparation.audio.seconds - preparation.segment_seconds, 2),
        "left_out_loud_seconds": round(preparation.loud_seconds, 1),
        "no_speech": not transcript.text,
        "partial": preparation.damage is not None,
        "damage": preparation.damage,
        "unheard_tracks": preparation.unheard_tracks,
        "suspicious": transcript.suspicion is not None,
        "suspicion": transcript.suspicion,
        "title": preparation.requested.title,
        "speakers": list(preparation.speakers),
        "name_fields": dict(preparation.name_fields),
        "tags": dict(preparation.tags),
        "source": _source(transcript),
        "model": _model(preparation.requested),
        "options": _options(preparation.requested),
        "made_with": made_with(preparation.requested),
        "segments": [_segment(number, u) for number, u in enumerate(transcript.utterances)],
    }


def _options(requested: RecordingOptions) -> dict[str, Any]:
    """Return the options; of hotwords and corrections only the counts, as there may be thousands."""
    words = {key: len(getattr(requested.options, key)) for key in ("hotwords", "corrections")}
    return asdict(requested.options) | words


def _model(requested: RecordingOptions) -> dict[str, Any]:
    return {
        "name": requested.options.model,
        "credit": requested.model.credit,
        "caution": requested.model.caution or None,
    }


def _source(transcript: Transcript) -> dict[str, Any]:
    source = transcript.job.source
    return {
        "name": source.name,
        "inbox": str(source.inbox),
        "path": str(source.path),
        "size": source.size,
        "mtime_ns": source.mtime_ns,
        "inode": source.inode,
        "sha256": transcript.preparation.sha256,
        "media": transcript.preparation.media,
    }


def _segment(number: int, utterance: Utterance) -> dict[str, Any]:
    heard = utterance.hypothesis
    return {
        "id": number,
        "start": utterance.start,
        "end": utterance.stop,
        "speaker": utterance.speaker,
        "text": heard.text,
        "language": heard.language,
        "emotion": heard.emotion,
        "events": list(heard.events),
        "confidence": None if heard.confidence is None else round(heard.confidence, 4),
        "words": [_word(word, text) for word, text in zip(heard.words, _spaced(heard), strict=True)],
        "replacements": [asdict(replacement) for replacement in heard.replacements],
        "raw": heard.raw,
    }


def _spaced(heard: Hypothesis) -> list[str]:
    """Return the words with the space before each that the text has there: Whisper's readers join them with nothing."""
    texts = [word.text for word in heard.words]
    spans = spans_of(heard.text, texts)
    if not spans:  # they do not spell the text: as they would be written one after the other
        return [join((before, text)).removeprefix(before) for before, text in pairwise(("", *texts))]
    return [heard.text[before:stop] for (_, before), (_, stop) in pairwise(((0, 0), *spans))]


def _word(word: Word, text: str) -> dict[str, Any]:
    return {"word": text, "start": word.start, "end": word.stop, "probability": word.confidence}
