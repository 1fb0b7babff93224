"""SubRip subtitles, written by the library `srt`.  The format knows no speakers: their names are in the text."""

from __future__ import annotations

from datetime import timedelta

import srt

from transcribed.core.types import Transcript
from transcribed.output.layout import Style
from transcribed.output.layout.cues import Cue, cues


def render(transcript: Transcript, style: Style) -> str:
    return str(srt.compose(_subtitle(n, cue) for n, cue in enumerate(cues(transcript, style, names=True), 1)))


def _subtitle(number: int, cue: Cue) -> srt.Subtitle:
    text = "\n".join(cue.lines).replace("-->", "→")  # by which many readers know the times of the next cue
    return srt.Subtitle(number, timedelta(seconds=cue.start), timedelta(seconds=cue.stop), text)
