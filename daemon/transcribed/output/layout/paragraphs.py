"""What the formats that people read have in common: in what order, by whom, in which paragraphs, under what title, and
what must be said of it.

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
LONG_COLUMNS = 500  # after which a paragraph ends with a sentence
NOTHING = "No speech was heard in this recording of {} seconds."
TOO_LONG_COLUMNS = 1500  # after which it ends with whatever there is, where nobody puts marks


@dataclass(frozen=True, slots=True)
class Paragraph:
    start: float  # seconds
    speaker: str | None
    text: str  # one line, not empty


def in_order(transcript: Transcript) -> list[Utterance]:
    """By when they begin, whatever their order is: channels that are recognized apart may come one by one."""
    return sorted(transcript.utterances, key=lambda utterance: utterance.start)


def text_of(utterance: Utterance) -> str:
    """What is there to be seen of its words, in one line; may be nothing."""
    text = one_line(utterance.hypothesis.text)
    return text if width(text) else ""


def speaker_of(utterance: Utterance) -> str | None:
    return one_line(utterance.speaker or "") or None


def paragraphs(transcript: Transcript) -> list[Paragraph]:
    """All the words, in order.  A paragraph ends where another speaks, at a pause, and in time at a sentence."""
    groups = in_paragraphs([u for u in in_order(transcript) if text_of(u)])
    return [Paragraph(g[0].start, speaker_of(g[0]), join(map(text_of, g))) for g in groups]


def in_paragraphs(utterances: Iterable[Utterance]) -> list[list[Utterance]]:
    """Those that make a paragraph together."""
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
    """In the order in which they first speak."""
    return list(dict.fromkeys(s for u in in_order(transcript) if text_of(u) and (s := speaker_of(u))))


def remarks(transcript: Transcript, nothing: str = NOTHING) -> list[str]:
    """Sentences without which the words alone would mislead; `nothing` is the one for silence of so many seconds."""
    preparation = transcript.preparation
    said = [preparation.damage, transcript.suspicion]
    if not any(map(text_of, transcript.utterances)):
        said.append(nothing.format(f"{preparation.audio.seconds:.1f}"))
    return [one_line(remark) for remark in said if remark]


def began(transcript: Transcript) -> datetime | None:
    """When the recording began, by its file's name or by itself, if one of them tells so that it can be read."""
    told = dict(transcript.preparation.tags) | dict(transcript.preparation.name_fields)
    for text in filter(None, (told.get("started"), told.get("creation_time"))):
        with suppress(ValueError):
            return datetime.fromisoformat(text)
    return None


def title(transcript: Transcript) -> str:
    """As wished, as the recording says of itself, or its file's name."""
    preparation = transcript.preparation
    titles = (preparation.requested.title, dict(preparation.tags).get("title"), transcript.job.source.path.name)
    return next((clean for title in titles if title and (clean := one_line(title))), "")
