"""Render tab-separated values for spreadsheets, as Whisper does: start and end in milliseconds, text; one utterance per
line.  If there are speakers, their column comes last.  Cells that a spreadsheet would compute begin with an apostrophe.
What no reader may miss about the model is a last line, at the end of the recording.
"""

from __future__ import annotations

from transcribed.core.types import Transcript, Utterance
from transcribed.output.layout import Style
from transcribed.output.layout.paragraphs import caution, in_order, speaker_of, speakers, text_of


def render(transcript: Transcript, style: Style) -> str:
    columns = 4 if speakers(transcript) else 3
    rows = [_row(utterance) for utterance in in_order(transcript) if text_of(utterance)]
    if said := caution(transcript):
        end = str(round(transcript.preparation.audio.seconds * 1000))
        rows.append((end, end, f"[{said}]", ""))
    return "".join("\t".join(row[:columns]) + "\n" for row in [("start", "end", "text", "speaker"), *rows])


def _row(utterance: Utterance) -> tuple[str, str, str, str]:
    start, end = (str(round(seconds * 1000)) for seconds in (utterance.start, utterance.stop))
    return start, end, _cell(text_of(utterance)), _cell(speaker_of(utterance) or "")


def _cell(text: str) -> str:
    """Return text that is no formula to a spreadsheet (OWASP, CSV injection)."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
