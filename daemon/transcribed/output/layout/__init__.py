"""Lay a transcript out for reading, watching or listening: the logic shared by several formats, without their syntax.

All of it is pure.  This module holds the style settings of an inbox.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Style:
    """The style of an inbox's transcripts; each format uses the settings that apply to it."""

    time_marks: bool = False  # in txt and md: the start of each paragraph
    sdh: bool = False  # in subtitles: sounds too, as [applause], for the deaf and hard of hearing
    max_line_width: int | None = None  # of subtitles, in columns, where a Chinese character takes two; by language
    max_line_count: int = 2
    recording: str | None = None  # URL relative to the transcript, percent-encoded; None: the recording is not kept


PLAIN = Style()
