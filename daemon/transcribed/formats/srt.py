"""SubRip subtitles, written by the library `srt`."""

from __future__ import annotations

from datetime import timedelta

import srt

from transcribed.core import Transcript
from transcribed.formats import Style
from transcribed.formats.cues import cues


def render(transcript: Transcript, style: Style) -> str:
    subtitles = [
        srt.Subtitle(number, timedelta(seconds=cue.start), timedelta(seconds=cue.stop), cue.text)
        for number, cue in enumerate(cues(transcript), 1)
    ]
    return str(srt.compose(subtitles))
