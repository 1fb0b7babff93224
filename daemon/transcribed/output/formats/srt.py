"""Render SubRip subtitles with the library `srt`.  The format has no speakers, so their names are part of the text.

A file without any cue is none to FFmpeg and others, so a recording without speech has one that says so.  The format has
no remarks either: what no reader may miss about the model is a last cue.
"""

from __future__ import annotations

from datetime import timedelta

import srt

from transcribed.core.types import Transcript
from transcribed.output.layout import Style
from transcribed.output.layout.cues import Cue, cues
from transcribed.output.layout.paragraphs import caution

NOTHING = "[No speech was detected.]"
REMARK_SECONDS = 3.0


def render(transcript: Transcript, style: Style) -> str:
    found = cues(transcript, style, names=True)
    subtitles = [_subtitle(n, cue) for n, cue in enumerate(found, 1)] or [_nothing(transcript)]
    if said := caution(transcript):
        start = max(subtitles[-1].end, timedelta(seconds=transcript.preparation.audio.seconds))
        subtitles.append(
            srt.Subtitle(len(subtitles) + 1, start, start + timedelta(seconds=REMARK_SECONDS), f"[{said}]")
        )
    return str(srt.compose(subtitles))


def _nothing(transcript: Transcript) -> srt.Subtitle:
    seconds = min(REMARK_SECONDS, transcript.preparation.audio.seconds)
    return srt.Subtitle(1, timedelta(), timedelta(seconds=seconds), NOTHING)


def _subtitle(number: int, cue: Cue) -> srt.Subtitle:
    text = "\n".join(cue.lines).replace("-->", "→")  # many readers take it for the times of the next cue
    return srt.Subtitle(number, timedelta(seconds=cue.start), timedelta(seconds=cue.stop), text)
