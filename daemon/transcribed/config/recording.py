"""The settings of a recording: in the configuration of its inbox, in a file of its folders, in a file beside it.

The schema only; overrides.py reads those files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from transcribed.config import hotword_file
from transcribed.config.fields import Table
from transcribed.config.hotword_file import Corrections
from transcribed.core.types import BEST_TRACK, ModelFacts, Options
from transcribed.output.formats import DEFAULT_FORMATS, Format


def _vocabulary(lines: tuple[str, ...]) -> tuple[str, ...]:
    hotword_file.parse(lines)
    return lines


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("two channels have the same name")
    return names


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60, pattern=r"^[^\n\r\t<>:]+$")]
Names = Annotated[tuple[Name, ...], Field(min_length=1, max_length=32), AfterValidator(_distinct)]


class RecordingSettings(Table):
    """The keys allowed for an inbox, a folder in it, or one recording."""

    language: Literal["auto", "zh", "en", "yue", "ja", "ko"] = Field(
        "auto", description="The language spoken, or auto to detect it."
    )
    itn: bool = Field(True, description="Write numbers and punctuation as people do (inverse text normalization).")
    hotwords: Annotated[tuple[str, ...], AfterValidator(_vocabulary)] = Field(
        (),
        description='Words to expect, such as names, and corrections "heard => meant".  They add to hotwords.txt '
        "beside this file and in the root of the inbox (one entry per line).",
    )
    channels: Literal["mix", "split"] | Names = Field(
        "mix",
        description='"mix": all channels are recognized as one.  "split", or names such as ["caller", "callee"]: each '
        "channel is recognized separately, and the transcript names the speaker.",
    )
    tracks: Annotated[str, StringConstraints(pattern=r"^(best|all|[a-z]{2,3})$")] = Field(
        BEST_TRACK,
        description='Which audio track of a file with several.  "best": the one that players choose, or another if '
        'nobody speaks in it.  "all": each is recognized separately, and the transcript names it.  A language, such as '
        '"en": the track in it, if there is one.',
    )
    formats: tuple[Format, ...] = Field(
        DEFAULT_FORMATS, min_length=1, description="Formats to write: json, html, md, tsv, lrc, srt, vtt, txt."
    )


class RecordingOverrides(RecordingSettings):
    """The keys allowed in a sidecar or folder file."""

    title: Text | None = None


@dataclass(frozen=True, slots=True)
class InboxDefaults:
    """The settings of an inbox that apply to a recording unless a file nearer to it overrides them."""

    options: Options
    channels: tuple[str, ...] | None = None
    tracks: str = BEST_TRACK
    hotwords_file: Path | None = None  # in addition to the one in the inbox itself
    name_pattern: re.Pattern[str] | None = None  # finds metadata in the names of recordings
    min_coverage: float = 0.5
    model: ModelFacts = field(default_factory=ModelFacts)
    hard_links: bool = True  # read files that have another name elsewhere


def channel_names(said: str | tuple[str, ...]) -> tuple[str, ...] | None:
    """Convert the spelling of the settings to names: () for "split", None for "mix"."""
    if isinstance(said, str):
        return () if said == "split" else None
    return said


def with_hotwords(options: Options, hotwords: tuple[str, ...], corrections: Corrections) -> Options:
    """Return the options with hotwords added, and with corrections, which replace those of the same heard words."""
    replaced = {heard.lower() for heard, _ in corrections}
    kept = [(heard, meant) for heard, meant in options.corrections if heard.lower() not in replaced]
    return replace(
        options,
        hotwords=tuple(dict.fromkeys((*options.hotwords, *hotwords))),
        corrections=tuple(dict.fromkeys((*kept, *corrections))),
    )
