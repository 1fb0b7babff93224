"""Find stretches of a text that sound like an expected word in Mandarin.  Pure.

A word is compared syllable by syllable, without tones, with a stretch of as many Han characters.  Sounds that southern
Chinese speakers do not distinguish (zh z, ch c, sh s, n l, f h, ang an, eng en, ing in) cost little, other differences
much.  Two syllables are too few for that, since Mandarin has dozens of words for most pairs: there the sounds must be
identical, and so must one character or all tones.

Readings come from the library pypinyin, which is loaded with the first word: it takes 0.1 s and 60 MB.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from transcribed.core import text

THRESHOLD = 0.85
"""Required similarity of sound, 0..1; chosen on the page of sentences in tests/support/chinese.py."""

MIN_CHARACTERS = 2  # a single one has more homophones than letters
SURE_CHARACTERS = 3  # from this length on, sounds alone are enough
CONFUSED, OTHER = 0.1, 0.8  # cost per initial or final: from six characters on, one of these may be entirely different
MAX_READINGS = 64  # per piece of a word

HAN = re.compile(f"[〇{text.HAN}]+")
_APART: Any = list  # splits characters unknown to pypinyin one by one
_PARTS = re.compile("([zcs]h|[bpmfdtnlgkhjqxrzcsyw])?(.*)", re.DOTALL)
_SOUTHERN = {"zh": "z", "ch": "c", "sh": "s", "n": "l", "h": "f"}
_NASAL = re.compile("ng$")


class Syllable(NamedTuple):
    initial: str
    final: str
    tone: str  # "1" to "5"
    southern: tuple[str, str]  # initial and final, the same for all easily confused sounds


class SoundMatch(NamedTuple):
    start: int  # of a stretch as long as the word
    word: str
    score: float  # 0..1


class _Piece(NamedTuple):
    """The characters from `start` to `stop` of all words of one length."""

    length: int
    start: int
    stop: int


_Readings = tuple[tuple[Syllable, ...], ...]  # possible readings per character of a word
_Words = dict[tuple[tuple[str, str], ...], list[tuple[str, _Readings]]]  # by the sound of one of their pieces


class SoundIndex:
    """An index of words by the sound of their pieces; in any similar stretch at least one piece sounds the same."""

    def __init__(self, words: Iterable[str]) -> None:
        self._pieces: defaultdict[_Piece, _Words] = defaultdict(dict)
        for word in words:
            if HAN.fullmatch(word) and len(word) >= MIN_CHARACTERS:
                self._add(word)

    def matches(self, text: str) -> Iterator[SoundMatch]:
        """Yield the stretches that sound like an expected word but are not that word; they may overlap."""
        for run in HAN.finditer(text) if self._pieces else ():
            if len(run[0]) >= MIN_CHARACTERS:
                for match in self._in_run(run[0]):
                    yield match._replace(start=run.start() + match.start)

    def _add(self, word: str) -> None:
        readings = _readings(word)
        for piece in _pieces(len(word)):
            words = self._pieces[piece]
            ways = ({syllable.southern: None for syllable in way} for way in readings[piece.start : piece.stop])
            for key in itertools.islice(itertools.product(*ways), MAX_READINGS):
                words.setdefault(key, []).append((word, readings))

    def _in_run(self, run: str) -> Iterator[SoundMatch]:
        heard = syllables(run)
        southern = [syllable.southern for syllable in heard]
        for piece, words in self._pieces.items():
            for at in range(len(run) - piece.length + 1):
                key = tuple(southern[at + piece.start : at + piece.stop])
                for word, readings in words.get(key, ()):
                    said = run[at : at + len(word)]
                    score = _likeness(word, readings, said, heard[at : at + len(word)])
                    if score >= THRESHOLD and said != word:
                        yield SoundMatch(at, word, score)


def syllables(text: str) -> list[Syllable]:
    """Return the readings of Han characters, each in its context; one in no dictionary is a sound of its own."""
    from pypinyin import Style, lazy_pinyin

    return [_syllable(s) for s in lazy_pinyin(text, Style.TONE3, errors=_APART, neutral_tone_with_five=True)]


def _readings(word: str) -> _Readings:
    """Return all readings of a word, as names often have special ones (Zeng, Shan, Xie); only the usual if short."""
    from pypinyin import Style, pinyin

    if len(word) < SURE_CHARACTERS:
        return tuple((syllable,) for syllable in syllables(word))
    ways = pinyin(word, Style.TONE3, heteronym=True, errors=_APART, neutral_tone_with_five=True)
    return tuple(tuple(map(_syllable, way)) for way in ways)


@functools.lru_cache(maxsize=4096)  # Mandarin has some 1,300
def _syllable(written: str) -> Syllable:
    sound, tone = (written[:-1], written[-1]) if written[-1] in "12345" else (written, "5")
    initial, final = _PARTS.fullmatch(sound).groups("")  # type: ignore[union-attr]  # it matches anything
    return Syllable(initial, final, tone, (_SOUTHERN.get(initial, initial), _NASAL.sub("n", final)))


@functools.cache
def _pieces(length: int) -> tuple[_Piece, ...]:
    """Cut a word so that in any stretch above the threshold at least one piece has no different sound."""
    count = int((1 - THRESHOLD) * length / OTHER + 1e-9) + 1
    cuts = (length * n // count for n in range(count + 1))
    return tuple(_Piece(length, start, stop) for start, stop in itertools.pairwise(cuts))


def _likeness(word: str, readings: _Readings, said: str, heard: Sequence[Syllable]) -> float:
    """Return the similarity, 0..1, of a word and a stretch of the same length."""
    costs = [min(_cost(way, syllable) for way in ways) for ways, syllable in zip(readings, heard, strict=True)]
    if len(word) < SURE_CHARACTERS:
        shared = any(a == b for a, b in zip(word, said, strict=True))
        toned = all(ways[0].tone == syllable.tone for ways, syllable in zip(readings, heard, strict=True))
        return 1.0 if not any(costs) and (shared or toned) else 0.0
    return 1 - sum(costs) / len(costs)


def _cost(a: Syllable, b: Syllable) -> float:
    parts = zip(a[:2], b[:2], a.southern, b.southern, strict=True)
    return sum(
        0.0 if x == y else CONFUSED if southern_x == southern_y else OTHER for x, y, southern_x, southern_y in parts
    )
