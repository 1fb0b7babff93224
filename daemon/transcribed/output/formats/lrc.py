"""Render timed lines for music players (LRC), one single-line cue per line.

The format has neither end times nor speakers, so speakers' names are part of the text.
"""

from __future__ import annotations

from dataclasses import replace

from transcribed.core.types import Transcript
from transcribed.output.layout import Style
from transcribed.output.layout.cues import Cue, cues
from transcribed.output.layout.paragraphs import caution, title
from transcribed.output.layout.timestamps import minutes

_BRACKETS = str.maketrans("[]", "()")  # square ones belong to the format and cannot be escaped


def render(transcript: Transcript, style: Style) -> str:
    length = transcript.preparation.audio.seconds
    tags = [f"[ti:{_plain(title(transcript))}]", f"[length:{minutes(length)}]", "[re:transcribed]"]
    found = cues(transcript, replace(style, max_line_count=1))
    before = [None, *(cue.speaker for cue in found)]
    lines = [_line(cue, cue.speaker != speaker) for cue, speaker in zip(found, before, strict=False)]
    if said := caution(transcript):  # at the end, where it takes no line's time
        lines.append(f"[{minutes(length)}]{_plain(said)}")
    return "\n".join([*tags, *lines, ""])


def _line(cue: Cue, takes_turn: bool) -> str:
    name = f"{cue.speaker}: " if cue.speaker and takes_turn else ""
    return f"[{minutes(cue.start)}]{_plain(name + ''.join(cue.lines))}"


def _plain(text: str) -> str:
    return text.translate(_BRACKETS)
