"""How a transcript is laid out for those who read, watch or listen: what several formats share, without their syntax.

All of it is pure.  Here is what an inbox may wish of its transcripts' looks.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Style:
    """How the transcripts of an inbox are to look; each format takes what concerns it."""

    time_marks: bool = False  # in txt and md: when each paragraph begins
    sdh: bool = False  # in subtitles: sounds too, as [applause], for those who do not hear
    max_line_width: int | None = None  # of subtitles, in columns, where a Chinese character takes two; by language
    max_line_count: int = 2
    recording: str | None = None  # the way there from the transcript, a relative URL, percent-encoded; None: it is gone


PLAIN = Style()
