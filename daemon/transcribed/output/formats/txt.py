"""Render plain text: paragraphs, preceded by a sentence in brackets if the words alone would mislead."""

from __future__ import annotations

from transcribed.core.types import Transcript
from transcribed.output.layout import Style
from transcribed.output.layout.paragraphs import Paragraph, paragraphs, remarks
from transcribed.output.layout.timestamps import clock


def render(transcript: Transcript, style: Style) -> str:
    said = [_line(paragraph, style) for paragraph in paragraphs(transcript)]
    return "\n\n".join([*(f"[{remark}]" for remark in remarks(transcript)), *said]) + "\n"


def _line(paragraph: Paragraph, style: Style) -> str:
    time = f"[{clock(paragraph.start)}] " if style.time_marks else ""
    name = f"{paragraph.speaker}: " if paragraph.speaker else ""
    return f"{time}{name}{paragraph.text}"
