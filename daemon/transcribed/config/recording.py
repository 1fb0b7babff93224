"""What may be set for one recording: in the configuration of its inbox, in a file of its folders, in a file beside it.

The schema alone; overrides.py reads those files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from transcribed.config import hotword_file
from transcribed.config.fields import Table
from transcribed.core.types import Options
from transcribed.output.formats import DEFAULT_FORMATS, Format


def _vocabulary(lines: tuple[str, ...]) -> tuple[str, ...]:
    hotword_file.parse(lines)
    return lines


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("two channels have one name")
    return names


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60, pattern=r"^[^\n\r\t<>:]+$")]
Names = Annotated[tuple[Name, ...], Field(min_length=1, max_length=32), AfterValidator(_distinct)]


class RecordingSettings(Table):
    """What may be said of an inbox, of a folder in it, or of one recording."""

    language: Literal["auto", "zh", "en", "yue", "ja", "ko"] = Field(
        "auto", description="The language spoken, or auto."
    )
    itn: bool = Field(True, description="Write numbers and punctuation as people do (inverse text normalization).")
    hotwords: Annotated[tuple[str, ...], AfterValidator(_vocabulary)] = Field(
        (),
        description='Words to expect, such as names, and corrections "heard => meant".  Besides them, those of '
        "hotwords.txt beside this file and in the root of the inbox, one per line.",
    )
    channels: Literal["mix", "split"] | Names = Field(
        "mix",
        description='"mix": all channels are heard as one.  "split", or their names as in ["caller", "callee"]: each '
        "is recognized apart, and who speaks is told.",
    )
    formats: tuple[Format, ...] = Field(
        DEFAULT_FORMATS, min_length=1, description="The files written: json, html, md, tsv, lrc, srt, vtt, txt."
    )


class RecordingOverrides(RecordingSettings):
    """What may stand in a sidecar or folder file."""

    title: Text | None = None


@dataclass(frozen=True, slots=True)
class InboxDefaults:
    """What counts for a recording of an inbox where nothing nearer to it says otherwise."""

    options: Options
    channels: tuple[str, ...] | None = None
    hotwords_file: Path | None = None  # besides that of the inbox itself
    name_pattern: re.Pattern[str] | None = None  # of what the names of recordings tell
    min_coverage: float = 0.5
    model_version: str = ""


def channel_names(said: str | tuple[str, ...]) -> tuple[str, ...] | None:
    """As settings spell it -> as RecordingOptions do."""
    if isinstance(said, str):
        return () if said == "split" else None
    return said


def with_hotwords(options: Options, lines: tuple[str, ...]) -> Options:
    """With more hotwords and corrections, those of before first."""
    hotwords, corrections = hotword_file.parse(lines)
    return replace(
        options,
        hotwords=tuple(dict.fromkeys((*options.hotwords, *hotwords))),
        corrections=tuple(dict.fromkeys((*options.corrections, *corrections))),
    )
