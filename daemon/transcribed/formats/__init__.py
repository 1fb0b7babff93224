"""Transcript -> the text of a file; one module per format, all pure.  The format's name is the file's suffix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Literal, cast, get_args

from transcribed.core import Transcript

Format = Literal["json", "html", "md", "tsv", "lrc", "srt", "vtt", "txt"]
FORMATS: tuple[Format, ...] = get_args(Format)
"""In the order in which they are written: whoever waits for the text finds the others there."""

USUAL: tuple[Format, ...] = ("json", "srt", "vtt", "txt")


@dataclass(frozen=True, slots=True)
class Style:
    """How the transcripts of an inbox are to look; each format takes what concerns it."""

    time_marks: bool = False  # in txt and md: when each paragraph begins
    sdh: bool = False  # in subtitles: sounds too, as [applause], for those who do not hear
    max_line_width: int | None = None  # of subtitles, in columns, where a Chinese character takes two; by language
    max_line_count: int = 2
    recording: str | None = None  # the way there from the transcript, a relative URL, percent-encoded; None: it is gone


PLAIN = Style()


def render(transcript: Transcript, format: Format, style: Style = PLAIN) -> str:
    """The whole file as text."""
    module = import_module(f"transcribed.formats.{format}")
    return cast(Callable[[Transcript, Style], str], module.render)(transcript, style)
