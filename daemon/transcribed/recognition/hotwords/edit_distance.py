"""Find misspellings of expected words in a text, in scripts with letters and spaces.  Pure.

Whole words are compared, without spaces and hyphens, so that `git hub` matches `GitHub`.  Short words are too similar
for that, and an inflected form is no misspelling.  rapidfuzz compares; it is loaded with the first word.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

THRESHOLD = 0.87
"""Required similarity of two spellings, 0..1, by edits and swapped neighbours: one wrong letter in eight or more."""

MIN_LETTERS = 5
MAX_WORDS = 4  # parts of one expected word; more are a phrase

LETTER = "0-9A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0370-\u058f\u1e00-\u1fff"
"""Latin, Greek, Cyrillic, Armenian letters and digits, for use between [ and ] in a regular expression."""

_WORD = re.compile(rf"[{LETTER}]+(?:['’][{LETTER}]+)*")
_GAP = re.compile("[ -]")


class SpellingMatch(NamedTuple):
    start: int
    stop: int  # of the text
    word: str
    score: float  # 0..1


class SpellingIndex:
    def __init__(self, words: Iterable[str]) -> None:
        self._by_length: defaultdict[int, dict[str, str]] = defaultdict(dict)
        self._most_words = 0
        for word in words:
            parts = _WORD.findall(word)
            letters = "".join(parts).lower()
            if len(letters) >= MIN_LETTERS and len(parts) <= MAX_WORDS and letters == _bare(word):
                self._by_length[len(letters)].setdefault(letters, word)
                self._most_words = max(self._most_words, len(parts) + 1)

    def matches(self, text: str) -> Iterator[SpellingMatch]:
        """Yield the stretches spelt like an expected word but not identical to it; they may overlap."""
        words = list(_WORD.finditer(text)) if self._by_length else []
        for first in range(len(words)):
            for last in range(first, min(first + self._most_words, len(words))):
                if last > first and not _GAP.fullmatch(text, words[last - 1].end(), words[last].start()):
                    break
                start, stop = words[first].start(), words[last].end()
                if (found := self._nearest(_bare(text[start:stop]))) and found[0] != text[start:stop]:
                    yield SpellingMatch(start, stop, *found)

    def _nearest(self, letters: str) -> tuple[str, float] | None:
        """Return the expected word most similar to these letters, with its similarity; None if none is."""
        from rapidfuzz import process
        from rapidfuzz.distance import OSA

        best: tuple[str, float] | None = None
        for length in range(len(letters) - _slack(len(letters)), len(letters) + _slack(len(letters)) + 1):
            expected = self._by_length.get(length)
            found = expected and process.extractOne(
                letters, expected.keys(), scorer=OSA.normalized_similarity, score_cutoff=THRESHOLD
            )
            if expected and found and (best is None or found[1] > best[1]) and not _inflected(found[0], letters):
                best = expected[found[0]], found[1]
        return best


def _slack(letters: int) -> int:
    """Return by how many letters a match above the threshold may be longer or shorter."""
    return int((1 - THRESHOLD) / THRESHOLD * letters + 1e-9)


def _inflected(expected: str, letters: str) -> bool:
    """Return whether one is the other plus an ending; False if they are equal."""
    return expected != letters and (letters.startswith(expected) or expected.startswith(letters))


def _bare(text: str) -> str:
    return re.sub("[ -]", "", text).lower()
