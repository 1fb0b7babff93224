"""Divide a transcript into subtitle cues and time them, for srt, vtt and lrc alike.  Knows no syntax.

Each utterance is split into cues by itself.  The cues of all speakers are then sorted by their start and timed one
after the other, so that none overlaps the next.  Two that speak at once share the time by how much there is to read:
each cue ends where the other begins, but no sooner than it could be seen.

A cue stays for as long as it takes to read it, unless another follows sooner.  Words spoken faster than that are
neither left out nor held back.  The limits are Netflix's (Timed Text Style Guides).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from transcribed.core.types import Transcript, Utterance
from transcribed.output.layout import PLAIN, Style
from transcribed.output.layout.breakable_units import BreakableUnit, atoms, fitted, shown, units
from transcribed.output.layout.line_breaking import (
    MAX_SECONDS,
    MIN_SECONDS,
    PAUSE_SECONDS,
    CueLimits,
    split_into_cues,
    split_into_lines,
)
from transcribed.output.layout.paragraphs import in_order, speaker_of, text_of
from transcribed.output.layout.sound_events import sounds
from transcribed.output.layout.text_metrics import NO_BREAK, is_chinese, is_japanese, width
from transcribed.output.transcript import language_of

LIMITS: dict[str, tuple[int, int]] = {"en": (42, 20), "zh": (32, 18), "yue": (32, 18), "ja": (26, 8), "ko": (32, 24)}
"""By language: columns of a line, and columns read in a second.  The guides count full-width characters: 16 in a line
and 9 a second for Chinese, 13 and 4 for Japanese, 16 and 12 for Korean; a column is half of one."""
OTHERS = (42, 17)
GAP_SECONDS = 2 / 24  # between cues, where it takes nothing from them
MAX_LAG_SECONDS = 2.0  # of a cue behind the voice, while the one before has not been seen for long enough
FLASH_SECONDS = 0.1  # no cue is shorter, whatever follows

_HANGUL = re.compile(r"[\uac00-\ud7af]")


@dataclass(frozen=True, slots=True)
class Cue:
    start: float  # seconds, to the millisecond
    stop: float
    lines: tuple[str, ...]
    speaker: str | None = None
    is_sound: bool = False  # of nothing but sounds


@dataclass(frozen=True, slots=True)
class _Part:
    """A cue before it is timed: its units, and the start of their speech."""

    units: Sequence[BreakableUnit]
    start: float
    limits: CueLimits
    speaker: str | None
    is_sound: bool

    @property
    def stop(self) -> float:
        return max(unit.stop for unit in self.units)

    @property
    def seconds(self) -> float:
        """The time it takes to read."""
        return self.limits.reading_seconds(width(shown(self.units)))


def cues(transcript: Transcript, style: Style = PLAIN, *, names: bool = False) -> list[Cue]:
    """Return the cues in order: none empty, none overlapping the next; all the words, a speaker's in their order.

    With `names`, `NAME:` stands where another speaks than in the cue before; who has a place of its own for speakers
    goes without.
    """
    parts = sorted(_parts(transcript, style, names), key=lambda part: part.start)
    parts = list(_named(parts)) if names else parts
    starts = _starts(parts)
    return [
        Cue(start, stop, tuple(map(shown, split_into_lines(part.units, part.limits))), part.speaker, part.is_sound)
        for part, start, stop in zip(parts, starts, _stops(parts, starts), strict=True)
    ]


# --- what is said ------------------------------------------------------------------------------------


def _parts(transcript: Transcript, style: Style, names: bool) -> Iterator[_Part]:
    """Yield each speaker's parts in the order of the words, with rising `start`: sorting by it keeps that order."""
    utterances = in_order(transcript)
    language = language_of(transcript) or transcript.preparation.requested.options.language
    others = _others(utterances)
    last: dict[str | None, Utterance] = {}
    reached: dict[str | None, float] = defaultdict(float)
    turn: str | None = None
    for utterance in utterances:
        speaker, limits, is_sound = speaker_of(utterance), _limits(utterance, style), not text_of(utterance)
        said = _said(utterance, limits, sounds(utterance, last.get(speaker), language) if style.sdh else [])
        last[speaker] = utterance
        label = _label(speaker, limits) if names and said and speaker != turn else ""
        for group in split_into_cues(said, limits, others[speaker], lead=len(label) and width(label) + 1):
            turn = speaker
            reached[speaker] = max(reached[speaker], group[0].start)
            yield _Part(group, reached[speaker], limits, speaker, is_sound)


def _others(utterances: Sequence[Utterance]) -> dict[str | None, list[float]]:
    """Return, by speaker, the times at which others begin to speak."""
    turns = [(speaker_of(u), u.start) for u in utterances if text_of(u)]
    return {speaker: [at for who, at in turns if who != speaker] for speaker in {speaker_of(u) for u in utterances}}


