"""Plain text to read: one utterance a line, and a sentence in brackets where the words alone would mislead."""

from __future__ import annotations

from transcribed.core import Transcript
from transcribed.formats import Style


def render(transcript: Transcript, style: Style) -> str:
    remarks = [f"[{remark}]" for remark in _remarks(transcript)]
    return "\n".join([*remarks, transcript.text, ""] if transcript.text else [*remarks, ""])


def _remarks(transcript: Transcript) -> list[str]:
    preparation = transcript.preparation
    remarks = [preparation.damage] if preparation.damage else []
    if not transcript.text:
        remarks.append(f"No speech was heard in this recording of {preparation.audio.seconds:.1f} seconds.")
    return remarks
