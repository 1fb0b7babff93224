"""Where a text spells a word otherwise than it was to be expected: in scripts with letters and spaces.  Pure.

Whole words are compared, without spaces and hyphens, so that `git hub` is found for `GitHub`.  Short words are too
alike for that, and an inflected form is no misspelling.  rapidfuzz compares; it is loaded with the first word.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

THRESHOLD = 0.87
"""How alike two spellings must be, 0..1, by edits and swapped neighbours: one wrong letter from eight on."""

MIN_LETTERS = 5
MAX_WORDS = 4  # of one expected word: more are a phrase

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
        """What is spelt like a word and is not that word; stretches may overlap."""
        words = list(_WORD.finditer(text)) if self._by_length else []
        for first in range(len(words)):
            for last in range(first, min(first + self._most_words, len(words))):
                if last > first and not _GAP.fullmatch(text, words[last - 1].end(), words[last].start()):
                    break
                start, stop = words[first].start(), words[last].end()
                if (found := self._nearest(_bare(text[start:stop]))) and found[0] != text[start:stop]:
                    yield SpellingMatch(start, stop, *found)

    def _nearest(self, letters: str) -> tuple[str, float] | None:
        """The expected word that is spelt like this, and how alike it is."""
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
    """How much longer or shorter what is above the threshold may be."""
    return int((1 - THRESHOLD) / THRESHOLD * letters + 1e-9)


def _inflected(expected: str, letters: str) -> bool:
    """Whether one is the other with something behind it; equal ones are not."""
    return expected != letters and (letters.startswith(expected) or expected.startswith(letters))


def _bare(text: str) -> str:
    return re.sub("[ -]", "", text).lower()
