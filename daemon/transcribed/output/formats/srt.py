"""Render SubRip subtitles with the library `srt`.  The format has no speakers, so their names are part of the text."""

from __future__ import annotations

from datetime import timedelta

import srt

from transcribed.core.types import Transcript
from transcribed.output.layout import Style
from transcribed.output.layout.cues import Cue, cues


def render(transcript: Transcript, style: Style) -> str:
    return str(srt.compose(_subtitle(n, cue) for n, cue in enumerate(cues(transcript, style, names=True), 1)))


def _subtitle(number: int, cue: Cue) -> srt.Subtitle:
    text = "\n".join(cue.lines).replace("-->", "→")  # many readers take it for the times of the next cue
    return srt.Subtitle(number, timedelta(seconds=cue.start), timedelta(seconds=cue.stop), text)
