"""Provide what the human-readable formats share: order, speakers, paragraphs, title and remarks.

Pure; knows no syntax of any file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from transcribed.core.text import join
from transcribed.core.types import Transcript, Utterance
from transcribed.output.layout.text_metrics import SENTENCE, break_cost, one_line, width

PAUSE_SECONDS = 2.0
LONG_COLUMNS = 500  # after which a paragraph ends with the sentence
NOTHING = "No speech was detected in this recording of {} seconds."
LOUD = "In {:.0f} seconds of it, something was louder than the background, and was not taken for speech."
TELLING_SECONDS = 3.0
TOO_LONG_COLUMNS = 1500  # after which it ends anywhere, as text without punctuation would never end it


@dataclass(frozen=True, slots=True)
class Paragraph:
    start: float  # seconds
    speaker: str | None
    text: str  # one line, not empty


def in_order(transcript: Transcript) -> list[Utterance]:
    """Return the utterances by start time; separately recognized channels may come one after the other."""
    return sorted(transcript.utterances, key=lambda utterance: utterance.start)


def text_of(utterance: Utterance) -> str:
    """Return the visible text of an utterance in one line; it may be empty."""
    text = one_line(utterance.hypothesis.text)
    return text if width(text) else ""


def speaker_of(utterance: Utterance) -> str | None:
    return one_line(utterance.speaker or "") or None


def paragraphs(transcript: Transcript) -> list[Paragraph]:
    """Return all text in order.  A paragraph ends at a change of speaker, at a pause, or with a sentence once long."""
    groups = in_paragraphs([u for u in in_order(transcript) if text_of(u)])
    return [Paragraph(g[0].start, speaker_of(g[0]), join(map(text_of, g))) for g in groups]


def in_paragraphs(utterances: Iterable[Utterance]) -> list[list[Utterance]]:
    """Group the utterances that form a paragraph together."""
    groups: list[list[Utterance]] = []
    for utterance in utterances:
        if not groups or _begins(groups[-1], utterance):
            groups.append([])
        groups[-1].append(utterance)
    return groups


def _begins(before: Sequence[Utterance], utterance: Utterance) -> bool:
    texts = [text for u in before if (text := text_of(u))]
    columns = sum(map(width, texts))
    long = columns >= LONG_COLUMNS and break_cost(texts[-1]) == SENTENCE
    pause = utterance.start - max(u.stop for u in before) >= PAUSE_SECONDS
    return pause or long or columns >= TOO_LONG_COLUMNS or utterance.speaker != before[-1].speaker


def speakers(transcript: Transcript) -> list[str]:
    """Return the speakers in the order in which they first speak."""
    return list(dict.fromkeys(s for u in in_order(transcript) if text_of(u) and (s := speaker_of(u))))


def caution(transcript: Transcript) -> str:
    """Return what no reader of the words may miss about the model that wrote them; empty if there is nothing."""
    requested = transcript.preparation.requested
    if not requested.model.caution:
        return ""
    return one_line(f"Written by the model {requested.options.model}: {requested.model.caution}")


def remarks(transcript: Transcript, nothing: str = NOTHING) -> list[str]:
    """Return the sentences without which the text would mislead; `nothing` is the template for a silent recording."""
    preparation = transcript.preparation
    said = [caution(transcript), preparation.damage, transcript.suspicion]
    if not any(map(text_of, transcript.utterances)):
        said.append(nothing.format(f"{preparation.audio.seconds:.1f}"))
        if preparation.loud_seconds >= TELLING_SECONDS:
            said.append(LOUD.format(preparation.loud_seconds))
    return [one_line(remark) for remark in said if remark]


def began(transcript: Transcript) -> datetime | None:
    """Return when the recording began, by its file's name or its own tags; None if neither has a readable time."""
    told = dict(transcript.preparation.tags) | dict(transcript.preparation.name_fields)
    for text in filter(None, (told.get("started"), told.get("creation_time"))):
        with suppress(ValueError):
            return datetime.fromisoformat(text)
    return None


def title(transcript: Transcript) -> str:
    """Return the requested title, or the title in the recording's tags, or its file's name."""
    preparation = transcript.preparation
    titles = (preparation.requested.title, dict(preparation.tags).get("title"), transcript.job.source.path.name)
    return next((clean for title in titles if title and (clean := one_line(title))), "")