def _limits(utterance: Utterance, style: Style) -> CueLimits:
    columns, speed = LIMITS.get(utterance.hypothesis.language or "") or _guessed(utterance.hypothesis.text)
    return CueLimits(max(2, style.max_line_width or columns), max(1, style.max_line_count), speed)


def _guessed(text: str) -> tuple[int, int]:
    """Return the limits of the script, for text in no known language or in one without limits of its own."""
    if is_japanese(text):
        return LIMITS["ja"]
    if _HANGUL.search(text):
        return LIMITS["ko"]
    return LIMITS["zh"] if is_chinese(text) else OTHERS


def _said(utterance: Utterance, limits: CueLimits, sounds: Sequence[str]) -> list[BreakableUnit]:
    """Return an utterance's units, its sounds before its words."""
    spoken = atoms(utterance)
    words = units(spoken, limits.columns, whole=_is_short(spoken, utterance, limits))
    start, stop = (min(utterance.start, words[0].start), words[0].start) if words else (utterance.start, utterance.stop)
    heard = [BreakableUnit(word, start, stop, spaced=True) for sound in sounds for word in sound.split()]
    parts = [part for unit in heard for part in fitted(unit, limits.columns)]
    return [*parts, *(replace(unit, spaced=True) for unit in words[:1]), *words[1:]] if parts else words


def _is_short(atoms: Sequence[BreakableUnit], utterance: Utterance, limits: CueLimits) -> bool:
    """Return whether it fits one line and one cue, even with a name before it."""
    if not atoms:
        return True
    paused = any(b.start - a.stop >= PAUSE_SECONDS for a, b in pairwise(atoms))
    room = limits.columns - width(_label(speaker_of(utterance), limits)) - 1
    return not paused and atoms[-1].stop - atoms[0].start <= MAX_SECONDS and width(shown(atoms)) <= room


# --- names -------------------------------------------------------------------------------------------


def _named(parts: Iterable[_Part]) -> Iterator[_Part]:
    """Put a name before every part where the speaker changes; a part without room for it becomes two."""
    before: str | None = None
    reached: dict[str | None, float] = defaultdict(float)
    for part in parts:
        label = _label(part.speaker, part.limits) if part.speaker != before else ""
        before = part.speaker
        for group in split_into_cues(_labelled(part.units, label, part.limits), part.limits) if label else [part.units]:
            reached[part.speaker] = max(reached[part.speaker], part.start, group[0].start)
            yield replace(part, units=group, start=reached[part.speaker])


def _label(speaker: str | None, limits: CueLimits) -> str:
    """Return `NAME:` in at most half a line; "" if there is no room for even a letter."""
    name, room = speaker or "", limits.columns // 2 - 1
    if width(name) > room:
        fitting = [n for n in range(1, len(name)) if width(name[:n]) < room]
        name = f"{name[: fitting[-1]]}…" if fitting else ""
    return f"{name}:" if name else ""


def _labelled(units: Sequence[BreakableUnit], label: str, limits: CueLimits) -> Sequence[BreakableUnit]:
    """Put the name before the first unit or on a line of its own; nowhere if one unit takes all the room."""
    first = units[0]
    together = replace(first, text=f"{label} {first.text}")
    if width(together.text) <= limits.columns:
        return [together, *units[1:]]
    if limits.lines == 1:
        return units
    return [
        BreakableUnit(label, first.start, first.start, break_cost=NO_BREAK),
        replace(first, spaced=True),
        *units[1:],
    ]


# --- times -------------------------------------------------------------------------------------------


def _starts(parts: Sequence[_Part]) -> list[float]:
    """Start each part with its first word, or a little later: once the previous one has been seen long enough."""
    starts: list[float] = []
    for n, part in enumerate(parts):
        start = part.start
        if n:
            end = parts[n + 1].start if n + 1 < len(parts) else float("inf")
            wanted = starts[-1] + _share(parts[n - 1], part, starts[-1], end)
            start = max(start, starts[-1] + FLASH_SECONDS, min(wanted, start + MAX_LAG_SECONDS))
        starts.append(round(start, 3))
    return starts


def _share(before: _Part, part: _Part, start: float, end: float) -> float:
    """Return how many seconds a part that starts at `start` is shown before the next, which itself ends by `end`."""
    if before.stop <= part.start:
        return MIN_SECONDS
    seconds = min(end, max(before.stop, part.stop)) - start
    fair = seconds * before.seconds / (before.seconds + part.seconds)
    return max(MIN_SECONDS, min(fair, before.stop - start))


def _stops(parts: Sequence[_Part], starts: Sequence[float]) -> list[float]:
    followed = zip(parts, starts, [*starts[1:], float("inf")], strict=False)
    return [round(_stop(part, start, following), 3) for part, start, following in followed]


def _stop(part: _Part, start: float, following: float) -> float:
    read = start + part.seconds
    stop = min(max(part.stop, read), start + MAX_SECONDS, following)
    return min(stop, following - GAP_SECONDS) if read <= following - GAP_SECONDS else stop
