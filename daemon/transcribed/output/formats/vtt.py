"""Render WebVTT subtitles with the library `webvtt-py`; speakers become voices."""

from __future__ import annotations

from html import escape

from webvtt import Caption, WebVTT

from transcribed.core.types import Transcript
from transcribed.output.layout import Style
from transcribed.output.layout.cues import Cue, cues
from transcribed.output.layout.paragraphs import caution
from transcribed.output.layout.timestamps import timestamp
from transcribed.output.transcript import language_of


def render(transcript: Transcript, style: Style) -> str:
    language = language_of(transcript)
    told = [f"Language: {escape(language)}"] if language else []
    told += [escape(said)] if (said := caution(transcript)) else []
    file = WebVTT(header_comments=told or None)
    file.captions += map(_caption, cues(transcript, style))
    return str(file.content).rstrip("\n") + "\n"


def _caption(cue: Cue) -> Caption:
    """Make a caption with escaped text: `&` and `<` begin entities and tags, `>` ends a voice's name or an arrow."""
    voice = f"<v {escape(cue.speaker, quote=False)}>" if cue.speaker else ""
    text = "\n".join(escape(line, quote=False) for line in cue.lines)
    return Caption(timestamp(cue.start), timestamp(cue.stop), voice + text)
