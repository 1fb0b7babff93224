"""Lay out a recording's timeline: lanes of speech, emotions, events and languages.

Pure; knows no syntax of any file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from transcribed.core.types import NO_SPEECH, Transcript, Utterance

UNITS = 1000
"""The length of a lane, whatever the recording's length in seconds; so even twelve hours have few stretches."""
MIN_UNITS = 2  # the shortest stretch, so that it is visible

Kind = Literal["speech", "emotion", "event", "language"]
Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Lane:
    kind: Kind
    name: str | None  # a speaker, an emotion, an event, a language; None: speech of unnamed speakers
    seconds: float
    stretches: tuple[tuple[int, int], ...]  # (start, length) in units; apart, rising


def lanes(transcript: Transcript) -> list[Lane]:
    """Return the lanes: speech first, by speaker if there are several, then the others in order of first occurrence.

    A single language gets no lane.
    """
    spans: dict[tuple[Kind, str | None], list[Span]] = defaultdict(list)
    for utterance in transcript.utterances:
        for key in _keys(utterance):
            spans[key].append((utterance.start, utterance.stop))
    if sum(kind == "language" for kind, _ in spans) == 1:
        spans = {key: spans[key] for key in spans if key[0] != "language"}
    seconds = transcript.preparation.audio.seconds
    order: list[Kind] = ["speech", "emotion", "event", "language"]
    keys = sorted(spans, key=lambda key: order.index(key[0]))
    return [Lane(*key, sum(b - a for a, b in spans[key]), tuple(stretches(spans[key], seconds))) for key in keys]


def _keys(utterance: Utterance) -> Iterator[tuple[Kind, str | None]]:
    heard = utterance.hypothesis
    if heard.text:
        yield "speech", utterance.speaker
    if heard.emotion:
        yield "emotion", heard.emotion
    for event in dict.fromkeys(heard.events):
        yield "event", event
    if heard.text and heard.language and heard.language != NO_SPEECH:
        yield "language", heard.language


def stretches(spans: Iterable[Span], seconds: float) -> Iterator[tuple[int, int]]:
    """Convert spans in seconds to units of the recording's length; touching stretches are joined."""
    start = stop = -1
    for span in sorted(spans):
        a, b = (min(UNITS, round(UNITS * at / seconds)) if seconds > 0 else 0 for at in span)
        a = min(a, UNITS - MIN_UNITS)
        if a > stop:
            if stop >= 0:
                yield start, stop - start
            start, stop = a, a + MIN_UNITS
        stop = max(stop, b)
    if stop >= 0:
        yield start, stop - start


def ticks(seconds: float, most: int = 5) -> list[float]:
    """Return round times for an axis of that length, including 0 but not the end."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800)
    step = next((step for step in steps if seconds / step <= most), seconds / most)
    return [0.0] + [n * step for n in range(1, most + 1) if n * step < 0.97 * seconds]
