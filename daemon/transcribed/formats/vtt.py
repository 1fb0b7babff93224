"""WebVTT subtitles, written by the library `webvtt-py`."""

from __future__ import annotations

import html

from webvtt import Caption, WebVTT

from transcribed.core import Transcript
from transcribed.formats import Style
from transcribed.formats.cues import cues


def render(transcript: Transcript, style: Style) -> str:
    file = WebVTT()
    for cue in cues(transcript):
        text = html.escape(cue.text, quote=False)  # `&`, `<` and with `>` the arrow that ends a cue's times
        file.captions.append(Caption(_time(cue.start), _time(cue.stop), text))
    return str(file.content).rstrip("\n") + "\n"


def _time(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"
