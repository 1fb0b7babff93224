"""Read a transcript back from its JSON, so that it can be exported to other formats at any time.

No format needs the data missing from the file (samples, the position of each segment).  Knows JSON; nothing of folders.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transcribed.core.errors import Permanent
from transcribed.core.types import (
    SAMPLE_RATE,
    Audio,
    Hypothesis,
    Job,
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
from transcribed.output.formats.json import SCHEMA, SCHEMA_VERSION


def read(text: str) -> Transcript:
    """Parse a JSON transcript.  Raise Permanent for JSON that is not ours, or is of a later version."""
    try:
        document = json.loads(text)
        if document["schema"] != SCHEMA:
            raise ValueError
        if document["schema_version"] > SCHEMA_VERSION:
            raise Permanent("The transcript was made by a later version of this program.", "Update the program.")
        return _transcript(document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Permanent(
            "The file is not a JSON transcript of this program.", "Name a recording, or its .json file."
        ) from error


def _transcript(document: Mapping[str, Any]) -> Transcript:
    told = document["source"]
    inbox, path = Path(told["inbox"]), Path(told["path"])
    source = Source(inbox, path, told["size"], told["mtime_ns"], told["inode"])
    options = Options(document["model"]["name"], document["options"]["language"], document["options"]["itn"])
    return Transcript(
        Job(0, source, source.name, 0.0),
        _preparation(document, options),
        tuple(_utterance(segment) for segment in document["segments"]),
        document.get("suspicion"),
    )


def _preparation(document: Mapping[str, Any], options: Options) -> Preparation:
    samples = round(document["duration"] * SAMPLE_RATE)
    audio = Audio(Path(), samples)
    kept = samples - round(document["left_out_seconds"] * SAMPLE_RATE)
    return Preparation(
        audio,
        (Segment(0, 0, audio, 0, kept, round(document["speech_seconds"] * SAMPLE_RATE)),),
        document["source"]["sha256"],
        document["source"]["media"],
        RecordingOptions(options, title=document.get("title")),
        document["damage"],
        tuple(document.get("speakers", ())),
        tuple(document.get("name_fields", {}).items()),
        tuple(document.get("tags", {}).items()),
    )


def _utterance(segment: Mapping[str, Any]) -> Utterance:
    words = (Word(w["word"], w["start"], w["end"], w["probability"]) for w in segment["words"])
    heard = Hypothesis(
        segment["text"],
        tuple(words),
        segment["language"],
        segment["emotion"],
        tuple(segment["events"]),
        segment["confidence"],
        segment["raw"],
        tuple(Replacement(**replacement) for replacement in segment.get("replacements", ())),
    )
    return Utterance(segment["start"], segment["end"], heard, segment.get("speaker"))
