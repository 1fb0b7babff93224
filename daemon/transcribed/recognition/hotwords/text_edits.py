"""Apply edits to a text and to its words with their times.  Pure; knows nothing of the reasons."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from transcribed.core.text import UNSPACED
from transcribed.core.types import Word
from transcribed.recognition.hotwords.edit_distance import LETTER

_LETTER = re.compile(f"[{LETTER}]")
_UNITS = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")

Place = tuple[int, int]
"""The index of a word, and of a character in it."""


@dataclass(frozen=True, slots=True)
class Edit:
    start: int  # character of the text
    stop: int  # exclusive
    written: str
    score: float = 1.0


def apply_edits(text: str, words: Sequence[Word], edits: Sequence[Edit]) -> tuple[str, tuple[Word, ...]]:
    """Return text and words with all edits, which are in order and do not overlap.

    If the number of words does not change, each keeps its time; otherwise the new words share the time of those they
    replace, by length.  Words that cannot be found in the text stay unchanged.
    """
    return _text(text, edits), _words(text, words, edits)


def _text(text: str, edits: Sequence[Edit]) -> str:
    """Return the edited text, with a space wherever letters of two words would meet."""
    joined, at = "", 0
    for edit in edits:
        for piece in (text[at : edit.start], edit.written):
            joined = _apart(joined, piece)
        at = edit.stop
    return _apart(joined, text[at:])


def _apart(before: str, after: str) -> str:
    meet = _LETTER.match(before[-1:]) and _LETTER.match(after)
    return f"{before} {after}" if meet else before + after


def _words(text: str, words: Sequence[Word], edits: Sequence[Edit]) -> tuple[Word, ...]:
    places = _places(text, words)
    left = list(words)
    for edit in reversed(edits):  # so that earlier places stay valid
        touched = [places[at] for at in range(edit.start, edit.stop) if at in places]
        if touched:
            (first, offset), (last, end) = touched[0], touched[-1]
            prefix, suffix = left[first].text[:offset], left[last].text[end + 1 :]
            left[first : last + 1] = _respoken(left[first : last + 1], prefix, _units(edit.written), suffix)
    return tuple(left)


def _places(text: str, words: Sequence[Word]) -> Mapping[int, Place]:
    """Return the place of each character; of letters and digits only, if just the text has marks."""
    spoken = [((n, offset), c) for n, word in enumerate(words) for offset, c in enumerate(word.text)]
    shown = list(enumerate(text))
    for counts in (_not_space, str.isalnum):
        inside = [(place, c) for place, c in spoken if counts(c)]
        outside = [(at, c) for at, c in shown if counts(c)]
        if [c for _, c in inside] == [c for _, c in outside]:
            return {at: place for (at, _), (place, _) in zip(outside, inside, strict=True)}
    return {}


def _not_space(character: str) -> bool:
    return not character.isspace()


def _units(text: str) -> list[str]:
    """Split a text into words: a Han or kana character, or a run between spaces; marks stay with their neighbours."""
    units: list[str] = []
    for unit in _UNITS.findall(text):
        if units and not (_is_spoken(unit) and _is_spoken(units[-1])):
            units[-1] += unit
        else:
            units.append(unit)
    return units


def _is_spoken(text: str) -> bool:
    return any(c.isalnum() for c in text)


def _respoken(words: Sequence[Word], prefix: str, units: Sequence[str], suffix: str) -> list[Word]:
    texts = list(units) or [""]
    texts[0] = prefix + texts[0]
    texts[-1] += suffix
    if not any(texts):
        return []
    if len(texts) == len(words):
        return [replace(word, text=text) for word, text in zip(words, texts, strict=True)]
    start, stop = words[0].start, words[-1].stop
    shares = [sum(map(len, texts[:n])) / sum(map(len, texts)) for n in range(len(texts))]
    times = [start + share * (stop - start) for share in shares] + [stop]
    confidence = sum(word.confidence for word in words) / len(words)
    return [Word(text, a, b, confidence) for text, (a, b) in zip(texts, pairwise(times), strict=True)]
